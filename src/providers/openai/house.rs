//! Whose server it is, as far as its address tells, and what that means for a call.

use std::time::Duration;

use crate::http::Uri;
use crate::providers::limits::{DAY, MINUTE};

/// The port on which Ollama listens unless it is told another one.
const OLLAMA_PORT: u16 = 11_434;

/// Who runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum House {
    OpenAi,
    Groq,
    Ollama,
    Unknown,
}

impl House {
    /// The house of an address.
    pub(super) fn of(url: &Uri) -> Self {
        let host = url.host().unwrap_or_default();
        let is_of = |domain: &str| {
            let rest = host.strip_suffix(domain);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if is_of("openai.com") || is_of("openai.azure.com") {
            Self::OpenAi
        } else if is_of("groq.com") {
            Self::Groq
        } else if url.port_u16() == Some(OLLAMA_PORT) {
            Self::Ollama
        } else {
            Self::Unknown
        }
    }

    /// Over what time `x-ratelimit-limit-requests` counts here.
    pub(super) const fn requests_per(self) -> Option<Duration> {
        match self {
            Self::OpenAi => Some(MINUTE),
            Self::Groq => Some(DAY),
            Self::Ollama | Self::Unknown => None,
        }
    }

    /// How long a model of this house should think, each where it refuses the one before; nothing
    /// where a model is not told.
    ///
    /// OpenAI: `none` since gpt-5.1, but for some models of a version; `low` at least before. Groq:
    /// `none` for qwen3, `low` at least for gpt-oss. Ollama: `none` for any model.
    pub(super) fn efforts(self, model: &str) -> &'static [&'static str] {
        match self {
            Self::OpenAi if model.starts_with("gpt-5.") => &["none", "low"],
            Self::OpenAi if is_reasoning(model) => &["low"],
            Self::Groq if model.contains("qwen3") => &["none"],
            Self::Groq if model.contains("gpt-oss") => &["low"],
            Self::Ollama => &["none"],
            _ => &[],
        }
    }

    /// Whether a model's thoughts come with its answer unless they are declined.
    pub(super) fn shows_thoughts(self, model: &str) -> bool {
        self == Self::Groq && model.contains("gpt-oss")
    }

    /// Whether a model may be told how freely to choose its words.
    pub(super) fn takes_temperature(self, model: &str) -> bool {
        !(self == Self::OpenAi && is_reasoning(model))
    }
}

/// Whether this is one of OpenAI's reasoning models, which refuse a temperature.
fn is_reasoning(model: &str) -> bool {
    ["o1", "o3", "o4", "gpt-5"]
        .iter()
        .any(|family| model.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(url: &str) -> House {
        House::of(&url.parse().expect("an address"))
    }

    #[test]
    fn the_address_tells_the_house() {
        for (url, expected) in [
            ("https://api.openai.com/v1/chat/completions", House::OpenAi),
            ("https://mine.openai.azure.com/openai/v1", House::OpenAi),
            ("https://api.groq.com/openai/v1", House::Groq),
            ("http://127.0.0.1:11434/v1", House::Ollama),
            ("http://127.0.0.1:8080/v1", House::Unknown),
            ("https://notgroq.com/v1", House::Unknown),
            ("https://groq.com.example.org/v1", House::Unknown),
        ] {
            assert_eq!(house(url), expected, "{url}");
        }
    }

    #[test]
    fn reasoning_is_kept_short_where_a_house_knows_it() {
        let (off, low): (&[&str], &[&str]) = (&["none"], &["low"]);
        for (house, model, efforts) in [
            (House::OpenAi, "gpt-5.4", &["none", "low"][..]),
            (House::OpenAi, "gpt-5.1-2025-11-13", &["none", "low"]),
            (House::OpenAi, "gpt-5", low),
            (House::OpenAi, "gpt-5-mini", low),
            (House::OpenAi, "o3-mini", low),
            (House::OpenAi, "gpt-4o-mini", &[]),
            (House::Groq, "qwen/qwen3-32b", off),
            (House::Groq, "openai/gpt-oss-20b", low),
            (House::Groq, "llama-3.3-70b-versatile", &[]),
            (House::Ollama, "qwen3", off),
            (House::Unknown, "gpt-5.4", &[]),
        ] {
            assert_eq!(house.efforts(model), efforts, "{house:?} {model}");
        }
        assert!(House::Groq.shows_thoughts("openai/gpt-oss-20b"));
        assert!(!House::OpenAi.takes_temperature("gpt-5.4"));
        assert!(House::Groq.takes_temperature("openai/gpt-oss-20b"));
    }
}

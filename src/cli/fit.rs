//! `fit`: how a network counts a text, and the parts it would be split into.

use std::path::PathBuf;
use std::sync::Arc;

use babelfeed_actors::logic::fit::{self, Limit};
use babelfeed_actors::logic::spans::protect;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::input::{Input, Line};
use super::options::Exit;
use super::{complain, say, say_json};

/// What `fit` is told.
#[derive(Args, Debug)]
pub(super) struct FitOptions {
    /// The network whose rules count
    #[arg(long)]
    network: Network,
    /// The most that a part may measure; what the network allows if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// The text
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    text: Option<String>,
    /// A text a line, or JSON strings for `.jsonl`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Network {
    X,
    Mastodon,
    Bluesky,
    Telegram,
    Discord,
}

/// How a text measures.
#[derive(Debug, Serialize)]
struct Fitted {
    length: usize,
    max: usize,
    fits: bool,
    spans: Vec<Piece>,
    parts: Vec<String>,
}

/// A protected span.
#[derive(Debug, Serialize)]
struct Piece {
    kind: &'static str,
    text: String,
}

/// Tells of each text how it fits; a text that cannot be split is told on standard error.
pub(super) fn fit(options: &FitOptions, json: bool) -> anyhow::Result<Exit> {
    let input = Input::new(options.text.as_deref(), options.file.as_deref())?;
    let limit = options.network.limit(options.max);
    let mut exit = Exit::Done;
    for line in input.lines()? {
        let line = line?;
        match text_of(&line, input.is_json()).and_then(|text| fitted(&text.into(), limit)) {
            Ok(fitted) => fitted.say(json)?,
            Err(why) => {
                complain(format_args!("line {}: {why}", line.number));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

impl Network {
    fn limit(self, max: Option<u32>) -> Limit {
        let usual = match self {
            Self::X => Limit::X,
            Self::Mastodon => Limit::MASTODON,
            Self::Bluesky => Limit::BLUESKY,
            Self::Telegram => Limit::TELEGRAM,
            Self::Discord => Limit::DISCORD,
        };
        max.map_or(usual, |max| usual.with_max(max as usize))
    }
}

fn text_of(line: &Line, is_json: bool) -> Result<String, String> {
    if !is_json {
        return Ok(line.text.clone());
    }
    serde_json::from_str(&line.text).map_err(|error| format!("expected a JSON string: {error}"))
}

fn fitted(text: &Arc<str>, limit: Limit) -> Result<Fitted, String> {
    let piece = |span: &babelfeed_actors::logic::spans::Span| Piece {
        kind: span.kind.name(),
        text: span.text.to_string(),
    };
    let fitted = fit::fitted(text, limit);
    Ok(Fitted {
        length: fitted.length,
        max: limit.max().unwrap_or(usize::MAX),
        fits: fitted.fits,
        spans: protect(text).spans.iter().map(piece).collect(),
        parts: fitted.parts.map_err(|error| error.to_string())?,
    })
}

impl Fitted {
    fn say(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return say_json(self);
        }
        let fits = if self.fits { "fits" } else { "does not fit" };
        say(format_args!("{} of {}, {fits}", self.length, self.max))?;
        for span in &self.spans {
            say(format_args!("  {}: {}", span.kind, span.text))?;
        }
        if self.parts.len() > 1 {
            for (index, part) in self.parts.iter().enumerate() {
                let shown = part.replace('\n', "\n      ");
                say(format_args!("  {:>2}. {shown}", index + 1))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_counts_as_much_as_mastodon_says() {
        let limit = Network::Mastodon.limit(None);
        let text = "see https://example.org/a/very/long/path/that/counts/less".into();
        let fitted = fitted(&text, limit).expect("a text that fits");
        assert_eq!((fitted.length, fitted.max, fitted.fits), (27, 500, true));
        assert_eq!(fitted.spans[0].kind, "url");
        assert_eq!(fitted.parts, [&*text]);
    }

    #[test]
    fn a_text_that_is_too_long_is_shown_in_parts() {
        let limit = Network::Mastodon.limit(Some(12));
        let fitted = fitted(&"one two three four five".into(), limit).expect("parts");
        assert!(!fitted.fits && fitted.parts.len() > 1);
        assert!(fitted.parts.iter().all(|part| limit.fits(part)));
    }

    #[test]
    fn each_network_counts_by_its_own_rules() {
        let text: Arc<str> = "see example.org/a 日本 👨‍👩‍👧‍👦".into();
        for (network, length, max) in [
            (Network::X, 35, 280),
            (Network::Mastodon, 22, 500),
            (Network::Bluesky, 22, 300),
            (Network::Telegram, 32, 4_096),
            (Network::Discord, 28, 2_000),
        ] {
            let fitted = fitted(&text, network.limit(None)).expect("a text that fits");
            assert_eq!((fitted.length, fitted.max), (length, max), "{network:?}");
        }
    }
}

//! What no translation may touch, set aside as `⟦0⟧`, `⟦1⟧`, … and put back afterwards.

mod address;
mod code;
mod domain;
mod emoji;
mod number;
mod placeholder;
mod restore;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use emoji::cluster_end;
pub use restore::BrokenSpans;
pub(super) use scan::{Found, Scan};

/// A text whose spans are set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The text with placeholders for its spans, without whitespace at its ends.
    pub skeleton: Arc<str>,
    /// What the placeholders stand for, by their numbers.
    pub spans: Vec<Span>,
    original: Arc<str>,
    /// How many bytes of whitespace the original begins with.
    before: usize,
    /// How many bytes of whitespace the original ends with.
    after: usize,
    has_words: bool,
    numbers: Numbers,
}

/// A piece of a text that must come back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub kind: SpanKind,
    /// How it is written.
    pub text: Box<str>,
}

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// A web address with its scheme.
    Url,
    /// A web address without its scheme: `host.tld`, `host.tld/path`.
    Domain,
    /// `@user`, `@user@host.tld`, `@handle.bsky.social`.
    Mention,
    /// `#word`.
    Hashtag,
    /// `$WORD`.
    Cashtag,
    /// `:name:`.
    CustomEmoji,
    /// One emoji, whatever it is composed of.
    Emoji,
    /// `name@host.tld`.
    Email,
    /// Code between backticks, in a line or a block.
    Code,
    /// A number with its unit, or a price, where those are kept.
    Number,
    /// What looks like one of our own placeholders.
    Placeholder,
    /// What stands between a text and the words that hang on it.
    Separator,
}

impl SpanKind {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Domain => "domain",
            Self::Mention => "mention",
            Self::Hashtag => "hashtag",
            Self::Cashtag => "cashtag",
            Self::CustomEmoji => "custom_emoji",
            Self::Emoji => "emoji",
            Self::Email => "email",
            Self::Code => "code",
            Self::Number => "number",
            Self::Placeholder => "placeholder",
            Self::Separator => "separator",
        }
    }
}

/// Whether numbers with units and prices are spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numbers {
    /// They are translated: their separators and units are written as the language has it.
    #[default]
    Translated,
    /// They come back as they were.
    Kept,
}

/// Sets the spans of a text aside; allocates nothing for a trimmed text without any.
pub fn protect(text: &Arc<str>) -> Protected {
    protect_with(text, Numbers::Translated)
}

/// Sets the spans of a text aside, numbers with units and prices among them if they are kept.
pub fn protect_with(text: &Arc<str>, numbers: Numbers) -> Protected {
    let start_trimmed = text.trim_start();
    let before = text.len() - start_trimmed.len();
    let trimmed = start_trimmed.trim_end();
    let after = start_trimmed.len() - trimmed.len();

    let mut scan = Scan::new(trimmed, numbers);
    let mut spans = Vec::new();
    let mut skeleton = String::new();
    let mut copied = 0;
    for found in scan.by_ref() {
        if spans.is_empty() {
            skeleton.reserve(trimmed.len() + 32);
        }
        skeleton.push_str(&trimmed[copied..found.start]);
        placeholder::write(&mut skeleton, spans.len());
        copied = found.end;
        spans.push(Span {
            kind: found.kind,
            text: trimmed[found.start..found.end].into(),
        });
    }
    let skeleton = if !spans.is_empty() {
        skeleton.push_str(&trimmed[copied..]);
        skeleton.into()
    } else if trimmed.len() == text.len() {
        Arc::clone(text)
    } else {
        trimmed.into()
    };
    Protected {
        skeleton,
        spans,
        original: Arc::clone(text),
        before,
        after,
        has_words: scan.has_words(),
        numbers,
    }
}

impl Protected {
    /// Whether there is a letter outside the spans; without one nothing needs translation.
    pub const fn has_words(&self) -> bool {
        self.has_words
    }

    /// The skeleton of a text that is a translation already: with the placeholders of this text
    /// for the spans of both; none if not all of them are in it, each as often as here.
    pub fn set_aside(&self, translated: &str) -> Option<String> {
        let other = protect_with(&Arc::from(translated), self.numbers);
        if other.spans.len() != self.spans.len() {
            return None;
        }
        let mut left: Vec<Option<&Span>> = self.spans.iter().map(Some).collect();
        let mut skeleton = String::with_capacity(other.skeleton.len());
        let mut rest = &*other.skeleton;
        for (number, span) in other.spans.iter().enumerate() {
            let mut written = String::new();
            placeholder::write(&mut written, number);
            let (before, after) = rest.split_once(&written)?;
            let same = |one: &Option<&Span>| one.is_some_and(|one| one.text == span.text);
            let place = left.iter().position(same)?;
            left[place] = None;
            skeleton.push_str(before);
            placeholder::write(&mut skeleton, place);
            rest = after;
        }
        skeleton.push_str(rest);
        Some(skeleton)
    }
}

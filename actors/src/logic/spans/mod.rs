//! What no translation may touch, set aside as `⟦0⟧`, `⟦1⟧`, … and put back afterwards.

mod address;
mod code;
mod domain;
mod emoji;
mod placeholder;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) use emoji::cluster_end;
pub(super) use scan::{Found, Scan};

/// How many unknown placeholders a [`BrokenSpans`] keeps, since an answer may hold any number.
const UNKNOWN_KEPT: usize = 8;

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
            Self::Placeholder => "placeholder",
            Self::Separator => "separator",
        }
    }
}

/// Why spans cannot be put back; each number is a placeholder's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokenSpans {
    /// Those that did not come back.
    pub missing: Vec<usize>,
    /// Those that came back in another order, though their order matters.
    pub misplaced: Vec<usize>,
    /// Those that came back more than once.
    pub doubled: Vec<usize>,
    /// Some of those that were never sent.
    pub unknown: Vec<usize>,
}

/// Sets the spans of a text aside; allocates nothing for a trimmed text without any.
pub fn protect(text: &Arc<str>) -> Protected {
    let start_trimmed = text.trim_start();
    let before = text.len() - start_trimmed.len();
    let trimmed = start_trimmed.trim_end();
    let after = start_trimmed.len() - trimmed.len();

    let mut scan = Scan::new(trimmed);
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
    }
}

impl Protected {
    /// Whether there is a letter outside the spans; without one nothing needs translation.
    pub const fn has_words(&self) -> bool {
        self.has_words
    }

    /// The text as it was before its spans were set aside.
    pub const fn original(&self) -> &Arc<str> {
        &self.original
    }

    /// The translated skeleton with the spans, and the original's whitespace around it.
    ///
    /// Whitespace inside a placeholder's brackets is forgiven, since its number is still told.
    ///
    /// # Errors
    /// When a placeholder is missing, came twice, or was never sent, or when separators came back
    /// in another order.
    pub fn restore(&self, translated: &str) -> Result<String, BrokenSpans> {
        let translated = translated.trim();
        let mut returned = vec![false; self.spans.len()];
        let mut broken = BrokenSpans::default();
        let mut text = String::with_capacity(self.original.len() + translated.len());
        text.push_str(&self.original[..self.before]);
        let mut copied = 0;
        let mut separator = None;
        for (found, number) in placeholder::all(translated) {
            text.push_str(&translated[copied..found.start]);
            copied = found.end;
            match returned.get_mut(number) {
                Some(is_back @ false) => {
                    *is_back = true;
                    if self.spans[number].kind == SpanKind::Separator
                        && separator.replace(number) > Some(number)
                    {
                        broken.misplaced.push(number);
                    }
                    text.push_str(&self.spans[number].text);
                }
                Some(true) => broken.note_doubled(number),
                None => broken.note_unknown(number),
            }
        }
        text.push_str(&translated[copied..]);
        text.push_str(&self.original[self.original.len() - self.after..]);
        broken.missing = (0..returned.len()).filter(|&at| !returned[at]).collect();
        if broken == BrokenSpans::default() {
            Ok(text)
        } else {
            Err(broken)
        }
    }
}

impl Protected {
    /// The translated skeleton with the spans that came back, for a person to put the others in.
    pub fn restore_torn(&self, translated: &str) -> String {
        let mut returned = vec![false; self.spans.len()];
        let mut text = String::with_capacity(self.original.len() + translated.len());
        let mut copied = 0;
        for (found, number) in placeholder::all(translated) {
            text.push_str(&translated[copied..found.start]);
            copied = found.end;
            if let Some(is_back @ false) = returned.get_mut(number) {
                *is_back = true;
                text.push_str(&self.spans[number].text);
            }
        }
        text.push_str(&translated[copied..]);
        text.trim().to_owned()
    }
}

impl BrokenSpans {
    fn note_doubled(&mut self, number: usize) {
        if let Err(at) = self.doubled.binary_search(&number) {
            self.doubled.insert(at, number);
        }
    }

    fn note_unknown(&mut self, number: usize) {
        if self.unknown.len() < UNKNOWN_KEPT && !self.unknown.contains(&number) {
            self.unknown.push(number);
        }
    }
}

impl fmt::Display for BrokenSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every placeholder was wanted once")?;
        for (numbers, fault) in [
            (&self.missing, "missing"),
            (&self.misplaced, "in another order"),
            (&self.doubled, "more than once"),
            (&self.unknown, "never sent"),
        ] {
            if numbers.is_empty() {
                continue;
            }
            write!(f, ", {fault}:")?;
            for number in numbers.iter().take(UNKNOWN_KEPT) {
                write!(f, " ⟦{number}⟧")?;
            }
            if numbers.len() > UNKNOWN_KEPT {
                f.write_char('…')?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for BrokenSpans {}

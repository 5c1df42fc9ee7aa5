//! What a translation must pass before it is taken, beside its protected spans.

mod echo;
mod evidence;
mod language;
mod length;
mod notes;
mod phrases;
mod repair;
mod script;
#[cfg(test)]
mod tests;
mod words;

pub use evidence::is_function_word;

use std::fmt;
use std::sync::Arc;

use super::spans::Protected;
use crate::domain::{Language, Pair};
use evidence::Evidence;
use words::Words;

/// Which checks are made; each can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// It is in the language wanted, in its script.
    pub language: bool,
    /// It is not the text itself.
    pub echo: bool,
    /// It is about as long as the text.
    pub length: bool,
    /// Nothing stands in it but the translation.
    pub notes: bool,
}

impl Checks {
    /// Every check.
    pub const ALL: Self = Self {
        language: true,
        echo: true,
        length: true,
        notes: true,
    };

    /// No check, for what does not really translate.
    pub const NONE: Self = Self {
        language: false,
        echo: false,
        length: false,
        notes: false,
    };
}

impl Default for Checks {
    fn default() -> Self {
        Self::ALL
    }
}

/// What was wrong with a translation that came back whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it did not pass.
    pub check: Check,
    /// What is wrong, in words that a language model understands as well.
    pub why: Arc<str>,
}

/// What a translation may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Its protected spans did not all come back once.
    Spans,
    /// Instead of it the provider said that it will not translate.
    Refusal,
    /// Words about the translation stand before, in or behind it.
    Notes,
    /// It is the text itself.
    Echo,
    /// It is written in another script.
    Script,
    /// It is in another language.
    Language,
    /// A word of a foreign script slipped in that is not the text's.
    Stray,
    /// It is far longer or shorter than the text.
    Length,
    /// A lost blank behind a full stop makes a link of two words.
    Link,
    /// A term of the glossary was not kept to.
    Glossary,
}

/// What may become of a translation that fails, when nobody makes a better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It may be published: it says what the text says.
    Mild,
    /// It is no translation: it may go only to a person.
    Grave,
    /// It is a translation that lacks something which a person can put back.
    Torn,
}

impl Check {
    /// The service that it is counted as.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Spans => "checks.spans",
            Self::Refusal => "checks.refusal",
            Self::Notes => "checks.notes",
            Self::Echo => "checks.echo",
            Self::Script => "checks.script",
            Self::Language => "checks.language",
            Self::Stray => "checks.stray",
            Self::Length => "checks.length",
            Self::Link => "checks.link",
            Self::Glossary => "glossary",
        }
    }

    /// What may become of a translation that fails it.
    pub const fn gravity(self) -> Gravity {
        match self {
            Self::Spans => Gravity::Torn,
            Self::Refusal | Self::Notes | Self::Echo | Self::Script | Self::Language => {
                Gravity::Grave
            }
            Self::Stray | Self::Length | Self::Link | Self::Glossary => Gravity::Mild,
        }
    }
}

impl Fault {
    /// A fault, told in these words.
    pub fn new(check: Check, why: impl fmt::Display) -> Self {
        Self {
            check,
            why: why.to_string().into(),
        }
    }
}

/// A translation as its text stands, mended where that is provably right, and the first thing
/// that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its text, with placeholders.
    pub text: Arc<str>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl Checks {
    /// Examines the translation of a text of this pair of languages, both with placeholders.
    ///
    /// What cannot be told, as of a name or of three words, passes.
    pub fn examine(&self, source: &Protected, translated: Arc<str>, pair: &Pair) -> Examined {
        let text = repair::repaired(source, translated, &pair.target, *self);
        let fault = self.fault(&source.skeleton, &text, pair);
        Examined { text, fault }
    }

    /// The same without the length, for a translation that was asked to be short.
    #[must_use]
    pub const fn without_length(self) -> Self {
        Self {
            length: false,
            ..self
        }
    }

    fn fault(&self, source: &str, translated: &str, pair: &Pair) -> Option<Fault> {
        if *self == Self::NONE {
            return None;
        }
        if self.notes
            && let Some(fault) = notes::fault(source, translated)
        {
            return Some(fault);
        }
        let is_other = |source: &Language| !source.matches(&pair.target);
        let is_translated = pair.source.as_ref().is_none_or(is_other);
        if is_translated && (self.language || self.echo) {
            let (source, translated) = (Words::of(source), Words::of(translated));
            let evidence = Evidence::of(&translated);
            if self.echo && echo::is_echo(&source, &translated, &evidence, pair) {
                let why = "it was the text itself, not translated";
                return Some(Fault::new(Check::Echo, why));
            }
            if self.language {
                let fault = script::fault(&source, &translated, &pair.target);
                let fault =
                    fault.or_else(|| language::fault(&source, &translated, &evidence, pair));
                if fault.is_some() {
                    return fault;
                }
            }
        }
        if self.length
            && let Some(fault) = length::fault(source, translated)
        {
            return Some(fault);
        }
        let links = repair::makes_link(source, translated, &pair.target);
        links.then(|| Fault::new(Check::Link, "a blank was missing behind a full stop"))
    }
}

/// How many letters the translation of a skeleton has, at the least and at the most, if its length
/// passes; what says as much as several letters counts as so many.
pub fn plausible_letters(skeleton: &str) -> (f64, f64) {
    length::plausible(skeleton)
}

/// Whether a text without a declared language is already in this one; only if it surely is.
pub fn is_in(source: &Protected, language: &Language) -> bool {
    let words = Words::of(&source.skeleton);
    language::is_surely(&words, &Evidence::of(&words), language)
}

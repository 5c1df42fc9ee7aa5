//! How a translation should read: the terms and the tone of a language.

use std::sync::Arc;

use super::{Budget, Pair};

/// What a glossary asks for in one pair of languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guide {
    /// Terms with the translation wanted.
    pub terms: Vec<Term>,
    /// Words that may not stand in a translation.
    pub forbidden: Vec<Arc<str>>,
    /// How it should sound, like `formal` or a sentence for a model.
    pub tone: Option<Arc<str>>,
    /// Differs whenever anything of the above does.
    pub version: Arc<str>,
    /// What was wrong with the last translation, where a text is asked for again, alone in its call.
    pub remark: Option<Arc<str>>,
    /// What the translation may measure, where a text is asked for again because the last one was
    /// too long, alone in its call.
    pub budget: Option<Budget>,
}

/// A term and how it is translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// As it stands in the text.
    pub source: Arc<str>,
    /// As it should stand in the translation; the same for what stays as it is.
    pub target: Arc<str>,
}

/// What a person put in the place of a phrase when correcting a translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// From what into what was translated.
    pub pair: Pair,
    /// What stood in the translation.
    pub old: Arc<str>,
    /// What the person put in its place.
    pub new: Arc<str>,
    /// The text.
    pub text: Arc<str>,
}

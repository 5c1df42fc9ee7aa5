//! Languages, as BCP 47 tags.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use oxilangtag::LanguageTag;

/// A language, as a well-formed BCP 47 tag in its canonical case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Arc<str>);

/// Why a text is no language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a language tag, expected something like `en` or `pt-BR`")]
pub struct LanguageError(String);

impl Language {
    /// The tag in its canonical case, like `pt-BR`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The primary subtag, like `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        LanguageTag::parse_and_normalize(text)
            .ok()
            .filter(|tag| (2..=3).contains(&tag.primary_language().len()))
            .map(|tag| Self(tag.into_inner().into()))
            .ok_or_else(|| LanguageError(text.to_owned()))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From what into what a text is translated; no source means that the provider finds out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The language of the text, where it is known.
    pub source: Option<Language>,
    /// The language wanted.
    pub target: Language,
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_ref().map_or("auto", Language::as_str);
        write!(f, "{source}→{}", self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_takes_its_canonical_case() {
        let language: Language = "PT-br".parse().expect("a tag");
        assert_eq!(language.as_str(), "pt-BR");
        assert_eq!(language.primary(), "pt");
    }

    #[test]
    fn what_is_no_tag_is_refused_by_name() {
        for text in ["", "x", "english!", "es_MX", "-", "i-klingon-x"] {
            let error = text.parse::<Language>().expect_err("no tag");
            assert!(
                error.to_string().contains("expected something like"),
                "{text}"
            );
        }
    }
}

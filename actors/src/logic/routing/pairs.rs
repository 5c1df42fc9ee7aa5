//! Which pairs of languages a provider is asked for.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Language, LanguageError, Pair};

/// Pairs of languages, like `en-es`, `*-ca` or `en>pt-BR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    source: Option<Language>,
    target: Option<Language>,
}

/// Why a text names no pairs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// It does not have two sides.
    #[error("`{0}` is no pair of languages, expected something like `en-es`, `*-ca` or `en>pt-BR`")]
    Form(String),
    /// One side is no language.
    #[error(transparent)]
    Language(#[from] LanguageError),
}

impl Pairs {
    /// Whether a pair is among them; a language includes its variants, like `pt` `pt-BR`, and a
    /// text whose language is not known is only among those from any language.
    pub fn include(&self, pair: &Pair) -> bool {
        let source = match (&self.source, &pair.source) {
            (None, _) => true,
            (Some(wanted), Some(source)) => wanted.includes(source),
            (Some(_), None) => false,
        };
        let target = &self.target;
        source && target.as_ref().is_none_or(|it| it.includes(&pair.target))
    }
}

impl FromStr for Pairs {
    type Err = PairsError;

    fn from_str(text: &str) -> Result<Self, PairsError> {
        let sides = text.split_once('>').or_else(|| {
            let sides = text.split_once('-')?;
            // With a variant on one side it could be cut in two places.
            (!sides.1.contains('-')).then_some(sides)
        });
        let (source, target) = sides.ok_or_else(|| PairsError::Form(text.to_owned()))?;
        let side = |side: &str| match side.trim() {
            "*" => Ok(None),
            tag => tag.parse().map(Some),
        };
        Ok(Self {
            source: side(source)?,
            target: side(target)?,
        })
    }
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<Language>| match side {
            Some(language) => language.to_string(),
            None => "*".to_owned(),
        };
        write!(f, "{}>{}", side(&self.source), side(&self.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair {
            source: (!source.is_empty()).then(|| source.parse().expect("a tag")),
            target: target.parse().expect("a tag"),
        }
    }

    fn pairs(text: &str) -> Pairs {
        text.parse().expect("pairs")
    }

    #[test]
    fn pairs_are_compared_side_by_side() {
        assert!(pairs("en-es").include(&pair("en", "es")));
        assert!(!pairs("en-es").include(&pair("es", "en")));
        assert!(pairs("*-ca").include(&pair("fr", "ca")));
        assert!(pairs("en-*").include(&pair("en", "ja")));
        assert!(pairs("en>pt-BR").include(&pair("en", "pt-BR")));
    }

    #[test]
    fn a_language_includes_its_variants_and_no_variant_its_language() {
        assert!(pairs("en-pt").include(&pair("en-US", "pt-BR")));
        assert!(!pairs("en>pt-BR").include(&pair("en", "pt")));
        assert!(!pairs("en-es").include(&pair("en", "est")));
    }

    #[test]
    fn a_text_of_unknown_language_is_only_for_who_takes_any() {
        assert!(pairs("*-es").include(&pair("", "es")));
        assert!(!pairs("en-es").include(&pair("", "es")));
    }

    #[test]
    fn what_names_no_pair_is_refused_with_an_example() {
        for text in ["", "en", "en-pt-BR", "en>", "english>!", "-"] {
            let error = text.parse::<Pairs>().expect_err("no pairs");
            assert!(
                error.to_string().contains("expected something like"),
                "{text}"
            );
        }
        assert_eq!(pairs("EN - es").to_string(), "en>es");
    }
}

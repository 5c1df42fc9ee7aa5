//! Languages, as BCP 47 tags.

mod likely;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use oxilangtag::LanguageTag;

/// A language, as a well-formed BCP 47 tag in its canonical case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Arc<Tag>);

/// A tag, with what is asked of it for every text.
struct Tag {
    text: Box<str>,
    /// The length of the primary subtag.
    n_primary: usize,
    /// What the primary subtag is called, where that is another name.
    alias: Option<&'static str>,
    script: Option<Script>,
}

/// Where a script is known from.
enum Script {
    /// It stands there in the tag.
    Written(Range<usize>),
    /// The language is written in it.
    Likely(&'static str),
}

/// Why a text is no language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a language tag, expected something like `en` or `pt-BR`")]
pub struct LanguageError(String);

impl Language {
    /// The tag in its canonical case, like `pt-BR`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The primary subtag, like `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        &self.0.text[..self.0.n_primary]
    }

    /// The primary subtag by its one name: `nb` for `no`, `he` for `iw`, `zh` for `cmn`.
    pub fn name(&self) -> &str {
        self.0.alias.unwrap_or_else(|| self.primary())
    }

    /// The script that it is written in, like `Hant` of `zh-TW`; none if that is not known.
    pub fn script(&self) -> Option<&str> {
        self.0.script.as_ref().map(|script| match script {
            Script::Written(place) => &self.0.text[place.clone()],
            Script::Likely(script) => script,
        })
    }

    /// Whether who reads the one reads the other as well, so that nothing is to be translated:
    /// the same language in the same script, as CLDR completes tags; regions keep nothing apart.
    pub fn matches(&self, other: &Self) -> bool {
        let is_same_script = || match (self.script(), other.script()) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        self == other || self.name() == other.name() && is_same_script()
    }

    /// Whether the other is this language or a variant of it, as CLDR completes tags: `pt` has
    /// `pt-BR`, `zh-Hant` has `zh-TW`, `no` has `nb`.
    pub fn includes(&self, other: &Self) -> bool {
        let rest = other.as_str().strip_prefix(self.as_str());
        let is_told = |subtag: &str| {
            let is_script = || other.script() == Some(subtag);
            subtags(other.as_str()).any(|it| it == subtag) || is_script()
        };
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            || self.name() == other.name() && subtags(self.as_str()).all(is_told)
    }
}

impl Tag {
    fn of(text: Box<str>) -> Self {
        let primary = text.split('-').next().unwrap_or(&text);
        let alias = likely::alias(primary);
        Self {
            n_primary: primary.len(),
            alias,
            script: script_of(&text, alias.unwrap_or(primary)),
            text,
        }
    }
}

fn script_of(tag: &str, name: &str) -> Option<Script> {
    let is_script = |subtag: &str| {
        subtag.len() == 4 && !subtag.starts_with(|first: char| first.is_ascii_digit())
    };
    if let Some(written) = subtags(tag).find(|subtag| is_script(subtag)) {
        return tag.find(written).map(|at| Script::Written(at..at + 4));
    }
    // Serbo-Croatian has no script of its own left but Latin.
    if tag.split('-').next() == Some("sh") {
        return Some(Script::Likely("Latn"));
    }
    let region = subtags(tag).find(|subtag| subtag.len() == 2);
    likely::script(name, region).map(Script::Likely)
}

/// What stands behind the primary subtag, up to extensions and private use.
fn subtags(tag: &str) -> impl Iterator<Item = &str> {
    let subtags = tag.split('-').skip(1);
    subtags.take_while(|subtag| subtag.len() > 1)
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Tag {}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Tag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        LanguageTag::parse_and_normalize(text)
            .ok()
            .filter(|tag| (2..=3).contains(&tag.primary_language().len()))
            .map(|tag| Self(Arc::new(Tag::of(tag.into_inner().into()))))
            .ok_or_else(|| LanguageError(text.to_owned()))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

    fn tag(text: &str) -> Language {
        text.parse().expect("a tag")
    }

    #[test]
    fn a_language_includes_its_variants_and_no_other() {
        for (wanted, other) in [
            ("pt", "pt-BR"),
            ("zh", "zh-Hant-TW"),
            ("zh-Hant", "zh-TW"),
            ("zh-TW", "zh-Hant-TW"),
            ("no", "nb"),
            ("sr-Latn", "sr-Latn-RS"),
        ] {
            assert!(tag(wanted).includes(&tag(other)), "{wanted} {other}");
        }
        for (wanted, other) in [
            ("pt-BR", "pt"),
            ("pt-BR", "pt-PT"),
            ("zh-Hant", "zh-CN"),
            ("zh-Hant", "zh"),
            ("zh-TW", "zh-Hant"),
            ("sl-nedis", "sl"),
            ("pt", "es"),
        ] {
            assert!(!tag(wanted).includes(&tag(other)), "{wanted} {other}");
        }
    }

    #[test]
    fn languages_match_as_their_completed_tags_do() {
        for (one, other) in [
            ("pt", "pt-BR"),
            ("pt-PT", "pt-BR"),
            ("en-GB", "en-US"),
            ("es-419", "es-MX"),
            ("zh", "zh-CN"),
            ("zh-Hans", "zh-CN"),
            ("zh-Hans", "zh-SG"),
            ("zh-Hant", "zh-TW"),
            ("zh-HK", "zh-TW"),
            ("cmn", "zh-Hans"),
            ("no", "nb"),
            ("nb-NO", "no"),
            ("iw", "he-IL"),
            ("in", "id"),
            ("tl", "fil"),
            ("eng", "en"),
            ("sr", "sr-Cyrl"),
            ("sr-ME", "sr-Latn"),
            ("sh", "sr-Latn"),
            ("de-1996", "de"),
            ("tlh", "tlh-Latn"),
            ("en-x-simple", "en"),
        ] {
            let (one, other) = (tag(one), tag(other));
            assert!(one.matches(&other) && other.matches(&one), "{one} {other}");
        }
    }

    #[test]
    fn other_languages_and_scripts_stay_apart() {
        for (one, other) in [
            ("en", "es"),
            ("zh", "zh-TW"),
            ("zh-Hans", "zh-Hant"),
            ("sr", "sr-Latn"),
            ("sr-Latn", "sr-RS"),
            ("sr-Latn", "hr"),
            ("sh", "sr"),
            ("nb", "nn"),
            ("nb", "da"),
            ("id", "ms"),
            ("uz", "uz-Cyrl"),
            ("uz-AF", "uz"),
            ("pa", "pa-PK"),
            ("es", "gl"),
            ("zh-Hant", "yue"),
            ("mo", "mi"),
        ] {
            let (one, other) = (tag(one), tag(other));
            assert!(
                !one.matches(&other) && !other.matches(&one),
                "{one} {other}"
            );
        }
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

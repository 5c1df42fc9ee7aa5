//! The key under which a translation is known.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::glossary::{Glossary, learned};
use super::spans::{Numbers, Protected, protect_with};
use crate::domain::{Correction, Guide, Language, Pair};

/// How well the providers of a system translate, as far as their kinds tell.
///
/// A translation is known under the best quality that the system has, whichever of its providers
/// made it: a key must be known before one is chosen, and that a lesser one may stand in is what
/// the settings say. So what engines made alone is not served any more once a language model is
/// there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Engines made for translation alone, which take no words about how.
    #[default]
    Engine,
    /// Language models, which are asked in words.
    Model,
}

impl Quality {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Model => "model",
        }
    }
}

/// A glossary that grows by what people correct; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    /// As the settings have it.
    written: Arc<Glossary>,
    /// The same with what was learned.
    grown: Arc<RwLock<Arc<Glossary>>>,
}

impl Growing {
    /// A glossary of which nothing was learned yet.
    pub fn new(written: Arc<Glossary>) -> Self {
        Self {
            grown: Arc::new(RwLock::new(Arc::clone(&written))),
            written,
        }
    }

    /// Learns what these corrections teach, and only that.
    pub fn learn(&self, corrections: &[Correction]) {
        let grown = self.written.with_learned(&learned(corrections));
        *self.grown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grown);
    }

    fn guide(&self, pair: &Pair) -> Option<Arc<Guide>> {
        let grown = self.grown.read().unwrap_or_else(PoisonError::into_inner);
        grown.guide(pair).map(Arc::clone)
    }
}

/// What translations depend on beside their texts, the same for a whole system.
#[derive(Clone, Debug, Default)]
pub struct Edition {
    glossary: Growing,
    /// The versions in which texts are put to the best providers, each once, in their order.
    versions: Arc<str>,
    quality: Quality,
    numbers: Numbers,
}

impl Edition {
    /// What this glossary, and providers of this quality that are asked in these versions, make
    /// of a text.
    pub fn new<'a>(
        glossary: Growing,
        versions: impl IntoIterator<Item = &'a str>,
        quality: Quality,
    ) -> Self {
        let versions: BTreeSet<&str> = versions.into_iter().collect();
        let versions: Vec<&str> = versions.into_iter().collect();
        Self {
            glossary,
            versions: versions.join(" ").into(),
            quality,
            numbers: Numbers::default(),
        }
    }

    /// The same, where numbers are treated so.
    pub fn with_numbers(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }

    /// Sets aside what no translation of this edition may touch.
    pub fn protect(&self, text: &Arc<str>) -> Protected {
        protect_with(text, self.numbers)
    }

    /// What holds for this pair of languages, if anything does.
    pub fn guide(&self, pair: &Pair) -> Option<Arc<Guide>> {
        self.glossary.guide(pair)
    }

    /// Learns what these corrections teach, wherever this edition goes by the same glossary.
    pub fn learn(&self, corrections: &[Correction]) {
        self.glossary.learn(corrections);
    }

    /// A text as it is looked up, without anything that it belongs to.
    pub fn keyed(&self, text: &Arc<str>, pair: &Pair) -> Keyed {
        let text = self.protect(text);
        Keyed {
            key: self.key(&text.skeleton, None, pair),
            text: Arc::new(text),
        }
    }

    /// The key of the translation of a text, whose spans are set aside.
    pub fn key(&self, skeleton: &str, context: Option<&str>, pair: &Pair) -> [u8; 16] {
        let guide = self.guide(pair);
        let normal = normalise(skeleton);
        let parts = [
            Some(&*normal),
            context,
            pair.source.as_ref().map(Language::as_str),
            Some(pair.target.as_str()),
            guide.as_ref().map(|guide| &*guide.version),
            Some(&*self.versions),
            Some(self.quality.name()),
            Some("numbers"),
        ];
        // The usual has no part of its own, so that what is known stays known.
        match self.numbers {
            Numbers::Kept => known_key(&parts),
            Numbers::Translated => known_key(&parts[..parts.len() - 1]),
        }
    }
}

/// A text as it is looked up.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The text, its spans set aside.
    pub text: Arc<Protected>,
    /// The key of its translation.
    pub key: [u8; 16],
}

/// How often a translation must be asked for to be made anew before its time is over.
const OFTEN: u32 = 4;

/// Whether a translation is worth being made anew while it is still known: it is in the last
/// fifth of its time, and was asked for at least four times since it was made.
pub fn is_due(age: Duration, ttl: Duration, n_asked: u32) -> bool {
    n_asked >= OFTEN && age >= ttl / 5 * 4
}

/// The skeleton without the whitespace that makes no difference to its translation.
///
/// The ends are trimmed, each run of spaces and tabs becomes one space, newlines stay.
pub fn normalise(skeleton: &str) -> Cow<'_, str> {
    let trimmed = skeleton.trim();
    let is_normal = !trimmed.contains('\t') && !trimmed.contains("  ");
    if is_normal {
        return Cow::Borrowed(trimmed);
    }
    let mut normal = String::with_capacity(trimmed.len());
    let mut is_in_run = false;
    for character in trimmed.chars() {
        let is_blank = matches!(character, ' ' | '\t');
        if !is_blank {
            normal.push(character);
        } else if !is_in_run {
            normal.push(' ');
        }
        is_in_run = is_blank;
    }
    Cow::Owned(normal)
}

/// The key of a translation: the beginning of the SHA-256 of all that it depends on.
///
/// Every part goes in behind its length, and what is absent differs from what is empty, so no
/// two different inputs are hashed from the same bytes.
fn known_key(parts: &[Option<&str>]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        // No text has this length, so it stands for an absent part.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(part.unwrap_or_default());
    }
    let digest = hash.finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn language(tag: &str) -> Language {
        tag.parse().expect("a tag")
    }

    #[test]
    fn what_is_asked_for_often_is_due_in_the_last_fifth_of_its_time() {
        let ttl = Duration::from_secs(100);
        for (age, n_asked, expected) in [(79, 9, false), (80, 3, false), (80, 4, true)] {
            let age = Duration::from_secs(age);
            assert_eq!(is_due(age, ttl, n_asked), expected, "{age:?} {n_asked}");
        }
    }

    #[test]
    fn blanks_collapse_while_lines_stay() {
        assert_eq!(normalise("  a \t b\n\n c  d \n"), "a b\n\n c d");
        assert_eq!(normalise("a\tb"), "a b");
        assert!(matches!(normalise(" a b\nc "), Cow::Borrowed("a b\nc")));
    }

    fn pair(source: Option<&str>, target: &str) -> Pair {
        Pair {
            source: source.map(language),
            target: language(target),
        }
    }

    fn edition(words: &[&str], versions: &[&str], quality: Quality) -> Edition {
        let keep: Vec<Arc<str>> = words.iter().map(|word| Arc::from(*word)).collect();
        let glossary = Arc::new(Glossary::new(&keep, &[]));
        Edition::new(Growing::new(glossary), versions.iter().copied(), quality)
    }

    #[test]
    fn a_key_is_the_same_in_every_build() {
        let edition = edition(&[], &["b-1", "a-1", "b-1"], Quality::Model);
        let key = edition.key(" Hello  ⟦0⟧", None, &pair(None, "es"));
        let mut bytes = Vec::new();
        for part in ["Hello ⟦0⟧", "-", "-", "es", "-", "a-1 b-1", "model"] {
            let is_absent = part == "-";
            let length = if is_absent {
                u64::MAX
            } else {
                part.len() as u64
            };
            bytes.extend(length.to_le_bytes());
            bytes.extend(part.bytes().filter(|_| !is_absent));
        }
        assert_eq!(key, Sha256::digest(bytes)[..16]);
    }

    #[test]
    fn another_glossary_prompt_or_quality_makes_another_key() {
        let key = |edition: Edition| edition.key("Hello", None, &pair(None, "es"));
        let keys = [
            key(edition(&[], &["1"], Quality::Model)),
            key(edition(&["Hello"], &["1"], Quality::Model)),
            key(edition(&[], &["2"], Quality::Model)),
            key(edition(&[], &["1"], Quality::Engine)),
            key(edition(&[], &["1"], Quality::Model).with_numbers(Numbers::Kept)),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    type Input = (String, Option<String>, Option<&'static str>, &'static str);

    fn any_input() -> impl Strategy<Value = Input> {
        let tag = || prop::sample::select(vec!["en", "es", "ese", "en-US"]);
        (
            "[aes]{0,3}",
            prop::option::of("[aes]{0,3}"),
            prop::option::of(tag()),
            tag(),
        )
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(inputs in prop::collection::vec(any_input(), 2..60)) {
            let edition = Edition::default();
            let mut known: HashMap<[u8; 16], Input> = HashMap::new();
            for input in inputs {
                let (text, context, source, target) = &input;
                let key = edition.key(text, context.as_deref(), &pair(*source, target));
                let first = known.entry(key).or_insert_with(|| input.clone());
                prop_assert_eq!(&*first, &input);
            }
        }

        #[test]
        fn a_normal_text_stays_as_it_is(text in "[ \\t\\na-c⟦0⟧\\u{a0}]{0,40}") {
            let once = normalise(&text).into_owned();
            prop_assert_eq!(&normalise(&once), &once);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&once), words(&text));
            prop_assert_eq!(once.matches('\n').count(), text.trim().matches('\n').count());
        }
    }
}

//! Which terms occur in a text, and whether its translation keeps to them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use crate::domain::{Guide, Term};

/// The most terms that travel with a call; the longest come first. A text whose terms did not all
/// travel is looked at for all of them, so it goes again alone, with what it missed.
const MAX_TERMS: usize = 50;
/// How many faults of one translation are told.
const FAULTS_TOLD: usize = 5;
/// The letters at the end of a longer word that grammar may change.
const ENDING: usize = 2;
/// The letters at the start of a word that grammar leaves alone.
const STEM: usize = 4;

/// How a translation does not keep to its guide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Terms whose translation does not stand in it.
    pub missing: Vec<Term>,
    /// Words that stand in it and may not.
    pub forbidden: Vec<Arc<str>>,
}

/// What a guide wishes of the translations of some texts.
#[derive(Debug)]
pub struct Wishes<'a>(Option<(&'a Guide, Vec<&'a Term>)>);

impl<'a> Wishes<'a> {
    /// What this guide, if there is one, wishes of the translations of these texts.
    pub fn of<'t>(guide: Option<&'a Guide>, texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self(guide.map(|guide| (guide, occurring(guide, texts))))
    }

    /// Looks whether the translation of one of the texts is as it is wished.
    ///
    /// # Errors
    /// With what it misses.
    pub fn check(&self, source: &str, translated: &str) -> Result<(), Missed> {
        match &self.0 {
            Some((guide, terms)) => check(guide, terms, source, translated),
            None => Ok(()),
        }
    }
}

/// The terms that travel with these texts: of those that occur in them the 50 longest.
///
/// A term occurs where it stands as whole words and no longer term stands. Written with a capital
/// it occurs only as it is written, without any it occurs in any case.
pub fn relevant<'a, 't>(
    guide: &'a Guide,
    texts: impl IntoIterator<Item = &'t str>,
) -> Vec<&'a Term> {
    let mut terms = occurring(guide, texts);
    terms.truncate(MAX_TERMS);
    terms
}

/// All terms that occur in these texts, the longest first.
fn occurring<'a, 't>(guide: &'a Guide, texts: impl IntoIterator<Item = &'t str>) -> Vec<&'a Term> {
    if guide.terms.is_empty() {
        return Vec::new();
    }
    let texts: Vec<&str> = texts.into_iter().collect();
    let first_words = texts.iter().flat_map(|text| folded_words(text)).collect();
    let phrases = Phrases::new(guide.terms.iter().map(|term| &*term.source), &first_words);
    let found: HashSet<usize> = texts.iter().flat_map(|text| phrases.find(text)).collect();
    let mut terms: Vec<&Term> = found.into_iter().map(|index| &guide.terms[index]).collect();
    terms.sort_by(|a, b| {
        let (longer, shorter) = (b.source.len(), a.source.len());
        longer.cmp(&shorter).then_with(|| a.source.cmp(&b.source))
    });
    terms
}

/// Looks whether a translation keeps to what its guide says of those of these terms that occur in
/// its source.
///
/// The translation of a term may be inflected: behind its first four letters, the last two of a
/// word, and whatever follows them, are not looked at. A term that is kept must stand as it is
/// written, and more letters may follow.
///
/// # Errors
/// With what is missing, and what should not be there.
pub fn check(guide: &Guide, terms: &[&Term], source: &str, translated: &str) -> Result<(), Missed> {
    let mut missed = Missed::default();
    if !terms.is_empty() {
        let first_words = folded_words(source).collect();
        let phrases = Phrases::new(terms.iter().map(|term| &*term.source), &first_words);
        let mut found = phrases.find(source);
        found.sort_unstable();
        found.dedup();
        let wanted = found.into_iter().map(|index| terms[index]);
        let missing = wanted.filter(|term| !stands(term, translated));
        missed.missing = missing.cloned().collect();
    }
    if !guide.forbidden.is_empty() {
        let first_words = folded_words(translated).collect();
        let words = guide.forbidden.iter().map(|word| &**word);
        let mut found = Phrases::new(words, &first_words).find(translated);
        found.sort_unstable();
        found.dedup();
        let forbidden = found.into_iter().map(|index| &guide.forbidden[index]);
        missed.forbidden = forbidden.map(Arc::clone).collect();
    }
    if missed == Missed::default() {
        Ok(())
    } else {
        Err(missed)
    }
}

/// Whether there is a letter or a digit in it, without which nothing can be found.
pub fn has_words(phrase: &str) -> bool {
    words(phrase).next().is_some()
}

/// Whether the phrase stands in the text as whole words.
pub fn stands_in(phrase: &str, text: &str) -> bool {
    let first_words = folded_words(text).collect();
    !Phrases::new([phrase], &first_words).find(text).is_empty()
}

impl fmt::Display for Missed {
    /// In words that a language model understands as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing.iter().map(|Term { source, target }| {
            if source == target {
                format!("`{source}` was to stay as it is")
            } else {
                format!("`{source}` was wanted as `{target}`")
            }
        });
        let forbidden = self.forbidden.iter();
        let forbidden = forbidden.map(|word| format!("`{word}` was not wanted"));
        let faults: Vec<String> = missing.chain(forbidden).take(FAULTS_TOLD).collect();
        f.write_str(&faults.join(", "))
    }
}

impl std::error::Error for Missed {}

/// Phrases to be found, by their first words.
struct Phrases<'a> {
    by_first_word: HashMap<String, Vec<Phrase<'a>>>,
}

struct Phrase<'a> {
    index: usize,
    text: &'a str,
    /// How many bytes stand before its first word, like the point of `.NET`.
    before: usize,
}

impl<'a> Phrases<'a> {
    /// Those phrases that begin with one of these words, which are folded.
    fn new(phrases: impl IntoIterator<Item = &'a str>, first_words: &HashSet<String>) -> Self {
        let mut by_first_word: HashMap<String, Vec<Phrase<'a>>> = HashMap::new();
        for (index, text) in phrases.into_iter().enumerate() {
            let Some(word) = words(text).next() else {
                continue;
            };
            let before = word.start;
            let first_word = folded(&text[word]);
            if first_words.contains(&first_word) {
                let phrase = Phrase {
                    index,
                    text,
                    before,
                };
                by_first_word.entry(first_word).or_default().push(phrase);
            }
        }
        for phrases in by_first_word.values_mut() {
            phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.text.len()));
        }
        Self { by_first_word }
    }

    /// The indices of the phrases that stand in a text, the longest at each place alone.
    fn find(&self, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        if self.by_first_word.is_empty() {
            return found;
        }
        let words: Vec<Range<usize>> = words(text).collect();
        let mut from = 0;
        for word in &words {
            if word.start < from {
                continue;
            }
            let Some(phrases) = self.by_first_word.get(&folded(&text[word.clone()])) else {
                continue;
            };
            let hit = phrases.iter().find_map(|phrase| {
                let start = word.start.checked_sub(phrase.before)?;
                let length = matched(text.get(start..)?, phrase.text)?;
                let end = start + length;
                (start >= from && !is_inside(&words, end)).then_some((phrase.index, end))
            });
            if let Some((index, end)) = hit {
                found.push(index);
                from = end;
            }
        }
        found
    }
}

/// Whether the translation of a term stands in a text, in whatever form.
fn stands(term: &Term, text: &str) -> bool {
    if term.source == term.target {
        return words(text).any(|word| begins_at(&term.target, text, word.start));
    }
    let stems: Vec<String> = folded_words(&term.target)
        .map(|word| stem(&word).to_owned())
        .collect();
    let words: Vec<String> = folded_words(text).collect();
    words.windows(stems.len().max(1)).any(|window| {
        let mut both = window.iter().zip(&stems);
        both.all(|(word, stem)| word.starts_with(stem.as_str()))
    })
}

/// Whether the phrase stands in the text with its first word there; more letters may follow.
fn begins_at(phrase: &str, text: &str, at: usize) -> bool {
    let before = words(phrase).next().map_or(0, |word| word.start);
    let start = at.checked_sub(before);
    let rest = start.and_then(|start| text.get(start..));
    rest.is_some_and(|rest| matched(rest, phrase).is_some())
}

/// The beginning of a word that grammar leaves alone.
fn stem(word: &str) -> &str {
    let n_letters = word.chars().count();
    let kept = n_letters.saturating_sub(ENDING).max(STEM);
    match word.char_indices().nth(kept) {
        Some((end, _)) => &word[..end],
        None => word,
    }
}

/// How many bytes at the start of a text are the phrase; a blank matches any blanks.
fn matched(text: &str, phrase: &str) -> Option<usize> {
    let is_exact = phrase.chars().any(char::is_uppercase);
    let mut rest = text;
    for wanted in phrase.chars() {
        if wanted.is_whitespace() {
            let trimmed = rest.trim_start();
            if trimmed.len() == rest.len() {
                return None;
            }
            rest = trimmed;
            continue;
        }
        let found = rest.chars().next()?;
        let is_same =
            found == wanted || (!is_exact && found.to_lowercase().eq(wanted.to_lowercase()));
        if !is_same {
            return None;
        }
        rest = &rest[found.len_utf8()..];
    }
    Some(text.len() - rest.len())
}

/// Whether that place is between two letters of one word.
fn is_inside(words: &[Range<usize>], at: usize) -> bool {
    let next = words.partition_point(|word| word.end <= at);
    words.get(next).is_some_and(|word| word.start < at)
}

/// Where the words of a text stand; an apostrophe parts two words.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.unicode_word_indices().flat_map(move |(start, word)| {
        let mut at = start;
        word.split(['\'', '’']).filter_map(move |part| {
            let offset = at;
            // What parted them has one byte, or three.
            let gap = text[offset + part.len()..].chars().next();
            at = offset + part.len() + gap.map_or(0, char::len_utf8);
            (!part.is_empty()).then(|| offset..offset + part.len())
        })
    })
}

fn folded_words(text: &str) -> impl Iterator<Item = String> {
    words(text).map(|word| folded(&text[word]))
}

fn folded(word: &str) -> String {
    word.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn guide(terms: &[(&str, &str)], forbidden: &[&str]) -> Guide {
        let term = |(source, target): &(&str, &str)| Term {
            source: (*source).into(),
            target: (*target).into(),
        };
        Guide {
            terms: terms.iter().map(term).collect(),
            forbidden: forbidden.iter().map(|word| (*word).into()).collect(),
            ..Guide::default()
        }
    }

    fn found(terms: &[&str], text: &str) -> Vec<String> {
        let pairs: Vec<(&str, &str)> = terms.iter().map(|term| (*term, *term)).collect();
        let guide = guide(&pairs, &[]);
        let found = relevant(&guide, [text]);
        found.iter().map(|term| term.source.to_string()).collect()
    }

    #[test]
    fn a_term_is_found_as_whole_words_alone() {
        for (term, text, is_there) in [
            ("computer", "A computer, at last", true),
            ("computer", "Computers at last", false),
            ("computer", "The computer's end", true),
            ("computer", "a computer-based world", true),
            ("ordinateur", "l'ordinateur est là", true),
            ("ordinateur", "l’ordinateur est là", true),
            ("don't", "But don't!", true),
            ("C++", "Write C++ today", true),
            (".NET", "on .NET and more", true),
            (".NET", "on NET and more", false),
            ("Node", "on Node.js and more", false),
            ("new york", "in New\n  York", true),
            ("東京", "明日は東京へ", true),
            ("канал", "Канал и канала", true),
            ("é", "E is not é", true),
            ("ss", "ß", false),
        ] {
            let expected: &[&str] = if is_there { &[term] } else { &[] };
            assert_eq!(found(&[term], text), expected, "{term} in {text}");
        }
    }

    #[test]
    fn a_term_with_a_capital_is_found_only_as_it_is_written() {
        assert_eq!(found(&["apple"], "Apple pie, APPLE"), ["apple"]);
        assert_eq!(found(&["Apple"], "an apple"), Vec::<String>::new());
        assert_eq!(found(&["Apple"], "by Apple"), ["Apple"]);
    }

    #[test]
    fn only_the_longest_term_at_a_place_counts() {
        let terms = ["New York", "New York Times", "Times"];
        assert_eq!(found(&terms, "the New York Times says"), ["New York Times"]);
        assert_eq!(
            found(&terms, "New York and the New York Times"),
            ["New York Times", "New York"]
        );
    }

    #[test]
    fn no_more_than_fifty_terms_travel_and_the_longest_do() {
        let terms: Vec<String> = (0..200).map(|n| "x".repeat(n + 1)).collect();
        let all: Vec<&str> = terms.iter().map(String::as_str).collect();
        let found = found(&all, &terms.join(" "));
        assert_eq!(found.len(), MAX_TERMS);
        assert_eq!(found[0].len(), 200);
        assert_eq!(found[49].len(), 151);
    }

    #[test]
    fn a_term_that_does_not_travel_with_a_pack_is_looked_for_all_the_same() {
        let words: Vec<String> = (0..200).map(|n| "x".repeat(n + 1)).collect();
        let pairs: Vec<(&str, &str)> = words.iter().map(|word| (&**word, &**word)).collect();
        let guide = guide(&pairs, &[]);
        let wishes = Wishes::of(Some(&guide), words.iter().map(|word| &**word));
        assert!(wishes.check("x", "something else").is_err());
        assert_eq!(wishes.check("x", "x"), Ok(()));
        assert_eq!(relevant(&guide, ["x"]).len(), 1, "alone it has its term");
    }

    fn faults(guide: &Guide, source: &str, translated: &str) -> String {
        let checked = Wishes::of(Some(guide), [source]).check(source, translated);
        checked.err().map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_translation_that_keeps_to_its_guide_passes() {
        let guide = guide(
            &[
                ("computer", "computadora"),
                ("channel", "канал"),
                ("Mastodon", "Mastodon"),
                ("good morning", "buenos días"),
            ],
            &["ordenador"],
        );
        for (source, translated) in [
            ("One computer", "Una computadora"),
            ("A computer of mine", "Mis computadoras"),
            ("On the channel", "На каналах"),
            ("On Mastodon", "Mastodonissa"),
            ("Good morning, all", "Buenos días a todos"),
            ("Nothing of it", "Nada de ello"),
            ("Computers", "Ordenadores"),
        ] {
            assert_eq!(faults(&guide, source, translated), "", "{source}");
        }
    }

    #[test]
    fn a_translation_that_does_not_is_told_why() {
        let guide = guide(
            &[("computer", "computadora"), ("Mastodon", "Mastodon")],
            &["ordenador", "SA"],
        );
        for (source, translated, expected) in [
            (
                "One computer",
                "Un PC",
                "`computer` was wanted as `computadora`",
            ),
            (
                "On Mastodon",
                "En mastodon",
                "`Mastodon` was to stay as it is",
            ),
            (
                "One computer",
                "Una computadora, un Ordenador",
                "`ordenador` was not wanted",
            ),
            ("By SA", "sa y SA", "`SA` was not wanted"),
            ("By it", "sa", ""),
        ] {
            assert_eq!(faults(&guide, source, translated), expected, "{translated}");
        }
    }

    #[test]
    fn what_is_forbidden_is_found_whole_and_in_any_case() {
        assert!(stands_in("ordenador", "El Ordenador."));
        assert!(!stands_in("ordenador", "ordenadores"));
        assert!(has_words(".NET") && !has_words("++ !"));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_text_nothing_panics_and_all_that_is_kept_passes(
            text in "[a-cA-C '’⟦⟧0東ßİ.+-]{0,40}",
            terms in prop::collection::vec("[a-cA-C'東İ.+ -]{1,6}", 0..8),
        ) {
            let terms: Vec<&str> = terms.iter().map(|term| term.trim()).filter(|term| has_words(term)).collect();
            let pairs: Vec<(&str, &str)> = terms.iter().map(|term| (*term, *term)).collect();
            let guide = guide(&pairs, &[]);
            let found = relevant(&guide, [text.as_str()]);
            prop_assert_eq!(check(&guide, &found, &text, &text), Ok(()));
            for term in found {
                prop_assert!(stands_in(&term.source, &text) , "{} in {}", term.source, text);
            }
        }
    }
}

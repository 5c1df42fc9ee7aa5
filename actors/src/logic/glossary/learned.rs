//! What the corrections of people teach: a word that was put in the place of another twice, and
//! the word of the texts that this must be the translation of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Rules;
use crate::domain::{Correction, Language, Term};
use crate::logic::checks::is_function_word;

/// The most words of a phrase that is learned.
const MAX_WORDS: usize = 3;
/// A text with more changes than this was written anew, which says nothing of its words.
const MAX_CHANGES: usize = 3;
/// Longer texts are not compared.
const MAX_TEXT: usize = 400;
/// In so many different texts the same must have been put in the place of the same.
const TEXTS: usize = 2;

/// What a person put in the place of what, phrase by phrase without function words at their ends;
/// nothing where the person wrote the text anew, or left the same phrase standing elsewhere.
pub fn substitutions(
    translated: &str,
    corrected: &str,
    language: &Language,
) -> Vec<(String, String)> {
    let (old, new) = (words(translated), words(corrected));
    if old.len() > MAX_TEXT || new.len() > MAX_TEXT {
        return Vec::new();
    }
    let changes = changes(&folded(&old), &folded(&new));
    if changes.len() > MAX_CHANGES {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (from, to) in changes {
        let (from, to) = (bare(&old[from], language), bare(&new[to], language));
        let is_plain = |word: &&str| {
            word.chars()
                .all(|it| it.is_alphabetic() || "'’-".contains(it))
        };
        let is_phrase =
            |words: &[&str]| (1..=MAX_WORDS).contains(&words.len()) && words.iter().all(is_plain);
        if !is_phrase(from) || !is_phrase(to) {
            continue;
        }
        let folded_from = folded(from);
        let stays = folded(&new)
            .windows(from.len())
            .any(|there| there == folded_from);
        let pair = (folded_from.join(" "), to.join(" "));
        if !stays && !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

/// The terms that these corrections teach: where the same was put in the place of the same in
/// different texts that have one phrase in common, and no other.
pub fn learned(corrections: &[Correction]) -> Vec<Rules> {
    let mut same: BTreeMap<(String, String, String), Vec<&Correction>> = BTreeMap::new();
    for it in corrections {
        let new = it.new.to_lowercase();
        let pair = it.pair.to_string();
        same.entry((pair, it.old.to_lowercase(), new))
            .or_default()
            .push(it);
    }
    let mut terms: BTreeMap<String, Option<Rules>> = BTreeMap::new();
    for ((pair, ..), corrections) in same {
        let texts: BTreeSet<&str> = corrections.iter().map(|it| &*it.text).collect();
        let Some(last) = corrections.last().filter(|_| texts.len() >= TEXTS) else {
            continue;
        };
        let texts: Vec<&str> = texts.into_iter().collect();
        if let Some(source) = common(&texts, last.pair.source.as_ref()) {
            // Two translations of one word depend on more than the word.
            terms
                .entry(format!("{pair}: {source}"))
                .and_modify(|known| *known = None)
                .or_insert(Some(rules(last, &source)));
        }
    }
    terms.into_values().flatten().collect()
}

/// What a correction says of a phrase of its text.
fn rules(correction: &Correction, source: &str) -> Rules {
    Rules {
        source: correction.pair.source.clone(),
        target: correction.pair.target.clone(),
        terms: vec![Term {
            source: source.into(),
            target: Arc::clone(&correction.new),
        }],
        forbidden: Vec::new(),
        tone: None,
    }
}

/// The words without function words before and behind them.
fn bare<'w, 't>(words: &'w [&'t str], language: &Language) -> &'w [&'t str] {
    let means = |word: &&str| !is_function_word(&word.to_lowercase(), Some(language));
    let first = words.iter().position(means).unwrap_or(words.len());
    let end = words.iter().rposition(means).map_or(first, |last| last + 1);
    &words[first..end]
}

/// The one phrase that all these texts have in common; none if there are several.
fn common(texts: &[&str], language: Option<&Language>) -> Option<String> {
    let phrases = |text: &&str| -> BTreeSet<Vec<String>> {
        let words = folded(&words(text));
        let lengths = 1..=MAX_WORDS;
        let phrases = lengths.flat_map(|n| words.windows(n).map(<[String]>::to_vec));
        let means = |word: &String| {
            word.chars().any(char::is_alphabetic) && !is_function_word(word, language)
        };
        let is_whole = |phrase: &Vec<String>| {
            phrase.first().is_some_and(means) && phrase.last().is_some_and(means)
        };
        phrases
            .collect::<Vec<_>>()
            .into_iter()
            .filter(is_whole)
            .collect()
    };
    let mut all = texts.iter().map(phrases);
    let first = all.next()?;
    let common = all.fold(first, |common, other| {
        common.intersection(&other).cloned().collect()
    });
    let is_part = |phrase: &Vec<String>| {
        let longer = common.iter().filter(|it| it.len() > phrase.len());
        let mut longer = longer.flat_map(|it| it.windows(phrase.len()));
        longer.any(|part| part == phrase.as_slice())
    };
    let mut longest = common.iter().filter(|phrase| !is_part(phrase));
    let one = longest.next()?;
    longest.next().is_none().then(|| one.join(" "))
}

/// The words of a text, without the signs around them.
fn words(text: &str) -> Vec<&str> {
    let words = text.split_whitespace();
    let words =
        words.map(|word| word.trim_matches(|it: char| !it.is_alphanumeric() && !"@#".contains(it)));
    words.filter(|word| !word.is_empty()).collect()
}

fn folded(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_lowercase()).collect()
}

type Change = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Where two texts differ, in the order of their words, by a longest common subsequence.
fn changes(old: &[String], new: &[String]) -> Vec<Change> {
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for from in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            lengths[from * width + to] = if old[from] == new[to] {
                lengths[(from + 1) * width + to + 1] + 1
            } else {
                lengths[(from + 1) * width + to].max(lengths[from * width + to + 1])
            };
        }
    }
    let mut changes: Vec<Change> = Vec::new();
    let (mut from, mut to) = (0, 0);
    while from < old.len() || to < new.len() {
        let (start_from, start_to) = (from, to);
        while from < old.len() || to < new.len() {
            let is_same = from < old.len() && to < new.len() && old[from] == new[to];
            if is_same {
                break;
            }
            let skips_old = to == new.len()
                || from < old.len()
                    && lengths[(from + 1) * width + to] >= lengths[from * width + to + 1];
            if skips_old {
                from += 1;
            } else {
                to += 1;
            }
        }
        if (start_from, start_to) == (from, to) {
            (from, to) = (from + 1, to + 1);
        } else {
            changes.push((start_from..from, start_to..to));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Pair;

    fn corrected(text: &str, old: &str, new: &str) -> Correction {
        Correction {
            pair: Pair {
                source: Some("en".parse().expect("a tag")),
                target: "es".parse().expect("a tag"),
            },
            old: old.into(),
            new: new.into(),
            text: text.into(),
        }
    }

    fn pairs(translated: &str, corrected: &str) -> Vec<(String, String)> {
        substitutions(translated, corrected, &"es".parse().expect("a tag"))
    }

    fn one(old: &str, new: &str) -> Vec<(String, String)> {
        vec![(old.to_owned(), new.to_owned())]
    }

    #[test]
    fn a_phrase_that_stands_in_the_place_of_another_is_found() {
        for (translated, corrected, expected) in [
            (
                "El ordenador, no arranca.",
                "La computadora, no arranca.",
                one("ordenador", "computadora"),
            ),
            (
                "Un ordenador y otro ordenador.",
                "Un equipo y otro equipo.",
                one("ordenador", "equipo"),
            ),
            ("Zarpa el barco.", "Zarpa el buque.", one("barco", "buque")),
        ] {
            assert_eq!(pairs(translated, corrected), expected, "{translated}");
        }
    }

    #[test]
    fn what_is_no_substitution_teaches_nothing() {
        for (translated, corrected) in [
            (
                "Un ordenador y otro ordenador.",
                "Un equipo y otro ordenador.",
            ),
            ("Zarpa el barco.", "zarpa el Barco"),
            ("Zarpa el barco.", "Zarpa un barco."),
            ("Cuesta 5 euros.", "Cuesta 6 euros."),
            ("Mira a @ana.", "Mira a @eva."),
            ("Hoy llueve.", "Hoy llueve mucho."),
            ("uno dos tres cuatro", "cinco seis siete ocho"),
            ("a b c d e f g h i", "a x c y e z g w i"),
            ("", "nuevo"),
        ] {
            assert_eq!(pairs(translated, corrected), [], "{translated}");
        }
    }

    #[test]
    fn the_same_correction_of_two_texts_teaches_the_word_that_both_have() {
        let corrections = [
            corrected("The computer does not start.", "ordenador", "computadora"),
            corrected("My new computer is here!", "ordenador", "computadora"),
        ];
        let rules = learned(&corrections);
        let terms: Vec<&Term> = rules.iter().flat_map(|it| &it.terms).collect();
        assert_eq!(
            (&*terms[0].source, &*terms[0].target),
            ("computer", "computadora")
        );
        assert_eq!(terms.len(), 1);
        assert_eq!(rules[0].target.as_str(), "es");
        assert_eq!(learned(&corrections[..1]), [], "once is no rule");
    }

    #[test]
    fn what_may_mean_several_words_teaches_nothing_until_a_text_tells_which() {
        let mut corrections = vec![
            corrected("The new computer starts.", "ordenador", "computadora"),
            corrected("A computer that is new.", "ordenador", "computadora"),
            corrected("The new computer starts.", "ordenador", "computadora"),
        ];
        assert_eq!(learned(&corrections), []);
        corrections.push(corrected("An old computer.", "ordenador", "computadora"));
        assert_eq!(learned(&corrections).len(), 1);
    }

    #[test]
    fn a_word_that_was_corrected_in_two_ways_teaches_nothing() {
        let twice = |new: &str| {
            [
                corrected("The computer does not start.", "ordenador", new),
                corrected("My new computer is here!", "ordenador", new),
            ]
        };
        let corrections = [twice("computadora"), twice("equipo")].concat();
        assert_eq!(learned(&corrections), []);
    }

    #[test]
    fn a_phrase_is_learned_as_a_whole() {
        let corrections = [
            corrected(
                "The shipping lane is closed.",
                "carril",
                "ruta de navegación",
            ),
            corrected(
                "One more shipping lane opens.",
                "carril",
                "ruta de navegación",
            ),
        ];
        let rules = learned(&corrections);
        assert_eq!(&*rules[0].terms[0].source, "shipping lane");
    }
}

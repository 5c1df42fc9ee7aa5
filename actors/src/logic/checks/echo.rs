//! Whether a translation is the text itself.

use super::evidence::{Evidence, are_near};
use super::script::Script;
use super::words::{Word, Words};
use crate::domain::{Language, Pair};

/// So many ordinary words that stayed are no accident.
const ENOUGH: usize = 4;
/// So many in languages that have many words in common.
const ENOUGH_NEAR: usize = 8;
/// Without a sign of the text's language, as in a command, so many are needed.
const ENOUGH_UNSIGNED: usize = 12;

/// Whether nearly all ordinary words of a translation are the text's own.
///
/// Names, figures and words that stay are no echo, nor is a text that was in the language wanted
/// all along, whatever was declared.
pub(super) fn is_echo(
    source: &Words<'_>,
    translated: &Words<'_>,
    evidence: &Evidence,
    pair: &Pair,
) -> bool {
    let (mut same, mut all) = (0, 0);
    for word in translated.iter() {
        let weight = weight(word);
        all += weight;
        if weight > 0 && source.has(word) {
            same += weight;
        }
    }
    if same < ENOUGH || same * 10 < all * 9 {
        return false;
    }
    if evidence.is_for(&pair.target, translated) {
        return false;
    }
    let is_near = |source: &Language| are_near(source, &pair.target);
    let needed = match &pair.source {
        Some(source) if is_near(source) => ENOUGH_NEAR,
        Some(source) if has_own_script(source, &pair.target) => ENOUGH,
        Some(source) if !evidence.may_be(source, translated) => ENOUGH_UNSIGNED,
        Some(_) => ENOUGH,
        // Whether it was in the language wanted is all that can be asked here.
        None if evidence.is_against(&pair.target, translated) => ENOUGH,
        None => return false,
    };
    same >= needed
}

/// Whether the words of a language are told from those of the other, and of a command, by their
/// letters.
fn has_own_script(source: &Language, target: &Language) -> bool {
    let own = source.script();
    own.is_some_and(|own| own != "Latn") && own != target.script()
}

/// How many ordinary words a word counts as: none for names and figures, and one for each two
/// letters where there are no blanks between words.
fn weight(word: &Word<'_>) -> usize {
    let text = word.text;
    if let [first, rest @ ..] = text.as_bytes()
        && word.n_letters == text.len()
    {
        // Each byte is a letter of ASCII.
        return usize::from(first.is_ascii_lowercase() && !rest.is_empty());
    }
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return 0;
    };
    if text.chars().any(char::is_numeric) || first.is_uppercase() {
        return 0;
    }
    match Script::of(first) {
        Some(Script::Han | Script::Kana | Script::Thai) => text.chars().count() / 2,
        _ => usize::from(letters.next().is_some()),
    }
}

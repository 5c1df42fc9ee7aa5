//! Whether a translation is about as long as its text.

use super::script::Script;
use super::words::pieces;
use super::{Check, Fault};

/// How many times as long as its text a translation may be, and what it may be longer in any
/// case: sixty letters, which a saying may take that has no counterpart.
const LONGEST: (usize, usize) = (3, 120);
/// How many times shorter it may be, and what it may lack in any case.
const SHORTEST: (usize, usize) = (3, 80);
/// What a letter counts of a script that has one for each sound.
const LETTER: f64 = 2.0;

/// What is wrong with the length of a translation.
pub(super) fn fault(source: &str, translated: &str) -> Option<Fault> {
    let (before, after) = (length(source), length(translated));
    if after > LONGEST.0 * before + LONGEST.1 {
        let why = "it was far longer than the text, so something was added";
        return Some(Fault::new(Check::Length, why));
    }
    if SHORTEST.0 * after + SHORTEST.1 < before {
        let why = "it was far shorter than the text, so something was left out";
        return Some(Fault::new(Check::Length, why));
    }
    None
}

/// How many letters the translation of a text has, at the least and at the most, that is not
/// called too short or too long.
pub(super) fn plausible(source: &str) -> (f64, f64) {
    let before = length(source);
    let least = before.saturating_sub(SHORTEST.1) as f64 / SHORTEST.0 as f64;
    let most = (LONGEST.0 * before + LONGEST.1) as f64;
    (least / LETTER, most / LETTER)
}

/// How much a text says, by its script: an ideograph is worth three letters, a syllable about two.
fn length(text: &str) -> usize {
    let lengths = pieces(text).map(|piece| {
        let ascii = n_alphanumeric(piece);
        match piece.is_ascii() {
            true => 2 * ascii,
            false => {
                let others = piece.chars().filter(|letter| !letter.is_ascii());
                2 * ascii + others.map(worth).sum::<usize>()
            }
        }
    });
    lengths.sum()
}

/// How many letters and figures of ASCII a text has.
fn n_alphanumeric(text: &str) -> usize {
    // In so small numbers the compiler counts sixteen bytes at once.
    let parts = text.as_bytes().chunks(usize::from(u8::MAX));
    let counts = parts.map(|part| {
        let counts = part
            .iter()
            .map(|byte| u8::from(byte.is_ascii_alphanumeric()));
        usize::from(counts.sum::<u8>())
    });
    counts.sum()
}

/// How much a character says.
fn worth(letter: char) -> usize {
    if !letter.is_alphanumeric() {
        return 0;
    }
    match Script::of(letter) {
        Some(Script::Han) => 6,
        Some(Script::Hangul) => 5,
        Some(Script::Kana) => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_length_is_plausible_just_where_nothing_is_wrong_with_it(
            before in 0_usize..300,
            after in 0_usize..1_200,
        ) {
            let (source, translated) = ("a".repeat(before), "b".repeat(after));
            let (least, most) = plausible(&source);
            let is_plausible = least <= after as f64 && after as f64 <= most;
            prop_assert_eq!(is_plausible, fault(&source, &translated).is_none());
        }
    }
}

//! Whether a translation is about as long as its text.

use super::script::Script;
use super::words::pieces;
use super::{Check, Fault};

/// How many times as long as its text a translation may be, and what it may be longer in any
/// case: sixty letters, which a saying may take that has no counterpart.
const LONGEST: (usize, usize) = (3, 120);
/// How many times shorter it may be, and what it may lack in any case.
const SHORTEST: (usize, usize) = (3, 80);

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

/// How much a text says, by its script: an ideograph is worth three letters, a syllable about two.
fn length(text: &str) -> usize {
    let letters = pieces(text).flat_map(str::chars);
    letters
        .filter(|letter| letter.is_alphanumeric())
        .map(|letter| match Script::of(letter) {
            Some(Script::Han) => 6,
            Some(Script::Hangul) => 5,
            Some(Script::Kana) => 3,
            _ => 2,
        })
        .sum()
}

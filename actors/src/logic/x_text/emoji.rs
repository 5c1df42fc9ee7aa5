//! The sequences of code points that X counts as one emoji.

use emojis::UnicodeVersion;

/// The newest sequences that the reference implementation knows. X promises to count every
/// emoji alike; what is newer counts by its parts, so that a post is never too long for it.
const NEWEST: u32 = 11;
/// The most code points that a sequence has: a couple's kiss with skin tones and selectors.
const MAX_LENGTH: usize = 10;

const PRESENTED_AS_EMOJI: char = '\u{fe0f}';
const JOINER: char = '\u{200d}';
const ENCLOSING_KEYCAP: char = '\u{20e3}';
const EYE: char = '\u{1f441}';
/// The one joined sequence that the reference knows without its selectors, and not with them.
const EYE_IN_BUBBLE: &str = "\u{1f441}\u{200d}\u{1f5e8}";

/// The length of the emoji that the text begins with, if it has more than one code point.
pub(super) fn length(text: &str) -> Option<usize> {
    let mut characters = text.chars();
    let first = characters.next()?;
    let second = characters.next()?;
    if !goes_on(second) {
        return None;
    }
    if first.is_ascii() {
        return keycap_length(text);
    }
    let mut ends = [0; MAX_LENGTH];
    let mut n_ends = 0;
    for (start, character) in text.char_indices().take(MAX_LENGTH) {
        ends[n_ends] = start + character.len_utf8();
        n_ends += 1;
    }
    ends[1..n_ends]
        .iter()
        .rev()
        .copied()
        .find(|&end| is_known(&text[..end]))
}

/// Whether the second code point of a sequence can be this one.
const fn goes_on(second: char) -> bool {
    matches!(second,
        PRESENTED_AS_EMOJI | JOINER | ENCLOSING_KEYCAP
        | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0061}'..='\u{e007a}')
}

fn keycap_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(|key: char| key.is_ascii_digit() || key == '#' || key == '*')?;
    let rest = rest.strip_prefix(PRESENTED_AS_EMOJI).unwrap_or(rest);
    let rest = rest.strip_prefix(ENCLOSING_KEYCAP)?;
    Some(text.len() - rest.len())
}

fn is_known(sequence: &str) -> bool {
    if sequence.starts_with(EYE) && sequence.contains(JOINER) {
        return sequence == EYE_IN_BUBBLE;
    }
    emojis::get(sequence).is_some_and(|emoji| {
        emoji.as_str() == sequence && emoji.unicode_version() < UnicodeVersion::new(NEWEST + 1, 0)
    })
}

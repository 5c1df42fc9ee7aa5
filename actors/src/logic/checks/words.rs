//! The words of a text outside its placeholders.

use std::cell::OnceCell;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;

/// A text cut into words.
#[derive(Debug)]
pub(super) struct Words<'a> {
    words: Vec<&'a str>,
    /// Hashes of the words in lower case, sorted; made when it is first asked for. Two words of
    /// one hash are not met, and strings would cost an allocation each.
    folded: OnceCell<Vec<u64>>,
}

impl<'a> Words<'a> {
    /// The words of a text.
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            words: pieces(text).flat_map(split).collect(),
            folded: OnceCell::new(),
        }
    }

    /// The words as they are written, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.words.iter().copied()
    }

    /// Whether this word is among them, in any case.
    pub(super) fn has(&self, word: &str) -> bool {
        let folded = self.folded.get_or_init(|| {
            let mut folded: Vec<u64> = self.words.iter().copied().map(folded_hash).collect();
            folded.sort_unstable();
            folded
        });
        folded.binary_search(&folded_hash(word)).is_ok()
    }
}

/// The same for words that differ only in case.
fn folded_hash(word: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for letter in word.chars() {
        if letter.is_ascii() {
            hasher.write_u32(letter.to_ascii_lowercase().into());
            continue;
        }
        for letter in letter.to_lowercase() {
            // The sigma at the end of a word is the same letter.
            let letter = if letter == 'ς' { 'σ' } else { letter };
            hasher.write_u32(letter.into());
        }
    }
    hasher.finish()
}

/// What stands between the placeholders of a text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(opening) = text.find('⟦') else {
            rest = None;
            return Some(text);
        };
        let behind = &text[opening..];
        rest = match behind.find('⟧') {
            Some(closing) => Some(&behind[closing + '⟧'.len_utf8()..]),
            None => None,
        };
        Some(&text[..opening])
    })
}

/// The words of a piece; no two scripts share one where there are no blanks between words.
fn split(piece: &str) -> impl Iterator<Item = &str> {
    let words = piece.split(|letter: char| !is_of_word(letter));
    words
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
}

/// Whether a character can stand inside of a word: letters, digits, marks upon them, apostrophes.
pub(super) fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric()
        || matches!(letter,
            '\'' | '’'
            // Marks that are not alphabetic by themselves, as the virama, and joiners.
            | '\u{300}'..='\u{36f}' | '\u{5b0}'..='\u{5c7}' | '\u{64b}'..='\u{65f}'
            | '\u{93c}'..='\u{94d}' | '\u{9bc}'..='\u{9cd}' | '\u{a3c}'..='\u{a4d}'
            | '\u{abc}'..='\u{acd}' | '\u{b3c}'..='\u{b4d}' | '\u{bcd}' | '\u{c4d}'
            | '\u{cbc}'..='\u{ccd}' | '\u{d4d}' | '\u{dca}' | '\u{e31}'..='\u{e4e}'
            | '\u{200c}' | '\u{200d}')
}

//! The words of a text outside its placeholders.

use std::cell::OnceCell;

use super::script::{Script, Scripts};

/// A text cut into words.
#[derive(Debug)]
pub(super) struct Words<'a> {
    words: Vec<Word<'a>>,
    /// The words' hashes, sorted; made when it is first asked for.
    hashes: OnceCell<Vec<u64>>,
}

/// A word, with what the checks ask of it again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// The word as it is written.
    pub(super) text: &'a str,
    /// The same for words that differ only in case. Two words of one hash are not met, and strings
    /// would cost an allocation each.
    pub(super) hash: u64,
    /// The scripts of its letters.
    pub(super) scripts: Scripts,
    /// How many letters have a script.
    pub(super) n_letters: usize,
    /// Whether an apostrophe stands in it.
    pub(super) is_elided: bool,
}

impl<'a> Words<'a> {
    /// The words of a text.
    pub(super) fn of(text: &'a str) -> Self {
        let mut words = Vec::with_capacity(text.len() / 6 + 1);
        for mut piece in pieces(text) {
            while !piece.is_empty() {
                let (word, rest) = Word::first_of(piece);
                words.extend(word);
                piece = rest;
            }
        }
        Self {
            words,
            hashes: OnceCell::new(),
        }
    }

    /// The words, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Word<'a>> + '_ {
        self.words.iter()
    }

    /// The words as they are written, in order.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.words.iter().map(|word| word.text)
    }

    /// Whether this word is among them, in any case.
    pub(super) fn has(&self, word: &Word<'_>) -> bool {
        let hashes = self.hashes.get_or_init(|| {
            let mut hashes: Vec<u64> = self.words.iter().map(|word| word.hash).collect();
            hashes.sort_unstable();
            hashes
        });
        hashes.binary_search(&word.hash).is_ok()
    }
}

impl<'a> Word<'a> {
    /// The word that a text begins with, and what stands behind it and the character that ends it;
    /// no word if the first character is of none.
    fn first_of(text: &'a str) -> (Option<Self>, &'a str) {
        if let Some(first) = Self::first_of_ascii(text) {
            return first;
        }
        let (word, rest) = text.split_at(word_end(text));
        let mut rest = rest.chars();
        rest.next();
        (Self::of(word), rest.as_str())
    }

    /// The same for most words, in one pass over their bytes; none where something else than ASCII
    /// follows, or an apostrophe stands at an end.
    fn first_of_ascii(text: &'a str) -> Option<(Option<Self>, &'a str)> {
        let mut word = Self::new("");
        let (mut end, mut last) = (0, 0);
        for byte in text.bytes() {
            let lower = LOWER[usize::from(byte)];
            if lower == 0 {
                if !byte.is_ascii() {
                    return None;
                }
                break;
            }
            if lower < b'a' && lower == b'\'' {
                if end == 0 {
                    return None;
                }
                word.is_elided = true;
            }
            word.hash = mixed(word.hash, lower.into());
            word.n_letters += usize::from(lower >= b'a');
            last = lower;
            end += 1;
        }
        if last == b'\'' {
            return None;
        }
        if word.n_letters > 0 {
            word.scripts.add(Script::Latin);
        }
        word.text = &text[..end];
        Some(((end > 0).then_some(word), text.get(end + 1..).unwrap_or("")))
    }

    /// What stands between two characters that are of no word; none if it is no word.
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(is_apostrophe);
        if text.is_empty() {
            return None;
        }
        let mut word = Self::new(text);
        for letter in text.chars() {
            word.hash = hashed(word.hash, letter);
            word.is_elided |= is_apostrophe(letter);
            if let Some(script) = Script::of(letter) {
                word.scripts.add(script);
                word.n_letters += 1;
            }
        }
        Some(word)
    }

    fn new(text: &'a str) -> Self {
        Self {
            text,
            hash: 0,
            scripts: Scripts::default(),
            n_letters: 0,
            is_elided: false,
        }
    }
}

/// Each byte of a word of ASCII in lower case; zero for those that stand in none.
const LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let letter = byte as u8;
        if letter.is_ascii_alphanumeric() || letter == b'\'' {
            lower[byte] = letter.to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

/// Whether a letter is left out there, or a word quoted.
pub(super) const fn is_apostrophe(letter: char) -> bool {
    matches!(letter, '\'' | '’')
}

/// The same for words that differ only in case.
pub(super) fn hash_of(word: &str) -> u64 {
    word.chars().fold(0, hashed)
}

/// The hash of a word that goes on with this letter, in whichever case.
fn hashed(hash: u64, letter: char) -> u64 {
    if letter.is_ascii() {
        return mixed(hash, letter.to_ascii_lowercase());
    }
    letter.to_lowercase().fold(hash, |hash, letter| {
        // The sigma at the end of a word is the same letter.
        mixed(hash, if letter == 'ς' { 'σ' } else { letter })
    })
}

fn mixed(hash: u64, letter: char) -> u64 {
    // Any odd number with its bits well spread does.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    (hash.rotate_left(29) ^ u64::from(letter)).wrapping_mul(SPREAD)
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

/// Where the word ends that a text begins with.
fn word_end(text: &str) -> usize {
    let is_of_ascii_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'\'';
    let mut end = 0;
    loop {
        let rest = text.as_bytes()[end..].iter();
        end += rest.take_while(is_of_ascii_word).count();
        match text[end..].chars().next() {
            Some(letter) if !letter.is_ascii() && is_of_word(letter) => end += letter.len_utf8(),
            _ => return end,
        }
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_of_ascii_are_those_that_are_read_letter_by_letter(text in "[a-cXZ0-2' .é’⟦⟧]{0,16}") {
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (word, behind) = rest.split_at(word_end(rest));
                let (first, next) = Word::first_of(rest);
                let expected = Word::of(word);
                prop_assert_eq!(format!("{first:?}"), format!("{expected:?}"));
                let mut behind = behind.chars();
                behind.next();
                prop_assert_eq!(next, behind.as_str());
                rest = next;
            }
        }
    }
}

//! Placeholders as letters that no pair of Apertium knows: an unknown word comes back as it was.

use std::collections::HashSet;

const OPENING: char = '⟦';
const CLOSING: char = '⟧';

/// Where the ideographs begin that stand for placeholders, and where they end.
const IDEOGRAPHS: std::ops::Range<u32> = 0x9000..0xa000;

/// Which letters stand for the placeholders of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letters {
    /// The letter of placeholder 0; the others follow.
    first: u32,
    /// How many there are.
    count: u32,
}

impl Letters {
    /// Letters that the text does not hold itself; none where it has no placeholder, or more
    /// than there are letters: then they travel as they are.
    pub(super) fn of(skeleton: &str) -> Option<Self> {
        let numbers = pieces(skeleton).filter_map(|piece| match piece {
            Piece::Placeholder(number) => Some(number),
            Piece::Text(_) => None,
        });
        let count = numbers.max()?.checked_add(1)?;
        let held: HashSet<u32> = skeleton
            .chars()
            .map(u32::from)
            .filter(|letter| IDEOGRAPHS.contains(letter))
            .collect();
        let step = usize::try_from(count).ok()?;
        IDEOGRAPHS
            .step_by(step)
            .take_while(|first| first + count <= IDEOGRAPHS.end)
            .find(|first| (*first..first + count).all(|letter| !held.contains(&letter)))
            .map(|first| Self { first, count })
    }

    /// The text with a letter for each placeholder.
    pub(super) fn write(self, skeleton: &str) -> String {
        let mut text = String::with_capacity(skeleton.len());
        for piece in pieces(skeleton) {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                // It is below the count, and the letters end before the surrogates begin.
                Piece::Placeholder(number) => text.extend(char::from_u32(self.first + number)),
            }
        }
        text
    }

    /// The text with a placeholder for each letter.
    pub(super) fn read(self, text: &str) -> String {
        let mut skeleton = String::with_capacity(text.len() + 8);
        for letter in text.chars() {
            match u32::from(letter).checked_sub(self.first) {
                Some(number) if number < self.count => {
                    skeleton.push(OPENING);
                    skeleton.push_str(&number.to_string());
                    skeleton.push(CLOSING);
                }
                _ => skeleton.push(letter),
            }
        }
        skeleton
    }
}

/// A piece of a text with placeholders.
enum Piece<'a> {
    Text(&'a str),
    Placeholder(u32),
}

fn pieces(skeleton: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = skeleton;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((number, after)) = placeholder(rest) {
            rest = after;
            return Some(Piece::Placeholder(number));
        }
        let begins = rest.char_indices().skip(1);
        let mut begins = begins.filter(|(_, letter)| *letter == OPENING);
        let end = begins.next().map_or(rest.len(), |(at, _)| at);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

/// The number of the placeholder that the text begins with, and what follows it.
fn placeholder(text: &str) -> Option<(u32, &str)> {
    let (number, after) = text.strip_prefix(OPENING)?.split_once(CLOSING)?;
    let is_number = number.bytes().all(|it| it.is_ascii_digit());
    // Ours are written without zeros before them.
    let is_ours = is_number && (number == "0" || !number.starts_with('0'));
    Some((number.parse().ok().filter(|_| is_ours)?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_placeholder_becomes_one_letter_and_comes_back() {
        let skeleton = "Read ⟦0⟧⟦12⟧, ⟦not one⟧ and ⟦1⟧";
        let letters = Letters::of(skeleton).expect("letters");
        let text = letters.write(skeleton);
        assert_eq!(text, "Read \u{9000}\u{900c}, ⟦not one⟧ and \u{9001}");
        assert_eq!(letters.read(&text), skeleton);
    }

    #[test]
    fn a_letter_of_the_text_is_no_placeholder() {
        let skeleton = "\u{9000} and \u{9003}: ⟦0⟧ ⟦1⟧";
        let letters = Letters::of(skeleton).expect("letters");
        assert_eq!(letters.read(&letters.write(skeleton)), skeleton);
    }

    #[test]
    fn without_placeholders_nothing_is_written_otherwise() {
        assert_eq!(Letters::of("Good morning \u{9000}"), None);
        assert_eq!(Letters::of("⟦4294967295⟧ ⟦99999999999⟧"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            skeleton in "([a-zé \u{9000}-\u{9010}⟦⟧]{0,3}|⟦[0-9]{1,2}⟧){0,12}",
        ) {
            if let Some(letters) = Letters::of(&skeleton) {
                prop_assert_eq!(letters.read(&letters.write(&skeleton)), skeleton);
            }
        }
    }
}

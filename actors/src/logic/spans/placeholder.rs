//! Placeholders as they are written and read: `⟦`, a number, `⟧`.

use std::fmt::Write as _;
use std::ops::Range;

const OPENING: char = '⟦';
const CLOSING: char = '⟧';

/// Appends the placeholder of that number.
pub(super) fn write(text: &mut String, number: usize) {
    write!(text, "{OPENING}{number}{CLOSING}").expect("writing to a string cannot fail");
}

/// The end and the number of the placeholder that begins there.
///
/// A number too large to be one of ours reads as the largest there is.
pub(super) fn at(text: &str, start: usize) -> Option<(usize, usize)> {
    let inner = text[start..].strip_prefix(OPENING)?.trim_start();
    let n_digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = inner.split_at(n_digits);
    let rest = rest.trim_start().strip_prefix(CLOSING)?;
    if digits.is_empty() {
        return None;
    }
    let number = digits.parse().unwrap_or(usize::MAX);
    Some((text.len() - rest.len(), number))
}

/// Where the placeholders of a text stand, with their numbers.
pub(super) fn all(text: &str) -> impl Iterator<Item = (Range<usize>, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(offset) = text[from..].find(OPENING) {
            let start = from + offset;
            if let Some((end, number)) = at(text, start) {
                from = end;
                return Some((start..end, number));
            }
            from = start + OPENING.len_utf8();
        }
        None
    })
}

/// How many brackets of a text belong to no placeholder.
pub(super) fn stray_brackets(text: &str) -> usize {
    // One kind after the other, because a single character is looked for by many bytes at once.
    let n_brackets = text.matches(OPENING).count() + text.matches(CLOSING).count();
    match n_brackets {
        0 => 0,
        _ => n_brackets - 2 * all(text).count(),
    }
}

//! The names that a host name may end with.

use std::collections::HashSet;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

/// The top-level domains that twitter-text knows, in lower case.
static NAMES: LazyLock<HashSet<&str, FixedState>> = LazyLock::new(|| {
    include_str!("top_level_domains.txt")
        .split_whitespace()
        .collect()
});

/// The most bytes that any of them has.
const MAX_BYTES: usize = 48;

/// Whether this is a top-level domain, in any case.
pub(in crate::logic) fn is_top_level(name: &str) -> bool {
    if name.len() > MAX_BYTES {
        return false;
    }
    let mut lower = [0; MAX_BYTES];
    let lower = &mut lower[..name.len()];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    if name.is_ascii() {
        return str::from_utf8(lower).is_ok_and(|lower| NAMES.contains(lower));
    }
    NAMES.contains(name) || NAMES.contains(&*name.to_lowercase())
}

/// The length of the top-level domain that the text begins with, if no letter goes on with it.
pub(super) fn length(text: &str) -> Option<usize> {
    let ascii = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if ascii > 0 {
        let is_name = ends_there(text, ascii) && is_top_level(&text[..ascii]);
        return is_name.then_some(ascii).or_else(|| encoded_length(text));
    }
    let ends = text
        .char_indices()
        .map(|(start, character)| (start + character.len_utf8(), character))
        .take_while(|&(end, character)| end <= MAX_BYTES && !character.is_ascii());
    let known = ends.filter(|&(end, _)| ends_there(text, end) && is_top_level(&text[..end]));
    known.map(|(end, _)| end).last()
}

/// The length of a name beyond ASCII in its encoded form (`xn--…`).
fn encoded_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_encoded = bytes.get(..4)?.eq_ignore_ascii_case(b"xn--");
    let rest = bytes[4..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-')
        .count();
    (is_encoded && rest > 0).then_some(4 + rest)
}

fn ends_there(text: &str, end: usize) -> bool {
    !text[end..]
        .starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '@' | '+' | '-'))
}

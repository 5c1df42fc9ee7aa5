//! How X counts a text, written down once more and simply: what is tested must not count for it.

use std::collections::HashSet;
use std::sync::LazyLock;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Endings of names that make links, as X lists them: a table, and no rule of ours.
static ENDINGS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let all = include_str!("../../../actors/src/logic/x_text/top_level_domains.txt");
    all.split_whitespace().collect()
});

/// A text as X keeps it: composed.
pub(super) fn composed(text: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    normalizer.normalize(text).into_owned()
}

/// What a text counts as.
pub fn weight(text: &str) -> usize {
    let text = composed(text);
    let mut weight = 0;
    let mut done = 0;
    for (start, end) in links(&text) {
        weight += plain(&text[done..start]) + 23;
        done = end;
    }
    weight + plain(&text[done..])
}

/// Whether there is a link in a text.
pub fn has_link(text: &str) -> bool {
    !links(text).is_empty()
}

/// Where the links of a text stand, in bytes.
pub(super) fn links(text: &str) -> Vec<(usize, usize)> {
    let mut links = Vec::new();
    let mut before: Option<char> = None;
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let is_start =
            before.is_none_or(|it| !it.is_ascii_alphanumeric() && !"@＠#＃$".contains(it));
        let is_bare = before.is_none_or(|it| !"-_./".contains(it));
        let length = match is_start {
            true => link(&text[at..], is_bare),
            false => None,
        };
        if let Some(length) = length {
            links.push((at, at + length));
            at += length;
            before = Some('a');
            continue;
        }
        before = Some(letter);
        at += letter.len_utf8();
    }
    links
}

/// The length of the link that a text begins with: behind a scheme with letters of any script, and
/// where one without a scheme may be, with Latin ones alone.
fn link(text: &str, is_bare: bool) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let scheme = ["https://", "http://"]
        .iter()
        .find(|it| lower.starts_with(**it));
    if scheme.is_none() && !is_bare {
        return None;
    }
    let of_any_script = scheme.is_some();
    let scheme = scheme.map_or(0, |it| it.len());
    let rest = &lower[scheme..];
    let is_host = |letter: char| match letter.is_ascii() {
        true => letter.is_ascii_alphanumeric() || "-.".contains(letter),
        false => of_any_script && letter.is_alphanumeric(),
    };
    let end = rest.find(|letter| !is_host(letter)).unwrap_or(rest.len());
    let host = host(rest[..end].trim_end_matches(['.', '-']))?;
    if rest[host.len()..].starts_with('@') {
        return None;
    }
    let mut length = scheme + host.len();
    if let Some(port) = rest[host.len()..].strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        length += if digits == 0 { 0 } else { digits + 1 };
    }
    if lower[length..].starts_with('/') {
        length += path(&lower[length..]);
    }
    if lower[length..].starts_with('?') {
        length += query(&lower[length..]);
    }
    Some(length)
}

/// The name that ends with one of the endings, as long as can be.
fn host(name: &str) -> Option<&str> {
    let labels = |name: &str| name.split('.').all(|label| !label.is_empty());
    let mut name = name;
    loop {
        let (before, ending) = name.rsplit_once('.')?;
        if (ENDINGS.contains(ending) || ending.starts_with("xn--")) && labels(before) {
            return Some(name);
        }
        name = before;
    }
}

/// The length of a path, its slash included; what stands in brackets belongs to it whole.
fn path(text: &str) -> usize {
    let is_letter = |letter: char| {
        letter.is_ascii_alphanumeric()
            || matches!(letter, '\u{c0}'..='\u{24f}' | '\u{400}'..='\u{4ff}')
    };
    let is_end = |letter: char| is_letter(letter) || "+-=_#/".contains(letter);
    let is_path = |letter: char| is_end(letter) || "!*';:,.$%[]–~@|&".contains(letter);
    let (mut at, mut end) = (1, 1);
    while let Some(letter) = text[at..].chars().next() {
        if letter == '(' {
            let inside = text[at + 1..].chars().take_while(|it| is_path(*it));
            let closing = at + 1 + inside.map(char::len_utf8).sum::<usize>();
            if closing == at + 1 || !text[closing..].starts_with(')') {
                return end;
            }
            at = closing + 1;
            end = at;
        } else if is_path(letter) {
            at += letter.len_utf8();
            end = if is_end(letter) { at } else { end };
        } else {
            return end;
        }
    }
    end
}

/// The length of a query, its question mark included; none if nothing stands behind that.
fn query(text: &str) -> usize {
    let is_end = |letter: char| letter.is_ascii_alphanumeric() || "-_&=#/".contains(letter);
    let is_query = |letter: char| is_end(letter) || "!?*'@();:+$%[].,~|".contains(letter);
    let all = text[1..].find(|letter| !is_query(letter));
    let all = all.map_or(text, |length| &text[..1 + length]);
    all.rfind(is_end).map_or(0, |last| last + 1)
}

/// What a composed text without links counts as.
fn plain(text: &str) -> usize {
    let letters: Vec<char> = text.chars().collect();
    let mut weight = 0;
    let mut at = 0;
    while at < letters.len() {
        let length = picture(&letters[at..]);
        weight += if length > 0 { 2 } else { single(letters[at]) };
        at += length.max(1);
    }
    weight
}

fn single(letter: char) -> usize {
    match u32::from(letter) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    }
}

/// How many letters the picture has that a text begins with; 0 if there is none.
fn picture(letters: &[char]) -> usize {
    let at = |index: usize| letters.get(index).copied().unwrap_or('\0');
    if matches!(at(0), '0'..='9' | '#' | '*') {
        return match (at(1), at(2)) {
            ('\u{fe0f}', '\u{20e3}') => 3,
            ('\u{20e3}', _) => 2,
            _ => 0,
        };
    }
    if is_flag(at(0)) && is_flag(at(1)) {
        return 2;
    }
    let is_shown = is_picture(at(0)) || is_sign(at(0)) && at(1) == '\u{fe0f}';
    if !is_shown {
        return 0;
    }
    let mut length = 1;
    loop {
        match at(length) {
            '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}' => length += 1,
            '\u{200d}' if is_picture(at(length + 1)) => length += 2,
            _ => return length,
        }
    }
}

fn is_flag(letter: char) -> bool {
    matches!(letter, '\u{1f1e6}'..='\u{1f1ff}')
}

/// A sign that is shown as a picture where that is asked for.
fn is_sign(letter: char) -> bool {
    matches!(letter, '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | '↔'..='↪' | '⌚'..='⏺' | 'Ⓜ' | '▪'..='◾'
        | '⤴' | '⤵' | '⬅'..='⬇' | '⬛' | '⬜' | '〰' | '〽' | '㊗' | '㊙')
}

fn is_picture(letter: char) -> bool {
    matches!(letter, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}')
}

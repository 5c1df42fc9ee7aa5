//! How X counts a text, written down once more and simply: what is tested must not count for it.

/// Endings of names that make links, of the many that there are.
const ENDINGS: [&str; 28] = [
    "com", "org", "net", "co", "uk", "md", "bar", "so", "next", "dev", "io", "ai", "app", "eu",
    "de", "fr", "es", "it", "jp", "me", "news", "info", "tv", "us", "ca", "ch", "at", "mx",
];

/// What a text counts as.
pub fn weight(text: &str) -> usize {
    let mut weight = 0;
    let mut done = 0;
    for (start, end) in links(text) {
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
            before.is_none_or(|it| !it.is_ascii_alphanumeric() && !"@#$_-./".contains(it));
        if is_start && let Some(length) = link(&text[at..]) {
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

/// The length of the link that a text begins with.
fn link(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let scheme = ["https://", "http://"]
        .iter()
        .find(|it| lower.starts_with(**it));
    let scheme = scheme.map_or(0, |it| it.len());
    let rest = &lower[scheme..];
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    let end = rest.find(|letter| !is_host(letter)).unwrap_or(rest.len());
    let host = rest[..end].trim_end_matches(['.', '-']);
    let (name, ending) = host.rsplit_once('.')?;
    let is_name = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
    if !is_name || !ENDINGS.contains(&ending) || rest[host.len()..].starts_with('@') {
        return None;
    }
    let mut length = scheme + host.len();
    if let Some(port) = rest[host.len()..].strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        length += if digits == 0 { 0 } else { digits + 1 };
    }
    if lower[length..].starts_with('/') || lower[length..].starts_with('?') {
        let is_path = |letter: char| letter.is_ascii_graphic() && !"<>\"".contains(letter);
        let tail = &lower[length..];
        let end = tail.find(|letter| !is_path(letter)).unwrap_or(tail.len());
        length += tail[..end]
            .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\''])
            .len();
    }
    Some(length)
}

/// What a text without links counts as.
fn plain(text: &str) -> usize {
    let letters: Vec<char> = text.chars().collect();
    let mut weight = 0;
    let mut at = 0;
    while at < letters.len() {
        let length = picture(&letters[at..]);
        if length > 0 {
            weight += 2;
            at += length;
            continue;
        }
        let is_mark = matches!(letters[at], '\u{300}'..='\u{36f}');
        let joins = is_mark && at > 0 && letters[at - 1].is_alphabetic();
        weight += if joins { 0 } else { single(letters[at]) };
        at += 1;
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
    if !is_picture(at(0)) && at(1) != '\u{fe0f}' {
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

fn is_picture(letter: char) -> bool {
    matches!(letter, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}')
}

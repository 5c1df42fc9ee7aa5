//! How web addresses, mentions, hashtags, custom emoji and e-mail addresses are written.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Letters from here on belong to scripts that may stand against an address without a space.
const FIRST_UNSPACED: char = '\u{590}';

/// Where the web address ends whose scheme begins at `start`.
///
/// Closing punctuation belongs to the sentence, a bracket that was opened inside to the address.
pub(super) fn url_end(text: &str, start: usize) -> Option<usize> {
    let host = start + scheme_length(&text.as_bytes()[start..])?;
    // Looked at first, so that a long run of schemes is not read again from each of them.
    if !text[host..].starts_with(|first: char| first.is_alphanumeric() || first == '[') {
        return None;
    }
    let end = rest_end(text, host);
    (end > host).then_some(end)
}

/// Where the rest of a web address ends that goes on at `from`.
pub(super) fn rest_end(text: &str, from: usize) -> usize {
    let mut open = [0_i32; 2];
    let mut end = from;
    for (offset, character) in text[from..].char_indices() {
        if !is_in_url(character) {
            break;
        }
        count_bracket(character, &mut open, 1);
        end = from + offset + character.len_utf8();
    }
    while let Some(last) = text[from..end].chars().next_back() {
        let is_outside = match last {
            ')' => open[0] < 0,
            ']' => open[1] < 0,
            _ => is_closing(last),
        };
        if !is_outside {
            break;
        }
        count_bracket(last, &mut open, -1);
        end -= last.len_utf8();
    }
    end
}

/// Counts a bracket in, or out again: more closed than opened is below zero.
fn count_bracket(character: char, open: &mut [i32; 2], by: i32) {
    match character {
        '(' => open[0] += by,
        ')' => open[0] -= by,
        '[' => open[1] += by,
        ']' => open[1] -= by,
        _ => {}
    }
}

/// The length of `http://` or `https://`, in any case.
fn scheme_length(bytes: &[u8]) -> Option<usize> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        bytes
            .get(..scheme.len())?
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(scheme.len())
    })
}

/// Whether the character can stand in a web address as people paste it.
const fn is_in_url(character: char) -> bool {
    match character {
        '\0'..=' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '\x7f'..='\u{a0}' => {
            false
        }
        '«' | '»' | '⟦' | '⟧' | '\u{fffc}'..='\u{ffff}' => false,
        // General spaces, quotes, direction marks; dashes are kept.
        '\u{2000}'..='\u{200f}' | '\u{2018}'..='\u{201f}' | '\u{2026}'..='\u{2064}' => false,
        '\u{2066}'..='\u{206f}' | '\u{1680}' | '\u{feff}' => false,
        // Chinese and Japanese brackets and punctuation, narrow and wide.
        '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' => false,
        '！' | '（' | '）' | '，' | '．' | '：' | '；' | '？' | '［' | '］' | '｛' | '｝' => {
            false
        }
        '\u{ff5f}'..='\u{ff64}' => false,
        _ => true,
    }
}

/// Whether the character ends a sentence rather than a web address.
const fn is_closing(character: char) -> bool {
    matches!(
        character,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '\''
            | '*'
            | '('
            | '['
            | '·'
            | '،'
            | '؛'
            | '؟'
            | '۔'
            | '।'
            | '॥'
    )
}

/// Where the mention ends whose `@` stands at `start`.
pub(super) fn mention_end(text: &str, start: usize) -> Option<usize> {
    let user = start + 1;
    if text[..start].ends_with(is_spaced_word) || !text[user..].starts_with(is_word) {
        return None;
    }
    let user_end = user + run_length(&text[user..], |c| is_word(c) || c == '.' || c == '-');
    let user_end = trimmed_end(text, user, user_end)?;
    let end = text[user_end..]
        .starts_with('@')
        .then(|| host_end(text, user_end + 1))
        .flatten()
        .unwrap_or(user_end);
    (!is_scheme_cut(text, end)).then_some(end)
}

/// The e-mail address around the `@` at `middle` that begins at `floor` or later.
pub(super) fn email(text: &str, floor: usize, middle: usize) -> Option<Range<usize>> {
    let start = floor + text[floor..middle].trim_end_matches(is_of_user).len();
    let name = text[start..middle].trim_start_matches(['.', '%', '+', '-']);
    if name.is_empty() || name.ends_with('.') {
        return None;
    }
    let end = host_end(text, middle + 1)?;
    let has_dot = text[middle + 1..end].contains('.');
    (has_dot && !is_scheme_cut(text, end)).then(|| middle - name.len()..end)
}

/// Whether it may stand before the `@` of an e-mail address.
pub(super) fn is_of_user(character: char) -> bool {
    is_spaced_word(character) || matches!(character, '.' | '%' | '+' | '-')
}

/// Where the host name ends that begins at `start`.
fn host_end(text: &str, start: usize) -> Option<usize> {
    let length = run_length(&text[start..], |c| {
        c.is_alphanumeric() || matches!(c, '_' | '.' | '-') || is_mark(c)
    });
    text[start..]
        .starts_with(char::is_alphanumeric)
        .then(|| trimmed_end(text, start, start + length))
        .flatten()
}

/// The end without dots and dashes, which belong to the sentence.
fn trimmed_end(text: &str, start: usize, end: usize) -> Option<usize> {
    let trimmed = text[start..end].trim_end_matches(['.', '-']);
    (!trimmed.trim_start_matches(['.', '-']).is_empty()).then_some(start + trimmed.len())
}

/// Where the hashtag ends whose sign stands at `sign` and whose word begins at `word`.
pub(super) fn hashtag_end(text: &str, sign: usize, word: usize) -> Option<usize> {
    let is_inside =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '&' | '/' | '=' | '#' | '＃');
    if text[..sign].ends_with(is_inside) {
        return None;
    }
    let length = run_length(&text[word..], |c| {
        is_word(c) || is_tag_separator(c) || !c.is_ascii() && (c.is_alphanumeric() || is_mark(c))
    });
    let tag = text[word..word + length].trim_end_matches(is_tag_separator);
    let end = word + tag.len();
    let is_tag = tag.contains(char::is_alphabetic)
        && !tag.starts_with(|c| is_tag_separator(c) || is_mark(c));
    (is_tag && !is_scheme_cut(text, end)).then_some(end)
}

/// Whether the character joins the words of a hashtag, as Mastodon sees it (`Tag::HASHTAG_RE`).
const fn is_tag_separator(character: char) -> bool {
    matches!(character, '\u{b7}' | '\u{30fb}' | '\u{200c}' | '\u{200d}')
}

/// Where the custom emoji ends whose first colon stands at `start`.
pub(super) fn custom_emoji_end(text: &str, floor: usize, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let before = bytes[..start].last().copied().unwrap_or(b' ');
    let is_behind_another = floor == start && before == b':';
    if before.is_ascii_alphanumeric() || before == b':' && !is_behind_another {
        return None;
    }
    let name = start + 1;
    let length = run_length(&text[name..], is_word);
    let end = name + length + 1;
    let is_closed = length >= 2 && bytes.get(end - 1) == Some(&b':');
    let is_apart = !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (is_closed && is_apart && !is_scheme_cut(text, end - 1)).then_some(end)
}

/// Whether a span that ends there would cut the scheme off a web address.
fn is_scheme_cut(text: &str, end: usize) -> bool {
    text[end..].starts_with("://")
}

/// How many bytes of the text's beginning consist of such characters.
fn run_length(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_part(character))
        .unwrap_or(text.len())
}

/// Whether the character can stand in a name that programs read.
const fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Whether the character belongs to a word of a script that puts spaces between words.
fn is_spaced_word(character: char) -> bool {
    is_word(character)
        || !character.is_ascii() && character < FIRST_UNSPACED && character.is_alphanumeric()
}

/// Whether the character only modifies the letter before it.
///
/// Selectors, tags, enclosing marks and skin tones modify pictures.
fn is_mark(character: char) -> bool {
    let modifies_pictures = matches!(character,
        '\u{200c}'..='\u{200d}' | '\u{20dd}'..='\u{20e4}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}');
    if character < '\u{300}' || modifies_pictures || character.is_alphanumeric() {
        return false;
    }
    let mut bytes = [b'a'; 5];
    let length = character.encode_utf8(&mut bytes[1..]).len();
    str::from_utf8(&bytes[..=length]).is_ok_and(|pair| pair.graphemes(true).count() == 1)
}

//! Mentions, lists, hashtags and cashtags as X finds them.

use super::characters::{is_accented_latin, is_punctuation, is_space, is_tag, is_tag_letter};
use super::{Entity, EntityKind};

const MAX_NAME: usize = 20;
const MAX_LIST: usize = 25;
const MAX_CASHTAG: usize = 6;

/// The mentions and lists of a text.
pub(super) fn mentions(text: &str) -> impl Iterator<Item = Entity> {
    let mut floor = 0;
    let signs = text.match_indices(['@', '＠']);
    signs.filter_map(move |(sign, at)| {
        if sign < floor || !may_precede_mention(text, floor, sign) {
            return None;
        }
        let name = sign + at.len();
        let name_end = name
            + ascii_run(&text[name..], MAX_NAME, |byte| {
                byte.is_ascii_alphanumeric() || byte == b'_'
            });
        if name_end == name {
            return None;
        }
        let list = list_length(&text[name_end..]);
        let end = name_end + list;
        floor = end;
        let rest = &text[end..];
        let goes_on = rest.starts_with(['@', '＠'])
            || rest.starts_with(is_accented_latin)
            || rest.starts_with("://");
        let kind = match list {
            0 => EntityKind::Mention,
            _ => EntityKind::List,
        };
        (!goes_on).then_some(Entity {
            kind,
            range: sign..end,
        })
    })
}

/// The length of `/list`, or 0.
fn list_length(text: &str) -> usize {
    let Some(name) = text.strip_prefix('/') else {
        return 0;
    };
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return 0;
    }
    1 + ascii_run(name, MAX_LIST, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
    })
}

/// Whether what stands before the sign lets it be a mention: also `RT`, as in old retweets.
fn may_precede_mention(text: &str, floor: usize, sign: usize) -> bool {
    if sign == 0 {
        return true;
    }
    let before = &text[floor..sign];
    let Some(last) = before.chars().next_back() else {
        return false;
    };
    let joins = last.is_ascii_alphanumeric()
        || matches!(last, '_' | '!' | '#' | '$' | '%' | '&' | '*' | '@' | '＠');
    if !joins {
        return true;
    }
    let Some(start) = before
        .len()
        .checked_sub(2)
        .filter(|&at| before.is_char_boundary(at))
    else {
        return false;
    };
    if !before[start..].eq_ignore_ascii_case("rt") {
        return false;
    }
    match before[..start].chars().next_back() {
        Some(previous) => {
            !previous.is_ascii_alphanumeric() && !matches!(previous, '_' | '+' | '~' | '.' | '-')
        }
        None => floor + start == 0,
    }
}

/// The hashtags of a text, those in web addresses among them.
pub(super) fn hashtags(text: &str) -> impl Iterator<Item = Entity> {
    let mut floor = 0;
    let signs = text.match_indices(['#', '＃']);
    signs.filter_map(move |(sign, written)| {
        let before = text.get(floor..sign)?.chars().next_back();
        let is_free = match before {
            Some(before) => {
                matches!(before, '\u{fe0e}' | '\u{fe0f}') || !is_tag(before) && before != '&'
            }
            None => sign == 0,
        };
        let word = &text[sign + written.len()..];
        if !is_free || word.starts_with(['\u{fe0f}', '\u{20e3}']) {
            return None;
        }
        let length = word.find(|next| !is_tag(next)).unwrap_or(word.len());
        if !word[..length].contains(is_tag_letter) {
            return None;
        }
        let end = sign + written.len() + length;
        floor = end;
        let goes_on = text[end..].starts_with(['#', '＃']) || text[end..].starts_with("://");
        (!goes_on).then_some(Entity {
            kind: EntityKind::Hashtag,
            range: sign..end,
        })
    })
}

/// The cashtags of a text.
pub(super) fn cashtags(text: &str) -> impl Iterator<Item = Entity> {
    text.match_indices('$').filter_map(|(sign, _)| {
        cashtag_end(text, sign).map(|end| Entity {
            kind: EntityKind::Cashtag,
            range: sign..end,
        })
    })
}

/// Where the cashtag ends whose sign stands at `sign`.
pub(in crate::logic) fn cashtag_end(text: &str, sign: usize) -> Option<usize> {
    if sign > 0 && !text[..sign].ends_with(is_space) {
        return None;
    }
    let word = &text[sign + 1..];
    let letters = letters(word, MAX_CASHTAG + 1);
    if letters == 0 || letters > MAX_CASHTAG {
        return None;
    }
    let tail = match word[letters..].strip_prefix(['.', '_']) {
        Some(tail) => match self::letters(tail, 3) {
            n_letters @ 1..=2 if ends_cashtag(&tail[n_letters..]) => 1 + n_letters,
            _ => 0,
        },
        None => 0,
    };
    let end = sign + 1 + letters + tail;
    ends_cashtag(&text[end..]).then_some(end)
}

fn letters(text: &str, max: usize) -> usize {
    ascii_run(text, max, |byte| byte.is_ascii_alphabetic())
}

fn ends_cashtag(rest: &str) -> bool {
    rest.chars().next().is_none_or(|next| {
        is_punctuation(next)
            || next != '\u{85}' && next != '\u{180e}' && is_space(next)
            || next == '\u{feff}'
    })
}

/// How many of such bytes the text begins with, at most `max`.
fn ascii_run(text: &str, max: usize, is_part: impl Fn(u8) -> bool) -> usize {
    text.bytes()
        .take(max)
        .take_while(|&byte| is_part(byte))
        .count()
}

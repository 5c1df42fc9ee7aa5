//! Keeps what stands behind a web address out of the link that a network makes of it.

use std::borrow::Cow;
use std::ops::Range;

use super::fit::Limit;
use super::markdown::is_sign;
use super::spans::{Found, Scan, SpanKind};
use super::x_text;

#[cfg(test)]
mod tests;

/// Which characters a network reads on over behind a web address.
#[derive(Clone, Copy)]
enum Reader {
    X,
    Mastodon,
    /// Whatever is no blank, but for the punctuation at its end.
    Chat,
    /// The same, with an escape before each sign of Markdown.
    EscapedChat,
}

/// The text with a blank behind each web address of which its network would read on: it takes
/// quotation marks, an ellipsis and the punctuation of most scripts for a part of it.
///
/// Where links are told beside the text, or made by nobody, it stays as it is.
pub(super) fn with_links_apart(text: &str, limit: Limit) -> Cow<'_, str> {
    let reader = match limit {
        Limit::Unbounded | Limit::Bluesky { .. } => return Cow::Borrowed(text),
        Limit::X { .. } => Reader::X,
        Limit::Mastodon { .. } => Reader::Mastodon,
        Limit::Telegram { .. } | Limit::Discord { .. } | Limit::Characters { .. } => Reader::Chat,
        Limit::Escaped { .. } => Reader::EscapedChat,
    };
    let addresses = Scan::through_code(text).filter(|found| {
        let is_address = matches!(found.kind, SpanKind::Url | SpanKind::Domain);
        is_address && goes_on(&text[found.end..])
    });
    let addresses: Vec<Found> = addresses.collect();
    if addresses.is_empty() {
        return Cow::Borrowed(text);
    }
    let links = match reader {
        Reader::X => x_text::urls(text),
        Reader::Mastodon | Reader::Chat | Reader::EscapedChat => Vec::new(),
    };
    let mut apart = String::with_capacity(text.len() + addresses.len());
    let mut copied = 0;
    for found in addresses {
        if reader.reads_on(text, &found, &links) {
            apart.push_str(&text[copied..found.end]);
            apart.push(' ');
            copied = found.end;
        }
    }
    apart.push_str(&text[copied..]);
    Cow::Owned(apart)
}

/// Whether an address stands in a text, not merely as the beginning or a part of a longer one.
pub fn leads_to(text: &str, address: &str) -> bool {
    let mut found = text.match_indices(address).peekable();
    if address.is_empty() || found.peek().is_none() {
        return false;
    }
    let spans: Vec<Found> = Scan::through_code(text).collect();
    found.any(|(start, _)| {
        let end = start + address.len();
        let cuts = |span: &Found| {
            let touches = span.start < end && start < span.end;
            let is_longer = end < span.end && &text[end..span.end] != "/";
            touches && (span.start < start || is_longer)
        };
        !spans.iter().any(cuts)
    })
}

/// Whether something stands there that may be taken for more of an address.
fn goes_on(behind: &str) -> bool {
    !behind.is_empty() && !behind.starts_with([' ', '\n', '\r', '\t', '<'])
}

impl Reader {
    fn reads_on(self, text: &str, found: &Found, links: &[Range<usize>]) -> bool {
        let (address, behind) = (&text[found.start..found.end], &text[found.end..]);
        match self {
            Self::X => {
                let is_longer =
                    |link: &Range<usize>| link.start < found.end && link.end > found.end;
                links.iter().any(is_longer)
            }
            Self::Mastodon => found.kind == SpanKind::Url && mastodon_reads_on(address, behind),
            Self::Chat => chat_reads_on(behind, |_| false),
            Self::EscapedChat => chat_reads_on(behind, is_sign),
        }
    }
}

/// Whether a chat would, as greedy as any of them: up to a blank, without what ends a sentence
/// unless it is escaped.
fn chat_reads_on(behind: &str, is_escaped: fn(char) -> bool) -> bool {
    let is_end = |it: char| it.is_whitespace() || it == '<';
    let run = &behind[..behind.find(is_end).unwrap_or(behind.len())];
    let closes = |it: char| it.is_ascii_punctuation() && !matches!(it, '/' | '@' | '&' | '=' | '#');
    run.contains(|it| !closes(it) || is_escaped(it))
}

/// Where in a web address Mastodon is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    Path,
    Query,
    /// A fragment behind a host, which it leaves out.
    Outside,
}

/// Whether Mastodon would: a path goes on up to a blank, a bracket or a question mark, a query
/// even over blanks that are not ASCII.
fn mastodon_reads_on(address: &str, behind: &str) -> bool {
    let bare = address.split_once("://").map_or(address, |(_, bare)| bare);
    let mut place = match bare.find(['/', '?', '#']).map(|at| &bare[at..]) {
        None => Place::Host,
        Some(tail) if tail.starts_with('#') => Place::Outside,
        Some(tail) if tail.contains('?') => Place::Query,
        Some(_) => Place::Path,
    };
    for (at, character) in behind.char_indices() {
        match place {
            Place::Host | Place::Path if character == '?' => place = Place::Query,
            Place::Path if character == '(' => return has_pair(&behind[at..]),
            Place::Path if is_in_path(character) => {
                if ends_path(character) {
                    return true;
                }
            }
            Place::Query if is_in_query(character) => {
                if ends_query(character) {
                    return true;
                }
            }
            _ => return false,
        }
    }
    false
}

/// Whether a bracket is closed before a blank.
fn has_pair(behind: &str) -> bool {
    let end = behind.find(|it: char| it.is_whitespace() || matches!(it, '<' | '>' | '?'));
    let run = &behind[..end.unwrap_or(behind.len())];
    run.find(')').is_some_and(|close| close > 1)
}

/// Whether it may stand in a path of Mastodon's, outside of pairs of brackets.
fn is_in_path(character: char) -> bool {
    !character.is_whitespace() && !matches!(character, '<' | '>' | '(' | ')' | '?')
}

/// Whether a path may end with it.
const fn ends_path(character: char) -> bool {
    !matches!(
        character,
        '!' | '*'
            | '"'
            | '\''
            | '「'
            | '」'
            | ';'
            | ':'
            | '='
            | ','
            | '.'
            | '$'
            | '%'
            | '['
            | ']'
            | '~'
            | '&'
            | '|'
            | '@'
    )
}

/// Whether it may stand in a query of Mastodon's.
const fn is_in_query(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character >= '\u{a0}'
        || matches!(
            character,
            '!' | '?'
                | '*'
                | '\''
                | '('
                | ')'
                | ';'
                | ':'
                | '&'
                | '='
                | '+'
                | '$'
                | '/'
                | '%'
                | '#'
                | '['
                | ']'
                | '-'
                | '_'
                | '.'
                | ','
                | '~'
                | '|'
                | '@'
                | '^'
        )
}

/// Whether a query may end with it.
const fn ends_query(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character >= '\u{a0}'
        || matches!(character, '_' | '&' | '=' | '#' | '/' | '-')
}

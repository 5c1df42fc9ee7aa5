//! Web addresses that people write without their scheme.

use std::ops::Range;

use super::address;
use crate::logic::x_text::is_top_level;

/// The most bytes of a host name.
const MAX_HOST: usize = 253;

/// The address around the dot that begins at `floor` or later.
///
/// Its host consists of Latin letters, digits and dashes, and ends in a name that exists. A
/// capital at the beginning of that name is a sentence that begins without a blank.
pub(super) fn range(text: &str, floor: usize, dot: usize) -> Option<Range<usize>> {
    let start = floor + text[floor..dot].trim_end_matches(is_plain).len();
    if !is_label(&text[start..dot]) || !may_stand_behind(&text[..start], start == floor) {
        return None;
    }
    let host = host_end(text, start, dot)?;
    let goes_on = text[host..].starts_with(['@', '_', '-']);
    let is_address = !goes_on && text[start..host].contains(char::is_alphabetic);
    is_address.then(|| start..tail_end(text, host))
}

/// Where the longest host ends that begins at `start`.
fn host_end(text: &str, start: usize, mut dot: usize) -> Option<usize> {
    let mut end = None;
    let mut has_letter = text[start..dot].contains(char::is_alphabetic);
    while dot - start < MAX_HOST {
        let behind = dot + 1;
        let label = &text[behind..];
        let label = &label[..label.find(|next| !is_plain(next)).unwrap_or(label.len())];
        if !is_label(label) {
            break;
        }
        let label_end = behind + label.len();
        if has_letter && is_top_level(label) && is_cased_so(&text[start..dot], label) {
            end = Some(label_end);
        }
        has_letter |= label.contains(char::is_alphabetic);
        if !text[label_end..].starts_with('.') {
            break;
        }
        dot = label_end;
    }
    end
}

/// The end with port, path, query and fragment.
fn tail_end(text: &str, host: usize) -> usize {
    let rest = &text[host..];
    let has_port = rest
        .strip_prefix(':')
        .is_some_and(|port| port.starts_with(|next: char| next.is_ascii_digit()));
    if has_port || rest.starts_with(['/', '?', '#']) {
        address::rest_end(text, host)
    } else {
        host
    }
}

/// Whether a top-level name is written as in an address: small, or all in capitals.
fn is_cased_so(before: &str, top: &str) -> bool {
    !top.contains(char::is_uppercase)
        || !top.contains(char::is_lowercase) && !before.contains(char::is_lowercase)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// Whether an address may follow; what touches a span before it stands free.
fn may_stand_behind(before: &str, is_behind_span: bool) -> bool {
    let before = before.trim_end_matches('\u{200b}');
    is_behind_span
        || !before.ends_with([
            '@', '＠', '#', '＃', '$', '/', '\\', '_', '.', '%', '=', '&', '-', ':',
        ])
}

/// Whether host names that are written so consist of it.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '-'
        || matches!(character, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
            && character.is_alphabetic()
}

//! Web addresses as X finds them, with a scheme and without.

use std::ops::Range;

use super::characters::{
    is_accented_latin, is_host, is_label, is_path, is_path_end, is_query, is_query_end,
    may_precede_url,
};
use super::top_level;

/// The most code units of UTF-16 that a web address may have, its scheme counted twice.
const MAX_LENGTH: usize = 4_096;
/// The most characters of a label as it is looked up.
const MAX_LABEL: usize = 63;
/// The most characters behind `t.co/`.
const MAX_SLUG: usize = 40;

/// Where the web addresses stand, in order.
pub(super) fn all(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Nothing before belongs to a later address, nor does it stand before one.
    let (mut floor, mut read) = (0, 0);
    while let Some(offset) = text[read..].find('.') {
        let run = host_run(text, floor, read + offset);
        match Candidate::first(text, floor, &run) {
            Some(candidate) => {
                candidate.note(text, &mut found);
                floor = candidate.end;
                read = floor;
            }
            // What ends here may be the scheme of the next one.
            None => read = run.end,
        }
    }
    found
}

/// The characters around the dot that host names consist of, from `floor` on.
fn host_run(text: &str, floor: usize, dot: usize) -> Range<usize> {
    let before = text[floor..dot].trim_end_matches(is_host).len();
    let behind = text[dot..].find(|next| !is_host(next));
    floor + before..behind.map_or(text.len(), |length| dot + length)
}

/// What may be a web address, or several that stand against each other.
struct Candidate {
    start: usize,
    host: Range<usize>,
    /// Whether there is a path.
    has_path: bool,
    end: usize,
}

impl Candidate {
    /// The first one whose host stands in that run.
    fn first(text: &str, floor: usize, run: &Range<usize>) -> Option<Self> {
        let chains = Chains::new(text, run);
        let scheme = scheme_start(text, floor, run.start);
        let with_scheme = scheme.and_then(|start| Some((start, chains.host_from(run.start)?)));
        let (start, host) = with_scheme.or_else(|| {
            let host = chains.first_host(floor)?;
            Some((host.start, host))
        })?;
        let mut end = host.end;
        let digits = text[end..].strip_prefix(':').map_or(0, |port| {
            port.bytes().take_while(u8::is_ascii_digit).count()
        });
        if digits > 0 {
            end += 1 + digits;
        }
        let has_path = text[end..].starts_with('/');
        if has_path {
            end = path_end(text, end + 1);
        }
        end = query_end(text, end).unwrap_or(end);
        Some(Self {
            start,
            host,
            has_path,
            end,
        })
    }

    /// Appends the web addresses that it is taken for.
    fn note(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let has_scheme = self.start < self.host.start;
        if !self.is_valid(text, has_scheme) {
            return;
        }
        if has_scheme {
            found.extend(
                self.shortener(text)
                    .unwrap_or(Some(self.end))
                    .map(|end| self.start..end),
            );
            return;
        }
        if text[..self.start].ends_with(['-', '_', '.', '/']) {
            return;
        }
        let before = found.len();
        let host = &text[self.host.clone()];
        let plain = plain_hosts(host);
        found.extend(plain.map(|range| self.host.start + range.start..self.host.start + range.end));
        if self.has_path
            && found.len() > before
            && let Some(last) = found.last_mut()
        {
            last.end = self.end;
        }
    }

    fn is_valid(&self, text: &str, has_scheme: bool) -> bool {
        let host = &text[self.host.clone()];
        if host.starts_with("xn--") && plain_hosts(host).next().is_none() {
            return false;
        }
        let scheme = if has_scheme {
            self.host.start - self.start
        } else {
            "https://".len()
        };
        let units: usize = text[self.start..self.end]
            .chars()
            .map(char::len_utf16)
            .sum();
        scheme + units <= MAX_LENGTH
            && host
                .split('.')
                .all(|label| (1..=MAX_LABEL).contains(&encoded_length(label)))
    }

    /// Where an address of X's own shortener ends, which has no path below its slug: none if the
    /// slug is too long for one. No answer where it is another address.
    fn shortener(&self, text: &str) -> Option<Option<usize>> {
        let slug_start = self.host.end + 1;
        let is_shortener = text[self.host.clone()].eq_ignore_ascii_case("t.co");
        if !is_shortener || !text[self.host.end..self.end].starts_with('/') {
            return None;
        }
        let slug = &text.as_bytes()[slug_start..self.end];
        let length = slug
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        match length {
            0 => None,
            1..=MAX_SLUG => {
                let end = slug_start + length;
                Some(Some(query_end(text, end).unwrap_or(end)))
            }
            _ => Some(None),
        }
    }
}

/// The labels of a run, with where a host ends that goes on with each.
struct Chains<'a> {
    text: &'a str,
    labels: Vec<Label>,
}

struct Label {
    range: Range<usize>,
    /// Where a top-level domain ends that begins with the label behind.
    top: Option<usize>,
    /// Where the longest host ends that goes through the whole of this label.
    through: Option<usize>,
}

impl<'a> Chains<'a> {
    fn new(text: &'a str, run: &Range<usize>) -> Self {
        let mut start = run.start;
        let mut labels: Vec<Label> = text[run.clone()]
            .split('.')
            .map(|label| {
                let range = start..start + label.len();
                start = range.end + 1;
                Label {
                    range,
                    top: None,
                    through: None,
                }
            })
            .collect();
        for index in (0..labels.len().saturating_sub(1)).rev() {
            let behind = &labels[index + 1];
            let (start, longer) = (behind.range.start, behind.through);
            let top = top_level::length(&text[start..]).map(|length| start + length);
            let label = &mut labels[index];
            label.top = top;
            let name = &text[label.range.clone()];
            if name.starts_with(is_label) && name.ends_with(is_label) {
                label.through = longer.or(top.filter(|_| !name.contains('_')));
            }
        }
        Self { text, labels }
    }

    /// The host that begins with the whole run.
    fn host_from(&self, start: usize) -> Option<Range<usize>> {
        let end = self.labels.first()?.through?;
        Some(start..end)
    }

    /// The first host that begins where a web address may begin.
    fn first_host(&self, floor: usize) -> Option<Range<usize>> {
        self.labels.iter().enumerate().find_map(|(index, label)| {
            let name = &self.text[label.range.clone()];
            if !name.ends_with(is_label) {
                return None;
            }
            let longer = self.labels.get(index + 1).and_then(|behind| behind.through);
            let end = longer.or(label.top)?;
            // Only what stands before the last label may hold an underscore.
            let from = if longer.is_some() {
                0
            } else {
                name.rfind('_').map_or(0, |at| at + 1)
            };
            let from = label.range.start + from;
            let mut starts = self.text[from..label.range.end]
                .char_indices()
                .map(|(offset, character)| (from + offset, character))
                .filter(|&(start, character)| is_label(character) && self.may_begin(floor, start));
            let (first, character) = starts.next()?;
            // At the beginning of the text, what may stand before an address does.
            let second = starts
                .next()
                .filter(|&(second, _)| first == 0 && second == character.len_utf8());
            Some(second.map_or(first, |(second, _)| second)..end)
        })
    }

    fn may_begin(&self, floor: usize, start: usize) -> bool {
        start == 0 || start > floor && self.text[..start].ends_with(may_precede_url)
    }
}

/// Where the scheme begins that ends at `host`.
fn scheme_start(text: &str, floor: usize, host: usize) -> Option<usize> {
    let before = &text.as_bytes()[..host];
    let length = ["https://", "http://"].into_iter().find_map(|scheme| {
        let start = before.len().checked_sub(scheme.len())?;
        before[start..]
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(scheme.len())
    })?;
    let start = host - length;
    let is_free = start == 0 || start > floor && text[..start].ends_with(may_precede_url);
    is_free.then_some(start)
}

/// Where the path ends whose slash ends at `start`.
fn path_end(text: &str, start: usize) -> usize {
    let mut end = start;
    let mut at = start;
    while let Some(character) = text[at..].chars().next() {
        if character == '(' {
            let Some(behind) = parenthesis_end(text, at) else {
                break;
            };
            at = behind;
            end = at;
        } else if is_path(character) {
            at += character.len_utf8();
            if is_path_end(character) {
                end = at;
            }
        } else {
            break;
        }
    }
    end
}

/// Where the parenthesis ends that opens at `start`; one may stand in another.
fn parenthesis_end(text: &str, start: usize) -> Option<usize> {
    let run = |from: usize| {
        let length = text[from..].find(|next| !is_path(next));
        length.map_or(text.len(), |length| from + length)
    };
    let inner = start + 1;
    let mut at = run(inner);
    if text[at..].starts_with('(') {
        let nested = run(at + 1);
        if nested == at + 1 || !text[nested..].starts_with(')') {
            return None;
        }
        at = run(nested + 1);
    }
    (at > inner && text[at..].starts_with(')')).then_some(at + 1)
}

/// Where the query ends whose question mark stands at `start`.
fn query_end(text: &str, start: usize) -> Option<usize> {
    let query = text[start..].strip_prefix('?')?;
    let length = query.find(|next| !is_query(next)).unwrap_or(query.len());
    let length = query[..length].rfind(is_query_end)? + 1;
    Some(start + 1 + length)
}

/// The hosts in it of Latin letters, digits and dashes.
fn plain_hosts(host: &str) -> impl Iterator<Item = Range<usize>> {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || character == '-' || is_accented_latin(character)
    };
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(offset) = host[from..].find('.') {
            let dot = from + offset;
            let start = from + host[from..dot].trim_end_matches(is_plain).len();
            let end = (start < dot)
                .then(|| plain_end(host, dot, is_plain))
                .flatten();
            from = end.unwrap_or(dot + 1);
            if let Some(end) = end {
                return Some(start..end);
            }
        }
        None
    })
}

/// Where the longest host ends that goes on behind the dot.
fn plain_end(host: &str, mut dot: usize, is_plain: impl Fn(char) -> bool) -> Option<usize> {
    let mut end = None;
    loop {
        let behind = dot + 1;
        if let Some(length) = top_level::length(&host[behind..]) {
            end = Some(behind + length);
        }
        let length = host[behind..].find(|next| !is_plain(next));
        match length {
            Some(length) if length > 0 && host[behind + length..].starts_with('.') => {
                dot = behind + length;
            }
            _ => return end,
        }
    }
}

/// How long a label is when it is encoded to be looked up.
fn encoded_length(label: &str) -> usize {
    if label.is_ascii() {
        return label.len();
    }
    // What Chinese and Japanese write for a dot separates there, too.
    let parts = label.split(['\u{3002}', '\u{ff0e}', '\u{ff61}']);
    let lengths = parts.map(|part| {
        if part.is_ascii() {
            return part.len();
        }
        idna::punycode::encode_str(part)
            .map_or(usize::MAX / 2, |encoded| "xn--".len() + encoded.len())
    });
    lengths.fold(0, |sum: usize, length| sum.saturating_add(length + 1)) - 1
}

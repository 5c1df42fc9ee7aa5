//! Mending documents that are not well-formed, as many feeds are not.
//!
//! All work is on bytes, so that it holds in every encoding that contains ASCII.

use std::borrow::Cow;

use serde_json::Value;

/// The version that a JSON feed without one is taken for.
const JSON_FEED: &str = "https://jsonfeed.org/version/1.1";
/// The most items that are tried one by one.
const MAX_TRIED: usize = 2000;
/// The longest entity that is looked for behind an `&`.
const MAX_ENTITY: usize = 32;

/// The document, telling its encoding itself where only the server did.
pub(super) fn with_encoding<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, [u8]> {
    let start = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let is_plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match charset {
        Some(charset)
            if start.starts_with(b"<")
                && !start.starts_with(b"<?xml")
                && is_plain(charset)
                && std::str::from_utf8(bytes).is_err() =>
        {
            let mut named = format!("<?xml version=\"1.0\" encoding=\"{charset}\"?>").into_bytes();
            named.extend_from_slice(start);
            named.into()
        }
        _ => start.into(),
    }
}

/// The document without control characters, and with every `&` that begins no entity escaped.
pub(super) fn mend(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(b"{") {
        return mend_json(bytes).unwrap_or_else(|| bytes.to_vec());
    }
    let mut mended = Vec::with_capacity(bytes.len() + 64);
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if rest.starts_with(b"<![CDATA[") {
            let end = find(rest, b"]]>").map_or(rest.len(), |at| at + 3);
            mended.extend(rest[..end].iter().filter(|byte| is_allowed(**byte)));
            rest = &rest[end..];
            continue;
        }
        match byte {
            b'&' if !begins_entity(after) => mended.extend_from_slice(b"&amp;"),
            byte if is_allowed(byte) => mended.push(byte),
            _ => {}
        }
        rest = after;
    }
    mended
}

/// The document with only the items that can be read alone, and how many cannot.
pub(super) fn salvage(
    bytes: &[u8],
    is_readable: impl Fn(&[u8]) -> bool,
) -> Option<(Vec<u8>, usize)> {
    if bytes.starts_with(b"{") {
        return salvage_json(bytes, is_readable);
    }
    let (open, close, end) = shape(bytes)?;
    let first = find(bytes, open)?;
    let head = &bytes[..first];
    let mut kept = head.to_vec();
    let mut n_lost = 0;
    for item in items(&bytes[first..], open, close).take(MAX_TRIED) {
        if is_readable(&[head, item, end].concat()) {
            kept.extend_from_slice(item);
        } else {
            n_lost += 1;
        }
    }
    kept.extend_from_slice(end);
    Some((kept, n_lost))
}

/// How items begin and end in this kind of feed, and how the feed ends behind them.
fn shape(bytes: &[u8]) -> Option<(&'static [u8], &'static [u8], &'static [u8])> {
    if find(bytes, b"<rss").is_some() {
        return Some((b"<item", b"</item>", b"</channel></rss>"));
    }
    if find(bytes, b"<feed").is_some() {
        return Some((b"<entry", b"</entry>", b"</feed>"));
    }
    find(bytes, b"<rdf:RDF").map(|_| (&b"<item "[..], &b"</item>"[..], &b"</rdf:RDF>"[..]))
}

/// Each item from its beginning to its end, or to the next one's beginning.
fn items<'a>(
    bytes: &'a [u8],
    open: &'static [u8],
    close: &'static [u8],
) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let start = find(rest, open)?;
        let next = find(&rest[start + open.len()..], open)
            .map_or(rest.len(), |at| start + open.len() + at);
        let item = &rest[start..next];
        rest = &rest[next..];
        let end = find(item, close).map_or(item.len(), |at| at + close.len());
        Some(&item[..end])
    })
}

fn mend_json(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut feed: Value = serde_json::from_slice(bytes).ok()?;
    let fields = feed.as_object_mut()?;
    fields.entry("version").or_insert_with(|| JSON_FEED.into());
    fields.entry("title").or_insert_with(|| "".into());
    let items = fields.get_mut("items")?.as_array_mut()?;
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(id) = item.get_mut("id")
            && id.is_number()
        {
            *id = id.to_string().into();
        }
    }
    serde_json::to_vec(&feed).ok()
}

fn salvage_json(bytes: &[u8], is_readable: impl Fn(&[u8]) -> bool) -> Option<(Vec<u8>, usize)> {
    let mut feed: Value = serde_json::from_slice(bytes).ok()?;
    let items = std::mem::take(feed.get_mut("items")?.as_array_mut()?);
    let n_items = items.len();
    let mut kept = Vec::new();
    for item in items.into_iter().take(MAX_TRIED) {
        feed["items"] = vec![item.clone()].into();
        if serde_json::to_vec(&feed).is_ok_and(|alone| is_readable(&alone)) {
            kept.push(item);
        }
    }
    let n_lost = n_items - kept.len();
    feed["items"] = kept.into();
    serde_json::to_vec(&feed).ok().map(|bytes| (bytes, n_lost))
}

/// Whether XML 1.0 allows the byte, as far as one byte can tell.
const fn is_allowed(byte: u8) -> bool {
    byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r')
}

/// Whether what follows an `&` makes it the beginning of a reference.
fn begins_entity(after: &[u8]) -> bool {
    let Some(end) = after.iter().take(MAX_ENTITY).position(|byte| *byte == b';') else {
        return false;
    };
    let name = &after[..end];
    if let Some(number) = name.strip_prefix(b"#") {
        return is_character(number);
    }
    name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether a number names a character that XML 1.0 allows.
fn is_character(number: &[u8]) -> bool {
    let Ok(number) = std::str::from_utf8(number) else {
        return false;
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    code.ok()
        .and_then(char::from_u32)
        .is_some_and(|char| char >= ' ' || matches!(char, '\t' | '\n' | '\r'))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

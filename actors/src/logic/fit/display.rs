//! What Bluesky shows of a text, with the links, mentions and tags that must be told beside it.

use std::borrow::Cow;
use std::ops::Range;

use super::Limit;
use super::atoms::{Weight, graphemes_of};
use crate::logic::spans::{Scan, SpanKind, cluster_end};
use crate::logic::x_text::is_top_level;

/// How much of a link is shown that is longer than a whole post.
const LINK_SHOWN: usize = 40;
/// The most grapheme clusters of a tag.
const MAX_TAG: usize = 64;
/// The most bytes of a tag.
const MAX_TAG_BYTES: usize = 640;

/// A text as it is shown, with what its pieces lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displayed {
    /// What people read.
    pub text: String,
    /// What leads somewhere, in order and apart from each other.
    pub facets: Vec<Facet>,
}

/// A piece of a displayed text that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// Where it stands, in bytes of UTF-8.
    pub range: Range<usize>,
    /// Where it leads.
    pub kind: FacetKind,
}

/// Where a facet leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FacetKind {
    /// The whole address, with its scheme.
    Link(String),
    /// The handle without its `@`, still to be resolved; no facet where nobody has it.
    Mention(String),
    /// The tag without its sign.
    Tag(String),
}

/// What is shown of a text, or of one of its parts, and where its pieces lead.
///
/// Links are shown in full, but for one that is longer than the limit of a whole post: its
/// beginning is shown, and the facet leads to all of it. [`Limit::measure`] counts what is shown.
pub fn display(text: &str, limit: Limit) -> Displayed {
    let max = limit.max_weight();
    let mut displayed = Displayed {
        text: String::with_capacity(text.len()),
        facets: Vec::new(),
    };
    let mut copied = 0;
    for found in Scan::through_code(text) {
        let span = &text[found.start..found.end];
        let Some(kind) = leads_to(span, found.kind) else {
            continue;
        };
        displayed.text.push_str(&text[copied..found.start]);
        copied = found.end;
        let start = displayed.text.len();
        displayed.text.push_str(&shown(span, found.kind, max));
        let range = start..displayed.text.len();
        displayed.facets.push(Facet { range, kind });
    }
    displayed.text.push_str(&text[copied..]);
    displayed
}

/// How a span is shown where a post may measure at most so much.
pub(super) fn shown(span: &str, kind: SpanKind, max: Weight) -> Cow<'_, str> {
    if !matches!(kind, SpanKind::Url | SpanKind::Domain) {
        return Cow::Borrowed(span);
    }
    // No cluster is smaller than a byte, so most links are not counted.
    let is_short = span.len() <= max.units && span.len() <= max.bytes;
    if is_short || span.len() <= max.bytes && graphemes_of(span) <= max.units {
        return Cow::Borrowed(span);
    }
    let bare = match span.split_once("://") {
        Some((_, bare)) => bare,
        None => span,
    };
    let mut room = LINK_SHOWN.min(max.units.saturating_sub(1));
    let limit_bytes = max.bytes.saturating_sub('…'.len_utf8());
    let mut end = 0;
    while end < bare.len() {
        let next = cluster_end(bare, end);
        let counted = graphemes_of(&bare[end..next]);
        if counted > room || next > limit_bytes {
            break;
        }
        room -= counted;
        end = next;
    }
    let shown = format!("{}…", &bare[..end]);
    if shown.len() < span.len() {
        Cow::Owned(shown)
    } else {
        Cow::Borrowed(span)
    }
}

/// Where a span leads, if Bluesky makes something of it.
fn leads_to(span: &str, kind: SpanKind) -> Option<FacetKind> {
    match kind {
        SpanKind::Url => Some(FacetKind::Link(span.to_owned())),
        SpanKind::Domain => Some(FacetKind::Link(format!("https://{span}"))),
        SpanKind::Mention => {
            let handle = span.strip_prefix('@')?;
            is_handle(handle).then(|| FacetKind::Mention(handle.to_owned()))
        }
        SpanKind::Hashtag => {
            let tag = span.trim_start_matches(['#', '＃']);
            let is_tag = tag.len() <= MAX_TAG_BYTES && graphemes_of(tag) <= MAX_TAG;
            is_tag.then(|| FacetKind::Tag(tag.to_owned()))
        }
        _ => None,
    }
}

/// Whether it is a handle: a host name whose last label is one that exists, or is for tests.
fn is_handle(handle: &str) -> bool {
    let Some((name, top)) = handle.rsplit_once('.') else {
        return false;
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_top = top.eq_ignore_ascii_case("test") || is_top_level(top);
    is_top && name.split('.').all(is_label)
}

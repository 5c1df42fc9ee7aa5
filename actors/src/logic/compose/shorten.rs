//! Cuts a text to its beginning.

use super::Origin;
use super::tail::{below, with_tail};
use crate::logic::fit::{Limit, TooLong, fit_beside};
use crate::logic::links::{leads_to, with_links_apart};
use crate::logic::spans::Scan;

/// What stands at the end of a text that was cut.
const ELLIPSIS: &str = "…";

/// The beginning of a text, with lines below it.
pub(super) fn shorten(text: &str, limit: Limit, tail: &str) -> Result<String, TooLong> {
    let mut room = String::new();
    loop {
        let behind = format!("{room}{ELLIPSIS}{}", below(tail));
        let parts = fit_beside(text, limit, [&behind, &behind])?;
        let begin = parts.first().map(String::as_str).unwrap_or_default();
        let begin = without_pause(begin);
        let n_spans = |text: &str| Scan::through_code(text).count();
        // A cashtag is none with a sign behind it.
        let glued = format!("{begin}{ELLIPSIS}");
        let begin = match n_spans(&glued) == n_spans(begin) {
            true => glued,
            false => format!("{begin} {ELLIPSIS}"),
        };
        let whole = with_tail(&with_links_apart(&begin, limit), tail);
        if limit.fits(&whole) {
            return Ok(whole);
        }
        // Behind an address there stands a blank that was not counted.
        room.push(' ');
    }
}

/// The same with the address of the original among the lines.
pub(super) fn linked(
    text: &str,
    limit: Limit,
    tail: &str,
    origin: Origin<'_>,
) -> Result<String, TooLong> {
    let url = origin.url.filter(|url| !leads_to(tail, url));
    let lines = [Some(tail), url].into_iter().flatten();
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    shorten(text, limit, &lines.join("\n"))
}

/// The beginning of a text without the signs that lead on to what was cut off; those that belong
/// to a span, as the colon of a custom emoji does, stay.
fn without_pause(begin: &str) -> &str {
    let spans = Scan::through_code(begin).map(|span| span.end).last();
    let (kept, behind) = begin.split_at(spans.unwrap_or_default());
    let behind = behind.trim_end_matches(|it: char| it.is_whitespace() || ",;:-–—".contains(it));
    &begin[..kept.len() + behind.len()]
}

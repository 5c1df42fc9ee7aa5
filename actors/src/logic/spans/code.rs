//! Code between backticks.

use crate::domain::SEPARATOR;

/// The most bytes that code in a line may have, so that no stray backtick reads far ahead.
const MAX_INLINE: usize = 1_000;
/// The most bytes of a block.
const MAX_BLOCK: usize = 20_000;
/// How many backticks open a block, which may have many lines.
const FENCE: usize = 3;

/// Where the code ends whose first backtick stands at `start`: behind as many of them as it
/// began with.
pub(super) fn end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if text[..start].ends_with('`') {
        return None;
    }
    let n_ticks = ticks(&bytes[start..]);
    let (max, stops): (_, &[u8]) = if n_ticks < FENCE {
        (MAX_INLINE, &[b'\n', SEPARATOR as u8])
    } else {
        (MAX_BLOCK, &[SEPARATOR as u8])
    };
    let inner = start + n_ticks;
    let last = bytes.len().min(inner.saturating_add(max));
    let mut at = inner;
    while at < last && !stops.contains(&bytes[at]) {
        if bytes[at] != b'`' {
            at += 1;
            continue;
        }
        let closing = ticks(&bytes[at..]);
        if closing == n_ticks {
            let is_empty = text[inner..at].trim().is_empty();
            return (!is_empty).then_some(at + closing);
        }
        at += closing;
    }
    None
}

fn ticks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'`').count()
}

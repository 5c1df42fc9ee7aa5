//! What counts as an emoji, and where a grapheme cluster ends.

use unicode_segmentation::UnicodeSegmentation;

const PRESENTED_AS_EMOJI: char = '\u{fe0f}';
const ENCLOSING_KEYCAP: char = '\u{20e3}';

/// Where the grapheme cluster ends that begins at `start`, which is below the text's length.
pub(in crate::logic) fn cluster_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let next = bytes.get(start + 1).copied().unwrap_or(0);
    if bytes[start].is_ascii() && next.is_ascii() {
        let is_line_end = bytes[start] == b'\r' && next == b'\n';
        return start + 1 + usize::from(is_line_end);
    }
    let mut characters = text[start..].chars();
    if let Some(first) = characters.next().filter(|&first| stands_alone(first))
        && characters.next().is_none_or(stands_alone)
    {
        return start + first.len_utf8();
    }
    let cluster = text[start..].graphemes(true).next();
    start + cluster.map_or(0, str::len)
}

/// Whether the character is a letter that never joins another one like it in a cluster.
///
/// Only what is frequent: asking the tables for each letter takes three times as long.
const fn stands_alone(character: char) -> bool {
    matches!(character,
        ' '..='~' | '\u{c0}'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}'
        | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{3001}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
}

/// Where the emoji ends that begins with the character at `start`.
///
/// Conservative: pictures count, and what Unicode shows as text only when it is asked to be
/// a picture; letters and digits in circles and squares stay text unless asked, too.
pub(super) fn end(text: &str, start: usize) -> Option<usize> {
    let mut characters = text[start..].chars();
    let first = characters.next()?;
    let is_emoji = is_picture(first)
        || is_sometimes_picture(first) && characters.next() == Some(PRESENTED_AS_EMOJI);
    is_emoji.then(|| cluster_end(text, start))
}

/// Where the keycap begins whose enclosing mark stands at `mark`, like `1️⃣`.
pub(super) fn keycap_start(text: &str, mark: usize) -> Option<usize> {
    text[mark..].starts_with(ENCLOSING_KEYCAP).then_some(())?;
    let before = &text[..mark];
    let before = before.strip_suffix(PRESENTED_AS_EMOJI).unwrap_or(before);
    before
        .ends_with(|key: char| key.is_ascii_digit() || key == '#' || key == '*')
        .then(|| before.len() - 1)
}

/// Whether the character is a picture by itself.
const fn is_picture(character: char) -> bool {
    matches!(character,
        '\u{1f1e6}'..='\u{1f1ff}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f7e0}'..='\u{1f7f0}'
        | '\u{1f90c}'..='\u{1f9ff}'
        | '\u{1fa70}'..='\u{1faff}'
        | '\u{1f004}' | '\u{1f0cf}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}'
        | '\u{1f201}' | '\u{1f21a}' | '\u{1f22f}' | '\u{1f232}'..='\u{1f236}'
        | '\u{1f238}'..='\u{1f23a}' | '\u{1f250}' | '\u{1f251}'
        | '\u{231a}' | '\u{231b}' | '\u{23e9}'..='\u{23f3}' | '\u{23f8}'..='\u{23fa}'
        | '\u{25fd}' | '\u{25fe}'
        | '\u{2600}'..='\u{275a}' | '\u{2761}'..='\u{2767}'
        | '\u{2795}'..='\u{2797}' | '\u{27b0}' | '\u{27bf}'
        | '\u{2b1b}' | '\u{2b1c}' | '\u{2b50}' | '\u{2b55}')
}

/// Whether the character is a picture where a variation selector asks for one.
const fn is_sometimes_picture(character: char) -> bool {
    matches!(character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2194}'..='\u{21aa}' | '\u{2328}' | '\u{23cf}' | '\u{24c2}'
        | '\u{25aa}'..='\u{25fc}' | '\u{27a1}' | '\u{2934}' | '\u{2935}'
        | '\u{2b05}'..='\u{2b07}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f170}'..='\u{1f171}' | '\u{1f17e}'..='\u{1f17f}' | '\u{1f202}' | '\u{1f237}')
}

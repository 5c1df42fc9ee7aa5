//! How platforms count what people take for one character.

use std::sync::LazyLock;

use regex::Regex;

/// A grapheme cluster as Unicode defined it before 15.1: Ruby's `\X` before 4.0, and what servers
/// of Bluesky's count that have no newer library. Consonants that a virama joins are apart.
static CLUSTER: LazyLock<Regex> = LazyLock::new(|| {
    let hangul = r"\p{gcb=L}*(?:\p{gcb=V}+|\p{gcb=LV}\p{gcb=V}*|\p{gcb=LVT})\p{gcb=T}*|\p{gcb=L}+|\p{gcb=T}+";
    let picture = r"\p{ExtPict}(?:\p{gcb=Extend}*\u{200d}\p{ExtPict})*";
    let core = format!(r"{hangul}|\p{{gcb=RI}}{{2}}|{picture}|[^\r\n\p{{gcb=Control}}]");
    let behind = r"[\p{gcb=Extend}\u{200d}\p{gcb=SpacingMark}]*";
    let rule = format!(r"\r\n|[\r\n\p{{gcb=Control}}]|\p{{gcb=Prepend}}*(?:{core}){behind}");
    Regex::new(&rule).expect("a pattern")
});

/// How many grapheme clusters a text has.
pub(super) fn clusters(text: &str) -> usize {
    CLUSTER.find_iter(text).count()
}

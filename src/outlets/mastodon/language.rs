//! Languages as Mastodon names them.

use babelfeed_actors::domain::Language;

/// Codes that changed their name, and those of languages that Mastodon knows by another.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("fil", "tl"),
    ("in", "id"),
    ("iw", "he"),
    ("ji", "yi"),
    ("mo", "ro"),
    ("sh", "sr"),
];

/// The regions whose Chinese Mastodon tells apart, and under which name.
const CHINESE: [(&str, &str); 8] = [
    ("CN", "zh-CN"),
    ("SG", "zh-CN"),
    ("Hans", "zh-CN"),
    ("HK", "zh-HK"),
    ("MO", "zh-HK"),
    ("TW", "zh-TW"),
    ("Hant", "zh-TW"),
    ("yue", "zh-YUE"),
];

/// The code by which Mastodon knows a language: one of ISO 639, and of Chinese also which, since
/// that is read in other characters. What it does not know it silently replaces by the account's
/// own language, so other regions and scripts are left out.
pub(super) fn code(language: &Language) -> String {
    let primary = language.primary();
    if matches!(primary, "zh" | "yue") {
        let subtags = || language.as_str().rsplit('-');
        let known = |subtag: &str| CHINESE.iter().find(|(name, _)| *name == subtag);
        // A region says more than a script, but for one whose usual script is another.
        let simplified = subtags().find(|subtag| *subtag == "Hans").and_then(known);
        let named = simplified.or_else(|| subtags().find_map(known));
        return named.map_or(primary, |(_, code)| code).to_owned();
    }
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == primary);
    other.map_or(primary, |(_, other)| other).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_the_code_that_mastodon_knows() {
        for (tag, expected) in [
            ("pt-BR", "pt"),
            ("zh", "zh"),
            ("zh-TW", "zh-TW"),
            ("zh-Hant", "zh-TW"),
            ("zh-Hant-HK", "zh-HK"),
            ("zh-Hans", "zh-CN"),
            ("zh-Hans-MY", "zh-CN"),
            ("zh-Hans-HK", "zh-CN"),
            ("yue-HK", "zh-HK"),
            ("yue", "zh-YUE"),
            ("es", "es"),
            ("iw", "he"),
            ("fil-PH", "tl"),
            ("ast", "ast"),
        ] {
            assert_eq!(code(&tag.parse().expect("a tag")), expected, "{tag}");
        }
    }
}

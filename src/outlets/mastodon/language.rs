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

/// The code of ISO 639 by which Mastodon knows a language. What it does not know it silently
/// replaces by the account's own language, so regions and scripts are left out.
pub(super) fn code(language: &Language) -> String {
    let primary = language.primary();
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
            ("zh-Hant-TW", "zh"),
            ("es", "es"),
            ("iw", "he"),
            ("fil-PH", "tl"),
            ("ast", "ast"),
        ] {
            assert_eq!(code(&tag.parse().expect("a tag")), expected, "{tag}");
        }
    }
}

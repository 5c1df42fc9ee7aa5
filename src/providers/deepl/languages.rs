//! The codes by which DeepL knows languages.

use babelfeed_actors::domain::Language;

/// The code of a language that texts are in: always the plain one.
pub(super) fn source(language: &Language) -> String {
    plain(language).to_uppercase()
}

/// The code of a language to translate into: three want a variant, which a plain tag does not
/// name; then it is the one that most people write.
pub(super) fn target(language: &Language) -> String {
    let tag = language.as_str();
    let mut parts = tag.split('-').skip(1);
    let mut names = |wanted: &[&str]| parts.any(|part| wanted.contains(&part));
    match plain(language) {
        // Everywhere but in North America, English is written nearer to the British.
        "en" if tag == "en" || names(&["US", "CA"]) => "EN-US".to_owned(),
        "en" => "EN-GB".to_owned(),
        "pt" if tag == "pt" || names(&["BR"]) => "PT-BR".to_owned(),
        "pt" => "PT-PT".to_owned(),
        "zh" if tag.contains("-Hans") => "ZH-HANS".to_owned(),
        "zh" if names(&["Hant", "TW", "HK", "MO"]) => "ZH-HANT".to_owned(),
        "zh" => "ZH-HANS".to_owned(),
        other => other.to_uppercase(),
    }
}

/// The code of a language in a glossary, in lowercase: the plain one.
pub(super) fn of_glossary(language: &Language) -> &str {
    plain(language)
}

/// The primary subtag as DeepL writes it: of Norwegian it has Bokmål alone.
fn plain(language: &Language) -> &str {
    match language.primary() {
        "no" => "nb",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_take_the_codes_of_the_api() {
        for (tag, as_source, as_target) in [
            ("es", "ES", "ES"),
            ("es-MX", "ES", "ES"),
            ("uk", "UK", "UK"),
            ("en", "EN", "EN-US"),
            ("en-US", "EN", "EN-US"),
            ("en-GB", "EN", "EN-GB"),
            ("en-AU", "EN", "EN-GB"),
            ("pt", "PT", "PT-BR"),
            ("pt-BR", "PT", "PT-BR"),
            ("pt-PT", "PT", "PT-PT"),
            ("pt-AO", "PT", "PT-PT"),
            ("zh", "ZH", "ZH-HANS"),
            ("zh-CN", "ZH", "ZH-HANS"),
            ("zh-TW", "ZH", "ZH-HANT"),
            ("zh-Hant-HK", "ZH", "ZH-HANT"),
            ("zh-Hans-HK", "ZH", "ZH-HANS"),
            ("no", "NB", "NB"),
            ("nb", "NB", "NB"),
        ] {
            let language: Language = tag.parse().expect("a tag");
            assert_eq!(source(&language), as_source, "{tag}");
            assert_eq!(target(&language), as_target, "{tag}");
        }
    }
}

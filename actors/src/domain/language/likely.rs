//! What a language's tag leaves unsaid: the one name of several, and the script it is written in.
//!
//! Both from Unicode's CLDR (`supplementalMetadata.xml`, `likelySubtags.xml`), for the languages
//! that are written on the networks served here; of others nothing is assumed.

/// The names that CLDR replaces: retired ones, macro languages, and codes of three letters.
const ALIASES: [(&str, &str); 55] = [
    ("ara", "ar"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("est", "et"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("in", "id"),
    ("ind", "id"),
    ("ita", "it"),
    ("iw", "he"),
    ("ji", "yi"),
    ("jpn", "ja"),
    ("jw", "jv"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mo", "ro"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("no", "nb"),
    ("nob", "nb"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("prs", "fa"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sh", "sr"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tl", "fil"),
    ("tur", "tr"),
    ("ukr", "uk"),
];

/// The script of a language whose tag names none; what begins with `region-` holds there alone.
const SCRIPTS: [(&str, &str); 20] = [
    (
        "Latn",
        "af az bs ca cs cy da de en eo es et eu fi fil fo fr fy ga gd gl ha hr ht hu id ig is it jv \
         ku lb lt lv mg ms mt nb nl nn oc pl pt ro sk sl so sq st su sv sw tk tr uz vi xh yo zu \
         ME-sr RO-sr TR-sr TR-kk",
    ),
    ("Cyrl", "be bg kk ky mk mn ru sr tg tt uk ba ce cv"),
    (
        "Arab",
        "ar ckb fa ps sd ug ur IR-az AF-uz PK-pa CN-kk IQ-ku IR-ku IR-tk CN-ky",
    ),
    ("Hebr", "he yi"),
    ("Grek", "el"),
    ("Armn", "hy"),
    ("Geor", "ka"),
    ("Deva", "hi mr ne sa mai bho IN-sd"),
    ("Beng", "bn as"),
    ("Guru", "pa"),
    ("Gujr", "gu"),
    ("Taml", "ta"),
    ("Telu", "te"),
    ("Knda", "kn"),
    ("Mlym", "ml"),
    ("Thai", "th"),
    ("Jpan", "ja"),
    ("Kore", "ko"),
    ("Hans", "zh CN-yue"),
    ("Hant", "yue TW-zh HK-zh MO-zh"),
];

/// The name that stands for another one of the same language; none for what is that name.
pub(super) fn alias(primary: &str) -> Option<&'static str> {
    let found = ALIASES.binary_search_by_key(&primary, |(alias, _)| alias);
    found.ok().map(|at| ALIASES[at].1)
}

/// The script that a language is written in where its tag names none; none if that is not known.
pub(super) fn script(primary: &str, region: Option<&str>) -> Option<&'static str> {
    let there = region.and_then(|region| {
        find(|entry| {
            let entry = entry.strip_prefix(region);
            entry.and_then(|entry| entry.strip_prefix('-')) == Some(primary)
        })
    });
    there.or_else(|| find(|entry| entry == primary))
}

fn find(is_it: impl Fn(&str) -> bool) -> Option<&'static str> {
    let has_it = |languages: &str| languages.split_ascii_whitespace().any(&is_it);
    let found = SCRIPTS.iter().find(|(_, languages)| has_it(languages));
    found.map(|(script, _)| *script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_stand_in_order_so_that_they_are_found() {
        assert!(ALIASES.is_sorted());
        for (alias, name) in ALIASES {
            assert_eq!(
                (super::alias(alias), super::alias(name)),
                (Some(name), None)
            );
        }
    }
}

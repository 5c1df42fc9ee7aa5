//! Which formality a tone asks for.

const FORMAL: [&str; 3] = ["formal", "formally", "polite"];
const INFORMAL: [&str; 4] = ["informal", "informally", "casual", "colloquial"];
/// Words that may turn a tone into its opposite.
const TURNING: [&str; 6] = ["not", "no", "never", "less", "without", "avoid"];

/// The formality that a tone names, without fail where the language knows none.
///
/// `prefer_more` and `prefer_less` are taken for every target; `more` and `less` are not.
pub(super) fn formality(tone: &str) -> Option<&'static str> {
    let tone = tone.to_lowercase();
    let has = |words: &[&str]| {
        let mut said = tone.split(|letter: char| !letter.is_alphabetic());
        said.any(|word| words.contains(&word))
    };
    match (has(&FORMAL), has(&INFORMAL), has(&TURNING)) {
        (true, false, false) => Some("prefer_more"),
        (false, true, false) => Some("prefer_less"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_asks_for_a_formality_only_where_it_is_plain() {
        for (tone, expected) in [
            ("formal", Some("prefer_more")),
            ("Formal, like a newspaper", Some("prefer_more")),
            ("informal", Some("prefer_less")),
            ("casual and short", Some("prefer_less")),
            ("not formal", None),
            ("neither formal nor informal", None),
            ("like a pirate", None),
            ("", None),
        ] {
            assert_eq!(formality(tone), expected, "{tone}");
        }
    }
}

//! What becomes of hashtags where a translation is published, and how their words are translated:
//! behind the text, beside the other words that hang on it.

use std::borrow::Cow;

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::spans::{Found, Numbers, Scan, SpanKind};
use crate::domain::SEPARATOR;

/// The most hashtags of a text that are translated.
const MOST: usize = 10;

/// What becomes of hashtags at an outlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hashtags {
    /// They stay as they are.
    #[default]
    Keep,
    /// Their translations stand in their places.
    Translate,
    /// They stay, and as many translations as fit stand behind the text.
    Both,
}

/// The hashtags of a text with their translations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated(Vec<(Box<str>, Box<str>)>);

/// The hashtags of a text that can be translated, each once, with their signs.
pub fn hashtags(text: &str) -> Vec<Box<str>> {
    let mut tags: Vec<Box<str>> = Vec::new();
    for (_, tag) in places(text) {
        let is_known = tags.iter().any(|known| is_same(known, tag));
        if !is_known && tags.len() < MOST {
            tags.push(tag.into());
        }
    }
    tags
}

/// The text with the words of its hashtags behind it, to be translated together.
pub fn with_words(joined: &str, tags: &[Box<str>]) -> String {
    let mut longer = joined.to_owned();
    for tag in tags {
        longer.push('\n');
        longer.push(SEPARATOR);
        longer.push('\n');
        longer.push_str(&words(tag));
    }
    longer
}

/// The translation of `joined` alone, and those of its hashtags, of what [`with_words`] became.
///
/// What is no hashtag in its new words, or the same as before, counts as not translated.
pub fn apart<'a>(translated: &'a str, joined: &str, tags: &[Box<str>]) -> (&'a str, Translated) {
    let n_before = joined.matches(SEPARATOR).count();
    let Some((end, _)) = translated.match_indices(SEPARATOR).nth(n_before) else {
        return (translated, Translated::default());
    };
    let pieces = translated[end + SEPARATOR.len_utf8()..].split(SEPARATOR);
    let pairs = tags.iter().zip(pieces).filter_map(|(tag, words)| {
        let new = hashtag(words).filter(|new| !is_same(new, tag))?;
        Some((tag.clone(), new.into()))
    });
    (translated[..end].trim_end(), Translated(pairs.collect()))
}

impl Translated {
    /// Translations of hashtags that are not known any more.
    pub(super) fn alone<'a>(tags: impl Iterator<Item = &'a str>) -> Self {
        Self(tags.map(|tag| (tag.into(), tag.into())).collect())
    }

    /// The text with translations in the places of its hashtags.
    pub fn in_place<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut written = String::new();
        let mut copied = 0;
        for (start, tag) in places(text) {
            let new = self.0.iter().find(|(old, _)| is_same(old, tag));
            if let Some((_, new)) = new {
                written.push_str(&text[copied..start]);
                written.push_str(new);
                copied = start + tag.len();
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        written.push_str(&text[copied..]);
        Cow::Owned(written)
    }

    /// Texts with fewer and fewer translations behind them, from all to one.
    pub fn behind<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        let mut new: Vec<&str> = Vec::new();
        for (_, tag) in &self.0 {
            let stands = |other: &str| is_same(other, tag);
            if !new.iter().any(|it| stands(it)) && !places(text).any(|(_, it)| stands(it)) {
                new.push(tag);
            }
        }
        let ends_with_tag = places(text)
            .last()
            .is_some_and(|(start, tag)| start + tag.len() == text.trim_end().len());
        let gap = if ends_with_tag { " " } else { "\n\n" };
        let all = new.len();
        (1..=all)
            .rev()
            .map(move |n| format!("{}{gap}{}", text.trim_end(), new[..n].join(" ")))
    }
}

/// Where the hashtags of a text stand, with their signs.
fn places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tags = Scan::new(text, Numbers::Translated);
    let tags = tags.filter(|found| found.kind == SpanKind::Hashtag);
    tags.map(|found| (found.start, &text[found.start..found.end]))
}

/// Whether networks take them for one.
fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The words of a hashtag, as far as its capitals and lines tell them.
fn words(tag: &str) -> String {
    let tag = tag.trim_start_matches(['#', '＃']);
    let letters: Vec<char> = tag.chars().collect();
    let mut words = String::with_capacity(tag.len() + 8);
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_some_and(|after| after.is_lowercase())
            });
        if letter == '_' {
            words.push(' ');
            continue;
        }
        if begins && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push(letter);
    }
    words.trim().to_owned()
}

/// Words as one hashtag, joined, each of several beginning with a capital; none if networks
/// would make none of it.
fn hashtag(words: &str) -> Option<String> {
    // What the words of a language are written with, like an apostrophe, parts no words.
    let plain: String = words.chars().filter(|it| !"'’".contains(*it)).collect();
    let is_part = |it: char| it.is_alphanumeric() || is_mark(it);
    let words: Vec<&str> = plain
        .split(|it| !is_part(it))
        .filter(|word| !word.is_empty())
        .collect();
    let mut tag = String::from("#");
    for word in &words {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if words.len() > 1 => tag.extend(first.to_uppercase()),
            Some(first) => tag.push(first),
            None => {}
        }
        tag.push_str(letters.as_str());
    }
    let whole = |found: Found| found.kind == SpanKind::Hashtag && found.end == tag.len();
    let is_tag = Scan::through_code(&tag).next().is_some_and(whole);
    is_tag.then_some(tag)
}

/// Whether the character only modifies the letter before it, as vowels of many scripts do.
fn is_mark(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    GeneralCategoryGroup::Mark.contains(category)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::x_text::{EntityKind, entities};

    fn translated(text: &str, answer: &str) -> Translated {
        let tags = hashtags(text);
        apart(answer, text, &tags).1
    }

    #[test]
    fn the_words_of_a_hashtag_are_told_by_its_capitals() {
        for (tag, expected) in [
            ("#ferry", "ferry"),
            ("#FerryStrike", "Ferry Strike"),
            ("#ferry_strike", "ferry strike"),
            ("#NASALaunch2024", "NASA Launch2024"),
            ("＃日本語", "日本語"),
            ("#Huelga2024Ya", "Huelga2024 Ya"),
        ] {
            assert_eq!(words(tag), expected, "{tag}");
        }
    }

    #[test]
    fn words_become_a_hashtag_that_networks_make_a_link_of() {
        for (words, expected) in [
            ("barco", Some("#barco")),
            ("huelga de ferris", Some("#HuelgaDeFerris")),
            ("L'été à Paris!", Some("#LétéÀParis")),
            ("हिन्दी भाषा", Some("#हिन्दीभाषा")),
            ("船の ストライキ", Some("#船のストライキ")),
            ("#barco", Some("#barco")),
            ("2024", None),
            ("…", None),
            ("", None),
        ] {
            let tag = hashtag(words);
            assert_eq!(tag.as_deref(), expected, "{words}");
            if let Some(tag) = tag {
                let found = entities(&tag);
                assert!(
                    found.iter().all(|it| it.kind == EntityKind::Hashtag),
                    "{tag}"
                );
                assert_eq!(found.len(), 1, "{tag}");
            }
        }
    }

    #[test]
    fn what_goes_out_with_the_words_of_hashtags_comes_apart_again() {
        let text = "The #FerryStrike, #ferrystrike and #Rust.";
        let joined = &format!("{text}\n\u{1e}\nA boat #Not");
        let tags = hashtags(text);
        assert_eq!(tags, [Box::from("#FerryStrike"), Box::from("#Rust")]);
        let longer = with_words(joined, &tags);
        assert!(longer.ends_with("\n\u{1e}\nFerry Strike\n\u{1e}\nRust"));
        let (text, found) = apart(
            "La #FerryStrike, #ferrystrike y #Rust.\n\u{1e}\nUn barco #Not\n\u{1e}\nhuelga de ferris\n\u{1e}\nRust",
            joined,
            &tags,
        );
        assert_eq!(
            text,
            "La #FerryStrike, #ferrystrike y #Rust.\n\u{1e}\nUn barco #Not"
        );
        assert_eq!(
            found.in_place("La #FerryStrike, #ferrystrike y #Rust."),
            "La #HuelgaDeFerris, #HuelgaDeFerris y #Rust."
        );
        assert_eq!(
            apart("Nada", joined, &tags),
            ("Nada", Translated::default())
        );
    }

    #[test]
    fn translations_stand_behind_the_text_fewer_and_fewer() {
        let found = translated("#Boat #Strike #Rust", "…\u{1e}barco\u{1e}huelga\u{1e}rust");
        let texts: Vec<String> = found.behind("Hola.").collect();
        assert_eq!(texts, ["Hola.\n\n#barco #huelga", "Hola.\n\n#barco"]);
        let texts: Vec<String> = found.behind("Hola #Barco #Rust").collect();
        assert_eq!(texts, ["Hola #Barco #Rust #huelga"]);
    }

    #[test]
    fn a_text_without_hashtags_stays() {
        assert_eq!(hashtags("No. 1 # and `#code`"), [] as [Box<str>; 0]);
        let found = translated("#Boat", "…\u{1e}barco");
        assert!(matches!(found.in_place("Nada"), Cow::Borrowed("Nada")));
    }
}

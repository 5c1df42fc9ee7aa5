//! Many phrases that are looked for in a text at once.

/// Phrases of two bytes and more, found in one pass over a text.
///
/// Looking for one after another cost more than all other checks together.
#[derive(Debug)]
pub(super) struct Phrases {
    /// The first two bytes of every phrase, as bits.
    beginnings: Box<[u64; 1_024]>,
    /// The phrases behind their first two bytes, in that order.
    phrases: Vec<(u16, &'static str)>,
}

impl Phrases {
    /// These phrases.
    pub(super) fn of(phrases: &[&'static str]) -> Self {
        let mut beginnings = Box::new([0; 1_024]);
        let mut sorted: Vec<(u16, &'static str)> = phrases
            .iter()
            .filter_map(|phrase| Some((beginning(phrase.as_bytes())?, *phrase)))
            .collect();
        sorted.sort_unstable();
        for (beginning, _) in &sorted {
            let beginning = usize::from(*beginning);
            beginnings[beginning / 64] |= 1 << (beginning % 64);
        }
        Self {
            beginnings,
            phrases: sorted,
        }
    }

    /// Whether any of them stands in the text.
    pub(super) fn any_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut beginnings = text.windows(2).enumerate();
        beginnings.any(|(at, two)| {
            let beginning = u16::from_be_bytes([two[0], two[1]]);
            self.is_one_beginning(beginning) && self.is_one_of(beginning, &text[at..])
        })
    }

    fn is_one_beginning(&self, beginning: u16) -> bool {
        let place = usize::from(beginning);
        self.beginnings[place / 64] & 1 << (place % 64) != 0
    }

    fn is_one_of(&self, beginning: u16, rest: &[u8]) -> bool {
        let first = self.phrases.partition_point(|(it, _)| *it < beginning);
        let alike = self.phrases[first..].iter();
        let mut alike = alike.take_while(|(it, _)| *it == beginning);
        alike.any(|(_, phrase)| rest.starts_with(phrase.as_bytes()))
    }
}

fn beginning(text: &[u8]) -> Option<u16> {
    text.first_chunk().map(|two| u16::from_be_bytes(*two))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_found_just_where_each_of_them_would_be(text in "[abcü翻译 ]{0,12}") {
            let list = ["ab", "abc", "ca b", "üa", "翻译", "c翻"];
            let found = Phrases::of(&list).any_in(&text);
            prop_assert_eq!(found, list.iter().any(|phrase| text.contains(phrase)));
        }
    }
}

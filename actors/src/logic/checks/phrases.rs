//! Many phrases that are looked for in a text at once.

/// Phrases of three bytes and more, found in one pass over a text.
///
/// Looking for one after another cost more than all other checks together.
#[derive(Debug)]
pub(super) struct Phrases {
    /// The beginnings of all phrases, as bits.
    beginnings: [u64; N_BEGINNINGS / 64],
    /// The phrases behind their beginnings, in that order.
    phrases: Vec<(usize, &'static str)>,
}

/// Beginnings are told apart by so many numbers, few enough to stay in the nearest cache.
const N_BEGINNINGS: usize = 4_096;

impl Phrases {
    /// These phrases.
    pub(super) fn of(phrases: &[&'static str]) -> Self {
        let mut beginnings = [0; N_BEGINNINGS / 64];
        let mut sorted: Vec<(usize, &'static str)> = phrases
            .iter()
            .filter_map(|phrase| {
                let three = phrase.as_bytes().first_chunk::<3>()?.iter();
                let three = three.fold(0, |three, byte| followed(three, *byte));
                Some((beginning(three), *phrase))
            })
            .collect();
        sorted.sort_unstable();
        for (beginning, _) in &sorted {
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
        let mut three = 0;
        text.iter().enumerate().any(|(last, byte)| {
            three = followed(three, *byte);
            let beginning = beginning(three);
            let is_known = self.beginnings[beginning / 64] & 1 << (beginning % 64) != 0;
            is_known && last >= 2 && self.is_one_of(beginning, &text[last - 2..])
        })
    }

    fn is_one_of(&self, beginning: usize, rest: &[u8]) -> bool {
        let first = self.phrases.partition_point(|(it, _)| *it < beginning);
        let alike = self.phrases[first..].iter();
        let mut alike = alike.take_while(|(it, _)| *it == beginning);
        alike.any(|(_, phrase)| rest.starts_with(phrase.as_bytes()))
    }
}

/// The last two of three bytes, and the one that follows.
fn followed(three: u32, byte: u8) -> u32 {
    (three << 8 | u32::from(byte)) & 0xff_ffff
}

/// The number of three bytes; few others have the same.
fn beginning(three: u32) -> usize {
    // Any odd number with its bits well spread does.
    (three.wrapping_mul(0x9e37_79b1) >> 20) as usize % N_BEGINNINGS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_found_just_where_each_of_them_would_be(text in "[abcü翻译 ]{0,12}") {
            let list = ["abü", "abc", "ca b", "üa", "翻译", "c翻"];
            let found = Phrases::of(&list).any_in(&text);
            prop_assert_eq!(found, list.iter().any(|phrase| text.contains(phrase)));
        }
    }
}

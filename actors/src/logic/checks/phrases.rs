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

/// Beginnings are told apart by so many bits, few enough for a table that stays in the nearest
/// cache.
const N_BITS: u32 = 14;
const N_BEGINNINGS: usize = 1 << N_BITS;

impl Phrases {
    /// These phrases.
    pub(super) fn of(phrases: &[&'static str]) -> Self {
        let phrases = phrases.iter().filter_map(|phrase| {
            let three = phrase.as_bytes().first_chunk()?;
            Some((beginning(*three), *phrase))
        });
        Self::with(phrases.collect())
    }

    /// These phrases and those.
    pub(super) fn and(&self, others: &Self) -> Self {
        Self::with([&*self.phrases, &*others.phrases].concat())
    }

    fn with(mut phrases: Vec<(usize, &'static str)>) -> Self {
        let mut beginnings = [0; N_BEGINNINGS / 64];
        phrases.sort_unstable();
        for (beginning, _) in &phrases {
            beginnings[beginning / 64] |= 1 << (beginning % 64);
        }
        Self {
            beginnings,
            phrases,
        }
    }

    /// Whether any of them stands in the text.
    pub(super) fn any_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut threes = text.windows(3).enumerate();
        threes.any(|(at, three)| {
            let beginning = beginning([three[0], three[1], three[2]]);
            let is_known = self.beginnings[beginning / 64] & 1 << (beginning % 64) != 0;
            is_known && self.is_one_of(beginning, &text[at..])
        })
    }

    #[inline(never)]
    fn is_one_of(&self, beginning: usize, rest: &[u8]) -> bool {
        let first = self.phrases.partition_point(|(it, _)| *it < beginning);
        let alike = self.phrases[first..].iter();
        let mut alike = alike.take_while(|(it, _)| *it == beginning);
        alike.any(|(_, phrase)| rest.starts_with(phrase.as_bytes()))
    }
}

/// The number of three bytes; few others have the same.
fn beginning([first, second, third]: [u8; 3]) -> usize {
    let three = u32::from_le_bytes([first, second, third, 0]);
    // Any odd number with its bits well spread does.
    (three.wrapping_mul(0x9e37_79b1) >> (32 - N_BITS)) as usize
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

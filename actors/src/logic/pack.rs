//! How large a pack may be: what a provider digests, what a permit holds, what a limit leaves.

use crate::domain::Tokens;
use crate::logic::estimate::{Rate, Weight};

/// A share of broken texts up to which larger packs are still cheaper than smaller ones.
const BEARABLE: f64 = 0.2;
/// So many texts' worth of broken packs beyond what is bearable make packs smaller: three whole
/// packs in a row, or many half broken ones.
const DOUBT: f64 = 2.0;
/// So many clean answers let packs grow by one text.
const CLEAN: u32 = 8;
/// So many let them grow to a size that broke before.
const CLEAN_AGAIN: u32 = 128;
/// A call takes at most this share of what a minute allows, so that little is left unused.
const SHARE_OF_MINUTE: f64 = 0.05;
/// The least tokens that a call may have whatever a minute allows: a smaller one would be
/// mostly prompt.
const LEAST_BUDGET: f64 = 1_500.0;

/// How many texts a model digests in one call, learned from what came back broken.
#[derive(Clone, Debug, Default)]
pub struct Digestion {
    /// The most texts; none as long as nothing broke.
    most: Option<usize>,
    /// The size at which it broke the last time.
    broke_at: usize,
    doubt: f64,
    clean: u32,
}

impl Digestion {
    /// The most texts in one call, of at most `wanted`, at least one.
    pub fn size(&self, wanted: usize) -> usize {
        self.most.map_or(wanted, |most| most.min(wanted)).max(1)
    }

    /// Learns from a call of so many texts, of which so many came back broken, when at most
    /// `wanted` would have gone together.
    ///
    /// Now and then a broken answer says nothing about size; only if smaller packs would
    /// deliver more for each call, packs become smaller.
    pub fn learn(&mut self, n_sent: usize, n_broken: usize, wanted: usize) {
        let size = self.size(wanted);
        if n_sent < 2 || n_sent * 4 < size * 3 {
            return;
        }
        let share = n_broken as f64 / n_sent as f64;
        self.doubt = (self.doubt + share - BEARABLE).max(0.0);
        if self.doubt > DOUBT {
            self.shrink(n_sent);
            return;
        }
        if self.most.is_none() || share > BEARABLE {
            return;
        }
        self.clean += 1;
        let needed = if size + 1 < self.broke_at {
            CLEAN
        } else {
            CLEAN_AGAIN
        };
        if self.clean >= needed {
            self.clean = 0;
            self.most = Some(size + 1).filter(|most| *most < wanted);
        }
    }

    /// Learns that a call of so many texts was larger than the provider takes.
    pub fn was_too_large(&mut self, n_sent: usize) {
        if n_sent > 1 && self.most.is_none_or(|most| n_sent <= most) {
            self.shrink(n_sent);
        }
    }

    fn shrink(&mut self, n_sent: usize) {
        self.most = Some((n_sent / 2).max(1));
        self.broke_at = n_sent;
        (self.doubt, self.clean) = (0.0, 0);
    }
}

/// What a pack must stay within.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most texts.
    pub texts: usize,
    /// The most bytes of texts; none: as many as wanted.
    pub bytes: Option<usize>,
    /// What its tokens are counted by, and how many were granted; none: nobody counts.
    pub tokens: Option<(Rate, Tokens)>,
}

/// A pack while it is filled.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    bounds: Bounds,
    n_texts: usize,
    bytes: usize,
    weight: Weight,
}

impl Filling {
    /// An empty pack.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            n_texts: 0,
            bytes: 0,
            weight: Weight::default(),
        }
    }

    /// Whether another text would stay within what was granted. The first text of a pack is
    /// never too many or too long, since it can only go alone.
    pub fn takes(&self, weight: Weight, bytes: usize) -> bool {
        let within = |(rate, granted): (Rate, Tokens)| {
            let needed = rate.tokens(self.weight + weight);
            needed.input <= granted.input && needed.output <= granted.output
        };
        let Bounds {
            texts,
            bytes: most_bytes,
            tokens,
        } = self.bounds;
        let has_place =
            self.n_texts < texts && most_bytes.is_none_or(|most| self.bytes + bytes <= most);
        (self.n_texts == 0 || has_place) && tokens.is_none_or(within)
    }

    /// Whether it has as many texts as it may have.
    pub const fn is_full(&self) -> bool {
        self.n_texts >= self.bounds.texts
    }

    /// Puts a text into the pack.
    pub fn add(&mut self, weight: Weight, bytes: usize) {
        self.n_texts += 1;
        self.bytes += bytes;
        self.weight = self.weight + weight;
    }

    /// The most tokens that its answer is allowed, where anybody counts.
    pub fn answer(&self) -> Option<u64> {
        let (rate, _) = self.bounds.tokens?;
        Some(rate.answer(self.weight))
    }
}

/// The most tokens of one call, where limits of the lane are known; `per_minute` may stand for
/// what the money of a day buys as well, of which a call should not be much either.
///
/// What a window leaves unused grows with the size of calls, and what a call is above a whole
/// window can never be granted.
pub fn budget(per_minute: Option<f64>, per_second: Option<f64>) -> Option<u64> {
    let of_minute = per_minute.map(|limit| (limit * SHARE_OF_MINUTE).max(LEAST_BUDGET).min(limit));
    of_minute
        .into_iter()
        .chain(per_second)
        .reduce(f64::min)
        .map(|budget| budget.max(1.0) as u64)
}

/// How many texts of an average weight go into one call within a budget, at least one.
pub fn texts_within(budget: Option<u64>, rate: Rate, average: Weight, wanted: usize) -> usize {
    let Some(budget) = budget else {
        return wanted;
    };
    let (mut least, mut most) = (1, wanted.max(1));
    // Tokens rise with the texts, so halving finds the last number that stays within.
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        let n = middle as u64;
        let weight = Weight {
            input: average.input * n,
            output: average.output * n,
        };
        if rate.tokens(weight).total() <= budget {
            least = middle;
        } else {
            most = middle - 1;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Pair;
    use crate::logic::estimate::Estimates;

    fn rate() -> Rate {
        Estimates::default().rate(&Pair {
            source: None,
            target: "es".parse().expect("a tag"),
        })
    }

    fn weight(tokens: u64) -> Weight {
        Weight {
            input: tokens,
            output: tokens,
        }
    }

    #[test]
    fn what_breaks_again_and_again_is_sent_in_smaller_packs() {
        let mut digestion = Digestion::default();
        let mut sizes = Vec::new();
        for _ in 0..12 {
            let size = digestion.size(20);
            sizes.push(size);
            digestion.learn(size, if size > 4 { size } else { 0 }, 20);
        }
        assert_eq!(sizes, [20, 20, 20, 10, 10, 10, 5, 5, 5, 2, 2, 2]);
    }

    #[test]
    fn packs_grow_slowly_up_to_the_size_that_broke_and_stay_below_it() {
        let mut digestion = Digestion::default();
        let (mut n_broken, mut n_texts) = (0, 0);
        for _ in 0..1_000 {
            let size = digestion.size(20);
            let is_broken = size > 8;
            n_broken += usize::from(is_broken);
            n_texts += if is_broken { 0 } else { size };
            digestion.learn(size, if is_broken { size } else { 0 }, 20);
        }
        assert!(n_broken <= 30, "{n_broken}");
        assert!(n_texts >= 6_000, "{n_texts}");
    }

    #[test]
    fn an_answer_in_twenty_that_breaks_leaves_packs_as_large_as_they_are() {
        let mut digestion = Digestion::default();
        let mut random = fastrand::Rng::with_seed(3);
        let (mut n_calls, mut n_texts) = (0, 0);
        for _ in 0..10_000 {
            let size = digestion.size(20);
            let n_broken = if random.u32(..20) == 0 { size } else { 0 };
            digestion.learn(size, n_broken, 20);
            n_calls += 1;
            n_texts += size;
        }
        assert!(n_texts >= n_calls * 19, "{n_texts} in {n_calls}");
    }

    #[test]
    fn a_call_that_is_too_large_halves_packs_at_once() {
        let mut digestion = Digestion::default();
        digestion.was_too_large(20);
        // Under way since before it was known.
        digestion.was_too_large(20);
        assert_eq!(digestion.size(20), 10);
        digestion.was_too_large(10);
        assert_eq!(digestion.size(20), 5);
        assert_eq!(digestion.size(0), 1);
    }

    #[test]
    fn a_pack_stays_within_what_was_granted() {
        let granted = rate().tokens(weight(250));
        let mut filling = Filling::new(Bounds {
            texts: 10,
            bytes: None,
            tokens: Some((rate(), granted)),
        });
        let mut n_taken = 0;
        while filling.takes(weight(40), 100) {
            filling.add(weight(40), 100);
            n_taken += 1;
        }
        assert_eq!(n_taken, 6);
        assert!(filling.answer().expect("counted") <= granted.output);
        assert!(filling.takes(weight(10), 100));
    }

    #[test]
    fn a_pack_has_bounds_in_texts_and_bytes_but_takes_one_text_always() {
        let bounds = Bounds {
            texts: 2,
            bytes: Some(100),
            tokens: None,
        };
        let mut filling = Filling::new(bounds);
        assert!(filling.takes(weight(1), 500));
        filling.add(weight(1), 60);
        assert!(!filling.takes(weight(1), 41));
        assert!(filling.takes(weight(1), 40));
        filling.add(weight(1), 40);
        assert!(!filling.takes(weight(1), 0));
    }

    #[test]
    fn a_call_is_a_small_part_of_what_a_minute_allows() {
        assert_eq!(budget(Some(60_000.0), None), Some(3_000));
        assert_eq!(budget(Some(6_000.0), None), Some(1_500));
        assert_eq!(budget(Some(500.0), None), Some(500));
        assert_eq!(budget(Some(60_000.0), Some(1_000.0)), Some(1_000));
        assert_eq!(budget(None, None), None);
        let fitting = texts_within(Some(3_000), rate(), weight(50), 20);
        let tokens = |n: u64| rate().tokens(weight(50 * n)).total();
        assert!(tokens(fitting as u64) <= 3_000 && tokens(fitting as u64 + 1) > 3_000);
        assert_eq!(texts_within(Some(1), rate(), weight(50), 20), 1);
        assert_eq!(texts_within(None, rate(), weight(50), 20), 20);
    }
}

//! How many tokens a call needs: its input counted, its output expected from what was needed before.
//!
//! A text is weighed by its script alone. What one token of that weight is for a model, and how
//! long its prompt is, follows from what calls were charged; how long an answer becomes follows
//! from a high quantile of output for weight, for each pair of languages apart.

use std::iter::Sum;
use std::ops::Add;

use foldhash::HashMap;

use crate::domain::{Pair, Thoughts, Tokens};

/// What a text of a call costs beside its words: braces, quotation marks and its id.
const AROUND_A_TEXT: u64 = 12;
/// Tokens of the prompt, as long as nothing is known.
const PROMPT: f64 = 350.0;
/// Characters of a token's weight, as long as nothing is known: those of Latin small letters, of
/// which a token has the most.
const CHARACTERS: f64 = 5.0;
/// How much one call changes what is believed of the input.
const INPUT_DECAY: f64 = 0.98;
/// How firmly the first belief about the prompt stands, in calls.
const PROMPT_PRIOR: f64 = 0.5;
/// How firmly the first belief about a token's weight stands: half a call of 500 tokens.
const FACTOR_PRIOR: f64 = 0.5 * 500.0 * 500.0;
/// So many answers of a hundred are not longer than expected.
const QUANTILE: f32 = 0.98;
/// How much one answer changes what is believed of the output.
const OUTPUT_DECAY: f32 = 0.995;
/// What an answer may have beyond what is expected of it: as a share, and in tokens.
const MARGIN: (f64, f64) = (1.15, 48.0);
/// What a model may think beyond what it thought lately: as a share, and in tokens.
const THINKING_MARGIN: (f64, f64) = (1.25, 64.0);
/// How fast what is held for thoughts falls to that, with each answer.
const THINKING_DECAY: f64 = 0.98;
/// Ratios of output to weight from 1/4 to 64, eight in each doubling.
const BUCKETS: usize = 64;
const BUCKETS_PER_DOUBLING: f64 = 8.0;
const LEAST_RATIO: f64 = 0.25;
/// The most pairs of languages that are remembered for one model.
const PAIRS: usize = 256;
/// The most tokens that a call can be believed to need.
const MOST: f64 = 1e9;

/// What texts weigh, before it is known how a model counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// What is sent for them.
    pub input: u64,
    /// What comes back for them.
    pub output: u64,
}

impl Weight {
    /// The weight of one text with what it belongs to.
    pub fn of(text: &str, context: Option<&str>) -> Self {
        let output = u64::from(count(text)) + AROUND_A_TEXT;
        Self {
            input: output + context.map_or(0, |context| u64::from(count(context))),
            output,
        }
    }

    /// Sent and received together.
    pub const fn total(self) -> u64 {
        self.input + self.output
    }

    /// The weight of a text whose answer was cut off so often: each time with twice the room.
    pub const fn with_room(self, doublings: u8) -> Self {
        Self {
            input: self.input,
            output: self.output << doublings,
        }
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
        }
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::default(), Add::add)
    }
}

/// Whether an answer was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself.
    Whole,
    /// It was cut off at the most tokens allowed.
    Cut,
    /// As [`Ending::Whole`], and what is missing from it stands in no other text's place.
    InPlace,
}

/// What a call was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The tokens, where they are known.
    pub used: Option<Tokens>,
    /// What of them was thought, where a model thinks before it answers.
    pub thoughts: Option<Thoughts>,
    /// How the answer ended.
    pub ending: Ending,
}

/// What one model needs, learned from what its calls were charged.
#[derive(Clone, Debug, Default)]
pub struct Estimates {
    input: Input,
    outputs: HashMap<Pair, Output>,
    /// What is held for thoughts.
    thoughts: f64,
    /// Counts answers, to tell which pair was seen last.
    age: u64,
}

/// What a model needs for texts of one pair of languages, as it is believed now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    prompt: f64,
    input: f64,
    output: f64,
    thoughts: f64,
}

impl Rate {
    /// The tokens that a call with such texts holds: input as counted, and as output what it
    /// thinks and the most that its answer is allowed.
    pub fn tokens(&self, weight: Weight) -> Tokens {
        Tokens {
            input: whole(self.prompt + self.input * weight.input as f64),
            output: self.answer(weight).saturating_add(self.thoughts()),
        }
    }

    /// The most tokens that the answer to such texts is allowed, thoughts aside.
    pub fn answer(&self, weight: Weight) -> u64 {
        whole(MARGIN.1 + self.output * weight.output as f64)
    }

    /// What a call is expected to think at most.
    pub const fn thoughts(&self) -> u64 {
        self.thoughts as u64
    }
}

fn whole(tokens: f64) -> u64 {
    tokens.clamp(1.0, MOST).ceil() as u64
}

impl Estimates {
    /// Of what counts characters and has no prompt, as engines do.
    pub fn of_characters() -> Self {
        Self {
            input: Input {
                first: (0.0, CHARACTERS),
                ..Input::default()
            },
            ..Self::default()
        }
    }

    /// What is believed now of calls for a pair of languages.
    pub fn rate(&self, pair: &Pair) -> Rate {
        let (prompt, factor) = self.input.line();
        let spare = 1.0 + (2.0 * self.input.spread).min(0.5);
        let ratio = match self.outputs.get(pair) {
            Some(output) => output.quantile(),
            None => first_ratio(pair),
        };
        Rate {
            prompt: prompt * spare,
            input: factor * spare,
            output: ratio * MARGIN.0,
            thoughts: self.thoughts,
        }
    }

    /// Learns from a call with texts of this weight.
    pub fn learn_call(&mut self, pair: &Pair, weight: Weight, charged: Charged) {
        let Charged {
            used,
            thoughts,
            ending,
        } = charged;
        if let Some(thoughts) = thoughts {
            self.learn_thoughts(thoughts, ending);
        }
        if let Some(used) = used {
            let thought = thoughts.map_or(0, |thoughts| thoughts.used);
            let used = Tokens {
                output: used.output.saturating_sub(thought),
                ..used
            };
            self.learn(pair, weight, used, ending);
        }
    }

    /// Learns from what a model has thought: at first as much is held as it may think, later
    /// hardly more than it thought lately.
    pub fn learn_thoughts(&mut self, thoughts: Thoughts, ending: Ending) {
        let allowed = (thoughts.allowed.max(thoughts.used) as f64).min(MOST);
        let expected = THINKING_MARGIN.0 * thoughts.used as f64 + THINKING_MARGIN.1;
        let is_first = self.thoughts <= 0.0;
        self.thoughts = match ending {
            // They may have taken the room of the answer.
            Ending::Cut => allowed,
            Ending::Whole | Ending::InPlace if is_first => allowed,
            Ending::Whole | Ending::InPlace => {
                expected.max(self.thoughts * THINKING_DECAY).min(allowed)
            }
        };
    }

    /// Learns from what a call with texts of this weight was charged.
    pub fn learn(&mut self, pair: &Pair, weight: Weight, used: Tokens, ending: Ending) {
        if used.input > 0 {
            self.input.learn(weight.input as f64, used.input as f64);
        }
        if used.output == 0 || weight.output == 0 {
            return;
        }
        self.age += 1;
        let age = self.age;
        if !self.outputs.contains_key(pair) {
            self.make_room();
            let first = Output::new(first_ratio(pair));
            self.outputs.insert(pair.clone(), first);
        }
        if let Some(output) = self.outputs.get_mut(pair) {
            let ratio = used.output as f64 / weight.output as f64;
            output.seen_at = age;
            output.learn(match ending {
                Ending::Whole | Ending::InPlace => ratio,
                // How long it would have become is not known, only that this was too short.
                Ending::Cut => ratio * 2.0,
            });
        }
    }

    /// Forgets the pair that was not seen for the longest time, when there are too many.
    fn make_room(&mut self) {
        if self.outputs.len() < PAIRS {
            return;
        }
        let ages = self.outputs.iter();
        let oldest = ages.min_by_key(|(_, output)| output.seen_at);
        if let Some(pair) = oldest.map(|(pair, _)| pair.clone()) {
            self.outputs.remove(&pair);
        }
    }
}

/// A line through what calls were charged: prompt, and tokens for each token of weight.
#[derive(Clone, Debug)]
struct Input {
    /// What is believed before the first call.
    first: (f64, f64),
    calls: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    /// How far calls are from the line, as a share, on average.
    spread: f64,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            first: (PROMPT, 1.0),
            calls: 0.0,
            x: 0.0,
            y: 0.0,
            xx: 0.0,
            xy: 0.0,
            spread: 0.1,
        }
    }
}

impl Input {
    /// Least squares, held to the first belief as long as there is little to go by.
    fn line(&self) -> (f64, f64) {
        let (prompt, factor) = self.first;
        let (n, y) = (self.calls + PROMPT_PRIOR, self.y + PROMPT_PRIOR * prompt);
        let (xx, xy) = (self.xx + FACTOR_PRIOR, self.xy + FACTOR_PRIOR * factor);
        // Never zero, because both beliefs count for something.
        let determinant = n * xx - self.x * self.x;
        let prompt = (y * xx - self.x * xy) / determinant;
        let factor = (n * xy - self.x * y) / determinant;
        if prompt < 0.0 {
            return (0.0, (xy / xx).clamp(0.05, 20.0));
        }
        (prompt.min(MOST), factor.clamp(0.05, 20.0))
    }

    fn learn(&mut self, weight: f64, used: f64) {
        let (prompt, factor) = self.line();
        let expected = (prompt + factor * weight).max(1.0);
        // One absurd charge must not close the lane; what is true is said again.
        let (weight, used) = (weight.min(MOST), used.min(1_000.0 + 4.0 * expected));
        let miss = ((used - expected) / expected).abs().min(1.0);
        self.spread += (miss - self.spread) * (1.0 - INPUT_DECAY);
        for (sum, new) in [
            (&mut self.calls, 1.0),
            (&mut self.x, weight),
            (&mut self.y, used),
            (&mut self.xx, weight * weight),
            (&mut self.xy, weight * used),
        ] {
            *sum = *sum * INPUT_DECAY + new;
        }
    }
}

/// How often which ratio of output to weight was seen; the latest answers count most.
#[derive(Clone, Debug)]
struct Output {
    buckets: [f32; BUCKETS],
    seen_at: u64,
}

impl Output {
    fn new(ratio: f64) -> Self {
        let mut output = Self {
            buckets: [0.0; BUCKETS],
            seen_at: 0,
        };
        output.learn(ratio);
        output
    }

    fn learn(&mut self, ratio: f64) {
        for bucket in &mut self.buckets {
            *bucket *= OUTPUT_DECAY;
        }
        let bucket = ((ratio / LEAST_RATIO).log2() * BUCKETS_PER_DOUBLING).floor();
        self.buckets[bucket.clamp(0.0, (BUCKETS - 1) as f64) as usize] += 1.0;
    }

    /// The ratio that hardly any answer exceeds.
    fn quantile(&self) -> f64 {
        let wanted = self.buckets.iter().sum::<f32>() * QUANTILE;
        let mut below = 0.0;
        let reached = self.buckets.iter().position(|bucket| {
            below += bucket;
            below >= wanted
        });
        let upper_edge = reached.unwrap_or(BUCKETS - 1) + 1;
        LEAST_RATIO * (upper_edge as f64 / BUCKETS_PER_DOUBLING).exp2()
    }
}

/// The ratio that is believed before the first answer: rich, since a cut answer costs a call.
fn first_ratio(pair: &Pair) -> f64 {
    match pair.target.primary() {
        "am" | "bn" | "gu" | "hi" | "hy" | "ka" | "km" | "kn" | "lo" | "ml" | "mr" | "my"
        | "ne" | "pa" | "si" | "ta" | "te" | "th" => 5.0,
        "ar" | "be" | "bg" | "el" | "fa" | "he" | "ja" | "kk" | "ko" | "mk" | "mn" | "ru"
        | "sr" | "uk" | "ur" | "yi" | "zh" => 3.0,
        _ => 2.2,
    }
}

/// How many tokens a text has for a usual tokenizer, by its letters; the same for every model.
pub fn count(text: &str) -> u32 {
    let hundredths: u64 = text.chars().map(hundredths).sum();
    u32::try_from(hundredths.div_ceil(100)).unwrap_or(u32::MAX)
}

/// Hundredths of a token for a letter.
const fn hundredths(letter: char) -> u64 {
    match letter {
        'a'..='z' => 23,
        ' ' => 8,
        'A'..='Z' => 32,
        '0'..='9' => 42,
        // Line breaks and quotation marks are escaped in JSON.
        '\u{0}'..='\u{1f}' | '"' | '\\' => 90,
        '\u{0}'..='\u{7f}' => 55,
        '\u{80}'..='\u{36f}' => 60,
        '\u{370}'..='\u{52f}' => 42,
        '\u{530}'..='\u{8ff}' => 60,
        '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => 75,
        '\u{2000}'..='\u{206f}' => 60,
        '\u{27e6}' | '\u{27e7}' => 200,
        '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}' => 85,
        '\u{10000}'..='\u{10ffff}' => 220,
        _ => 100,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(target: &str) -> Pair {
        Pair {
            source: None,
            target: target.parse().expect("a tag"),
        }
    }

    fn weight(tokens: u64) -> Weight {
        Weight {
            input: tokens,
            output: tokens,
        }
    }

    #[test]
    fn a_text_is_counted_by_its_script() {
        // Counted by public tokenizers: 10, 10 to 14, 9 to 14.
        let texts = [
            ("The quick brown fox jumps over the lazy dog.", 8..=13),
            ("Быстрая бурая лиса прыгает.", 8..=15),
            ("敏捷的棕色狐狸跳过懒狗。", 9..=14),
        ];
        for (text, range) in texts {
            assert!(range.contains(&count(text)), "{text} {}", count(text));
        }
        assert_eq!(count(""), 0);
    }

    #[test]
    fn the_prompt_and_the_measure_of_a_model_are_learned() {
        let (mut estimates, es) = (Estimates::default(), pair("es"));
        for n in 0..100 {
            let tokens = 100 + (n * 37) % 900;
            let used = Tokens {
                input: 800 + tokens * 13 / 10,
                output: tokens,
            };
            estimates.learn(&es, weight(tokens), used, Ending::Whole);
        }
        for tokens in [60, 300, 900] {
            let held = estimates.rate(&es).tokens(weight(tokens)).input as f64;
            let needed = 800.0 + tokens as f64 * 1.3;
            assert!((0.98..1.15).contains(&(held / needed)), "{held} {needed}");
        }
    }

    #[test]
    fn hardly_any_answer_is_longer_than_it_may_be_and_little_is_held_too_much() {
        let (mut estimates, es) = (Estimates::default(), pair("es"));
        let mut random = fastrand::Rng::with_seed(7);
        let (mut n_cut, mut held, mut needed) = (0, 0, 0);
        for n in 0..4_000 {
            let tokens = 300 + random.u64(..400);
            let ratio = 1.1 + 0.3 * (random.f64() + random.f64() + random.f64() - 1.5);
            let output = (tokens as f64 * ratio) as u64;
            let allowed = estimates.rate(&es).tokens(weight(tokens)).output;
            if n >= 200 {
                n_cut += u32::from(output > allowed);
                held += allowed;
                needed += output;
            }
            let used = Tokens {
                input: tokens,
                output: output.min(allowed),
            };
            let ending = if output > allowed {
                Ending::Cut
            } else {
                Ending::Whole
            };
            estimates.learn(&es, weight(tokens), used, ending);
        }
        assert!(n_cut <= 8, "{n_cut} of 3800 were cut");
        assert!(held < needed * 19 / 10, "{held} held for {needed}");
    }

    #[test]
    fn an_engine_is_expected_to_count_no_fewer_characters_than_there_are() {
        let mut estimates = Estimates::of_characters();
        let text = "the quick brown fox jumps over the lazy dog and is gone ".repeat(20);
        let (weight, n_characters) = (Weight::of(&text, None), text.len() as u64);
        for _ in 0..50 {
            let held = estimates.rate(&pair("es")).tokens(weight).input;
            assert!((n_characters..2 * n_characters).contains(&held), "{held}");
            let used = Tokens {
                input: n_characters,
                output: 0,
            };
            estimates.learn(&pair("es"), weight, used, Ending::Whole);
        }
    }

    #[test]
    fn what_a_model_thinks_is_held_beside_its_answer() {
        let (mut estimates, es) = (Estimates::default(), pair("es"));
        let answer = estimates.rate(&es).tokens(weight(500)).output;
        let think = |estimates: &mut Estimates, used, ending| {
            let allowed = 4_096;
            estimates.learn_thoughts(Thoughts { used, allowed }, ending);
            let rate = estimates.rate(&es);
            let held = rate.tokens(weight(500)).output;
            assert_eq!(rate.answer(weight(500)), answer);
            held - answer
        };
        assert_eq!(think(&mut estimates, 800, Ending::Whole), 4_096);
        let mut random = fastrand::Rng::with_seed(11);
        for n in 0..500 {
            let used = 600 + random.u64(..400);
            let held = think(&mut estimates, used, Ending::Whole);
            assert!(held >= used, "{held} for {used}");
            assert!(n < 100 || held <= 1_400, "{held}");
        }
        assert_eq!(think(&mut estimates, 900, Ending::Cut), 4_096);
    }

    #[test]
    fn each_pair_has_a_ratio_of_its_own() {
        let mut estimates = Estimates::default();
        for (target, output) in [("es", 500), ("ta", 3_000)] {
            for _ in 0..400 {
                let used = Tokens { input: 500, output };
                estimates.learn(&pair(target), weight(500), used, Ending::Whole);
            }
        }
        let allowed = |target| estimates.rate(&pair(target)).tokens(weight(500)).output;
        assert!((500..=800).contains(&allowed("es")), "{}", allowed("es"));
        assert!(
            (3_000..=4_500).contains(&allowed("ta")),
            "{}",
            allowed("ta")
        );
    }

    #[test]
    fn a_cut_answer_gets_twice_the_room() {
        let rate = Estimates::default().rate(&pair("es"));
        let first = rate.tokens(weight(500)).output;
        let second = rate.tokens(weight(500).with_room(1)).output;
        assert!(second + 100 >= 2 * first, "{first} {second}");
        assert_eq!(
            rate.tokens(weight(500)).input,
            rate.tokens(weight(500).with_room(1)).input
        );
    }

    #[test]
    fn pairs_are_forgotten_before_they_are_too_many() {
        let mut estimates = Estimates::default();
        let used = Tokens {
            input: 1,
            output: 1,
        };
        for n in 0..1_000 {
            let pair = pair(&format!("en-x-{n:04}"));
            estimates.learn(&pair, weight(1), used, Ending::Whole);
        }
        assert_eq!(estimates.outputs.len(), PAIRS);
        assert!(estimates.outputs.contains_key(&pair("en-x-0999")));
    }

    proptest! {
        /// Whatever a provider says it was charged, something sensible is held.
        #[test]
        fn absurd_charges_do_no_harm(
            charges in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..50),
        ) {
            let (mut estimates, es) = (Estimates::default(), pair("es"));
            for (tokens, input, output) in charges {
                let used = Tokens { input, output };
                estimates.learn(&es, weight(u64::from(tokens)), used, Ending::Whole);
                let held = estimates.rate(&es).tokens(weight(100));
                prop_assert!((1..=MOST as u64).contains(&held.input));
                prop_assert!((48..=MOST as u64).contains(&held.output));
            }
        }
    }
}

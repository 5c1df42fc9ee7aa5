//! What each text of an answered call got: a translation that is provably its own, or none.

use std::sync::Arc;

use super::answers::{self, Broken};
use super::checks::{Check, Checks, Examined, Fault};
use super::estimate::Ending;
use super::glossary::Wishes;
use super::spans::Protected;
use crate::domain::{Pair, Usage};

/// What one text of a call got.
#[derive(Clone, Debug, PartialEq)]
pub struct Landed {
    /// Its translation, or what was wrong with what came back.
    pub text: Result<Sound, Flaw>,
    /// Its share of what the call took.
    pub usage: Usage,
}

/// A translation that is as it was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Its text with placeholders, as others can use it who have the same text.
    pub text: Arc<str>,
    /// Its text with the spans of the text itself.
    pub restored: String,
}

/// Why a text of an answered call has no translation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing is provably its answer.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Its answer is not as it was wanted.
    #[error("{}", .fault.why)]
    Faulty {
        /// What came back, with the placeholders that did.
        text: Arc<str>,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What each text of a call has to pass beside its protected spans.
#[derive(Clone, Copy, Debug)]
pub struct Exam<'a> {
    /// The checks that are made.
    pub checks: Checks,
    /// From what into what it was translated.
    pub pair: &'a Pair,
    /// What the glossary wishes.
    pub wishes: &'a Wishes<'a>,
}

/// Keeps what is provably right: matched by id, with every protected span once, and as it was
/// wanted.
///
/// `sent` holds the texts with the ids they were sent under; the answer is in their order.
pub fn land(
    sent: &[(Arc<str>, Arc<Protected>)],
    answered: impl IntoIterator<Item = (Arc<str>, String)>,
    (ending, took): (Ending, Usage),
    exam: Exam<'_>,
) -> Vec<Landed> {
    let ids: Vec<Arc<str>> = sent.iter().map(|(id, _)| Arc::clone(id)).collect();
    let checked = answers::check(&ids, answered, ending);
    let mut texts: Vec<Result<Arc<str>, Broken>> = vec![Err(Broken::Missing); sent.len()];
    for (position, text) in checked.good {
        texts[position] = Ok(text);
    }
    for (position, broken) in checked.broken {
        texts[position] = Err(broken);
    }
    let landed = sent.iter().zip(texts).zip(shares(sent, took));
    landed
        .map(|(((_, protected), text), usage)| Landed {
            text: match text {
                Ok(text) => exam.take(protected, text),
                Err(broken) => Err(Flaw::Broken(broken)),
            },
            usage,
        })
        .collect()
}

impl Exam<'_> {
    /// The translation of a text as it is taken, or what is wrong with it.
    fn take(&self, source: &Protected, text: Arc<str>) -> Result<Sound, Flaw> {
        // Mended first: fences around the whole would be taken for a span that the text lacks.
        let Examined { text, fault } = self.checks.examine(source, text, self.pair);
        let restored = source.restore(&text);
        let restored = restored.map_err(|broken| Fault::new(Check::Spans, broken));
        let missed = || {
            let missed = self.wishes.check(&source.skeleton, &text);
            let missed = missed.err();
            missed.map(|missed| Fault::new(Check::Glossary, missed))
        };
        match restored.map(|restored| (restored, fault.or_else(missed))) {
            Ok((restored, None)) => Ok(Sound { text, restored }),
            Ok((_, Some(fault))) | Err(fault) => Err(Flaw::Faulty { text, fault }),
        }
    }
}

/// Each text's share of what the call took, by length; together exactly all of it.
fn shares(sent: &[(Arc<str>, Arc<Protected>)], took: Usage) -> Vec<Usage> {
    let length = |text: &Protected| text.skeleton.len().max(1);
    let total: usize = sent.iter().map(|(_, text)| length(text)).sum();
    let (mut done, mut before) = (0, Usage::default());
    let part = |tokens: u64, done: usize| (tokens as u128 * done as u128 / total as u128) as u64;
    sent.iter()
        .map(|(_, text)| {
            done += length(text);
            let until = Usage {
                tokens_in: part(took.tokens_in, done),
                tokens_out: part(took.tokens_out, done),
                cost_usd: took.cost_usd * done as f64 / total as f64,
            };
            let share = Usage {
                tokens_in: until.tokens_in - before.tokens_in,
                tokens_out: until.tokens_out - before.tokens_out,
                cost_usd: until.cost_usd - before.cost_usd,
            };
            before = until;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::spans::protect;

    fn sent(texts: &[&str]) -> Vec<(Arc<str>, Arc<Protected>)> {
        let texts = texts.iter().enumerate();
        texts
            .map(|(index, text)| {
                (
                    (index + 1).to_string().into(),
                    Arc::new(protect(&Arc::from(*text))),
                )
            })
            .collect()
    }

    /// What each text got of the answers to these ids, under every check.
    fn landed(texts: &[&str], answered: &[(&str, &str)]) -> Vec<Result<Arc<str>, Flaw>> {
        let pair = Pair {
            source: None,
            target: "es".parse().expect("a tag"),
        };
        let exam = Exam {
            checks: Checks::ALL,
            pair: &pair,
            wishes: &Wishes::of(None, []),
        };
        let answered = answered.iter();
        let answered = answered.map(|(id, text)| (Arc::from(*id), (*text).to_owned()));
        let landed = land(
            &sent(texts),
            answered,
            (Ending::InPlace, Usage::default()),
            exam,
        );
        let texts = landed.into_iter().map(|landed| landed.text);
        texts.map(|text| text.map(|sound| sound.text)).collect()
    }

    #[test]
    fn only_what_came_back_whole_under_its_id_is_kept() {
        let texts = landed(
            &["Read https://example.org now", "Two", "Three"],
            &[("1", "Lee ahora"), ("3", "Tres"), ("9", "Nueve")],
        );

        let fault = Fault::new(
            Check::Spans,
            "every placeholder was wanted once, missing: ⟦0⟧",
        );
        let text = "Lee ahora".into();
        let expected = [
            Err(Flaw::Faulty { text, fault }),
            Err(Flaw::Broken(Broken::Missing)),
            Ok("Tres".into()),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn what_was_put_around_a_translation_is_no_span_of_its_own() {
        for answer in ["```\nLee ⟦0⟧ ahora\n```", "`Lee ⟦0⟧ ahora`"] {
            let texts = landed(&["Read https://example.org now"], &[("1", answer)]);
            assert_eq!(texts, [Ok("Lee ⟦0⟧ ahora".into())], "{answer}");
        }
    }

    proptest! {
        #[test]
        fn shares_are_together_all_that_the_call_took(
            texts in prop::collection::vec("[a-z ]{0,40}", 1..12),
            tokens_in in 0_u64..100_000,
            tokens_out in 0_u64..100_000,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let took = Usage { tokens_in, tokens_out, cost_usd: 0.25 };
            let shares = shares(&sent(&texts), took);
            prop_assert_eq!(shares.iter().map(|share| share.tokens_in).sum::<u64>(), tokens_in);
            prop_assert_eq!(shares.iter().map(|share| share.tokens_out).sum::<u64>(), tokens_out);
            let cost: f64 = shares.iter().map(|share| share.cost_usd).sum();
            prop_assert!((cost - 0.25).abs() < 1e-9);
        }
    }
}

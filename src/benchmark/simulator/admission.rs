//! Which calls a simulated provider lets in: buckets that refill continuously.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Calls.
    Requests,
    /// Tokens in and out together.
    Tokens,
    /// Tokens of questions.
    TokensIn,
    /// Tokens of answers.
    TokensOut,
}

/// Over what time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// A day.
    Day,
}

impl Per {
    /// Returns how many seconds it has.
    pub(crate) const fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Day => 86_400.0,
        }
    }
}

/// The most of something over some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// Of what.
    pub(crate) unit: Unit,
    /// Over what time.
    pub(crate) per: Per,
    /// How much.
    pub(crate) most: u64,
}

impl Limit {
    /// A limit of so much over that time.
    pub(crate) const fn new(unit: Unit, per: Per, most: u64) -> Self {
        Self { unit, per, most }
    }

    /// Returns what comes back in a second.
    pub(crate) fn per_second(self) -> f64 {
        self.most as f64 / self.per.seconds()
    }
}

/// The tokens of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Of the question.
    pub(super) tokens_in: u64,
    /// Of the answer: at first the most that it may have, then what it had.
    pub(super) tokens_out: u64,
}

impl Cost {
    fn of(self, unit: Unit) -> f64 {
        let amount = match unit {
            Unit::Requests => 1,
            Unit::Tokens => self.tokens_in + self.tokens_out,
            Unit::TokensIn => self.tokens_in,
            Unit::TokensOut => self.tokens_out,
        };
        amount as f64
    }
}

/// Why a call was not let in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refused {
    /// The limit in its way.
    pub(super) limit: Limit,
    /// How much of it is used.
    pub(super) used: u64,
    /// How much the call asked for.
    pub(super) requested: u64,
    /// How long until it would be let in; none: never.
    pub(super) wait: Option<Duration>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Left {
    /// The limit.
    pub(super) limit: Limit,
    /// What is left of it.
    pub(super) remaining: u64,
    /// How long until all of it is back.
    pub(super) full_after: Duration,
}

/// The buckets of one provider, full at first; times count from its start.
#[derive(Debug, Default)]
pub(super) struct Admission {
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    level: f64,
    at: Duration,
}

impl Admission {
    /// Starts with full buckets.
    pub(super) fn new(limits: &[Limit]) -> Self {
        let bucket = |limit: &Limit| Bucket {
            limit: *limit,
            level: limit.most as f64,
            at: Duration::ZERO,
        };
        Self {
            buckets: limits.iter().map(bucket).collect(),
        }
    }

    /// Lets a call in and takes what it may cost, or says what is in its way the longest.
    pub(super) fn admit(&mut self, now: Duration, most: Cost) -> Result<(), Refused> {
        self.refill(now);
        let refused = self
            .buckets
            .iter()
            .filter_map(|bucket| bucket.refusal(most))
            .max_by_key(|refused| refused.wait.unwrap_or(Duration::MAX));
        if let Some(refused) = refused {
            return Err(refused);
        }
        self.take(most);
        Ok(())
    }

    /// Corrects what was taken for a call by what it really used; a bucket may owe.
    pub(super) fn settle(&mut self, now: Duration, most: Cost, used: Cost) {
        self.refill(now);
        for bucket in &mut self.buckets {
            let back = most.of(bucket.limit.unit) - used.of(bucket.limit.unit);
            bucket.level = (bucket.level + back).min(bucket.limit.most as f64);
        }
    }

    /// Counts a call that was refused, as far as there is something left to count it against.
    pub(super) fn count_refused(&mut self, now: Duration) {
        self.refill(now);
        for bucket in &mut self.buckets {
            if bucket.limit.unit == Unit::Requests {
                bucket.level = (bucket.level - 1.0).max(bucket.level.min(0.0));
            }
        }
    }

    /// Returns what is left of each limit.
    pub(super) fn left(&mut self, now: Duration) -> impl Iterator<Item = Left> + '_ {
        self.refill(now);
        self.buckets.iter().map(|bucket| Left {
            limit: bucket.limit,
            remaining: bucket.level.max(0.0) as u64,
            full_after: bucket.wait_for(bucket.limit.most as f64),
        })
    }

    /// Returns whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        !self.buckets.is_empty()
    }

    fn take(&mut self, cost: Cost) {
        for bucket in &mut self.buckets {
            bucket.level -= cost.of(bucket.limit.unit);
        }
    }

    fn refill(&mut self, now: Duration) {
        for bucket in &mut self.buckets {
            let passed = now.saturating_sub(bucket.at).as_secs_f64();
            let level = bucket.level + passed * bucket.limit.per_second();
            bucket.level = level.min(bucket.limit.most as f64);
            bucket.at = bucket.at.max(now);
        }
    }
}

impl Bucket {
    fn refusal(&self, cost: Cost) -> Option<Refused> {
        let requested = cost.of(self.limit.unit);
        if self.level >= requested {
            return None;
        }
        let most = self.limit.most as f64;
        Some(Refused {
            limit: self.limit,
            used: (most - self.level).max(0.0) as u64,
            requested: requested as u64,
            wait: (requested <= most).then(|| self.wait_for(requested)),
        })
    }

    fn wait_for(&self, level: f64) -> Duration {
        let missing = (level - self.level).max(0.0);
        Duration::from_secs_f64(missing / self.limit.per_second())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cost(tokens_in: u64, tokens_out: u64) -> Cost {
        Cost {
            tokens_in,
            tokens_out,
        }
    }

    #[test]
    fn a_bucket_refills_all_the_time_and_not_at_the_turn_of_a_minute() {
        let mut admission = Admission::new(&[Limit::new(Unit::Requests, Per::Minute, 60)]);
        for _ in 0..60 {
            admission.admit(Duration::ZERO, Cost::default()).unwrap();
        }

        let refused = admission
            .admit(Duration::ZERO, Cost::default())
            .unwrap_err();

        assert_eq!(refused.wait, Some(SECOND));
        assert_eq!((refused.used, refused.requested), (60, 1));
        assert_eq!(admission.admit(SECOND, Cost::default()), Ok(()));
        assert!(admission.admit(SECOND, Cost::default()).is_err());
    }

    #[test]
    fn a_call_is_let_in_by_the_most_it_may_use_and_settled_by_what_it_used() {
        let mut admission = Admission::new(&[Limit::new(Unit::Tokens, Per::Minute, 1_000)]);

        admission.admit(Duration::ZERO, cost(100, 900)).unwrap();
        assert!(admission.admit(Duration::ZERO, cost(100, 100)).is_err());
        admission.settle(Duration::ZERO, cost(100, 900), cost(100, 50));

        let left: Vec<_> = admission.left(Duration::ZERO).collect();
        assert_eq!(left[0].remaining, 850);
        assert_eq!(admission.admit(Duration::ZERO, cost(100, 100)), Ok(()));
    }

    #[test]
    fn tokens_in_and_out_are_counted_apart() {
        let mut admission = Admission::new(&[
            Limit::new(Unit::TokensIn, Per::Minute, 1_000),
            Limit::new(Unit::TokensOut, Per::Minute, 100),
        ]);

        let refused = admission.admit(Duration::ZERO, cost(10, 101)).unwrap_err();

        assert_eq!(refused.limit.unit, Unit::TokensOut);
        assert_eq!(refused.wait, None, "it is larger than the limit itself");
        assert_eq!(admission.admit(Duration::ZERO, cost(1_000, 100)), Ok(()));
    }

    #[test]
    fn a_refused_call_takes_nothing_unless_it_is_counted() {
        let mut admission = Admission::new(&[
            Limit::new(Unit::Requests, Per::Minute, 10),
            Limit::new(Unit::Tokens, Per::Minute, 10),
        ]);

        assert!(admission.admit(Duration::ZERO, cost(11, 0)).is_err());
        let before: Vec<_> = admission.left(Duration::ZERO).collect();
        admission.count_refused(Duration::ZERO);

        assert_eq!(before[0].remaining, 10);
        let after: Vec<_> = admission.left(Duration::ZERO).collect();
        assert_eq!((after[0].remaining, after[1].remaining), (9, 10));
    }

    proptest! {
        #[test]
        fn no_more_is_let_in_than_the_bucket_and_its_refill(
            calls in prop::collection::vec((0_u64..2_000, 1_u64..400), 1..200),
        ) {
            let mut admission = Admission::new(&[Limit::new(Unit::Tokens, Per::Second, 500)]);
            let (mut now, mut taken) = (Duration::ZERO, 0);
            for (pause, tokens) in calls {
                now += Duration::from_millis(pause);
                if admission.admit(now, cost(tokens, 0)).is_ok() {
                    taken += tokens;
                }
            }
            prop_assert!(taken as f64 <= 500.0 + 500.0 * now.as_secs_f64() + 1e-6);
        }
    }
}

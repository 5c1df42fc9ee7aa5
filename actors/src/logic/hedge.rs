//! Which slow calls are made a second time elsewhere, and how many of them at most.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::Moment;
use crate::logic::routing::Latency;

/// The part of calls of its class that a call must exceed.
const SLOWER_THAN: f64 = 0.97;
/// So many calls of its class are needed to know that.
const KNOWN: f64 = 100.0;
/// A call that takes less is never worth a second one.
const LEAST: Duration = Duration::from_millis(20);
/// The most second calls for a call.
const MOST: f64 = 0.03;
/// Over so long calls are counted, in slots of a thirtieth.
const HORIZON: Duration = Duration::from_secs(300);
const SLOT: Duration = Duration::from_secs(10);
/// Classes of size; each holds texts four times as long as the one before.
const SIZES: usize = 6;

/// How long calls take, by provider and size, and how many were made twice.
#[derive(Clone, Debug)]
pub struct Hedging {
    classes: Vec<[Latency; SIZES]>,
    budget: Budget,
}

impl Hedging {
    /// Nothing is known of so many providers.
    pub fn new(n_routes: usize) -> Self {
        Self {
            classes: vec![Default::default(); n_routes],
            budget: Budget::default(),
        }
    }

    /// Notes a call that is no second one.
    pub fn called(&mut self, now: Moment) {
        self.budget.slot(now).calls += 1;
        self.budget.calls += 1;
        self.budget.window_calls += 1;
    }

    /// Notes how long an answer took for so many bytes of text.
    pub fn answered(&mut self, route: usize, bytes: usize, took: Duration) {
        self.classes[route][size_of(bytes)].record(took);
    }

    /// After how long a call is slower than nearly all of its class; none as long as too little
    /// is known.
    pub fn slow_after(&self, route: usize, bytes: usize) -> Option<Duration> {
        let class = &self.classes[route][size_of(bytes)];
        let slow = class.quantile(SLOWER_THAN)?;
        (class.weight() >= KNOWN).then(|| slow.max(LEAST))
    }

    /// Whether one more second call stays below 3 % of all calls, since the start and over the
    /// last five minutes; notes it if so.
    pub fn spend(&mut self, now: Moment) -> bool {
        self.budget.slot(now);
        let allows = |hedges: u64, calls: u64| (hedges + 1) as f64 <= calls as f64 * MOST;
        let budget = &mut self.budget;
        let is_allowed = allows(budget.hedges, budget.calls)
            && allows(budget.window_hedges, budget.window_calls);
        if is_allowed {
            budget.slot(now).hedges += 1;
            budget.hedges += 1;
            budget.window_hedges += 1;
        }
        is_allowed
    }
}

/// Calls and second calls, over a sliding time and since the start.
#[derive(Clone, Debug, Default)]
struct Budget {
    slots: VecDeque<Slot>,
    window_calls: u64,
    window_hedges: u64,
    calls: u64,
    hedges: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    begins: Moment,
    calls: u64,
    hedges: u64,
}

impl Budget {
    /// The slot of now; what lies behind the horizon is forgotten.
    fn slot(&mut self, now: Moment) -> &mut Slot {
        while let Some(oldest) = self.slots.front()
            && now.since(oldest.begins) >= HORIZON
        {
            self.window_calls -= oldest.calls;
            self.window_hedges -= oldest.hedges;
            self.slots.pop_front();
        }
        let is_over = |slot: &Slot| now.since(slot.begins) >= SLOT;
        if self.slots.back().is_none_or(is_over) {
            self.slots.push_back(Slot {
                begins: now,
                calls: 0,
                hedges: 0,
            });
        }
        self.slots.back_mut().expect("a slot was just put there")
    }
}

fn size_of(bytes: usize) -> usize {
    // Up to 255 bytes, up to 1,023, and so on.
    let doublings = usize::BITS - bytes.leading_zeros();
    ((doublings.saturating_sub(8)).div_ceil(2) as usize).min(SIZES - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_call_is_slow_beyond_nearly_all_of_its_class() {
        let mut hedging = Hedging::new(1);
        for n in 0..98 {
            hedging.answered(0, 100, Duration::from_millis(100));
            assert_eq!(hedging.slow_after(0, 100), None, "{n}");
        }
        for _ in 0..2 {
            hedging.answered(0, 100, Duration::from_secs(1));
        }
        let slow = hedging.slow_after(0, 100).expect("enough calls");
        assert!(slow >= Duration::from_millis(100) && slow < Duration::from_millis(110));
        assert_eq!(hedging.slow_after(0, 10_000), None, "another class");
    }

    #[test]
    fn sizes_are_classes_of_four_times_the_length() {
        let sizes = [0, 255, 256, 1_023, 1_024, 4_096, 1 << 30].map(size_of);
        assert_eq!(sizes, [0, 0, 1, 1, 2, 3, 5]);
    }

    proptest! {
        /// At no time are there more second calls than 3 % of the others.
        #[test]
        fn second_calls_stay_below_their_part(
            steps in prop::collection::vec((0_u64..20_000, 0_usize..200, 0_usize..20), 1..100),
        ) {
            let (mut hedging, mut now) = (Hedging::new(1), 0);
            let (mut calls, mut hedges) = (0, 0);
            for (wait, n_calls, n_slow) in steps {
                now += wait;
                for _ in 0..n_calls {
                    hedging.called(at(now));
                    calls += 1;
                }
                for _ in 0..n_slow {
                    hedges += usize::from(hedging.spend(at(now)));
                    prop_assert!(hedges as f64 <= calls as f64 * 0.03);
                }
            }
        }
    }

    #[test]
    fn what_was_saved_long_ago_is_not_spent_at_once() {
        let mut hedging = Hedging::new(1);
        for _ in 0..100_000 {
            hedging.called(at(0));
        }
        let later = at(600_000);
        for _ in 0..100 {
            hedging.called(later);
        }
        let n_spent = (0..50).filter(|_| hedging.spend(later)).count();
        assert_eq!(n_spent, 3);
    }
}

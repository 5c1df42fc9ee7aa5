//! How long the calls of a provider take: quantiles of the latest, which forget the oldest.

use std::time::Duration;

/// Buckets for a doubling: quantiles are at most 9 % too large.
const PER_DOUBLING: f64 = 8.0;
/// What the first bucket ends with, in seconds.
const LEAST: f64 = 1e-4;
/// Buckets from 0.1 ms to more than 400 s.
const BUCKETS: usize = 180;
/// When so many calls are remembered, all of them count half.
const MEMORY: f32 = 1_000.0;

/// The durations of calls, the latest counting most.
#[derive(Clone, Debug)]
pub struct Latency {
    buckets: [f32; BUCKETS],
    total: f32,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [0.0; BUCKETS],
            total: 0.0,
        }
    }
}

impl Latency {
    /// Remembers one call.
    pub fn record(&mut self, took: Duration) {
        if self.total >= MEMORY {
            for bucket in &mut self.buckets {
                *bucket /= 2.0;
            }
            self.total /= 2.0;
        }
        self.buckets[bucket_of(took)] += 1.0;
        self.total += 1.0;
    }

    /// How many calls it goes by, from the second thousand on weighed by age.
    pub fn weight(&self) -> f64 {
        f64::from(self.total)
    }

    /// What this part of all calls, from 0 to 1, did not exceed; none before the first call.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        if self.total <= 0.0 {
            return None;
        }
        let wanted = f64::from(self.total) * part - 1e-3;
        let mut passed = 0.0;
        let bucket = self.buckets.iter().position(|bucket| {
            passed += f64::from(*bucket);
            *bucket > 0.0 && passed >= wanted
        });
        let bucket = bucket.unwrap_or(BUCKETS - 1);
        let end = LEAST * (bucket as f64 / PER_DOUBLING).exp2();
        Some(Duration::from_secs_f64(end))
    }
}

/// The bucket whose end is the first that this time does not exceed.
fn bucket_of(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() / LEAST).max(1.0).log2();
    // What stands at an end, but for rounding, belongs to it.
    ((doublings * PER_DOUBLING - 1e-6).ceil() as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A quantile is no less than the exact one, and at most 9 % more.
        #[test]
        fn quantiles_are_close(
            times in prop::collection::vec(1_u64..100_000, 1..900),
            part in 0.01_f64..1.0,
        ) {
            let mut latency = Latency::default();
            for time in &times {
                latency.record(Duration::from_millis(*time));
            }
            let mut times = times;
            times.sort_unstable();
            let place = ((times.len() as f64 * part - 1e-3).ceil() as usize).max(1) - 1;
            let exact = Duration::from_millis(times[place]);
            let found = latency.quantile(part).expect("calls were made");
            prop_assert!(found.as_secs_f64() >= exact.as_secs_f64() * 0.999, "{found:?} {exact:?}");
            prop_assert!(found.as_secs_f64() <= exact.as_secs_f64() * 1.091, "{found:?} {exact:?}");
        }
    }

    #[test]
    fn what_changed_is_believed_after_some_thousand_calls() {
        let mut latency = Latency::default();
        for _ in 0..10_000 {
            latency.record(Duration::from_secs(10));
        }
        for _ in 0..3_000 {
            latency.record(Duration::from_millis(100));
        }
        let median = latency.quantile(0.5).expect("calls were made");
        assert!(median < Duration::from_millis(110), "{median:?}");
        assert!(latency.weight() <= f64::from(MEMORY));
    }

    #[test]
    fn without_calls_nothing_is_known() {
        assert_eq!(Latency::default().quantile(0.5), None);
    }
}

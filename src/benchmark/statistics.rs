//! Distributions of times, as quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// An hour; what is longer counts as an hour.
const MAX_NANOSECONDS: u64 = 3_600_000_000_000;

/// Times that were measured, to three significant digits.
pub(super) struct Times(Histogram<u64>);

impl Times {
    /// Starts without any.
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_max(MAX_NANOSECONDS, 3);
        Self(histogram.expect("three digits up to an hour are within what a histogram can hold"))
    }

    /// Adds one.
    pub(super) fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    /// Returns the quantiles in microseconds.
    pub(super) fn quantiles(&self) -> Quantiles {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        Quantiles {
            n: self.0.len(),
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
            max_us: self.0.max() as f64 / 1_000.0,
        }
    }
}

/// How times are distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Quantiles {
    /// How many there were.
    pub(super) n: u64,
    /// The median in microseconds.
    pub(super) p50_us: f64,
    /// What 95 of 100 stay below, in microseconds.
    pub(super) p95_us: f64,
    /// What 99 of 100 stay below, in microseconds.
    pub(super) p99_us: f64,
    /// The longest in microseconds.
    pub(super) max_us: f64,
}

/// Returns the value that the fraction `quantile` of the values stays below; 0 of none.
pub(super) fn quantile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * quantile).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_times_are_their_ranks() {
        let mut times = Times::new();
        for n in 1..=100 {
            times.add(Duration::from_micros(n));
        }

        let quantiles = times.quantiles();

        assert_eq!(quantiles.n, 100);
        assert!((quantiles.p50_us - 50.0).abs() < 0.1, "{quantiles:?}");
        assert!((quantiles.p99_us - 99.0).abs() < 0.1, "{quantiles:?}");
    }

    #[test]
    fn the_median_of_differences_may_be_negative() {
        assert_eq!(quantile(&mut [3.0, -2.0, -1.0], 0.5), -1.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}

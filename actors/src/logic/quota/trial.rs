//! The search for a limit that nobody tells: by what passed until something was refused.
//!
//! Between two refusals a provider lets through what its limit is, whether it refills
//! continuously or by windows. So the pace begins a little below that, comes near it fast,
//! stays about it, and goes beyond it faster and faster until the next refusal.

use std::time::Duration;

use crate::domain::Moment;

const MINUTE: f64 = 60.0;
/// The share of the ceiling with which the pace begins after a refusal.
const BEGIN: f64 = 0.93;
/// How far beyond the ceiling the pace is as long after reaching it as [`STRETCH`].
const BEYOND: f64 = 0.1;
/// In seconds.
const STRETCH: f64 = 30.0;
/// A refusal sooner than this after the last one tells that the ceiling was far too high.
const SOON: f64 = 5.0;
/// What is left of a ceiling that was far too high.
const CUT: f64 = 0.8;
/// The least ceiling, in calls a minute.
const LEAST: f64 = 6.0;

/// What is known of a limit on calls that nobody tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trial {
    /// Calls a minute.
    ceiling: f64,
    refused_at: Moment,
    n_passed: f64,
    /// How long the pace has held work back since, in seconds.
    held_back: f64,
    looked_at: Moment,
}

impl Trial {
    /// After the first refusal: so many calls passed since the lane was idle, begun then.
    ///
    /// A bucket that was full then has let through itself and what came in since.
    pub(super) fn first(n_passed: f64, since: Moment, now: Moment) -> Self {
        let minutes = now.since(since).as_secs_f64() / MINUTE;
        Self::new(n_passed / (1.0 + minutes), now)
    }

    fn new(ceiling: f64, now: Moment) -> Self {
        Self {
            ceiling: ceiling.max(LEAST),
            refused_at: now,
            n_passed: 0.0,
            held_back: 0.0,
            looked_at: now,
        }
    }

    /// Another call passed.
    pub(super) fn passed(&mut self) {
        self.n_passed += 1.0;
    }

    /// Another call was refused.
    pub(super) fn refused(&mut self, now: Moment) {
        let seconds = now.since(self.refused_at).as_secs_f64();
        let measured = self.n_passed * MINUTE / seconds.max(SOON);
        let ceiling = if seconds < SOON {
            self.limit() * CUT
        } else {
            // What was not asked for was not refused.
            measured.max(self.limit() / 2.0)
        };
        *self = Self::new(ceiling, now);
    }

    /// The pace held work back, or nobody looked, until now.
    pub(super) fn held_back(&mut self, now: Moment) {
        let wait = now.since(self.looked_at).min(Duration::from_secs(1));
        self.held_back += wait.as_secs_f64();
        self.looked_at = now;
    }

    /// Calls a minute that may go.
    pub(super) fn limit(&self) -> f64 {
        let until_ceiling = STRETCH * ((1.0 - BEGIN) / BEYOND).cbrt();
        let beyond = (self.held_back - until_ceiling) / STRETCH;
        self.ceiling * (1.0 + BEYOND * beyond.powi(3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::from_start(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_bucket_is_found_by_its_first_refusal() {
        // 600 at once and 10 a second, asked for 20 a second: 1,200 pass in the first minute.
        let trial = Trial::first(1_200.0, at(0.0), at(60.0));
        assert!((trial.ceiling - 600.0).abs() < 1.0);
        assert!(trial.limit() < 600.0 && trial.limit() > 540.0);
    }

    #[test]
    fn the_pace_comes_back_fast_and_goes_beyond_the_ceiling_at_last() {
        let mut trial = Trial::first(600.0, at(0.0), at(0.0));
        let mut limits = Vec::new();
        for second in 1..=120 {
            trial.held_back(at(f64::from(second)));
            limits.push(trial.limit());
        }
        assert!(limits.is_sorted());
        assert!(limits[15] > 590.0, "{}", limits[15]);
        assert!((599.0..601.0).contains(&limits[28]), "{}", limits[28]);
        assert!(limits[119] > 1_200.0, "{}", limits[119]);
    }

    #[test]
    fn what_passes_between_two_refusals_is_the_limit() {
        let mut trial = Trial::first(900.0, at(0.0), at(0.0));
        for _ in 0..500 {
            trial.passed();
        }
        trial.refused(at(60.0));
        assert!((trial.ceiling - 500.0).abs() < 1.0);
        trial.refused(at(61.0));
        assert!(trial.ceiling < 400.0);
    }
}

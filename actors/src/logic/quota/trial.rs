//! The search for a limit that nobody tells: by what passed until something was refused.
//!
//! Between two refusals a provider lets through what its limit is, whether it refills
//! continuously or by windows, and whether it counts calls or their tokens. So the pace begins a
//! little below that, comes near it fast, stays about it, and goes beyond it faster and faster
//! until the next refusal. The slower a lane is, the longer that takes, so that the share of
//! calls that are refused is the same small one everywhere.
//!
//! Some providers refuse one call in a hundred whatever the pace, because others load them. Each
//! such refusal looks like a limit a little below the pace, and a lane would slow down to
//! nothing. So where refusals stay as rare as that, half the pace is the least: had a limit been
//! found there, more would be refused than before.

use std::time::Duration;

use super::Now;
use crate::domain::{Moment, Timestamp};

const MINUTE: f64 = 60.0;
/// The share of the ceiling with which the pace begins after a refusal.
const BEGIN: f64 = 0.93;
/// How far beyond the ceiling the pace is a stretch after reaching it.
const BEYOND: f64 = 0.1;
/// A stretch takes the time of so many calls at least, because each of two ends with a refusal:
/// what a provider minds is the share of calls that it has to refuse.
const CALLS: f64 = 150.0;
/// And so many seconds at least.
const STRETCH: f64 = 30.0;
/// How much the ceiling known before counts against what passed since, in seconds: a single
/// call that was refused again after a short wait says little.
const KNOWN: f64 = 15.0;
/// The least ceiling, in calls a minute.
const LEAST: f64 = 6.0;
/// How many calls pass between two refusals at least where the pace may not be to blame.
const SELDOM: f64 = 30.0;
/// So much rarer they were at the highest pace where a limit has fallen to a lower one.
const RARER: f64 = 4.0;
/// Over how many refusals that is averaged.
const AVERAGED: f64 = 8.0;
/// How much of how rare they were stays with each refusal.
const KEPT: f64 = 0.99;

/// What is known of a limit on calls that nobody tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trial {
    /// Calls a minute.
    ceiling: f64,
    refused_at: Now,
    n_refused: f64,
    n_passed: f64,
    /// How many passed between two refusals, on average of the last ones.
    between: f64,
    /// How many those were at most; forgotten slowly.
    rarest: f64,
    /// The highest ceiling since they are as rare as they are now.
    highest: f64,
    /// How long the pace has held work back since, in stretches.
    held_back: f64,
    looked_at: Moment,
}

impl Trial {
    /// After the first refusal: so many calls passed since the lane was idle, begun then.
    ///
    /// A bucket that was full then has let through itself and what came in since.
    pub(super) fn first(n_passed: f64, since: Moment, now: Now) -> Self {
        let minutes = now.moment.since(since).as_secs_f64() / MINUTE;
        Self::known(n_passed / (1.0 + minutes), now)
    }

    /// A ceiling that was found then; nothing has passed since.
    pub(super) fn known(ceiling: f64, found: Now) -> Self {
        let ceiling = ceiling.max(LEAST);
        Self {
            ceiling,
            refused_at: found,
            n_refused: 0.0,
            n_passed: 0.0,
            between: 0.0,
            rarest: 0.0,
            highest: ceiling,
            held_back: 0.0,
            looked_at: found.moment,
        }
    }

    /// Calls a minute that passed until one was refused.
    pub(super) const fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// When a call was refused last.
    pub(super) const fn told_at(&self) -> Timestamp {
        self.refused_at.wall
    }

    /// Another call passed.
    pub(super) fn passed(&mut self) {
        self.n_passed += 1.0;
    }

    /// Another call was refused.
    pub(super) fn refused(&mut self, now: Now) {
        let seconds = now.moment.since(self.refused_at.moment).as_secs_f64();
        // What was not asked for was not refused.
        let least = self.limit() / 2.0 * seconds / MINUTE;
        let passed = self.n_passed.max(least);
        let ceiling = (self.ceiling * KNOWN + passed * MINUTE) / (KNOWN + seconds);
        let n_refused = self.n_refused + 1.0;
        let between = self.between + (self.n_passed - self.between) / n_refused.min(AVERAGED);
        let rarest = between.max(self.rarest * KEPT);
        let highest = match between < SELDOM.max(rarest / RARER) {
            true => ceiling,
            false => self.highest.max(ceiling),
        };
        *self = Self {
            n_refused,
            between,
            rarest,
            highest,
            ..Self::known(ceiling.max(highest / 2.0), now)
        };
    }

    /// Another call was refused, and none passed since one was: that says nothing of the pace.
    pub(super) fn refused_again(&mut self, now: Now) {
        *self = Self {
            refused_at: now,
            n_passed: 0.0,
            held_back: 0.0,
            looked_at: now.moment,
            ..*self
        };
    }

    /// The pace held work back, or nobody looked, until now.
    pub(super) fn held_back(&mut self, now: Moment) {
        let a_call = MINUTE / self.limit();
        let wait = now.since(self.looked_at).as_secs_f64();
        self.held_back += wait.min(f64::max(1.0, 2.0 * a_call)) / f64::max(STRETCH, CALLS * a_call);
        self.looked_at = now;
    }

    /// How long after a refusal there is room for the next call, which may be a large one.
    pub(super) fn comes_back(&self) -> Duration {
        Duration::from_secs_f64(2.0 * MINUTE / self.ceiling)
    }

    /// Calls a minute that may go.
    pub(super) fn limit(&self) -> f64 {
        let until_ceiling = ((1.0 - BEGIN) / BEYOND).cbrt();
        let beyond = self.held_back - until_ceiling;
        self.ceiling * (1.0 + BEYOND * beyond.powi(3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::from_start(Duration::from_secs_f64(seconds))
    }

    fn now(seconds: f64) -> Now {
        Now {
            moment: at(seconds),
            ..Now::default()
        }
    }

    #[test]
    fn a_bucket_is_found_by_its_first_refusal() {
        // 600 at once and 10 a second, asked for 20 a second: 1,200 pass in the first minute.
        let trial = Trial::first(1_200.0, at(0.0), now(60.0));
        assert!((trial.ceiling - 600.0).abs() < 1.0);
        assert!(trial.limit() < 600.0 && trial.limit() > 540.0);
    }

    #[test]
    fn the_pace_comes_back_fast_and_goes_beyond_the_ceiling_at_last() {
        let mut trial = Trial::first(600.0, at(0.0), now(0.0));
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
    fn what_passes_between_refusals_is_the_limit() {
        let mut trial = Trial::first(900.0, at(0.0), now(0.0));
        for minute in 1..=3 {
            for _ in 0..500 {
                trial.passed();
            }
            trial.refused(now(60.0 * f64::from(minute)));
        }
        assert!((trial.ceiling - 500.0).abs() < 5.0, "{}", trial.ceiling);
    }

    #[test]
    fn a_call_that_is_refused_again_at_once_says_little_and_many_say_much() {
        let mut trial = Trial::first(600.0, at(0.0), now(0.0));
        trial.refused(now(1.0));
        assert!(trial.ceiling > 550.0, "{}", trial.ceiling);
        for second in [3.0, 7.0, 15.0, 31.0, 63.0] {
            trial.refused(now(second));
        }
        assert!(trial.ceiling < 200.0, "{}", trial.ceiling);
    }

    #[test]
    fn refusals_that_come_whatever_the_pace_do_not_slow_a_lane_down_to_nothing() {
        let mut trial = Trial::first(600.0, at(0.0), now(0.0));
        let mut seconds = 0.0;
        for _ in 0..300 {
            for _ in 0..66 {
                trial.passed();
                seconds += MINUTE / trial.limit();
                trial.held_back(at(seconds));
            }
            trial.refused(now(seconds));
        }
        assert!(trial.ceiling > 250.0, "{}", trial.ceiling);
        for _ in 0..20 {
            trial.passed();
            seconds += 10.0;
            trial.refused(now(seconds));
        }
        assert!(trial.ceiling < 60.0, "{}", trial.ceiling);
    }

    #[test]
    fn a_slow_lane_goes_beyond_its_ceiling_as_many_calls_later_as_a_fast_one() {
        let calls_until_beyond = |ceiling: f64| {
            let mut trial = Trial::first(ceiling, at(0.0), now(0.0));
            let (mut seconds, mut n_calls) = (0.0, 0.0);
            while trial.limit() < ceiling * 1.1 {
                seconds += 0.1;
                n_calls += trial.limit() / 600.0;
                trial.held_back(at(seconds));
            }
            n_calls
        };
        for ceiling in [20.0, 60.0, 300.0] {
            let n_calls = calls_until_beyond(ceiling);
            assert!((270.0..290.0).contains(&n_calls), "{ceiling}: {n_calls}");
        }
        assert!(calls_until_beyond(1_200.0) > 1_000.0);
    }
}

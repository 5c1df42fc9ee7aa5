//! Wall time that does not follow a clock which leaps ahead, until it has stayed there for a while.
//!
//! A clock that is wrong for some minutes, as before the network has told the time, would else free
//! what was used of days and months, and forget it.

use std::cell::Cell;
use std::time::Duration;

use super::quota::Now;
use crate::domain::{Moment, Timestamp};

/// So much further than the monotonic clock the wall clock may go at once.
const LEAP: Duration = Duration::from_secs(3_600);
/// So long a wall clock has to stay ahead before it is believed.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// Wall time that does not leap ahead.
#[derive(Debug, Default)]
pub struct Steady(Cell<Option<Belief>>);

#[derive(Clone, Copy, Debug)]
struct Belief {
    /// What was believed last.
    at: Now,
    /// Since when the wall clock is too far ahead of it.
    ahead_since: Option<Moment>,
}

impl Steady {
    /// Believes that it is that time now, whatever the wall clock says.
    pub fn begin_at(&self, wall: Timestamp, moment: Moment) {
        self.0.set(Some(Belief {
            at: Now { moment, wall },
            ahead_since: Some(moment),
        }));
    }

    /// Both clocks, where they say so.
    pub fn now(&self, moment: Moment, wall: Timestamp) -> Now {
        let held = self.0.get().and_then(|belief| {
            let expected = belief.at.wall.plus(moment.since(belief.at.moment));
            if wall.since(expected) <= LEAP {
                return None;
            }
            let since = belief.ahead_since.unwrap_or(moment);
            (moment.since(since) < PATIENCE).then_some((expected, since))
        });
        let wall = held.map_or(wall, |(expected, _)| expected);
        let at = Now { moment, wall };
        self.0.set(Some(Belief {
            at,
            ahead_since: held.map(|(_, since)| since),
        }));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn moment(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    /// What is believed at a moment at which the wall clock says that.
    fn told(steady: &Steady, seconds: u64, wall: u64) -> Timestamp {
        steady.now(moment(seconds), at(wall)).wall
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_while_is_not_followed() {
        let steady = Steady::default();
        assert_eq!(told(&steady, 0, 100), at(100));
        for seconds in 1..600 {
            let believed = told(&steady, seconds, 400 * DAY + seconds);
            assert_eq!(believed, at(100 + seconds));
        }
        assert_eq!(told(&steady, 600, 700), at(700));
        let again = told(&steady, 1_000, 400 * DAY);
        assert_eq!(again, at(1_100), "it has to stay ahead anew");
    }

    #[test]
    fn a_clock_that_stays_ahead_is_believed() {
        let steady = Steady::default();
        assert_eq!(told(&steady, 0, 100), at(100));
        assert_eq!(told(&steady, 10, 2 * DAY), at(110));
        assert_eq!(told(&steady, 909, 2 * DAY + 899), at(1_009));
        assert_eq!(told(&steady, 910, 2 * DAY + 900), at(2 * DAY + 900));
        assert_eq!(told(&steady, 911, 2 * DAY + 901), at(2 * DAY + 901));
    }

    #[test]
    fn small_steps_and_steps_back_are_followed_at_once() {
        let steady = Steady::default();
        assert_eq!(told(&steady, 0, 10 * DAY), at(10 * DAY));
        assert_eq!(told(&steady, 1, 10 * DAY + 3_000), at(10 * DAY + 3_000));
        assert_eq!(told(&steady, 2, 9 * DAY), at(9 * DAY));
        assert_eq!(
            told(&steady, 100_000, 9 * DAY + 99_998),
            at(9 * DAY + 99_998)
        );
    }

    #[test]
    fn a_start_long_after_what_is_known_is_doubted_too() {
        let steady = Steady::default();
        assert_eq!(told(&steady, 0, 400 * DAY), at(400 * DAY));
        steady.begin_at(at(DAY), moment(1));
        assert_eq!(told(&steady, 10, 400 * DAY), at(DAY + 9));
        assert_eq!(told(&steady, 901, 400 * DAY), at(400 * DAY));
    }
}

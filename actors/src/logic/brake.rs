//! How many publications may begin within an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Counts what began at an outlet in the last hour, by minutes of wall time.
///
/// A minute counts until an hour after its end, so that no hour ever holds more than is allowed.
/// What began in a minute that is yet to come, by a clock that was ahead, counts as if it began now:
/// no clock that is set back bars an outlet for longer than an hour and a minute.
#[derive(Clone, Debug, Default)]
pub struct Brake {
    minutes: BTreeMap<i64, u32>,
}

impl Brake {
    /// What began in the minutes that were written down.
    pub fn restored(entries: impl IntoIterator<Item = (Timestamp, u32)>) -> Self {
        let minutes = entries
            .into_iter()
            .map(|(minute, n)| (minute.as_millis() / MINUTE, n));
        Self {
            minutes: minutes.collect(),
        }
    }

    /// How many may begin now.
    pub fn room(&mut self, per_hour: u32, now: Timestamp) -> u32 {
        let now = now.as_millis();
        let minute = now / MINUTE;
        let later: u32 = self.minutes.split_off(&(minute + 1)).into_values().sum();
        if later > 0 {
            *self.minutes.entry(minute).or_default() += later;
        }
        self.minutes
            .retain(|minute, _| (minute + 1) * MINUTE + HOUR > now);
        per_hour.saturating_sub(self.minutes.values().sum())
    }

    /// How long until another may begin, if none may now.
    pub fn wait(&self, now: Timestamp) -> Duration {
        let first = self.minutes.keys().next();
        let over = first.map_or(0, |minute| (minute + 1) * MINUTE + HOUR);
        Timestamp::from_millis(over).since(now)
    }

    /// Notes that so many begin, and answers which minute holds how many then.
    pub fn begin(&mut self, n: u32, now: Timestamp) -> (Timestamp, u32) {
        let minute = now.as_millis() / MINUTE;
        let count = self.minutes.entry(minute).or_default();
        *count = count.saturating_add(n);
        (Timestamp::from_millis(minute * MINUTE), *count)
    }

    /// Notes that so many that began in this minute did not go out after all, and answers how
    /// many it holds then.
    pub fn give_back(&mut self, n: u32, minute: Timestamp) -> u32 {
        let count = self.minutes.get_mut(&(minute.as_millis() / MINUTE));
        count.map_or(0, |count| {
            *count = count.saturating_sub(n);
            *count
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_262_700_000 + seconds * 1_000)
    }

    #[test]
    fn no_hour_holds_more_than_is_allowed() {
        let mut brake = Brake::default();
        let mut begun: Vec<i64> = Vec::new();
        for second in (0..20_000).step_by(7) {
            if brake.room(10, at(second)) > 0 {
                brake.begin(1, at(second));
                begun.push(second);
            }
        }
        for window in begun.windows(11) {
            assert!(window[10] - window[0] >= 3_600, "{window:?}");
        }
        assert!(begun.len() >= 50, "{}", begun.len());
    }

    #[test]
    fn what_was_written_down_counts_after_a_restart() {
        let mut brake = Brake::default();
        let (minute, n) = brake.begin(3, at(30));
        assert_eq!(n, 3);
        let mut restored = Brake::restored([(minute, n)]);
        assert_eq!(restored.room(5, at(1_000)), 2);
        assert_eq!(restored.wait(at(3_600)), Duration::from_secs(60));
        assert_eq!(restored.room(5, at(3_661)), 5);
    }

    #[test]
    fn a_clock_that_was_ahead_bars_nothing_for_longer_than_an_hour_and_a_minute() {
        let ahead = at(100_000);
        let mut brake = Brake::default();
        brake.begin(3, ahead);
        let restored = Brake::restored([(ahead, 3)]);
        for mut brake in [brake, restored] {
            assert_eq!(brake.room(5, at(0)), 2);
            brake.begin(2, at(0));
            assert_eq!(brake.room(5, at(3_599)), 0);
            assert_eq!(brake.wait(at(0)), Duration::from_secs(3_660));
            assert_eq!(brake.room(5, at(3_660)), 5);
        }
    }

    #[test]
    fn what_did_not_go_out_counts_no_more() {
        let mut brake = Brake::default();
        let (minute, _) = brake.begin(3, at(0));
        assert_eq!(brake.give_back(2, minute), 1);
        assert_eq!(brake.room(3, at(1)), 2);
        assert_eq!(brake.give_back(1, at(-3_600)), 0);
    }
}

//! The real clock and real chance.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::{Moment, Timestamp};
use babelfeed_actors::ports::{Chance, Clock};

/// The clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Clocks whose monotonic time begins now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn now(&self) -> Moment {
        Moment::from_start(self.start.elapsed())
    }
}

/// Chance from a generator that the system seeds.
#[derive(Clone, Copy, Debug)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn next(&self) -> u64 {
        fastrand::u64(..)
    }
}

//! Time and chance, so that a test can run the whole system from a seed.

use std::time::Duration;

use crate::domain::{Moment, Timestamp};
use crate::logic::quota::Now;
use crate::logic::steady::Steady;

/// What time it is.
pub trait Clock: Send + Sync {
    /// The wall clock, which people and daily quotas go by.
    fn wall(&self) -> Timestamp;

    /// The monotonic clock, which waits and claims go by.
    fn now(&self) -> Moment;

    /// Both, without the leaps ahead of a wall clock that is wrong for a while.
    fn steadied(&self, steady: &Steady) -> Now {
        steady.now(self.now(), self.wall())
    }
}

/// Where randomness comes from.
pub trait Chance: Send + Sync {
    /// The next 64 random bits.
    fn next(&self) -> u64;

    /// `wait` and up to a quarter more, so that many waiters do not come back at once.
    fn jitter(&self, wait: Duration) -> Duration {
        let share = (self.next() >> 40) as f64 / (1_u64 << 24) as f64;
        wait + wait.mul_f64(share / 4.0)
    }
}

//! How long to wait before a stream is opened again.

use std::time::Duration;

use babelfeed_actors::logic::backoff::Backoff;

/// The first wait; each one that follows is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// A stream that lived so long was none that fails.
pub const STEADY: Duration = Duration::from_secs(20);

/// The waits between attempts to open a stream.
///
/// Each opening brings about a poll. So a stream that opens and ends at once counts as a failure,
/// or its source would be polled every second.
pub struct Reopening {
    backoff: Backoff,
    n_failures: u32,
}

impl Reopening {
    /// Waits from a second up to `longest`.
    pub const fn new(longest: Duration) -> Self {
        Self {
            backoff: Backoff::new(FIRST, longest),
            n_failures: 0,
        }
    }

    /// The wait after a stream that was open for so long.
    pub fn wait_after(&mut self, lived: Duration) -> Duration {
        if lived >= STEADY {
            self.n_failures = 0;
        }
        self.n_failures = self.n_failures.saturating_add(1);
        self.backoff.after(self.n_failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_that_lived_is_opened_again_at_once() {
        let mut reopening = Reopening::new(Duration::from_secs(5));
        let mut after = |secs| reopening.wait_after(Duration::from_secs(secs)).as_secs();
        assert_eq!([0, 1, 0, 19].map(&mut after), [1, 2, 4, 5]);
        assert_eq!([3_600, 0].map(&mut after), [1, 2]);
    }
}

//! The clock of a server, as its answers show it.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::Timestamp;

use super::{Response, hints};

/// What time it is at a server, to the second. It goes on by the machine's monotonic clock, so
/// that setting ours does not move it.
#[derive(Debug, Default)]
pub struct ServerClock {
    shown: Cell<Option<(Timestamp, Instant)>>,
}

impl ServerClock {
    /// The time at the server; by our clock as long as it has shown none.
    pub fn now(&self) -> Timestamp {
        match self.shown.get() {
            Some((time, at)) => time.plus(at.elapsed()),
            None => timestamp(SystemTime::now()),
        }
    }

    /// Whether the server has shown its clock.
    pub fn is_shown(&self) -> bool {
        self.shown.get().is_some()
    }

    /// Reads the clock off an answer, and answers how far it is from what was taken for it.
    pub fn note(&self, response: &Response) -> Duration {
        let Some(date) = response.header("date") else {
            return Duration::ZERO;
        };
        let (time, believed) = (timestamp(hints::server_time(Some(date))), self.now());
        self.shown.set(Some((time, Instant::now())));
        time.since(believed).max(believed.since(time))
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

//! Watches from a thread of its own that every arbiter turns, because nothing inside sees a spin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;

/// How often arbiters are pinged.
const EVERY: Duration = Duration::from_secs(3);
/// An arbiter that does not turn for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// The watchdog; clones are one, and when the last is dropped it goes to sleep for good.
#[derive(Clone)]
pub(super) struct Watchdog {
    watched: Arc<Mutex<Vec<Watched>>>,
    _end: Sender<()>,
}

struct Watched {
    name: String,
    arbiter: ArbiterHandle,
    ping: Option<Ping>,
}

struct Ping {
    at: Instant,
    is_answered: Arc<AtomicBool>,
}

impl Watchdog {
    /// A watchdog that calls `bite` with the name of an arbiter that does not turn.
    pub(super) fn start(bite: impl Fn(&str) + Send + 'static) -> std::io::Result<Self> {
        Self::start_with(EVERY, PATIENCE, bite)
    }

    fn start_with(
        every: Duration,
        patience: Duration,
        bite: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (end, ended) = channel();
        let watched: Arc<Mutex<Vec<Watched>>> = Arc::default();
        let seen = Arc::clone(&watched);
        thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    let mut watched = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    watched.retain_mut(|it| it.turns(patience, &bite));
                }
            })?;
        Ok(Self { watched, _end: end })
    }

    /// Watches this arbiter until it has stopped.
    pub(super) fn watch(&self, name: impl Into<String>, arbiter: ArbiterHandle) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push(Watched {
            name: name.into(),
            arbiter,
            ping: None,
        });
    }
}

impl Watched {
    /// Looks after the last ping and sends the next; whether the arbiter is still to be watched.
    fn turns(&mut self, patience: Duration, bite: &impl Fn(&str)) -> bool {
        match &self.ping {
            Some(ping) if !ping.is_answered.load(Ordering::Acquire) => {
                if ping.at.elapsed() > patience {
                    bite(&self.name);
                }
                return true;
            }
            _ => {}
        }
        let is_answered = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&is_answered);
        self.ping = Some(Ping {
            at: Instant::now(),
            is_answered,
        });
        self.arbiter
            .spawn_fn(move || answer.store(true, Ordering::Release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arbiter_that_does_not_turn_is_named_and_one_that_turns_is_not() {
        let (bitten, heard) = channel();
        let system = actix_rt::System::new();
        system.block_on(async {
            let (good, stuck) = (actix_rt::Arbiter::new(), actix_rt::Arbiter::new());
            let (release, held) = channel::<()>();
            stuck.spawn_fn(move || {
                let _ = held.recv();
            });
            let millisecond = Duration::from_millis(1);
            let watchdog = Watchdog::start_with(millisecond, 50 * millisecond, move |name| {
                // The test has heard enough when nobody hears.
                let _ = bitten.send(name.to_owned());
            })
            .expect("a thread");
            watchdog.watch("good", good.handle());
            watchdog.watch("stuck", stuck.handle());
            let names: Vec<String> = (0..3).filter_map(|_| heard.recv().ok()).collect();
            assert_eq!(names, ["stuck", "stuck", "stuck"]);
            drop(release);
        });
    }
}

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
                    watched.retain_mut(|it| it.turns(Instant::now(), patience, &bite));
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
    fn turns(&mut self, now: Instant, patience: Duration, bite: &impl Fn(&str)) -> bool {
        match &self.ping {
            Some(ping) if !ping.is_answered.load(Ordering::Acquire) => {
                if now.saturating_duration_since(ping.at) > patience {
                    bite(&self.name);
                }
                return true;
            }
            _ => {}
        }
        let is_answered = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&is_answered);
        self.ping = Some(Ping {
            at: now,
            is_answered,
        });
        self.arbiter
            .spawn_fn(move || answer.store(true, Ordering::Release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An arbiter that turns only when the sender is dropped.
    fn stuck() -> (actix_rt::Arbiter, Sender<()>) {
        let stuck = actix_rt::Arbiter::new();
        let (release, held) = channel::<()>();
        stuck.spawn_fn(move || {
            let _ = held.recv();
        });
        (stuck, release)
    }

    #[test]
    fn an_arbiter_that_does_not_turn_is_named_and_one_that_turns_is_not() {
        let system = actix_rt::System::new();
        system.block_on(async {
            let good = actix_rt::Arbiter::new();
            let (stuck, release) = stuck();
            let watch = |name: &str, arbiter: &actix_rt::Arbiter| Watched {
                name: name.to_owned(),
                arbiter: arbiter.handle(),
                ping: None,
            };
            let mut watched = [watch("good", &good), watch("stuck", &stuck)];
            let began = Instant::now();
            let (bitten, heard) = channel();
            let bite = |name: &str| bitten.send(name.to_owned()).expect("is heard");
            for n_patiences in [0, 1, 2, 3] {
                let now = began + n_patiences * (PATIENCE + EVERY);
                for it in &mut watched {
                    assert!(it.turns(now, PATIENCE, &bite), "{} is watched", it.name);
                }
                // It answers in order, so once it has answered this, the ping is answered too.
                let (answer, answered) = channel();
                good.spawn_fn(move || answer.send(()).expect("is awaited"));
                answered.recv().expect("it turns");
            }
            let names: Vec<String> = heard.try_iter().collect();
            assert_eq!(names, ["stuck", "stuck", "stuck"]);
            drop(release);
        });
    }

    #[test]
    fn the_watchdog_looks_by_itself_again_and_again() {
        let system = actix_rt::System::new();
        system.block_on(async {
            let (stuck, release) = stuck();
            let (bitten, heard) = channel();
            let millisecond = Duration::from_millis(1);
            let watchdog = Watchdog::start_with(millisecond, millisecond, move |name| {
                // The test has heard enough when nobody hears.
                let _ = bitten.send(name.to_owned());
            })
            .expect("a thread");
            watchdog.watch("stuck", stuck.handle());
            let names: Vec<String> = (0..3).filter_map(|_| heard.recv().ok()).collect();
            assert_eq!(names, ["stuck", "stuck", "stuck"]);
            drop(release);
        });
    }
}

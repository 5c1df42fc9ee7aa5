//! The sleep of idle cores.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::statistics::quantile;

const N_WAKE_UPS: usize = 200;

/// How long a core is left idle before it is woken up.
const IDLE: Duration = Duration::from_micros(200);

/// Stands where the sleeper was called and has not answered.
const CALLED: u64 = 1;

/// Where Linux is told how much later than due an idle core may wake up; see "PM Quality Of
/// Service Interface" in its documentation.
const LATENCY_FILE: &str = "/dev/cpu_dma_latency";

/// Returns the median time, in microseconds, from waking up a thread until it runs on a core that
/// was idle; on a single core, until it runs in place of who woke it.
pub(super) fn wake_up_us() -> f64 {
    let began = Instant::now();
    // That the sleeper is called, or when it ran last, in nanoseconds; zero before its first call.
    let note = AtomicU64::new(0);
    let mut times = Vec::with_capacity(N_WAKE_UPS);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            for _ in 0..N_WAKE_UPS {
                while note.load(Ordering::Acquire) != CALLED {
                    std::thread::park();
                }
                let ran = began.elapsed().as_nanos() as u64;
                note.store(ran.max(CALLED + 1), Ordering::Release);
            }
        });
        for _ in 0..N_WAKE_UPS {
            // Who calls stays on a core, so that the sleeper wakes up on another.
            let idle_until = Instant::now() + IDLE;
            while Instant::now() < idle_until {
                std::hint::spin_loop();
            }
            note.store(CALLED, Ordering::Release);
            let called = began.elapsed();
            sleeper.thread().unpark();
            let mut ran = CALLED;
            while ran == CALLED {
                std::hint::spin_loop();
                ran = note.load(Ordering::Acquire);
            }
            let took = Duration::from_nanos(ran).saturating_sub(called);
            times.push(took.as_secs_f64() * 1e6);
        }
    });
    quantile(&mut times, 0.5)
}

/// Keeps idle cores from being put to sleep as long as it lives, in the whole machine.
pub(super) struct Awake(#[expect(dead_code, reason = "it works by being open")] File);

impl Awake {
    /// Keeps them awake from now on.
    ///
    /// # Errors
    /// When this user may not.
    pub(super) fn keep() -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(LATENCY_FILE)?;
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_some_time_to_wake_up() {
        assert!(wake_up_us() > 0.0);
    }
}

//! Waits until something is so, and looks again at each change that is told.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest time without another look: files, clocks and some processes tell nobody of a change.
const SILENCE: Duration = Duration::from_millis(20);

/// The seconds of a day.
pub const DAY: u64 = 86_400;

/// How many changes were told, by whomever.
static CHANGES: Watched<u64> = Watched::new(0);

/// Tells who looks for something that something has changed.
pub fn tell_change() {
    CHANGES.alter(|n_changes| *n_changes += 1);
}

/// Looks at each change until something is found, or the time is over.
pub fn look<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let n_known = CHANGES.read(|n_changes| *n_changes);
        let found = look();
        if found.is_some() || begun.elapsed() >= patience {
            return found;
        }
        await_change(n_known);
    }
}

/// Looks as [`look`] does, while others go on in the runtime of this thread.
pub async fn look_meanwhile<T>(
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let begun = Instant::now();
    loop {
        let n_known = CHANGES.read(|n_changes| *n_changes);
        let found = look();
        if found.is_some() || begun.elapsed() >= patience {
            return found;
        }
        let waiting = tokio::task::spawn_blocking(move || await_change(n_known));
        waiting.await.expect("no panic");
    }
}

/// Waits, where need be, until this much of the present stretch is left by the wall clock, so that a
/// test which is not longer sees only one; stretches of so many seconds follow each other since 1970.
pub fn until_left(least: Duration, stretch: u64) {
    let is_left = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let passed = since.expect("a time after 1970").as_secs() % stretch;
        (passed + least.as_secs() < stretch).then_some(())
    };
    let patience = 2 * least + Duration::from_secs(1);
    look(patience, is_left).expect("a clock that goes on");
}

/// Waits until more than these changes were told, or none was for a while.
fn await_change(n_known: u64) {
    CHANGES.wait(SILENCE, |n_changes| *n_changes != n_known);
}

/// A value whose changes wake who waits for them.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }
    }

    /// Changes it.
    pub fn change<A>(&self, change: impl FnOnce(&mut T) -> A) -> A {
        let answer = self.alter(change);
        tell_change();
        answer
    }

    /// Changes it, and wakes only who waits for this value.
    fn alter<A>(&self, change: impl FnOnce(&mut T) -> A) -> A {
        let answer = change(&mut self.lock());
        self.changed.notify_all();
        answer
    }

    /// Reads it.
    pub fn read<A>(&self, read: impl FnOnce(&T) -> A) -> A {
        read(&self.lock())
    }

    /// Waits until it is so, for this time at most; returns whether it is.
    pub fn wait(&self, patience: Duration, is_so: impl Fn(&T) -> bool) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), patience, |value| !is_so(value));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

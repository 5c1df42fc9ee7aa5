//! Waits until something is so: what this process changes says so itself, what others change is looked at.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked at what another process changes, which tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until something is found, or the time is over.
pub fn look<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() >= patience {
            return found;
        }
        thread::sleep(LOOK_EVERY);
    }
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

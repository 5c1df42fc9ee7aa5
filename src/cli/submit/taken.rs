//! What was taken in and is not told yet: where it will not be any more, its ids are.

use std::collections::BTreeMap;
use std::io;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::cli::complain;
use crate::service::signals;

/// Lines with the ids of their requests, in order: durable, and their ids are not known elsewhere.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<BTreeMap<usize, String>>>);

impl Taken {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub(super) fn push(&self, number: usize, id: String) {
        self.lines().insert(number, id);
    }

    /// How many lines are left.
    pub(super) fn len(&self) -> usize {
        self.lines().len()
    }

    /// The first line that is left.
    pub(super) fn first(&self) -> Option<(usize, String)> {
        let lines = self.lines();
        lines
            .first_key_value()
            .map(|(number, id)| (*number, id.clone()))
    }

    /// Lets go of a line of which everything is told.
    pub(super) fn forget(&self, number: usize) {
        self.lines().remove(&number);
    }

    /// Names what is left.
    pub(super) fn tell(&self) {
        for (number, id) in &*self.lines() {
            complain(format_args!("line {number}: taken in as request {id}"));
        }
    }

    /// From now on SIGINT and SIGTERM name what is left before they end the process, as the shell
    /// would say it: with 130 and 143.
    ///
    /// # Errors
    /// When the system lets no thread begin or no signal be heard.
    pub(super) fn tell_when_interrupted(&self) -> io::Result<()> {
        let (taken, heard) = (self.clone(), signals::listen()?);
        let listen = move || {
            let Ok(name) = heard.blocking_recv() else {
                return;
            };
            taken.tell();
            process::exit(if name == "SIGINT" { 130 } else { 143 });
        };
        thread::Builder::new()
            .name("interrupts".into())
            .spawn(listen)?;
        Ok(())
    }
}

//! What was taken in and is not told yet: where it will not be any more, its ids are.

use std::collections::BTreeMap;
use std::io;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::complain;

/// What shells add to a signal's number for the code of a process that it ended.
const BY_SIGNAL: i32 = 128;

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
        let taken = self.clone();
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (mut int, mut term) = {
            let _inside = runtime.enter();
            let (int, term) = (SignalKind::interrupt(), SignalKind::terminate());
            (signal(int)?, signal(term)?)
        };
        let listen = move || {
            let heard = runtime.block_on(async {
                select! {
                    _ = int.recv() => SignalKind::interrupt(),
                    _ = term.recv() => SignalKind::terminate(),
                }
            });
            taken.tell();
            process::exit(BY_SIGNAL + heard.as_raw_value());
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(listen)?;
        Ok(())
    }
}

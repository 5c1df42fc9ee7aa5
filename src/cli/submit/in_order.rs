//! The lines that were handed in, told in their order although some are handed in once more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{ASK_AGAIN, Line, Place, Taken, TakenLine};

/// What the service said of a line.
pub(super) enum Word {
    /// What became of it.
    Done(Result<TakenLine, String>),
    /// It was not taken, and may be taken after so long.
    Later {
        /// Why it was not.
        why: String,
        /// How long it wants to wait.
        wait: Duration,
    },
}

/// Lines of which something was said, up to the first that is to be handed in again.
pub(super) struct InOrder<T> {
    taken: Taken,
    tell: T,
    done: BTreeMap<usize, Result<TakenLine, String>>,
    later: BTreeMap<usize, (String, String)>,
    wait: Duration,
    last_done: Instant,
}

impl<T: FnMut(Place) -> anyhow::Result<()>> InOrder<T> {
    /// Adds what is taken to `taken`, and tells with `tell`.
    pub(super) fn new(taken: &Taken, tell: T) -> Self {
        Self {
            taken: taken.clone(),
            tell,
            done: BTreeMap::new(),
            later: BTreeMap::new(),
            wait: ASK_AGAIN,
            last_done: Instant::now(),
        }
    }

    /// Takes what was said of a line, and tells what may be told by now.
    pub(super) fn hear(&mut self, line: Line, word: Word) -> anyhow::Result<()> {
        match word {
            Word::Later { why, wait } => {
                self.later.insert(line.number, (line.text, why));
                self.wait = wait;
                Ok(())
            }
            Word::Done(answer) => {
                if let Ok(answer) = &answer {
                    self.taken.push(line.number, answer.id.clone());
                }
                self.done.insert(line.number, answer);
                self.last_done = Instant::now();
                self.tell_ready()
            }
        }
    }

    fn tell_ready(&mut self) -> anyhow::Result<()> {
        let first_later = self.later.keys().next().copied();
        while let Some(entry) = self.done.first_entry() {
            if first_later.is_some_and(|later| later < *entry.key()) {
                break;
            }
            let (number, answer) = entry.remove_entry();
            (self.tell)(Place { number, answer })?;
        }
        Ok(())
    }

    /// How long to wait until the lines that were not taken are handed in again; none where there
    /// are none, or nothing was taken for that long.
    pub(super) fn wait(&self, patience: Duration) -> Option<Duration> {
        let is_hopeful = !self.later.is_empty() && self.last_done.elapsed() < patience;
        is_hopeful.then_some(self.wait.min(patience))
    }

    /// Takes out the lines that are to be handed in again.
    pub(super) fn take_later(&mut self) -> Vec<(Line, String)> {
        let later = std::mem::take(&mut self.later).into_iter();
        let line = |(number, (text, why))| (Line { number, text }, why);
        later.map(line).collect()
    }

    /// Tells of all lines that something was said of; those that were not taken are refused.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        for (line, why) in self.take_later() {
            self.done.insert(line.number, Err(why));
        }
        self.tell_ready()
    }
}

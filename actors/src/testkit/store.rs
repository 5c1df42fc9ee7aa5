//! A store in memory that can withhold its sync, refuse, and lose what was not yet durable.

mod committed;
mod jobs;
mod known;
mod ledger;
mod tasks;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use crate::domain::{SourceName, Timestamp};
use crate::ports::{StoreError, Token};

use committed::Committed;

/// A [`TaskStore`](crate::ports::TaskStore) with the other ports of a store in memory; clones
/// share it.
///
/// Unless it is told otherwise, a write is durable and answered at once.
#[derive(Clone)]
pub struct MemoryStore(Rc<RefCell<World>>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::boot(Committed::default())
    }

    /// Withholds the sync: from now on no write is durable or answered until [`Self::release`].
    pub fn withhold(&self) {
        self.0.borrow_mut().is_withholding = true;
    }

    /// Makes what was withheld durable, in the order of the calls, and answers it.
    pub fn release(&self) {
        let mut world = self.0.borrow_mut();
        world.is_withholding = false;
        while let Some(write) = world.withheld.pop_front() {
            write(&mut world.committed);
        }
    }

    /// How many writes are withheld.
    pub fn n_withheld(&self) -> usize {
        self.0.borrow().withheld.len()
    }

    /// Refuses all that is taken in with this error, as a full queue would; none ends it.
    pub fn refuse_intake(&self, error: Option<StoreError>) {
        self.0.borrow_mut().intake_refusal = error;
    }

    /// Refuses every write with this error, as a full disk would; none ends it.
    pub fn refuse_writes(&self, error: Option<StoreError>) {
        self.0.borrow_mut().write_refusal = error;
    }

    /// Refuses every read with this error; none ends it.
    pub fn refuse_reads(&self, error: Option<StoreError>) {
        self.0.borrow_mut().read_refusal = error;
    }

    /// Makes every answer of a read take so long; it says what was so when it was asked for.
    pub fn delay_reads(&self, delay: Duration) {
        self.0.borrow_mut().read_delay = delay;
    }

    /// The sources of which it was noted that what came during a pause was passed over.
    pub fn skipped(&self) -> Vec<SourceName> {
        self.0.borrow().committed.skipped.clone()
    }

    /// How many reads were asked for.
    pub fn n_reads(&self) -> usize {
        self.0.borrow().n_reads
    }

    /// What a process finds that starts after this one died now: all that is durable.
    ///
    /// What was withheld is lost; whoever waits for it is told that the store is gone.
    pub fn crash(&self) -> Self {
        let mut world = self.0.borrow_mut();
        world.withheld.clear();
        let gone = Some(gone());
        world.read_refusal = gone.clone();
        world.write_refusal = gone;
        Self::boot(world.committed.clone())
    }

    /// Forgets tasks that ended before a time, at most `limit`, with their publications;
    /// their identities are kept. Answers how many.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<usize, StoreError>> {
        self.write(move |committed| committed.prune(before, limit))
    }

    fn boot(mut committed: Committed) -> Self {
        committed.epoch += 1;
        let last_token = committed.epoch << 32;
        Self(Rc::new(RefCell::new(World {
            committed,
            last_token,
            is_withholding: false,
            withheld: VecDeque::new(),
            intake_refusal: None,
            write_refusal: None,
            read_refusal: None,
            read_delay: Duration::ZERO,
            n_reads: 0,
        })))
    }

    fn write<A: 'static>(
        &self,
        change: impl FnOnce(&mut Committed) -> A + 'static,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        let mut world = self.0.borrow_mut();
        if let Some(error) = world.write_refusal.clone() {
            return async { Err(error) }.boxed_local();
        }
        let (reply, answer) = oneshot::channel();
        let write: Withheld = Box::new(move |committed| {
            // Whoever dropped the future does not want to know.
            let _ = reply.send(change(committed));
        });
        if world.is_withholding {
            world.withheld.push_back(write);
        } else {
            write(&mut world.committed);
        }
        async { answer.await.map_err(|_| gone()) }.boxed_local()
    }

    fn read<A: 'static>(
        &self,
        read: impl FnOnce(&Committed) -> A,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        let mut world = self.0.borrow_mut();
        world.n_reads += 1;
        let outcome = match world.read_refusal.clone() {
            Some(error) => Err(error),
            None => Ok(read(&world.committed)),
        };
        let delay = world.read_delay;
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            outcome
        }
        .boxed_local()
    }
}

type Withheld = Box<dyn FnOnce(&mut Committed)>;

struct World {
    committed: Committed,
    last_token: Token,
    is_withholding: bool,
    withheld: VecDeque<Withheld>,
    intake_refusal: Option<StoreError>,
    write_refusal: Option<StoreError>,
    read_refusal: Option<StoreError>,
    read_delay: Duration,
    n_reads: usize,
}

fn gone() -> StoreError {
    StoreError::Failed {
        detail: "the store is gone".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Admission, Cursor, TaskStore as _};

    fn cursor(store: &MemoryStore) -> Option<Cursor> {
        let read = store.cursor("news".into()).now_or_never();
        read.expect("reads are answered at once").expect("a read")
    }

    fn admission(mark: u8) -> Admission {
        Admission {
            cursor: Some(("news".into(), Cursor(vec![mark]))),
            ..Admission::default()
        }
    }

    #[test]
    fn a_withheld_write_is_neither_seen_nor_answered_until_it_is_released() {
        let store = MemoryStore::new();
        store.withhold();
        let mut write = store.admit(admission(1));
        assert!((&mut write).now_or_never().is_none());
        assert_eq!((cursor(&store), store.n_withheld()), (None, 1));

        store.release();

        assert_eq!(write.now_or_never(), Some(Ok(Vec::new())));
        assert_eq!(cursor(&store), Some(Cursor(vec![1])));
    }

    #[test]
    fn a_crash_keeps_what_was_answered_and_nothing_else() {
        let store = MemoryStore::new();
        let token = store.token();
        let answered = store.admit(admission(1)).now_or_never();
        assert_eq!(answered, Some(Ok(Vec::new())));
        store.withhold();
        let lost = store.admit(admission(2));

        let next = store.crash();

        assert_eq!(lost.now_or_never(), Some(Err(gone())));
        assert_eq!(cursor(&next), Some(Cursor(vec![1])));
        assert!(next.token() > token);
        let late = store.admit(admission(3)).now_or_never();
        assert_eq!(late, Some(Err(gone())));
    }

    #[test]
    fn a_full_queue_refuses_intake_and_lets_work_end() {
        let store = MemoryStore::new();
        let full = StoreError::Full {
            wait: Duration::from_secs(1),
        };
        store.refuse_intake(Some(full.clone()));
        let refused = store.admit(admission(1)).now_or_never();
        assert_eq!(refused, Some(Err(full)));
        let pruned = store.prune(Timestamp::default(), 1).now_or_never();
        assert_eq!(pruned, Some(Ok(0)));
    }
}

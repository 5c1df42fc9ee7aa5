//! What outlives a fall of the task manager: what is in flight, and what is to be written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use foldhash::{HashMap, HashSet};

use super::plan::Planned;
use super::work::Work;
use crate::domain::{Moment, TaskId};
use crate::logic::outstanding::Line;
use crate::messages::NowCall;
use crate::ports::{Errand, PublicationRecord, TaskChange, TaskRecord, Token};

/// The registry of what is in flight, and the outbox of changes.
///
/// It stands outside the actor, because calls and commits go on while the actor falls.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The texts in calls, by their numbers.
    pub(super) in_flight: HashMap<Token, Work>,
    /// Those of them that are in two calls.
    pub(super) twins: HashSet<Token>,
    /// Callers who wait, in the order in which they came.
    pub(super) callers: BTreeMap<u64, Arc<NowCall>>,
    /// The jobs that the batcher is at.
    pub(super) runs: HashSet<Token>,
    pub(super) outbox: Outbox,
}

/// Changes of tasks that are not yet handed to the store, or not yet written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Claims to be written down, the oldest first; who has ended since needs no claim.
    pub(super) claims: VecDeque<Claim>,
    /// Changes to be written, in order.
    pub(super) changes: Vec<Outgoing>,
    /// The tasks whose change is being written.
    pub(super) writing: HashSet<TaskId>,
    /// Whether a batch is being written.
    pub(super) is_writing: bool,
    /// Publications that are durable, and not yet handed to the publisher.
    pub(super) planned: Vec<PublicationRecord>,
    /// Tasks that have ended, which it does not know yet.
    pub(super) ended: Vec<(Line, TaskId)>,
    /// Whether the store refuses to write, so that nothing new may begin.
    pub(super) is_stuck: bool,
}

impl Book {
    /// Takes out a text that has landed, or is wanted no more.
    pub(super) fn take(&mut self, number: Token) -> Option<Work> {
        self.twins.remove(&number);
        self.in_flight.remove(&number)
    }

    /// Takes out a text that one of its calls did not bring, if that was its only call.
    pub(super) fn take_last(&mut self, number: Token) -> Option<Work> {
        if self.twins.remove(&number) {
            return None;
        }
        self.in_flight.remove(&number)
    }
}

impl Outbox {
    /// Whether a change of this task is under way.
    pub(super) fn holds(&self, id: TaskId) -> bool {
        self.writing.contains(&id) || self.changes.iter().any(|outgoing| outgoing.change.id == id)
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_writing && self.changes.is_empty()
    }
}

/// A text that went into a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// The text's number.
    pub(super) number: Token,
    /// When it went.
    pub(super) since: Moment,
}

/// A change with what follows when it is durable.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) change: TaskChange,
    pub(super) after: After,
}

/// What follows when a change is durable.
#[derive(Debug)]
pub(super) enum After {
    /// The task is in a call; nothing follows.
    Claimed,
    /// The task is in the queue again, and may have a place in memory.
    Enqueue(Box<TaskRecord>),
    /// The task stays in memory, in the queue.
    Requeued,
    /// The task has ended, and so has what waits for it in its line.
    Ended(Option<Line>),
}

/// What the publications of a commit are to the publisher.
pub(super) fn planned(publications: &[Planned]) -> impl Iterator<Item = PublicationRecord> {
    publications
        .iter()
        .map(|(publication, state, why)| PublicationRecord {
            publication: Arc::clone(publication),
            state: *state,
            token: 0,
            attempts: 0,
            frozen: None,
            errand: Errand::Publish,
            is_decided: false,
            at: publication.created_at,
            why: why.clone(),
        })
}

/// The slots for calls in flight, all lanes together.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    used: Arc<AtomicUsize>,
    lent: Arc<AtomicUsize>,
    limit: Option<usize>,
}

impl Slots {
    /// So many slots, or as many as wanted.
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            used: Arc::default(),
            lent: Arc::default(),
            limit,
        }
    }

    /// How many slots there are in all.
    pub(super) const fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// How many are in use.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes a slot, which comes back when the guard is dropped.
    pub(super) fn take(&self) -> Slot {
        self.slot(None)
    }

    /// Takes a slot that can be lent while its call is under way.
    pub(super) fn take_for_lending(&self) -> (Slot, Loan) {
        let loan = Loan {
            is_lent: Arc::default(),
            lent: Arc::clone(&self.lent),
        };
        (self.slot(Some(loan.clone())), loan)
    }

    /// Whether the slot of one more call can be lent.
    pub(super) fn can_lend(&self) -> bool {
        let lent = self.lent.load(Ordering::Relaxed);
        self.limit.is_none_or(|limit| lent < limit)
    }

    fn slot(&self, loan: Option<Loan>) -> Slot {
        self.used.fetch_add(1, Ordering::Relaxed);
        Slot {
            used: Arc::clone(&self.used),
            loan,
        }
    }

    /// Lends the slot of a call that is far too late, or that nobody waits for any more, to other
    /// calls, as long as no more are lent than there are in all.
    pub(super) fn lend(&self, loan: &Loan) {
        if self.can_lend() && !loan.is_lent.swap(true, Ordering::Relaxed) {
            self.lent.fetch_add(1, Ordering::Relaxed);
            self.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A slot in use.
#[derive(Debug)]
pub(super) struct Slot {
    used: Arc<AtomicUsize>,
    loan: Option<Loan>,
}

/// Whether a slot is lent.
#[derive(Clone, Debug)]
pub(super) struct Loan {
    is_lent: Arc<AtomicBool>,
    lent: Arc<AtomicUsize>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let loan = self.loan.as_ref();
        let count = match loan.filter(|loan| loan.is_lent.load(Ordering::Relaxed)) {
            Some(loan) => &loan.lent,
            None => &self.used,
        };
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something that outlives a fall of the actor and travels in its messages to itself.
///
/// It is used on one thread alone, so its lock is never waited for; a panic leaves what is in
/// it as whole as it was.
#[derive(Debug, Default)]
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// What is in a call; dropped without a word, its texts are known to be lost.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) numbers: Vec<Token>,
    book: Shared<Book>,
    lost: Shared<Vec<Token>>,
    _slot: Slot,
}

impl Flight {
    /// The texts with these numbers, which the book holds.
    pub(super) fn new(
        numbers: Vec<Token>,
        book: &Shared<Book>,
        lost: &Shared<Vec<Token>>,
        slot: Slot,
    ) -> Self {
        Self {
            numbers,
            book: book.clone(),
            lost: lost.clone(),
            _slot: slot,
        }
    }

    /// Takes a text out of the flight that it brought, and out of the book; none where it is not
    /// there any more.
    pub(super) fn land(&mut self, number: Token) -> Option<Work> {
        self.numbers.retain(|kept| *kept != number);
        self.book.lock().take(number)
    }

    /// Takes a text out of the flight that it did not bring, and out of the book; none also while
    /// another call may bring it.
    pub(super) fn lose(&mut self, number: Token) -> Option<Work> {
        self.numbers.retain(|kept| *kept != number);
        self.book.lock().take_last(number)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Inside a panic the list may be locked; then the restart finds what is missing.
        if let Some(mut lost) = self.lost.try_lock() {
            lost.append(&mut self.numbers);
        }
    }
}

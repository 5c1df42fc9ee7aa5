//! What waits for the writer: in the order of the calls, and bounded in rows.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use babelfeed_actors::domain::{Correction, RequestId, SourceName, Timestamp};
use babelfeed_actors::ports::{
    Admission, Admitted, BatchJob, Kept, Known, KnownKey, PublicationChange, QuotaChange, Reserved,
    StoreError, TaskChange, Token,
};
use babelfeed_actors::setup::Pauses;
use tokio::sync::oneshot;

/// About how many rows the writer commits in a millisecond, for telling when to come back.
const ROWS_PER_MILLISECOND: usize = 50;

/// Something to be written, and who waits for it.
pub(super) struct Ask<W, A> {
    /// What is wanted.
    pub(super) what: W,
    /// What came of it, once it was made in the open transaction.
    pub(super) outcome: Option<A>,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<W, A> Ask<W, A> {
    /// Something wanted, and where its answer will arrive.
    pub(super) fn new(what: W) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let ask = Self {
            what,
            outcome: None,
            reply,
        };
        (ask, answer)
    }

    /// Answers, now that the transaction was committed or given up.
    fn finish(self, verdict: Result<(), StoreError>) {
        let answer = verdict.and_then(|()| {
            self.outcome.ok_or_else(|| StoreError::Failed {
                detail: "the write was passed over".into(),
            })
        });
        // Whoever dropped the future does not want to know.
        let _ = self.reply.send(answer);
    }
}

/// Everything that can be written.
pub(super) enum Write {
    /// Requests, posts that count as seen, a cursor.
    Admit(Ask<Admission, Vec<Admitted>>),
    /// Changes of tasks.
    Record(Ask<Arc<[TaskChange]>, Vec<Kept>>),
    /// Changes of publications.
    Publish(Ask<Vec<PublicationChange>, Vec<Kept>>),
    /// Changes of publications that need each other.
    PublishTogether(Ask<Vec<PublicationChange>, Kept>),
    /// Known translations to keep and to forget.
    Save(Ask<(Vec<Known>, Vec<KnownKey>), ()>),
    /// All known translations are to be forgotten.
    Clear(Ask<(), ()>),
    /// Use of quotas, and what was learned of them.
    Enter(Ask<QuotaChange, ()>),
    /// A new job, and the claims of its tasks.
    PlanJob(Ask<(BatchJob, Vec<TaskChange>), Vec<Kept>>),
    /// The provider's own name for a job, and what was reserved for it.
    NoteJob(Ask<(Token, Arc<str>, Option<Reserved>), ()>),
    /// A job to be forgotten.
    CloseJob(Ask<Token, ()>),
    /// Requests whose posts' deletion is seen to.
    ForgetWithdrawn(Ask<Vec<RequestId>, ()>),
    /// What people corrected.
    Correct(Ask<Vec<Correction>, ()>),
    /// Tasks that ended before a time are to be forgotten, at most so many.
    Prune(Ask<(Timestamp, usize), usize>),
    /// What a person paused.
    Pause(Ask<Pauses, ()>),
    /// A source of which what came during a pause was passed over.
    NoteSkipped(Ask<SourceName, ()>),
    /// Nothing; answered when everything before it is.
    Barrier(Ask<(), ()>),
}

impl Write {
    /// How many rows it is about; at least one, so that nothing is free.
    pub(super) fn n_rows(&self) -> usize {
        let n_rows = match self {
            Self::Admit(ask) => {
                let tasks: usize = ask.what.requests.iter().map(|new| new.targets.len()).sum();
                ask.what.requests.len() + tasks + ask.what.seen.len() + ask.what.gone.len()
            }
            Self::Record(ask) => ask.what.iter().map(|one| 1 + one.publications.len()).sum(),
            Self::Publish(ask) => ask.what.len(),
            Self::PublishTogether(ask) => ask.what.len(),
            Self::Save(ask) => ask.what.0.len() + ask.what.1.len(),
            Self::Enter(ask) => {
                let learned = ask.what.learned.iter().map(|it| it.limits.len());
                ask.what.entries.len() + learned.sum::<usize>()
            }
            Self::PlanJob(ask) => ask.what.1.len(),
            Self::Prune(ask) => ask.what.1,
            Self::ForgetWithdrawn(ask) => ask.what.len(),
            Self::Correct(ask) => ask.what.len(),
            Self::Clear(_)
            | Self::Barrier(_)
            | Self::NoteJob(_)
            | Self::CloseJob(_)
            | Self::Pause(_)
            | Self::NoteSkipped(_) => 1,
        };
        n_rows.max(1)
    }

    /// Answers, now that the transaction was committed or given up.
    pub(super) fn finish(self, verdict: Result<(), StoreError>) {
        match self {
            Self::Admit(ask) => ask.finish(verdict),
            Self::Record(ask) => ask.finish(verdict),
            Self::Publish(ask) => ask.finish(verdict),
            Self::PublishTogether(ask) => ask.finish(verdict),
            Self::Save(ask) => ask.finish(verdict),
            Self::Clear(ask) | Self::Barrier(ask) => ask.finish(verdict),
            Self::Enter(ask) => ask.finish(verdict),
            Self::PlanJob(ask) => ask.finish(verdict),
            Self::NoteJob(ask) => ask.finish(verdict),
            Self::CloseJob(ask) => ask.finish(verdict),
            Self::ForgetWithdrawn(ask) => ask.finish(verdict),
            Self::Correct(ask) => ask.finish(verdict),
            Self::Prune(ask) => ask.finish(verdict),
            Self::Pause(ask) => ask.finish(verdict),
            Self::NoteSkipped(ask) => ask.finish(verdict),
        }
    }

    const fn is_intake(&self) -> bool {
        matches!(self, Self::Admit(_))
    }
}

/// What the writer is to do next.
pub(super) enum Next {
    /// To commit these together.
    Group(Vec<Write>),
    /// Whatever is good to do while nothing waits.
    Idle,
    /// To end: nothing waits, and nothing more will come.
    Closed,
}

/// The writer's queue.
pub(super) struct Queue {
    budget: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    writes: VecDeque<Write>,
    /// Rows that wait or are being committed, and those of them that are intake.
    n_rows: usize,
    n_intake: usize,
    /// Rows that are being committed, and those of them that are intake.
    taken: (usize, usize),
    is_writer_asleep: bool,
    is_closed: bool,
}

impl Queue {
    /// An empty queue for so many rows.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Puts a write behind all others.
    ///
    /// Intake is refused beyond its half; other writes never, since losing them loses work.
    pub(super) fn push(&self, write: Write) {
        let mut waiting = self.lock();
        if waiting.is_closed {
            drop(waiting);
            return write.finish(Err(StoreError::Failed {
                detail: "the store is closed".into(),
            }));
        }
        let n_rows = write.n_rows();
        if write.is_intake() {
            if waiting.n_intake > 0 && !self.has_room_for_intake(&waiting, n_rows) {
                let wait = Duration::from_millis((waiting.n_rows / ROWS_PER_MILLISECOND) as u64);
                drop(waiting);
                let wait = wait.max(Duration::from_millis(50));
                return write.finish(Err(StoreError::Full { wait }));
            }
            waiting.n_intake += n_rows;
        }
        waiting.n_rows += n_rows;
        waiting.writes.push_back(write);
        if waiting.is_writer_asleep {
            self.arrived.notify_one();
        }
    }

    /// Waits for something to do; answers `Idle` once nothing came for `rest`.
    ///
    /// A group is what has gathered, up to `most` rows or one write that is larger alone.
    /// What was taken before counts as waiting until this is called again.
    pub(super) fn next(&self, most: usize, rest: Option<Duration>) -> Next {
        let mut waiting = self.lock();
        let (n_rows, n_intake) = mem::take(&mut waiting.taken);
        waiting.n_rows -= n_rows;
        waiting.n_intake -= n_intake;
        while waiting.writes.is_empty() {
            if waiting.is_closed {
                return Next::Closed;
            }
            waiting.is_writer_asleep = true;
            let is_over;
            (waiting, is_over) = self.sleep(waiting, rest);
            waiting.is_writer_asleep = false;
            if is_over && waiting.writes.is_empty() && !waiting.is_closed {
                return Next::Idle;
            }
        }
        Next::Group(waiting.take(most))
    }

    /// Takes nothing more; what waits is still written.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Takes nothing more and refuses what waits, since the writer is gone.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        let writes = mem::take(&mut waiting.writes);
        drop(waiting);
        for write in writes {
            write.finish(Err(StoreError::Failed {
                detail: "the store's writer is gone".into(),
            }));
        }
    }

    fn has_room_for_intake(&self, waiting: &Waiting, n_rows: usize) -> bool {
        waiting.n_intake + n_rows <= self.budget / 2 && waiting.n_rows + n_rows <= self.budget
    }

    fn sleep<'q>(
        &'q self,
        waiting: MutexGuard<'q, Waiting>,
        rest: Option<Duration>,
    ) -> (MutexGuard<'q, Waiting>, bool) {
        match rest {
            Some(rest) => {
                let woken = self.arrived.wait_timeout(waiting, rest);
                let (waiting, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                (waiting, timeout.timed_out())
            }
            None => {
                let woken = self.arrived.wait(waiting);
                (woken.unwrap_or_else(PoisonError::into_inner), false)
            }
        }
    }

    /// Nothing panics while the lock is held, so that what it guards is always whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, most: usize) -> Vec<Write> {
        let mut group = Vec::new();
        let (mut n_rows, mut n_intake) = (0, 0);
        while let Some(write) = self.writes.pop_front() {
            let n_more = write.n_rows();
            if !group.is_empty() && n_rows + n_more > most {
                self.writes.push_front(write);
                break;
            }
            n_rows += n_more;
            n_intake += if write.is_intake() { n_more } else { 0 };
            group.push(write);
        }
        self.taken = (n_rows, n_intake);
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier() -> Write {
        Write::Barrier(Ask::new(()).0)
    }

    fn intake(n_posts: u8) -> (Write, oneshot::Receiver<Result<Vec<Admitted>, StoreError>>) {
        let seen = (0..n_posts).map(|post| ("news".into(), post.to_string().into()));
        let (ask, answer) = Ask::new(Admission {
            seen: seen.collect(),
            ..Admission::default()
        });
        (Write::Admit(ask), answer)
    }

    #[test]
    fn intake_beyond_its_half_is_told_when_to_come_back() {
        let queue = Queue::new(10);
        queue.push(intake(5).0);
        let (write, mut answer) = intake(1);

        queue.push(write);

        let answer = answer.try_recv().expect("an answer at once");
        assert!(matches!(answer, Err(StoreError::Full { wait }) if !wait.is_zero()));
    }

    #[test]
    fn what_is_being_committed_still_counts_as_waiting() {
        let queue = Queue::new(10);
        queue.push(intake(5).0);
        let Next::Group(group) = queue.next(100, None) else {
            panic!("a group waits");
        };
        let (write, mut answer) = intake(1);
        queue.push(write);
        assert!(matches!(
            answer.try_recv(),
            Ok(Err(StoreError::Full { .. }))
        ));
        drop(group);
        queue.push(barrier());
        assert!(matches!(queue.next(100, None), Next::Group(_)));
        let (write, mut answer) = intake(5);

        queue.push(write);

        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn other_writes_are_taken_beyond_the_budget() {
        let queue = Queue::new(2);
        for _ in 0..9 {
            queue.push(barrier());
        }
        assert!(matches!(queue.next(100, None), Next::Group(group) if group.len() == 9));
    }

    #[test]
    fn a_group_holds_what_it_may_and_one_write_at_least() {
        let queue = Queue::new(100);
        queue.push(intake(7).0);
        queue.push(barrier());
        queue.push(barrier());
        let lengths: Vec<usize> = (0..2)
            .map(|_| match queue.next(3, None) {
                Next::Group(group) => group.len(),
                Next::Idle | Next::Closed => 0,
            })
            .collect();
        assert_eq!(lengths, [1, 2]);
    }

    #[test]
    fn a_closed_queue_is_emptied_before_it_ends() {
        let queue = Queue::new(100);
        queue.push(barrier());
        queue.close();
        assert!(matches!(queue.next(10, None), Next::Group(_)));
        assert!(matches!(queue.next(10, None), Next::Closed));
    }
}

//! The one thread that writes: it commits in groups what has gathered while the last one synced.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use babelfeed_actors::domain::TaskId;
use babelfeed_actors::ports::{Kept, StoreError, Tally, TaskChange, Token};
use foldhash::{HashMap, HashMapExt as _};
use log::{debug, error, warn};
use rusqlite::{Connection, Statement};

use super::ballast::Ballast;
use super::corrections;
use super::fault::Fault;
use super::jobs;
use super::pauses;
use super::queue::{Next, Queue, Write};
use super::schema;
use super::tables::{Tables, is_bare_claim};
use super::{Config, Watched};

/// The most rows of one commit.
const GROUP: usize = 1_000;
/// How long nothing must come until the log is moved into the database.
const REST: Duration = Duration::from_millis(500);
/// How many pages the log may hold until it is moved although work goes on; 64 MiB.
const LOG_PAGES: i64 = 16 * 1_024;
/// After how many rows the log's length is looked at.
const LOOK_EVERY: usize = 2_000;
/// How many rows a commit counts as beside its own, since even a small one writes many pages.
const COMMIT_ROWS: usize = 8;

/// What the writer shares with the store's handles.
pub(super) struct Shared {
    /// What waits to be written.
    pub(super) queue: Queue,
    /// How many tasks and publications are in which state, as committed.
    pub(super) tally: Mutex<Tally>,
    /// The token handed out last; its upper half is the epoch.
    pub(super) tokens: AtomicU64,
}

/// Writes until the queue is closed and empty, and closes the database behind all readers.
fn run(
    connection: Connection,
    shared: &Shared,
    ballast: Ballast,
    commit_time: Duration,
    readers_over: &Receiver<Infallible>,
) {
    let tally = *shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
    let served = Tables::new(&connection, tally)
        .and_then(|tables| Writer::new(&connection, tables, shared, ballast, commit_time))
        .map(Writer::serve);
    if let Err(fault) = served {
        error!(cause:% = fault; "store cannot write");
        return shared.queue.abandon();
    }
    // The last connection to close takes the log away, which a reader must not. Nothing is ever
    // sent here: this answers when no reader is left.
    let _ = readers_over.recv();
    if let Err(error) = schema::mark_clean(&connection) {
        warn!(cause:% = error; "store not closed in order");
    }
}

struct Writer<'c> {
    connection: &'c Connection,
    tables: Tables<'c>,
    shared: &'c Shared,
    ballast: Ballast,
    /// How long the writes of one commit may take, all but the last.
    commit_time: Duration,
    begin: Statement<'c>,
    commit: Statement<'c>,
    epoch: u64,
    committed: Tally,
    /// Rows since the log's length was looked at, and since it was moved.
    n_unseen: usize,
    n_logged: usize,
    /// Whether the last commit failed.
    is_failing: bool,
}

impl<'c> Writer<'c> {
    fn new(
        connection: &'c Connection,
        tables: Tables<'c>,
        shared: &'c Shared,
        ballast: Ballast,
        commit_time: Duration,
    ) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            committed: tables.tally,
            tables,
            shared,
            ballast,
            commit_time,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            epoch: epoch_of(shared.tokens.load(Ordering::Relaxed)),
            n_unseen: 0,
            n_logged: 0,
            is_failing: false,
        })
    }

    fn serve(mut self) {
        loop {
            let has_chores = self.n_logged > 0 || self.ballast.is_wanted();
            match self.shared.queue.next(GROUP, has_chores.then_some(REST)) {
                Next::Group(group) => self.write(group),
                Next::Idle => self.rest(),
                Next::Closed => return,
            }
        }
    }

    /// Commits a group, in as many commits as its time takes, and answers it.
    fn write(&mut self, group: Vec<Write>) {
        let mut group = self.refuse_intake_without_ballast(group);
        while !group.is_empty() {
            group = self.write_some(group);
        }
        if self.n_unseen >= LOOK_EVERY {
            self.look_at_log();
        }
    }

    /// Commits the first writes of a group and answers them; returns the others. A group that
    /// fails as one is tried one by one.
    fn write_some(&mut self, mut group: Vec<Write>) -> Vec<Write> {
        match self.attempt_with_ballast(&mut group) {
            Ok(n_made) => {
                self.is_failing = false;
                let rest = group.split_off(n_made);
                finish(group, &Ok(()));
                return rest;
            }
            Err(fault) if fault.is_no_space() || group.len() == 1 => {
                // Said once; whoever waits for the write tells its story.
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(cause:% = fault, writes = group.len(); "commit failed");
                }
                finish(group, &Err(StoreError::from(&fault)));
            }
            Err(fault) => {
                debug!(cause:% = fault, writes = group.len(); "group tried one by one");
                for write in group {
                    self.write(vec![write]);
                }
            }
        }
        Vec::new()
    }

    /// New work has to wait while the room kept back is in use; what is under way may end.
    fn refuse_intake_without_ballast(&mut self, group: Vec<Write>) -> Vec<Write> {
        if self.ballast.is_gone() {
            self.ballast.restore();
        }
        if !self.ballast.is_gone() {
            return group;
        }
        let (intake, rest): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|write| matches!(write, Write::Admit(_)));
        let refusal = StoreError::NoSpace {
            detail: "what is left is kept for work under way".into(),
        };
        finish(intake, &Err(refusal));
        rest
    }

    /// Makes a group's writes; once more if room could be made for them on a full disk.
    fn attempt_with_ballast(&mut self, group: &mut [Write]) -> Result<usize, Fault> {
        match self.attempt(group) {
            Err(fault) if fault.is_no_space() && self.make_room() => self.attempt(group),
            outcome => outcome,
        }
    }

    /// Gives the ballast up, or else empties the log, whose room is then written again.
    ///
    /// The ballast goes first, since emptying the log takes room before it gives any. The log
    /// is emptied once until a commit succeeds, so that a full disk is no endless loop.
    fn make_room(&mut self) -> bool {
        if self.ballast.release() {
            return true;
        }
        let was_logged = self.n_logged > 0;
        if was_logged {
            self.move_log();
        }
        was_logged
    }

    /// Makes a group's first writes in one transaction, or none of them; returns how many.
    fn attempt(&mut self, group: &mut [Write]) -> Result<usize, Fault> {
        if group.iter().all(|write| matches!(write, Write::Barrier(_))) {
            return self.apply(group);
        }
        let outcome = self.begin.execute(()).map_err(Fault::from).and_then(|_| {
            let n_made = self.apply(group)?;
            let epoch = self.note_totals()?;
            hold_back();
            self.commit.execute(())?;
            Ok((n_made, epoch))
        });
        let n_made = match outcome {
            Ok((n_made, epoch)) => {
                self.epoch = epoch;
                n_made
            }
            Err(fault) => {
                self.roll_back();
                return Err(fault);
            }
        };
        self.committed = self.tables.tally;
        *self.shared_tally() = self.committed;
        let n_rows = COMMIT_ROWS + group[..n_made].iter().map(Write::n_rows).sum::<usize>();
        self.n_unseen += n_rows;
        self.n_logged += n_rows;
        Ok(n_made)
    }

    /// Makes writes until their time is over, one at least; returns how many.
    fn apply(&mut self, group: &mut [Write]) -> Result<usize, Fault> {
        let began = Instant::now();
        let plan = Plan::new(group);
        let mut kept = vec![Kept::Ghost; plan.steps.len()];
        let (mut next, mut whole_from, mut n_made) = (0, 0, 0);
        for write in group.iter_mut() {
            // A claim that a later change stands for is made in one commit with that.
            if n_made > 0 && next >= whole_from && began.elapsed() >= self.commit_time {
                break;
            }
            n_made += 1;
            match write {
                Write::Admit(ask) => ask.outcome = Some(self.tables.admit(&ask.what)?),
                Write::Record(ask) => {
                    for change in ask.what.iter() {
                        if let Some(later) = plan.steps[next].absorbed_by {
                            whole_from = whole_from.max(later + 1);
                        } else {
                            let held = plan.steps[next].held;
                            let outcome = self.tables.record(change, held)?;
                            plan.settle(&mut kept, next, outcome);
                        }
                        next += 1;
                    }
                }
                Write::Publish(ask) => {
                    let changes = ask.what.iter();
                    let kept: Result<_, Fault> =
                        changes.map(|change| self.tables.publish(change)).collect();
                    ask.outcome = Some(kept?);
                }
                Write::PublishTogether(ask) => {
                    ask.outcome = Some(self.tables.publish_together(&ask.what)?);
                }
                Write::Save(ask) => {
                    ask.outcome = Some(self.tables.save(&ask.what.0, &ask.what.1)?);
                }
                Write::Clear(ask) => ask.outcome = Some(self.tables.clear()?),
                Write::Enter(ask) => {
                    ask.outcome = Some(self.tables.enter(&ask.what)?);
                }
                Write::Prune(ask) => {
                    ask.outcome = Some(self.tables.prune(ask.what.0, ask.what.1)?);
                }
                Write::PlanJob(ask) => {
                    let (job, claims) = &ask.what;
                    jobs::insert(self.connection, job)?;
                    let claims = claims.iter();
                    let kept: Result<_, Fault> = claims
                        .map(|claim| self.tables.record(claim, claim.held))
                        .collect();
                    ask.outcome = Some(kept?);
                }
                Write::NoteJob(ask) => {
                    let (token, remote, reserved) = &ask.what;
                    ask.outcome = Some(jobs::note(self.connection, *token, remote, *reserved)?);
                }
                Write::CloseJob(ask) => {
                    ask.outcome = Some(jobs::delete(self.connection, ask.what)?);
                }
                Write::ForgetWithdrawn(ask) => {
                    ask.outcome = Some(self.tables.forget_withdrawn(&ask.what)?);
                }
                Write::Correct(ask) => {
                    ask.outcome = Some(corrections::insert(self.connection, &ask.what)?);
                }
                Write::Pause(ask) => {
                    ask.outcome = Some(pauses::replace(self.connection, &ask.what)?);
                }
                Write::NoteSkipped(ask) => {
                    ask.outcome = Some(pauses::note_skipped(self.connection, &ask.what)?);
                }
                Write::Barrier(ask) => ask.outcome = Some(()),
            }
        }
        hand_out(&mut group[..n_made], &kept);
        Ok(n_made)
    }

    /// Writes down what changed as a whole, and answers the epoch that is then on disk.
    fn note_totals(&mut self) -> Result<u64, Fault> {
        if self.tables.tally != self.committed {
            self.tables.write_tally()?;
        }
        let epoch = epoch_of(self.shared.tokens.load(Ordering::Relaxed));
        if epoch != self.epoch {
            self.tables.write_epoch(epoch)?;
        }
        Ok(epoch)
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            error!(cause:% = error; "transaction not rolled back");
        }
        self.tables.forget(self.committed);
    }

    /// What is good to do while nothing waits.
    fn rest(&mut self) {
        self.ballast.restore();
        if self.n_logged > 0 {
            self.move_log();
        }
    }

    fn look_at_log(&mut self) {
        self.n_unseen = 0;
        // Under a load that never pauses, no rest would take it.
        self.ballast.restore();
        match schema::checkpoint(self.connection, "NOOP") {
            Ok(n_pages) if n_pages < LOG_PAGES => (),
            Ok(_) => self.move_log(),
            Err(error) => warn!(cause:% = error; "log not measured"),
        }
    }

    /// Moves the log into the database; if that fails, the log keeps everything until it does.
    fn move_log(&mut self) {
        self.n_logged = 0;
        if let Err(error) = schema::checkpoint(self.connection, "PASSIVE") {
            warn!(cause:% = error; "checkpoint failed");
        }
    }

    fn shared_tally(&self) -> std::sync::MutexGuard<'c, Tally> {
        let tally = self.shared.tally.lock();
        tally.unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a group's changes of tasks are made: a bare claim that a later change of the same group
/// builds on is not made on its own, but by that change, which then carries the claim's fence.
struct Plan {
    steps: Vec<PlannedStep>,
}

struct PlannedStep {
    /// The token that the row must bear.
    held: Token,
    /// The claim that this change stands for as well.
    absorbs: Option<usize>,
    /// The later change that stands for this one as well.
    absorbed_by: Option<usize>,
}

impl Plan {
    fn new(group: &[Write]) -> Self {
        let changes: Vec<&TaskChange> = group
            .iter()
            .filter_map(|write| match write {
                Write::Record(ask) => Some(ask.what.iter()),
                _ => None,
            })
            .flatten()
            .collect();
        let mut steps: Vec<PlannedStep> = changes
            .iter()
            .map(|change| PlannedStep {
                held: change.held,
                absorbs: None,
                absorbed_by: None,
            })
            .collect();
        let mut latest: HashMap<TaskId, usize> = HashMap::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            if let Some(&before) = latest.get(&change.id)
                && is_bare_claim(changes[before])
                && changes[before].token == change.held
            {
                steps[index].held = steps[before].held;
                steps[index].absorbs = Some(before);
                steps[before].absorbed_by = Some(index);
            }
            latest.insert(change.id, index);
        }
        Self { steps }
    }

    /// Notes what became of a change and of the claims it stands for.
    fn settle(&self, kept: &mut [Kept], index: usize, outcome: Kept) {
        let mut next = Some(index);
        while let Some(index) = next {
            kept[index] = outcome;
            next = self.steps[index].absorbs;
        }
    }
}

fn hand_out(group: &mut [Write], kept: &[Kept]) {
    let mut rest = kept;
    for write in group {
        if let Write::Record(ask) = write {
            let (own, others) = rest.split_at(ask.what.len());
            ask.outcome = Some(own.to_vec());
            rest = others;
        }
    }
}

fn finish(group: Vec<Write>, verdict: &Result<(), StoreError>) {
    for write in group {
        write.finish(verdict.clone());
    }
}

const fn epoch_of(token: Token) -> u64 {
    token >> 32
}

/// Waits before the commit while the file that `BABELFEED_FAIL_SYNC` names exists.
#[cfg(feature = "failpoints")]
fn hold_back() {
    let Some(path) = std::env::var_os("BABELFEED_FAIL_SYNC") else {
        return;
    };
    while std::path::Path::new(&path).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(not(feature = "failpoints"))]
const fn hold_back() {}

/// Starts the thread that writes; `readers_over` is cut off when the last reader has closed its
/// connection.
pub(super) fn start(
    connection: Connection,
    shared: &Arc<Shared>,
    ballast: Ballast,
    config: &Config,
    readers_over: Receiver<Infallible>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let commit_time = config.commit_time;
    let watched = Watched {
        name: "store-writer",
        on_fall: config.on_fall,
    };
    std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || {
            let _watched = watched;
            let guard = AbandonOnPanic(&shared.queue);
            run(connection, &shared, ballast, commit_time, &readers_over);
            drop(guard);
        })
}

/// Refuses all that waits when the writer ends, also by a panic, so that nobody waits for good.
struct AbandonOnPanic<'q>(&'q Queue);

impl Drop for AbandonOnPanic<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::Ask;
    use super::*;

    /// Five writes that nothing is gained from, and how many commits they take.
    fn n_commits(commit_time: Duration) -> usize {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("babelfeed.db");
        let (connection, boot) = schema::open_writer(&Config::new(&path)).expect("a database");
        let shared = Shared {
            queue: Queue::new(100),
            tally: Mutex::new(boot.tally),
            tokens: AtomicU64::new(boot.epoch << 32),
        };
        let tables = Tables::new(&connection, boot.tally).expect("tables");
        let ballast = Ballast::new(folder.path().join("ballast"), 0);
        let mut writer =
            Writer::new(&connection, tables, &shared, ballast, commit_time).expect("a writer");
        let (writes, mut answers): (Vec<_>, Vec<_>) = (0..5)
            .map(|_| Ask::new((Vec::new(), Vec::new())))
            .map(|(ask, answer)| (Write::Save(ask), answer))
            .unzip();

        let (mut rest, mut n_commits) = (writes, 0);
        while !rest.is_empty() {
            rest = writer.write_some(rest);
            n_commits += 1;
        }

        for answer in &mut answers {
            assert_eq!(answer.try_recv().expect("an answer"), Ok(()));
        }
        n_commits
    }

    #[test]
    fn a_commit_ends_when_its_time_is_over_and_holds_one_write_at_least() {
        assert_eq!(n_commits(Duration::ZERO), 5);
        assert_eq!(n_commits(Duration::from_secs(3_600)), 1);
    }
}

//! The contract of the store port, passed by the fake in memory and by SQLite.

use std::path::PathBuf;
use std::time::Duration;

use babelfeed::stores::{SqliteConfig, SqliteStore};
use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{QuotaLedger, StoreError, TaskStore, TranslationMemory};
use babelfeed_actors::testkit::store::MemoryStore;
use tempfile::TempDir;

mod admissions;
mod durability;
mod jobs;
mod learned;
mod model;
mod publications;
mod requests;
mod sqlite;
mod tasks;

/// A kind of store that the contract is put to.
trait Kind {
    /// The store itself.
    type Store: TaskStore + TranslationMemory + QuotaLedger;

    /// An empty store.
    fn new() -> Self;

    /// The store as it runs now.
    fn store(&self) -> &Self::Store;

    /// Stops it in order and starts it again.
    fn restart(&mut self);

    /// Starts from what a power cut at this moment would leave.
    fn crash(&mut self);

    /// Forgets what ended before a time.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

struct Memory(MemoryStore);

impl Kind for Memory {
    type Store = MemoryStore;

    fn new() -> Self {
        Self(MemoryStore::new())
    }

    fn store(&self) -> &MemoryStore {
        &self.0
    }

    fn restart(&mut self) {
        self.0 = self.0.crash();
    }

    fn crash(&mut self) {
        self.0 = self.0.crash();
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.prune(before, limit).await
    }
}

/// SQLite, with commits of at most so many milliseconds.
struct SqliteIn<const MILLIS: u64> {
    folder: TempDir,
    n_crashes: usize,
    store: Option<SqliteStore>,
}

type Sqlite = SqliteIn<5>;

/// SQLite with a commit for each write.
type SqliteOneByOne = SqliteIn<0>;

impl<const MILLIS: u64> SqliteIn<MILLIS> {
    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.n_crashes))
    }

    fn start(&mut self) {
        let mut config = SqliteConfig::new(self.path());
        config.ballast = 0;
        config.commit_time = Duration::from_millis(MILLIS);
        self.store = Some(SqliteStore::open(&config).expect("a store"));
    }
}

impl<const MILLIS: u64> Kind for SqliteIn<MILLIS> {
    type Store = SqliteStore;

    fn new() -> Self {
        let mut kind = Self {
            folder: TempDir::new().expect("a folder"),
            n_crashes: 0,
            store: None,
        };
        kind.start();
        kind
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().expect("it runs")
    }

    fn restart(&mut self) {
        self.store = None;
        self.start();
    }

    /// Takes a copy of the files while the store runs, the log last, and goes on with that.
    fn crash(&mut self) {
        let old = self.path();
        self.n_crashes += 1;
        let new = self.path();
        for end in ["", "-wal"] {
            let (mut from, mut to) = (old.clone().into_os_string(), new.clone().into_os_string());
            from.push(end);
            to.push(end);
            std::fs::copy(from, to).expect("a copy");
        }
        self.start();
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store().prune(before, limit).await
    }
}

/// Runs a test's future to its end.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// Puts each law to each kind of store.
macro_rules! contract {
    ($($file:ident { $($law:ident),+ $(,)? })+) => {
        mod memory_store {
            $($(#[test] fn $law() { super::run(super::$file::$law::<super::Memory>()); })+)+
        }
        mod sqlite_store {
            $($(#[test] fn $law() { super::run(super::$file::$law::<super::Sqlite>()); })+)+
        }
        mod sqlite_store_one_by_one {
            $($(#[test] fn $law() {
                super::run(super::$file::$law::<super::SqliteOneByOne>());
            })+)+
        }
    };
}

contract! {
    admissions {
        a_request_is_queued_in_each_target,
        the_same_post_is_taken_in_once,
        a_key_with_another_body_conflicts_and_changes_nothing,
        a_post_that_counts_as_seen_makes_nothing,
        a_post_is_found_by_what_its_source_calls_it,
        an_edited_post_is_a_request_of_its_own,
        a_deleted_post_is_withdrawn_until_that_is_seen_to,
        the_cursor_moves_with_its_posts,
    }
    tasks {
        a_task_is_read_back_as_it_was_recorded,
        several_tasks_are_found_by_one_question,
        a_ghost_changes_nothing,
        a_claim_and_its_end_can_be_written_without_waiting_between,
        only_a_retry_opens_a_failed_task,
        the_earliest_deadline_comes_first_then_the_oldest,
        lists_go_on_where_they_were_left,
        pruning_keeps_identities_and_what_is_open,
        an_edit_of_what_was_forgotten_is_nothing_new,
        an_edit_reaches_the_languages_that_its_post_was_taken_in,
    }
    publications {
        publications_are_planned_once_by_the_commit_that_completes,
        a_publication_is_read_back_as_it_was_recorded,
        publications_that_need_each_other_change_together_or_not_at_all,
        what_stands_open_is_counted_by_outlet_and_by_bucket,
    }
    durability {
        what_was_answered_survives_a_crash,
        tokens_rise_across_restarts,
        a_write_is_made_although_nobody_waits_for_it,
    }
    learned {
        known_translations_are_read_newest_first,
        corrections_are_kept_once_and_outlive_a_crash,
        the_use_of_quotas_survives_a_crash_and_is_forgotten_in_time,
        what_lanes_learned_is_replaced_whole_and_survives_a_crash,
    }
    jobs {
        a_job_and_the_claims_of_its_tasks_are_one_commit,
    }
}

#[test]
fn memory_store_agrees_with_the_model() {
    model::agrees::<Memory>(128);
}

#[test]
fn sqlite_store_agrees_with_the_model() {
    model::agrees::<Sqlite>(24);
}

#[test]
fn sqlite_store_with_a_commit_for_each_write_agrees_with_the_model() {
    model::agrees::<SqliteOneByOne>(12);
}

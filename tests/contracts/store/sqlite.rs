//! What is asked of SQLite alone: damage, versions, a full disk, writes that fail among others.

use babelfeed::stores::{SqliteConfig, SqliteStore};
use babelfeed_actors::domain::{IdMint, PausedBy};
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{Admission, QuotaLedger as _, StoreError, TaskStore as _};
use babelfeed_actors::setup::Pauses;
use futures_util::FutureExt as _;
use std::sync::Arc;
use tempfile::TempDir;

use super::requests::{admit, at, change, queued_task, record, request, step, task};
use super::run;

fn config(folder: &TempDir) -> SqliteConfig {
    let mut config = SqliteConfig::new(folder.path().join("babelfeed.db"));
    config.ballast = 0;
    config
}

#[test]
fn a_database_of_a_newer_version_is_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let config = config(&folder);
    drop(SqliteStore::open(&config).expect("a store"));
    let connection = rusqlite::Connection::open(&config.path).expect("a connection");
    connection
        .pragma_update(None, "user_version", 9_999)
        .expect("a version");
    drop(connection);

    let refusal = SqliteStore::open(&config).err().expect("a refusal");

    let refusal = format!("{refusal:#}");
    assert!(
        refusal.contains("version 9999, expected at most"),
        "{refusal}"
    );
}

#[test]
fn a_database_of_an_earlier_version_is_brought_to_this_one_with_what_it_holds() {
    let folder = TempDir::new().expect("a folder");
    let config = config(&folder);
    let store = SqliteStore::open(&config).expect("a store");
    run(queued_task_of(&store, 3));
    drop(store);
    let connection = rusqlite::Connection::open(&config.path).expect("a connection");
    // As it was before lanes remembered what they learned, jobs what they reserved, and posts that
    // they were deleted.
    let undone = "DROP TABLE learned; ALTER TABLE job DROP COLUMN reserved;
        ALTER TABLE job DROP COLUMN reserved_at; ALTER TABLE identity DROP COLUMN gone;
        DROP TABLE paused;        PRAGMA user_version = 6;";
    connection
        .execute_batch(undone)
        .expect("an earlier version");
    drop(connection);

    let store = SqliteStore::open(&config).expect("a store");

    run(async {
        assert_eq!(store.learned().await, Ok(Vec::new()));
        assert_eq!(store.tally().await.map(|tally| tally.queued), Ok(3));
    });
}

#[test]
fn a_damaged_database_is_refused_after_an_unclean_stop() {
    let folder = TempDir::new().expect("a folder");
    let config = config(&folder);
    let store = SqliteStore::open(&config).expect("a store");
    run(async {
        for _ in 0..20 {
            queued_task_of(&store, 40).await;
        }
    });
    drop(store);
    let connection = rusqlite::Connection::open(&config.path).expect("a connection");
    connection
        .execute("UPDATE meta SET clean = 0", ())
        .expect("a mark");
    drop(connection);
    let mut bytes = std::fs::read(&config.path).expect("the database");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&config.path, bytes).expect("damage");

    let refusal = SqliteStore::open(&config).err().expect("a refusal");

    let refusal = format!("{refusal:#}");
    assert!(refusal.contains("damaged"), "{refusal}");
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let config = config(&folder);
    std::fs::write(&config.path, "not a database, ".repeat(512)).expect("a file");

    let refusal = SqliteStore::open(&config).err().expect("a refusal");

    let refusal = format!("{refusal:#}");
    assert!(refusal.contains("babelfeed.db"), "{refusal}");
}

#[test]
fn a_write_that_fails_does_not_sink_its_neighbours() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(&config(&folder)).expect("a store");
    let mut mint = IdMint::default();
    let first = request(&mut mint, None, &["es"]);
    let other = request(&mut mint, None, &["es"]);
    let one = |new: &babelfeed_actors::ports::NewRequest| Admission {
        requests: vec![new.clone()],
        ..Admission::default()
    };

    let outcomes = run(async {
        let writes = [
            store.admit(one(&first)),
            store.admit(one(&first)),
            store.admit(one(&other)),
        ];
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(write.await.is_ok());
        }
        outcomes
    });

    assert_eq!(outcomes, [true, false, true]);
    let tally = run(store.tally()).expect("a tally");
    assert_eq!(tally.queued, 2);
}

#[test]
fn a_full_disk_is_told_and_forgotten_once_there_is_room() {
    let folder = TempDir::new().expect("a folder");
    let mut config = config(&folder);
    config.max_bytes = Some(400 * 1_024);
    let store = SqliteStore::open(&config).expect("a store");

    run(async {
        let mut n_taken = 0;
        let refusal = loop {
            match fill(&store).await {
                Ok(_) => n_taken += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, StoreError::NoSpace { .. }), "{refusal}");
        let tally = store.tally().await.expect("a tally");
        assert_eq!(tally.completed, n_taken);
        assert!(store.tasks(None, None, 9).await.is_ok());

        let n_pruned = store.prune(at(60_000), 1_000).await.expect("a pruning");

        assert_eq!(n_pruned as u64, n_taken);
        assert!(fill(&store).await.is_ok());
    });
}

#[test]
fn a_full_disk_takes_the_ballast_for_work_under_way_and_no_new_work() {
    let folder = TempDir::new().expect("a folder");
    let mut config = config(&folder);
    config.max_bytes = Some(400 * 1_024);
    config.ballast = 64 * 1_024;
    let ballast = folder.path().join("babelfeed.db.ballast");
    // As an earlier start left it.
    std::fs::write(&ballast, vec![0x5a; 64 * 1_024]).expect("room");
    let store = SqliteStore::open(&config).expect("a store");

    run(async {
        let task = queued_task(&store).await;
        while fill(&store).await.is_ok() {}
        assert!(!ballast.exists());

        step(&store, task, &[Step::Call]).await;

        assert!(matches!(
            fill(&store).await,
            Err(StoreError::NoSpace { .. })
        ));
    });
}

#[test]
fn a_system_that_another_has_replaced_writes_nothing_more() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(&config(&folder)).expect("a store");
    let [old, new] = [store.for_system(), store.for_system()];
    run(async {
        let id = queued_task(&old).await;
        let queued = task(&old, id).await;
        old.clone().give_up();

        let late = change(&queued, old.token(), &[Step::Call]);
        let unheard = record(&old, late).now_or_never();

        assert_eq!((unheard, new.barrier().await), (None, Ok(())));
        assert_eq!(task(&old, id).await, queued);
        step(&new, id, &[Step::Call]).await;
    });
}

#[test]
fn a_closed_store_says_so() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(&config(&folder)).expect("a store");
    run(async {
        queued_task(&store).await;
        assert_eq!(store.close().await, Ok(()));
        assert!(store.barrier().await.is_err());
        assert!(store.buckets().await.is_err());
    });
    assert!(!folder.path().join("babelfeed.db-wal").exists());
}

#[test]
fn reads_that_still_wait_leave_no_log_behind_a_close() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(&config(&folder)).expect("a store");
    run(async {
        queued_task_of(&store, 40).await;
        let reads: Vec<_> = (0..500).map(|_| store.tasks(None, None, 100)).collect();

        assert_eq!(store.close().await, Ok(()));

        assert!(!folder.path().join("babelfeed.db-wal").exists());
        for read in reads {
            assert_eq!(read.await.expect("what was read").len(), 40);
        }
    });
}

/// Takes a long text in and completes it.
async fn fill(store: &SqliteStore) -> Result<(), StoreError> {
    let mut new = request(&mut IdMint::default(), None, &["es"]);
    let text = "morning ".repeat(500);
    let random = u64::from_be_bytes(*uuid::Uuid::now_v7().as_bytes().last_chunk().expect("bytes"));
    let full = std::sync::Arc::make_mut(&mut new.request);
    full.id = IdMint::default().next(at(0), random);
    full.text = text.into();
    let task = full.id.task(1);
    let admission = Admission {
        requests: vec![new],
        ..Admission::default()
    };
    store.admit(admission).await?;
    let record = super::requests::task(store, task).await;
    let steps = [Step::Pass, Step::Complete];
    let change = super::requests::change(&record, store.token(), &steps);
    store.record(Arc::new([change])).await.map(drop)
}

/// Takes a request of so many targets in.
async fn queued_task_of(store: &SqliteStore, n_targets: usize) {
    let mut new = request(&mut IdMint::default(), None, &vec!["es"; n_targets]);
    let random = u64::from_be_bytes(*uuid::Uuid::now_v7().as_bytes().last_chunk().expect("bytes"));
    std::sync::Arc::make_mut(&mut new.request).id = IdMint::default().next(at(0), random);
    admit(store, vec![new]).await;
}

#[test]
fn what_a_person_paused_is_kept_and_replaced_as_a_whole() {
    let folder = TempDir::new().expect("a folder");
    let config = config(&folder);
    let pauses = Pauses {
        sources: vec![("news".into(), PausedBy::Person)],
        skipping: vec!["blog".into(), "feed".into()],
        outlets: vec!["es".into()],
        lanes: vec!["groq".into(), "es".into()],
        is_draining: false,
    };
    let mut given = pauses.clone();
    given.sources.push(("other".into(), PausedBy::Service));
    run(async {
        let store = SqliteStore::open(&config).expect("a store");
        assert_eq!(store.pauses().await, Ok(Pauses::default()));
        assert_eq!(store.keep_pauses(given).await, Ok(()));
    });
    run(async {
        let store = SqliteStore::open(&config).expect("a store");
        let mut kept = store.pauses().await.expect("a read");
        kept.lanes.sort_by(|one, other| other.cmp(one));
        assert_eq!(kept, pauses);
        for source in ["news", "feed"] {
            assert_eq!(store.note_skipped(source.into()).await, Ok(()));
        }
        let kept = store.pauses().await.expect("a read");
        assert_eq!(
            (kept.sources, kept.skipping),
            (pauses.sources, vec!["blog".into()])
        );
        assert_eq!(store.keep_pauses(Pauses::default()).await, Ok(()));
        assert_eq!(store.pauses().await, Ok(Pauses::default()));
    });
}

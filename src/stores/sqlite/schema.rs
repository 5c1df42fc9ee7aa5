//! How the database looks, and how one of an earlier version is brought to this one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use babelfeed_actors::domain::{TaskId, Timestamp};
use babelfeed_actors::ports::Tally;
use rusqlite::{Connection, OpenFlags};

use super::{Config, rows};

/// The steps from an empty database to the present one; the version is how many were made.
///
/// A request's key is the first 14 bytes of its id, which its tasks' ids begin with. A bucket
/// is a class, a flow and a pair of languages. States of tasks are 1 Queued, 2 Processing,
/// 4 Completed, 5 Failed; of publications 0 Planned, 1 Held, 2 Sending, 3 Unknown,
/// 4 Published, 5 Refused, 6 Deleted, 7 Scheduled; units of quotas 0 requests, 1 tokens, 2 input
/// tokens, 3 output tokens, 4 US dollars; limits are known by 0 settings, 1 headers, 2 refusals,
/// 3 trials. The plus in the condition of an index keeps the planner
/// from searching by the condition where it should search by the state asked for.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (
        only INTEGER PRIMARY KEY CHECK (only = 1), epoch INTEGER NOT NULL, clean INTEGER NOT NULL);
    INSERT INTO meta VALUES (1, 0, 1);
    CREATE TABLE tally (
        only INTEGER PRIMARY KEY CHECK (only = 1), queued INTEGER NOT NULL,
        processing INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL,
        publishing INTEGER NOT NULL, unknown INTEGER NOT NULL, held INTEGER NOT NULL);
    INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0, 0);
    CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE bucket (
        id INTEGER PRIMARY KEY, class INTEGER NOT NULL, flow INTEGER NOT NULL,
        source INTEGER NOT NULL, target INTEGER NOT NULL, UNIQUE (class, flow, source, target));
    CREATE TABLE identity (
        hash BLOB PRIMARY KEY, request BLOB, fingerprint BLOB) WITHOUT ROWID;
    CREATE TABLE request (id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE task (
        id BLOB PRIMARY KEY, state INTEGER NOT NULL, bucket INTEGER NOT NULL,
        due INTEGER NOT NULL, token INTEGER NOT NULL, deaths INTEGER NOT NULL,
        life BLOB NOT NULL, ended BLOB) WITHOUT ROWID;
    CREATE INDEX task_ready ON task (bucket, due, id) WHERE state = 1;
    CREATE INDEX task_claimed ON task (id) WHERE state = 2;
    CREATE INDEX task_failed ON task (id) WHERE state = 5;
    CREATE TABLE publication (
        id BLOB PRIMARY KEY, state INTEGER NOT NULL, outlet INTEGER NOT NULL,
        token INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX publication_open ON publication (outlet, state, id) WHERE +state < 4;
    CREATE TABLE cursor (source INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE memory (
        key BLOB PRIMARY KEY, at INTEGER NOT NULL, provider INTEGER NOT NULL,
        model INTEGER NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE quota (
        lane INTEGER NOT NULL, unit INTEGER NOT NULL, slot INTEGER NOT NULL, amount REAL NOT NULL,
        PRIMARY KEY (slot, lane, unit)) WITHOUT ROWID;
",
    "
    CREATE TABLE job (
        token INTEGER PRIMARY KEY, provider TEXT NOT NULL, mark TEXT NOT NULL,
        planned_at INTEGER NOT NULL, remote TEXT, calls BLOB NOT NULL);
",
    "
    CREATE TABLE withdrawn (request BLOB PRIMARY KEY) WITHOUT ROWID;
",
    "
    CREATE TABLE correction (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, old TEXT NOT NULL,
        new TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (source, target, old, new, text));
",
    "
    DROP INDEX publication_open;
    CREATE INDEX publication_open ON publication (outlet, state, id)
        WHERE +state < 4 OR +state = 7;
",
    "
    CREATE TABLE learned (
        lane INTEGER NOT NULL, unit INTEGER NOT NULL, per INTEGER NOT NULL,
        account INTEGER NOT NULL, amount REAL NOT NULL, known_by INTEGER NOT NULL,
        at INTEGER NOT NULL, told REAL, PRIMARY KEY (lane, unit, per)) WITHOUT ROWID;
",
    "
    ALTER TABLE job ADD COLUMN reserved REAL;
    ALTER TABLE job ADD COLUMN reserved_at INTEGER;
",
    "
    ALTER TABLE identity ADD COLUMN gone INTEGER;
",
    "
    CREATE TABLE paused (
        kind INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
",
];

/// What a start finds in the database.
pub(super) struct Boot {
    /// Which start of the store this is, counted from 1.
    pub(super) epoch: u64,
    /// How many tasks and publications are in which state.
    pub(super) tally: Tally,
    /// When the newest task was minted.
    pub(super) newest: Option<Timestamp>,
}

/// Opens the database for writing, creates or migrates it, and notes that it is in use.
pub(super) fn open_writer(config: &Config) -> anyhow::Result<(Connection, Boot)> {
    let path = &config.path;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .with_context(|| format!("cannot open the database {}", path.display()))?;
    set_up_writer(&connection, config)
        .with_context(|| format!("cannot use the database {}", path.display()))?;
    let version = check_version(&connection, path)?;
    if version > 0 {
        check_after_a_crash(&connection, path)?;
    }
    migrate(&mut connection, version)
        .with_context(|| format!("cannot bring the database {} up to date", path.display()))?;
    let boot = begin_epoch(&connection)
        .with_context(|| format!("cannot write to the database {}", path.display()))?;
    Ok((connection, boot))
}

/// Opens the database for reading alone.
pub(super) fn open_reader(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .with_context(|| format!("cannot open the database {} for reading", path.display()))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Notes that the store was closed in order, so that the next start need not check it.
pub(super) fn mark_clean(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET clean = 1", ())?;
    checkpoint(connection, "TRUNCATE").map(drop)
}

/// Moves what the log holds into the database, and says how many pages the log held.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection
        .prepare_cached(&sql)?
        .query_row((), |row| row.get(1))
}

fn set_up_writer(connection: &Connection, config: &Config) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -4_096)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    if let Some(max_bytes) = config.max_bytes {
        let page: u32 = connection.query_row("PRAGMA page_size", (), |row| row.get(0))?;
        let n_pages = (max_bytes / u64::from(page)).max(1);
        let sql = format!("PRAGMA max_page_count = {n_pages}");
        connection.query_row(&sql, (), |_| Ok(()))?;
    }
    Ok(())
}

fn check_version(connection: &Connection, path: &Path) -> anyhow::Result<usize> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .with_context(|| format!("cannot read the database {}", path.display()))?;
    let known = MIGRATIONS.len();
    let found = usize::try_from(version).unwrap_or(usize::MAX);
    ensure!(
        found <= known,
        "the database {} has version {version}, expected at most {known}: \
         it was written by a newer babelfeed",
        path.display(),
    );
    Ok(found)
}

fn check_after_a_crash(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot check the database {}", path.display());
    let is_clean: bool = connection
        .query_row("SELECT clean FROM meta", (), |row| row.get(0))
        .with_context(context)?;
    if is_clean {
        return Ok(());
    }
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", (), |row| row.get(0))
        .with_context(context)?;
    if found != "ok" {
        bail!(
            "the database {} is damaged, expected a sound one after the last stop, found: {found}",
            path.display(),
        );
    }
    Ok(())
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (done, step) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", rows::count(done + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

fn begin_epoch(connection: &Connection) -> rusqlite::Result<Boot> {
    connection.execute("UPDATE meta SET epoch = epoch + 1, clean = 0", ())?;
    let epoch: i64 = connection.query_row("SELECT epoch FROM meta", (), |row| row.get(0))?;
    let sql = "SELECT queued, processing, completed, failed, publishing, unknown, held FROM tally";
    let tally = connection.query_row(sql, (), |row| {
        let count = |column| row.get(column).map(i64::cast_unsigned);
        Ok(Tally {
            queued: count(0)?,
            processing: count(1)?,
            completed: count(2)?,
            failed: count(3)?,
            publishing: count(4)?,
            unknown: count(5)?,
            held: count(6)?,
        })
    })?;
    let newest: Option<[u8; 16]> =
        connection.query_row("SELECT max(id) FROM task", (), |row| row.get(0))?;
    Ok(Boot {
        epoch: epoch.cast_unsigned(),
        tally,
        newest: newest.map(|id| TaskId::from_bytes(id).request().minted_at()),
    })
}

//! The table of what people paused: what is written to it and read from it.

use babelfeed_actors::domain::{PausedBy, SourceName};
use babelfeed_actors::setup::Pauses;
use rusqlite::{Connection, params};

use super::fault::Fault;

const SOURCE: u8 = 0;
const OUTLET: u8 = 1;
const LANE: u8 = 2;
/// A source that was resumed, and has not passed over yet what came meanwhile.
const SKIPPING: u8 = 3;

/// Keeps what a person paused, in place of what was kept before.
pub(super) fn replace(connection: &Connection, pauses: &Pauses) -> Result<(), Fault> {
    connection.execute("DELETE FROM paused", ())?;
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO paused VALUES (?1, ?2)")?;
    let by_person = |by: &PausedBy| *by == PausedBy::Person;
    let sources = pauses.sources.iter().filter(|(_, by)| by_person(by));
    for (name, _) in sources {
        statement.execute(params![SOURCE, name.as_str()])?;
    }
    for name in &pauses.skipping {
        statement.execute(params![SKIPPING, name.as_str()])?;
    }
    for name in &pauses.outlets {
        statement.execute(params![OUTLET, name.as_str()])?;
    }
    for name in &pauses.lanes {
        statement.execute(params![LANE, name.as_str()])?;
    }
    Ok(())
}

/// Forgets that a source passes over what came during a pause.
pub(super) fn note_skipped(connection: &Connection, source: &SourceName) -> Result<(), Fault> {
    let sql = "DELETE FROM paused WHERE kind = ?1 AND name = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![SKIPPING, source.as_str()])?;
    Ok(())
}

/// What a person paused.
pub(super) fn all(connection: &Connection) -> Result<Pauses, Fault> {
    let mut statement = connection.prepare_cached("SELECT kind, name FROM paused")?;
    let mut found = statement.query(())?;
    let mut pauses = Pauses::default();
    while let Some(row) = found.next()? {
        let name: String = row.get(1)?;
        match row.get(0)? {
            SOURCE => pauses
                .sources
                .push((name.as_str().into(), PausedBy::Person)),
            SKIPPING => pauses.skipping.push(name.as_str().into()),
            OUTLET => pauses.outlets.push(name.as_str().into()),
            LANE => pauses.lanes.push(name.as_str().into()),
            _ => return Err(Fault::Damaged("what is paused")),
        }
    }
    Ok(pauses)
}

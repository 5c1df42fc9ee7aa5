//! The table of what people paused: what is written to it and read from it.

use babelfeed_actors::domain::PausedBy;
use babelfeed_actors::setup::Pauses;
use rusqlite::{Connection, params};

use super::fault::Fault;

const SOURCE: u8 = 0;
const OUTLET: u8 = 1;
const LANE: u8 = 2;

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
    for name in &pauses.outlets {
        statement.execute(params![OUTLET, name.as_str()])?;
    }
    for name in &pauses.lanes {
        statement.execute(params![LANE, name.as_str()])?;
    }
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
            OUTLET => pauses.outlets.push(name.as_str().into()),
            LANE => pauses.lanes.push(name.as_str().into()),
            _ => return Err(Fault::Damaged("what is paused")),
        }
    }
    Ok(pauses)
}

//! The table of what people corrected: what is written to it and read from it.

use babelfeed_actors::domain::{Correction, Language, Pair};
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::rows;

/// The most corrections that are kept.
const KEPT: i64 = 10_000;

/// Keeps new corrections, each once, and forgets the oldest beyond so many.
pub(super) fn insert(connection: &Connection, corrections: &[Correction]) -> Result<(), Fault> {
    let sql = "INSERT OR IGNORE INTO correction (source, target, old, new, text)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = connection.prepare_cached(sql)?;
    for it in corrections {
        // No language is an empty text, so that a unique index tells it from none.
        let source = it.pair.source.as_ref().map_or("", Language::as_str);
        statement.execute(params![
            source,
            it.pair.target.as_str(),
            it.old,
            it.new,
            it.text
        ])?;
    }
    let sql = "DELETE FROM correction WHERE id <= (SELECT max(id) FROM correction) - ?1";
    connection.prepare_cached(sql)?.execute([KEPT])?;
    Ok(())
}

/// The latest corrections, the oldest of them first.
pub(super) fn latest(connection: &Connection, limit: usize) -> Result<Vec<Correction>, Fault> {
    let sql = "SELECT source, target, old, new, text FROM correction ORDER BY id DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([rows::count(limit)])?;
    let mut corrections = Vec::new();
    while let Some(row) = found.next()? {
        let source: String = row.get(0)?;
        let language = |tag: &str| tag.parse().map_err(|_| Fault::Damaged("a language"));
        let source = (!source.is_empty())
            .then(|| language(&source))
            .transpose()?;
        corrections.push(Correction {
            pair: Pair {
                source,
                target: language(&row.get::<_, String>(1)?)?,
            },
            old: row.get(2)?,
            new: row.get(3)?,
            text: row.get(4)?,
        });
    }
    corrections.reverse();
    Ok(corrections)
}

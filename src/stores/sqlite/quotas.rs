//! The tables of quotas: what was used in lanes, and what they learned of their limits.

use std::collections::BTreeMap;
use std::time::Duration;

use babelfeed_actors::domain::{KnownBy, Lane, LearnedLimit, Timestamp, Unit};
use babelfeed_actors::ports::{LearnedLimits, QuotaChange, QuotaEntry};
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::names::Names;

/// Units, each at the number under which it stands.
const UNITS: [Unit; 5] = [
    Unit::Requests,
    Unit::Tokens,
    Unit::InputTokens,
    Unit::OutputTokens,
    Unit::Dollars,
];
/// How limits are known, each at the number under which it stands.
const KNOWN_BY: [KnownBy; 4] = [
    KnownBy::Settings,
    KnownBy::Headers,
    KnownBy::Refusal,
    KnownBy::Trial,
];

/// Writes down use and what was learned, and forgets use that is older than a time.
pub(super) fn enter(
    connection: &Connection,
    names: &mut Names<'_>,
    change: &QuotaChange,
) -> Result<(), Fault> {
    for entry in &change.entries {
        let lane = names.intern(entry.lane.as_str())?;
        let (unit, slot) = (number(&UNITS, entry.unit), entry.slot.as_millis());
        if entry.amount > 0.0 {
            connection
                .prepare_cached("INSERT OR REPLACE INTO quota VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![lane, unit, slot, entry.amount])?;
        } else {
            connection
                .prepare_cached("DELETE FROM quota WHERE lane = ?1 AND unit = ?2 AND slot = ?3")?
                .execute(params![lane, unit, slot])?;
        }
    }
    for it in &change.learned {
        let lane = names.intern(it.lane.as_str())?;
        connection
            .prepare_cached("DELETE FROM learned WHERE lane = ?1")?
            .execute([lane])?;
        let sql = "INSERT OR REPLACE INTO learned
            (lane, unit, per, account, amount, known_by, at, told)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut statement = connection.prepare_cached(sql)?;
        for limit in &it.limits {
            statement.execute(params![
                lane,
                number(&UNITS, limit.unit),
                i64::try_from(limit.per.as_millis()).unwrap_or(i64::MAX),
                it.account.cast_signed(),
                limit.limit,
                number(&KNOWN_BY, limit.known_by),
                limit.at.as_millis(),
                limit.set,
            ])?;
        }
    }
    connection
        .prepare_cached("DELETE FROM quota WHERE slot < ?1")?
        .execute([change.before.as_millis()])?;
    Ok(())
}

/// The use of quotas since a time.
pub(super) fn entries(
    connection: &Connection,
    names: &mut Names<'_>,
    since: Timestamp,
) -> Result<Vec<QuotaEntry>, Fault> {
    let sql = "SELECT lane, unit, slot, amount FROM quota WHERE slot >= ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([since.as_millis()])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        entries.push(QuotaEntry {
            lane: Lane::from(&*names.text(row.get(0)?)?),
            unit: at(&UNITS, row.get(1)?).ok_or(Fault::Damaged("a unit of quotas"))?,
            slot: Timestamp::from_millis(row.get(2)?),
            amount: row.get(3)?,
        });
    }
    Ok(entries)
}

/// What lanes learned of their limits.
pub(super) fn learned(
    connection: &Connection,
    names: &mut Names<'_>,
) -> Result<Vec<LearnedLimits>, Fault> {
    let sql = "SELECT lane, unit, per, account, amount, known_by, at, told FROM learned";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(())?;
    let mut lanes: BTreeMap<Lane, LearnedLimits> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let lane = Lane::from(&*names.text(row.get(0)?)?);
        let account: i64 = row.get(3)?;
        let own = lanes.entry(lane.clone()).or_insert_with(|| LearnedLimits {
            lane,
            account: account.cast_unsigned(),
            limits: Vec::new(),
        });
        let per: i64 = row.get(2)?;
        own.limits.push(LearnedLimit {
            unit: at(&UNITS, row.get(1)?).ok_or(Fault::Damaged("a unit of quotas"))?,
            per: Duration::from_millis(per.unsigned_abs()),
            limit: row.get(4)?,
            known_by: at(&KNOWN_BY, row.get(5)?).ok_or(Fault::Damaged("how a limit is known"))?,
            at: Timestamp::from_millis(row.get(6)?),
            set: row.get(7)?,
        });
    }
    Ok(lanes.into_values().collect())
}

/// The number of one of these.
fn number<T: PartialEq>(all: &[T], one: T) -> Option<u8> {
    let number = all.iter().position(|it| *it == one)?;
    u8::try_from(number).ok()
}

/// The one of these that stands under a number.
fn at<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number)).copied()
}

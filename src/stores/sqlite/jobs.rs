//! The table of jobs: what is written to it and read from it.

use babelfeed_actors::domain::{ProviderName, TaskId, Timestamp};
use babelfeed_actors::ports::{BatchJob, Reserved, Token};
use rusqlite::{Connection, Row, params};

use super::bytes::{Bytes, put_bytes, put_number};
use super::fault::Fault;

/// Keeps a new job.
pub(super) fn insert(connection: &Connection, job: &BatchJob) -> Result<(), Fault> {
    let mut calls = Vec::new();
    put_number(&mut calls, job.calls.len() as u64);
    for tasks in &job.calls {
        put_number(&mut calls, tasks.len() as u64);
        for task in tasks {
            put_bytes(&mut calls, task.as_bytes());
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO job (token, provider, mark, planned_at, remote, calls)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            job.token.cast_signed(),
            job.provider.as_str(),
            job.mark,
            job.planned_at.as_millis(),
            job.remote,
            calls,
        ])?;
    Ok(())
}

/// Notes the provider's own name for a job, and what was reserved for it.
pub(super) fn note(
    connection: &Connection,
    token: Token,
    remote: &str,
    reserved: Option<Reserved>,
) -> Result<(), Fault> {
    let (usd, at) = (
        reserved.map(|it| it.usd),
        reserved.map(|it| it.at.as_millis()),
    );
    connection
        .prepare_cached(
            "UPDATE job SET remote = ?2, reserved = ?3, reserved_at = ?4 WHERE token = ?1",
        )?
        .execute(params![token.cast_signed(), remote, usd, at])?;
    Ok(())
}

/// Forgets a job.
pub(super) fn delete(connection: &Connection, token: Token) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM job WHERE token = ?1")?
        .execute([token.cast_signed()])?;
    Ok(())
}

/// All jobs.
pub(super) fn all(connection: &Connection) -> Result<Vec<BatchJob>, Fault> {
    let sql = "SELECT token, provider, mark, planned_at, remote, calls, reserved, reserved_at
        FROM job ORDER BY token";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(())?;
    let mut jobs = Vec::new();
    while let Some(row) = found.next()? {
        let calls = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
        jobs.push(BatchJob {
            token: row.get::<_, i64>(0)?.cast_unsigned(),
            provider: ProviderName::from(&*row.get::<_, String>(1)?),
            mark: row.get(2)?,
            planned_at: Timestamp::from_millis(row.get(3)?),
            remote: row.get(4)?,
            reserved: reserved(row)?,
            calls: calls_of(Bytes::new(calls))?,
        });
    }
    Ok(jobs)
}

fn reserved(row: &Row<'_>) -> Result<Option<Reserved>, Fault> {
    let (usd, at): (Option<f64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let at = at.map(Timestamp::from_millis);
    Ok(usd.zip(at).map(|(usd, at)| Reserved { usd, at }))
}

fn calls_of(mut bytes: Bytes<'_>) -> Result<Vec<Vec<TaskId>>, Fault> {
    let n_calls = bytes.number()?;
    let mut calls = Vec::new();
    for _ in 0..n_calls {
        let n_tasks = bytes.number()?;
        let mut tasks = Vec::new();
        for _ in 0..n_tasks {
            let id = bytes.bytes()?.try_into();
            tasks.push(TaskId::from_bytes(
                id.map_err(|_| Fault::Damaged("an id of 16 bytes"))?,
            ));
        }
        calls.push(tasks);
    }
    Ok(calls)
}

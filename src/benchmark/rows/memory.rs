//! What the service holds in memory, and how soon it is ready.

use std::time::Duration;

use super::super::load::{Bulk, BulkOutcome, Job};
use super::super::report::{Row, Target};
use super::super::service::{Service, Setup};
use super::super::simulator::Plan;
use super::bulk::{N_LINE_CLIENTS, run_through};
use super::{Bench, Stage};

const MIB: f64 = 1_024.0 * 1_024.0;
const MB: f64 = 1e6;

/// The number that the target for a full queue is about.
const MILLION: u64 = 1_000_000;

/// How long a service rests before its idle memory is read.
const REST: Duration = Duration::from_secs(1);

/// Longer than any start, so that what waits still waits.
const ENDLESS: Duration = Duration::from_secs(3_600);

/// Measures memory and starts.
pub(super) async fn memory(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    queue(bench, row).await?;
    start_with_work(bench, row).await?;
    load_in_mode_memory(bench, row).await
}

/// Idle, and with as many tasks as there may be.
async fn queue(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let stage = bench.stage(&Plan::default(), &Setup::shipped()).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    let ready_ms = service.ready_after.as_secs_f64() * 1_000.0;
    row.aimed(
        "ready after a start with nothing",
        ready_ms,
        "ms",
        Target::AtMost(50.0),
    );
    tokio::time::sleep(REST).await;
    let idle = service.memory()?;
    row.aimed(
        "resident, idle",
        idle.resident as f64 / MIB,
        "MiB",
        Target::AtMost(15.0),
    );

    service.pause().await?;
    let taken = fill(bench, service, bench.sizes.n_queued).await?;
    tokio::time::sleep(REST).await;
    let full = service.memory()?;
    let n = taken.n_acknowledged;
    let wanted = bench.sizes.n_queued as f64;
    row.aimed(
        "queued in a minute",
        n as f64,
        "tasks",
        Target::AtLeast(wanted),
    );
    let name = format!("resident, {n} tasks queued");
    if bench.sizes.n_queued == MILLION {
        row.aimed(
            name,
            full.resident as f64 / MIB,
            "MiB",
            Target::AtMost(60.0),
        );
    } else {
        row.figure(name, full.resident as f64 / MIB, "MiB");
    }
    row.figure("peak until then", full.peak as f64 / MIB, "MiB");
    row.count(
        "queued",
        &[("acknowledged", n), ("stored", service.n_open().await?)],
    );
    row.count(
        "sampled ids",
        &[
            ("acknowledged", taken.sample.len() as u64),
            ("read back", service.n_known(&taken.sample).await?),
        ],
    );
    row.count(
        "calls while paused",
        &[
            ("expected", 0),
            ("the provider", provider.counts().await?.calls),
        ],
    );
    Ok(())
}

/// A start that finds work.
async fn start_with_work(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let provider = bench.provider(&Plan::constant(ENDLESS)).await?;
    let folder = bench.data_folder()?;
    let setup = Setup::shipped()
        .set("service.drain_timeout", "1s")
        .provider(provider.address);
    let before = bench.service(&folder, &setup).await?;
    before.pause().await?;
    let taken = fill(bench, &before, bench.sizes.n_at_start).await?;
    before.stop().await?;
    let after = bench.service(&folder, &setup).await?;
    let ready_ms = after.ready_after.as_secs_f64() * 1_000.0;
    let name = format!("ready after a start with {} tasks", taken.n_acknowledged);
    row.aimed(name, ready_ms, "ms", Target::AtMost(1_000.0));
    row.count(
        "over a restart",
        &[
            ("acknowledged", taken.n_acknowledged),
            ("stored", after.n_open().await?),
        ],
    );
    Ok(())
}

/// The load of `end_to_end` in the mode that saves memory.
async fn load_in_mode_memory(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let setup = Setup::shipped()
        .set("mode", "memory")
        .set("batching.max_batch_size", 1);
    let stage = bench.stage(&Plan::default(), &setup).await?;
    let run = run_through(bench, row, &stage.service, &stage.provider).await?;
    let peak = stage.service.memory()?.peak as f64 / MB;
    row.aimed(
        "peak under load, mode memory",
        peak,
        "MB",
        Target::AtMost(100.0),
    );
    row.figure("tasks under load, mode memory", run.rate(), "/s");
    Ok(())
}

async fn fill(bench: &Bench, service: &Service, n_texts: u64) -> anyhow::Result<BulkOutcome> {
    bench
        .hand_in(Job::Lines(Bulk::new(
            service.socket(),
            N_LINE_CLIENTS,
            n_texts,
        )))
        .await
}

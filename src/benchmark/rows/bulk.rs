//! Throughput: how fast texts are taken, and how fast they are finished.

use std::path::Path;
use std::time::Duration;

use super::super::load::{Bulk, BulkOutcome, Job};
use super::super::machine::processor_seconds_of;
use super::super::processes::ProviderProcess;
use super::super::report::{Row, Target};
use super::super::service::{Service, Setup};
use super::super::simulator::Plan;
use super::{Bench, Stage, each_us, finish, rate};

/// Clients that submit one text a call.
const N_SUBMITTERS: u64 = 64;

/// Clients that submit lines.
pub(super) const N_LINE_CLIENTS: u64 = 4;

/// Up to which `fdatasync` a disk counts as fast, in milliseconds.
const FAST_DISK_MS: f64 = 0.2;

/// How long the provider of `latency` takes.
const LATENCY: Duration = Duration::from_millis(1_200);

/// How many calls to it are in flight.
const N_IN_FLIGHT: u64 = 200;

/// Calls in flight where the provider has no delay.
const CONCURRENCY: i64 = 64;

/// The settings of a run without delay.
pub(super) fn calls(max_batch_size: i64) -> Setup {
    Setup::with_calls(CONCURRENCY, max_batch_size)
}

/// Measures submits with one text a call.
pub(super) async fn submits(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{N_SUBMITTERS} clients with one call in flight each, {} distinct texts, provider paused",
        bench.sizes.n_submits
    );
    let (taken, service_seconds) = take_in(bench, row, |socket| {
        Job::Submits(Bulk::new(socket, N_SUBMITTERS, bench.sizes.n_submits))
    })
    .await?;
    let submits_a_second = rate(taken.n_acknowledged, taken.taken);
    if bench.fdatasync_ms <= FAST_DISK_MS {
        row.aimed("submits", submits_a_second, "/s", Target::AtLeast(20_000.0));
        let p99_ms = taken.calls.p99_us / 1_000.0;
        row.aimed("acknowledged, p99", p99_ms, "ms", Target::AtMost(15.0));
    } else {
        // What 64 clients can get out of a slow disk; a faster one is not asked for more than
        // the best.
        let disk_allows = 0.7 * N_SUBMITTERS as f64 * 1_000.0 / bench.fdatasync_ms;
        let wanted = disk_allows.min(20_000.0);
        row.aimed("submits", submits_a_second, "/s", Target::AtLeast(wanted));
        row.figure("acknowledged, p99", taken.calls.p99_us / 1_000.0, "ms");
    }
    row.figure("acknowledged, median", taken.calls.p50_us / 1_000.0, "ms");
    write_processor_times(row, &taken, service_seconds);
    Ok(())
}

/// Measures submits as lines.
pub(super) async fn lines(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{N_LINE_CLIENTS} clients, 1,000 lines a call, {} distinct texts, provider paused",
        bench.sizes.n_lines
    );
    let (taken, service_seconds) = take_in(bench, row, |socket| {
        Job::Lines(Bulk::new(socket, N_LINE_CLIENTS, bench.sizes.n_lines))
    })
    .await?;
    let lines_a_second = rate(taken.n_acknowledged, taken.taken);
    row.aimed("lines", lines_a_second, "/s", Target::AtLeast(40_000.0));
    write_processor_times(row, &taken, service_seconds);
    Ok(())
}

/// Hands in texts while the provider rests, counts them, and lets them be finished.
///
/// Returns what came of them, and the processor time of the service while they came in.
async fn take_in(
    bench: &Bench,
    row: &mut Row,
    job: impl FnOnce(&Path) -> Job,
) -> anyhow::Result<(BulkOutcome, f64)> {
    let stage = bench.stage(&Plan::default(), &calls(10)).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    service.pause().await?;
    let processor_before = service.processor_seconds()?;
    let taken = bench.hand_in(job(service.socket())).await?;
    let service_seconds = service.processor_seconds()? - processor_before;
    let n_stored = service.n_open().await?;
    let n_known = service.n_known(&taken.sample).await?;
    let n_calls = provider.counts().await?.calls;
    row.count(
        "calls while paused",
        &[("expected", 0), ("the provider", n_calls)],
    );
    row.count(
        "sampled ids",
        &[
            ("acknowledged", taken.sample.len() as u64),
            ("read back", n_known),
        ],
    );
    service.resume().await?;
    finish(service, provider, taken.n_acknowledged).await?;
    row.count(
        "texts",
        &[
            ("acknowledged", taken.n_acknowledged),
            ("stored", n_stored),
            ("completed", service.n_in_state("Completed").await?),
            ("the provider", provider.counts().await?.texts),
        ],
    );
    count_refusals(row, &taken);
    Ok((taken, service_seconds))
}

fn write_processor_times(row: &mut Row, taken: &BulkOutcome, service_seconds: f64) {
    for (name, seconds) in [
        ("processor: service", service_seconds),
        ("processor: load", taken.processor_seconds),
    ] {
        row.figure(name, each_us(seconds, taken.n_acknowledged), "µs/text");
    }
}

/// What a run from submit to completion took.
pub(super) struct RunThrough {
    n_tasks: u64,
    taken: Duration,
    service_seconds: f64,
    provider_seconds: f64,
    load_seconds: f64,
}

impl RunThrough {
    /// Returns the tasks in a second.
    pub(super) fn rate(&self) -> f64 {
        rate(self.n_tasks, self.taken)
    }

    /// Returns the processor time of the service for each task, in microseconds.
    pub(super) fn service_us(&self) -> f64 {
        each_us(self.service_seconds, self.n_tasks)
    }

    /// Writes down what the others used.
    pub(super) fn write_processor_times(&self, row: &mut Row) {
        for (name, seconds) in [
            ("processor: simulated provider", self.provider_seconds),
            ("processor: load", self.load_seconds),
        ] {
            row.figure(name, each_us(seconds, self.n_tasks), "µs/task");
        }
    }
}

/// Hands in the texts of `end_to_end` and waits until all are completed.
pub(super) async fn run_through(
    bench: &Bench,
    row: &mut Row,
    service: &Service,
    provider: &ProviderProcess,
) -> anyhow::Result<RunThrough> {
    let provider_id = provider.process.id().to_string();
    let service_before = service.processor_seconds()?;
    let provider_before = processor_seconds_of(&provider_id)?;
    let taken = bench
        .hand_in(Job::Lines(Bulk::new(
            service.socket(),
            N_LINE_CLIENTS,
            bench.sizes.n_end_to_end,
        )))
        .await?;
    let ended = finish(service, provider, taken.n_acknowledged).await?;
    let run = RunThrough {
        n_tasks: taken.n_acknowledged,
        taken: ended.saturating_sub(taken.began),
        service_seconds: service.processor_seconds()? - service_before,
        provider_seconds: processor_seconds_of(&provider_id)? - provider_before,
        load_seconds: taken.processor_seconds,
    };
    count_completed(row, service, provider, &taken).await?;
    Ok(run)
}

/// Measures what is left of the rate that a slow provider allows.
pub(super) async fn latency(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{} distinct texts of high priority, which may use every slot",
        bench.sizes.n_latency
    );
    let setup = Setup::with_calls(N_IN_FLIGHT as i64, 1);
    let stage = bench.stage(&Plan::constant(LATENCY), &setup).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    let taken = bench
        .hand_in(Job::Lines(Bulk {
            priority: "high".into(),
            ..Bulk::new(service.socket(), 1, bench.sizes.n_latency)
        }))
        .await?;
    let ended = finish(service, provider, taken.n_acknowledged).await?;
    let tasks_a_second = rate(taken.n_acknowledged, ended.saturating_sub(taken.began));
    let most = N_IN_FLIGHT as f64 / LATENCY.as_secs_f64();
    row.aimed("tasks", tasks_a_second, "/s", Target::AtLeast(0.95 * most));
    row.figure(
        "of what the latency allows",
        100.0 * tasks_a_second / most,
        "%",
    );
    let n_peak = provider.counts().await?.peak_in_flight;
    row.figure("most calls in flight", n_peak as f64, "calls");
    count_completed(row, service, provider, &taken).await
}

async fn count_completed(
    row: &mut Row,
    service: &Service,
    provider: &ProviderProcess,
    taken: &BulkOutcome,
) -> anyhow::Result<()> {
    row.count(
        "texts",
        &[
            ("acknowledged", taken.n_acknowledged),
            ("completed", service.n_in_state("Completed").await?),
            ("the provider", provider.counts().await?.texts),
        ],
    );
    count_refusals(row, taken);
    Ok(())
}

/// A refused text is no fast text.
fn count_refusals(row: &mut Row, taken: &BulkOutcome) {
    row.count("refused", &[("expected", 0), ("refused", taken.n_refused)]);
    if let Some(refusal) = &taken.first_refusal {
        row.conditions += &format!("; first refusal: {refusal}");
    }
    if taken.n_busy > 0 {
        row.figure("answered 503", taken.n_busy as f64, "times");
    }
}

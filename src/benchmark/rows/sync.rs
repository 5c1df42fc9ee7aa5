//! How much sooner posts are translated when calls are made at once, and when they are packed.

use std::time::Duration;

use super::super::corpus;
use super::super::load::{Bulk, Job};
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::Plan;
use super::{Bench, count_calls, finish_within};

const N_POSTS: u64 = 20;

/// What a plain asynchronous bot is expected to reach.
const PLAIN_BOT: f64 = 4.0;

/// Longer than one call at a time needs.
const LIMIT: Duration = Duration::from_secs(300);

/// Measures one call at a time, ten at once, and packs, at the same time.
pub(super) async fn sync(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let one_at_a_time = Setup::shipped().variable("ASYNC_MODE", "false");
    let unpacked = Setup::shipped().set("batching.max_batch_size", 1);
    row.conditions = format!(
        "{N_POSTS} posts x {} languages, {} ms a call, priority high, which may use every slot; first with {}, then {}, then settings as they ship",
        corpus::TARGETS.len(),
        bench.sizes.sync_call.as_millis(),
        one_at_a_time.said(),
        unpacked.said()
    );
    let shipped = Setup::shipped();
    let (one, ten, packed) = tokio::try_join!(
        measure(bench, &one_at_a_time),
        measure(bench, &unpacked),
        measure(bench, &shipped)
    )?;
    for (name, run) in [
        ("one call at a time", &one),
        ("ten calls in flight", &ten),
        ("packed", &packed),
    ] {
        row.figure(name, run.taken.as_secs_f64(), "s");
        row.figure(format!("{name}: calls"), run.n_calls as f64, "calls");
    }
    row.aimed(
        "ten calls in flight",
        one.taken.as_secs_f64() / ten.taken.as_secs_f64(),
        "times",
        Target::AtLeast(9.0),
    );
    row.aimed(
        "packed",
        one.taken.as_secs_f64() / packed.taken.as_secs_f64(),
        "times",
        Target::AtLeast(10.0),
    );
    row.figure("expected of a plain asynchronous bot", PLAIN_BOT, "times");
    for (name, run) in [("one", one), ("ten", ten), ("packed", packed)] {
        row.count_apart(name, run.counted);
    }
    Ok(())
}

struct Run {
    taken: Duration,
    n_calls: u64,
    counted: Row,
}

async fn measure(bench: &Bench, setup: &Setup) -> anyhow::Result<Run> {
    let stage = bench
        .stage(&Plan::constant(bench.sizes.sync_call), setup)
        .await?;
    let bulk = Bulk {
        priority: "high".into(),
        targets: corpus::TARGETS.map(str::to_owned).into(),
        ..Bulk::new(stage.service.socket(), 1, N_POSTS)
    };
    let taken = bench.hand_in(Job::Lines(bulk)).await?;
    let ended = finish_within(&stage.service, LIMIT).await?;
    let mut counted = Row::new("sync", "");
    let n_completed = stage.service.n_in_state("Completed").await?;
    let counts = count_calls(&mut counted, "calls", &stage.service, &stage.provider).await?;
    counted.count(
        "translations",
        &[
            (
                "wanted",
                taken.n_acknowledged * corpus::TARGETS.len() as u64,
            ),
            ("completed", n_completed),
            ("the provider", counts.texts),
        ],
    );
    Ok(Run {
        taken: ended.saturating_sub(taken.began),
        n_calls: counts.received,
        counted,
    })
}

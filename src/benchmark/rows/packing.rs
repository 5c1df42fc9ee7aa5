//! How many calls texts need when they are packed and answers come broken.

use super::super::load::{Bulk, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::{Fault, Plan};
use super::bulk::N_LINE_CLIENTS;
use super::{Bench, PATIENCE, count_calls, count_texts, rate};

/// How many answers are broken.
const BROKEN: f64 = 0.05;

/// The most texts in one call.
const PACK: i64 = 20;

/// Hands in texts, and reads every one of them back.
pub(super) async fn packing(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let setup = Setup::shipped().set("batching.max_batch_size", PACK);
    row.conditions = format!(
        "{} distinct texts as NDJSON, provider without delay; of the answers {} % are missing, double, misname, merge, reorder, cut, fence or talk; {}",
        bench.sizes.n_packed,
        100.0 * BROKEN,
        setup.said()
    );
    let plan = Plan {
        faults: Fault::every_breakage(BROKEN),
        seed: 1,
        ..Plan::default()
    };
    let stage = bench.stage(&plan, &setup).await?;
    let job = Job::Accounted(Bulk {
        limit: PATIENCE,
        ..Bulk::new(stage.service.socket(), N_LINE_CLIENTS, bench.sizes.n_packed)
    });
    let Outcome::Accounted(outcome) = processes::work(&bench.program, &job).await? else {
        anyhow::bail!("expected an outcome of texts read back");
    };
    let counts = count_calls(row, "calls", &stage.service, &stage.provider).await?;
    let n_texts = outcome.handed_in.n_acknowledged;
    row.aimed(
        "texts for each call",
        n_texts as f64 / counts.received.max(1) as f64,
        "texts",
        Target::AtLeast(15.0),
    );
    row.aimed(
        "misattributed",
        outcome.n_misattributed as f64,
        "texts",
        Target::AtMost(0.0),
    );
    row.figure("calls", counts.received as f64, "calls");
    row.figure("broken answers", counts.broken as f64, "calls");
    row.figure("given up", outcome.n_failed as f64, "texts");
    row.figure("texts", rate(n_texts, outcome.taken), "/s");
    count_texts(row, bench.sizes.n_packed, &outcome);
    if let Some(first) = outcome.first_misattributed {
        row.conditions += &format!("; first misattributed: {first}");
    }
    Ok(())
}

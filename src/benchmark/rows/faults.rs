//! Whether work comes through a provider that does everything wrong at once, each now and then.

use super::super::load::{Bulk, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Dialect, Fault, Limit, Per, Plan, Unit};
use super::bulk::N_LINE_CLIENTS;
use super::{Bench, PATIENCE, count_calls, count_texts};

/// What goes wrong beside broken answers, each with its share of the calls.
const FAULTS: [(Fault, f64); 6] = [
    (Fault::Throttled, 0.01),
    (Fault::ThrottledWithoutHint, 0.005),
    (Fault::ServerError, 0.03),
    (Fault::Reset, 0.02),
    (Fault::Trickle, 0.01),
    (Fault::Hang, 0.005),
];

/// How many answers are broken.
const BROKEN: f64 = 0.05;

/// Many more calls in a day than are needed, so that a day is counted too.
const REQUESTS_A_DAY: u64 = 100_000;

/// Hands in texts, and reads every one of them back.
pub(super) async fn faults(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let setup = Setup::shipped()
        .set("translation.timeout", "2s")
        .set("translation.max_attempts", 20);
    let shares = FAULTS.map(|(fault, share)| format!("{} % {fault:?}", 100.0 * share));
    row.conditions = format!(
        "{} distinct texts as NDJSON, provider without delay; of the calls {}, and {} % of the answers broken in every way; {}",
        bench.sizes.n_faulty,
        shares.join(", "),
        100.0 * BROKEN,
        setup.said()
    );
    let mut faults = Fault::every_breakage(BROKEN);
    faults.extend(FAULTS);
    let plan = Plan {
        limits: vec![Limit::new(Unit::Requests, Per::Day, REQUESTS_A_DAY)],
        faults,
        seed: 1,
        ..Plan::default()
    };
    let stage = bench
        .stage_with(&plan, |address| {
            let limits = [("rpd", REQUESTS_A_DAY.cast_signed())];
            setup.provider_like(PROVIDER, address, Dialect::OpenAi, &limits)
        })
        .await?;
    let job = Job::Accounted(Bulk {
        limit: 4 * PATIENCE,
        ..Bulk::new(stage.service.socket(), N_LINE_CLIENTS, bench.sizes.n_faulty)
    });
    let Outcome::Accounted(outcome) = processes::work(&bench.program, &job).await? else {
        anyhow::bail!("expected an outcome of texts read back");
    };
    let counts = count_calls(row, "calls", &stage.service, &stage.provider).await?;
    for (what, n_calls) in [
        ("answered 429", counts.throttled),
        ("failed, reset or without an answer", counts.failed),
        ("answered a few bytes at a time", counts.trickled),
        ("answered brokenly", counts.broken),
    ] {
        // A row without faults would show nothing.
        row.aimed(
            format!("calls {what}"),
            n_calls as f64,
            "calls",
            Target::AtLeast(1.0),
        );
    }
    let n_texts = outcome.handed_in.n_acknowledged;
    for (what, n_texts) in [
        ("lost or given up", n_texts - outcome.n_right.min(n_texts)),
        ("misattributed", outcome.n_misattributed),
    ] {
        row.aimed(what, n_texts as f64, "texts", Target::AtMost(0.0));
    }
    row.figure("calls", counts.received as f64, "calls");
    row.figure("taken", outcome.taken.as_secs_f64(), "s");
    count_texts(row, bench.sizes.n_faulty, &outcome);
    Ok(())
}

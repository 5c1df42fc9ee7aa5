//! Whether work comes through a provider that does everything wrong at once, each now and then.

use super::super::load::{Bulk, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Dialect, Fault, Limit, Per, Plan, Unit};
use super::bulk::N_LINE_CLIENTS;
use super::{Bench, count_calls, count_texts};

/// What goes wrong beside broken answers, each with its share of the calls.
///
/// Whoever is refused takes that for a limit, and goes slowly: after the second refusal a few
/// hundred calls take a minute.
const FAULTS: [(Fault, f64); 6] = [
    (Fault::Throttled, 0.005),
    (Fault::ThrottledWithoutHint, 0.005),
    (Fault::ServerError, 0.03),
    (Fault::Reset, 0.02),
    (Fault::Trickle, 0.01),
    (Fault::Hang, 0.01),
];

/// How many answers are broken.
const BROKEN: f64 = 0.08;

/// A seed with which so many calls meet every fault, as a test knows.
const SEED: u64 = 189;
const CALLS: u64 = 320;

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
    let stage = bench
        .stage_with(&plan(), |address| {
            let limits = [("rpd", REQUESTS_A_DAY.cast_signed())];
            setup.provider_like(PROVIDER, address, Dialect::OpenAi, &limits)
        })
        .await?;
    let (socket, n_texts) = (stage.service.socket(), bench.sizes.n_faulty);
    let job = Job::Accounted(Bulk::new(socket, N_LINE_CLIENTS, n_texts));
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
    // Fewer might not meet every fault.
    let at_least = Target::AtLeast(CALLS as f64);
    row.aimed("calls", counts.received as f64, "calls", at_least);
    row.figure("taken", outcome.taken.as_secs_f64(), "s");
    count_texts(row, bench.sizes.n_faulty, &outcome);
    Ok(())
}

fn plan() -> Plan {
    let mut faults = Fault::every_breakage(BROKEN);
    faults.extend(FAULTS);
    Plan {
        limits: vec![Limit::new(Unit::Requests, Per::Day, REQUESTS_A_DAY)],
        faults,
        seed: SEED,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_met_by_so_many_calls() {
        let plan = plan();
        let met: Vec<Fault> = (1..=CALLS).filter_map(|n| plan.draw(n).fault).collect();

        for (fault, _) in &plan.faults {
            assert!(met.contains(fault), "{fault:?}");
        }
    }
}

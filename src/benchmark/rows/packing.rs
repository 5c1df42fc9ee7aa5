//! How many calls texts need when they are packed and answers come broken.

use super::super::load::{AccountedOutcome, Bulk, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::{Counts, Fault, Plan};
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
    write(row, &outcome, counts);
    count_texts(row, bench.sizes.n_packed, &outcome);
    if let Some(first) = outcome.first_misattributed {
        row.conditions += &format!("; first misattributed: {first}");
    }
    Ok(())
}

fn write(row: &mut Row, outcome: &AccountedOutcome, counts: Counts) {
    // Texts that are given up need no more calls, and say nothing for packing.
    row.aimed(
        "right texts for each call",
        outcome.n_right as f64 / counts.received.max(1) as f64,
        "texts",
        Target::AtLeast(15.0),
    );
    for (what, n_texts) in [
        ("given up", outcome.n_failed),
        ("misattributed", outcome.n_misattributed),
    ] {
        row.aimed(what, n_texts as f64, "texts", Target::AtMost(0.0));
    }
    // A row without broken answers would show nothing.
    row.aimed(
        "broken answers",
        counts.broken as f64,
        "calls",
        Target::AtLeast(1.0),
    );
    row.figure("calls", counts.received as f64, "calls");
    row.figure("texts", rate(outcome.n_right, outcome.taken), "/s");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(n_right: u64, n_failed: u64, received: u64, broken: u64) -> Row {
        let mut row = Row::new("packing", "");
        let outcome = AccountedOutcome {
            n_right,
            n_failed,
            ..AccountedOutcome::default()
        };
        let counts = Counts {
            received,
            broken,
            ..Counts::default()
        };
        write(&mut row, &outcome, counts);
        row
    }

    #[test]
    fn texts_that_are_given_up_are_no_success_of_packing() {
        let is_well = written(1_000, 0, 60, 3);
        let fails_what_was_broken = written(950, 50, 50, 3);
        let fails_everything = written(0, 1_000, 0, 0);

        assert_eq!(is_well.short(), [""; 0]);
        assert_eq!(fails_what_was_broken.short(), ["given up"]);
        assert_eq!(
            fails_everything.short(),
            ["right texts for each call", "given up", "broken answers"]
        );
    }
}

//! What the service adds to one call, and what a known text takes.

use super::super::load::{Interactive, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::Plan;
use super::{Bench, Stage};

/// Measures one translation at a time.
pub(super) async fn added_latency(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let (n_new, n_known) = (bench.sizes.n_questions, 2 * bench.sizes.n_questions);
    row.conditions = format!(
        "{n_new} new texts, a known one {n_known} times, one at a time, provider without delay; settings as they ship"
    );
    let setup = Setup::shipped();
    let stage = bench.stage(&Plan::default(), &setup).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    let job = Job::Interactive(Interactive {
        socket: service.socket().to_owned(),
        provider: provider.address,
        n_new,
        n_known,
    });
    let Outcome::Interactive(asked) = processes::work(&bench.program, &job).await? else {
        anyhow::bail!("expected an outcome of questions");
    };
    row.aimed(
        "added, median",
        asked.added_p50_us,
        "µs",
        Target::AtMost(100.0),
    );
    row.aimed(
        "added, p99",
        asked.added_p99_us,
        "µs",
        Target::AtMost(400.0),
    );
    row.figure("through the service, median", asked.through.p50_us, "µs");
    row.figure("through the service, p99", asked.through.p99_us, "µs");
    row.figure(
        "straight to the provider, median",
        asked.direct.p50_us,
        "µs",
    );
    row.figure("straight to the provider, p99", asked.direct.p99_us, "µs");
    row.aimed(
        "a known text, median",
        asked.known.p50_us,
        "µs",
        Target::AtMost(60.0),
    );
    row.figure("a known text, p99", asked.known.p99_us, "µs");
    row.count(
        "known texts",
        &[("asked", n_known), ("cached", asked.n_cached)],
    );
    let n_texts = provider.counts().await?.texts;
    row.count(
        "new texts",
        &[
            ("answered", asked.n_answered - asked.n_cached),
            ("the provider", n_texts.saturating_sub(asked.n_direct)),
        ],
    );
    Ok(())
}

//! What the service adds to one call, and what a known text takes.

use std::time::Duration;

use super::super::load::{Interactive, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::{Bench, counts};

/// Measures one translation at a time.
pub(super) async fn interactive(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let (n_new, n_known) = (bench.sizes.n_questions, 2 * bench.sizes.n_questions);
    row.conditions =
        format!("{n_new} new texts, a known one {n_known} times, provider without delay");
    let setup = Setup {
        mode: "balanced",
        concurrency: Some(16),
        max_batch_size: 10,
    };
    let provider = bench.provider(Duration::ZERO).await?;
    let folder = bench.data_folder()?;
    let service = bench.service(&folder, &setup, provider.address).await?;
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
        Target::AtMost(150.0),
    );
    row.figure("added, p99", asked.added_p99_us, "µs");
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
        Target::AtMost(80.0),
    );
    row.figure("a known text, p99", asked.known.p99_us, "µs");
    row.count(
        "known texts",
        &[("asked", n_known), ("cached", asked.n_cached)],
    );
    let n_texts = counts(&provider).await?.texts;
    row.count(
        "new texts",
        &[
            ("answered", asked.n_answered - asked.n_cached),
            ("the provider", n_texts.saturating_sub(asked.n_direct)),
        ],
    );
    Ok(())
}

//! Throughput: how many texts a second come through, each in a call of its own.

use super::super::load::{Job, Outcome, Pick, Questions};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::Plan;
use super::bulk::{calls, run_through};
use super::{Bench, PATIENCE, Stage, each_us, rate};

/// How many texts a question has where it is about throughput.
const TEXTS_A_QUESTION: u64 = 100;

/// How many questions are in flight.
const N_CLIENTS: u64 = 8;

/// What other programs reach, tasks a second on the same scale; none of them keeps tasks durably.
const SCALE: [(&str, f64); 4] = [
    ("scale: plain asynchronous Python bot, no store", 11_100.0),
    ("scale: Rust gateway that only passes on", 11_400.0),
    ("scale: Celery on Redis", 1_100.0),
    ("scale: raw requests", 256_000.0),
];

/// Measures tasks that are durable, then texts that somebody waits for, with and without checks.
pub(super) async fn throughput(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{} distinct texts, one a call, provider without delay: durable as NDJSON; interactive {TEXTS_A_QUESTION} a question, {N_CLIENTS} questions in flight; {}",
        bench.sizes.n_end_to_end,
        calls(1).said()
    );
    durable(bench, row).await?;
    interactive(bench, row).await?;
    for (name, tasks_a_second) in SCALE {
        row.figure(name, tasks_a_second, "/s");
    }
    Ok(())
}

async fn durable(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let stage = bench.stage(&Plan::default(), &calls(1)).await?;
    let run = run_through(bench, row, &stage.service, &stage.provider).await?;
    row.aimed("durable", run.rate(), "/s", Target::AtLeast(20_000.0));
    row.aimed(
        "durable, processor of the service",
        run.service_us(),
        "µs/task",
        Target::AtMost(50.0),
    );
    run.write_processor_times(row);
    Ok(())
}

async fn interactive(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let (rate, service_us) = ask(bench, row, "interactive", &calls(1)).await?;
    row.aimed("interactive", rate, "/s", Target::AtLeast(35_000.0));
    row.aimed(
        "interactive, processor of the service",
        service_us,
        "µs/task",
        Target::AtMost(30.0),
    );
    let unchecked = calls(1)
        .set("checks.language", false)
        .set("checks.echo", false)
        .set("checks.length", false)
        .set("checks.notes", false);
    let about = "interactive without checks";
    let (rate, unchecked_us) = ask(bench, row, about, &unchecked).await?;
    row.figure(about, rate, "/s");
    row.figure(
        "checks, processor of the service",
        service_us - unchecked_us,
        "µs/task",
    );
    Ok(())
}

/// Asks all questions; returns texts a second, and the service's processor time for each.
async fn ask(
    bench: &Bench,
    row: &mut Row,
    about: &str,
    setup: &Setup,
) -> anyhow::Result<(f64, f64)> {
    let stage = bench.stage(&Plan::default(), setup).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    let before = service.processor_seconds()?;
    let job = Job::Questions(Questions {
        socket: service.socket().to_owned(),
        n_clients: N_CLIENTS,
        n_questions: bench.sizes.n_end_to_end / TEXTS_A_QUESTION,
        texts_a_question: TEXTS_A_QUESTION,
        pick: Pick::Fresh(0),
        deadline: PATIENCE,
    });
    let Outcome::Questions(asked) = processes::work(&bench.program, &job).await? else {
        anyhow::bail!("expected an outcome of questions");
    };
    let service_seconds = service.processor_seconds()? - before;
    row.count(
        format!("{about}: texts"),
        &[
            ("asked", bench.sizes.n_end_to_end),
            ("answered", asked.n_texts),
            ("the provider", provider.counts().await?.texts),
        ],
    );
    row.count(
        format!("{about}: wrong translations"),
        &[("expected", 0), ("got", asked.n_wrong)],
    );
    Ok((
        rate(asked.n_texts, asked.taken),
        each_us(service_seconds, asked.n_texts),
    ))
}

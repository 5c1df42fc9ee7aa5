//! How often the same text is asked of a provider.

use std::time::Duration;

use super::super::corpus;
use super::super::load::{Pick, Questions};
use super::super::processes::ProviderProcess;
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Service, Setup};
use super::super::simulator::Plan;
use super::{Bench, PATIENCE, STALL_LIMIT, finish_within};

/// How many equal texts there are at once.
const N_EQUAL: u64 = 50;

/// What a call takes, so that all are there before the first is answered.
const LATENCY: Duration = Duration::from_millis(300);

/// Asks for one text as tasks and for another as questions, and again after a restart.
pub(super) async fn identical(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let setup = Setup::shipped();
    row.conditions = format!(
        "one text as {N_EQUAL} tasks, another as {N_EQUAL} questions, a call takes {} ms; {}",
        LATENCY.as_millis(),
        setup.said()
    );
    let provider = bench.provider(&Plan::constant(LATENCY)).await?;
    let setup = setup.provider(provider.address);
    let folder = bench.data_folder()?;
    let mut n_calls = 0;
    for (when, wanted) in [("at once", 1.0), ("after a restart", 0.0)] {
        let service = bench.service(&folder, &setup).await?;
        let tasks = tasks(&service, &provider).await?;
        let questions = questions(bench, &service, &provider).await?;
        for (what, n) in [("tasks", tasks), ("questions", questions)] {
            row.aimed(
                format!("calls for {N_EQUAL} {what} {when}"),
                n as f64,
                "calls",
                Target::AtMost(wanted),
            );
        }
        n_calls += service.n_calls(PROVIDER).await?;
        row.count(
            format!("tasks {when}"),
            &[
                ("handed in", N_EQUAL * if wanted > 0.0 { 1 } else { 2 }),
                ("completed", service.n_in_state("Completed").await?),
            ],
        );
        service.stop().await?;
    }
    row.count(
        "calls",
        &[
            ("the provider", provider.counts().await?.received),
            ("the service", n_calls),
        ],
    );
    Ok(())
}

/// Hands in equal tasks; returns how many calls they took.
async fn tasks(service: &Service, provider: &ProviderProcess) -> anyhow::Result<u64> {
    let before = provider.counts().await?.received;
    let line = format!(
        "{{\"text\":\"{}\",\"targets\":[\"es\"],\"source\":\"en\"}}\n",
        corpus::text(0)
    );
    service.submit(&line.repeat(N_EQUAL as usize)).await?;
    finish_within(service, STALL_LIMIT).await?;
    Ok(provider.counts().await?.received - before)
}

/// Asks equal questions; returns how many calls they took.
async fn questions(
    bench: &Bench,
    service: &Service,
    provider: &ProviderProcess,
) -> anyhow::Result<u64> {
    let before = provider.counts().await?.received;
    let asked = bench
        .ask(Questions {
            socket: service.socket().to_owned(),
            n_clients: N_EQUAL,
            n_questions: N_EQUAL,
            texts_a_question: 1,
            pick: Pick::Same(1),
            deadline: PATIENCE,
        })
        .await?;
    anyhow::ensure!(
        asked.n_texts == N_EQUAL && asked.n_wrong == 0,
        "of {N_EQUAL} questions {} were answered, {} wrong",
        asked.n_texts,
        asked.n_wrong
    );
    Ok(provider.counts().await?.received - before)
}

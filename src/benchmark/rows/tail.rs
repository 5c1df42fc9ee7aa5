//! What hedging does to the slowest answers, and what it costs.

use std::time::Duration;

use super::super::load::{Pick, Questions, QuestionsOutcome};
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::{Counts, Dialect, Latency, Limit, Per, Plan, Unit};
use super::{Bench, PATIENCE};

const USUAL: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_millis(500);
const SLOW_SHARE: f64 = 0.02;

/// Questions in flight: fewer than slots.
const N_CLIENTS: u64 = 8;

/// The two providers by name, with the calls that each allows a second: the first a little more
/// than it gets, the second hardly more than are made a second time.
const PROVIDERS: [(&str, u64); 2] = [("one", 170), ("two", 8)];

/// Measures the same questions without and with hedging, at the same time.
pub(super) async fn tail(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "two providers of {} ms that allow {} and {} calls a second, {} % of the calls {} ms; {} questions, {N_CLIENTS} in flight; {}",
        USUAL.as_millis(),
        PROVIDERS[0].1,
        PROVIDERS[1].1,
        100.0 * SLOW_SHARE,
        SLOW.as_millis(),
        bench.sizes.n_tail,
        setup().set("routing.hedge", true).said()
    );
    let (without, with) = tokio::try_join!(
        measure(bench, setup()),
        measure(bench, setup().set("routing.hedge", true))
    )?;
    let [p99_without, p99_with] = [&without, &with].map(|run| run.asked.answers.p99_us / 1_000.0);
    row.figure("99th percentile, without", p99_without, "ms");
    row.figure("99th percentile, with", p99_with, "ms");
    for (name, run) in [("without", &without), ("with", &with)] {
        row.figure(
            format!("median, {name}"),
            run.asked.answers.p50_us / 1_000.0,
            "ms",
        );
    }
    row.aimed(
        "99th percentile, with by without",
        100.0 * p99_with / p99_without,
        "%",
        Target::AtMost(50.0),
    );
    let extra = with.received() as f64 - bench.sizes.n_tail as f64;
    row.aimed(
        "more calls than questions",
        100.0 * extra / bench.sizes.n_tail as f64,
        "%",
        Target::AtMost(3.0),
    );
    for (name, run) in [("without", &without), ("with", &with)] {
        row.aimed(
            format!("calls answered 429, {name}"),
            run.throttled() as f64,
            "calls",
            Target::AtMost(0.0),
        );
    }
    for (name, run) in [("without", &without), ("with", &with)] {
        row.count(
            format!("calls {name} hedging"),
            &[
                ("the providers", run.received()),
                ("the service", run.n_calls),
            ],
        );
        row.count(
            format!("questions {name} hedging"),
            &[
                ("asked", bench.sizes.n_tail),
                ("answered", run.asked.n_texts - run.asked.n_wrong),
            ],
        );
    }
    Ok(())
}

fn setup() -> Setup {
    Setup::shipped().set("batching.max_batch_size", 1)
}

struct Run {
    asked: QuestionsOutcome,
    counts: [Counts; 2],
    n_calls: u64,
}

impl Run {
    fn received(&self) -> u64 {
        self.counts.iter().map(|counts| counts.received).sum()
    }

    fn throttled(&self) -> u64 {
        self.counts.iter().map(|counts| counts.throttled).sum()
    }
}

async fn measure(bench: &Bench, mut setup: Setup) -> anyhow::Result<Run> {
    let plan = |seed, most| Plan {
        limits: vec![Limit::new(Unit::Requests, Per::Second, most)],
        latency: Latency::Bimodal {
            usual: USUAL,
            slow: SLOW,
            slow_share: SLOW_SHARE,
        },
        seed,
        ..Plan::default()
    };
    let providers = [
        bench.provider(&plan(1, PROVIDERS[0].1)).await?,
        bench.provider(&plan(2, PROVIDERS[1].1)).await?,
    ];
    for ((name, most), provider) in PROVIDERS.iter().zip(&providers) {
        let limits = [("rps", most.cast_signed())];
        setup = setup.provider_like(name, provider.address, Dialect::OpenAi, &limits);
    }
    let folder = bench.data_folder()?;
    let service = bench.service(&folder, &setup).await?;
    let asked = bench
        .ask(Questions {
            socket: service.socket().to_owned(),
            n_clients: N_CLIENTS,
            n_questions: bench.sizes.n_tail,
            texts_a_question: 1,
            pick: Pick::Fresh(0),
            deadline: PATIENCE,
        })
        .await?;
    // The slower of two calls may still be under way.
    tokio::time::sleep(2 * SLOW).await;
    let mut n_calls = 0;
    for (name, _) in PROVIDERS {
        n_calls += service.n_calls(name).await?;
    }
    Ok(Run {
        asked,
        counts: [providers[0].counts().await?, providers[1].counts().await?],
        n_calls,
    })
}

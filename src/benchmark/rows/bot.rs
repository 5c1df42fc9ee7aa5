//! The figures that a translating bot is expected to show, beside ours.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::corpus;
use super::super::load::{Bulk, Job, Pick, Questions, QuestionsOutcome};
use super::super::report::{Row, Target};
use super::super::service::{Service, Setup};
use super::super::simulator::{Counts, Plan};
use super::{Bench, PATIENCE, count_calls, finish_within, percent, rate, until_counted};

/// The texts that are asked for, each as often as its rank says, and how many are warmed.
const N_TEXTS: u64 = 2_000;
const N_WARMED: u64 = 300;

/// How many questions each measurement has, and how many stand between the first and the last.
const N_MEASURED: u64 = 500;
const N_BETWEEN: u64 = 15_000;

/// Questions in flight.
const N_CLIENTS: u64 = 8;

/// Numbers of posts, and how many times sooner they are expected to be done.
const POSTS: [(u64, f64, &str); 3] = [
    (5, 2.0, "expected 2 to 3"),
    (20, 4.0, "expected 4 to 5"),
    (50, 6.0, "expected 6 to 8"),
];

const N_POLLS: u64 = 100;

const MB: f64 = 1e6;

/// Measures each of them.
pub(super) async fn bot(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{} ms a call; questions for {N_TEXTS} texts by rank (Zipf), {N_WARMED} of them warmed, {N_CLIENTS} in flight; settings as they ship",
        bench.sizes.bot_call.as_millis()
    );
    tokio::try_join!(
        cold_and_warm(bench),
        speed_ups(bench),
        in_mode_memory(bench)
    )
    .map(|(warmth, speeds, memory)| {
        warmth.write(row);
        for (figure, counted) in speeds {
            let (name, times, wanted) = figure;
            row.aimed(name, times, "times", Target::AtLeast(wanted));
            row.counts.extend(counted.counts);
        }
        row.aimed("peak in mode memory", memory, "MB", Target::AtMost(100.0));
    })?;
    polls(bench, row).await
}

/// What questions took before and after the cache was warm.
struct Warmth {
    cold: QuestionsOutcome,
    warmed: QuestionsOutcome,
    later: QuestionsOutcome,
    counted: Row,
}

impl Warmth {
    fn write(self, row: &mut Row) {
        let hits = |asked: &QuestionsOutcome| percent(asked.n_cached, asked.n_texts);
        row.aimed(
            "translations, warm (expected 15)",
            rate(self.warmed.n_texts, self.warmed.taken),
            "/s",
            Target::AtLeast(15.0),
        );
        row.aimed(
            "hits after warming (expected 60 to 80)",
            hits(&self.warmed),
            "%",
            Target::AtLeast(60.0),
        );
        row.aimed(
            "hits later (expected 95)",
            hits(&self.later),
            "%",
            Target::AtLeast(95.0),
        );
        row.figure("hits without warming", hits(&self.cold), "%");
        let sooner = 1.0 - self.warmed.taken.as_secs_f64() / self.cold.taken.as_secs_f64();
        row.aimed(
            "sooner after warming (expected 50 to 80)",
            100.0 * sooner,
            "%",
            Target::AtLeast(50.0),
        );
        let asked = [&self.cold, &self.warmed, &self.later];
        row.count(
            "questions",
            &[
                ("asked", 3 * N_MEASURED),
                (
                    "answered well",
                    asked
                        .iter()
                        .map(|asked| asked.n_texts - asked.n_wrong)
                        .sum(),
                ),
            ],
        );
        row.counts.extend(self.counted.counts);
    }
}

async fn cold_and_warm(bench: &Bench) -> anyhow::Result<Warmth> {
    let plan = Plan::constant(bench.sizes.bot_call);
    let cold = bench.stage(&plan, &Setup::shipped()).await?;
    let cold = zipf(bench, &cold.service, N_MEASURED, 1).await?;
    let stage = bench.stage(&plan, &Setup::shipped()).await?;
    let texts: Vec<String> = (0..N_WARMED).map(corpus::text).collect();
    stage.service.warm(&texts).await?;
    let is_warm = |counts: &Counts| counts.texts >= N_WARMED && counts.in_flight == 0;
    until_counted(&stage.provider, PATIENCE, is_warm).await?;
    let warmed = zipf(bench, &stage.service, N_MEASURED, 1).await?;
    zipf(bench, &stage.service, N_BETWEEN, 2).await?;
    let later = zipf(bench, &stage.service, N_MEASURED, 3).await?;
    let mut counted = Row::new("bot", "");
    count_calls(&mut counted, "calls", &stage.service, &stage.provider).await?;
    Ok(Warmth {
        cold,
        warmed,
        later,
        counted,
    })
}

async fn zipf(
    bench: &Bench,
    service: &Service,
    n_questions: u64,
    seed: u64,
) -> anyhow::Result<QuestionsOutcome> {
    bench
        .ask(Questions {
            socket: service.socket().to_owned(),
            n_clients: N_CLIENTS,
            n_questions,
            texts_a_question: 1,
            pick: Pick::Zipf {
                n_texts: N_TEXTS,
                seed,
            },
            deadline: PATIENCE,
        })
        .await
}

/// A figure with its name and what it should reach.
type SpeedUp = (String, f64, f64);

/// Compares one call at a time with the settings as they ship, for few posts and for many.
async fn speed_ups(bench: &Bench) -> anyhow::Result<Vec<(SpeedUp, Row)>> {
    let plan = Plan::constant(bench.sizes.bot_call);
    let one_at_a_time = Setup::shipped().variable("ASYNC_MODE", "false");
    let slow = bench.stage(&plan, &one_at_a_time).await?;
    let fast = bench.stage(&plan, &Setup::shipped()).await?;
    let mut speeds = Vec::new();
    let mut n_posts = 0;
    for (n, wanted, expected) in POSTS {
        let one = posts(bench, &slow.service, n).await?;
        let many = posts(bench, &fast.service, n).await?;
        let name = format!("{n} posts, times sooner than one call at a time ({expected})");
        let times = one.as_secs_f64() / many.as_secs_f64();
        n_posts += n;
        let mut counted = Row::new("bot", "");
        counted.count(
            format!("posts until {n}"),
            &[
                ("handed in", n_posts),
                ("completed", fast.service.n_in_state("Completed").await?),
                ("the provider", fast.provider.counts().await?.texts),
            ],
        );
        speeds.push(((name, times, wanted), counted));
    }
    Ok(speeds)
}

/// Hands in posts; returns how long it took until all were completed.
async fn posts(bench: &Bench, service: &Service, n: u64) -> anyhow::Result<Duration> {
    let bulk = Bulk {
        // Other numbers for each size, so that nothing is known.
        first: 1_000 * n,
        ..Bulk::new(service.socket(), 1, n)
    };
    let taken = bench.hand_in(Job::Lines(bulk)).await?;
    let ended = finish_within(service, PATIENCE).await?;
    Ok(ended.saturating_sub(taken.began))
}

/// Returns the most megabytes that were resident under questions in the mode that saves memory.
async fn in_mode_memory(bench: &Bench) -> anyhow::Result<f64> {
    let plan = Plan::constant(bench.sizes.bot_call);
    let setup = Setup::shipped().set("mode", "memory");
    let stage = bench.stage(&plan, &setup).await?;
    zipf(bench, &stage.service, 2 * N_MEASURED, 1).await?;
    Ok(stage.service.memory()?.peak as f64 / MB)
}

/// Polls a source again and again, each time with one more post.
async fn polls(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    const SOURCE: &str = "posts";
    let setup = Setup::shipped().watched(SOURCE);
    let stage = bench.stage(&Plan::default(), &setup).await?;
    let source = stage.folder.path().join(format!("{SOURCE}.txt"));
    let began = Instant::now();
    for n in 0..N_POLLS {
        let mut file = OpenOptions::new().create(true).append(true).open(&source)?;
        writeln!(file, "{}", corpus::text(n))?;
        stage.service.poll(SOURCE).await?;
    }
    let taken = began.elapsed();
    finish_within(&stage.service, PATIENCE).await?;
    row.figure(
        format!("{N_POLLS} polls in a row"),
        taken.as_secs_f64(),
        "s",
    );
    row.count(
        "posts of the polls",
        &[
            ("shown", N_POLLS),
            ("completed", stage.service.n_in_state("Completed").await?),
            ("the provider", stage.provider.counts().await?.texts),
        ],
    );
    Ok(())
}

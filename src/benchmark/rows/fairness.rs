//! What a few posts wait when many texts are before them in the same lane.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::corpus;
use super::super::load::{Bulk, Job};
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Counts, Dialect, Limit, Per, Plan, Unit};
use super::super::statistics::quantile;
use super::{Bench, PATIENCE, STALL_LIMIT, Stage, count_calls, rate, until_counted};

const N_POSTS: u64 = 10;
const N_BESIDE: u64 = 10_000;

/// Requests a second that the provider allows, and calls in flight.
const RATE: u64 = 50;
const N_SLOTS: i64 = 20;

const LATENCY: Duration = Duration::from_millis(200);

/// Texts that empty the bucket: more than it holds and than comes back meanwhile.
const N_DRAINING: u64 = 120;

/// How long the many texts run before the first posts come.
const RUN_UP: Duration = Duration::from_secs(4);

/// The source that the posts come from, and where they are published.
const POSTS: &str = "posts";

/// Measures posts behind an empty bucket, alone and beside many texts.
pub(super) async fn fairness(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let limits = [("rps", RATE as i64)];
    let setup = || Setup::with_calls(N_SLOTS, 1).watched(POSTS);
    let plan = Plan {
        limits: vec![Limit::new(Unit::Requests, Per::Second, RATE)],
        ..Plan::constant(LATENCY)
    };
    let stage = bench
        .stage_with(&plan, |address| {
            setup().provider_like(PROVIDER, address, Dialect::OpenAi, &limits)
        })
        .await?;
    row.conditions = format!(
        "{RATE} requests a second, a call takes {} ms, one text each, {} rounds of {N_POSTS} posts from a file, each round with an empty bucket; {}, limits = {{ rps = {RATE} }}",
        LATENCY.as_millis(),
        bench.sizes.n_rounds,
        setup().said()
    );
    let mut posts = Posts::new(&stage);
    let mut alone = Vec::new();
    for n in 0..bench.sizes.n_rounds {
        drain(bench, &stage, n).await?;
        alone.extend(posts.round(&stage).await?);
    }
    let mut beside = Vec::new();
    let first = 1_000_000;
    let many = Bulk {
        first,
        ..Bulk::new(stage.service.socket(), 1, N_BESIDE)
    };
    bench.hand_in(Job::Lines(many)).await?;
    tokio::time::sleep(RUN_UP).await;
    let (before, began) = (stage.provider.counts().await?.calls, Instant::now());
    for _ in 0..bench.sizes.n_rounds {
        beside.extend(posts.round(&stage).await?);
    }
    let n_calls = stage.provider.counts().await?.calls - before;
    let used = 100.0 * rate(n_calls, began.elapsed()) / RATE as f64;
    let (alone, beside) = (quantile(&mut alone, 0.95), quantile(&mut beside, 0.95));
    row.figure("95th percentile of a post, alone", alone, "ms");
    row.figure("95th percentile of a post, beside", beside, "ms");
    row.aimed(
        "so many times longer",
        beside / alone,
        "times",
        Target::AtMost(2.0),
    );
    row.aimed(
        "used of the limit meanwhile",
        used,
        "%",
        Target::AtLeast(97.0),
    );
    let counts = count_calls(row, "calls", &stage.service, &stage.provider).await?;
    row.figure("answered 429", counts.throttled as f64, "calls");
    row.count(
        "posts",
        &[
            ("shown", posts.n_shown),
            ("published", posts.n_published()?),
        ],
    );
    Ok(())
}

/// Empties the bucket: when all of these are let in, nothing is left.
async fn drain(bench: &Bench, stage: &Stage, round: u64) -> anyhow::Result<()> {
    let wanted = stage.provider.counts().await?.calls + N_DRAINING;
    let bulk = Bulk {
        first: 1_000 * round,
        ..Bulk::new(stage.service.socket(), 1, N_DRAINING)
    };
    bench.hand_in(Job::Lines(bulk)).await?;
    let is_enough = |counts: &Counts| counts.calls >= wanted;
    let counts = until_counted(&stage.provider, STALL_LIMIT, is_enough).await?;
    anyhow::ensure!(
        is_enough(&counts),
        "expected {wanted} calls to empty the bucket, got {}",
        counts.calls
    );
    Ok(())
}

/// The file that is watched, and the one that is published to.
struct Posts {
    source: PathBuf,
    outlet: PathBuf,
    n_shown: u64,
}

impl Posts {
    /// Texts that nobody else hands in.
    const FIRST: u64 = 500_000_000;

    fn new(stage: &Stage) -> Self {
        let folder = stage.folder.path();
        Self {
            source: folder.join(format!("{POSTS}.txt")),
            outlet: folder.join(format!("{POSTS}.jsonl")),
            n_shown: 0,
        }
    }

    /// Shows posts; returns how many milliseconds each took until it was published.
    async fn round(&mut self, stage: &Stage) -> anyhow::Result<Vec<f64>> {
        let n_before = self.n_shown;
        let mut lines = String::new();
        for _ in 0..N_POSTS {
            lines += &corpus::text(Self::FIRST + self.n_shown);
            lines.push('\n');
            self.n_shown += 1;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.source)?;
        let shown = Instant::now();
        file.write_all(lines.as_bytes())?;
        stage.service.poll(POSTS).await?;
        let mut times = Vec::new();
        while times.len() < N_POSTS as usize {
            let n_published = self.n_published()?.saturating_sub(n_before) as usize;
            let now = super::ms(shown.elapsed());
            times.resize(n_published.max(times.len()), now);
            anyhow::ensure!(
                shown.elapsed() < PATIENCE,
                "expected {N_POSTS} posts to be published, got {n_published}"
            );
            tokio::time::sleep(super::POLL).await;
        }
        Ok(times)
    }

    fn n_published(&self) -> anyhow::Result<u64> {
        match fs::read(&self.outlet) {
            Ok(bytes) => Ok(bytes.iter().filter(|byte| **byte == b'\n').count() as u64),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

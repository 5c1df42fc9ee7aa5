//! The benchmarks: what each starts, measures, counts and aims at.

mod bulk;
mod interactive;
mod memory;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;

use super::client;
use super::load::{BulkOutcome, Job, Outcome};
use super::processes::{self, ProviderProcess, WorkFolder};
use super::report::Row;
use super::service::{Service, Setup};
use super::simulator::{COUNTS_PATH, Counts};

/// How long the last texts may take without one more reaching the provider.
const STALL_LIMIT: Duration = Duration::from_secs(15);

/// How often it is asked whether all is done.
const POLL: Duration = Duration::from_millis(5);

/// The benchmarks by name, in the order in which they run.
pub(super) const NAMES: [&str; 6] = [
    "submits",
    "ndjson",
    "end_to_end",
    "latency",
    "interactive",
    "memory",
];

/// How much each benchmark does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Texts submitted one a call.
    pub(super) n_submits: u64,
    /// Texts submitted as lines.
    pub(super) n_lines: u64,
    /// Texts from submit to completion.
    pub(super) n_end_to_end: u64,
    /// Texts at a provider that takes its time.
    pub(super) n_latency: u64,
    /// Questions with new texts; known ones are twice as many.
    pub(super) n_questions: u64,
    /// Texts that wait while memory is measured.
    pub(super) n_queued: u64,
    /// Texts that wait at a start.
    pub(super) n_at_start: u64,
}

impl Sizes {
    /// What figures to be kept are measured with.
    pub(super) const FULL: Self = Self {
        n_submits: 100_000,
        n_lines: 200_000,
        n_end_to_end: 120_000,
        n_latency: 10_000,
        n_questions: 3_000,
        n_queued: 1_000_000,
        n_at_start: 100_000,
    };

    /// A first look.
    pub(super) const QUICK: Self = Self {
        n_submits: 10_000,
        n_lines: 20_000,
        n_end_to_end: 20_000,
        n_latency: 2_000,
        n_questions: 500,
        n_queued: 100_000,
        n_at_start: 20_000,
    };
}

/// What every benchmark needs.
pub(super) struct Bench {
    /// This program.
    pub(super) program: PathBuf,
    /// Where data is kept while it runs.
    pub(super) folder: WorkFolder,
    /// How much is done.
    pub(super) sizes: Sizes,
    /// What a durable write takes here.
    pub(super) fdatasync_ms: f64,
}

impl Bench {
    /// Runs the benchmark of that name.
    pub(super) async fn run(&self, name: &str) -> Row {
        let mut row = blank(name);
        let outcome = match row.name {
            "submits" => bulk::submits(self, &mut row).await,
            "ndjson" => bulk::lines(self, &mut row).await,
            "end_to_end" => bulk::end_to_end(self, &mut row).await,
            "latency" => bulk::latency(self, &mut row).await,
            "interactive" => interactive::interactive(self, &mut row).await,
            _ => memory::memory(self, &mut row).await,
        };
        if let Err(error) = outcome {
            row.error = Some(format!("{error:#}"));
        }
        row
    }

    /// Starts a provider.
    async fn provider(&self, latency: Duration) -> anyhow::Result<ProviderProcess> {
        ProviderProcess::start(&self.program, latency).await
    }

    /// Makes a folder for the data of one service.
    fn data_folder(&self) -> anyhow::Result<WorkFolder> {
        WorkFolder::create(self.folder.path(), "data")
    }

    /// Starts a service.
    async fn service(
        &self,
        folder: &WorkFolder,
        setup: &Setup,
        provider: SocketAddr,
    ) -> anyhow::Result<Service> {
        Service::start(&self.program, folder.path(), setup, provider).await
    }

    /// Lets a load generator hand in texts.
    async fn hand_in(&self, job: Job) -> anyhow::Result<BulkOutcome> {
        match processes::work(&self.program, &job).await? {
            Outcome::Bulk(outcome) => Ok(outcome),
            Outcome::Interactive(_) => anyhow::bail!("expected an outcome of texts handed in"),
        }
    }
}

fn blank(name: &str) -> Row {
    match name {
        "submits" => Row::new(
            "submits",
            "durable submits through the socket, one text a call",
        ),
        "ndjson" => Row::new("ndjson", "durable submits through the socket, as NDJSON"),
        "end_to_end" => Row::new(
            "end_to_end",
            "from the first submit to the last completion, one text a call to a provider without delay",
        ),
        "latency" => Row::new(
            "latency",
            "a provider that takes 1.2 s, with 200 calls in flight",
        ),
        "interactive" => Row::new(
            "interactive",
            "one translation at a time, each beside a call straight to the provider",
        ),
        _ => Row::new("memory", "resident memory, and the time until ready"),
    }
}

/// Returns what the provider counted for itself.
async fn counts(provider: &ProviderProcess) -> anyhow::Result<Counts> {
    let mut connection = client::connect_tcp(provider.address).await?;
    let response = connection.exchange(&client::get(COUNTS_PATH)).await?;
    serde_json::from_slice(response.body).context("reading the counts of the provider")
}

/// Waits until nothing is open any more; returns when that was, since 1970.
///
/// Gives up without an error when nothing moves: the counts say what is missing.
async fn finish(
    service: &Service,
    provider: &ProviderProcess,
    n_texts: u64,
) -> anyhow::Result<Duration> {
    let mut n_seen = 0;
    let mut moved = Instant::now();
    loop {
        let n = counts(provider).await?.texts;
        // The service is asked only when its work is as good as done, because asking costs it time.
        if n >= n_texts && service.n_open().await? == 0 {
            break;
        }
        if n > n_seen {
            n_seen = n;
            moved = Instant::now();
        }
        if moved.elapsed() > STALL_LIMIT {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?)
}

/// Returns how many there were in a second.
fn rate(n: u64, taken: Duration) -> f64 {
    n as f64 / taken.as_secs_f64()
}

/// Returns the microseconds that each of `n` took.
fn each_us(seconds: f64, n: u64) -> f64 {
    seconds * 1e6 / n.max(1) as f64
}

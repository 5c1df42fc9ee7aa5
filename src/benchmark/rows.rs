//! The benchmarks: what each starts, measures, counts and aims at.

mod added_latency;
mod bot;
mod bulk;
mod cache;
mod fairness;
mod faults;
mod fit;
mod identical;
mod memory;
mod outage;
mod packing;
mod quota;
mod sync;
mod tail;
mod throttle;
mod throughput;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::load::{AccountedOutcome, BulkOutcome, Job, Outcome, Questions, QuestionsOutcome};
use super::processes::{self, ProviderProcess, WorkFolder};
use super::report::Row;
use super::service::{Service, Setup};
use super::simulator::{Counts, Plan};

/// How long the last texts may take without one more reaching the provider.
const STALL_LIMIT: Duration = Duration::from_secs(15);

/// How often it is asked whether all is done.
const POLL: Duration = Duration::from_millis(5);

/// How long anything may take that is only waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A benchmark that can be asked for.
struct Kind {
    name: &'static str,
    about: &'static str,
    /// About how many seconds it takes, in full and quick.
    seconds: [u64; 2],
}

/// The benchmarks, in the order in which they run.
const KINDS: [Kind; 18] = [
    Kind {
        name: "submits",
        about: "durable submits through the socket, one text a call",
        seconds: [9, 2],
    },
    Kind {
        name: "ndjson",
        about: "durable submits through the socket, as NDJSON",
        seconds: [20, 3],
    },
    Kind {
        name: "throughput",
        about: "texts that come through, each in a call of its own: durable, and interactive without the store",
        seconds: [20, 5],
    },
    Kind {
        name: "latency",
        about: "a provider that takes 1.2 s, with 200 calls in flight",
        seconds: [63, 15],
    },
    Kind {
        name: "added_latency",
        about: "one translation at a time, each beside a call straight to the provider",
        seconds: [16, 3],
    },
    Kind {
        name: "memory",
        about: "resident memory, and the time until ready",
        seconds: [45, 10],
    },
    Kind {
        name: "quota",
        about: "how much of 600 requests and 60,000 tokens a minute is used, by how the limits are known",
        seconds: [185, 125],
    },
    Kind {
        name: "throttle",
        about: "100 calls queued, and one 429 with each kind of hint",
        seconds: [50, 50],
    },
    Kind {
        name: "packing",
        about: "texts packed into calls, 5 % of the answers broken in every way",
        seconds: [150, 10],
    },
    Kind {
        name: "identical",
        about: "50 equal texts at once, and again after a restart",
        seconds: [3, 3],
    },
    Kind {
        name: "fairness",
        about: "10 posts beside 10,000 texts in the same lane",
        seconds: [40, 25],
    },
    Kind {
        name: "tail",
        about: "2 % of calls ten times slower, two providers, without and with hedging",
        seconds: [30, 8],
    },
    Kind {
        name: "outage",
        about: "all providers gone under load, and back",
        seconds: [110, 50],
    },
    Kind {
        name: "faults",
        about: "429 with and without hints, 5xx, resets, trickles, hangs and broken answers, all at once",
        seconds: [60, 30],
    },
    Kind {
        name: "sync",
        about: "5 languages x 20 posts: one call at a time, ten at once, and packed",
        seconds: [125, 35],
    },
    Kind {
        name: "bot",
        about: "the figures that a bot of this kind is expected to show, beside ours",
        seconds: [90, 40],
    },
    Kind {
        name: "cache",
        about: "a Zipf trace at 10,000 entries, beside a plain LRU and the best possible",
        seconds: [60, 15],
    },
    Kind {
        name: "fit",
        about: "texts of 1,000 characters that `fit` reads from a file, for five networks",
        seconds: [10, 2],
    },
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
    /// How long the use of quotas is measured, behind the first minute; whole minutes, because a
    /// window that slides is used in waves.
    pub(super) quota: Duration,
    /// Texts that are packed.
    pub(super) n_packed: u64,
    /// Questions whose tail is measured.
    pub(super) n_tail: u64,
    /// Texts at a provider that does everything wrong now and then.
    pub(super) n_faulty: u64,
    /// How long all providers are gone.
    pub(super) outage: Duration,
    /// What one call takes where calls one at a time are compared with many.
    pub(super) sync_call: Duration,
    /// What one call takes for the figures of a bot.
    pub(super) bot_call: Duration,
    /// Rounds of posts beside other work.
    pub(super) n_rounds: u64,
    /// Texts of the trace for the cache.
    pub(super) n_trace: u64,
    /// Texts that are fitted.
    pub(super) n_fitted: u64,
}

impl Sizes {
    /// What figures to be kept are measured with.
    pub(super) const FULL: Self = Self {
        n_submits: 100_000,
        n_lines: 200_000,
        n_end_to_end: 120_000,
        n_latency: 10_000,
        n_questions: 20_000,
        n_queued: 1_000_000,
        n_at_start: 100_000,
        quota: Duration::from_secs(120),
        n_packed: 1_000_000,
        n_tail: 4_000,
        n_faulty: 5_000,
        outage: Duration::from_secs(60),
        sync_call: Duration::from_millis(1_200),
        bot_call: Duration::from_millis(100),
        n_rounds: 10,
        n_trace: 1_000_000,
        n_fitted: 20_000,
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
        quota: Duration::from_secs(60),
        n_packed: 50_000,
        n_tail: 1_000,
        n_faulty: 3_000,
        outage: Duration::from_secs(10),
        sync_call: Duration::from_millis(300),
        bot_call: Duration::from_millis(50),
        n_rounds: 4,
        n_trace: 100_000,
        n_fitted: 2_000,
    };
}

/// Returns the names of the benchmarks, in the order in which they run.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Returns about how long the benchmark of that name takes.
pub(super) fn expected(name: &str, sizes: Sizes) -> Duration {
    let [full, quick] = kind(name).seconds;
    Duration::from_secs(if sizes == Sizes::FULL { full } else { quick })
}

fn kind(name: &str) -> &'static Kind {
    let found = KINDS.iter().find(|kind| kind.name == name);
    found.expect("only names of the table come here")
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

/// A service with its provider.
struct Stage {
    service: Service,
    provider: ProviderProcess,
    folder: WorkFolder,
}

impl Bench {
    /// Runs the benchmark of that name, one of [`names`].
    pub(super) async fn run(&self, name: &str) -> Row {
        let kind = kind(name);
        let mut row = Row::new(kind.name, kind.about);
        let outcome = match kind.name {
            "submits" => bulk::submits(self, &mut row).await,
            "ndjson" => bulk::lines(self, &mut row).await,
            "throughput" => throughput::throughput(self, &mut row).await,
            "latency" => bulk::latency(self, &mut row).await,
            "added_latency" => added_latency::added_latency(self, &mut row).await,
            "memory" => memory::memory(self, &mut row).await,
            "quota" => quota::quota(self, &mut row).await,
            "throttle" => throttle::throttle(self, &mut row).await,
            "packing" => packing::packing(self, &mut row).await,
            "identical" => identical::identical(self, &mut row).await,
            "fairness" => fairness::fairness(self, &mut row).await,
            "tail" => tail::tail(self, &mut row).await,
            "outage" => outage::outage(self, &mut row).await,
            "faults" => faults::faults(self, &mut row).await,
            "sync" => sync::sync(self, &mut row).await,
            "bot" => bot::bot(self, &mut row).await,
            "cache" => cache::cache(self, &mut row).await,
            _ => fit::fit(self, &mut row).await,
        };
        if let Err(error) = outcome {
            row.error = Some(format!("{error:#}"));
        }
        row
    }

    /// Starts a provider.
    async fn provider(&self, plan: &Plan) -> anyhow::Result<ProviderProcess> {
        ProviderProcess::start(&self.program, plan).await
    }

    /// Makes a folder for the data of one service.
    fn data_folder(&self) -> anyhow::Result<WorkFolder> {
        WorkFolder::create(self.folder.path(), "data")
    }

    /// Starts a service.
    async fn service(&self, folder: &WorkFolder, setup: &Setup) -> anyhow::Result<Service> {
        Service::start(&self.program, folder.path(), setup).await
    }

    /// Starts a provider that is told no limits, and a service that calls it.
    async fn stage(&self, plan: &Plan, setup: &Setup) -> anyhow::Result<Stage> {
        self.stage_with(plan, |address| setup.clone().provider(address))
            .await
    }

    /// Starts a provider, and a service with the settings that its address makes.
    async fn stage_with(
        &self,
        plan: &Plan,
        setup: impl FnOnce(SocketAddr) -> Setup,
    ) -> anyhow::Result<Stage> {
        let provider = self.provider(plan).await?;
        let folder = self.data_folder()?;
        let service = self.service(&folder, &setup(provider.address)).await?;
        Ok(Stage {
            service,
            provider,
            folder,
        })
    }

    /// Lets a load generator hand in texts.
    async fn hand_in(&self, job: Job) -> anyhow::Result<BulkOutcome> {
        match processes::work(&self.program, &job).await? {
            Outcome::Bulk(outcome) => Ok(outcome),
            _ => anyhow::bail!("expected an outcome of texts handed in"),
        }
    }

    /// Lets a load generator ask questions.
    async fn ask(&self, questions: Questions) -> anyhow::Result<QuestionsOutcome> {
        match processes::work(&self.program, &Job::Questions(questions)).await? {
            Outcome::Questions(outcome) => Ok(outcome),
            _ => anyhow::bail!("expected an outcome of questions"),
        }
    }
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
        let n = provider.counts().await?.texts;
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
    Ok(since_1970()?)
}

/// Waits until nothing is open any more, or its time is over; returns when that was, since 1970.
async fn finish_within(service: &Service, limit: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while service.n_open().await? > 0 && began.elapsed() < limit {
        tokio::time::sleep(POLL).await;
    }
    Ok(since_1970()?)
}

/// Waits until the provider has counted what is asked for, or its time is over.
async fn until_counted(
    provider: &ProviderProcess,
    limit: Duration,
    is_enough: impl Fn(&Counts) -> bool,
) -> anyhow::Result<Counts> {
    let began = Instant::now();
    loop {
        let counts = provider.counts().await?;
        if is_enough(&counts) || began.elapsed() > limit {
            return Ok(counts);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Lets no further call begin, waits for those in flight, and writes down who counted how many.
async fn count_calls(
    row: &mut Row,
    about: &str,
    service: &Service,
    provider: &ProviderProcess,
) -> anyhow::Result<Counts> {
    service.pause().await?;
    let began = Instant::now();
    loop {
        let counts = provider.counts().await?;
        let n_calls = service.n_calls(super::service::PROVIDER).await?;
        // An answer is counted a moment after it was given.
        let is_settled = counts.in_flight == 0 && n_calls == counts.received;
        if is_settled || began.elapsed() > STALL_LIMIT {
            row.count(
                about,
                &[("the provider", counts.received), ("the service", n_calls)],
            );
            return Ok(counts);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Writes down how many texts were handed in, acknowledged and read back.
fn count_texts(row: &mut Row, n_handed_in: u64, outcome: &AccountedOutcome) {
    let n_read_back = outcome.n_right + outcome.n_misattributed + outcome.n_failed;
    row.count(
        "texts",
        &[
            ("handed in", n_handed_in),
            ("acknowledged", outcome.handed_in.n_acknowledged),
            ("read back", n_read_back),
        ],
    );
    row.count(
        "strange tasks",
        &[("expected", 0), ("read back", outcome.n_strange)],
    );
}

fn since_1970() -> Result<Duration, std::time::SystemTimeError> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)
}

/// Returns how many there were in a second.
fn rate(n: u64, taken: Duration) -> f64 {
    n as f64 / taken.as_secs_f64()
}

/// Returns the microseconds that each of `n` took.
fn each_us(seconds: f64, n: u64) -> f64 {
    seconds * 1e6 / n.max(1) as f64
}

/// Returns the milliseconds of a time.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Returns how many of a hundred `n` of `all` are.
fn percent(n: u64, all: u64) -> f64 {
    100.0 * n as f64 / all.max(1) as f64
}

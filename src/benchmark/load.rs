//! The load generator: submits texts through the socket as fast as it is let, and asks one at a time.

mod accounted;
mod echo;
mod questions;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use super::client::{self, Response, UnixConnection};
use super::corpus;
use super::machine::processor_seconds_of;
use super::simulator::{self, TRANSLATE_PATH};
use super::statistics::{Quantiles, Times, quantile};

pub(super) use self::accounted::AccountedOutcome;
use self::echo::Echo;
pub(super) use self::questions::{Pick, Questions, QuestionsOutcome, trace};

/// The most lines that one call carries.
const LINES_A_CALL: u64 = 1_000;

/// No load begins a call later than this, unless it is told otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a refused client waits before it tries again.
const REFUSED_WAIT: Duration = Duration::from_millis(10);

/// About how many ids are kept, to read some of the tasks back.
const N_SAMPLES: u64 = 1_000;

/// What the load generator is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// One text a call.
    Submits(Bulk),
    /// Many texts a call, as NDJSON.
    Lines(Bulk),
    /// The same, and each is read back when all are final.
    Accounted(Bulk),
    /// Many questions, by several clients.
    Questions(Questions),
    /// One question at a time.
    Interactive(Interactive),
}

/// Texts to hand in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bulk {
    /// The socket of the service.
    pub(super) socket: PathBuf,
    /// Connections with one call in flight each.
    pub(super) n_clients: u64,
    /// The number of the first text; of lines, a multiple of 1,000.
    pub(super) first: u64,
    /// How many texts; of lines, a multiple of 1,000 if there are more.
    pub(super) n_texts: u64,
    /// The languages wanted of each.
    pub(super) targets: Vec<String>,
    /// The priority of each.
    pub(super) priority: String,
    /// No call begins later than this.
    pub(super) limit: Duration,
}

impl Bulk {
    /// So many texts into Spanish, by clients with one call in flight each.
    pub(super) fn new(socket: &Path, n_clients: u64, n_texts: u64) -> Self {
        Self {
            socket: socket.to_owned(),
            n_clients,
            first: 0,
            n_texts,
            targets: vec!["es".into()],
            priority: "normal".into(),
            limit: LIMIT,
        }
    }
}

/// Questions to ask, alternating with direct calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Interactive {
    /// The socket of the service.
    pub(super) socket: PathBuf,
    /// The simulated provider.
    pub(super) provider: SocketAddr,
    /// The number of the first text.
    pub(super) first: u64,
    /// How many new texts, and as many behind them for the direct calls.
    pub(super) n_new: u64,
    /// How many times a known text.
    pub(super) n_known: u64,
}

/// What came of a [`Job`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// Of texts handed in.
    Bulk(BulkOutcome),
    /// Of texts handed in and read back.
    Accounted(AccountedOutcome),
    /// Of many questions.
    Questions(QuestionsOutcome),
    /// Of questions.
    Interactive(InteractiveOutcome),
}

/// What came of texts handed in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BulkOutcome {
    /// Texts that were acknowledged.
    pub(super) n_acknowledged: u64,
    /// Answers 503; a call is then made again, a line is not.
    pub(super) n_busy: u64,
    /// Texts that were refused for good.
    pub(super) n_refused: u64,
    /// The first answer that refused one.
    pub(super) first_refusal: Option<String>,
    /// When the first call began, since 1970.
    pub(super) began: Duration,
    /// How long it took from the first call to the last answer.
    pub(super) taken: Duration,
    /// The times of the calls.
    pub(super) calls: Quantiles,
    /// Ids of some of the tasks.
    pub(super) sample: Vec<String>,
    /// Processor time that the load generator used.
    pub(super) processor_seconds: f64,
}

/// What came of questions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct InteractiveOutcome {
    /// Through the service.
    pub(super) through: Quantiles,
    /// Straight to the provider.
    pub(super) direct: Quantiles,
    /// Median of the differences of neighbours, in microseconds.
    pub(super) added_p50_us: f64,
    /// What 99 of 100 differences stay below, in microseconds.
    pub(super) added_p99_us: f64,
    /// A text that is known.
    pub(super) known: Quantiles,
    /// A message of one byte and its answer, each beside a text that is known.
    pub(super) empty: Quantiles,
    /// Answers of the service with a translation.
    pub(super) n_answered: u64,
    /// Answers of the service that said the text was known.
    pub(super) n_cached: u64,
    /// Calls straight to the provider.
    pub(super) n_direct: u64,
}

/// Does a job.
pub(super) async fn work(job: Job) -> anyhow::Result<Outcome> {
    match job {
        Job::Submits(bulk) => hand_in(bulk, submit_calls).await.map(Outcome::Bulk),
        Job::Lines(bulk) => hand_in(bulk, line_calls).await.map(Outcome::Bulk),
        Job::Accounted(bulk) => accounted::account(bulk).await.map(Outcome::Accounted),
        Job::Questions(questions) => questions::ask(questions).await.map(Outcome::Questions),
        Job::Interactive(questions) => ask(questions).await.map(Outcome::Interactive),
    }
}

/// A request whose numbers are written anew for each call.
struct Template {
    bytes: Vec<u8>,
    /// Where the number of each text stands.
    numbers_at: Vec<usize>,
}

impl Template {
    fn request(content_type: &str, lines: impl Iterator<Item = String>) -> Self {
        let mut body = String::new();
        let mut numbers_at = Vec::new();
        for (n, line) in (0..).zip(lines) {
            let text_at = line
                .find(r#""text":""#)
                .map_or(0, |at| at + r#""text":""#.len());
            numbers_at.push(body.len() + text_at + corpus::number_at(n));
            body.push_str(&line);
        }
        let bytes = client::post("/v1/requests", content_type, body.as_bytes());
        let body_at = bytes.len() - body.len();
        for at in &mut numbers_at {
            *at += body_at;
        }
        Self { bytes, numbers_at }
    }

    /// Returns the request with the numbers from `first` on.
    fn numbered(&mut self, first: u64) -> &[u8] {
        for (n, at) in (first..).zip(&self.numbers_at) {
            corpus::write_number(n, &mut self.bytes[*at..*at + corpus::N_DIGITS]);
        }
        &self.bytes
    }

    fn n_texts(&self) -> u64 {
        self.numbers_at.len() as u64
    }
}

fn request_json(n: u64, bulk: &Bulk) -> String {
    format!(
        r#"{{"text":"{}","targets":{:?},"source":"en","priority":"{}"}}"#,
        corpus::text(n),
        bulk.targets,
        bulk.priority
    )
}

/// A call with one text.
fn submit_calls(bulk: &Bulk) -> Template {
    Template::request("application/json", std::iter::once(request_json(0, bulk)))
}

/// A call with many texts, a line each.
fn line_calls(bulk: &Bulk) -> Template {
    let n_lines = bulk.n_texts.min(LINES_A_CALL);
    let lines = (0..n_lines).map(|n| request_json(n, bulk) + "\n");
    Template::request("application/x-ndjson", lines)
}

/// What all clients share.
struct Progress {
    socket: PathBuf,
    next: Cell<u64>,
    n_texts: u64,
    /// The number after the last text.
    end: u64,
    until: Instant,
    /// Which text each task is of, where that is wanted.
    tasks: Option<RefCell<TextOfTask>>,
    outcome: RefCell<BulkOutcome>,
    times: RefCell<Times>,
}

impl Progress {
    /// Returns the first number of the next call, until there is no more to do.
    fn take(&self, n: u64) -> Option<u64> {
        let first = self.next.get();
        if first + n > self.end || Instant::now() >= self.until {
            return None;
        }
        self.next.set(first + n);
        Some(first)
    }
}

/// The number of the text that each task is of, by the task's id.
type TextOfTask = HashMap<u128, u64>;

async fn hand_in(bulk: Bulk, template: fn(&Bulk) -> Template) -> anyhow::Result<BulkOutcome> {
    Ok(hand_in_and_keep(bulk, template, None).await?.0)
}

/// Hands in texts; fills `tasks` where there is such a table.
async fn hand_in_and_keep(
    bulk: Bulk,
    template: fn(&Bulk) -> Template,
    tasks: Option<TextOfTask>,
) -> anyhow::Result<(BulkOutcome, TextOfTask)> {
    let mut clients = Vec::new();
    for _ in 0..bulk.n_clients {
        let connection = client::connect_unix(&bulk.socket)
            .await
            .with_context(|| format!("connecting to {}", bulk.socket.display()))?;
        clients.push((connection, template(&bulk)));
    }
    let processor_before = processor_seconds_of("self")?;
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let started = Instant::now();
    let progress = Rc::new(Progress {
        socket: bulk.socket,
        next: Cell::new(bulk.first),
        n_texts: bulk.n_texts,
        end: bulk.first + bulk.n_texts,
        tasks: tasks.map(RefCell::new),
        until: started + bulk.limit,
        outcome: RefCell::default(),
        times: RefCell::new(Times::new()),
    });
    let local = LocalSet::new();
    let mut running = Vec::new();
    for (connection, template) in clients {
        running.push(local.spawn_local(repeat(connection, template, progress.clone())));
    }
    local
        .run_until(async {
            for client in running {
                client.await.context("a client fell")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let taken = started.elapsed();
    let calls = progress.times.borrow().quantiles();
    let tasks = progress.tasks.as_ref().map(RefCell::take);
    let outcome = BulkOutcome {
        began,
        taken,
        calls,
        processor_seconds: processor_seconds_of("self")? - processor_before,
        ..progress.outcome.take()
    };
    Ok((outcome, tasks.unwrap_or_default()))
}

/// Makes one call after the other until there is no more to do.
async fn repeat(
    mut connection: UnixConnection,
    mut template: Template,
    progress: Rc<Progress>,
) -> io::Result<()> {
    let n = template.n_texts();
    let sample_every = (progress.n_texts / N_SAMPLES).max(1);
    while let Some(first) = progress.take(n) {
        let called = Instant::now();
        let response = call(&mut connection, template.numbered(first), &progress).await?;
        progress.times.borrow_mut().add(called.elapsed());
        if let Some(tasks) = &progress.tasks {
            accounted::keep(&mut tasks.borrow_mut(), first, response.body);
        }
        let mut outcome = progress.outcome.borrow_mut();
        if n > 1 {
            outcome.read_lines(response.status, response.body);
        } else {
            outcome.count(response.status, response.body);
            if first.is_multiple_of(sample_every) {
                outcome.sample(response.body);
            }
        }
    }
    Ok(())
}

/// Makes a call, again and again while the service is full and there is time.
async fn call<'a>(
    connection: &'a mut UnixConnection,
    request: &[u8],
    progress: &Progress,
) -> io::Result<Response<'a>> {
    loop {
        if connection.is_closed() {
            *connection = client::connect_unix(&progress.socket).await?;
        }
        let status = connection.exchange(request).await?.status;
        if status != 503 || Instant::now() >= progress.until {
            return Ok(connection.last());
        }
        progress.outcome.borrow_mut().n_busy += 1;
        tokio::time::sleep(REFUSED_WAIT).await;
    }
}

/// The part of an answer that says which tasks there are now.
#[derive(Deserialize)]
struct Accepted {
    tasks: Vec<AcceptedTask>,
}

#[derive(Deserialize)]
struct AcceptedTask {
    id: String,
}

#[derive(Deserialize)]
struct Line {
    status: u16,
}

impl BulkOutcome {
    fn count(&mut self, status: u16, answer: &[u8]) {
        match status {
            200 | 202 => return self.n_acknowledged += 1,
            503 => return self.n_busy += 1,
            _ => self.n_refused += 1,
        }
        self.first_refusal
            .get_or_insert_with(|| format!("{status}: {}", String::from_utf8_lossy(answer).trim()));
    }

    fn sample(&mut self, answer: &[u8]) {
        if let Ok(accepted) = serde_json::from_slice::<Accepted>(answer) {
            self.sample
                .extend(accepted.tasks.into_iter().map(|task| task.id));
        }
    }

    fn read_lines(&mut self, status: u16, body: &[u8]) {
        if !matches!(status, 200 | 202) {
            self.count(status, body);
            return;
        }
        let lines = body.split(|byte| *byte == b'\n');
        for (n, line) in lines.filter(|line| !line.is_empty()).enumerate() {
            let status = serde_json::from_slice(line).map_or(0, |line: Line| line.status);
            self.count(status, line);
            if n == 0 {
                self.sample(line);
            }
        }
    }
}

#[derive(Deserialize)]
struct Answered {
    translations: Vec<Translation>,
}

#[derive(Deserialize)]
struct Translation {
    cached: bool,
}

async fn ask(questions: Interactive) -> anyhow::Result<InteractiveOutcome> {
    let mut service = client::connect_unix(&questions.socket).await?;
    let mut provider = client::connect_tcp(questions.provider).await?;
    let (mut through, mut direct, mut known) = (Times::new(), Times::new(), Times::new());
    let mut added = Vec::new();
    let mut outcome = InteractiveOutcome::default();
    for n in questions.first..questions.first + questions.n_new {
        let (cached, time_through) = translate(&mut service, &question(n)).await?;
        outcome.n_answered += 1;
        outcome.n_cached += u64::from(cached);

        let call = client::post(
            TRANSLATE_PATH,
            "application/json",
            &simulator::call_body(&corpus::text(questions.n_new + n)),
        );
        let called = Instant::now();
        let response = provider.exchange(&call).await?;
        let time_direct = called.elapsed();
        anyhow::ensure!(
            response.status == 200,
            "the provider answered {}",
            response.status
        );
        outcome.n_direct += 1;

        through.add(time_through);
        direct.add(time_direct);
        added.push((time_through.as_secs_f64() - time_direct.as_secs_f64()) * 1e6);
    }
    // The last one, because the cache holds fewer texts than there are new ones.
    let known_question = question(questions.first + questions.n_new - 1);
    let (mut echo, mut empty) = (Echo::start()?, Times::new());
    for _ in 0..questions.n_known {
        empty.add(echo.round_trip().await?);
        let (cached, time) = translate(&mut service, &known_question).await?;
        known.add(time);
        outcome.n_answered += 1;
        outcome.n_cached += u64::from(cached);
    }
    Ok(InteractiveOutcome {
        through: through.quantiles(),
        direct: direct.quantiles(),
        added_p50_us: quantile(&mut added, 0.5),
        added_p99_us: quantile(&mut added, 0.99),
        known: known.quantiles(),
        empty: empty.quantiles(),
        ..outcome
    })
}

fn question(n: u64) -> Vec<u8> {
    let body = format!(
        r#"{{"texts":["{}"],"target":"es","source":"en"}}"#,
        corpus::text(n)
    );
    client::post("/v1/translate", "application/json", body.as_bytes())
}

/// Asks for one translation; returns whether it was known, and how long the exchange took.
async fn translate(
    service: &mut UnixConnection,
    question: &[u8],
) -> anyhow::Result<(bool, Duration)> {
    let called = Instant::now();
    let response = service.exchange(question).await?;
    let time = called.elapsed();
    anyhow::ensure!(
        response.status == 200,
        "the service answered {}: {}",
        response.status,
        String::from_utf8_lossy(response.body)
    );
    let answered: Answered = serde_json::from_slice(response.body)?;
    let [translation] = answered.translations.as_slice() else {
        anyhow::bail!(
            "expected one translation, got {}",
            answered.translations.len()
        );
    };
    Ok((translation.cached, time))
}

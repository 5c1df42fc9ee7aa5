//! One actor that hears every message and only answers, and a client that speaks bare HTTP.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use babelfeed_actors::cache::KnownReader;
use babelfeed_actors::domain::{
    Class, IdMint, Lane, Moment, Origin, Publication, PublicationState, Request, RequestId, State,
    Task, TaskId, Timestamp, Translation, Usage,
};
use babelfeed_actors::logic::known::Edition;
use babelfeed_actors::logic::lifecycle::{Lifecycle, Step};
use babelfeed_actors::logic::routing::Figures;
use babelfeed_actors::logic::shelf::Shelf;
use babelfeed_actors::messages::*;
use babelfeed_actors::ports::{
    Admitted, Clock, Ended, Outcome, PublicationRecord, StoreError, TaskRecord,
};
use babelfeed_actors::supervision::Falls;
use babelfeed_actors::system::Handles;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::control::server::serve_with;
use crate::control::{BearerToken, Command, Control, Listen, OutletRoute, Running};
use crate::telemetry::process::Process;

/// What the fake actors know, and what tests may look at and change.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) requests: HashMap<RequestId, Vec<TaskView>>,
    pub(super) keys: HashMap<Arc<str>, (RequestId, Arc<str>)>,
    pub(super) batches: Vec<usize>,
    pub(super) orders: Vec<String>,
    pub(super) paused: HashSet<String>,
    pub(super) is_full: bool,
    pub(super) is_draining: bool,
    mint: IdMint,
}

type Shared = Arc<Mutex<Memory>>;

/// Hears everything.
struct Fake(Shared);

impl Actor for Fake {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($message:ty, |$memory:ident, $name:ident| $answer:expr) => {
        impl Handler<$message> for Fake {
            type Result = MessageResult<$message>;

            fn handle(&mut self, $name: $message, _: &mut Self::Context) -> Self::Result {
                #[allow(unused_mut, unused_variables)]
                let mut $memory = self.0.lock().expect("no test panics with it");
                MessageResult($answer)
            }
        }
    };
}

hears!(Submit, |memory, submit| {
    memory.batches.push(submit.submissions.len());
    if memory.is_full {
        let wait = Duration::from_millis(2_500);
        return MessageResult(Err(StoreError::Full { wait }.into()));
    }
    Ok(submit
        .submissions
        .into_iter()
        .map(|submission| memory.admit(submission))
        .collect())
});

impl Memory {
    fn admit(&mut self, submission: Submission) -> Admitted {
        let Origin::Client { key } = submission.origin.clone() else {
            panic!("control submits for clients only");
        };
        if let Some((id, text)) = key.as_ref().and_then(|key| self.keys.get(key)) {
            let outcome = match **text == *submission.text {
                true => Outcome::Same,
                false => Outcome::Conflict,
            };
            return self.admitted(*id, outcome);
        }
        let id = self.mint.next(Timestamp::from_millis(1_795_262_700_000), 7);
        if let Some(key) = key {
            self.keys.insert(key, (id, submission.text.clone()));
        }
        let request = Arc::new(Request {
            id,
            origin: submission.origin,
            text: submission.text,
            source: submission.source,
            flow: submission.flow,
            class: submission.class,
            context: None,
            url: None,
            author: None,
            attached: None,
            revises: None,
            accepted_at: Timestamp::from_millis(0),
            deadline: None,
        });
        let views = (1..)
            .zip(submission.targets)
            .map(|(number, target)| view(&request, number, target))
            .collect();
        self.requests.insert(id, views);
        self.admitted(id, Outcome::New)
    }

    fn admitted(&self, id: RequestId, outcome: Outcome) -> Admitted {
        let task = |view: &TaskView| {
            let record = &view.record;
            let state = record.lifecycle.state();
            (record.task.id, record.task.target.clone(), state)
        };
        Admitted {
            revises: None,
            outcome,
            id,
            tasks: self.requests[&id].iter().map(task).collect(),
        }
    }

    fn task(&mut self, id: TaskId) -> Option<&mut TaskView> {
        let views = self.requests.get_mut(&id.request())?;
        views.iter_mut().find(|view| view.record.task.id == id)
    }

    /// Completes a task, with a publication in that state.
    pub(super) fn complete(&mut self, id: TaskId, state: PublicationState) {
        let view = self.task(id).expect("the task was handed in");
        for step in [Step::Call, Step::Complete] {
            let at = Timestamp::from_millis(1);
            view.record.lifecycle.step(step, at).expect("an edge");
        }
        view.record.ended = Some(Ended::Completed(translation("hola")));
        view.publications = vec![publication(id, state)];
    }
}

fn view(
    request: &Arc<Request>,
    number: u8,
    target: babelfeed_actors::domain::Language,
) -> TaskView {
    let mut lifecycle = Lifecycle::submitted(Timestamp::from_millis(0));
    lifecycle
        .step(Step::Enqueue, Timestamp::from_millis(0))
        .expect("an edge");
    TaskView {
        record: TaskRecord {
            task: Task {
                id: request.id.task(number),
                request: Arc::clone(request),
                target,
            },
            publish: false,
            lifecycle,
            token: 0,
            deaths: 0,
            ended: None,
        },
        publications: Vec::new(),
    }
}

fn translation(text: &str) -> Translation {
    Translation {
        text: text.into(),
        provider: "groq".into(),
        model: "m".into(),
        cached: false,
        usage: Usage::default(),
    }
}

pub(super) fn publication(task: TaskId, state: PublicationState) -> PublicationRecord {
    PublicationRecord {
        publication: Arc::new(Publication {
            id: task.publication(1),
            outlet: "es".into(),
            source: "requests".into(),
            post: "k".into(),
            language: "es".parse().expect("a tag"),
            url: None,
            parts: vec![babelfeed_actors::domain::Part::new("hola")],
            attached: None,
            thread: None,
            revises: None,
            created_at: Timestamp::from_millis(0),
        }),
        state,
        token: 0,
        attempts: 0,
        frozen: None,
        errand: babelfeed_actors::ports::Errand::Publish,
        at: Timestamp::from_millis(0),
        why: None,
    }
}

impl Handler<TranslateNow> for Fake {
    type Result = ResponseFuture<Result<Vec<Translation>, NowError>>;

    fn handle(&mut self, now: TranslateNow, _: &mut Self::Context) -> Self::Result {
        let mut memory = self.0.lock().expect("no test panics with it");
        let is_low = now.class == Class::Low;
        memory
            .orders
            .extend(is_low.then(|| format!("warm {}", now.texts.len())));
        Box::pin(async move {
            let refused = now.texts.iter().position(|text| &**text == "bad");
            if let Some(index) = refused {
                let failure = babelfeed_actors::domain::Failure {
                    kind: babelfeed_actors::domain::FailureKind::Rejected,
                    detail: "no".into(),
                };
                return Err(NowError::Refused { index, failure });
            }
            if now.texts.iter().any(|text| &**text == "slow") {
                return Err(NowError::Expired);
            }
            let shout = |text: &Arc<str>| translation(&text.to_uppercase());
            Ok(now.texts.iter().map(shout).collect())
        })
    }
}

hears!(FindTask, |memory, find| Ok(memory.task(find.0).cloned()));
hears!(FindRequest, |memory, find| Ok(memory
    .requests
    .get(&find.0)
    .cloned()
    .unwrap_or_default()));
hears!(List, |memory, list| {
    let mut tasks: Vec<TaskView> = memory.requests.values().flatten().cloned().collect();
    tasks.sort_by_key(|view| view.record.task.id);
    tasks.retain(|view| {
        let is_meant = |state| view.record.lifecycle.state() == state;
        list.state.is_none_or(is_meant) && Some(view.record.task.id) > list.after
    });
    let next = (tasks.len() > list.limit).then(|| tasks[list.limit - 1].record.task.id);
    tasks.truncate(list.limit);
    Ok(Listed { tasks, next })
});
hears!(Cancel, |memory, cancel| match memory.task(cancel.0) {
    None => Err(ChangeError::Unknown),
    Some(view) => {
        let state = view.record.lifecycle.state();
        let step = Step::Fail(babelfeed_actors::domain::FailureKind::Cancelled);
        match state.is_final() {
            true => Err(ChangeError::Conflict(state)),
            false => {
                let at = Timestamp::from_millis(5);
                view.record.lifecycle.step(step, at).expect("an edge");
                Ok(view.clone())
            }
        }
    }
});
hears!(Retry, |memory, retry| match memory.task(retry.0) {
    None => Err(ChangeError::Unknown),
    Some(view) => Err(ChangeError::Conflict(view.record.lifecycle.state())),
});
hears!(Drain, |memory, _drain| memory.is_draining = true);
hears!(OpenIntake, |memory, _open| memory.is_draining = false);
hears!(Stop, |memory, _stop| memory.orders.push("stop".into()));
hears!(Depth, |memory, _depth| Ok(Backlog {
    queued: 3,
    completed: 2,
    failed: 1,
    unknown: u64::from(memory.paused.contains("unknown")),
    closed: memory
        .is_draining
        .then_some(babelfeed_actors::messages::Closed::Draining),
    ..Backlog::default()
}));
hears!(Quotas, |_memory, _quotas| Vec::new());
hears!(SaveAll, |_memory, _save| Ok(()));
hears!(Clear, |memory, _clear| {
    memory.orders.push("clear".into());
    Ok(())
});
hears!(CacheStats, |_memory, _stats| CacheView {
    entries: 5,
    ..CacheView::default()
});

impl Memory {
    fn name(&mut self, order: &str, known: &str, name: Option<String>) -> Result<(), UnknownName> {
        match name {
            Some(name) if name != known => Err(UnknownName(name)),
            name => {
                let shown = name.unwrap_or_else(|| "all".into());
                self.orders.push(format!("{order} {shown}"));
                Ok(())
            }
        }
    }
}

fn shown(name: Option<impl ToString>) -> Option<String> {
    name.map(|name| name.to_string())
}

hears!(Adjust, |memory, adjust| {
    let order = format!("{:?} lane", adjust.adjustment);
    memory.name(&order, "groq", shown(adjust.lane))
});
hears!(PauseOutlet, |memory, pause| memory.name(
    "pause outlet",
    "es",
    shown(pause.0)
));
hears!(ResumeOutlet, |memory, resume| memory.name(
    "resume outlet",
    "es",
    shown(resume.0)
));
hears!(PauseSource, |memory, pause| memory.name(
    "pause source",
    "news",
    shown(pause.0)
));
hears!(ResumeSource, |memory, resume| memory.name(
    "resume source",
    "news",
    shown(resume.name)
));
hears!(PollNow, |memory, poll| memory.name(
    "poll",
    "news",
    shown(poll.0)
));
hears!(Providers, |_memory, _providers| vec![ProviderView {
    name: "groq".into(),
    figures: Figures {
        calls: 3,
        texts: 20,
        share: 0.75,
        median: Some(Duration::from_millis(120)),
        p99: None,
    },
    hedges: 1,
    hangs: false,
}]);
hears!(Lanes, |_memory, _lanes| vec![LaneView {
    name: Lane::from("groq"),
    windows: vec![WindowView {
        unit: "requests",
        per: "minute",
        limit: 30.0,
        used: 4.0,
        resets_at: None,
        known_by: "settings",
    }],
    waiting: 0,
    in_flight: 1,
    parked_until: None,
    why: None,
    usd_today: 0.25,
    binding: None,
}]);
hears!(Outlets, |_memory, _outlets| Vec::new());
hears!(Review, |memory, _review| {
    let held = memory.requests.values().flatten();
    let held = held.flat_map(|view| view.publications.clone());
    Ok(held
        .filter(|record| record.state == PublicationState::Held)
        .collect())
});
hears!(Approve, |memory, approve| {
    let known = memory.task(approve.id.task()).is_some();
    memory.orders.push(format!("approve {:?}", approve.text));
    match known {
        true => Ok(publication(approve.id.task(), PublicationState::Planned)),
        false => Err(PublicationError::Unknown),
    }
});
hears!(Reject, |_memory, _reject| Err(PublicationError::Conflict(
    PublicationState::Published
)));
hears!(RetryPublication, |_memory, retry| Ok(publication(
    retry.0.task(),
    PublicationState::Planned
)));
hears!(Watching, |memory, _watching| {
    let state = match memory.paused.contains("failing") {
        true => SourceState::Failing,
        false => SourceState::Waiting,
    };
    vec![SourceView {
        name: "news".into(),
        kind: "feed",
        state,
        last_poll: None,
        lag: Some(Duration::from_millis(1_500)),
        error: Some("no route".into()),
        seen: 9,
        new: 4,
        cost_usd: 0.0,
    }]
});
hears!(Record, |_memory, _record| ());
hears!(Follow, |_memory, _follow| ());
hears!(ReportNow, |_memory, _now| Report {
    services: vec![ServiceReport {
        name: "groq".into(),
        calls: 12,
        errors: 3,
        rate: 0.5,
        took: Quantiles {
            p50_ms: 10.0,
            p90_ms: 20.0,
            p99_ms: 30.0,
            max_ms: 40.0,
        },
    }],
});

/// Stands still.
struct Still;

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn now(&self) -> Moment {
        Moment::from_start(Duration::from_secs(90))
    }
}

/// A served control in a folder of its own.
pub(super) struct Served {
    pub(super) memory: Shared,
    pub(super) events: Events,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) socket: PathBuf,
    pub(super) running: Running,
    _folder: tempfile::TempDir,
}

/// How many events the bus keeps.
pub(super) const EVENTS: usize = 64;

/// Serves control on a socket, and on TCP too where a token is given.
pub(super) fn served(token: Option<&str>) -> Served {
    served_with(token, Duration::from_secs(30))
}

/// Serves control with so much patience for bodies that trickle.
pub(super) fn served_with(token: Option<&str>, patience: Duration) -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let events = Events::new(EVENTS);
    let memory = Shared::default();
    let (commands, orders) = mpsc::channel(4);
    let control = Control {
        handles: handles(Fake(Arc::clone(&memory)).start(), events.clone()),
        outlets: vec![OutletRoute {
            language: "es".parse().expect("a tag"),
            from: None,
        }],
        commands,
        version: "1.2.3",
        started: Moment::from_start(Duration::from_secs(30)),
        clock: Arc::new(Still),
        process: Process::new(),
        watch: Arc::new(|_| ()),
        token: token.and_then(BearerToken::new),
        callbacks: None,
    };
    let listen = Listen {
        socket: socket.clone(),
        tcp: token.map(|_| ([127, 0, 0, 1], 0).into()),
        workers: 1,
    };
    Served {
        memory,
        events,
        commands: orders,
        socket,
        running: serve_with(control, listen, patience).expect("a free socket"),
        _folder: folder,
    }
}

/// A reader that never finds anything, because it is closed.
fn nothing_known() -> KnownReader {
    KnownReader::new(
        Arc::new(Shelf::new(1, 1, Duration::ZERO)),
        Edition::default(),
        Arc::new(Still),
        Arc::default(),
    )
}

fn handles(fake: actix::Addr<Fake>, events: Events) -> Handles {
    fn heard<M>(fake: &actix::Addr<Fake>) -> actix::Recipient<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Fake: Handler<M>,
    {
        fake.clone().recipient()
    }
    Handles {
        submit: heard(&fake),
        translate_now: heard(&fake),
        find_task: heard(&fake),
        find_request: heard(&fake),
        list: heard(&fake),
        cancel: heard(&fake),
        retry: heard(&fake),
        drain: heard(&fake),
        open_intake: heard(&fake),
        stop: heard(&fake),
        depth: heard(&fake),
        clear: heard(&fake),
        save_known: heard(&fake),
        known: nothing_known(),
        cache_stats: heard(&fake),
        adjust: heard(&fake),
        lanes: heard(&fake),
        quotas: heard(&fake),
        providers: heard(&fake),
        outlets: heard(&fake),
        pause_outlet: heard(&fake),
        resume_outlet: heard(&fake),
        review: heard(&fake),
        approve: heard(&fake),
        reject: heard(&fake),
        retry_publication: heard(&fake),
        pause_source: heard(&fake),
        resume_source: heard(&fake),
        poll_now: heard(&fake),
        watching: heard(&fake),
        record: heard(&fake),
        report: heard(&fake),
        follow: heard(&fake),
        events,
        falls: Falls::default(),
        actors: Default::default(),
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub(super) fn lines(&self) -> Vec<serde_json::Value> {
        let lines = self.body.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a JSON line"))
            .collect()
    }

    /// Reads what a server that hangs up afterwards sent.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        let body = match head.contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_owned(),
        };
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.expect("a status"),
            head,
            body,
        }
    }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        text.push_str(rest.get(..size).expect("a whole chunk"));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    text
}

/// The bytes of a call that asks the server to hang up afterwards.
pub(super) fn call(method: &str, path: &str, mime: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {mime}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends bytes and reads all that comes back.
pub(super) async fn raw(socket: &Path, bytes: &[u8]) -> Answer {
    let mut connection = UnixStream::connect(socket).await.expect("a server");
    connection.write_all(bytes).await.expect("a reader");
    let mut answer = Vec::new();
    connection
        .read_to_end(&mut answer)
        .await
        .expect("an answer");
    Answer::parse(&answer)
}

impl Served {
    pub(super) async fn get(&self, path: &str) -> Answer {
        raw(&self.socket, &call("GET", path, "application/json", "")).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        raw(&self.socket, &call("POST", path, "application/json", body)).await
    }

    pub(super) async fn lines(&self, body: &str) -> Answer {
        let call = call("POST", "/v1/requests", "application/x-ndjson", body);
        raw(&self.socket, &call).await
    }

    /// Hands one text in and gives its request and task.
    pub(super) async fn submitted(&self) -> (RequestId, TaskId) {
        let answer = self
            .post("/v1/requests", r#"{"text":"hello","targets":["es"]}"#)
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let id: RequestId = answer.json()["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id");
        (id, id.task(1))
    }

    /// Whether somebody listens to events.
    pub(super) fn events_are_heard(&self) -> bool {
        let mut heard = false;
        self.events.tell(|| {
            heard = true;
            let id = TaskId::from_bytes([9; 16]);
            let (state, at) = (State::Queued, Timestamp::from_millis(0));
            Event::Task {
                id,
                state,
                at,
                why: None,
            }
        });
        heard
    }

    /// Completes a task without telling anybody.
    pub(super) fn complete(&self, id: TaskId, state: PublicationState) {
        self.memory.lock().expect("free").complete(id, state);
    }

    /// Changes the publication of a completed task, and tells it.
    pub(super) fn complete_publication(&self, task: TaskId, state: PublicationState) {
        let mut memory = self.memory.lock().expect("free");
        let view = memory.task(task).expect("the task was handed in");
        view.publications = vec![publication(task, state)];
        drop(memory);
        self.events.tell(|| Event::Publication {
            id: task.publication(1),
            state,
            at: Timestamp::from_millis(2),
            why: None,
        });
    }

    /// Tells that a task completed.
    pub(super) fn tell_completed(&self, id: TaskId) {
        self.events.tell(|| Event::Task {
            id,
            state: State::Completed,
            at: Timestamp::from_millis(1),
            why: None,
        });
    }
}

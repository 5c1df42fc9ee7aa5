//! The life of a service, with a system that answers everything and does nothing.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use babelfeed_actors::cache::KnownReader;
use babelfeed_actors::domain::{
    Class, Failure, FailureKind, IdMint, Language, Moment, Origin, Request, TaskId, Timestamp,
};
use babelfeed_actors::logic::known::Edition;
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::logic::shelf::Shelf;
use babelfeed_actors::messages::*;
use babelfeed_actors::ports::{Admission, Clock, Ended, NewRequest, TaskChange, TaskStore as _};
use babelfeed_actors::setup::Pauses;
use babelfeed_actors::supervision::Falls;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::telemetry::metrics::FILE;

thread_local! {
    static STARTS: Cell<u32> = const { Cell::new(0) };
    static STOPS: Cell<u32> = const { Cell::new(0) };
    static IS_LOADING: Cell<bool> = const { Cell::new(false) };
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($($message:ty => $answer:expr,)*) => {$(
        impl Handler<$message> for Idle {
            type Result = MessageResult<$message>;

            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                MessageResult($answer)
            }
        }
    )*};
}

answers! {
    Submit => Ok(Vec::new()),
    TranslateNow => Ok(Vec::new()),
    FindTask => Ok(None),
    FindTasks => Ok(Vec::new()),
    FindRequest => Ok(Vec::new()),
    List => Ok(Listed { tasks: Vec::new(), next: None }),
    Cancel => Err(ChangeError::Unknown),
    Retry => Err(ChangeError::Unknown),
    Drain => (),
    OpenIntake => (),
    Stop => STOPS.set(STOPS.get() + 1),
    Depth => Ok(Backlog { closed: IS_FULL.get().then_some(Closed::NoRoom), ..Backlog::default() }),
    Clear => Ok(()),
    SaveAll => Ok(()),
    CacheStats => CacheView::default(),
    Adjust => Ok(()),
    Lanes => Vec::new(),
    Providers => Vec::new(),
    PauseOutlet => Ok(()),
    ResumeOutlet => Ok(()),
    Review => Ok(Vec::new()),
    Approve => Err(PublicationError::Unknown),
    Reject => Err(PublicationError::Unknown),
    RetryPublication => Err(PublicationError::Unknown),
    PauseSource => Ok(()),
    ResumeSource => Ok(()),
    PollNow => Ok(()),
    Watching => Vec::new(),
    Record => (),
    ReportNow => Report::default(),
    Follow => (),
}

macro_rules! answers_if_loaded {
    ($($message:ty => $answer:expr,)*) => {$(
        impl Handler<$message> for Idle {
            type Result = ResponseFuture<<$message as Message>::Result>;

            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                match IS_LOADING.get() {
                    true => Box::pin(std::future::pending()),
                    false => Box::pin(std::future::ready($answer)),
                }
            }
        }
    )*};
}

answers_if_loaded! {
    Outlets => Vec::new(),
    Quotas => Vec::new(),
}

/// A reader that never finds anything, because it is closed.
fn nothing_known() -> KnownReader {
    KnownReader::new(
        Arc::new(Shelf::new(1, 1, Duration::ZERO)),
        Edition::default(),
        Arc::new(world::SystemClock::start()),
        Arc::default(),
    )
}

fn start_idle(_: Setup) -> Handles {
    STARTS.set(STARTS.get() + 1);
    let idle = Idle.start();
    Handles {
        submit: idle.clone().recipient(),
        translate_now: idle.clone().recipient(),
        find_task: idle.clone().recipient(),
        find_tasks: idle.clone().recipient(),
        find_request: idle.clone().recipient(),
        list: idle.clone().recipient(),
        cancel: idle.clone().recipient(),
        retry: idle.clone().recipient(),
        drain: idle.clone().recipient(),
        open_intake: idle.clone().recipient(),
        stop: idle.clone().recipient(),
        depth: idle.clone().recipient(),
        clear: idle.clone().recipient(),
        save_known: idle.clone().recipient(),
        known: nothing_known(),
        cache_stats: idle.clone().recipient(),
        adjust: idle.clone().recipient(),
        lanes: idle.clone().recipient(),
        quotas: idle.clone().recipient(),
        providers: idle.clone().recipient(),
        outlets: idle.clone().recipient(),
        pause_outlet: idle.clone().recipient(),
        resume_outlet: idle.clone().recipient(),
        review: idle.clone().recipient(),
        approve: idle.clone().recipient(),
        reject: idle.clone().recipient(),
        retry_publication: idle.clone().recipient(),
        pause_source: idle.clone().recipient(),
        resume_source: idle.clone().recipient(),
        poll_now: idle.clone().recipient(),
        watching: idle.clone().recipient(),
        record: idle.clone().recipient(),
        report: idle.clone().recipient(),
        follow: idle.recipient(),
        events: Events::new(16),
        falls: Falls::default(),
        actors: Default::default(),
    }
}

struct Home {
    folder: tempfile::TempDir,
    options: GlobalOptions,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = GlobalOptions {
            settings: Some(folder.path().join("Settings.toml")),
            ..GlobalOptions::default()
        };
        let home = Self { folder, options };
        home.write("");
        fs::create_dir_all(home.data()).expect("made");
        home
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn write(&self, text: &str) {
        let text = format!("{text}\n[translation]\ntranslators = 1\n");
        fs::write(self.folder.path().join("Settings.toml"), text).expect("written");
    }
}

/// The status and the body that the service answers, once it is there to answer.
async fn call(socket: &Path, method: &str, route: &str) -> (u16, String) {
    let mut stream = loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let request = format!(
        "{method} {route} HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.expect("a status"), answer)
}

#[actix_rt::test]
async fn a_service_is_heard_reloads_in_place_and_stops_in_order() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let socket = settings.service.socket.clone();
    let store = open_store(&settings.store).expect("opened");
    let (signal, heard) = oneshot::channel();
    let served = run::serve(&home.options, settings, &store, heard, start_idle);

    let asked = async {
        assert_eq!(call(&socket, "GET", "/healthz").await.0, 200);

        home.write("colour = 1");
        let (status, answer) = call(&socket, "POST", "/v1/control/reload").await;
        assert_eq!((status, STARTS.get()), (422, 1), "{answer}");
        assert!(answer.contains("colour: is unknown"), "{answer}");

        home.write("[batching]\nmax_batch_size = 3");
        IS_FULL.set(true);
        let (status, answer) = call(&socket, "POST", "/v1/control/reload").await;
        assert_eq!((status, STARTS.get()), (422, 1), "{answer}");
        assert!(answer.contains("the store does not write"), "{answer}");

        IS_FULL.set(false);
        let (status, answer) = call(&socket, "POST", "/v1/control/reload").await;
        assert_eq!(status, 200, "{answer}");
        while STARTS.get() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(call(&socket, "GET", "/healthz").await.0, 200);
        signal.send("SIGTERM").expect("heard");
    };
    let (ended, ()) = tokio::join!(served, asked);
    ended.expect("an orderly end");

    assert_eq!((STARTS.get(), STOPS.get()), (2, 2));
    assert!(home.data().join(FILE).exists());
    assert!(!socket.exists());
    close_store(&store).await;
}

#[actix_rt::test]
async fn an_actor_that_does_not_answer_forbids_a_reload_and_a_stop_goes_on_without_it() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let socket = settings.service.socket.clone();
    let store = open_store(&settings.store).expect("opened");
    let paused = Pauses {
        outlets: vec!["es".into()],
        ..Pauses::default()
    };
    store.keep_pauses(paused.clone()).await.expect("a write");
    let (_signal, heard) = oneshot::channel();
    let served = run::serve(&home.options, settings, &store, heard, start_idle);

    let asked = async {
        assert_eq!(call(&socket, "GET", "/healthz").await.0, 200);
        IS_LOADING.set(true);
        tokio::time::pause();

        home.write("[batching]\nmax_batch_size = 3");
        let (status, answer) = call(&socket, "POST", "/v1/control/reload").await;
        assert_eq!((status, STARTS.get()), (503, 1), "{answer}");
        assert!(answer.contains("the outlets did not answer"), "{answer}");
        let (status, answer) = call(&socket, "POST", "/v1/control/drain").await;
        assert_eq!(status, 200, "changes are taken again: {answer}");
        let (status, answer) = call(&socket, "POST", "/v1/control/pause").await;
        assert_eq!(status, 503, "{answer}");
        assert!(answer.contains("a restart will not know it"), "{answer}");
        assert_eq!(call(&socket, "POST", "/v1/control/stop").await.0, 200);
    };
    let (ended, ()) = tokio::join!(served, asked);
    ended.expect("an orderly end");

    assert_eq!((STARTS.get(), STOPS.get()), (1, 1));
    assert_eq!(store.pauses().await.expect("a read"), paused);
    close_store(&store).await;
}

#[actix_rt::test]
async fn without_monitoring_no_file_of_figures_is_written() {
    let home = Home::new();
    home.write("[service]\nmonitoring = false");
    let settings = load(&home.options).expect("valid");
    let socket = settings.service.socket.clone();
    let store = open_store(&settings.store).expect("opened");
    let (_signal, heard) = oneshot::channel();
    let served = run::serve(&home.options, settings, &store, heard, start_idle);
    let asked = call(&socket, "POST", "/v1/control/stop");
    let (ended, (status, answer)) = tokio::join!(served, asked);
    ended.expect("an orderly end");
    assert_eq!(status, 200, "{answer}");
    assert!(!home.data().join(FILE).exists());
    close_store(&store).await;
}

async fn once_within(within: impl Future<Output = ()>) -> (bool, String) {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let store = open_store(&settings.store).expect("opened");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let prepared = build::prepare(&settings, &store, &clock, Rc::new(escalate)).expect("made");
    let report = once::work(&settings, &store, prepared, start_idle, within).await;
    close_store(&store).await;
    let report = report.expect("a report");
    (report.is_clean(), report.to_string())
}

#[actix_rt::test]
async fn once_ends_by_itself_when_nothing_is_left_to_do() {
    let (is_clean, report) = once_within(std::future::pending()).await;
    assert!(is_clean, "{report}");
    assert!(report.starts_with("0 tasks failed, 0 left"), "{report}");
    assert_eq!((STARTS.get(), STOPS.get()), (1, 1));
}

/// A task that was cancelled long ago.
async fn ended(store: &SqliteStore, at: Timestamp) -> TaskId {
    let spanish: Language = "es".parse().expect("a tag");
    let request = Request {
        id: IdMint::default().next(at, 7),
        origin: Origin::Client { key: None },
        text: "Good morning".into(),
        source: None,
        flow: "requests".into(),
        class: Class::Normal,
        context: None,
        url: None,
        author: None,
        attached: None,
        revises: None,
        accepted_at: at,
        deadline: None,
    };
    let new = NewRequest {
        request: Arc::new(request),
        targets: vec![spanish],
        publish: false,
        revised: Vec::new(),
        fingerprint: [1; 16],
    };
    let admission = Admission {
        requests: vec![new],
        ..Admission::default()
    };
    let id = store.admit(admission).await.expect("taken")[0].tasks[0].0;
    let record = store.task(id).await.expect("a read").expect("the task");
    let mut lifecycle = record.lifecycle;
    let kind = FailureKind::Cancelled;
    lifecycle.step(Step::Fail(kind), at).expect("an edge");
    let failure = Failure {
        kind,
        detail: "by a person".into(),
    };
    let change = TaskChange {
        id,
        held: record.token,
        token: store.token(),
        deaths: 0,
        ended: Some(Ended::Failed(failure)),
        lifecycle,
        publications: Vec::new(),
    };
    store.record(Arc::new([change])).await.expect("a write");
    id
}

/// A store that was opened with tasks that ended at these times.
async fn opened_with<const N: usize>(
    settings: &Settings,
    times: [Timestamp; N],
) -> (SqliteStore, [TaskId; N]) {
    let store = open_store(&settings.store).expect("opened");
    let tasks = join_all(times.map(|at| ended(&store, at))).await;
    close_store(&store).await;
    drop(store);
    let store = open_store(&settings.store).expect("opened again");
    (store, tasks.try_into().expect("as many"))
}

/// Long before today.
fn long_ago() -> Timestamp {
    Timestamp::from_millis(1_600_000_000_000)
}

/// A wall clock that has been far ahead of what ended long ago since it was started.
struct Leapt(tokio::time::Instant);

impl Leapt {
    fn start() -> Arc<dyn Clock> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for Leapt {
    fn wall(&self) -> Timestamp {
        const LEAP: Duration = Duration::from_secs(400 * 86_400);
        long_ago().plus(LEAP + self.0.elapsed())
    }

    fn now(&self) -> Moment {
        Moment::from_start(self.0.elapsed())
    }
}

#[actix_rt::test]
async fn once_forgets_what_ended_long_ago() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (store, [old, new]) = opened_with(&settings, [long_ago(), clock.wall()]).await;
    let prepared = build::prepare(&settings, &store, &clock, Rc::new(escalate)).expect("made");

    let work = once::work(&settings, &store, prepared, start_idle, async {});
    work.await.expect("a report");

    assert!(store.task(old).await.expect("a read").is_none());
    assert!(store.task(new).await.expect("a read").is_some());
    close_store(&store).await;
}

#[actix_rt::test]
async fn once_forgets_nothing_by_a_date_that_nothing_yet_was_minted_near() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let (store, [newest]) = opened_with(&settings, [long_ago()]).await;
    let clock = Leapt::start();
    let prepared = build::prepare(&settings, &store, &clock, Rc::new(escalate)).expect("made");

    let work = once::work(&settings, &store, prepared, start_idle, async {});
    work.await.expect("a report");

    assert!(store.task(newest).await.expect("a read").is_some());
    close_store(&store).await;
}

#[actix_rt::test]
async fn a_service_that_is_often_restarted_forgets_what_ended_long_ago() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (store, [old, new]) = opened_with(&settings, [long_ago(), clock.wall()]).await;
    tokio::time::pause();

    let forgetting = prune::prune_every(store.clone(), clock, settings.store.keep);
    let cut = timeout(Duration::from_secs(60), forgetting).await;

    assert!(cut.is_err(), "it goes on as long as the service does");
    // The time does not wait for the thread that writes.
    store.barrier().await.expect("written");
    assert!(store.task(old).await.expect("a read").is_none());
    assert!(store.task(new).await.expect("a read").is_some());
    close_store(&store).await;
}

#[actix_rt::test]
async fn a_service_forgets_nothing_by_a_wrong_date_until_that_has_stayed_for_a_while() {
    let home = Home::new();
    let settings = load(&home.options).expect("valid");
    let (store, [newest]) = opened_with(&settings, [long_ago()]).await;
    tokio::time::pause();
    let clock = Leapt::start();
    let mut forgetting = pin!(prune::prune_every(
        store.clone(),
        clock,
        settings.store.keep
    ));

    for (minutes, is_kept) in [(14, true), (20, false)] {
        let cut = timeout(Duration::from_secs(minutes * 60), &mut forgetting).await;

        assert!(cut.is_err(), "it goes on as long as the service does");
        store.barrier().await.expect("written");
        let found = store.task(newest).await.expect("a read");
        assert_eq!(found.is_some(), is_kept, "{minutes}");
    }
    close_store(&store).await;
}

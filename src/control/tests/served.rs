//! A served control that stands on fakes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Moment, PublicationState, RequestId, State, TaskId, Timestamp};
use babelfeed_actors::messages::{Event, Events};
use tokio::sync::mpsc;

use super::client::{Answer, call, raw};
use super::fakes::{Still, handles};
use super::memory::{Shared, publication};
use crate::control::server::serve_with;
use crate::control::{BearerToken, Command, Control, Listen, OutletRoute, Running};
use crate::telemetry::process::Process;

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
    let (commands, mut given) = mpsc::channel(4);
    let (others, orders) = mpsc::channel(4);
    actix_rt::spawn(async move {
        while let Some(command) = given.recv().await {
            match command {
                // Whoever asked may have gone.
                Command::KeepPauses(reply) => drop(reply.send(Ok(()))),
                other => drop(others.send(other).await),
            }
        }
    });
    let control = Control {
        handles: handles(&memory, events.clone()),
        outlets: vec![OutletRoute {
            language: "es".parse().expect("a tag"),
            from: None,
        }],
        lanes: [("groq", "groq"), ("twin", "groq"), ("other", "other")]
            .map(|(provider, lane)| (provider.into(), lane.into()))
            .into(),
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

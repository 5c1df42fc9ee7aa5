//! What the fake actors know.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use babelfeed_actors::domain::{
    IdMint, Language, Origin, Part, Publication, PublicationState, Request, RequestId, Task,
    TaskId, Timestamp, Translation, Usage,
};
use babelfeed_actors::logic::lifecycle::{Lifecycle, Step};
use babelfeed_actors::messages::{Submission, TaskView, UnknownName};
use babelfeed_actors::ports::{Admitted, Ended, Errand, Outcome, PublicationRecord, TaskRecord};

/// What the fake actors know, and what tests may look at and change.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) requests: HashMap<RequestId, Vec<TaskView>>,
    pub(super) keys: HashMap<Arc<str>, (RequestId, Arc<str>)>,
    pub(super) batches: Vec<usize>,
    pub(super) orders: Vec<String>,
    pub(super) paused: HashSet<String>,
    /// Happens while the next order is carried out.
    pub(super) meanwhile: Option<Box<dyn FnOnce() + Send>>,
    pub(super) is_full: bool,
    pub(super) is_draining: bool,
    mint: IdMint,
}

pub(super) type Shared = Arc<Mutex<Memory>>;

impl Memory {
    pub(super) fn admit(&mut self, submission: Submission) -> Admitted {
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

    pub(super) fn task(&mut self, id: TaskId) -> Option<&mut TaskView> {
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

    pub(super) fn name(
        &mut self,
        order: &str,
        known: &str,
        name: Option<String>,
    ) -> Result<(), UnknownName> {
        if let Some(happen) = self.meanwhile.take() {
            happen();
        }
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

fn view(request: &Arc<Request>, number: u8, target: Language) -> TaskView {
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

pub(super) fn translation(text: &str) -> Translation {
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
            parts: vec![Part::new("hola")],
            attached: None,
            thread: None,
            revises: None,
            place: None,
            created_at: Timestamp::from_millis(0),
        }),
        state,
        token: 0,
        attempts: 0,
        frozen: None,
        errand: Errand::Publish,
        is_decided: false,
        at: Timestamp::from_millis(0),
        why: None,
    }
}

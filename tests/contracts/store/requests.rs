//! What the contract of the store hands in.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{
    Attached, Class, FailureKind, IdMint, Language, Media, Origin, Part, Poll, ProviderName,
    Publication, Request, State, TaskId, Thread, Timestamp, Translation, Usage,
};
use babelfeed_actors::logic::lifecycle::{Lifecycle, Step};
use babelfeed_actors::ports::{
    Admission, Admitted, Bucket, Ended, Kept, NewRequest, TaskChange, TaskRecord, TaskStore, Token,
};

/// 2026-11-21.
pub(super) const START: i64 = 1_795_262_700_000;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

pub(super) fn language(tag: &str) -> Language {
    tag.parse().expect("a language")
}

/// A request of a client; its text is its body.
pub(super) fn request(mint: &mut IdMint, key: Option<&str>, targets: &[&str]) -> NewRequest {
    let id = mint.next(at(0), 7);
    let request = Request {
        id,
        origin: Origin::Client {
            key: key.map(Arc::from),
        },
        text: "Good morning".into(),
        source: Some(language("en")),
        flow: "requests".into(),
        class: Class::Normal,
        context: None,
        url: None,
        author: None,
        attached: None,
        revises: None,
        accepted_at: at(0),
        deadline: None,
    };
    NewRequest {
        request: Arc::new(request),
        targets: targets.iter().map(|tag| language(tag)).collect(),
        publish: false,
        revised: Vec::new(),
        fingerprint: [1; 16],
    }
}

/// All that can hang on a text.
fn attached() -> Attached {
    let media = |alt: Option<&str>| Media {
        url: "https://example.org/boat.png".to_owned(),
        mime: alt.map(|_| "image/png".to_owned()),
        alt: alt.map(str::to_owned),
    };
    Attached {
        warning: Some("Loud".into()),
        is_sensitive: true,
        media: vec![media(Some("A boat")), media(None)],
        poll: Some(Poll {
            options: vec!["Yes".to_owned(), "No".to_owned()],
            is_multiple: true,
            lasts: Some(Duration::from_secs(86_400)),
        }),
        parent: Some("https://example.org/0".into()),
        quoted: Some("https://example.org/q".into()),
        quoted_post: Some("q".into()),
        quoted_as: Some("42".into()),
    }
}

/// A post of a source.
pub(super) fn post(mint: &mut IdMint, post: &str, targets: &[&str]) -> NewRequest {
    let mut new = request(mint, None, targets);
    let request = Arc::make_mut(&mut new.request);
    request.origin = Origin::Post {
        source: "news".into(),
        post: post.into(),
    };
    request.flow = "news".into();
    request.attached = Some(Arc::new(attached()));
    request.author = Some("@ann@example.org".into());
    new.publish = true;
    new
}

pub(super) fn bucket(new: &NewRequest, target: &str) -> Bucket {
    Bucket {
        class: new.request.class,
        flow: new.request.flow.clone(),
        pair: babelfeed_actors::domain::Pair {
            source: new.request.source.clone(),
            target: language(target),
        },
    }
}

pub(super) async fn admit(store: &impl TaskStore, requests: Vec<NewRequest>) -> Vec<Admitted> {
    let admission = Admission {
        requests,
        ..Admission::default()
    };
    store.admit(admission).await.expect("an admission")
}

/// Takes one request of one target in and answers its task.
pub(super) async fn queued_task(store: &impl TaskStore) -> TaskId {
    let new = request(&mut IdMint::default(), None, &["es"]);
    admit(store, vec![new]).await[0].tasks[0].0
}

/// What the store says of a task.
pub(super) async fn task(store: &impl TaskStore, id: TaskId) -> TaskRecord {
    store.task(id).await.expect("a read").expect("the task")
}

/// A change of a task that the store knows, by these steps.
pub(super) fn change(record: &TaskRecord, token: Token, steps: &[Step]) -> TaskChange {
    let mut lifecycle = record.lifecycle.clone();
    for (millis, step) in (1..).zip(steps) {
        let at = lifecycle
            .since()
            .plus(std::time::Duration::from_millis(millis));
        lifecycle.step(step.clone(), at).expect("an edge");
    }
    TaskChange {
        id: record.task.id,
        held: record.token,
        token,
        deaths: record.deaths,
        ended: ended(&lifecycle),
        lifecycle,
        publications: Vec::new(),
    }
}

pub(super) async fn record(store: &impl TaskStore, change: TaskChange) -> Kept {
    store.record(Arc::new([change])).await.expect("a write")[0]
}

/// Makes the steps with a task and expects them to be kept.
pub(super) async fn step(store: &impl TaskStore, id: TaskId, steps: &[Step]) {
    let change = change(&task(store, id).await, store.token(), steps);
    assert_eq!(record(store, change).await, Kept::Yes);
}

pub(super) fn translation() -> Translation {
    Translation {
        text: "Buenos días ☀".into(),
        provider: ProviderName::from("groq"),
        model: "llama".into(),
        cached: false,
        usage: Usage {
            tokens_in: 12,
            tokens_out: 14,
            cost_usd: 0.000_123,
        },
    }
}

pub(super) fn publication(id: TaskId, number: u8, outlet: &str) -> Arc<Publication> {
    Arc::new(Publication {
        id: id.publication(number),
        outlet: outlet.into(),
        source: "news".into(),
        post: "https://example.org/1".into(),
        language: language("es"),
        url: Some("https://example.org/1".into()),
        parts: vec![Part::new("Buenos"), Part::new("días")],
        attached: number.is_multiple_of(2).then(|| Arc::new(attached())),
        thread: number.is_multiple_of(2).then(|| Thread {
            root: "1".into(),
            parent: "2".into(),
        }),
        revises: None,
        place: (number > 1).then_some(u64::MAX - 7),
        created_at: at(5),
    })
}

fn ended(lifecycle: &Lifecycle) -> Option<Ended> {
    match lifecycle.state() {
        State::Completed => Some(Ended::Completed(translation())),
        State::Failed => Some(Ended::Failed(babelfeed_actors::domain::Failure {
            kind: FailureKind::Rejected,
            detail: "no".into(),
        })),
        _ => None,
    }
}

//! What the tests of the system share: handing texts in, and looking at what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use babelfeed_actors::domain::{OutletName, Post, PublicationState, State, TaskId, Translation};
use babelfeed_actors::messages::{
    Adjust, Adjustment, Backlog, Depth, List, PauseOutlet, PollNow, ResumeOutlet, Submission,
};
use babelfeed_actors::ports::{Ended, PublicationRecord, TaskRecord};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::source::FakeSource;
pub(crate) use babelfeed_actors::testkit::world::pass;
use babelfeed_actors::testkit::world::{find, submission, submit, until};

/// So many different texts.
pub(crate) fn texts(n: usize) -> impl Iterator<Item = String> {
    (0..n).map(|n| format!("A text that has the number {n}."))
}

/// Hands texts in for one language, and returns their tasks.
pub(crate) async fn hand_in(
    handles: &Handles,
    texts: impl IntoIterator<Item = String>,
    target: &str,
) -> Vec<TaskId> {
    let texts = texts.into_iter();
    hand_in_all(
        handles,
        texts.map(|text| submission(&text, target)).collect(),
    )
    .await
}

/// Hands texts in for one language whose translations are published.
pub(crate) async fn publish(
    handles: &Handles,
    texts: impl IntoIterator<Item = String>,
    target: &str,
) -> Vec<TaskId> {
    let published = texts.into_iter().map(|text| Submission {
        publish: true,
        ..submission(&text, target)
    });
    hand_in_all(handles, published.collect()).await
}

/// Hands submissions in, and returns their tasks.
pub(crate) async fn hand_in_all(handles: &Handles, submissions: Vec<Submission>) -> Vec<TaskId> {
    let admitted = submit(handles, submissions).await.expect("there is room");
    admitted
        .into_iter()
        .flat_map(|admitted| admitted.tasks)
        .map(|(id, ..)| id)
        .collect()
}

/// The translation of a task that is Completed.
pub(crate) async fn translation(handles: &Handles, id: TaskId) -> Translation {
    let record = find(handles, id).await.record;
    match record.ended {
        Some(Ended::Completed(translation)) => translation,
        other => panic!("no translation: {other:?}"),
    }
}

/// The state of a task, with the kind of its failure.
pub(crate) async fn ending(handles: &Handles, id: TaskId) -> String {
    let record = find(handles, id).await.record;
    match &record.ended {
        Some(Ended::Failed(failure)) => failure.kind.name().to_owned(),
        _ => record.lifecycle.state().name().to_owned(),
    }
}

/// How much there is to do.
pub(crate) async fn depth(handles: &Handles) -> Backlog {
    let depth = handles.depth.send(Depth).await;
    depth.expect("heard").expect("read")
}

/// Lets virtual time pass until nothing is left to be translated or published, looking every
/// second.
pub(crate) async fn settle(handles: &Handles) {
    for _ in 0..86_400 {
        let depth = handles.depth.send(Depth).await.expect("heard");
        let is_done = depth.is_ok_and(|depth| {
            let unfinished = depth.queued + depth.processing + depth.rate_limited;
            unfinished + depth.publishing + depth.unknown == 0
        });
        if is_done {
            return;
        }
        pass(Duration::from_secs(1)).await;
    }
    panic!("not within a day: nothing is left to be done");
}

/// Shows a post of `news`, which may answer another.
pub(crate) fn show_answer(source: &FakeSource, id: &str, parent: Option<&str>, text: &str) {
    source.show_post(Post {
        parent: parent.map(str::to_owned),
        ..Post::new("news".into(), id, text)
    });
}

/// Has every source polled, and waits for the answer.
pub(crate) async fn poll(handles: &Handles) {
    let polled = handles.poll_now.send(PollNow(None)).await;
    polled.expect("heard").expect("known");
}

/// Has every source polled, and lets time pass until all of it is seen to.
pub(crate) async fn poll_and_settle(handles: &Handles) {
    poll(handles).await;
    settle(handles).await;
}

/// Has an outlet, or each of them, send nothing until it is resumed.
pub(crate) async fn pause_outlets(handles: &Handles, which: Option<OutletName>) {
    let paused = handles.pause_outlet.send(PauseOutlet(which)).await;
    paused.expect("heard").expect("known");
}

/// Has an outlet, or each of them, send again.
pub(crate) async fn resume_outlets(handles: &Handles, which: Option<OutletName>) {
    let resumed = handles.resume_outlet.send(ResumeOutlet(which)).await;
    resumed.expect("heard").expect("known");
}

/// Lets a lane grant again.
pub(crate) async fn resume_lane(handles: &Handles, lane: &str) {
    let resume = Adjust {
        lane: Some(lane.into()),
        adjustment: Adjustment::Resume,
    };
    let resumed = handles.adjust.send(resume).await;
    resumed.expect("heard").expect("known");
}

/// Every publication of what is completed, in the order of their tasks.
pub(crate) async fn publications(handles: &Handles) -> Vec<PublicationRecord> {
    let list = List {
        state: Some(State::Completed),
        after: None,
        limit: 100,
    };
    let listed = handles.list.send(list).await.expect("heard").expect("read");
    let views = listed.tasks.into_iter();
    views.flat_map(|view| view.publications).collect()
}

/// The only publication of a task.
pub(crate) async fn publication(handles: &Handles, id: TaskId) -> PublicationRecord {
    let mut publications = find(handles, id).await.publications;
    assert_eq!(publications.len(), 1, "{publications:?}");
    publications.remove(0)
}

/// Waits until the only publication of a task is in a state.
pub(crate) async fn until_publication(handles: &Handles, id: TaskId, state: PublicationState) {
    until(state.name(), async || {
        let publications = find(handles, id).await.publications;
        publications
            .first()
            .is_some_and(|first| first.state == state)
    })
    .await;
}

/// Asserts that these texts are out, each once, and nothing else.
pub(crate) fn assert_out_once(outlet: &FakeOutlet, expected: impl IntoIterator<Item = String>) {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for text in outlet.texts() {
        *counts.entry(text).or_default() += 1;
    }
    for text in expected {
        *counts.entry(text).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    assert!(counts.is_empty(), "out too often or not at all: {counts:?}");
    assert_eq!(outlet.n_doubles(), 0);
}

/// Asserts that a history goes along the edges of the table of states.
pub(crate) fn assert_legal(record: &TaskRecord) {
    const TABLE: &str = "Submitted>Queued Queued>Processing Processing>RateLimited \
        RateLimited>Processing Processing>Completed Processing>Failed Submitted>Failed \
        Queued>Failed RateLimited>Failed Processing>Queued RateLimited>Queued Failed>Queued";
    let states: Vec<State> = record
        .lifecycle
        .history()
        .iter()
        .map(|entry| entry.state)
        .collect();
    assert_eq!(states.first(), Some(&State::Submitted));
    // From 50 entries on there is a gap behind the fifth.
    let has_gap = states.len() >= 50;
    for (at, edge) in states.windows(2).enumerate() {
        let edge = format!("{}>{}", edge[0], edge[1]);
        let is_legal = TABLE.split_whitespace().any(|legal| legal == edge);
        assert!(is_legal || (has_gap && at == 4), "{edge} in {states:?}");
    }
}

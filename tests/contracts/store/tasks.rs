//! What every store must do with tasks.

use std::sync::Arc;

use babelfeed_actors::domain::{FailureKind, IdMint, State, TaskId};
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{
    Ended, Kept, Outcome, Portion, Position, TaskChange, TaskRecord, TaskStore as _,
};

use super::Kind;
use super::publications::planned;
use super::requests::{
    admit, at, bucket, change, language, post, queued_task, record, request, step, task,
};

pub(super) async fn a_task_is_read_back_as_it_was_recorded<K: Kind>() {
    let mut kind = K::new();
    let mut new = post(&mut IdMint::default(), "1", &["pt-BR", "es"]);
    let full = Arc::make_mut(&mut new.request);
    full.context = Some("a thread".into());
    full.url = Some("https://example.org/1".into());
    full.deadline = Some(at(9_000));
    full.source = None;
    full.text = "ñ".repeat(3_000).into();
    let id = new.request.id.task(1);
    admit(kind.store(), vec![new.clone()]).await;
    let steps = [
        Step::Call,
        Step::Bounce { until: at(50) },
        Step::Recover { refund: false },
        Step::Call,
        Step::Again {
            why: "the item was missing".into(),
            refund: true,
        },
        Step::Pass,
        Step::Complete,
    ];
    let token = kind.store().token();
    let mut wanted = change(&task(kind.store(), id).await, token, &steps);
    wanted.deaths = 2;
    assert_eq!(record(kind.store(), wanted.clone()).await, Kept::Yes);
    let failed = new.request.id.task(2);
    step(kind.store(), failed, &[Step::Fail(FailureKind::Rejected)]).await;

    kind.restart();

    let read = task(kind.store(), id).await;
    assert_eq!(read.task.request, new.request);
    assert_eq!(read.task.target, language("pt-BR"));
    assert_eq!(read.lifecycle, wanted.lifecycle);
    assert_eq!(read.ended, wanted.ended);
    assert_eq!((read.token, read.deaths, read.publish), (token, 2, true));
    let failed = task(kind.store(), failed).await;
    let Some(Ended::Failed(failure)) = failed.ended else {
        panic!("the task failed");
    };
    assert_eq!(failure.to_string(), "rejected: no");
}

pub(super) async fn a_ghost_changes_nothing<K: Kind>() {
    let kind = K::new();
    let id = queued_task(kind.store()).await;
    let queued = task(kind.store(), id).await;
    let stale = change(&queued, kind.store().token(), &[Step::Call]);
    step(kind.store(), id, &[Step::Call]).await;
    let claimed = task(kind.store(), id).await;

    assert_eq!(record(kind.store(), stale).await, Kept::Ghost);

    assert_eq!(task(kind.store(), id).await, claimed);
    let late = change(&claimed, claimed.token, &[Step::Complete]);
    step(kind.store(), id, &[Step::Fail(FailureKind::Cancelled)]).await;
    assert_eq!(record(kind.store(), late.clone()).await, Kept::Ghost);
    let mut same_token = late;
    same_token.held = task(kind.store(), id).await.token;
    assert_eq!(record(kind.store(), same_token).await, Kept::Ghost);
    let mut unknown = stale_of(&claimed);
    unknown.id = TaskId::from_bytes([9; 16]);
    assert_eq!(record(kind.store(), unknown).await, Kept::Ghost);
}

fn stale_of(record: &TaskRecord) -> TaskChange {
    change(record, record.token, &[Step::Complete])
}

pub(super) async fn a_claim_and_its_end_can_be_written_without_waiting_between<K: Kind>() {
    let kind = K::new();
    let store = kind.store();
    let id = queued_task(store).await;
    let queued = task(store, id).await;
    let claim = change(&queued, store.token(), &[Step::Call]);
    let mut end = change(&queued, store.token(), &[Step::Call, Step::Complete]);
    end.held = claim.token;
    let ghost = claim.clone();
    let mut late = claim.clone();
    late.held = end.token;

    let writes = [
        store.record(Arc::new([claim])),
        store.record(Arc::new([end, ghost])),
        store.record(Arc::new([late])),
    ];

    let [claimed, ended, late] = writes;
    assert_eq!(claimed.await, Ok(vec![Kept::Yes]));
    assert_eq!(ended.await, Ok(vec![Kept::Yes, Kept::Ghost]));
    assert_eq!(late.await, Ok(vec![Kept::Ghost]));
    assert_eq!(task(store, id).await.lifecycle.state(), State::Completed);
    let tally = store.tally().await.expect("a tally");
    assert_eq!((tally.queued, tally.processing, tally.completed), (0, 0, 1));
}

pub(super) async fn only_a_retry_opens_a_failed_task<K: Kind>() {
    let kind = K::new();
    let id = queued_task(kind.store()).await;
    let queued = task(kind.store(), id).await;
    step(kind.store(), id, &[Step::Fail(FailureKind::Rejected)]).await;
    let failed = task(kind.store(), id).await;
    let mut again = change(&queued, 0, &[Step::Call, Step::Recover { refund: true }]);
    again.held = failed.token;
    assert_eq!(record(kind.store(), again).await, Kept::Ghost);

    let retry = change(&failed, kind.store().token(), &[Step::Retry]);
    let outcomes = [
        record(kind.store(), retry.clone()).await,
        record(kind.store(), retry).await,
    ];

    assert_eq!(outcomes, [Kept::Yes, Kept::Ghost]);
    let tally = kind.store().tally().await.expect("a tally");
    assert_eq!((tally.queued, tally.failed), (1, 0));
}

pub(super) async fn the_earliest_deadline_comes_first_then_the_oldest<K: Kind>() {
    let kind = K::new();
    let mut mint = IdMint::default();
    let deadlines = [None, Some(900), Some(100), None, Some(900)];
    let requests: Vec<_> = deadlines
        .iter()
        .map(|deadline| {
            let mut new = request(&mut mint, None, &["es"]);
            Arc::make_mut(&mut new.request).deadline = deadline.map(at);
            new
        })
        .collect();
    let tasks: Vec<TaskId> = requests.iter().map(|new| new.request.id.task(1)).collect();
    let bucket = bucket(&requests[0], "es");
    admit(kind.store(), requests).await;

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let ready = kind
            .store()
            .ready(bucket.clone(), after, Portion::of_tasks(2))
            .await;
        let ready = ready.expect("a read");
        let Some(last) = ready.last() else { break };
        after = Some(Position::new(last.task.request.deadline, last.task.id));
        found.extend(ready.iter().map(|record| record.task.id));
    }

    assert_eq!(found, [2, 1, 4, 0, 3].map(|index| tasks[index]));
    let size = task(kind.store(), tasks[0]).await.task.request.size();
    for (bytes, n_read) in [(1, 1), (size, 1), (size + 1, 2), (100 * size, 5)] {
        let limit = Portion { tasks: 9, bytes };
        let ready = kind.store().ready(bucket.clone(), None, limit).await;
        assert_eq!(ready.expect("a read").len(), n_read, "{bytes} bytes");
    }
}

pub(super) async fn lists_go_on_where_they_were_left<K: Kind>() {
    let kind = K::new();
    let mut mint = IdMint::default();
    let requests = (0..6).map(|_| request(&mut mint, None, &["es"])).collect();
    let admitted = admit(kind.store(), requests).await;
    let ids: Vec<TaskId> = admitted.iter().map(|one| one.tasks[0].0).collect();
    for id in &ids[..4] {
        step(kind.store(), *id, &[Step::Call]).await;
    }
    step(kind.store(), ids[1], &[Step::Complete]).await;
    step(kind.store(), ids[2], &[Step::Fail(FailureKind::Invalid)]).await;

    let list = async |state, after, limit| {
        let tasks = kind.store().tasks(state, after, limit).await;
        let tasks = tasks.expect("a read").into_iter();
        tasks.map(|record| record.task.id).collect::<Vec<_>>()
    };

    assert_eq!(list(None, Some(ids[0]), 3).await, ids[1..4]);
    assert_eq!(list(Some(State::Queued), None, 9).await, ids[4..]);
    assert_eq!(list(Some(State::Queued), Some(ids[4]), 9).await, ids[5..]);
    assert_eq!(list(Some(State::Completed), None, 9).await, [ids[1]]);
    assert_eq!(list(Some(State::Failed), None, 9).await, [ids[2]]);
    assert!(list(Some(State::Submitted), None, 9).await.is_empty());
    let claimed = kind.store().claimed(Some(ids[0]), 9).await;
    let claimed = claimed.expect("a read").into_iter();
    let claimed: Vec<TaskId> = claimed.map(|record| record.task.id).collect();
    assert_eq!(claimed, [ids[3]]);
}

pub(super) async fn pruning_keeps_identities_and_what_is_open<K: Kind>() {
    let kind = K::new();
    let store = kind.store();
    let open = planned(&kind).await.publication.id.task();
    let mut mint = IdMint::default();
    mint.next(at(1), 0);
    let new = request(&mut mint, Some("k"), &["es", "fr"]);
    let id = new.request.id;
    admit(store, vec![new.clone()]).await;
    step(store, id.task(1), &[Step::Pass, Step::Complete]).await;

    assert_eq!(kind.prune(at(0), 9).await, Ok(0));
    assert_eq!(kind.prune(at(60_000), 9).await, Ok(1));

    let left = store.tasks(None, None, 9).await.expect("a read");
    let left: Vec<TaskId> = left.iter().map(|record| record.task.id).collect();
    assert_eq!(left, [open, id.task(2)]);
    step(store, id.task(2), &[Step::Fail(FailureKind::Cancelled)]).await;
    assert_eq!(kind.prune(at(60_000), 9).await, Ok(1));
    let again = admit(store, vec![new]).await;
    assert_eq!((again[0].outcome, again[0].id), (Outcome::Same, id));
    let tally = store.tally().await.expect("a tally");
    assert_eq!((tally.completed, tally.failed), (2, 1));
}

pub(super) async fn several_tasks_are_found_by_one_question<K: Kind>() {
    let kind = K::new();
    let mut mint = IdMint::default();
    let posts: Vec<_> = ["1", "2"]
        .iter()
        .map(|id| post(&mut mint, id, &["es", "ca"]))
        .collect();
    let unknown = post(&mut mint, "3", &["es"]).request.id.task(1);
    admit(kind.store(), posts.clone()).await;
    let wanted = [posts[1].request.id.task(2), posts[0].request.id.task(1)];
    let asked = vec![wanted[0], unknown, wanted[1]];
    let found = kind.store().tasks_with(asked).await.expect("a read");
    let ids: Vec<TaskId> = found.iter().map(|it| it.task.id).collect();
    assert_eq!(ids, wanted);
}

pub(super) async fn an_edit_of_what_was_forgotten_is_nothing_new<K: Kind>() {
    let mut kind = K::new();
    let mut mint = IdMint::default();
    let mut shown = |print: u8| {
        let mut new = post(&mut mint, "1", &["es"]);
        new.fingerprint = [print; 16];
        new.revised = vec![language("es")];
        new
    };
    let (first, second) = (shown(1), shown(2));
    let edits = [shown(3), shown(3), shown(1)];
    let id = second.request.id;
    admit(kind.store(), vec![first.clone(), second]).await;
    for task in [first.request.id.task(1), id.task(1)] {
        step(kind.store(), task, &[Step::Pass, Step::Complete]).await;
    }
    assert_eq!(kind.prune(at(60_000), 9).await, Ok(2));
    for edit in edits {
        let admitted = admit(kind.store(), vec![edit]).await;
        assert_eq!((admitted[0].outcome, admitted[0].id), (Outcome::Same, id));
        assert_eq!((admitted[0].revises, admitted[0].tasks.len()), (None, 0));
        kind.crash();
    }
    let left = kind.store().tasks(None, None, 9).await.expect("a read");
    assert_eq!(left, []);
}

pub(super) async fn an_edit_reaches_the_languages_that_its_post_was_taken_in<K: Kind>() {
    let kind = K::new();
    let mut mint = IdMint::default();
    let mut shown = |print: u8, revised: &[&str]| {
        let mut new = post(&mut mint, "1", &["es", "fr"]);
        new.fingerprint = [print; 16];
        new.revised = revised.iter().map(|tag| language(tag)).collect();
        new
    };
    let shown = vec![
        shown(1, &[]),
        shown(2, &["ca"]),
        shown(3, &["fr", "ca"]),
        shown(4, &["es", "ca"]),
    ];
    let ids: Vec<_> = shown.iter().map(|new| new.request.id).collect();

    let admitted = admit(kind.store(), shown).await;

    let outcomes: Vec<Outcome> = admitted.iter().map(|one| one.outcome).collect();
    let expected = [
        Outcome::New,
        Outcome::Same,
        Outcome::Edited,
        Outcome::Edited,
    ];
    assert_eq!(outcomes, expected);
    let french = [(ids[2].task(1), language("fr"), State::Queued)];
    assert_eq!(admitted[2].tasks, french);
    // It revises what was only made in French, which revises what was made in Spanish too.
    let spanish = [(ids[3].task(1), language("es"), State::Queued)];
    assert_eq!(admitted[3].tasks, spanish);
}

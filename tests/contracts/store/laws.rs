//! What every store must do, one law a function.

use std::sync::Arc;

use babelfeed_actors::domain::{
    Correction, FailureKind, IdMint, Pair, PublicationId, PublicationState, State, TaskId, Unit,
};
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{
    Admission, Cursor, Errand, Fate, Kept, Known, Outcome, Position, PublicationChange,
    PublicationRecord, Published, QuotaEntry, QuotaLedger as _, Tally, TaskStore as _,
    TranslationMemory as _,
};

use super::Kind;
pub(super) use super::jobs::a_job_and_the_claims_of_its_tasks_are_one_commit;
use super::requests::{
    admit, at, bucket, change, language, post, publication, queued_task, record, request, step,
    task, translation,
};

pub(super) async fn a_request_is_queued_in_each_target<K: Kind>() {
    let kind = K::new();
    let new = request(&mut IdMint::default(), None, &["es", "fr"]);
    let id = new.request.id;

    let admitted = admit(kind.store(), vec![new.clone()]).await;

    let expected = [
        (id.task(1), language("es"), State::Queued),
        (id.task(2), language("fr"), State::Queued),
    ];
    assert_eq!(admitted[0].outcome, Outcome::New);
    assert_eq!(admitted[0].tasks, expected);
    let records = kind.store().request(id).await.expect("a read");
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].task.target, language("fr"));
    assert_eq!(records[1].task.request, new.request);
    let history = records[1].lifecycle.history().iter();
    let states: Vec<State> = history.map(|entry| entry.state).collect();
    assert_eq!(states, [State::Submitted, State::Queued]);
    let buckets = kind.store().buckets().await.expect("a read");
    assert_eq!(buckets, [bucket(&new, "es"), bucket(&new, "fr")]);
}

pub(super) async fn the_same_post_is_taken_in_once<K: Kind>() {
    let mut kind = K::new();
    let mut mint = IdMint::default();
    let first = post(&mut mint, "1", &["es"]);
    let again = post(&mut mint, "1", &["es"]);
    let admitted = admit(kind.store(), vec![first.clone(), again]).await;
    assert_eq!(admitted[1].outcome, Outcome::Same);
    step(kind.store(), first.request.id.task(1), &[Step::Call]).await;
    kind.restart();

    let changed = post(&mut mint, "1", &["es", "fr"]);
    let admitted = admit(kind.store(), vec![changed]).await;

    let expected = [(first.request.id.task(1), language("es"), State::Processing)];
    assert_eq!(admitted[0].outcome, Outcome::Same);
    assert_eq!(admitted[0].id, first.request.id);
    assert_eq!(admitted[0].tasks, expected);
    let tasks = kind.store().tasks(None, None, 9).await.expect("a read");
    assert_eq!(tasks.len(), 1);
}

pub(super) async fn a_key_with_another_body_conflicts_and_changes_nothing<K: Kind>() {
    let kind = K::new();
    let mut mint = IdMint::default();
    let first = request(&mut mint, Some("a"), &["es"]);
    let id = first.request.id;
    admit(kind.store(), vec![first]).await;
    let same = request(&mut mint, Some("a"), &["es"]);
    let mut other = request(&mut mint, Some("a"), &["fr"]);
    other.fingerprint = [2; 16];
    let unrelated = request(&mut mint, Some("b"), &["es"]);

    let admitted = admit(kind.store(), vec![same, other, unrelated]).await;

    let outcomes: Vec<Outcome> = admitted.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Same, Outcome::Conflict, Outcome::New]);
    assert_eq!((admitted[0].id, admitted[1].id), (id, id));
    let tally = kind.store().tally().await.expect("a tally");
    assert_eq!(tally.queued, 2);
}

pub(super) async fn a_post_that_counts_as_seen_makes_nothing<K: Kind>() {
    let kind = K::new();
    let seen = Admission {
        seen: vec![("news".into(), "1".into())],
        ..Admission::default()
    };
    kind.store().admit(seen).await.expect("an admission");
    let mut mint = IdMint::default();

    let shown = vec![post(&mut mint, "1", &["es"]), post(&mut mint, "2", &["es"])];
    let admitted = admit(kind.store(), shown).await;

    assert_eq!(admitted[0].outcome, Outcome::Same);
    assert!(admitted[0].tasks.is_empty());
    assert_eq!(admitted[1].outcome, Outcome::New);
}

pub(super) async fn a_post_is_found_by_what_its_source_calls_it<K: Kind>() {
    let mut kind = K::new();
    let mut mint = IdMint::default();
    let taken = post(&mut mint, "taken", &["es"]);
    let seen = Admission {
        requests: vec![taken.clone()],
        seen: vec![("news".into(), "seen".into())],
        ..Admission::default()
    };
    kind.store().admit(seen).await.expect("an admission");
    kind.crash();
    let found = async |source: &str, post: &str| {
        let found = kind.store().request_of_post(source.into(), post.into());
        found.await.expect("a read")
    };
    assert_eq!(found("news", "taken").await, Some(taken.request.id));
    assert_eq!(found("news", "seen").await, None);
    assert_eq!(found("other", "taken").await, None);
}

pub(super) async fn an_edited_post_is_a_request_of_its_own<K: Kind>() {
    let mut kind = K::new();
    let mut mint = IdMint::default();
    let mut shown = |print: u8, revised: &[&str]| {
        let mut new = post(&mut mint, "1", &["es", "fr"]);
        new.fingerprint = [print; 16];
        new.revised = revised.iter().map(|tag| language(tag)).collect();
        new
    };
    let first = shown(1, &[]);
    let (same, unwanted, edited) = (shown(1, &["fr"]), shown(2, &[]), shown(2, &["fr"]));
    let again = shown(2, &["fr"]);
    let back = shown(1, &["fr"]);

    let admitted = admit(
        kind.store(),
        vec![
            first.clone(),
            same,
            unwanted,
            edited.clone(),
            again,
            back.clone(),
        ],
    )
    .await;

    let outcomes: Vec<Outcome> = admitted.iter().map(|one| one.outcome).collect();
    let expected = [
        Outcome::New,
        Outcome::Same,
        Outcome::Same,
        Outcome::Edited,
        Outcome::Same,
        Outcome::Edited,
    ];
    assert_eq!(outcomes, expected);
    let (first, edited, back) = (first.request.id, edited.request.id, back.request.id);
    assert_eq!((admitted[3].id, admitted[3].revises), (edited, Some(first)));
    assert_eq!((admitted[4].id, admitted[4].revises), (edited, None));
    assert_eq!((admitted[5].id, admitted[5].revises), (back, Some(edited)));
    let tasks = [(edited.task(1), language("fr"), State::Queued)];
    assert_eq!(admitted[3].tasks, tasks);
    kind.crash();
    let found = task(kind.store(), edited.task(1)).await;
    assert_eq!(found.task.request.revises, Some(first));
    let latest = kind.store().request_of_post("news".into(), "1".into());
    assert_eq!(latest.await, Ok(Some(back)));
    let mut old = post(&mut mint, "2", &["es"]);
    old.fingerprint = [0; 16];
    admit(kind.store(), vec![old.clone()]).await;
    old.fingerprint = [3; 16];
    old.revised = vec![language("es")];
    let admitted = admit(kind.store(), vec![old]).await;
    assert_eq!(
        admitted[0].outcome,
        Outcome::Same,
        "nobody knows what it was"
    );
}

pub(super) async fn corrections_are_kept_once_and_outlive_a_crash<K: Kind>() {
    let mut kind = K::new();
    let correction = |source: Option<&str>, new: &str| Correction {
        pair: Pair {
            source: source.map(language),
            target: language("es"),
        },
        old: "ordenador".into(),
        new: new.into(),
        text: "The computer does not start.".into(),
    };
    let first = correction(Some("en"), "computadora");
    let second = correction(None, "computadora");
    let third = correction(Some("en"), "equipo");
    for kept in [vec![first.clone(), first.clone()], vec![second.clone()]] {
        let kept = kind.store().keep_corrections(kept).await;
        assert_eq!(kept, Ok(()));
    }
    kind.crash();
    let again = vec![first.clone(), third.clone()];
    assert_eq!(kind.store().keep_corrections(again).await, Ok(()));
    let latest = kind.store().corrections(2).await;
    assert_eq!(latest, Ok(vec![second.clone(), third.clone()]));
    let all = kind.store().corrections(9).await;
    assert_eq!(all, Ok(vec![first, second, third]));
}

pub(super) async fn a_deleted_post_is_withdrawn_until_that_is_seen_to<K: Kind>() {
    let mut kind = K::new();
    let mut mint = IdMint::default();
    let taken = post(&mut mint, "taken", &["es"]);
    let later = post(&mut mint, "later", &["es"]);
    let (id, next) = (taken.request.id, later.request.id);
    let admission = Admission {
        requests: vec![taken, later],
        seen: vec![("news".into(), "seen".into())],
        ..Admission::default()
    };
    kind.store().admit(admission).await.expect("an admission");
    let gone = Admission {
        gone: ["later", "taken", "seen", "unheard of", "taken"]
            .into_iter()
            .map(|post| ("news".into(), post.into()))
            .collect(),
        ..Admission::default()
    };
    kind.store().admit(gone).await.expect("an admission");
    kind.crash();
    assert_eq!(kind.store().withdrawn(None, 9).await, Ok(vec![id, next]));
    let store = kind.store();
    assert_eq!(store.withdrawn(Some(id), 9).await, Ok(vec![next]));
    assert_eq!(store.withdrawn(Some(next), 9).await, Ok(Vec::new()));
    assert_eq!(store.withdrawn(None, 1).await, Ok(vec![id]));
    assert_eq!(kind.store().withdrawn(None, 0).await, Ok(Vec::new()));
    let forgotten = kind.store().forget_withdrawn(vec![id, next]);
    assert_eq!(forgotten.await, Ok(()));
    kind.crash();
    assert_eq!(kind.store().withdrawn(None, 9).await, Ok(Vec::new()));
}

pub(super) async fn the_cursor_moves_with_its_posts<K: Kind>() {
    let mut kind = K::new();
    assert_eq!(kind.store().cursor("news".into()).await, Ok(None));
    for mark in [1, 2] {
        let admission = Admission {
            requests: vec![post(&mut IdMint::default(), "1", &["es"])],
            cursor: Some(("news".into(), Cursor(vec![0, mark]))),
            ..Admission::default()
        };
        kind.store().admit(admission).await.expect("an admission");
    }
    kind.crash();
    assert_eq!(
        kind.store().cursor("news".into()).await,
        Ok(Some(Cursor(vec![0, 2])))
    );
    assert_eq!(kind.store().cursor("other".into()).await, Ok(None));
}

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
    let Some(babelfeed_actors::ports::Ended::Failed(failure)) = failed.ended else {
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

fn stale_of(record: &babelfeed_actors::ports::TaskRecord) -> babelfeed_actors::ports::TaskChange {
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
        let ready = kind.store().ready(bucket.clone(), after, 2).await;
        let ready = ready.expect("a read");
        let Some(last) = ready.last() else { break };
        after = Some(Position::new(last.task.request.deadline, last.task.id));
        found.extend(ready.iter().map(|record| record.task.id));
    }

    assert_eq!(found, [2, 1, 4, 0, 3].map(|index| tasks[index]));
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

pub(super) async fn publications_are_planned_once_by_the_commit_that_completes<K: Kind>() {
    let kind = K::new();
    let store = kind.store();
    let id = queued_task(store).await;
    let queued = task(store, id).await;
    let mut complete = change(&queued, store.token(), &[Step::Pass, Step::Complete]);
    let held = (
        publication(id, 2, "doubted"),
        PublicationState::Held,
        Some("doubtful".into()),
    );
    let planned = (publication(id, 1, "es"), PublicationState::Planned, None);
    complete.publications = vec![planned.clone(), held, planned];
    let mut ghost = complete.clone();
    ghost.publications = vec![(publication(id, 3, "other"), PublicationState::Planned, None)];

    assert_eq!(record(store, complete.clone()).await, Kept::Yes);
    assert_eq!(record(store, ghost).await, Kept::Ghost);

    let found = store.publications_of(id).await.expect("a read");
    let expected = PublicationRecord {
        publication: publication(id, 2, "doubted"),
        state: PublicationState::Held,
        token: 0,
        attempts: 0,
        frozen: None,
        errand: Errand::Publish,
        at: complete.lifecycle.since(),
        why: Some("doubtful".into()),
    };
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], expected);
    let tally = store.tally().await.expect("a tally");
    assert_eq!((tally.publishing, tally.held), (1, 1));
}

/// Completes a task with one planned publication, and answers what stands then.
async fn planned<K: Kind>(kind: &K) -> PublicationRecord {
    let store = kind.store();
    let id = queued_task(store).await;
    let queued = task(store, id).await;
    let mut complete = change(&queued, store.token(), &[Step::Pass, Step::Complete]);
    let planned = (publication(id, 1, "es"), PublicationState::Planned, None);
    complete.publications = vec![planned];
    assert_eq!(record(store, complete).await, Kept::Yes);
    let found = store.publication(id.publication(1)).await;
    found.expect("a read").expect("the publication")
}

fn id_of_another(record: &PublicationRecord) -> PublicationId {
    record.publication.id.task().publication(200)
}

pub(super) async fn a_publication_is_read_back_as_it_was_recorded<K: Kind>() {
    let mut kind = K::new();
    let before = planned(&kind).await;
    let mut after = before.clone();
    after.state = PublicationState::Sending;
    after.token = kind.store().token();
    after.attempts = 1;
    after.at = at(700);
    after.why = Some("first part".into());
    after.frozen = Some(Fate {
        part: 1,
        bytes: vec![0, 255, 7].into(),
        key: "3k2a".into(),
        mark: u64::MAX,
        at: at(699),
    });
    let standing = Published {
        id: "76".into(),
        url: None,
    };
    after.errand = Errand::Edit(id_of_another(&before), vec![standing]);
    let publication = Arc::make_mut(&mut after.publication);
    publication.revises = Some(before.publication.id.task().request());
    let part = &mut publication.parts[0];
    (part.id, part.url) = (Some("77".into()), Some("https://es.example/77".into()));
    let change = PublicationChange {
        held: before.token,
        after: after.clone(),
    };

    let kept = kind
        .store()
        .record_publications(vec![change.clone(), change]);

    assert_eq!(kept.await, Ok(vec![Kept::Yes, Kept::Ghost]));
    kind.crash();
    let id = after.publication.id;
    assert_eq!(kind.store().publication(id).await, Ok(Some(after.clone())));
    let list = async |outlet: &str, state, behind| {
        let found = kind
            .store()
            .publications_in(outlet.into(), state, behind, 9);
        found.await.expect("a read")
    };
    let sending = PublicationState::Sending;
    assert_eq!(list("es", sending, None).await, [after.clone()]);
    assert!(list("es", sending, Some(id)).await.is_empty());
    assert!(list("es", PublicationState::Planned, None).await.is_empty());
    assert!(list("fr", sending, None).await.is_empty());
    let mut published = after.clone();
    published.state = PublicationState::Published;
    published.errand = Errand::Delete;
    published.frozen = None;
    let change = PublicationChange {
        held: after.token,
        after: published.clone(),
    };
    let kept = kind.store().record_publications(vec![change]).await;
    assert_eq!(kept, Ok(vec![Kept::Yes]));
    assert_eq!(
        list("es", PublicationState::Published, None).await,
        [published]
    );
    let tally = kind.store().tally().await.expect("a tally");
    assert_eq!(tally.publishing, 0);
}

pub(super) async fn publications_that_need_each_other_change_together_or_not_at_all<K: Kind>() {
    let mut kind = K::new();
    let one = planned(&kind).await;
    let store = kind.store();
    let mut mint = IdMint::default();
    mint.next(at(1), 0);
    let new = request(&mut mint, None, &["es"]);
    let id = new.request.id.task(1);
    admit(store, vec![new]).await;
    let queued = task(store, id).await;
    let mut complete = change(&queued, store.token(), &[Step::Pass, Step::Complete]);
    let also_planned = (publication(id, 1, "es"), PublicationState::Planned, None);
    complete.publications = vec![also_planned];
    assert_eq!(record(store, complete).await, Kept::Yes);
    let other = store.publication(id.publication(1)).await;
    let other = other.expect("a read").expect("the publication");
    let token = store.token();
    let moved = |record: &PublicationRecord, held, state| PublicationChange {
        held,
        after: PublicationRecord {
            state,
            token,
            ..record.clone()
        },
    };
    let deleted = moved(&one, one.token, PublicationState::Deleted);
    let held = moved(&other, other.token, PublicationState::Held);
    let ghost = moved(&other, other.token + 1, PublicationState::Held);

    let kept = store.record_together(vec![deleted.clone(), ghost]).await;

    assert_eq!(kept, Ok(Kept::Ghost));
    let found = store.publication(one.publication.id).await;
    assert_eq!(found, Ok(Some(one)));
    let kept = store.record_together(vec![deleted.clone(), held.clone()]);
    assert_eq!(kept.await, Ok(Kept::Yes));
    kind.crash();
    for change in [deleted, held] {
        let found = kind.store().publication(change.after.publication.id).await;
        assert_eq!(found, Ok(Some(change.after)));
    }
    let tally = kind.store().tally().await.expect("a tally");
    assert_eq!((tally.publishing, tally.held), (0, 1));
}

pub(super) async fn what_was_answered_survives_a_crash<K: Kind>() {
    let mut kind = K::new();
    let before = planned(&kind).await;
    let mut mint = IdMint::default();
    mint.next(at(1), 0);
    let new = request(&mut mint, Some("k"), &["fr"]);
    admit(kind.store(), vec![new.clone()]).await;

    kind.crash();

    let id = before.publication.id;
    assert_eq!(kind.store().publication(id).await, Ok(Some(before)));
    let tally = kind.store().tally().await.expect("a tally");
    let expected = Tally {
        queued: 1,
        completed: 1,
        publishing: 1,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
    let again = admit(kind.store(), vec![new]).await;
    assert_eq!(again[0].outcome, Outcome::Same);
}

pub(super) async fn tokens_rise_across_restarts<K: Kind>() {
    let mut kind = K::new();
    let mut last = 0;
    for round in 0..3 {
        for _ in 0..5 {
            let token = kind.store().token();
            assert!(token > last);
            last = token;
        }
        if round == 0 {
            kind.restart();
        } else {
            kind.crash();
        }
    }
}

pub(super) async fn a_write_is_made_although_nobody_waits_for_it<K: Kind>() {
    let kind = K::new();
    let requests = vec![request(&mut IdMint::default(), None, &["es"])];
    let admission = Admission {
        requests,
        ..Admission::default()
    };

    drop(kind.store().admit(admission));

    assert_eq!(kind.store().barrier().await, Ok(()));
    let tasks = kind.store().tasks(None, None, 9).await.expect("a read");
    assert_eq!(tasks.len(), 1);
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

pub(super) async fn known_translations_are_read_newest_first<K: Kind>() {
    let mut kind = K::new();
    let known = |key: u8, millis: i64| Known {
        key: [key; 16],
        translation: babelfeed_actors::domain::Translation {
            usage: babelfeed_actors::domain::Usage::default(),
            ..translation()
        },
        at: at(millis),
    };
    let saved = vec![known(1, 10), known(2, 30), known(3, 20), known(4, 5)];
    let save = |known, forgotten| kind.store().save(known, forgotten);
    save(saved, Vec::new()).await.expect("a write");
    save(vec![known(1, 40)], vec![[3; 16]])
        .await
        .expect("a write");
    kind.crash();

    let loaded = kind.store().load(2).await;

    assert_eq!(loaded, Ok(vec![known(1, 40), known(2, 30)]));
    kind.store().clear().await.expect("a write");
    assert_eq!(kind.store().load(9).await, Ok(Vec::new()));
    kind.crash();
    assert_eq!(kind.store().load(9).await, Ok(Vec::new()));
}

pub(super) async fn the_use_of_quotas_survives_a_crash_and_is_forgotten_in_time<K: Kind>() {
    let mut kind = K::new();
    let entry = |lane: &str, unit, minute: i64, amount| QuotaEntry {
        lane: lane.into(),
        unit,
        slot: at(minute * 60_000),
        amount,
    };
    let first = [
        entry("groq", Unit::Requests, 1, 10.0),
        entry("groq", Unit::Requests, 2, 4.0),
        entry("groq", Unit::Dollars, 2, 0.25),
        entry("other", Unit::OutputTokens, 2, 700.0),
    ];
    let enter = |entries: &[QuotaEntry], before| kind.store().enter(entries.to_vec(), at(before));
    enter(&first, 0).await.expect("a write");
    let later = entry("groq", Unit::Requests, 2, 3.0);
    enter(std::slice::from_ref(&later), 2 * 60_000)
        .await
        .expect("a write");
    let window = entry("60s:groq", Unit::Requests, 3, 5.0);
    enter(std::slice::from_ref(&window), 0)
        .await
        .expect("a write");
    let past = entry("60s:groq", Unit::Requests, 3, 0.0);
    enter(std::slice::from_ref(&past), 0)
        .await
        .expect("a write");
    kind.crash();

    let mut found = kind.store().entries(at(0)).await.expect("a read");

    found.sort_by(|a, b| (&a.lane, a.unit).cmp(&(&b.lane, b.unit)));
    assert_eq!(found, [later, first[2].clone(), first[3].clone()]);
    assert_eq!(kind.store().entries(at(3 * 60_000)).await, Ok(Vec::new()));
}

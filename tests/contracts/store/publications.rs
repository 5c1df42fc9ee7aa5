//! What every store must do with publications.

use std::sync::Arc;

use babelfeed_actors::domain::{IdMint, Pair, PublicationId, PublicationState, TaskId};
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{
    Bucket, Errand, Fate, Kept, PublicationChange, PublicationRecord, Published, TaskRecord,
    TaskStore as _,
};

use super::Kind;
use super::requests::{admit, at, change, publication, queued_task, record, request, task};

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
        is_decided: false,
        at: complete.lifecycle.since(),
        why: Some("doubtful".into()),
    };
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], expected);
    let tally = store.tally().await.expect("a tally");
    assert_eq!((tally.publishing, tally.held), (1, 1));
}

/// Completes a task with one planned publication, and answers what stands then.
pub(super) async fn planned<K: Kind>(kind: &K) -> PublicationRecord {
    let id = queued_task(kind.store()).await;
    planned_of(kind, id).await
}

/// The same of that task, which is queued.
async fn planned_of<K: Kind>(kind: &K, id: TaskId) -> PublicationRecord {
    let store = kind.store();
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
    after.is_decided = true;
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
    let is_published = async |outlets: &[&str], id: &str| {
        let outlets = outlets.iter().map(|outlet| (*outlet).into()).collect();
        let ids = vec!["75".into(), id.into(), "78".into()];
        let found = kind.store().published_among(outlets, ids).await;
        let found = found.expect("a read");
        assert!(found.iter().all(|it| **it == *id), "{found:?}");
        !found.is_empty()
    };
    assert!(is_published(&["fr", "es"], "77").await);
    assert!(!is_published(&["fr"], "77").await);
    assert!(!is_published(&["es"], "76").await);
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
    let other = planned_of(&kind, id).await;
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

pub(super) async fn what_stands_open_is_counted_by_outlet_and_by_bucket<K: Kind>() {
    let kind = K::new();
    let store = kind.store();
    assert_eq!(store.open_by_outlet().await, Ok(Vec::new()));
    let id = queued_task(store).await;
    let of_task = bucket_of(&task(store, id).await);
    assert_eq!(store.n_queued(vec![of_task.clone()]).await, Ok(1));
    let mut complete = change(
        &task(store, id).await,
        store.token(),
        &[Step::Pass, Step::Complete],
    );
    let one = |number, outlet: &str, state| (publication(id, number, outlet), state, None);
    complete.publications = vec![
        one(1, "es", PublicationState::Planned),
        one(2, "es", PublicationState::Held),
        one(3, "es", PublicationState::Held),
        one(4, "fr", PublicationState::Planned),
        one(5, "fr", PublicationState::Refused),
    ];
    assert_eq!(record(store, complete).await, Kept::Yes);
    let mut open = store.open_by_outlet().await.expect("a read");
    open.sort();
    let expected = [
        ("es".into(), PublicationState::Planned, 1),
        ("es".into(), PublicationState::Held, 2),
        ("fr".into(), PublicationState::Planned, 1),
    ];
    assert_eq!(open, expected);
    let mut other = of_task.clone();
    other.flow = "nobody".into();
    assert_eq!(store.n_queued(vec![of_task, other]).await, Ok(0));
}

fn bucket_of(record: &TaskRecord) -> Bucket {
    let request = &record.task.request;
    Bucket {
        class: request.class,
        flow: request.flow.clone(),
        pair: Pair {
            source: request.source.clone(),
            target: record.task.target.clone(),
        },
    }
}

//! What every store must do with what it is handed.

use babelfeed_actors::domain::{IdMint, State};
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{Admission, Cursor, Outcome, TaskStore as _};

use super::Kind;
use super::requests::{admit, bucket, language, post, request, step, task};

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
    let posts = ["seen", "taken", "unheard of"].map(|post| ("news".into(), post.into()));
    let queued = kind.store().queued_of(vec![next], posts.to_vec()).await;
    let queued = queued.expect("a read").into_iter();
    let queued: Vec<_> = queued.map(|record| record.task.id).collect();
    assert_eq!(queued, [next.task(1), id.task(1)]);
    step(kind.store(), next.task(1), &[Step::Call]).await;
    let queued = kind.store().queued_of(vec![next, id], Vec::new()).await;
    assert_eq!(queued.expect("a read").len(), 1, "one is in a call");
    let is_gone = async |post: &str| kind.store().is_gone("news".into(), post.into()).await;
    assert_eq!(is_gone("taken").await, Ok(true));
    assert_eq!(is_gone("seen").await, Ok(false));
    assert_eq!(is_gone("unheard of").await, Ok(false));
    let forgotten = kind.store().forget_withdrawn(vec![id, next]);
    assert_eq!(forgotten.await, Ok(()));
    kind.crash();
    assert_eq!(kind.store().withdrawn(None, 9).await, Ok(Vec::new()));
    let mut edited = post(&mut mint, "later", &["es"]);
    edited.fingerprint = [2; 16];
    edited.revised = vec![language("es")];
    admit(kind.store(), vec![edited]).await;
    let is_gone = async |post: &str| kind.store().is_gone("news".into(), post.into()).await;
    assert_eq!(is_gone("taken").await, Ok(true));
    assert_eq!(is_gone("later").await, Ok(false), "it is shown again");
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

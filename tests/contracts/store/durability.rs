//! What every store must keep, whoever stops or no longer waits.

use babelfeed_actors::domain::IdMint;
use babelfeed_actors::ports::{Admission, Outcome, Tally, TaskStore as _};

use super::Kind;
use super::publications::planned;
use super::requests::{admit, at, request};

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

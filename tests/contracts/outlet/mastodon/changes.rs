//! What is out is changed in place, and taken back.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Attached, Media, Poll, Publication};
use babelfeed_actors::ports::{Outlet, OutletError, OutletRemedy, Published};

use super::super::{dispatch, frozen, hung, publication, settle};
use super::{Account, outlet};
use crate::simulators::files::{Files, PNG};
use crate::simulators::mastodon::{Keys, TOKEN};

/// A publication of the first post or of an edit of it, which is a publication of its own.
fn with_picture(number: u64, text: &str, url: &str, alt: &str) -> Arc<Publication> {
    let mut publication = Publication::clone(&publication(number, &[text]));
    publication.post = "post-1".into();
    publication.attached = Some(Arc::new(Attached {
        media: vec![Media {
            url: url.to_owned(),
            mime: None,
            alt: Some(alt.to_owned()),
        }],
        ..Attached::default()
    }));
    Arc::new(publication)
}

fn published(id: &str) -> Published {
    Published {
        id: id.into(),
        url: None,
    }
}

#[actix_rt::test]
async fn a_status_is_changed_in_place_and_keeps_its_media() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let before = with_picture(1, "hola", &picture, "un gato");
    let parts = frozen(&account.outlet, vec![dispatch(&before, 0)]).await;
    let out = settle(&account.outlet, &parts[0]).await;
    let after = with_picture(2, "adiós", &picture, "dos gatos");
    let parts = frozen(&account.outlet, vec![dispatch(&after, 0)]).await;
    for _ in 0..2 {
        let changed = account.outlet.edit(&parts[0], &out).await;
        assert_eq!(changed.expect("is changed").id, out.id);
    }
    let [status] = &account.server.statuses()[..] else {
        panic!("{:?}", account.server.statuses());
    };
    assert_eq!((status.text.as_str(), status.n_edits), ("adiós", 1));
    let [medium] = &account.server.media()[..] else {
        panic!("{:?}", account.server.media());
    };
    assert_eq!(status.media, std::slice::from_ref(&medium.id));
    assert_eq!(medium.description, "dos gatos");
}

#[actix_rt::test]
async fn a_poll_keeps_its_votes_as_long_as_its_choices_stay() {
    let account = Account::new(Keys::Kept);
    let asking = |number: u64, text: &str, options: [&str; 2]| {
        let poll = Poll {
            options: options.map(str::to_owned).to_vec(),
            is_multiple: false,
            lasts: Some(Duration::from_secs(60)),
        };
        let attached = Attached {
            poll: Some(poll),
            ..Attached::default()
        };
        hung(number, text, attached)
    };
    let freeze = async |one: &Arc<Publication>| {
        let mut parts = frozen(&account.outlet, vec![dispatch(one, 0)]).await;
        parts.remove(0)
    };
    let part = freeze(&asking(1, "¿vienes?", ["sí", "no"])).await;
    let out = settle(&account.outlet, &part).await;
    account.server.vote(&out.id);
    for (number, options, n_votes) in [(2, ["sí", "no"], 1), (3, ["claro", "no"], 0)] {
        let part = freeze(&asking(number, "¿venís?", options)).await;
        let changed = account.outlet.edit(&part, &out).await;
        changed.expect("is changed");
        let status = account.server.statuses().remove(0);
        assert_eq!(status.n_votes, n_votes, "{options:?}");
        // No less than the server takes.
        assert_eq!(status.poll.expect("a poll")["expires_in"], 300);
    }
}

#[actix_rt::test]
async fn a_status_is_changed_after_a_restart_too() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let before = with_picture(1, "hola", &picture, "un gato");
    let parts = frozen(&account.outlet, vec![dispatch(&before, 0)]).await;
    let out = settle(&account.outlet, &parts[0]).await;
    let restarted = outlet(&account.server, TOKEN);
    let after = with_picture(2, "adiós", &picture, "un gato");
    let parts = frozen(&restarted, vec![dispatch(&after, 0)]).await;
    restarted.edit(&parts[0], &out).await.expect("is changed");
    let status = account.server.statuses().remove(0);
    assert_eq!((status.text.as_str(), status.media.len()), ("adiós", 1));
}

#[actix_rt::test]
async fn what_is_gone_cannot_be_changed() {
    let account = Account::new(Keys::Kept);
    let (_, part) = account.freeze(1, "adiós").await;
    let error = account.outlet.edit(&part, &published("7")).await;
    assert_eq!(error.expect_err("is gone").remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn what_is_deleted_is_gone_also_the_second_time() {
    let account = Account::new(Keys::Kept);
    let id = account.server.post_elsewhere("hola");
    for _ in 0..2 {
        account
            .outlet
            .delete(&published(&id))
            .await
            .expect("is gone");
    }
    assert_eq!(account.server.statuses().len(), 0);
}

#[actix_rt::test]
async fn a_limit_of_deletions_is_waited_for() {
    let account = Account::new(Keys::Kept);
    let id = account.server.post_elsewhere("hola");
    account.server.set_budget(0, 300);
    let error = account.outlet.delete(&published(&id)).await;
    let OutletRemedy::Retry(Some(wait)) = error.expect_err("too many").remedy() else {
        panic!("expected a wait");
    };
    assert!((295..=305).contains(&wait.as_secs()), "{wait:?}");
}

#[actix_rt::test]
async fn a_suspended_account_waits_for_a_person() {
    let account = Account::new(Keys::Kept);
    let (_, part) = account.freeze(1, "hola").await;
    account.server.suspend();
    let error = account.publish(&part).await.expect_err("is suspended");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
    assert!(error.to_string().contains("disabled"), "{error}");
}

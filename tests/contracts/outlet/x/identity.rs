//! By which keys and tokens an outlet is known to X.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use babelfeed::outlets::x::{XConfig, XOutlet};
use babelfeed::secret::Secret;
use babelfeed::x::Identity;
use babelfeed::x::oauth1::Keys;
use babelfeed_actors::ports::{Frozen, Outlet as _, OutletError, OutletRemedy};
use tempfile::TempDir;

use super::super::{Stage as _, send};
use super::{Account, config, keys, outlet, renewed};
use crate::simulators::x::{REFRESH_TOKEN, X};

#[actix_rt::test]
async fn a_clock_that_is_wrong_does_no_harm() {
    for lead in [-90, 90, 4_000] {
        let account = Account::with_keys();
        account.server.set_lead(lead);
        let (one, part) = account.freeze(1, "hola").await;
        account.publish(&part).await.expect("publishes");
        assert_eq!(account.n_standing(&one), 1, "{lead}");
    }
}

#[actix_rt::test]
async fn wrong_keys_are_told_and_never_shown() {
    let account = Account::on(X::start(), |_, _| {
        Identity::Keys(Keys {
            consumer_secret: Secret::new("a-wrong-secret"),
            ..keys()
        })
    });
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-secret"));
}

#[actix_rt::test]
async fn another_account_than_the_one_that_is_meant_gets_nothing() {
    let server = X::start();
    let config = XConfig {
        account: Some("@another".to_owned()),
        ..config(&server, Identity::Keys(keys()))
    };
    let outlet = XOutlet::new(config).expect("a base address");
    let error = outlet.limit().await.expect_err("another account");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
}

#[actix_rt::test]
async fn a_token_that_is_over_is_renewed_once_for_all_and_kept() {
    let account = Account::with_tokens();
    let parts: Vec<Frozen> = {
        let mut parts = Vec::new();
        for number in 0..5 {
            parts.push(account.freeze(number, &format!("hola {number}")).await.1);
        }
        parts
    };
    let together = parts.iter().map(|part| account.publish(part));
    for answer in futures_util::future::join_all(together).await {
        answer.expect("publishes");
    }
    assert_eq!(account.server.n_renewed(), 1);
    account.server.expire_token();
    let (_, part) = account.freeze(7, "otra vez").await;
    account.publish(&part).await.expect("publishes");
    assert_eq!(account.server.n_renewed(), 2);

    let kept = kept_tokens(&account.folder);
    let mode = std::fs::metadata(kept)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // The refresh token of the settings is long spent, and the kept one works.
    account.server.expire_token();
    let restarted = outlet(&account.server, renewed(&account.folder));
    let (_, part) = account.freeze(8, "después").await;
    send(&restarted, &part).await.expect("publishes");
}

#[actix_rt::test]
async fn a_token_is_not_spent_where_its_successor_could_not_be_kept() {
    let account = Account::with_tokens();
    let (_, first) = account.freeze(1, "uno").await;
    account.publish(&first).await.expect("publishes");
    account.server.expire_token();
    // What is written goes aside first; that place is taken.
    let aside = kept_tokens(&account.folder).with_extension("json.tmp");
    std::fs::create_dir(&aside).expect("made");

    let (_, second) = account.freeze(2, "dos").await;
    let error = account.publish(&second).await.expect_err("no token");

    assert_eq!(error.remedy(), OutletRemedy::Retry(None), "{error}");
    assert_eq!(account.server.n_renewed(), 1);
    std::fs::remove_dir(&aside).expect("removed");
    account.publish(&second).await.expect("publishes");
    assert_eq!(account.server.n_renewed(), 2);
}

/// The one file of tokens.
fn kept_tokens(folder: &TempDir) -> PathBuf {
    let kept: Vec<_> = std::fs::read_dir(folder.path().join("data"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    let [kept] = &kept[..] else {
        panic!("{kept:?}");
    };
    kept.clone()
}

#[actix_rt::test]
async fn a_token_that_two_outlets_share_is_renewed_for_both() {
    let account = Account::with_tokens();
    let other = outlet(&account.server, renewed(&account.folder));
    let (_, first) = account.freeze(1, "uno").await;
    let (_, second) = account.freeze(2, "dos").await;
    account.publish(&first).await.expect("publishes");
    send(&other, &second).await.expect("publishes");
    assert_eq!(account.server.n_renewed(), 1);
}

#[actix_rt::test]
async fn a_revoked_token_wants_a_person_and_is_not_shown() {
    let account = Account::with_tokens();
    account.server.revoke();
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("is revoked");
    assert_eq!(error.remedy(), OutletRemedy::Person);
    assert!(!format!("{error:?}").contains(REFRESH_TOKEN), "{error:?}");
}

#[actix_rt::test]
async fn a_renewal_whose_answer_is_lost_posts_nothing() {
    let account = Account::with_tokens();
    account.server.lose_next_renewal();
    let (one, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("no token");
    assert_eq!(error.remedy(), OutletRemedy::Retry(None), "{error}");
    assert_eq!(account.n_standing(&one), 0);
}

#[actix_rt::test]
async fn a_right_that_is_missing_wants_a_person() {
    let account = Account::with_tokens();
    account.server.forbid("tweet.write");
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("not permitted");
    assert_eq!(error.remedy(), OutletRemedy::Person, "{error}");
}

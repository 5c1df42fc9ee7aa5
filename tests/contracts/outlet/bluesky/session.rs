//! How an account on Bluesky stays logged in.

use babelfeed_actors::ports::{Outlet as _, OutletError};

use super::super::{dispatch, frozen, publication, send};
use super::Simulated;
use crate::simulators::bluesky::PASSWORD;

#[actix_rt::test]
async fn an_account_logs_in_once_whoever_posts() {
    let account = Simulated::new();
    let other = account.restarted();
    for number in 0..40 {
        let one = publication(number, &[&format!("hola {number}")]);
        let outlet = if number % 2 == 0 {
            &account.outlet
        } else {
            &other
        };
        let parts = frozen(outlet, vec![dispatch(&one, 0)]).await;
        send(outlet, &parts[0]).await.expect("publishes");
    }
    assert_eq!(account.server.n_logins(), 1);
    assert_eq!(account.server.n_renewals(), 0);
}

#[actix_rt::test]
async fn a_token_whose_time_is_over_is_renewed_once_for_all() {
    let account = Simulated::new();
    let other = account.restarted();
    let mut parts = Vec::new();
    for number in 0..6 {
        parts.push(account.freeze(number, &format!("hola {number}")).await.1);
    }
    other.limit().await.expect("is logged in");
    account.server.expire_access();
    let outlets = [&account.outlet, &other];
    let outlets = outlets.into_iter().cycle();
    let posts = parts.iter().zip(outlets).map(|(part, it)| send(it, part));
    for answer in futures_util::future::join_all(posts).await {
        answer.expect("publishes");
    }
    assert_eq!(account.server.n_renewals(), 1);
    assert_eq!(account.server.n_logins(), 1);
    assert_eq!(account.server.posts().len(), 6);
}

#[actix_rt::test]
async fn a_session_that_was_ended_begins_anew() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.end_session();
    account.publish(&part).await.expect("publishes");
    assert_eq!(account.server.n_logins(), 2);
}

#[actix_rt::test]
async fn a_session_is_kept_where_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let account = Simulated::new();
    account.outlet.limit().await.expect("is logged in");
    let folder = std::fs::read_dir(account.folder.path().join("data")).expect("a folder");
    let mut n_sessions = 0;
    for file in folder {
        let file = file.expect("a file");
        let text = std::fs::read_to_string(file.path()).expect("a text");
        assert!(!text.contains(PASSWORD));
        if text.contains("access-1") {
            n_sessions += 1;
            let mode = file.metadata().expect("a mode").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    assert_eq!(n_sessions, 1);
}

#[actix_rt::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let account = Simulated::with_password("a-wrong-password");
    let error = account.outlet.limit().await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-password"));
}

//! What becomes of a post that X does not take.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::Part;
use babelfeed_actors::ports::{Outlet as _, OutletError, OutletRemedy};

use super::super::{answering, dispatch, frozen, publication};
use super::{Account, answer};
use crate::simulators::faults::Fault;
use crate::simulators::wait::until_left;

/// How many seconds a window of X has.
const WINDOW: u64 = 900;

fn forbidden(detail: &str) -> Fault {
    let body = serde_json::json!({
        "title": "Forbidden", "type": "about:blank", "status": 403, "detail": detail,
    });
    answer(403, &[], &body.to_string())
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let account = Account::with_keys();
    let wait = |seconds| OutletRemedy::Retry(Some(Duration::from_secs(seconds)));
    let far = "Thu, 19 Nov 2026 12:00:00 GMT";
    let at = |seconds: u64| (1_795_089_600 + seconds).to_string();
    let (soon, late) = (at(100), at(7_200));
    let limits = [
        ("Date", far),
        ("x-rate-limit-remaining", "3"),
        ("x-rate-limit-reset", &soon),
        ("x-app-limit-24hour-remaining", "0"),
        ("x-app-limit-24hour-reset", &soon),
        ("x-user-limit-24hour-remaining", "0"),
        ("x-user-limit-24hour-reset", &late),
    ];
    let capped = r#"{"title":"UsageCapExceeded","type":"https://api.x.com/2/problems/usage-capped","period":"Monthly"}"#;
    let broke =
        r#"{"title":"CreditsDepleted","type":"https://api.twitter.com/2/problems/credits"}"#;
    for (fault, remedy) in [
        (answer(401, &[], "{}"), OutletRemedy::Person),
        (answer(402, &[], broke), OutletRemedy::Person),
        (
            forbidden("Your account is suspended and is not permitted to access this feature."),
            OutletRemedy::Person,
        ),
        (
            answer(
                403,
                &[],
                r#"{"reason":"client-not-enrolled","type":"https://api.twitter.com/2/problems/client-forbidden"}"#,
            ),
            OutletRemedy::Person,
        ),
        (
            forbidden("You have been blocked from replying to this post."),
            OutletRemedy::GiveUp,
        ),
        (
            forbidden("You are not permitted to perform this action."),
            OutletRemedy::GiveUp,
        ),
        (
            forbidden("You have reached your daily limit for sending posts."),
            wait(1_800),
        ),
        (answer(400, &[], "{}"), OutletRemedy::GiveUp),
        (answer(404, &[], ""), OutletRemedy::GiveUp),
        (answer(429, &limits, "{}"), wait(7_201)),
        (
            answer(
                429,
                &[],
                r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#,
            ),
            OutletRemedy::Retry(None),
        ),
        // Eleven and a half days are left of that month.
        (answer(429, &[("Date", far)], capped), wait(993_600)),
        (answer(403, &[("Date", far)], capped), wait(993_600)),
        (answer(500, &[], "<html>"), OutletRemedy::ReadBack),
        (answer(504, &[], ""), OutletRemedy::ReadBack),
    ] {
        let shown = format!("{fault:?}");
        let error = account.failure(fault).await;
        assert_eq!(error.remedy(), remedy, "{shown}: {error}");
    }
}

#[actix_rt::test]
async fn a_spent_window_is_waited_for() {
    until_left(Duration::from_secs(10), WINDOW);
    let account = Account::with_keys();
    account.server.set_post_limit(1);
    let (_, first) = account.freeze(1, "uno").await;
    account.publish(&first).await.expect("publishes");
    let (_, second) = account.freeze(2, "dos").await;
    let error = account.publish(&second).await.expect_err("is too much");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let rest = WINDOW - now.as_secs() % WINDOW;
    let OutletRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    assert!(wait.as_secs().abs_diff(rest) <= 2, "{wait:?} of {rest}");
}

#[actix_rt::test]
async fn an_account_without_money_wants_a_person() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.set_balance(0.0);
    let error = account.publish(&part).await.expect_err("no money");
    assert!(matches!(error, OutletError::Unpaid { .. }), "{error}");
}

#[actix_rt::test]
async fn a_text_beyond_the_limit_is_rejected() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, &"x".repeat(281)).await;
    let error = account.publish(&part).await.expect_err("too long");
    assert!(matches!(error, OutletError::Rejected { .. }));
    let mut second = publication(2, &["corto"]).as_ref().clone();
    second.parts = vec![Part::new("x".repeat(280))];
    let parts = frozen(&account.outlet, vec![dispatch(&Arc::new(second), 0)]).await;
    account.publish(&parts[0]).await.expect("fits");
}

#[actix_rt::test]
async fn a_deleted_parent_refuses_the_part() {
    let account = Account::with_keys();
    let (_, root) = account.freeze(1, "raíz").await;
    let root = account.publish(&root).await.expect("publishes");
    account.outlet.delete(&root).await.expect("deletes");
    assert_eq!(account.server.posts().len(), 0);
    account.outlet.delete(&root).await.expect("is gone already");
    let (_, part) = account
        .freeze_as(2, "sigue", |it| {
            it.thread = Some(answering(&root.id));
        })
        .await;
    let error = account.publish(&part).await.expect_err("no parent");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_reply_to_somebody_who_did_not_summon_us_is_refused() {
    let account = Account::with_keys();
    account.server.join("other");
    let silent = account.server.show("other", "good day").to_string();
    let (_, part) = account
        .freeze_as(1, "hola", |it| {
            it.thread = Some(answering(&silent));
        })
        .await;
    let error = account.publish(&part).await.expect_err("not summoned");
    assert!(matches!(error, OutletError::Rejected { .. }), "{error}");
}

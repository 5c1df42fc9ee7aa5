//! What becomes of a text that Bluesky does not take.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::Part;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Outlet as _, OutletRemedy};
use serde_json::json;

use super::super::{dispatch, frozen, publication};
use super::{Real, Simulated};
use crate::simulators::faults::Fault;

fn answer(status: u16, headers: &[(&str, &str)], error: &str) -> Fault {
    let body = json!({"error": error, "message": "no"}).to_string();
    Fault::answer(status, headers, body)
}

#[actix_rt::test]
async fn an_account_that_is_taken_down_needs_a_person() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.suspend();
    let error = account.publish(&part).await.expect_err("is refused");
    assert_eq!(error.remedy(), OutletRemedy::Person);
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let account = Simulated::new();
    for (status, error, remedy) in [
        (400, "InvalidRequest", OutletRemedy::GiveUp),
        (400, "AccountTakedown", OutletRemedy::Person),
        (401, "AuthenticationRequired", OutletRemedy::Person),
        (403, "Forbidden", OutletRemedy::Person),
        (413, "PayloadTooLarge", OutletRemedy::GiveUp),
        (429, "RateLimitExceeded", OutletRemedy::Retry(None)),
    ] {
        let (_, part) = account.freeze(1, "hola").await;
        account.server.fail_next(answer(status, &[], error));
        let failure = account.publish(&part).await.expect_err("is refused");
        assert_eq!(failure.remedy(), remedy, "{status} {error}");
    }
}

#[actix_rt::test]
async fn a_limit_is_waited_for_by_the_servers_clock() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    let headers = [
        ("RateLimit-Reset", "1605960300"),
        ("Date", "Sat, 21 Nov 2020 12:00:00 GMT"),
    ];
    account
        .server
        .fail_next(answer(429, &headers, "RateLimitExceeded"));
    let error = account.publish(&part).await.expect_err("is refused");
    let wait = Some(Duration::from_secs(301));
    assert_eq!(error.remedy(), OutletRemedy::Retry(wait));
}

#[actix_rt::test]
async fn spent_points_are_not_asked_for() {
    let account = Simulated::new();
    let (_, first) = account.freeze(1, "uno").await;
    let (_, second) = account.freeze(2, "dos").await;
    account.server.leave_points(3, 600);
    account.publish(&first).await.expect("two are left for it");
    let error = account.publish(&second).await.expect_err("one is left");
    let OutletRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    let expected = Duration::from_secs(590)..Duration::from_secs(602);
    assert!(expected.contains(&wait), "{wait:?}");
    assert_eq!(account.server.n_calls("com.atproto.repo.putRecord"), 1);
}

#[actix_rt::test]
async fn the_limit_is_that_of_the_lexicon_and_what_exceeds_it_is_refused() {
    let real = Real::new();
    assert_eq!(real.outlet.limit().await, Ok(Limit::BLUESKY));
    for (text, is_taken) in [
        ("ñ".repeat(300), true),
        ("ñ".repeat(301), false),
        ("👩‍👩‍👧‍👦".repeat(120), true),
        ("👩‍👩‍👧‍👦".repeat(121), false),
    ] {
        let number = text.len() as u64;
        let one = publication(number, &[&text]);
        let parts = frozen(&real.outlet, vec![dispatch(&one, 0)]).await;
        let answer = real.outlet.publish(&parts).await.remove(0);
        assert_eq!(answer.is_ok(), is_taken, "{answer:?}");
        assert_eq!(Limit::BLUESKY.fits(&text), is_taken);
    }
}

#[actix_rt::test]
async fn a_part_without_the_one_before_it_has_nothing_to_answer() {
    let account = Simulated::new();
    let mut one = (*publication(1, &["uno"])).clone();
    one.parts.push(Part::new("dos"));
    let error = account
        .outlet
        .freeze(vec![dispatch(&Arc::new(one), 1)])
        .await;
    assert_eq!(error.expect_err("no parent").remedy(), OutletRemedy::GiveUp);
}

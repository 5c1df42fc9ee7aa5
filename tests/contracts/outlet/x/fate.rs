//! What is found out about a post on X whose answer was lost.

use std::sync::Arc;

use babelfeed::x::Identity;
use babelfeed_actors::ports::{Outlet as _, OutletRemedy, ReadBack};

use super::super::{Stage as _, dispatch, frozen, publication, send, settle};
use super::{Account, answer, keys, outlet};
use crate::simulators::faults::Fault;

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::Unavailable,
        Fault::RequestLost,
        Fault::HalfReply,
    ] {
        for with_account in [Account::with_keys, Account::with_tokens] {
            let account = with_account();
            let text = "Hola @ana,\n\nmira https://example.org/un/camino example.com #ya & <ya>";
            let (one, part) = account.freeze(1, text).await;
            account.server.fail_next(fault.clone());
            let error = account.publish(&part).await.expect_err("is lost");
            assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
            let restarted = outlet(&account.server, Identity::Keys(keys()));
            settle(&restarted, &part).await;
            assert_eq!(account.n_standing(&one), 1, "{fault:?}");
        }
    }
}

#[actix_rt::test]
async fn a_text_with_the_address_of_a_post_is_found_whatever_x_makes_of_it() {
    for address in [
        "https://x.com/nasa/status/1234567890",
        "https://x.com/nasa/status/1234567890/photo/1",
        "https://x.com/nasa/status/1234567890/video/1 ya",
    ] {
        let account = Account::with_keys();
        let (one, part) = account.freeze(1, &format!("Mira {address}")).await;
        account.server.fail_next(Fault::ReplyLost);
        account.publish(&part).await.expect_err("is lost");
        settle(&account.outlet, &part).await;
        assert_eq!(account.n_standing(&one), 1, "{address}");
        let found = account.outlet.read_back(&part).await.expect("an answer");
        assert!(matches!(found, ReadBack::Found(_)), "{address}: {found:?}");
    }
}

#[actix_rt::test]
async fn a_thread_is_found_part_by_part() {
    let account = Account::with_keys();
    let two = publication(1, &["parte uno", "parte dos"]);
    let first = frozen(&account.outlet, vec![dispatch(&two, 0)]).await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&first[0]).await.expect_err("is lost");
    let published = settle(&account.outlet, &first[0]).await;
    let mut after = (*two).clone();
    after.parts[0].id = Some(published.id.clone());
    let second = frozen(&account.outlet, vec![dispatch(&Arc::new(after), 1)]).await;
    account.server.fail_next(Fault::Unavailable);
    account.publish(&second[0]).await.expect_err("is lost");
    settle(&account.outlet, &second[0]).await;
    let posts = account.server.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[1].parent, Some(posts[0].id));
    let url = published.url.expect("an address");
    assert_eq!(*url, *format!("https://x.com/bot/status/{}", posts[0].id));
}

#[actix_rt::test]
async fn a_duplicate_is_taken_for_the_post_that_is_out() {
    let account = Account::with_keys();
    let (one, part) = account.freeze(1, "hola").await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    let restarted = outlet(&account.server, Identity::Keys(keys()));
    let published = send(&restarted, &part).await.expect("it is out");
    assert_eq!(*published.id, *account.server.posts()[0].id.to_string());
    assert_eq!(account.n_standing(&one), 1);
}

#[actix_rt::test]
async fn a_duplicate_of_another_publication_is_refused_in_the_end() {
    let account = Account::with_keys();
    let (_, first) = account.freeze(1, "hola").await;
    account.publish(&first).await.expect("publishes");
    let (_, second) = account.freeze(2, "hola").await;
    let error = account.publish(&second).await.expect_err("a duplicate");
    assert_eq!(error.remedy(), OutletRemedy::ReadBack);
    let fate = account.outlet.read_back(&second).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
    let error = account.publish(&second).await.expect_err("a duplicate");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(account.server.posts().len(), 1);
}

#[actix_rt::test]
async fn an_account_is_read_twice_before_a_post_counts_as_absent() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, "hola").await;
    let is_timeline = |path: &str| path.ends_with("/tweets");
    let n_looks = || {
        let requests = account.server.requests();
        requests.iter().filter(|it| is_timeline(&it.path)).count()
    };
    let fate = account.outlet.read_back(&part).await.expect("reads back");
    assert_eq!((fate, n_looks()), (ReadBack::Absent, 2));
    account.server.fail_next_read(answer(503, &[], "<html>"));
    account
        .outlet
        .read_back(&part)
        .await
        .expect_err("cannot be told");
}

#[actix_rt::test]
async fn reading_back_costs_only_what_was_posted_since_and_tells_what() {
    let account = Account::with_keys();
    for number in 0..30 {
        let old = format!("viejo {number}");
        let (_, part) = account.freeze(number, &old).await;
        account.publish(&part).await.expect("publishes");
    }
    let (_, mut part) = account.freeze(99, "hola").await;
    let frozen_at = part.mark;
    part.mark += 3_600_000;
    account.outlet.read_back(&part).await.expect("reads back");
    assert_eq!(account.server.billed(Some("read")), 0.0);
    // The account itself was asked for.
    assert_eq!(
        account.outlet.charged(),
        account.server.billed(Some("owned"))
    );
    assert_eq!(account.outlet.charged(), 0.0);
    part.mark = frozen_at;
    account.outlet.read_back(&part).await.expect("reads back");
    let billed = account.server.billed(Some("read"));
    assert!((billed - 0.03).abs() < 1e-9, "{billed}");
    assert!((account.outlet.charged() - billed).abs() < 1e-9);
    // The same posts cost nothing more on that day.
    account.outlet.read_back(&part).await.expect("reads back");
    assert_eq!(account.outlet.charged(), 0.0);
}

#[actix_rt::test]
async fn after_a_restart_what_is_another_publications_is_not_taken_for_one_that_was_never_sent() {
    let account = Account::with_keys();
    let (one, part) = account.freeze(1, "Buenos días").await;
    let published = account.publish(&part).await.expect("publishes");
    let (_, never_sent) = account.freeze(2, "Buenos días").await;
    let mut out = (*one).clone();
    out.parts[0].id = Some(published.id);
    let restarted = outlet(&account.server, Identity::Keys(keys()));
    restarted.remember(&[Arc::new(out)]);
    let fate = restarted.read_back(&never_sent).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
}

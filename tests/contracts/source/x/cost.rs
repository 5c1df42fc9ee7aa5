//! What reading on X costs: no more than is wanted, counted as it is billed.

use std::time::Duration;

use babelfeed::sources::x::{Extent, LeftOut, XConfig};
use babelfeed_actors::ports::{Source, SourceError};

use super::{Accounts, assert_charged, source, texts};
use crate::simulators::faults::Fault;
use crate::simulators::wait::{DAY, until_left};

#[actix_rt::test]
async fn at_first_sight_no_more_is_paid_for_than_is_wanted() {
    let accounts = Accounts::shaped(&["ana"], |it| it.backfill = Some(0));
    for number in 0..200 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let mut cursor = None;
    let polled = accounts.poll(&mut cursor).await;
    assert_eq!(polled.posts.len(), 5);
    let charged = accounts.source.charged();
    assert!((charged - accounts.server.billed(None)).abs() < 1e-9);
    assert!((charged - 0.035).abs() < 1e-9, "{charged}");
    let nothing = accounts.poll(&mut cursor).await;
    assert_eq!(nothing.posts.len(), 0);
    assert_eq!(accounts.source.charged(), 0.0);
    assert!((accounts.server.billed(None) - 0.035).abs() < 1e-9);
}

#[actix_rt::test]
async fn what_a_search_reads_again_is_not_counted_again() {
    let accounts = Accounts::new(&["ana", "ben"]);
    let mut cursor = None;
    let mut cost_usd = 0.0;
    for text in ["one", "two", "three"] {
        accounts.server.show("ana", text);
        accounts.server.show("ben", text);
        for _ in 0..2 {
            accounts.poll(&mut cursor).await;
            cost_usd += accounts.source.charged();
        }
    }
    assert!(accounts.n_calls("/search/recent") > 0);
    let billed = accounts.server.billed(None);
    assert!((cost_usd - billed).abs() < 1e-9, "{cost_usd}, not {billed}");
}

#[actix_rt::test]
async fn what_is_left_out_is_not_billed() {
    let accounts = Accounts::shaped(&["ana", "ben"], |it| {
        it.left_out = [LeftOut::Reposts, LeftOut::Replies].into();
    });
    let other = accounts.server.show("ben", "one");
    accounts
        .server
        .show_as("ana", "", |it| it.reposted = Some(other));
    let mut cursor = None;
    let first = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&first.posts), ["one"]);
    accounts
        .server
        .show_as("ana", "", |it| it.reposted = Some(other));
    accounts
        .server
        .show_as("ana", "an answer", |it| it.parent = Some(other));
    accounts.server.show("ana", "two");
    let second = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&second.posts), ["two"]);
    assert!((accounts.server.billed(Some("read")) - 0.010).abs() < 1e-9);
}

#[actix_rt::test]
async fn what_was_read_before_a_poll_broke_off_is_counted_and_once() {
    let accounts = Accounts::new(&["ana"]);
    let mut cursor = None;
    accounts.server.set_page(5);
    for number in 0..12 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let n_passed = 3;
    for _ in 0..n_passed {
        accounts.server.pass_next_read();
    }
    accounts.server.fail_next_read(Fault::answer(503, &[], ""));
    let error = accounts.source.poll(cursor.as_ref(), 100).await;
    error.expect_err("is broken off");
    let charged = assert_charged(&accounts, 0.0);
    assert!((charged - 0.060).abs() < 1e-9, "{charged}");
    assert_eq!(accounts.poll(&mut cursor).await.posts.len(), 12);
    assert_charged(&accounts, charged);
}

#[actix_rt::test]
async fn a_look_reads_a_page_and_says_what_a_run_would_read() {
    let accounts = Accounts::shaped(&["ana"], |it| it.extent = Extent::Look);
    for number in 0..250 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let polled = accounts.poll(&mut None).await;
    assert_eq!(polled.posts.len(), 100);
    assert_eq!(polled.unread.posts, 150);
    assert!((polled.unread.usd - 0.75).abs() < 1e-9, "{polled:?}");
    let charged = assert_charged(&accounts, 0.0);
    assert!((charged - 0.51).abs() < 1e-9, "{charged}");

    for backfill in [Some(120), Some(20), Some(0), None] {
        let looks = source(&accounts.server, &["ana"], |it| {
            it.extent = Extent::Look;
            it.backfill = backfill;
        });
        let look = looks.poll(None, 500).await.expect("a poll");
        let runs = source(&accounts.server, &["ana"], |it| it.backfill = backfill);
        let run = runs.poll(None, 500).await.expect("a poll");
        let n_told = look.posts.len() + look.unread.posts;
        let wanted = backfill.unwrap_or(250).clamp(5, 250);
        assert_eq!(n_told, wanted, "{backfill:?}");
        assert!(run.posts.len() >= n_told, "{backfill:?}");
        assert_eq!(run.unread.posts, 0);
    }
}

#[actix_rt::test]
async fn what_is_skipped_after_a_pause_is_hardly_paid_for() {
    for names in [&["ana"][..], &["ana", "ben"]] {
        let accounts = Accounts::new(names);
        accounts.server.show("ana", "one");
        let mut cursor = None;
        accounts.poll(&mut cursor).await;
        for number in 0..200 {
            accounts.server.show("ana", &format!("missed {number}"));
        }
        let before = accounts.server.billed(None);
        let place = cursor.as_ref().expect("a place");
        let skipped = accounts.source.skip(place, 500).await.expect("a poll");
        cursor = skipped.cursor;
        assert!(accounts.server.billed(None) - before < 0.026);
        assert_eq!(accounts.poll(&mut cursor).await.posts, []);
        accounts.server.show("ana", "two");
        assert_eq!(texts(&accounts.poll(&mut cursor).await.posts), ["two"]);
    }
}

#[actix_rt::test]
async fn no_more_is_read_on_a_day_than_it_may_cost() {
    until_left(Duration::from_secs(30), DAY);
    let limited = |config: &mut XConfig| config.usd_per_day = Some(0.05);
    let accounts = Accounts::shaped(&["ana"], limited);
    accounts.server.show("ana", "one");
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    for number in 0..40 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    // The account cost 0.01 and its first post 0.005; what is left is enough for seven.
    let polled = accounts.poll(&mut cursor).await;
    assert_eq!(polled.posts.len(), 7);
    assert_eq!(polled.posts[6].text, "number 39");
    assert_eq!(polled.warnings.len(), 1, "{:?}", polled.warnings);
    assert!((accounts.server.billed(None) - 0.05).abs() < 1e-9);

    // Neither this process nor the next one asks for anything more today.
    accounts.server.show("ana", "later");
    let n_calls = accounts.server.requests().len();
    let restarted = source(&accounts.server, &["ana"], limited);
    for source in [&accounts.source, &restarted] {
        let error = source.poll(cursor.as_ref(), 500).await;
        let error = error.expect_err("nothing is left");
        let SourceError::Spent { wait, .. } = &error else {
            panic!("{error}");
        };
        assert!(*wait <= Duration::from_secs(86_400), "{wait:?}");
    }
    assert_eq!(accounts.server.requests().len(), n_calls);
}

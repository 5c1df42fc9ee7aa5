//! What the filtered stream of X brings, and what is asked when it is broken.

mod sharing;

use std::collections::BTreeSet;
use std::time::Duration;

use babelfeed_actors::ports::{Cursor, Source};

use super::{Accounts, assert_charged, source, texts};
use crate::source::NAME;

/// A source that reads the stream, once that is open and the accounts were read.
async fn streaming(names: &[&str]) -> (Accounts, Option<Cursor>) {
    let accounts = Accounts::shaped(names, |config| config.streams = true);
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    news(&accounts).await;
    accounts.poll(&mut cursor).await;
    accounts.poll(&mut cursor).await;
    (accounts, cursor)
}

async fn news(accounts: &Accounts) {
    let news = tokio::time::timeout(Duration::from_secs(10), accounts.source.news());
    news.await.expect("news in time");
}

#[actix_rt::test]
async fn posts_come_by_the_stream_and_nothing_is_asked_for_them() {
    let (accounts, mut cursor) = streaming(&["ana", "eva"]).await;
    let rules = accounts.server.rules();
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert!(rules[0].contains("from:ana OR from:eva"), "{rules:?}");
    let n_calls = accounts.server.requests().len();
    accounts.server.join("nobody");
    accounts.server.show("ana", "One");
    accounts.server.show("nobody", "Not wanted");
    accounts.server.show("eva", "Two");
    let mut found = Vec::new();
    while found.len() < 2 {
        news(&accounts).await;
        let polled = accounts.poll(&mut cursor).await;
        assert!(polled.posts.iter().all(|post| post.url.is_some()));
        found.extend(polled.posts.into_iter().map(|post| post.text));
    }
    assert_eq!(found, ["One", "Two"]);
    assert_eq!(accounts.server.requests().len(), n_calls);
    let polled = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&polled.posts), [""; 0]);
    assert_charged(&accounts, 0.0);
}

#[actix_rt::test]
async fn what_was_not_taken_is_told_again_and_paid_once() {
    let (accounts, cursor) = streaming(&["ana"]).await;
    accounts.server.show("ana", "One");
    news(&accounts).await;
    for _ in 0..3 {
        let polled = accounts.source.poll(cursor.as_ref(), 500).await;
        let polled = polled.expect("a poll");
        assert_eq!(texts(&polled.posts), ["One"]);
        // Whoever goes on without having taken it may come back.
        accounts.poll(&mut polled.cursor.clone()).await;
    }
    assert_charged(&accounts, 0.0);
}

#[actix_rt::test]
async fn what_came_while_the_stream_was_broken_is_asked_for() {
    let (accounts, mut cursor) = streaming(&["ana"]).await;
    accounts
        .server
        .say_in_stream("{\"errors\":[{\"title\":\"operational-disconnect\"}]}");
    accounts.server.close_streams();
    accounts.server.show("ana", "Missed");
    news(&accounts).await;
    accounts.server.show("ana", "Told");
    let mut found = BTreeSet::new();
    loop {
        let polled = accounts.poll(&mut cursor).await;
        found.extend(polled.posts.into_iter().map(|post| post.text));
        if found.contains("Told") {
            break;
        }
        news(&accounts).await;
    }
    let found: Vec<String> = found.into_iter().collect();
    assert_eq!(found, ["Missed", "Told"]);
}

#[actix_rt::test]
async fn what_the_stream_told_is_not_counted_again_when_it_is_read_after_a_break() {
    let (accounts, mut cursor) = streaming(&["ana", "ben"]).await;
    for number in 0..4 {
        accounts.server.show("ana", &format!("Post {number}"));
        news(&accounts).await;
        accounts.poll(&mut cursor).await;
    }
    accounts.server.close_streams();
    accounts.server.show("ben", "Missed");
    let mut found = Vec::new();
    while found.is_empty() {
        news(&accounts).await;
        found = accounts.poll(&mut cursor).await.posts;
    }
    assert_eq!(texts(&found), ["Missed"]);
    assert_charged(&accounts, 0.0);
}

#[actix_rt::test]
async fn what_the_stream_tells_before_the_first_poll_after_a_restart_is_not_lost() {
    let (mut accounts, mut cursor) = streaming(&["ana"]).await;
    for number in 0..5 {
        accounts.server.show("ana", &format!("Post {number}"));
        news(&accounts).await;
        accounts.poll(&mut cursor).await;
    }
    accounts.source = source(&accounts.server, &["ana"], |config| config.streams = true);
    accounts.server.close_streams();
    news(&accounts).await;
    accounts.server.show("ana", "Another");
    news(&accounts).await;
    let polled = accounts.poll(&mut cursor).await;
    assert!(texts(&polled.posts).contains(&"Another"), "{polled:?}");
}

#[actix_rt::test]
async fn a_line_that_cannot_be_read_makes_the_next_poll_ask() {
    let (accounts, mut cursor) = streaming(&["ana"]).await;
    let n_calls = accounts.n_calls("/tweets");
    accounts.server.say_in_stream("{\"data\":");
    news(&accounts).await;
    accounts.poll(&mut cursor).await;
    assert!(accounts.n_calls("/tweets") > n_calls);
}

#[actix_rt::test]
async fn rules_are_set_once_and_those_of_others_stay() {
    let accounts = Accounts::shaped(&["ana"], |config| config.streams = true);
    accounts.server.add_rule("from:somebody", "another program");
    accounts
        .server
        .add_rule("from:before", &format!("babelfeed {NAME}"));
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    news(&accounts).await;
    accounts.server.close_streams();
    news(&accounts).await;
    assert_eq!(accounts.server.rules(), ["from:somebody", "(from:ana)"]);
    let posts = accounts.server.requests().into_iter();
    let n_changes = posts.filter(|it| it.method == "POST" && it.path.ends_with("/rules"));
    assert_eq!(n_changes.count(), 2);
}

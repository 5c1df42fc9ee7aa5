//! Several sources at the one stream of their app.

use std::collections::BTreeSet;
use std::time::Duration;

use babelfeed::sources::x::{Apps, LeftOut, XSource};
use babelfeed_actors::ports::{Cursor, Source};

use crate::simulators::x::X;
use crate::source::wait_until;
use crate::source::x::{source_of, texts};

#[actix_rt::test]
async fn two_sources_of_an_app_share_its_stream_and_each_hears_its_own() {
    let server = X::start();
    for name in ["ana", "ben", "eva"] {
        server.join(name);
    }
    let apps = Apps::default();
    let of = |name: &str, accounts: &[&str], left_out: BTreeSet<LeftOut>| {
        source_of(&apps, &server, accounts, |it| {
            it.name = name.into();
            it.left_out = left_out;
            it.streams = true;
        })
    };
    let replies: BTreeSet<LeftOut> = [LeftOut::Replies].into();
    let one = of("one", &["ana", "ben"], replies);
    let other = of("other", &["ben", "eva"], BTreeSet::new());
    let (mut at_one, mut at_other) = (None, None);
    until_heard(&server, &one, &mut at_one).await;
    until_heard(&server, &other, &mut at_other).await;
    assert_eq!(server.n_streams(), 1);
    assert_eq!(server.rules().len(), 2, "{:?}", server.rules());

    let n_calls = server.requests().len();
    let first = server.show("ana", "of one");
    server.show("ben", "of both");
    server.show("eva", "of the other");
    server.show_as("ben", "answered", |it| it.parent = Some(first));
    let by_one = told(&one, &mut at_one, 2).await;
    let by_other = told(&other, &mut at_other, 3).await;
    assert_eq!(by_one, ["of one", "of both"]);
    assert_eq!(by_other, ["of both", "of the other", "answered"]);
    assert_eq!(server.requests().len(), n_calls, "nothing was asked");
    let charged = one.charged() + other.charged();
    assert!((charged - server.billed(None)).abs() < 1e-9, "{charged}");
}

#[actix_rt::test]
async fn the_stream_of_an_app_goes_on_without_a_source_that_rests_and_ends_with_the_last() {
    let server = X::start();
    server.join("ana");
    server.join("ben");
    let apps = Apps::default();
    let of = |name: &str, account: &str| {
        source_of(&apps, &server, &[account], |it| {
            it.name = name.into();
            it.streams = true;
        })
    };
    // Two that want the same share one rule, of which X takes no second.
    let (one, same, other) = (of("one", "ana"), of("same", "ana"), of("other", "ben"));
    let mut places = [None, None, None];
    for (source, place) in [&one, &same, &other].into_iter().zip(&mut places) {
        until_heard(&server, source, place).await;
    }
    // The first one's rule was changed for the sake of the second, so it asks once more.
    until_heard(&server, &one, &mut places[0]).await;
    assert_eq!(server.n_doubled_rules(), 0);
    server.show("ana", "First");
    assert_eq!(told(&one, &mut places[0], 1).await, ["First"]);
    assert_eq!(told(&same, &mut places[1], 1).await, ["First"]);

    one.rest();
    same.rest();
    let is_gone = || server.rules() == ["(from:ben)"];
    wait_until(is_gone).await;
    let billed = server.billed(None);
    server.show("ana", "Nobody listens");
    assert_eq!(server.billed(None), billed);
    server.show("ben", "Second");
    assert_eq!(told(&other, &mut places[2], 1).await, ["Second"]);
    other.rest();
    wait_until(|| {
        server.say_in_stream("");
        server.n_streams() == 0
    })
    .await;

    // Whoever comes back asks for what it missed.
    let polled = one.poll(places[0].as_ref(), 500).await.expect("a poll");
    assert_eq!(texts(&polled.posts), ["Nobody listens"]);
    places[0] = polled.cursor;
    until_heard(&server, &one, &mut places[0]).await;
    server.show("ana", "Third");
    assert_eq!(told(&one, &mut places[0], 1).await, ["Third"]);
}

/// Polls until a source hears all there is, and so asks nothing.
async fn until_heard(server: &X, source: &XSource, cursor: &mut Option<Cursor>) {
    let polling = async {
        loop {
            let n_calls = server.requests().len();
            let polled = source.poll(cursor.as_ref(), 500).await.expect("a poll");
            *cursor = polled.cursor;
            if server.requests().len() == n_calls {
                return;
            }
            // Whoever waits for news opens the stream.
            let _ = tokio::time::timeout(Duration::from_millis(5), source.news()).await;
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), polling).await;
    heard.expect("heard in good time");
}

/// The first so many texts that the stream brings.
async fn told(source: &XSource, cursor: &mut Option<Cursor>, n_texts: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < n_texts {
        let told = tokio::time::timeout(Duration::from_secs(10), source.news());
        told.await.expect("news in time");
        let polled = source.poll(cursor.as_ref(), 500).await.expect("a poll");
        *cursor = polled.cursor;
        found.extend(polled.posts.into_iter().map(|it| it.text));
    }
    found
}

//! What a source does with feeds of many authors, at a simulated view and in the real network.

use babelfeed::atproto::FeedAddress;
use babelfeed::sources::bluesky::{BlueskySource, Subject};
use babelfeed_actors::domain::{Post, Relation};
use babelfeed_actors::logic::filter::{Filter, Refusal};
use babelfeed_actors::ports::{Source, SourceError};
use serde_json::{Value, json};

use super::{DAY, Written, config_of, poll, record, texts};
use crate::simulators::bluesky::feeds::{FEED, LIST, reposted};
use crate::simulators::bluesky::{Bluesky, now};
use crate::simulators::bluesky_network::Network;
use crate::source::keeps_the_contract;

const HOUR: i64 = 3_600_000;

fn source(base_url: &str, feed: &str) -> BlueskySource {
    let feed = FeedAddress::parse(feed).expect("a feed");
    BlueskySource::new(config_of(base_url, Subject::Feed(feed)))
}

#[actix_rt::test]
async fn a_feed_by_rules_and_one_of_a_list_keep_the_contract() {
    for feed in [FEED, LIST] {
        let server = Bluesky::start();
        let source = source(&server.view_url(), feed);
        let stage = Written::new(source, |record| {
            server.feature("eva", record, 0);
        });
        keeps_the_contract(stage).await;
    }
}

#[actix_rt::test]
async fn a_feed_of_the_real_network_is_read_page_by_page_and_only_what_is_new() {
    let Some(network) = Network::running() else {
        return;
    };
    let (one, other) = (network.add_account(), network.add_account());
    let source = source(&network.view_url(), &network.feed);
    let name = format!("of {}", one.did);
    let show = |from: &crate::simulators::pds::Account, number: i64| {
        let text = format!("{number} {name} #{}", network.tag);
        let uri = from.post(&record(&text, now() - 600_000 + number));
        network.await_shown(&uri);
    };
    // Others show posts in this feed too.
    let of_ours = |posts: Vec<Post>| -> Vec<String> {
        let posts = posts.into_iter().filter(|it| it.text.contains(&name));
        posts.map(|it| it.text).collect()
    };
    let expected = |numbers: std::ops::Range<i64>| -> Vec<String> {
        let texts = numbers.map(|it| format!("{it} {name} #{}", network.tag));
        texts.collect()
    };
    for number in 0..30 {
        show(if number % 2 == 0 { &one } else { &other }, number);
    }
    let mut cursor = None;
    let first = poll(&source, &mut cursor).await.posts;
    let of_other = first
        .iter()
        .filter(|it| it.author.as_deref() == Some(&other.handle));
    assert_eq!(of_other.count(), 15);
    assert_eq!(of_ours(first), expected(0..30));
    assert_eq!(of_ours(poll(&source, &mut cursor).await.posts), [""; 0]);
    show(&other, 30);
    assert_eq!(
        of_ours(poll(&source, &mut cursor).await.posts),
        expected(30..31)
    );
}

#[actix_rt::test]
async fn a_list_of_the_real_network_keeps_the_contract() {
    let Some(network) = Network::running() else {
        return;
    };
    let (one, other) = (network.add_account(), network.add_account());
    let list = one.list("sailors", &[&other]);
    let source = source(&network.view_url(), &list);
    let stage = Written::new(source, |record| {
        network.await_shown(&one.post(record));
        network.await_shown(&other.post(record));
    });
    keeps_the_contract(stage).await;
}

#[actix_rt::test]
async fn what_comes_into_a_feed_is_new_wherever_it_stands_and_whenever_it_was_written() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    for number in 0..250 {
        server.feature("eva", &record(&format!("post {number}"), now() - number), 0);
    }
    let mut cursor = None;
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 250);
    let old = server.feature("ben", &record("of last month", now() - 30 * DAY), 40);
    server.feature("eva", &record("of this hour", now()), 90);
    let polled = poll(&source, &mut cursor).await;
    assert_eq!(texts(&polled.posts), ["of last month", "of this hour"]);
    server.move_to(&old, 0);
    assert_eq!(poll(&source, &mut cursor).await.posts, []);
}

#[actix_rt::test]
async fn what_comes_into_view_at_the_end_because_others_left_is_not_new() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    let mut uris = Vec::new();
    for number in 0..3 {
        let record = record(&format!("post {number}"), now() - 2 * HOUR + number);
        uris.push(server.feature("eva", &record, 0));
    }
    let mut cursor = None;
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 3);
    server.unfeature(&uris[0]);
    server.feature("eva", &record("old", now() - 2 * DAY), usize::MAX);
    let polled = poll(&source, &mut cursor).await;
    assert_eq!(
        (polled.posts.len(), polled.gone.len()),
        (0, 0),
        "{polled:?}"
    );
}

#[actix_rt::test]
async fn a_feed_is_read_down_to_what_is_known_an_hour_deep_and_no_further() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    let n_calls = || server.n_calls("app.bsky.feed.getFeed");
    // Of an hour ago and more each, so that one page is deep.
    for number in 0..250 {
        server.feature(
            "eva",
            &record("post", now() - 10 * HOUR + number * 60_000),
            0,
        );
    }
    let mut cursor = None;
    poll(&source, &mut cursor).await;
    assert_eq!(n_calls(), 3);
    poll(&source, &mut cursor).await;
    assert_eq!(n_calls(), 4);
    // A page that has nothing new, and below it what came late.
    for number in 0..150 {
        server.feature("ben", &record("young", now() - 60_000 + number), 0);
    }
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 150);
    server.feature("ben", &record("late", now() - 60_000), 140);
    assert_eq!(texts(&poll(&source, &mut cursor).await.posts), ["late"]);
}

#[actix_rt::test]
async fn a_page_without_anything_to_see_is_not_the_end_and_a_feed_without_end_has_one() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    server.never_end();
    server.hide_page(1);
    for number in 0..250 {
        server.feature("eva", &record("post", now() - number), 0);
    }
    let mut cursor = None;
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 150);
    assert_eq!(server.n_calls("app.bsky.feed.getFeed"), 5);
}

#[actix_rt::test]
async fn more_that_is_new_than_a_poll_reads_is_told() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    server.feature("eva", &record("post", now() - HOUR), 0);
    let mut cursor = None;
    poll(&source, &mut cursor).await;
    for number in 0..2_100 {
        server.feature("eva", &record("post", now() - 1_000 + number / 10), 0);
    }
    let polled = poll(&source, &mut cursor).await;
    assert_eq!((polled.posts.len(), polled.warnings.len()), (2_000, 1));
}

#[actix_rt::test]
async fn filters_and_wishes_to_be_left_alone_hold_for_each_author() {
    let server = Bluesky::start();
    let source = source(&server.view_url(), FEED);
    let other = "at://did:plc:other/app.bsky.feed.post/3k";
    let mut answer = record("an answer", now() - 5_000);
    let reference = json!({"uri": other, "cid": "x"});
    answer["reply"] = json!({"root": reference, "parent": reference});
    server.feature("ann", &answer, 0);
    server.feature_as("bea", &record("again", now() - 4_000), 0, reposted);
    let label = |shown: &mut Value| {
        shown["post"]["author"]["labels"] = json!([{"val": "!no-unauthenticated"}]);
    };
    server.feature_as("cleo", &record("not outside", now() - 3_000), 0, label);
    server.feature("dora", &record("left out", now() - 2_000), 0);
    server.feature("eva", &record("no bots #nobot", now() - 1_000), 0);
    server.feature("fay", &record("taken", now()), 0);
    let polled = source.poll(None, 100).await.expect("a poll");
    let filter = Filter {
        not_from: vec!["@dora.test".to_owned()],
        ..Filter::default()
    };
    let mut told: Vec<(&str, Option<Refusal>)> = polled
        .posts
        .iter()
        .map(|it| (it.text.as_str(), filter.refusal(it)))
        .collect();
    told.sort_unstable_by_key(|(text, _)| *text);
    assert_eq!(
        told,
        [
            ("again", Some(Refusal::Repost)),
            ("an answer", Some(Refusal::Reply)),
            ("left out", Some(Refusal::Author)),
            ("no bots #nobot", Some(Refusal::OptedOut)),
            ("not outside", Some(Refusal::OptedOut)),
            ("taken", None),
        ]
    );
    let again = polled.posts.iter().find(|it| it.text == "again");
    assert_eq!(again.map(|it| it.relation), Some(Relation::Repost));
}

#[actix_rt::test]
async fn a_feed_that_is_not_there_is_refused_and_one_that_fails_is_asked_again() {
    let server = Bluesky::start();
    let nowhere = source(
        &server.view_url(),
        "https://bsky.app/profile/ana.simulated.test/feed/nothing",
    );
    let error = nowhere.poll(None, 100).await.expect_err("is not there");
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    let source = source(&server.view_url(), FEED);
    source.poll(None, 100).await.expect("a poll");
    server.refuse_next_question(502, &[], "UpstreamFailure");
    let error = source.poll(None, 100).await.expect_err("not now");
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

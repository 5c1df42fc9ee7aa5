//! What a Bluesky source does, at a simulated network and at the real server.

mod feeds;

use std::time::Duration;

use babelfeed::atproto;
use babelfeed::http::HttpConfig;
use babelfeed::sources::bluesky::{BlueskyConfig, BlueskySource, Subject};
use babelfeed_actors::domain::{Post, Relation};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError, SourceRemedy};
use serde_json::{Value, json};

use super::{NAME, Stage, follow, keeps_the_contract};
use crate::simulators::bluesky::{Bluesky, DID, HANDLE, now, written};
use crate::simulators::bluesky_network::Network;
use crate::simulators::jetstream::Jetstream;
use crate::simulators::pds::Account;

const DAY: i64 = 24 * 3_600_000;
/// How long anything may take that must become true.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(base_url: &str, account: &str) -> BlueskyConfig {
    let account = atproto::Account::parse(account).expect("an account");
    config_of(base_url, Subject::Account(account))
}

fn config_of(base_url: &str, subject: Subject) -> BlueskyConfig {
    BlueskyConfig {
        name: NAME.into(),
        subject,
        base_url: base_url.parse().expect("an address"),
        jetstream: None,
        language: Some("en".parse().expect("a tag")),
        backfill: None,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(20),
    }
}

fn record(text: &str, at: i64) -> Value {
    json!({"$type": "app.bsky.feed.post", "text": text, "createdAt": written(at)})
}

/// A source, and what writes where it reads; each text a moment after the one before.
struct Written<W> {
    source: BlueskySource,
    write: W,
    at: i64,
}

impl<W: Fn(&Value)> Written<W> {
    fn new(source: BlueskySource, write: W) -> Self {
        let at = now() - 3_600_000;
        Self { source, write, at }
    }
}

impl<W: Fn(&Value)> Stage for Written<W> {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        for text in texts {
            self.at += 1000;
            (self.write)(&record(text, self.at));
        }
    }
}

#[actix_rt::test]
async fn an_account_in_the_networks_view_keeps_the_contract() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.view_url(), HANDLE));
    keeps_the_contract(Written::new(source, |record| {
        server.write(record);
    }))
    .await;
}

#[actix_rt::test]
async fn an_account_on_a_server_without_a_view_keeps_the_contract() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.home_url(), DID));
    keeps_the_contract(Written::new(source, |record| {
        server.write(record);
    }))
    .await;
}

#[actix_rt::test]
async fn an_account_on_the_real_server_keeps_the_contract() {
    let account = Account::new();
    let source = BlueskySource::new(config(&account.base_url(), &account.handle));
    keeps_the_contract(Written::new(source, |record| {
        account.post(record);
    }))
    .await;
}

#[actix_rt::test]
async fn an_account_in_the_real_networks_view_keeps_the_contract() {
    let Some(network) = Network::running() else {
        return;
    };
    let account = network.add_account();
    let source = BlueskySource::new(config(&network.view_url(), &account.handle));
    keeps_the_contract(Written::new(source, |record| {
        network.await_shown(&account.post(record));
    }))
    .await;
}

async fn poll(source: &BlueskySource, cursor: &mut Option<Cursor>) -> Polled {
    let polled = source.poll(cursor.as_ref(), 100).await.expect("a poll");
    cursor.clone_from(&polled.cursor);
    polled
}

fn texts(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| post.text.as_str()).collect()
}

#[actix_rt::test]
async fn a_post_that_is_dated_back_is_seen_below_what_was_seen_before() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.view_url(), HANDLE));
    let mut cursor = None;
    for number in 0..150 {
        server.write(&record(&format!("post {number}"), now() - 600_000 + number));
    }
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 150);
    server.write(&record("late", now() - DAY / 2));
    server.write(&record("to come", now() + DAY));
    assert_eq!(
        texts(&poll(&source, &mut cursor).await.posts),
        ["late", "to come"]
    );
    assert_eq!(poll(&source, &mut cursor).await.posts, []);
}

#[actix_rt::test]
async fn all_of_an_account_is_read_where_all_is_wanted() {
    let server = Bluesky::start();
    for number in 0..2_150 {
        let at = now() - 30 * DAY + number * 1000;
        server.write(&record(&format!("post {number}"), at));
    }
    for address in [server.view_url(), server.home_url()] {
        let source = BlueskySource::new(config(&address, HANDLE));
        let polled = poll(&source, &mut None).await;
        assert_eq!((polled.posts.len(), polled.warnings), (2_150, vec![]));
    }
}

#[actix_rt::test]
async fn no_more_is_read_at_first_sight_than_is_wanted_and_what_is_looked_at_again() {
    let server = Bluesky::start();
    for number in 0..150 {
        server.write(&record(&format!("old {number}"), now() - 9 * DAY + number));
        server.write(&record(&format!("new {number}"), now() - DAY / 2 + number));
    }
    let source = BlueskySource::new(BlueskyConfig {
        backfill: Some(3),
        ..config(&server.view_url(), HANDLE)
    });
    let mut cursor = None;
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 200);
    assert_eq!(poll(&source, &mut cursor).await.posts, []);
}

#[actix_rt::test]
async fn what_comes_into_view_because_others_left_it_is_not_new() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.view_url(), HANDLE));
    let mut cursor = None;
    let first = server.write(&record("old", now() - 10 * DAY));
    let recent = server.write(&record("recent", now() - 1000));
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 2);
    server.remove(recent.rsplit('/').next().expect("a key"));
    assert!(!first.is_empty());
    let polled = poll(&source, &mut cursor).await;
    assert_eq!((polled.posts.len(), polled.gone.len()), (0, 0));
}

#[actix_rt::test]
async fn what_is_deleted_on_the_server_that_keeps_it_is_gone() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.home_url(), HANDLE));
    let mut cursor = None;
    let uri = server.write(&record("one", now() - 2000));
    server.write(&record("two", now() - 1000));
    assert_eq!(poll(&source, &mut cursor).await.posts.len(), 2);
    server.remove(uri.rsplit('/').next().expect("a key"));
    let again = source.poll(cursor.as_ref(), 100).await.expect("a poll");
    assert_eq!(again.gone, [uri.as_str()]);
    assert_eq!(poll(&source, &mut cursor).await.gone, [uri.as_str()]);
    assert_eq!(poll(&source, &mut cursor).await.gone, [""; 0]);
}

#[actix_rt::test]
async fn old_posts_that_are_brought_along_hide_no_new_one_and_delete_none() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.home_url(), HANDLE));
    let mut cursor = None;
    server.write(&record("one", now() - 2000));
    assert_eq!(texts(&poll(&source, &mut cursor).await.posts), ["one"]);
    server.write(&record("two", now() - 1000));
    for number in 0..150 {
        server.write(&record("of another network", now() - 30 * DAY + number));
    }
    let polled = poll(&source, &mut cursor).await;
    assert_eq!(texts(&polled.posts), ["two"]);
    assert_eq!(polled.gone, [""; 0]);
}

#[actix_rt::test]
async fn a_thread_and_what_belongs_to_others_are_told_apart() {
    let server = Bluesky::start();
    let root = server.write(&record("root", now() - 4000));
    let reference = |uri: &str| json!({"uri": uri, "cid": "x"});
    let mut answer = record("answer", now() - 3000);
    answer["reply"] = json!({"root": reference(&root), "parent": reference(&root)});
    server.write(&answer);
    let mut reply = record("reply", now() - 2000);
    let other = "at://did:plc:other/app.bsky.feed.post/3k";
    reply["reply"] = json!({"root": reference(other), "parent": reference(other)});
    server.write(&reply);
    server.repost("of others");
    let source = BlueskySource::new(config(&server.view_url(), HANDLE));
    let polled = source.poll(None, 100).await.expect("a poll");
    let told: Vec<(&str, Relation, Option<&str>)> = polled
        .posts
        .iter()
        .map(|it| (it.text.as_str(), it.relation, it.parent.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("root", Relation::Own, None),
            ("answer", Relation::Own, Some(root.as_str())),
            ("reply", Relation::Reply, None),
            ("of others", Relation::Repost, None),
        ]
    );
    assert_eq!(polled.posts[0].author.as_deref(), Some(HANDLE));
    assert_eq!(polled.posts[3].author.as_deref(), Some("other.test"));
}

#[actix_rt::test]
async fn media_are_found_in_the_view_and_on_the_server_that_keeps_them() {
    let server = Bluesky::start();
    let mut post = record("mira", now() - 1000);
    post["langs"] = json!(["es"]);
    post["labels"] = json!({"values": [{"val": "nudity"}]});
    post["embed"] = json!({"$type": "app.bsky.embed.images", "images": [{
        "alt": "un barco", "image": {"$type": "blob", "ref": {"$link": "bafk"}, "mimeType": "image/png", "size": 9},
    }]});
    server.write(&post);
    let home = server.home_url();
    let at_home = format!("{home}/xrpc/com.atproto.sync.getBlob?did={DID}&cid=bafk");
    let in_view = "https://cdn.simulated.test/full/bafk".to_owned();
    for (base_url, address) in [(server.view_url(), in_view), (home, at_home)] {
        let source = BlueskySource::new(config(&base_url, HANDLE));
        let polled = source.poll(None, 100).await.expect("a poll");
        let post = &polled.posts[0];
        assert_eq!(post.media[0].url, address);
        assert_eq!(post.media[0].alt.as_deref(), Some("un barco"));
        assert_eq!(post.language.as_ref().map(|it| it.as_str()), Some("es"));
        assert!(post.is_sensitive);
    }
}

#[actix_rt::test]
async fn a_refusal_is_told_apart() {
    let server = Bluesky::start();
    let source = BlueskySource::new(config(&server.view_url(), DID));
    source.poll(None, 100).await.expect("a poll");
    let date = ("Date", "Sat, 21 Nov 2020 12:00:00 GMT");
    let reset = ("RateLimit-Reset", "1605960300");
    server.refuse_next_question(429, &[date, reset], "RateLimitExceeded");
    let busy = source.poll(None, 100).await.expect_err("too often");
    let wait = Some(Duration::from_secs(301));
    assert_eq!(busy.remedy(), SourceRemedy::Retry(wait));
    server.refuse_next_question(502, &[], "UpstreamFailure");
    let broken = source.poll(None, 100).await.expect_err("not now");
    assert_eq!(broken.remedy(), SourceRemedy::Retry(None));
    server.refuse_next_question(400, &[], "BlockedActor");
    let refused = source.poll(None, 100).await.expect_err("not us");
    assert_eq!(refused.remedy(), SourceRemedy::Person);
    let nobody = BlueskySource::new(config(&server.view_url(), "nobody.test"));
    let error = nobody.poll(None, 100).await.expect_err("nobody");
    assert!(matches!(error, SourceError::Refused { .. }));
}

fn event(at: u64, operation: &str, uri: &str) -> Value {
    let key = uri.rsplit('/').next().expect("a key");
    json!({"did": DID, "time_us": at, "kind": "commit", "commit": {
        "rev": "3k", "operation": operation, "collection": "app.bsky.feed.post", "rkey": key,
    }})
}

/// Waits for news, which must come in good time.
async fn news(source: &BlueskySource) {
    let told = tokio::time::timeout(PATIENCE, source.news()).await;
    told.expect("news in good time");
}

#[actix_rt::test]
async fn a_stream_tells_of_posts_and_deletions_and_is_heard_again_from_where_it_was() {
    let server = Bluesky::start();
    let jetstream = Jetstream::start();
    let listening = || BlueskyConfig {
        jetstream: Some(jetstream.url().parse().expect("an address")),
        ..config(&server.view_url(), HANDLE)
    };
    let source = BlueskySource::new(listening());
    let mut cursor = None;
    let one = server.write(&record("one", now() - 1000));
    assert_eq!(texts(&poll(&source, &mut cursor).await.posts), ["one"]);
    // Whoever begins to listen polls once more.
    news(&source).await;
    assert_eq!(poll(&source, &mut cursor).await.posts, []);

    // The view shows a post later than the stream tells of it.
    server.lag();
    let two = server.write(&record("two", now()));
    jetstream.tell(event(1_000, "create", &two));
    news(&source).await;
    assert_eq!(poll(&source, &mut cursor).await.posts, []);
    server.catch_up();
    news(&source).await;
    assert_eq!(texts(&poll(&source, &mut cursor).await.posts), ["two"]);

    // A deletion is told until a poll's cursor was kept, also by a program that was restarted.
    jetstream.tell(event(2_000, "delete", &one));
    news(&source).await;
    let untaken = source.poll(cursor.as_ref(), 100).await.expect("a poll");
    assert_eq!(untaken.gone, [one.as_str()]);
    drop(source);
    let restarted = BlueskySource::new(listening());
    let first = restarted.poll(cursor.as_ref(), 100).await.expect("a poll");
    assert_eq!(first.gone, [""; 0], "nothing was heard yet");
    cursor = first.cursor;
    let gone = loop {
        news(&restarted).await;
        let polled = poll(&restarted, &mut cursor).await;
        if !polled.gone.is_empty() {
            break polled.gone;
        }
    };
    assert_eq!(gone, [one]);
    assert!(
        jetstream.asked()[1].contains("&cursor=1000"),
        "{:?}",
        jetstream.asked()
    );

    // After a break, somebody polls, for what the stream has no more.
    server.write(&record("three", now()));
    jetstream.cut();
    while jetstream.asked().len() < 3 {
        news(&restarted).await;
    }
    assert_eq!(
        texts(&follow(&restarted, &mut cursor, 100).await),
        ["three"]
    );
    assert!(
        jetstream.asked()[2].contains("&cursor=2000"),
        "{:?}",
        jetstream.asked()
    );
}

#[actix_rt::test]
async fn a_source_that_rests_hears_later_what_was_deleted_meanwhile() {
    let server = Bluesky::start();
    let jetstream = Jetstream::start();
    let source = BlueskySource::new(BlueskyConfig {
        jetstream: Some(jetstream.url().parse().expect("an address")),
        ..config(&server.view_url(), HANDLE)
    });
    let mut cursor = None;
    let (one, two) = (
        server.write(&record("one", now() - 2_000)),
        server.write(&record("two", now() - 1_000)),
    );
    poll(&source, &mut cursor).await;
    news(&source).await;
    jetstream.tell(event(1_000, "delete", &one));
    news(&source).await;
    let untaken = cursor.clone();
    assert_eq!(poll(&source, &mut cursor).await.gone, [one.as_str()]);
    assert_eq!(poll(&source, &mut cursor).await.gone, [""; 0]);
    let again = poll(&source, &mut untaken.clone()).await;
    assert_eq!(again.gone, [one.as_str()], "it was shown, and not taken");
    source.taken(cursor.as_ref().expect("a cursor"));
    let again = poll(&source, &mut untaken.clone()).await;
    assert_eq!(again.gone, [""; 0], "it was taken");

    source.rest();
    jetstream.tell(event(2_000, "delete", &two));
    assert_eq!(poll(&source, &mut cursor).await.gone, [""; 0]);
    assert_eq!(jetstream.asked().len(), 1, "nobody listens");
    let gone = loop {
        news(&source).await;
        let polled = poll(&source, &mut cursor).await;
        if !polled.gone.is_empty() {
            break polled.gone;
        }
    };
    assert_eq!(gone, [two]);
    assert!(jetstream.asked()[1].contains("&cursor=1000"));
}

#[actix_rt::test]
async fn posts_that_an_outlet_of_ours_published_say_so() {
    let server = Bluesky::start();
    let id = "019aa5c3-1c5e-7000-8000-000000000101";
    let mut ours = record("hola", now() - 1000);
    ours["via"] = json!(format!("babelfeed {id}"));
    server.write(&ours);
    let source = BlueskySource::new(config(&server.view_url(), HANDLE));
    let polled = source.poll(None, 100).await.expect("a poll");
    assert_eq!(polled.posts[0].publication, id.parse().ok());
}

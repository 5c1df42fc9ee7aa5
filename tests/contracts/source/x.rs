//! What a source on X does when X behaves as it does.

use std::collections::BTreeSet;
use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::secret::Secret;
use babelfeed::sources::x::{Apps, Extent, LeftOut, XConfig, XSource};
use babelfeed::x::post::Spelling;
use babelfeed::x::prices::Prices;
use babelfeed::x::{ApiConfig, Identity};
use babelfeed_actors::domain::{Post, Relation};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};

use super::{NAME, Stage, follow, keeps_the_contract};
use crate::simulators::faults::Fault;
use crate::simulators::x::{APP_TOKEN, Names, X};

struct Accounts {
    source: XSource,
    server: X,
}

impl Accounts {
    fn new(names: &[&str]) -> Self {
        Self::shaped(names, |_| {})
    }

    fn shaped(names: &[&str], shape: impl FnOnce(&mut XConfig)) -> Self {
        let server = X::start();
        for name in names {
            server.join(name);
        }
        let source = source(&server, names, shape);
        Self { source, server }
    }

    async fn poll(&self, cursor: &mut Option<Cursor>) -> Polled {
        let polled = self.source.poll(cursor.as_ref(), 500).await;
        let polled = polled.expect("a poll");
        *cursor = polled.cursor.clone();
        polled
    }

    fn n_calls(&self, what: &str) -> usize {
        let requests = self.server.requests();
        let calls = requests.iter().filter(|it| it.path.contains(what));
        calls.count()
    }
}

fn source(server: &X, names: &[&str], shape: impl FnOnce(&mut XConfig)) -> XSource {
    source_of(&Apps::default(), server, names, shape)
}

/// A source of an app that others may share.
fn source_of(apps: &Apps, server: &X, names: &[&str], shape: impl FnOnce(&mut XConfig)) -> XSource {
    let mut config = XConfig {
        name: NAME.into(),
        api: ApiConfig {
            base_url: server.base_url(),
            identity: Identity::App(Secret::new(APP_TOKEN)),
            spelling: Spelling::Tweet,
            http: HttpConfig::default(),
            timeout: Duration::from_secs(5),
        },
        accounts: names.iter().map(|name| format!("@{name}")).collect(),
        left_out: BTreeSet::new(),
        language: None,
        backfill: None,
        prices: Prices::default(),
        streams: false,
        extent: Extent::Whole,
    };
    shape(&mut config);
    XSource::new(config, apps).expect("a base address")
}

impl Stage for Accounts {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        for text in texts {
            self.server.show("ana", text);
        }
    }
}

fn texts(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| post.text.as_str()).collect()
}

#[actix_rt::test]
async fn an_account_on_x_keeps_the_contract() {
    keeps_the_contract(Accounts::new(&["ana"])).await;
}

#[actix_rt::test]
async fn several_accounts_on_x_keep_the_contract() {
    keeps_the_contract(Accounts::new(&["ana", "ben"])).await;
}

#[actix_rt::test]
async fn pages_that_grow_meanwhile_lose_and_double_nothing() {
    let accounts = Accounts::new(&["ana"]);
    accounts.server.set_page(5);
    for number in 0..23 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let mut cursor = None;
    let first = follow(&accounts.source, &mut cursor, 100).await;
    assert_eq!(first.len(), 23);
    for number in 23..40 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let unread = accounts.source.poll(cursor.as_ref(), 100).await;
    let again = accounts.poll(&mut cursor).await;
    assert_eq!(unread.expect("a poll").posts, again.posts);
    let expected: Vec<String> = (23..40).map(|number| format!("number {number}")).collect();
    assert_eq!(texts(&again.posts), expected);
}

#[actix_rt::test]
async fn a_poll_that_breaks_off_moves_nothing() {
    let accounts = Accounts::new(&["ana"]);
    accounts.server.show("ana", "one");
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    accounts.server.set_page(5);
    for number in 0..12 {
        accounts.server.show("ana", &format!("number {number}"));
    }
    let busy = Fault::answer(429, &[("x-rate-limit-remaining", "0")], "{}");
    accounts.server.fail_next_read(busy);
    let error = accounts.source.poll(cursor.as_ref(), 100).await;
    let error = error.expect_err("is refused");
    assert!(matches!(error, SourceError::Busy { .. }), "{error}");
    assert_eq!(accounts.poll(&mut cursor).await.posts.len(), 12);
}

#[actix_rt::test]
async fn what_a_post_has_is_read_in_both_spellings() {
    for (names, spelling) in [
        (Names::Tweets, Spelling::Tweet),
        (Names::Posts, Spelling::Post),
    ] {
        let accounts = Accounts::shaped(&["ana", "ben"], |it| {
            it.accounts = vec!["ana".to_owned()];
            it.api.spelling = spelling;
        });
        let server = &accounts.server;
        server.set_names(names);
        let key = server.keep_media("photo", Some("A boat"));
        let film = server.keep_media("video", None);
        let first = server.show_as(
            "ana",
            "Cats & dogs <3 👋 https://example.org/a?b=1&c=2 bare.com",
            |it| it.media = vec![key.clone(), film.clone()],
        );
        let second = server.show_as("ana", "goes on", |it| it.parent = Some(first));
        let other = server.show("ben", "something long that a repost would cut");
        server.show_as("ana", "I agree", |it| it.parent = Some(other));
        server.show_as("ana", "Look", |it| it.quoted = Some(other));
        server.show_as("ana", "", |it| it.reposted = Some(other));
        server.show_as("ana", "And?", |it| {
            it.options = vec!["Yes".to_owned(), "No".to_owned()];
            it.versions = vec![17];
            it.lang = "und".to_owned();
        });
        let long = "word ".repeat(100) + "https://example.com/end";
        server.show("ana", &long);

        let posts = accounts.poll(&mut None).await.posts;
        let [one, two, reply, quote, repost, poll, whole] = &posts[..] else {
            panic!("{posts:#?}");
        };
        assert_eq!(
            one.text,
            "Cats & dogs <3 👋 https://example.org/a?b=1&c=2 http://bare.com"
        );
        assert_eq!(one.language, Some("en".parse().expect("a tag")));
        assert_eq!(one.media[0].alt.as_deref(), Some("A boat"));
        assert_eq!(one.media[1].url, "https://video.twimg.com/large.mp4");
        assert_eq!(one.url, Some(format!("https://x.com/ana/status/{first}")));
        assert!(one.created_at.is_some());
        assert_eq!(two.parent, Some(first.to_string()));
        assert_eq!(
            (two.relation, reply.relation),
            (Relation::Own, Relation::Reply)
        );
        assert_eq!(two.id, second.to_string());
        assert_eq!(reply.parent, None);
        assert_eq!(
            (quote.relation, quote.text.as_str()),
            (Relation::Quote, "Look")
        );
        let quoted = format!("https://x.com/i/status/{other}");
        assert_eq!(quote.quoted, Some(quoted));
        assert_eq!(repost.relation, Relation::Repost);
        assert_eq!(repost.text, "something long that a repost would cut");
        assert_eq!(poll.poll.as_ref().map(|it| it.options.len()), Some(2));
        assert_eq!((poll.id.as_str(), &poll.language), ("17", &None));
        assert_eq!(whole.text, long);
    }
}

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
async fn many_accounts_are_read_by_few_calls_and_cost_the_same() {
    let names: Vec<String> = (0..40)
        .map(|number| format!("account_{number:07}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let accounts = Accounts::new(&names);
    for name in &names {
        accounts.server.show(name, &format!("first of {name}"));
    }
    let mut cursor = None;
    assert_eq!(accounts.poll(&mut cursor).await.posts.len(), 40);
    let (lookups, timelines) = (
        accounts.n_calls("/by/username/"),
        accounts.n_calls("/tweets"),
    );
    assert_eq!(lookups, 40);
    for name in &names {
        accounts.server.show(name, &format!("second of {name}"));
    }
    let restarted = source(&accounts.server, &names, |_| {});
    let polled = restarted.poll(cursor.as_ref(), 500).await.expect("a poll");
    assert_eq!(polled.posts.len(), 40);
    assert_eq!(
        accounts.n_calls("/by/username/"),
        40,
        "names are looked up once"
    );
    let n_searches = accounts.n_calls("/search/recent");
    assert_eq!(accounts.n_calls("/tweets"), timelines + n_searches);
    assert!(n_searches <= 3, "{n_searches}");
    let nothing = restarted.poll(polled.cursor.as_ref(), 500).await;
    assert_eq!(nothing.expect("a poll").posts, []);
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
async fn an_account_that_is_gone_does_not_hold_up_the_others() {
    let accounts = Accounts::shaped(&["ana", "ben"], |it| {
        it.accounts.push("nobody".to_owned());
    });
    accounts.server.show("ana", "one");
    let mut cursor = None;
    let first = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&first.posts), ["one"]);
    assert_eq!(first.warnings.len(), 1, "{:?}", first.warnings);
    accounts.server.show("ben", "two");
    let second = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&second.posts), ["two"]);
    assert_eq!(second.warnings, Vec::<String>::new(), "it was told");
}

#[actix_rt::test]
async fn a_wrong_token_is_told_and_never_shown() {
    let accounts = Accounts::shaped(&["ana"], |it| {
        it.api.identity = Identity::App(Secret::new("a-wrong-token"));
    });
    let error = accounts.source.poll(None, 10).await.expect_err("refused");
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-token"));
}

#[actix_rt::test]
async fn what_a_search_finds_late_is_shown_once_and_what_was_there_before_is_not() {
    let accounts = Accounts::shaped(&["ana", "ben"], |it| it.backfill = Some(0));
    let late = |accounts: &Accounts, text: &str| {
        accounts.server.show_as("ana", text, |it| it.is_late = true);
    };
    for number in 0..20 {
        accounts.server.show("ana", &format!("before {number}"));
    }
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    late(&accounts, "late");
    accounts.server.show("ana", "young");
    accounts.server.show("ben", "other");
    let first = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&first.posts), ["young", "other"]);
    accounts.server.find_late();
    let untaken = accounts.source.poll(cursor.as_ref(), 500).await;
    let second = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&untaken.expect("a poll").posts), ["late"]);
    assert_eq!(texts(&second.posts), ["late"]);
    assert_eq!(accounts.poll(&mut cursor).await.posts, []);
    assert!(accounts.n_calls("/search/recent") > 0);
    assert_charged(&accounts, 0.0);
}

#[actix_rt::test]
async fn an_account_that_could_not_be_read_is_caught_up_with_alone() {
    let accounts = Accounts::new(&["ana", "ben", "eva"]);
    accounts.server.show("ana", "one");
    accounts.server.show("ben", "one");
    let mut cursor = None;
    accounts.poll(&mut cursor).await;
    accounts.server.show("ana", "two");
    accounts.server.show("ben", "two");
    // The search is refused, and then the timeline of the first.
    for _ in 0..2 {
        let refused = Fault::answer(400, &[], "{\"title\":\"Invalid Request\"}");
        accounts.server.fail_next_read(refused);
    }
    let polled = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&polled.posts), ["two"]);
    assert_eq!(polled.warnings.len(), 1, "{:?}", polled.warnings);
    let (timelines, searches) = (accounts.n_calls("/users/"), accounts.n_calls("/recent"));
    let caught_up = accounts.poll(&mut cursor).await;
    assert_eq!(texts(&caught_up.posts), ["two"]);
    accounts.poll(&mut cursor).await;
    assert_eq!(accounts.n_calls("/users/"), timelines + 1);
    assert_eq!(accounts.n_calls("/recent"), searches + 2);
    assert_charged(&accounts, 0.0);
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

/// Asserts that what was charged since, and before, is what was billed; returns all of it.
fn assert_charged(accounts: &Accounts, before: f64) -> f64 {
    let charged = before + accounts.source.charged();
    let billed = accounts.server.billed(None);
    assert!((charged - billed).abs() < 1e-9, "{charged}, not {billed}");
    charged
}

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

async fn wait_until(is_true: impl Fn() -> bool) {
    let looking = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(10), looking).await;
    looked.expect("in good time");
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

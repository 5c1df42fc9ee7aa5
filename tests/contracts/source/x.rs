//! What a source on X does when X behaves as it does.

mod cost;
mod stream;

use std::collections::BTreeSet;
use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::secret::Secret;
use babelfeed::sources::x::{Apps, Extent, XConfig, XSource};
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
        usd_per_day: None,
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

/// Asserts that what was charged since, and before, is what was billed; returns all of it.
fn assert_charged(accounts: &Accounts, before: f64) -> f64 {
    let charged = before + accounts.source.charged();
    let billed = accounts.server.billed(None);
    assert!((charged - billed).abs() < 1e-9, "{charged}, not {billed}");
    charged
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

//! What a Mastodon source does when accounts live and servers behave as servers do.

use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::secret::Secret;
use babelfeed::sources::mastodon::{MastodonConfig, MastodonSource};
use babelfeed_actors::domain::{Audience, Post, Relation};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError, SourceRemedy};
use serde_json::json;

use super::{NAME, Stage, follow, keeps_the_contract, wait_until};
use crate::simulators::faults::Fault;
use crate::simulators::mastodon::{ACCOUNT, Keys, Mastodon, OTHER, Posted, TOKEN};

struct Account {
    source: MastodonSource,
    server: Mastodon,
}

impl Account {
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(change: impl FnOnce(MastodonConfig) -> MastodonConfig) -> Self {
        let server = Mastodon::start(Keys::Kept);
        let source = MastodonSource::new(change(config(&server)));
        Self { source, server }
    }

    fn show(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.server.post_elsewhere(&format!("number {number}"));
        }
    }

    async fn poll(&self, cursor: &mut Option<Cursor>) -> Polled {
        let polled = self.source.poll(cursor.as_ref(), 500).await;
        let polled = polled.expect("a poll");
        *cursor = polled.cursor.clone();
        polled
    }
}

fn config(server: &Mastodon) -> MastodonConfig {
    MastodonConfig {
        name: NAME.into(),
        base_url: server.base_url().parse().expect("an address"),
        account: "@bot".to_owned(),
        token: None,
        language: None,
        backfill: None,
        streams: false,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    }
}

fn with_token(config: MastodonConfig) -> MastodonConfig {
    MastodonConfig {
        token: Some(Secret::new(TOKEN)),
        ..config
    }
}

impl Stage for Account {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        for text in texts {
            self.server.post_elsewhere(text);
        }
    }
}

fn texts(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| post.text.as_str()).collect()
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("number {number}")).collect()
}

async fn failure(fault: Fault) -> SourceError {
    let account = Account::new();
    account.server.fail_next_read(fault);
    account.source.poll(None, 100).await.expect_err("a failure")
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Fault {
    Fault::answer(status, headers, "{\"error\":\"no\"}")
}

#[actix_rt::test]
async fn an_account_keeps_the_contract() {
    keeps_the_contract(Account::new()).await;
}

#[actix_rt::test]
async fn an_account_on_a_server_without_pages_keeps_the_contract() {
    let account = Account::new();
    account.server.forget_pages();
    keeps_the_contract(account).await;
}

#[actix_rt::test]
async fn a_gap_of_several_pages_is_walked_without_loss() {
    for has_pages in [true, false] {
        let account = Account::new();
        if !has_pages {
            account.server.forget_pages();
        }
        account.show(0..3);
        let mut cursor = None;
        follow(&account.source, &mut cursor, 500).await;
        account.show(3..133);
        let posts = follow(&account.source, &mut cursor, 500).await;
        assert_eq!(texts(&posts), numbers(3..133), "{has_pages}");
        let asked = account.server.requests();
        assert!(asked.iter().all(|it| !it.query.contains_key("since_id")));
    }
}

#[actix_rt::test]
async fn posts_that_come_while_an_account_is_walked_are_not_missed() {
    let account = Account::new();
    account.show(0..60);
    let mut cursor = None;
    let first = account.poll(&mut cursor).await;
    account.show(60..130);
    let rest = follow(&account.source, &mut cursor, 500).await;
    let all = [first.posts, rest].concat();
    assert_eq!(texts(&all), numbers(0..130));
}

#[actix_rt::test]
async fn at_first_sight_no_more_pages_are_read_than_are_wanted() {
    for (backfill, n_calls) in [(0, 1), (40, 1), (41, 2), (500, 5)] {
        let account = Account::with(|config| MastodonConfig {
            backfill: Some(backfill),
            ..config
        });
        account.show(0..130);
        let mut cursor = None;
        let posts = account.poll(&mut cursor).await.posts;
        assert!(posts.len() >= backfill.min(130), "{backfill}");
        assert_eq!(posts.last().map(|it| it.text.as_str()), Some("number 129"));
        let asked = account.server.requests();
        let pages = asked.iter().filter(|it| it.path.ends_with("/statuses"));
        assert_eq!(pages.count(), n_calls, "{backfill}");
        account.show(130..132);
        let later = follow(&account.source, &mut cursor, 500).await;
        assert_eq!(texts(&later), numbers(130..132), "{backfill}");
    }
}

#[actix_rt::test]
async fn what_was_edited_is_shown_again_and_what_was_deleted_is_told() {
    let account = Account::new();
    let ids: Vec<String> = (0..4)
        .map(|number| account.server.post_elsewhere(&format!("number {number}")))
        .collect();
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    account.server.rewrite(&ids[1], "number one");
    account.server.remove(&ids[2]);
    let before = cursor.clone();
    let polled = account.poll(&mut cursor).await;
    assert_eq!(texts(&polled.posts), ["number one"]);
    assert_eq!(polled.posts[0].id, ids[1]);
    assert_eq!(polled.gone, [ids[2].clone()]);
    let mut repeated = before;
    let again = account.poll(&mut repeated).await;
    assert_eq!((again.posts, again.gone), (polled.posts, polled.gone));
    let nothing = account.poll(&mut cursor).await;
    assert_eq!((nothing.posts, nothing.gone), (vec![], vec![]));
}

#[actix_rt::test]
async fn a_status_that_an_edit_moves_up_hides_none_below_it() {
    for n_new in [2, 60] {
        let account = Account::new();
        account.server.renew_edited();
        let ids: Vec<String> = (0..4)
            .map(|number| account.server.post_elsewhere(&format!("number {number}")))
            .collect();
        let mut cursor = None;
        follow(&account.source, &mut cursor, 500).await;
        account.show(4..4 + n_new);
        account.server.rewrite(&ids[1], "number one");
        account.show(4 + n_new..6 + n_new);
        let mut posts = follow(&account.source, &mut cursor, 500).await;
        let edited = posts.iter().position(|post| post.id == ids[1]);
        let edited = posts.remove(edited.expect("the edit is shown"));
        assert_eq!(edited.text, "number one");
        assert_eq!(texts(&posts), numbers(4..6 + n_new), "{n_new}");
        let nothing = account.poll(&mut cursor).await;
        assert_eq!((nothing.posts, nothing.gone), (vec![], vec![]));
    }
}

#[actix_rt::test]
async fn an_account_of_which_all_was_edited_tells_that() {
    let account = Account::new();
    let id = account.server.post_elsewhere("one");
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    account.server.rewrite(&id, "two");
    assert_eq!(texts(&account.poll(&mut cursor).await.posts), ["two"]);
    assert_eq!(account.poll(&mut cursor).await.posts, []);
}

#[actix_rt::test]
async fn many_deletions_are_told_poll_by_poll_and_none_is_forgotten() {
    let account = Account::new();
    let ids: Vec<String> = (0..40)
        .map(|number| account.server.post_elsewhere(&format!("number {number}")))
        .collect();
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    for id in &ids[1..] {
        account.server.remove(id);
    }
    // The answers to some of the questions are lost.
    let page = Fault::ReplyLost;
    let mut gone: Vec<String> = Vec::new();
    let mut n_polls = 0;
    while gone.len() < 39 {
        account.show(100 + 30 * n_polls..130 + 30 * n_polls);
        let polled = account.source.poll(cursor.as_ref(), 500).await;
        let Ok(polled) = polled else { continue };
        cursor = polled.cursor.or(cursor);
        gone.extend(polled.gone);
        n_polls += 1;
        assert!(n_polls < 10, "{gone:?}");
        if n_polls == 1 {
            account.server.fail_next_read(page.clone());
        }
    }
    gone.sort();
    assert_eq!(gone, ids[1..]);
}

#[actix_rt::test]
async fn an_account_that_deleted_everything_is_told_as_such() {
    let account = Account::new();
    let id = account.server.post_elsewhere("one");
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    account.server.remove(&id);
    assert_eq!(account.poll(&mut cursor).await.gone, [id]);
    account.show(5..6);
    let posts = follow(&account.source, &mut cursor, 500).await;
    assert_eq!(texts(&posts), ["number 5"]);
}

#[actix_rt::test]
async fn everything_that_a_status_has_is_read() {
    let account = Account::with(with_token);
    let picture = account.server.hand_in("image/png", "a cat");
    let first = account.server.post_elsewhere("one");
    let reply_to = |id: &str, account: &str| Posted {
        in_reply_to_id: Some(id.to_owned()),
        in_reply_to_account_id: Some(account.to_owned()),
        ..Posted::default()
    };
    account.server.write(Posted {
        text: "two @ana@b.example https://example.org/a/very/long/way/to/somewhere #tag :cat:"
            .into(),
        language: Some("de".into()),
        visibility: Some("unlisted".into()),
        warning: Some("loud".into()),
        is_sensitive: true,
        media: vec![picture],
        poll: Some(json!({"options": ["a", "b"], "multiple": true})),
        ..reply_to(&first, ACCOUNT)
    });
    account.server.write(Posted {
        text: "no".into(),
        visibility: Some("private".into()),
        ..reply_to("99", OTHER)
    });
    account.server.write(Posted {
        reblog: Some(json!({
            "id": "5", "content": "<p>theirs</p>", "url": "https://b.example/5",
            "account": {"id": OTHER, "acct": "ana@b.example"},
        })),
        ..Posted::default()
    });
    account.server.write(Posted {
        text: "look".into(),
        quoted: Some("5".into()),
        ..Posted::default()
    });
    let posts = follow(&account.source, &mut None, 500).await;
    let [one, two, reply, repost, quote] = &posts[..] else {
        panic!("{posts:?}");
    };
    assert_eq!(
        two.text,
        "two @ana@b.example https://example.org/a/very/long/way/to/somewhere #tag :cat:"
    );
    assert_eq!(two.parent.as_ref(), Some(&one.id));
    assert_eq!(
        (two.relation, two.audience),
        (Relation::Own, Audience::Unlisted)
    );
    assert_eq!(two.language.as_ref().map(|it| it.as_str()), Some("de"));
    assert_eq!(
        (two.warning.as_deref(), two.is_sensitive),
        (Some("loud"), true)
    );
    assert_eq!(two.media[0].alt.as_deref(), Some("a cat"));
    assert_eq!(two.poll.as_ref().expect("a poll").options, ["a", "b"]);
    assert_eq!(
        (reply.relation, reply.audience),
        (Relation::Reply, Audience::Followers)
    );
    assert_eq!(reply.parent, None);
    assert_eq!(
        (repost.relation, repost.text.as_str()),
        (Relation::Repost, "theirs")
    );
    assert_eq!(repost.author.as_deref(), Some("@ana@b.example"));
    assert_eq!(quote.relation, Relation::Quote);
    assert!(quote.quoted.as_ref().is_some_and(|it| it.ends_with("/5")));
}

#[actix_rt::test]
async fn what_followers_read_needs_a_token() {
    let private = || Posted {
        text: "ours".into(),
        visibility: Some("private".into()),
        ..Posted::default()
    };
    let account = Account::new();
    account.server.write(private());
    assert_eq!(follow(&account.source, &mut None, 500).await, []);
    let account = Account::with(with_token);
    account.server.write(private());
    let posts = follow(&account.source, &mut None, 500).await;
    assert_eq!(posts[0].audience, Audience::Followers);
}

#[actix_rt::test]
async fn a_refusal_is_told_apart() {
    let wait = Some(Duration::from_secs(7));
    for (status, remedy) in [
        (401, SourceRemedy::Person),
        (403, SourceRemedy::Person),
        (404, SourceRemedy::Person),
        (410, SourceRemedy::Stop),
        (429, SourceRemedy::Retry(wait)),
        (500, SourceRemedy::Retry(None)),
        (503, SourceRemedy::Retry(wait)),
    ] {
        let error = failure(answer(status, &[("Retry-After", "7")])).await;
        assert_eq!(error.remedy(), remedy, "{status}");
    }
    let error = failure(answer(200, &[])).await;
    assert!(matches!(error, SourceError::Malformed { .. }), "{error}");
}

#[actix_rt::test]
async fn a_spent_limit_is_waited_for_by_the_servers_clock() {
    let account = Account::new();
    account.server.set_lead(-90);
    account.server.set_budget(1, 120);
    let error = account.source.poll(None, 100).await.expect_err("spent");
    let SourceRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    assert!((115..=125).contains(&wait.as_secs()), "{wait:?}");
    account.server.renew_budget();
    account.source.poll(None, 100).await.expect("a poll");
}

#[actix_rt::test]
async fn a_server_that_is_closed_to_strangers_says_so() {
    let account = Account::new();
    account.server.close();
    let error = account.source.poll(None, 100).await.expect_err("is closed");
    assert!(matches!(error, SourceError::Refused { .. }));
    assert!(error.to_string().contains("authenticated user"), "{error}");
}

#[actix_rt::test]
async fn an_account_that_is_not_there_is_refused_and_a_suspended_one_has_ended() {
    let nobody = Account::with(|config| MastodonConfig {
        account: "nobody".into(),
        ..config
    });
    let error = nobody.source.poll(None, 100).await.expect_err("is unknown");
    assert_eq!(error.remedy(), SourceRemedy::Person);
    let account = Account::new();
    account.server.suspend();
    let error = account.source.poll(None, 100).await.expect_err("is gone");
    assert_eq!(error.remedy(), SourceRemedy::Stop);
}

#[actix_rt::test]
async fn a_connection_that_breaks_once_is_tried_again() {
    let account = Account::new();
    account.show(0..1);
    account.server.fail_next_read(Fault::RequestLost);
    let posts = follow(&account.source, &mut None, 500).await;
    assert_eq!(texts(&posts), numbers(0..1));
}

/// An account whose stream is read.
async fn streamed() -> (Account, Option<Cursor>) {
    let account = Account::with(|config| MastodonConfig {
        streams: true,
        ..with_token(config)
    });
    account.show(0..1);
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    news(&account).await;
    (account, cursor)
}

async fn news(account: &Account) {
    let news = tokio::time::timeout(Duration::from_secs(10), account.source.news()).await;
    news.expect("news in time");
}

#[actix_rt::test]
async fn a_stream_tells_of_new_posts_at_once_and_when_it_was_opened_again() {
    let (account, mut cursor) = streamed().await;
    let nothing = tokio::time::timeout(Duration::from_millis(50), account.source.news()).await;
    assert!(nothing.is_err(), "nothing has happened");
    account.show(1..2);
    news(&account).await;
    assert_eq!(texts(&account.poll(&mut cursor).await.posts), numbers(1..2));
    account.server.drop_streams();
    account.show(2..3);
    news(&account).await;
    assert_eq!(texts(&account.poll(&mut cursor).await.posts), numbers(2..3));
}

#[actix_rt::test]
async fn a_stream_of_a_source_that_rests_is_closed_until_news_are_waited_for() {
    let (account, mut cursor) = streamed().await;
    account.source.rest();
    wait_until(|| account.server.n_streams() == 0).await;
    account.show(1..2);
    news(&account).await;
    let posts = follow(&account.source, &mut cursor, 500).await;
    assert_eq!(texts(&posts), numbers(1..2));
    assert_eq!(account.server.n_streams(), 1);
}

#[actix_rt::test]
async fn changes_of_posts_that_no_page_shows_come_by_the_stream() {
    let (account, mut cursor) = streamed().await;
    let old = account.server.statuses()[0].id.clone();
    let older = account.server.post_elsewhere("older");
    account.show(1..60);
    follow(&account.source, &mut cursor, 500).await;
    account.server.rewrite(&old, "number zero");
    account.server.remove(&older);
    let mut polled = account.poll(&mut cursor.clone()).await;
    for _ in 0..100 {
        if !polled.posts.is_empty() && !polled.gone.is_empty() {
            break;
        }
        news(&account).await;
        polled = account.poll(&mut cursor.clone()).await;
    }
    assert_eq!(texts(&polled.posts), ["number zero"]);
    assert_eq!(polled.posts[0].id, old);
    assert!(polled.posts[0].was_shown, "it is no new post");
    assert_eq!(polled.gone, [older]);
    let untaken = cursor.clone();
    let again = account.poll(&mut cursor).await;
    assert_eq!(again.gone, polled.gone, "what was not taken is shown again");
    let nothing = account.poll(&mut cursor).await;
    assert_eq!((nothing.posts, nothing.gone), (vec![], vec![]));
    let again = account.poll(&mut untaken.clone()).await;
    assert_eq!((again.posts, again.gone), (polled.posts, polled.gone));
    account.source.taken(cursor.as_ref().expect("a cursor"));
    let nothing = account.poll(&mut untaken.clone()).await;
    assert_eq!((nothing.posts, nothing.gone), (vec![], vec![]));
}

#[actix_rt::test]
async fn what_the_stream_tells_before_the_first_poll_after_a_restart_is_not_lost() {
    let (mut account, mut cursor) = streamed().await;
    let ids: Vec<String> = (0..4)
        .map(|number| account.server.post_elsewhere(&format!("old {number}")))
        .collect();
    follow(&account.source, &mut cursor, 500).await;
    for id in &ids[..3] {
        account.server.remove(id);
        news(&account).await;
        account.poll(&mut cursor).await;
    }
    account.source = MastodonSource::new(MastodonConfig {
        streams: true,
        ..with_token(config(&account.server))
    });
    news(&account).await;
    account.server.remove(&ids[3]);
    let mut polled = account.poll(&mut cursor).await;
    while !polled.gone.contains(&ids[3]) {
        news(&account).await;
        polled = account.poll(&mut cursor).await;
    }
}

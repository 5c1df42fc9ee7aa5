//! What a feed source does when servers behave as servers do.

use std::time::Duration;

use babelfeed::sources::feed::{FeedConfig, FeedSource, Location};
use babelfeed_actors::ports::{Polled, Source, SourceError, SourceRemedy};

use crate::simulators::nginx::Nginx;
use crate::simulators::web::{Manner, Web};

const RSS: &str = "application/rss+xml";

fn web() -> Web {
    let web = Web::start();
    web.put(RSS, super::rss(&["one".into(), "two".into()]));
    web
}

fn config(web: &Web) -> FeedConfig {
    let url = web.feed_url().parse().expect("an address");
    FeedConfig {
        timeout: Duration::from_secs(5),
        ..FeedConfig::new("news", Location::Url(url))
    }
}

async fn poll(web: &Web) -> Result<Polled, SourceError> {
    FeedSource::new(config(web)).poll(None, 100).await
}

async fn refusal(status: u16, headers: &[(&str, &str)]) -> SourceError {
    let web = web();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    web.behave(Manner::Status(status, headers, "no".into()));
    poll(&web).await.expect_err("a refusal")
}

#[actix_rt::test]
async fn validators_come_back_byte_for_byte() {
    let web = web();
    let source = FeedSource::new(config(&web));
    let polled = source.poll(None, 100).await.expect("a poll");
    source
        .poll(polled.cursor.as_ref(), 100)
        .await
        .expect("a poll");
    let last = web.requests().pop().expect("a request");
    assert_eq!(last.headers["if-none-match"], "W/\"v 1 'x'-gzip\"");
    assert_eq!(
        last.headers["if-modified-since"],
        "Sat, 21 Nov 2026 12:00:01 +0000"
    );
    assert!(last.headers["user-agent"].starts_with("babelfeed/"));
    assert!(last.headers["accept"].starts_with("application/atom+xml"));
    assert_eq!(web.n_unchanged(), 1);
}

#[actix_rt::test]
async fn a_packed_feed_is_unpacked() {
    let web = web();
    web.behave(Manner::Gzip);
    assert_eq!(poll(&web).await.expect("a poll").posts.len(), 2);
}

#[actix_rt::test]
async fn five_redirects_are_followed_and_six_are_not() {
    let web = web();
    web.behave(Manner::Redirects(5));
    assert_eq!(poll(&web).await.expect("a poll").posts.len(), 2);
    web.behave(Manner::Redirects(6));
    let error = poll(&web).await.expect_err("too many");
    assert!(matches!(error, SourceError::Unreachable { .. }));
}

#[actix_rt::test]
async fn a_refusal_is_told_apart() {
    assert_eq!(refusal(410, &[]).await.remedy(), SourceRemedy::Stop);
    for status in [401, 403, 404] {
        assert_eq!(refusal(status, &[]).await.remedy(), SourceRemedy::Person);
    }
    for status in [429, 503] {
        let error = refusal(status, &[("Retry-After", "120")]).await;
        let wait = Some(Duration::from_secs(120));
        assert_eq!(error.remedy(), SourceRemedy::Retry(wait));
    }
    assert_eq!(refusal(500, &[]).await.remedy(), SourceRemedy::Retry(None));
}

#[actix_rt::test]
async fn a_date_to_come_back_at_counts_by_the_servers_own_clock() {
    let headers = [
        ("Retry-After", "Sat, 21 Nov 2020 12:01:00 GMT"),
        ("Date", "Sat, 21 Nov 2020 12:00:00 GMT"),
    ];
    let wait = Some(Duration::from_secs(60));
    let error = refusal(503, &headers).await;
    assert_eq!(error.remedy(), SourceRemedy::Retry(wait));
}

#[actix_rt::test]
async fn a_page_with_status_200_is_malformed() {
    let web = web();
    web.put("text/html", "<!doctype html><title>Log in</title>");
    let error = poll(&web).await.expect_err("a page");
    assert!(error.to_string().contains("an HTML page titled `Log in`"));
    assert!(matches!(error, SourceError::Malformed { .. }));
}

#[actix_rt::test]
async fn a_body_without_end_is_cut_off() {
    let web = web();
    web.behave(Manner::Trickle(Duration::from_millis(100)));
    let mut config = config(&web);
    config.timeout = Duration::from_millis(300);
    let error = FeedSource::new(config).poll(None, 100).await;
    assert!(matches!(error, Err(SourceError::Unreachable { .. })));
}

#[actix_rt::test]
async fn a_body_that_is_too_large_is_refused() {
    let web = web();
    let mut config = config(&web);
    config.max_body = 100;
    let error = FeedSource::new(config).poll(None, 100).await;
    assert!(matches!(error, Err(SourceError::Malformed { .. })));
}

#[actix_rt::test]
async fn half_an_answer_is_none() {
    for manner in [Manner::Half, Manner::Hangup] {
        let web = web();
        web.behave(manner);
        let error = poll(&web).await.expect_err("half a feed");
        assert!(matches!(error, SourceError::Unreachable { .. }));
    }
}

#[actix_rt::test]
async fn a_server_may_lengthen_the_rest_only_where_it_is_respected() {
    let web = web();
    web.add_header("Cache-Control", "public, max-age=900");
    let polled = poll(&web).await.expect("a poll");
    assert_eq!(polled.rest, Some(Duration::from_secs(900)));
    let mut config = config(&web);
    config.respect_hints = false;
    let polled = FeedSource::new(config).poll(None, 100).await;
    assert_eq!(polled.expect("a poll").rest, None);
}

#[actix_rt::test]
async fn a_limit_of_nginx_is_waited_for() {
    let nginx = Nginx::start_with("limit_req zone=one;");
    nginx.put("feed.rss", &super::rss(&["one".into()]));
    let url = nginx.url("feed.rss").parse().expect("an address");
    let source = FeedSource::new(FeedConfig::new("news", Location::Url(url)));
    source.poll(None, 100).await.expect("the first is let in");
    let error = source.poll(None, 100).await.expect_err("the second is not");
    assert!(matches!(error, SourceError::Busy { .. }));
}

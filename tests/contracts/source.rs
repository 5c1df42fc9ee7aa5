//! The contract of the source port.

mod bluesky;
mod feed;
mod mastodon;
mod snac;
mod x;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use babelfeed::sources::feed::{FeedConfig, FeedSource, Location};
use babelfeed::sources::file::{FileConfig, FileSource};
use babelfeed_actors::domain::{Post, SourceName};
use babelfeed_actors::ports::{Cursor, Source};
use babelfeed_actors::testkit::source::FakeSource;
use tempfile::TempDir;

use crate::simulators::nginx::Nginx;
use crate::simulators::wait::look_meanwhile;
use crate::simulators::web::Web;

/// The name that every source under contract bears.
const NAME: &str = "news";

/// A source, and the world that it reads.
trait Stage {
    fn source(&self) -> &dyn Source;
    /// Shows these texts, after those that were shown before.
    fn show(&mut self, texts: &[&str]);
}

/// Polls until nothing more is there, as if every post was taken.
async fn follow(source: &dyn Source, cursor: &mut Option<Cursor>, room: usize) -> Vec<Post> {
    let mut posts = Vec::new();
    for _ in 0..100 {
        let polled = source.poll(cursor.as_ref(), room).await.expect("a poll");
        posts.extend(polled.posts);
        *cursor = polled.cursor.or(cursor.take());
        if !polled.has_more {
            return posts;
        }
    }
    panic!("the source never came to an end");
}

/// Waits until something is true that a source brings about while others run.
async fn wait_until(is_true: impl Fn() -> bool) {
    let looked = look_meanwhile(Duration::from_secs(10), || is_true().then_some(())).await;
    looked.expect("in good time");
}

async fn keeps_the_contract(mut stage: impl Stage) {
    stage.show(&["one", "two", "three"]);
    let first = stage.source().poll(None, 100).await.expect("a poll");
    let texts: Vec<&str> = first.posts.iter().map(|post| post.text.as_str()).collect();
    assert_eq!(texts, ["one", "two", "three"], "all, the oldest first");
    let source = SourceName::from(NAME);
    assert!(first.posts.iter().all(|post| post.source == source));
    assert!(first.posts.iter().all(|post| !post.id.is_empty()));

    let again = stage.source().poll(None, 100).await.expect("a poll");
    assert_eq!(again.posts, first.posts, "the same cursor, the same posts");

    let mut cursor = None;
    let followed = follow(stage.source(), &mut cursor, 2).await;
    assert_eq!(
        followed, first.posts,
        "little room shows the same in the end"
    );
    let nothing = follow(stage.source(), &mut cursor, 100).await;
    assert_eq!(
        nothing,
        [],
        "what was taken and did not change is not shown"
    );

    let before = cursor.clone();
    stage.show(&["four", "one"]);
    let later = follow(stage.source(), &mut cursor, 100).await;
    let is_known = |post: &Post| first.posts.iter().any(|known| known.id == post.id);
    let new: Vec<&str> = later
        .iter()
        .filter(|post| !is_known(post))
        .map(|post| post.text.as_str())
        .collect();
    assert_eq!(new, ["four", "one"], "an equal text is another post");

    let mut cursor = before;
    let repeated = follow(stage.source(), &mut cursor, 100).await;
    assert_eq!(repeated, later, "a cursor that did not move loses nothing");
}

struct Fake(FakeSource);

impl Stage for Fake {
    fn source(&self) -> &dyn Source {
        &self.0
    }

    fn show(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.show(*text);
        }
    }
}

struct Lines {
    source: FileSource,
    path: PathBuf,
    _folder: TempDir,
}

impl Lines {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        let source = FileSource::new(FileConfig {
            name: NAME.into(),
            path: path.clone(),
            language: None,
        });
        Self {
            source,
            path,
            _folder: folder,
        }
    }
}

impl Stage for Lines {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        let is_json = self.path.extension().is_some_and(|name| name == "jsonl");
        let file = File::options().append(true).create(true).open(&self.path);
        let mut file = file.expect("opens");
        for text in texts {
            if is_json {
                writeln!(file, "{}", serde_json::json!({ "text": text })).expect("writes");
            } else {
                writeln!(file, "{text}").expect("writes");
            }
        }
    }
}

/// A feed that is put where `put` puts it.
struct Feed<P> {
    source: FeedSource,
    texts: Vec<String>,
    put: P,
}

impl<P> Feed<P> {
    fn new(location: Location, put: P) -> Self {
        Self {
            source: FeedSource::new(FeedConfig::new(NAME, location)),
            texts: Vec::new(),
            put,
        }
    }
}

impl<P: Fn(&str)> Stage for Feed<P> {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        self.texts.extend(texts.iter().map(|text| text.to_string()));
        (self.put)(&rss(&self.texts));
    }
}

/// The texts as RSS, the newest first, as feeds are.
fn rss(texts: &[String]) -> String {
    let items: Vec<String> = texts
        .iter()
        .enumerate()
        .rev()
        .map(|(number, text)| {
            format!("<item><guid>{number}</guid><description>{text}</description></item>")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>t</title>{}</channel></rss>",
        items.concat()
    )
}

#[actix_rt::test]
async fn the_fake_source_keeps_the_contract() {
    keeps_the_contract(Fake(FakeSource::new(NAME))).await;
}

#[actix_rt::test]
async fn a_file_of_lines_keeps_the_contract() {
    keeps_the_contract(Lines::new("news.txt")).await;
}

#[actix_rt::test]
async fn a_file_of_json_lines_keeps_the_contract() {
    keeps_the_contract(Lines::new("news.jsonl")).await;
}

#[actix_rt::test]
async fn a_feed_in_a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("feed.xml");
    let put = |body: &str| std::fs::write(&path, body).expect("writes");
    keeps_the_contract(Feed::new(Location::Path(path.clone()), put)).await;
}

#[actix_rt::test]
async fn a_feed_over_http_keeps_the_contract() {
    let web = Web::start();
    let url = web.feed_url().parse().expect("an address");
    let put = |body: &str| web.put("application/rss+xml", body);
    keeps_the_contract(Feed::new(Location::Url(url), put)).await;
    assert_eq!(web.n_unchanged(), 1);
}

#[actix_rt::test]
async fn a_feed_behind_nginx_keeps_the_contract() {
    let nginx = Nginx::start();
    let url = nginx.url("feed.rss").parse().expect("an address");
    let put = |body: &str| nginx.put("feed.rss", body);
    keeps_the_contract(Feed::new(Location::Url(url), put)).await;
    let n_unchanged = nginx.statuses().iter().filter(|it| **it == 304).count();
    assert_eq!(n_unchanged, 1);
}

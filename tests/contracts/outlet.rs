//! The contract of the outlet port.

mod bluesky;
mod discord;
mod file;
mod mastodon;
mod slack;
mod snac;
mod telegram;
mod webhook;
mod x;

use std::path::PathBuf;
use std::sync::Arc;

use babelfeed::outlets::feed::{FeedConfig, FeedOutlet};
use babelfeed::outlets::file::FileOutlet;
use babelfeed_actors::domain::{Attached, IdMint, Media, Part, Publication, Thread, Timestamp};
use babelfeed_actors::ports::{Dispatch, Frozen, Outlet, OutletError, Published, ReadBack};
use babelfeed_actors::testkit::outlet::FakeOutlet;
use tempfile::TempDir;

/// An outlet, and the world that it writes to.
trait Stage {
    fn outlet(&self) -> &dyn Outlet;
    /// How often that publication stands, with all its text.
    fn n_standing(&self, publication: &Publication) -> usize;
    /// Frozen bytes without the time of their freezing, where they tell it.
    fn timeless(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

/// How often a publication stands: as often as that of its texts which stands most.
fn n_standing(publication: &Publication, n_of: impl Fn(&str) -> usize) -> usize {
    let counts = publication.parts.iter().map(|part| n_of(&part.text));
    counts.max().unwrap_or(0)
}

/// A publication with those parts; equal numbers make equal ids.
fn publication(number: u64, parts: &[&str]) -> Arc<Publication> {
    let at = Timestamp::from_millis(1_795_262_700_000 + number as i64);
    let id = IdMint::default().next(at, number).task(1).publication(1);
    Arc::new(Publication {
        id,
        outlet: "es".into(),
        source: "news".into(),
        post: format!("post-{number}").into(),
        language: "es".parse().expect("a tag"),
        url: Some("https://example.org/a?b=1&c=2".into()),
        parts: parts.iter().map(|text| Part::new(*text)).collect(),
        attached: None,
        thread: None,
        revises: None,
        place: None,
        created_at: at,
    })
}

/// A publication of one part, with what hangs on it.
fn hung(number: u64, text: &str, attached: Attached) -> Arc<Publication> {
    let mut publication = Publication::clone(&publication(number, &[text]));
    publication.attached = Some(Arc::new(attached));
    Arc::new(publication)
}

/// The thread of what answers something that answers nothing.
fn answering(id: &str) -> Thread {
    Thread {
        root: id.into(),
        parent: id.into(),
    }
}

/// A medium at that address.
fn medium(url: &str, alt: Option<&str>) -> Media {
    Media {
        url: url.to_owned(),
        mime: None,
        alt: alt.map(str::to_owned),
    }
}

/// A medium at that address, and nothing else.
fn pictured(url: &str, alt: Option<&str>) -> Attached {
    Attached {
        media: vec![medium(url, alt)],
        ..Attached::default()
    }
}

/// Publishes a thread of two parts, `uno` and `dos`, with the warning `ruido`.
async fn publish_warned(outlet: &dyn Outlet) {
    let mut thread = Publication::clone(&publication(1, &["uno", "dos"]));
    thread.attached = Some(Arc::new(Attached {
        warning: Some("ruido".into()),
        ..Attached::default()
    }));
    for part in 0..2 {
        let parts = frozen(outlet, vec![dispatch(&Arc::new(thread.clone()), part)]).await;
        let published = send(outlet, &parts[0]).await.expect("publishes");
        thread.parts[part].id = Some(published.id);
    }
}

/// Publishes the first part of a publication.
async fn publish(
    outlet: &dyn Outlet,
    publication: &Arc<Publication>,
) -> Result<Published, OutletError> {
    let parts = frozen(outlet, vec![dispatch(publication, 0)]).await;
    send(outlet, &parts[0]).await
}

/// Publishes a part.
async fn send(outlet: &dyn Outlet, part: &Frozen) -> Result<Published, OutletError> {
    outlet.publish(std::slice::from_ref(part)).await.remove(0)
}

/// How a text fails that is published now.
async fn failure(outlet: &dyn Outlet) -> OutletError {
    let one = publication(1, &["hola"]);
    publish(outlet, &one).await.expect_err("a failure")
}

fn dispatch(publication: &Arc<Publication>, part: usize) -> Dispatch {
    Dispatch {
        publication: publication.clone(),
        part,
    }
}

async fn frozen(outlet: &dyn Outlet, dispatches: Vec<Dispatch>) -> Vec<Frozen> {
    let n_dispatches = dispatches.len();
    let frozen = outlet.freeze(dispatches).await.expect("freezes");
    assert_eq!(frozen.len(), n_dispatches);
    frozen
}

/// What is done with a part whose fate is open.
async fn settle(outlet: &dyn Outlet, part: &Frozen) -> Published {
    match outlet.read_back(part).await.expect("reads back") {
        ReadBack::Found(published) => published,
        ReadBack::Absent => send(outlet, part).await.expect("publishes"),
        ReadBack::Scheduled(wait) => panic!("is to be out in {wait:?}"),
    }
}

async fn keeps_the_contract(stage: impl Stage) {
    let outlet = stage.outlet();
    outlet.limit().await.expect("a limit");
    let n_batch = outlet.batch().min(3);
    assert!(n_batch > 0);

    let texts = [
        "uno",
        "dos\n\ny \"más\" & <b>",
        "https://example.org/x #tag",
    ];
    let publications: Vec<_> = texts[..n_batch]
        .iter()
        .enumerate()
        .map(|(number, text)| publication(number as u64, &[text]))
        .collect();
    let dispatches: Vec<_> = publications.iter().map(|it| dispatch(it, 0)).collect();
    let parts = frozen(outlet, dispatches.clone()).await;
    let again = frozen(outlet, dispatches).await;
    for (part, again) in parts.iter().zip(&again) {
        assert_eq!(part.key, again.key, "a part has one key");
        let [shape, shape_again] = [part, again].map(|it| stage.timeless(&it.bytes));
        assert_eq!(shape, shape_again, "a part has one shape");
        let fate = outlet.read_back(part).await.expect("reads back");
        assert_eq!(fate, ReadBack::Absent, "what was not sent is absent");
    }

    let answers = outlet.publish(&parts).await;
    assert_eq!(answers.len(), parts.len());
    for ((answer, part), publication) in answers.iter().zip(&parts).zip(&publications) {
        let published = answer.as_ref().expect("publishes");
        assert_eq!(stage.n_standing(publication), 1);
        assert_eq!(settle(outlet, part).await.id, published.id);
        assert_eq!(stage.n_standing(publication), 1, "settling doubles nothing");
    }

    let two = publication(7, &["parte uno", "parte dos"]);
    let first = frozen(outlet, vec![dispatch(&two, 0)]).await;
    let answer = outlet.publish(&first).await.remove(0).expect("publishes");
    let mut after = (*two).clone();
    after.parts[0].id = Some(answer.id);
    let after = Arc::new(after);
    let second = frozen(outlet, vec![dispatch(&after, 1)]).await;
    assert_ne!(
        first[0].key, second[0].key,
        "each part has a key of its own"
    );
    settle(outlet, &second[0]).await;
    settle(outlet, &second[0]).await;
    assert_eq!(stage.n_standing(&after), 1);
}

struct Fake(FakeOutlet);

impl Stage for Fake {
    fn outlet(&self) -> &dyn Outlet {
        &self.0
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        let out = self.0.out();
        let n_of = |part: usize| {
            let is_it = |out: &&babelfeed_actors::testkit::outlet::Out| {
                out.publication == publication.id
                    && out.part == part
                    && *out.bytes == *publication.parts[part].text.as_bytes()
            };
            out.iter().filter(is_it).count()
        };
        let n_parts = publication.parts.len();
        (0..n_parts).map(n_of).max().unwrap_or(0)
    }
}

struct Lines {
    outlet: FileOutlet,
    path: PathBuf,
    _folder: TempDir,
}

impl Lines {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/es.jsonl");
        Self {
            outlet: FileOutlet::new(&path),
            path,
            _folder: folder,
        }
    }
}

impl Stage for Lines {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        let text: Vec<&str> = publication.parts.iter().map(|part| &*part.text).collect();
        let lines = std::fs::read_to_string(&self.path).unwrap_or_default();
        lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .filter(|line| line["key"] == publication.id.to_string())
            .inspect(|line| assert_eq!(line["text"], text.join("\n\n")))
            .count()
    }
}

struct Feed {
    outlet: FeedOutlet,
    path: PathBuf,
    _folder: TempDir,
}

impl Feed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/es.atom");
        let outlet = FeedOutlet::new(FeedConfig {
            name: "es".into(),
            path: path.clone(),
            language: "es".parse().expect("a tag"),
            title: "Noticias".into(),
        });
        Self {
            outlet,
            path,
            _folder: folder,
        }
    }
}

impl Stage for Feed {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        let Ok(bytes) = std::fs::read(&self.path) else {
            return 0;
        };
        let text: Vec<&str> = publication.parts.iter().map(|part| &*part.text).collect();
        let feed = feed_rs::parser::parse(bytes.as_slice()).expect("a feed");
        assert_eq!(feed.language.as_deref(), Some("es"));
        let id = format!("urn:uuid:{}", publication.id);
        feed.entries
            .iter()
            .filter(|entry| entry.id == id)
            .inspect(|entry| {
                let content = entry.content.as_ref().and_then(|it| it.body.as_deref());
                assert_eq!(content, Some(text.join("\n\n").as_str()));
            })
            .count()
    }

    fn timeless(&self, bytes: &[u8]) -> Vec<u8> {
        let mut entry: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        assert!(entry["at"].take().is_i64(), "an entry has a date");
        entry.to_string().into_bytes()
    }
}

#[actix_rt::test]
async fn the_fake_outlet_keeps_the_contract() {
    keeps_the_contract(Fake(FakeOutlet::default())).await;
}

#[actix_rt::test]
async fn a_file_keeps_the_contract() {
    keeps_the_contract(Lines::new()).await;
}

#[actix_rt::test]
async fn a_feed_keeps_the_contract() {
    keeps_the_contract(Feed::new()).await;
}

#[actix_rt::test]
async fn a_feed_that_cannot_be_read_is_kept_aside() {
    let feed = Feed::new();
    std::fs::create_dir_all(feed.path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&feed.path, "<feed><entry>torn").expect("writes");
    let one = publication(1, &["uno"]);
    let parts = frozen(&feed.outlet, vec![dispatch(&one, 0)]).await;
    feed.outlet
        .publish(&parts)
        .await
        .remove(0)
        .expect("publishes");
    let aside = feed.path.with_file_name("es.atom.corrupt-1");
    let kept = std::fs::read_to_string(aside).expect("was kept");
    assert_eq!(kept, "<feed><entry>torn");
    assert_eq!(feed.n_standing(&one), 1);
}

#[actix_rt::test]
async fn what_is_let_out_late_is_new_to_the_readers_of_a_full_feed() {
    let feed = Feed::new();
    let late = publication(1, &["tarde"]);
    let others: Vec<_> = (2..=101)
        .map(|number| publication(number, &["hola"]))
        .collect();
    let dispatches = others.iter().map(|other| dispatch(other, 0)).collect();
    let parts = frozen(&feed.outlet, dispatches).await;
    for answer in feed.outlet.publish(&parts).await {
        answer.expect("publishes");
    }
    publish(&feed.outlet, &late).await.expect("publishes");
    assert_eq!(feed.n_standing(&late), 1);
    assert_eq!(feed.n_standing(&others[99]), 1);
}

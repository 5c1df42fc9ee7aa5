//! Bluesky behind the built program: accounts on the real server, read and published to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::series::{self, Network, ONE_LOST, Standing, Written};
use crate::simulators::files::{Files, PNG};
use crate::simulators::pds::{Account, PASSWORD, Pds};
use crate::simulators::resetting::{Losses, Resetting};

/// What every text has before its link, so that no byte is where a character is.
const BEFORE: &str = "¿Qué tal? 👩‍👩‍👧 日本";

#[test]
fn two_hundred_records_stand_once_in_order_and_byte_for_byte_through_twenty_kills_and_resets() {
    let mut network = OnPds::start();
    let patient = Patient::start(0, 20);
    let (author, bot) = (&network.author, &network.bot);
    let mut program = mirroring(
        (author, &author.base_url()),
        (bot, &network.way.base_url()),
        &patient,
    );

    let posts = series::come_through(&mut network, &mut program);

    series::check(&posts, &network.standing());
    let keyed = network.bot.records();
    let keyed = keyed.iter().filter_map(|record| record["uri"].as_str());
    assert_eq!(network.pds.written(&network.bot), Vec::from_iter(keyed));
    network.check_records(&posts);
    let way = &network.way;
    assert!(way.n_resets() > 0);
    let (n_reads, n_uploads) = way.n_other_resets();
    assert!(
        n_reads > 0 && n_uploads > 0,
        "{n_reads} reads, {n_uploads} uploads"
    );
    let n_logins = way.n_asked("/xrpc/com.atproto.server.createSession");
    assert_eq!(n_logins, 1, "a session outlives its process and its server");
    assert!(!program.log().contains(PASSWORD));
    println!(
        "{} posts, {} resets on the way",
        posts.len(),
        way.n_resets()
    );
}

#[test]
fn an_account_that_is_read_and_published_to_is_no_mirror_of_itself() {
    let account = Account::new();
    account.post(&record("Hello", 0));
    let patient = Patient::start(0, 0);
    let url = account.base_url();
    let at = (&account, url.as_str());
    let mut program = mirroring(at, at, &patient);
    program.start();
    until("it is mirrored", || {
        (account.posts().len() == 2).then_some(())
    });
    // Twice more is all the time that a loop would need.
    program.run(&["poll", "author"]).well();
    program.run(&["poll", "author"]).well();
    let tasks = program.all_tasks();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!(account.posts().len(), 2);
}

#[test]
fn check_tries_the_password_and_publishes_nothing() {
    let account = Account::new();
    let patient = Patient::start(0, 0);
    let url = account.base_url();
    let at = (&account, url.as_str());
    let mut program = mirroring(at, at, &patient);
    let said = program.run(&["check"]);
    assert!(
        said.out.contains("outlet es: works"),
        "{}{}",
        said.out,
        said.err
    );
    program.set("APP_PASSWORD", "another-password");
    let said = program.run(&["check"]);
    assert!(said.out.contains("outlet es: failed"), "{}", said.out);
    assert!(!format!("{}{}", said.out, said.err).contains("another-password"));
    assert_eq!(account.posts().len(), 0);
}

/// A program that mirrors an account in another one, in Spanish; each with where it is reached.
pub fn mirroring(
    (author, view): (&Account, &str),
    (bot, way): (&Account, &str),
    patient: &Patient,
) -> Program {
    let mut program = Program::new(&format!(
        "[publishing]\nmedia_from_private = true\n{UNCHECKED}{}\
         [[source]]\nname = \"author\"\nkind = \"bluesky\"\naccount = \"{}\"\nbase_url = \"{}\"\n\
         every = \"1s\"\nbackfill = \"all\"\nlanguage = \"en\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"bluesky\"\nlanguage = \"es\"\naccount = \"{}\"\n\
         base_url = \"{way}\"\npassword_env = \"APP_PASSWORD\"\n{AT_ONCE}",
        patient.settings(),
        author.handle,
        view,
        bot.handle,
    ));
    program.set("APP_PASSWORD", PASSWORD);
    program
}

/// A post in English, written in the so many-th second after noon.
pub fn record(text: &str, number: usize) -> Value {
    let (minute, second) = (number / 60, number % 60);
    json!({
        "$type": "app.bsky.feed.post", "text": text, "langs": ["en"],
        "createdAt": format!("2026-11-21T12:{minute:02}:{second:02}.000Z"),
    })
}

/// An author and a bot on one server, and the pages that the author links to.
struct OnPds {
    pds: Pds,
    /// The way from the bot to the server.
    way: Resetting,
    author: Account,
    bot: Account,
    pages: Files,
    /// Where the pages are, without the number.
    pages_url: String,
    /// What stands for the picture of every page in a record.
    thumb: Value,
    /// The author's posts, and what stands for their pictures.
    written: Vec<Own>,
}

struct Own {
    reference: Value,
    picture: Option<Value>,
}

impl OnPds {
    fn start() -> Self {
        let pds = Pds::start();
        let (author, bot) = (pds.add_account(), pds.add_account());
        let pages = Files::start();
        let picture = pages.put("/page.png", "image/png", PNG);
        let losses = Losses {
            path: "/xrpc/com.atproto.repo.putRecord",
            one_in: ONE_LOST,
            // The second call for the same record is lost as well, so that it must be read back.
            answers: 2,
            uploads: "/xrpc/com.atproto.repo.uploadBlob",
            one_other_in: ONE_LOST,
        };
        Self {
            way: Resetting::start(pds.port(), losses),
            thumb: author.upload("image/png", PNG),
            pages_url: picture.replace(".png", "/"),
            pages,
            author,
            bot,
            pds,
            written: Vec::new(),
        }
    }

    fn page(&self, number: usize) -> String {
        format!("{}{number}", self.pages_url)
    }

    /// Every record is what the series wants, to the last field, and later than the one before it.
    fn check_records(&self, posts: &[Written]) {
        let records = self.bot.records();
        let mut signs = BTreeSet::new();
        let time = |number: usize| records[number]["value"]["createdAt"].as_str();
        for post in posts {
            let record = &records[post.number]["value"];
            let before = post.number.checked_sub(1);
            let is_late = before.is_none_or(|before| time(before) < time(post.number));
            assert!(is_late, "before what was written before it: {record}");
            let sign = record["via"].as_str().expect("a sign");
            assert!(sign.starts_with("babelfeed "), "{sign}");
            assert!(signs.insert(sign), "{sign} stands twice");

            let mut wanted = self.wanted(post, &records);
            wanted["createdAt"] = record["createdAt"].clone();
            wanted["via"] = record["via"].clone();
            assert_eq!(*record, wanted);
            if post.picture.is_some() {
                let blob = &record["embed"]["images"][0]["image"];
                assert_eq!(self.bot.blob(blob), gif(post.number));
            }
        }
    }

    fn wanted(&self, post: &Written, records: &[Value]) -> Value {
        let reference =
            |number: usize| json!({"uri": records[number]["uri"], "cid": records[number]["cid"]});
        let (text, page) = (post.translated(), self.page(post.number));
        let mut wanted = json!({
            "$type": "app.bsky.feed.post", "text": text, "langs": ["es"],
            "facets": [
                facet(&text, &page, json!({"$type": "app.bsky.richtext.facet#link", "uri": page})),
                facet(&text, "#gatos", json!({"$type": "app.bsky.richtext.facet#tag", "tag": "gatos"})),
            ],
        });
        wanted["embed"] = match &post.picture {
            Some(shown) => json!({"$type": "app.bsky.embed.images", "images": [{
                "image": self.written[post.number].picture, "alt": shown,
                "aspectRatio": {"width": 1, "height": 1},
            }]}),
            None => json!({"$type": "app.bsky.embed.external", "external": {
                "uri": page, "title": format!("Page {} & more", post.number),
                "description": "About \"it\"", "thumb": self.thumb,
            }}),
        };
        if let Some(warning) = &post.warning {
            wanted["labels"] = labels(warning);
        }
        if let Some(parent) = post.parent {
            let root = series::root(post.number);
            wanted["reply"] = json!({"root": reference(root), "parent": reference(parent)});
        }
        wanted
    }
}

impl Network for OnPds {
    fn text(&self, number: usize) -> String {
        format!("{BEFORE} {number}: {} #gatos", self.page(number))
    }

    fn warning(&self, _: usize) -> String {
        "graphic-media".to_owned()
    }

    fn write(&mut self, post: &Written) {
        let number = post.number;
        let page = format!(
            "<title>no</title><meta property=\"og:title\" content=\"Page {number} &amp; more\">\
             <meta name=\"description\" content='About \"it\"'>\
             <meta property=\"og:image\" content=\"../page.png\">"
        );
        let path = format!("/page/{number}");
        let page = self
            .pages
            .put(&path, "text/html; charset=utf-8", page.as_bytes());
        // Like its author's program does it: the link is shown cut, and stands whole in a facet.
        let shown = format!("{}...", &page["http://".len()..page.len() - 2]);
        let text = post.text.replace(&page, &shown);
        let mut record = record(&text, number);
        let link = json!({"$type": "app.bsky.richtext.facet#link", "uri": page});
        record["facets"] = json!([facet(&text, &shown, link)]);
        let shows = post.picture.as_ref();
        let picture = shows.map(|_| self.author.upload("image/gif", &gif(number)));
        if let (Some(shown), Some(picture)) = (shows, &picture) {
            let image = json!({"alt": shown, "image": picture});
            record["embed"] = json!({"$type": "app.bsky.embed.images", "images": [image]});
        }
        if let Some(warning) = &post.warning {
            record["labels"] = labels(warning);
        }
        if let Some(parent) = post.parent {
            let reference = |number: usize| self.written[number].reference.clone();
            let root = reference(series::root(number));
            record["reply"] = json!({"root": root, "parent": reference(parent)});
        }
        let reference = self.author.post_referred(&record);
        self.written.push(Own { reference, picture });
    }

    fn n_out(&self) -> usize {
        // Not asked of the server, which it would keep busy.
        self.way.n_done()
    }

    fn standing(&self) -> Vec<Standing> {
        self.bot.records().iter().map(standing).collect()
    }

    fn restart(&mut self) {
        self.pds.kill();
        self.pds.start_again();
    }
}

fn standing(record: &Value) -> Standing {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let value = &record["value"];
    let pictures = value["embed"]["images"].as_array();
    let pictures = pictures.into_iter().flatten();
    Standing {
        id: text(&record["uri"]).expect("an address"),
        text: text(&value["text"]).expect("a text"),
        pictures: pictures
            .map(|picture| text(&picture["alt"]).expect("a description"))
            .collect(),
        warning: text(&value["labels"]["values"][0]["val"]),
        parent: text(&value["reply"]["parent"]["uri"]),
    }
}

fn labels(value: &str) -> Value {
    json!({"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": value}]})
}

/// Where a piece of a text leads, in bytes of UTF-8.
pub fn facet(text: &str, piece: &str, feature: Value) -> Value {
    let start = text.find(piece).expect("a piece");
    let index = json!({"byteStart": start, "byteEnd": start + piece.len()});
    json!({"index": index, "features": [feature]})
}

/// A picture of one pixel, in a colour of its own.
pub fn gif(number: usize) -> Vec<u8> {
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0".to_vec();
    gif.extend([u8::try_from(number).expect("a colour"), 100, 200]);
    gif.extend(b"\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;");
    gif
}

//! Bluesky's whole network around the built program: read in its view, published to, and seen there again.

use serde_json::{Value, json};

use crate::bluesky::{facet, gif, mirroring, record};
use crate::harness::{Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::bluesky::{now, written};
use crate::simulators::bluesky_network::Network;
use crate::simulators::pds::Account;

const LINK: &str = "https://127.0.0.1:1/a/path/that/is/long";

#[test]
fn a_thread_in_the_networks_view_is_seen_there_again_in_order_with_all_it_has() {
    let Some(network) = Network::running() else {
        return;
    };
    let (author, bot) = (network.add_account(), network.add_account());
    let last = write(&network, &author);
    network.await_shown(&last);
    let patient = Patient::start(0, 20);
    let mut program = mirroring(
        (&author, &network.view_url()),
        (&bot, &bot.base_url()),
        &patient,
    );
    program.start();
    let feed = until("the view shows all three", || {
        let question = format!("app.bsky.feed.getAuthorFeed?actor={}", bot.did);
        let feed = network.view(&question)["feed"].clone();
        (feed.as_array().expect("a feed").len() >= 3).then_some(feed)
    });

    let root = feed[2]["post"]["uri"].as_str().expect("an address");
    let question = format!("app.bsky.feed.getPostThread?uri={root}");
    let first = network.view(&question)["thread"].clone();
    let second = only_answer(&first);
    let third = only_answer(second);
    assert_eq!(third["replies"], json!([]));
    let shown = [&first, second, third].map(|it| &it["post"]);
    for (number, post) in shown.iter().enumerate() {
        let text = format!("[es] {}", text(&network, number));
        assert_eq!(post["record"]["text"], text);
        assert_eq!(post["record"]["langs"], json!(["es"]));
        assert_eq!(post["record"]["facets"], facets(&network, &text));
        assert_eq!(post["uri"], feed[2 - number]["post"]["uri"]);
    }
    let image = &shown[0]["embed"]["images"][0];
    assert_eq!(image["alt"], "A boat");
    let (kind, picture) = network.picture(image["fullsize"].as_str().expect("an address"));
    assert!(kind.starts_with("image/") && !picture.is_empty(), "{kind}");
    assert_eq!(shown[1]["labels"][0]["val"], "graphic-media");
    assert_eq!(shown[1]["labels"][0]["src"], bot.did);

    let question = format!("app.bsky.feed.getFeed?feed={}&limit=100", network.feed);
    let feed = network.view(&question)["feed"].clone();
    let feed = feed.as_array().expect("a feed");
    let own = feed
        .iter()
        .map(|it| &it["post"])
        .filter(|it| it["author"]["did"] == bot.did);
    let uris: Vec<&Value> = own.map(|it| &it["uri"]).collect();
    assert_eq!(uris, [&shown[2]["uri"], &shown[1]["uri"], &shown[0]["uri"]]);
}

#[test]
fn a_feed_of_many_authors_is_followed_and_those_who_are_left_out_stay_out() {
    let Some(network) = Network::running() else {
        return;
    };
    let (one, other, left_out) = (
        network.add_account(),
        network.add_account(),
        network.add_account(),
    );
    let post = |author: &Account| {
        let mut record = record(&format!("From {} #{}", author.did, network.tag), 0);
        record["createdAt"] = json!(written(now()));
        let uri = author.post(&record);
        network.await_shown(&uri);
        uri
    };
    post(&one);
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"tagged\"\nkind = \"bluesky\"\nfeed = \"{}\"\n\
         base_url = \"{}\"\nevery = \"1s\"\nlanguage = \"en\"\nnot_from = [\"@{}\"]\n\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        network.feed,
        network.view_url(),
        left_out.handle,
    ));
    let said = program.run(&["check"]).well();
    assert!(said.contains("source tagged: shows"), "{said}");
    program.start();
    until("it was read", || {
        (program.status()["sources"][0]["last_poll"] != Value::Null).then_some(())
    });
    post(&left_out);
    let (by_other, by_one) = (post(&other), post(&one));
    // Others show posts in this feed too.
    let is_of = |line: &Value, author: &Account| {
        let text = line["text"].as_str().expect("a text");
        text.contains(&format!("From {} ", author.did))
    };
    let lines = until("both are published", || {
        let mut lines = program.published("es.jsonl");
        lines.retain(|it| {
            [&one, &other, &left_out]
                .iter()
                .any(|author| is_of(it, author))
        });
        (lines.len() >= 2).then_some(lines)
    });
    let posts: Vec<&Value> = lines.iter().map(|it| &it["post"]).collect();
    assert_eq!(posts, [&by_other, &by_one]);
}

/// Writes what is mirrored, a thread of three, and what is not: an answer to somebody else.
/// Returns the address of the last.
fn write(network: &Network, author: &Account) -> String {
    let other = network.add_account();
    let others = other.post_referred(&record("Somebody else's", 0));
    let mut thread: Vec<Value> = Vec::new();
    for number in 0..3 {
        let text = text(network, number);
        let mut record = record(&text, number);
        record["facets"] = facets(network, &text);
        if let (Some(root), Some(parent)) = (thread.first(), thread.last()) {
            record["reply"] = json!({"root": root, "parent": parent});
        }
        match number {
            0 => {
                let picture = author.upload("image/gif", &gif(1));
                let image = json!({"alt": "A boat", "image": picture});
                record["embed"] = json!({"$type": "app.bsky.embed.images", "images": [image]});
            }
            1 => {
                let values = json!([{"val": "graphic-media"}]);
                let kind = "com.atproto.label.defs#selfLabels";
                record["labels"] = json!({"$type": kind, "values": values});
            }
            _ => {}
        }
        thread.push(author.post_referred(&record));
    }
    let mut answer = record("An answer", 4);
    answer["reply"] = json!({"root": others, "parent": others});
    author.post(&answer)
}

fn text(network: &Network, number: usize) -> String {
    format!("¿Qué tal {number}? 👩‍👩‍👧 {LINK} #{}", network.tag)
}

/// Where the text leads, in bytes.
fn facets(network: &Network, text: &str) -> Value {
    let link = json!({"$type": "app.bsky.richtext.facet#link", "uri": LINK});
    let tag = json!({"$type": "app.bsky.richtext.facet#tag", "tag": network.tag});
    json!([
        facet(text, LINK, link),
        facet(text, &format!("#{}", network.tag), tag)
    ])
}

/// The only answer to a post in a thread.
fn only_answer(post: &Value) -> &Value {
    let answers = post["replies"].as_array().expect("answers");
    assert_eq!(answers.len(), 1, "{post}");
    &answers[0]
}

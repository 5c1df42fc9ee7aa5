//! Feeds over real HTTP: a real nginx, good and bad documents, and a server that goes away.

use std::fs::File;

use serde_json::Value;

use crate::harness::{Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::nginx::Nginx;

const OUTLETS: &str = "[[outlet]]\nname = \"es\"\nkind = \"file\"\nlanguage = \"es\"\n\
    path = \"es.jsonl\"\n[[outlet]]\nname = \"es-feed\"\nkind = \"feed\"\nlanguage = \"es\"\n\
    path = \"es.xml\"\n";

/// An RSS document with an item for each number.
fn feed(numbers: std::ops::Range<u32>) -> String {
    let items: String = numbers
        .rev()
        .map(|number| {
            format!(
                "<item><guid>item-{number}</guid><title>Item {number}</title>\
                 <link>https://example.org/{number}</link></item>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title>\
         <link>https://example.org/</link><description>News</description>{items}</channel></rss>"
    )
}

fn source(name: &str, url: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"feed\"\nurl = \"{url}\"\nevery = \"1s\"\n\
         language = \"en\"\nbackfill = \"all\"\n"
    )
}

fn program(patient: &Patient, sources: &[String]) -> Program {
    let sources = sources.concat();
    Program::started(&format!(
        "{UNCHECKED}{}{sources}{OUTLETS}",
        patient.settings()
    ))
}

/// The ids of the posts in the file, in its order.
fn posts(program: &Program) -> Vec<String> {
    let lines = program.published("es.jsonl");
    lines
        .iter()
        .map(|line| line["post"].as_str().expect("a post").to_owned())
        .collect()
}

/// Waits until so many are published at both outlets, and checks that each is there once.
fn wait_for_items(program: &Program, n_items: usize) {
    until(&format!("{n_items} items are published"), || {
        let n_in_feed = program.read("es.xml").matches("<entry>").count();
        (posts(program).len() >= n_items && n_in_feed >= n_items).then_some(())
    });
    let mut posts = posts(program);
    assert_eq!(posts.len(), n_items, "{posts:?}");
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), n_items, "{posts:?}");
    let feed = atom_syndication::Feed::read_from(program.read("es.xml").as_bytes());
    assert_eq!(feed.expect("valid Atom").entries().len(), n_items);
}

/// A source as the status tells it.
fn view(program: &Program, name: &str) -> Value {
    let status = program.status();
    let sources = status["sources"].as_array().expect("sources").clone();
    let found = sources.into_iter().find(|source| source["name"] == name);
    found.unwrap_or_else(|| panic!("no source {name} in {status}"))
}

#[test]
fn an_item_appears_once_in_every_outlet_and_an_unchanged_feed_costs_a_304() {
    let (nginx, patient) = (Nginx::start(), Patient::start(0, 0));
    nginx.put("feed.rss", &feed(0..3));
    let mut program = program(&patient, &[source("news", &nginx.url("feed.rss"))]);
    wait_for_items(&program, 3);
    until("nginx answers 304", || {
        nginx.statuses().contains(&304).then_some(())
    });

    nginx.put("feed.rss", &feed(0..4));
    wait_for_items(&program, 4);
    program.kill();
    program.start();
    let n_answered = nginx.statuses().len();
    program.run(&["poll", "news"]).well();
    nginx.put("feed.rss", &feed(1..6));
    wait_for_items(&program, 6);

    assert!(
        nginx.statuses()[n_answered..].contains(&304),
        "the version outlives a restart"
    );
    let lines = program.published("es.jsonl");
    let line = lines
        .iter()
        .find(|line| line["text"] == "[es] Item 5")
        .expect("the newest");
    assert_eq!(line["source"], "news");
    assert_eq!(line["url"], "https://example.org/5");
}

#[test]
fn a_server_that_is_down_for_three_polls_loses_and_doubles_nothing() {
    let (mut nginx, patient) = (Nginx::start(), Patient::start(0, 0));
    nginx.put("feed.rss", &feed(0..3));
    let program = program(&patient, &[source("news", &nginx.url("feed.rss"))]);
    wait_for_items(&program, 3);
    nginx.stop();
    for _ in 0..3 {
        program.run(&["poll", "news"]).well();
        assert_eq!(view(&program, "news")["state"], "failing");
    }
    nginx.put("feed.rss", &feed(1..8));
    nginx.start_again();
    program.run(&["poll", "news"]).well();

    wait_for_items(&program, 8);

    assert!(view(&program, "news")["error"].is_null());
    assert_eq!(
        program.n_logged("poll failed"),
        1,
        "said once, not at every poll"
    );
    assert_eq!(program.n_logged("a source answers again"), 1);
}

#[test]
fn bad_feeds_are_told_in_a_line_each_and_the_good_ones_go_on() {
    let nginx = Nginx::start_with(
        "location = /gone.rss { return 410; } location = /slow.rss { limit_rate 10; }",
    );
    let patient = Patient::start(0, 0);
    nginx.put("good.rss", &feed(0..2));
    nginx.put(
        "page.html",
        "<!DOCTYPE html><html><body><p>Welcome</p></body></html>",
    );
    nginx.put("slow.rss", &feed(0..200));
    let huge = File::create(nginx.folder().join("huge.rss")).expect("a file");
    huge.set_len(40_000_000).expect("a long file");
    let names = ["good.rss", "page.html", "slow.rss", "huge.rss", "gone.rss"];
    let sources = names.map(|name| {
        let word = name.split('.').next().expect("a word");
        source(word, &nginx.url(name))
    });
    let program = program(&patient, &sources);
    wait_for_items(&program, 2);
    for (name, wanted) in [
        ("page", "feed"),
        ("huge", "10000000"),
        ("gone", "410"),
        ("slow", ""),
    ] {
        until(&format!("{name} is told"), || {
            let log = program.log();
            let mut lines = log.lines().filter(|line| {
                line.contains(&format!("source={name}")) && line.contains("poll failed")
            });
            lines
                .next()
                .map(|line| assert!(line.contains(wanted), "{line}"))
        });
    }
    assert_eq!(
        program.n_logged("a source has ended; it is polled no more source=gone"),
        1
    );
    let n_gone = nginx
        .statuses()
        .iter()
        .filter(|status| **status == 410)
        .count();
    assert_eq!(n_gone, 1, "what is gone is asked no more");

    nginx.put("good.rss", &feed(0..5));
    wait_for_items(&program, 5);

    for name in ["page", "huge", "slow"] {
        // It may be polled just now, and keeps its error meanwhile.
        assert!(view(&program, name)["error"].is_string(), "{name}");
        let lines = program.log();
        let lines = lines.lines().filter(|line| {
            line.contains(&format!("source={name}")) && line.contains("poll failed")
        });
        assert_eq!(lines.count(), 1, "{name} is told once");
    }
    let rss = program.get("/v1/metrics").json()["rss_bytes"].as_u64();
    assert!(rss.expect("bytes") < 150_000_000);
}

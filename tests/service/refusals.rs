//! What networks refuse an account of ours, and what becomes of the rest.

mod bluesky;
mod mastodon;
mod x;

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::web::Web;

/// A program with an outlet `es` that is so, and one in a file beside it, which shows that the rest
/// goes on; it does not run yet.
fn program(patient: &Patient, outlet: &str) -> Program {
    Program::new(&format!(
        "[publishing]\nmedia_from_private = true\n{UNCHECKED}{}\
         [[outlet]]\nname = \"es\"\nlanguage = \"es\"\n{AT_ONCE}{outlet}\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
    ))
}

/// A feed whose items have a picture each, and the source that reads it.
fn pictured(items: &[(&str, &str)]) -> (Web, String) {
    let item = |(text, picture): &(&str, &str)| {
        format!(
            "<item><title>{text}</title><guid>{text}</guid>\
             <enclosure url=\"{picture}\" type=\"image/png\" length=\"1\"/></item>"
        )
    };
    let items: String = items.iter().map(item).collect();
    let feed = format!("<rss version=\"2.0\"><channel><title>F</title>{items}</channel></rss>");
    let web = Web::start();
    web.put("application/rss+xml", feed);
    let source = format!(
        "[[source]]\nname = \"news\"\nkind = \"feed\"\nurl = \"{}\"\nlanguage = \"en\"\n\
         every = \"1s\"\nbackfill = \"all\"\n",
        web.feed_url()
    );
    (web, source)
}

/// Hands in texts, and returns the ids of their requests.
fn submit(program: &Program, texts: &[&str]) -> Vec<String> {
    let body = |text| json!({"text": text, "targets": ["es"], "publish": true});
    texts
        .iter()
        .map(|text| program.submit(&body(text)))
        .collect()
}

/// Waits until the file has so many lines, each of which the rest is.
fn await_lines(program: &Program, n_lines: usize) {
    until(&format!("the file has {n_lines}"), || {
        (program.published("es.jsonl").len() == n_lines).then_some(())
    });
}

/// The state of the outlet `es`.
fn state(program: &Program) -> Value {
    let status = program.status();
    let mut outlets = status["outlets"].as_array().expect("outlets").iter();
    let outlet = outlets.find(|it| it["name"] == "es").expect("an outlet");
    outlet["state"].clone()
}

/// Waits until the outlet waits for a person, which is told in one line.
fn await_failure(program: &Program) {
    until("the outlet fails", || {
        (state(program) == "failing").then_some(())
    });
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
}

/// Waits until the outlet works again, which is told in one line.
fn await_return(program: &Program) {
    until("the outlet works again", || {
        (program.n_logged("an outlet takes posts again") >= 1).then_some(())
    });
    assert_ne!(state(program), "failing");
    assert_eq!(program.n_logged("an outlet takes posts again"), 1);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
}

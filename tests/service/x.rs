//! X behind the built program.

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, PATIENCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::faults::Fault;
use crate::simulators::wait::{DAY, until_left};
use crate::simulators::x::{
    APP_TOKEN, CLIENT_ID, CONSUMER_KEY, CONSUMER_SECRET, REFRESH_TOKEN, TOKEN, TOKEN_SECRET, X,
};

/// The settings of an outlet that signs with keys.
pub(crate) const KEYS: &str = "consumer_key_env = \"X_KEY\"\n\
                               consumer_secret_env = \"X_SECRET\"\n\
                               token_env = \"X_TOKEN\"\ntoken_secret_env = \"X_TOKEN_SECRET\"\n";
/// The settings of an outlet whose token is renewed.
pub(crate) const TOKENS: &str = "client_id_env = \"X_CLIENT\"\nrefresh_token_env = \"X_REFRESH\"\n";

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "publish": true, "key": text})
}

/// A program with an outlet on X, and one in a file beside it.
pub(crate) fn program(server: &X, patient: &Patient, more: &str) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es\"\nkind = \"x\"\nlanguage = \"es\"\n\
         base_url = \"{}\"\naccount = \"bot\"\nquiet = \"1s\"\n{AT_ONCE}{more}\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        server.base_url()
    ));
    set_keys(&mut program);
    for (name, value) in [("X_CLIENT", CLIENT_ID), ("X_REFRESH", REFRESH_TOKEN)] {
        program.set(name, value);
    }
    program.start();
    program
}

/// Puts the keys of the account into the environment, as [`KEYS`] names them.
pub(crate) fn set_keys(program: &mut Program) {
    for (name, value) in [
        ("X_KEY", CONSUMER_KEY),
        ("X_SECRET", CONSUMER_SECRET),
        ("X_TOKEN", TOKEN),
        ("X_TOKEN_SECRET", TOKEN_SECRET),
    ] {
        program.set(name, value);
    }
}

#[test]
fn a_thread_stands_on_x_once_whatever_becomes_of_the_replies() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    for fault in [
        Fault::ReplyLost,
        Fault::RequestLost,
        Fault::Unavailable,
        Fault::HalfReply,
    ] {
        server.fail_next(fault);
    }
    let program = program(&server, &patient, KEYS);
    let sentences: Vec<String> = (1..=12)
        .map(|number| format!("This is sentence number {number}, which says nothing at all."))
        .collect();

    let id = program.submit(&body(&sentences.join(" ")));
    let publication = program.wait_for_publication(&id, "es", "Published");

    let posts = server.posts();
    let n_parts = publication["parts"].as_array().expect("parts").len();
    assert!(n_parts >= 3, "{publication}");
    assert_eq!(posts.len(), n_parts, "{posts:#?}");
    for pair in posts.windows(2) {
        assert_eq!(pair[1].parent, Some(pair[0].id));
    }
    let texts: Vec<&str> = posts.iter().map(|post| post.text.as_str()).collect();
    assert_eq!(texts.join(" "), format!("[es] {}", sentences.join(" ")));
}

#[test]
fn the_status_tells_what_posting_and_reading_back_cost() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let program = program(&server, &patient, KEYS);
    server.fail_next(Fault::ReplyLost);
    let id = program.submit(&body("One"));
    program.wait_for_publication(&id, "es", "Published");
    let billed = server.billed(None);
    assert!(billed > 0.015, "{billed}");
    until("the lane counts what was billed", || {
        let status = program.status();
        let lanes = status["lanes"].as_array()?.clone();
        let on_x = lanes.into_iter().find(|it| it["name"] == "outlet:es")?;
        let counted = on_x["usd_today"].as_f64()?;
        ((counted - billed).abs() < 1e-9).then_some(())
    });
}

#[test]
fn a_token_that_is_over_is_renewed_also_after_a_crash() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let mut program = program(&server, &patient, TOKENS);
    let first = program.submit(&body("One"));
    program.wait_for_publication(&first, "es", "Published");
    server.expire_token();
    let second = program.submit(&body("Two"));
    program.wait_for_publication(&second, "es", "Published");
    assert_eq!(server.n_renewed(), 2);

    program.kill();
    server.expire_token();
    program.start();
    let third = program.submit(&body("Three"));
    program.wait_for_publication(&third, "es", "Published");

    assert_eq!(server.n_renewed(), 3);
    assert_eq!(server.posts().len(), 3);
    assert_eq!(program.n_logged("an outlet takes no posts"), 0);
    for token in ["refresh-1", "refresh-2", "access-1", "access-3"] {
        assert!(!program.log().contains(token), "{token} is in the log");
    }
}

#[test]
fn no_more_is_spent_than_a_day_may_cost() {
    until_left(PATIENCE, DAY);
    let patient = Patient::start(0, 0);
    let server = X::start();
    let more = format!("{KEYS}limits.usd_per_day = 0.22\n");
    let program = program(&server, &patient, &more);
    let dear = program.submit(&body("See https://example.org/a"));
    program.wait_for_publication(&dear, "es", "Published");
    let cheap = program.submit(&body("Plain"));
    program.wait_for_publication(&cheap, "es", "Published");

    let late = program.submit(&body("Also plain"));
    until("the lane waits for money", || {
        let status = program.status();
        let lanes = status["lanes"].as_array()?.clone();
        let lane = lanes.into_iter().find(|it| it["name"] == "outlet:es")?;
        let usd = lane["usd_today"].as_f64()?;
        assert!(usd < 0.22, "{lane}");
        // The account was asked for as well.
        (lane["waiting"] == 1 && (usd - 0.216).abs() < 1e-6).then_some(())
    });
    assert_eq!(server.posts().len(), 2);
    assert!((server.billed(None) - 0.216).abs() < 1e-9);
    let task = program.task(&late);
    assert_eq!(task["state"], "Completed", "{task}");
}

/// A program that reads `ana` as that says, and has a file for the outcome; it does not run yet.
fn reading(server: &X, patient: &Patient, more: &str) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"ana\"\nkind = \"x\"\naccounts = [\"ana\"]\n\
         base_url = \"{}\"\nbearer_env = \"X_BEARER\"\n{more}\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        server.base_url()
    ));
    program.set("X_BEARER", APP_TOKEN);
    program
}

#[test]
fn an_account_on_x_is_read_and_what_it_costs_is_shown() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    let first = server.show("ana", "one");
    server.show_as("ana", "two", |it| it.parent = Some(first));
    let mut program = reading(&server, &patient, "backfill = \"all\"\nevery = \"1s\"\n");
    program.start();
    until("both are read", || {
        (program.published("es.jsonl").len() == 2).then_some(())
    });
    server.show("ana", "three");
    until("the third is read", || {
        (program.published("es.jsonl").len() == 3).then_some(())
    });
    let source = program.status()["sources"][0].clone();
    let cost = source["cost_usd"].as_f64().expect("a cost");
    assert!((cost - server.billed(None)).abs() < 1e-9, "{source}");
    assert!((cost - 0.025).abs() < 1e-9, "{source}");
}

#[test]
fn posts_on_x_come_by_the_stream_long_before_the_next_poll() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    let mut program = reading(
        &server,
        &patient,
        "every = \"1h\"\nbackfill = \"all\"\nstream = true\n",
    );
    program.start();
    until("the stream is open", || {
        (server.n_streams() == 1).then_some(())
    });
    for number in 1..=3 {
        server.show("ana", &format!("Post {number}"));
        until("it is out", || {
            (program.published("es.jsonl").len() == number).then_some(())
        });
        server.close_streams();
        until("the stream is open again", || {
            (server.n_streams() == 1).then_some(())
        });
    }
}

#[test]
fn a_run_that_polls_once_leaves_the_stream_of_the_app_alone() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    server.show("ana", "one");
    let program = reading(&server, &patient, "backfill = \"all\"\nstream = true\n");
    program.run(&["check", "--translate"]).well();
    program.run(&["once"]).well();
    assert_eq!(program.published("es.jsonl").len(), 1);
    let asked = server.requests();
    let mut paths = asked.iter().map(|request| request.path.as_str());
    assert!(paths.all(|path| !path.contains("/stream")), "{asked:?}");
}

#[test]
fn a_check_pays_for_a_page_and_says_what_a_run_would_read() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    for number in 0..150 {
        server.show("ana", &format!("Post {number}"));
    }
    let program = reading(&server, &patient, "backfill = \"all\"\n");
    let said = program.run(&["check"]).well();
    let expected = "source ana: shows 100 posts, takes 100 at first sight, publishes each at file; \
                    this look cost $0.510; a run reads up to 50 more at first sight, for up to $0.250, \
                    of which nothing is forecast\n";
    assert!(said.contains(expected), "{said}");
    let translated = program.run(&["check", "--translate", "--json"]).json();
    let source = &translated["sources"][0];
    assert_eq!(
        (&source["posts"], &source["unread"]),
        (&json!(100), &json!(50))
    );
    assert_eq!(translated["forecast"][0]["posts"], 100, "{translated}");
    // The account is looked up by each process, and by a rehearsal once more.
    assert!((server.billed(Some("read")) - 0.5).abs() < 1e-9);
    assert!((server.billed(None) - 0.53).abs() < 1e-9);

    program.run(&["once"]).well();
    assert_eq!(program.published("es.jsonl").len(), 150);
    assert!((server.billed(Some("read")) - 0.75).abs() < 1e-9);
}

#[test]
fn two_sources_of_one_app_hear_its_one_stream_and_none_of_them_while_it_is_paused() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    server.join("ben");
    let second = format!(
        "every = \"1h\"\nstream = true\n[[source]]\nname = \"ben\"\nkind = \"x\"\n\
         accounts = [\"ben\"]\nbase_url = \"{}\"\nbearer_env = \"X_BEARER\"\nevery = \"1h\"\n\
         stream = true\n",
        server.base_url()
    );
    let mut program = reading(&server, &patient, &second);
    program.start();
    let rules = |expected: &[&str]| {
        until("the rules are those of who listens", || {
            let mut rules = server.rules();
            rules.sort();
            let expected = expected
                .iter()
                .map(|name| format!("(from:{name}) -is:retweet"));
            rules.into_iter().eq(expected).then_some(())
        });
    };
    rules(&["ana", "ben"]);
    // Each has asked once more since its rule stands.
    until("both hear the stream", || {
        let asked = server.requests();
        let n_asked = asked
            .iter()
            .filter(|it| it.path.ends_with("/tweets"))
            .count();
        (n_asked >= 4).then_some(())
    });
    server.show("ana", "Post by ana");
    server.show("ben", "Post by ben");
    until("both are out", || {
        (program.published("es.jsonl").len() == 2).then_some(())
    });
    assert_eq!(server.n_streams(), 1);

    program.run(&["pause", "ana"]).well();
    rules(&["ben"]);
    server.show("ana", "Not now");
    server.show("ben", "Still heard");
    until("it is out", || {
        (program.published("es.jsonl").len() == 3).then_some(())
    });
    program.run(&["pause", "ben"]).well();
    until("no stream is open", || {
        server.say_in_stream("");
        (server.n_streams() == 0).then_some(())
    });
    program.run(&["resume", "ana", "--replay"]).well();
    until("what was missed is out", || {
        (program.published("es.jsonl").len() == 4).then_some(())
    });
    rules(&["ana"]);
}

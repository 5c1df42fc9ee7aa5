//! X behind the built program.

use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::faults::Fault;
use crate::simulators::x::{
    CLIENT_ID, CONSUMER_KEY, CONSUMER_SECRET, REFRESH_TOKEN, TOKEN, TOKEN_SECRET, X,
};

/// The settings of an outlet that signs with keys.
pub(crate) const KEYS: &str = "consumer_key_env = \"X_KEY\"\n\
                               consumer_secret_env = \"X_SECRET\"\n\
                               token_env = \"X_TOKEN\"\ntoken_secret_env = \"X_TOKEN_SECRET\"\n";
const TOKENS: &str = "client_id_env = \"X_CLIENT\"\nrefresh_token_env = \"X_REFRESH\"\n";

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "publish": true, "key": text})
}

/// A program with an outlet on X, and one in a file beside it.
fn program(server: &X, patient: &Patient, more: &str) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es\"\nkind = \"x\"\nlanguage = \"es\"\n\
         base_url = \"{}\"\naccount = \"bot\"\nquiet = \"1s\"\n{more}\
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

/// Waits until the publication on X is in that state, and returns it.
fn wait_for(program: &Program, id: &str, state: &str) -> Value {
    until(&format!("it is {state} on X"), || {
        let task = program.task(id);
        let publications = task["publications"].as_array()?.iter();
        let mut on_x = publications.filter(|it| it["outlet"] == "es");
        on_x.find(|it| it["state"] == state).cloned()
    })
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
    let publication = wait_for(&program, &id, "Published");

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
fn a_token_that_is_over_is_renewed_also_after_a_crash() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let mut program = program(&server, &patient, TOKENS);
    let first = program.submit(&body("One"));
    wait_for(&program, &first, "Published");
    server.expire_token();
    let second = program.submit(&body("Two"));
    wait_for(&program, &second, "Published");
    assert_eq!(server.n_renewed(), 2);

    program.kill();
    server.expire_token();
    program.start();
    let third = program.submit(&body("Three"));
    wait_for(&program, &third, "Published");

    assert_eq!(server.n_renewed(), 3);
    assert_eq!(server.posts().len(), 3);
    for token in ["refresh-1", "refresh-2", "access-1", "access-3"] {
        assert!(!program.log().contains(token), "{token} is in the log");
    }
}

#[test]
fn a_suspended_account_and_a_refused_answer_leave_the_rest_alone() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let unsummoned = json!({
        "title": "Forbidden", "status": 403, "type": "about:blank",
        "detail": "You are not permitted to perform this action.",
    });
    server.fail_next(Fault::answer(403, &[], unsummoned.to_string()));
    let program = program(&server, &patient, KEYS);
    let refused = program.submit(&body("Zero"));
    let publication = wait_for(&program, &refused, "Refused");
    let why = publication["why"].as_str().expect("a reason");
    assert!(why.contains("not permitted"), "{publication}");

    server.suspend();
    let ids = ["One", "Two", "Three"].map(|text| program.submit(&body(text)));
    until("the file has all of them", || {
        (program.published("es.jsonl").len() == 4).then_some(())
    });
    until("the outlet fails", || {
        let status = program.status();
        let outlets = status["outlets"].as_array()?.clone();
        let on_x = outlets.into_iter().find(|it| it["name"] == "es")?;
        (on_x["state"] == "failing").then_some(())
    });
    assert_eq!(server.posts().len(), 0);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);

    server.restore();
    program.run(&["resume", "es"]).well();
    for id in &ids {
        wait_for(&program, id, "Published");
    }
    assert_eq!(server.posts().len(), 3);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
    assert_eq!(program.n_logged("an outlet takes posts again"), 1);
}

#[test]
fn no_more_is_spent_than_a_day_may_cost() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let more = format!("{KEYS}limits = {{ usd_per_day = 0.22 }}\n");
    let program = program(&server, &patient, &more);
    let dear = program.submit(&body("See https://example.org/a"));
    wait_for(&program, &dear, "Published");
    let cheap = program.submit(&body("Plain"));
    wait_for(&program, &cheap, "Published");

    let late = program.submit(&body("Also plain"));
    until("the lane waits for money", || {
        let status = program.status();
        let lanes = status["lanes"].as_array()?.clone();
        let lane = lanes.into_iter().find(|it| it["name"] == "outlet:es")?;
        let usd = lane["usd_today"].as_f64()?;
        assert!(usd < 0.22, "{lane}");
        (lane["waiting"] == 1 && (usd - 0.215).abs() < 1e-6).then_some(())
    });
    assert_eq!(server.posts().len(), 2);
    assert!((server.billed(Some("post")) - 0.215).abs() < 1e-9);
    let task = program.task(&late);
    assert_eq!(task["state"], "Completed", "{task}");
}

#[test]
fn an_account_on_x_is_read_and_what_it_costs_is_shown() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    server.join("ana");
    let first = server.show("ana", "one");
    server.show_as("ana", "two", |it| it.parent = Some(first));
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"ana\"\nkind = \"x\"\naccounts = [\"ana\"]\n\
         backfill = \"all\"\nevery = \"1s\"\nbase_url = \"{}\"\nbearer_env = \"X_BEARER\"\n\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        server.base_url()
    ));
    program.set("X_BEARER", crate::simulators::x::APP_TOKEN);
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
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"ana\"\nkind = \"x\"\naccounts = [\"ana\"]\n\
         every = \"1h\"\nbackfill = \"all\"\nbase_url = \"{}\"\nbearer_env = \"X_BEARER\"\nstream = true\n\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        server.base_url()
    ));
    program.set("X_BEARER", crate::simulators::x::APP_TOKEN);
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
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"ana\"\nkind = \"x\"\naccounts = [\"ana\"]\n\
         backfill = \"all\"\nbase_url = \"{}\"\nbearer_env = \"X_BEARER\"\nstream = true\n\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        server.base_url()
    ));
    program.set("X_BEARER", crate::simulators::x::APP_TOKEN);
    program.run(&["check", "--translate"]).well();
    program.run(&["once"]).well();
    assert_eq!(program.published("es.jsonl").len(), 1);
    let asked = server.requests();
    let mut paths = asked.iter().map(|request| request.path.as_str());
    assert!(paths.all(|path| !path.contains("/stream")), "{asked:?}");
}

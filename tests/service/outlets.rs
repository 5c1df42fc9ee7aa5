//! Outlets behind the built program.

use std::thread;

use atom_syndication::Feed;
use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::faults::Fault;
use crate::simulators::mastodon::{Keys, Mastodon, TOKEN};
use crate::simulators::provider::{self, Dialect, ProviderSimulator};

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "publish": true, "key": text})
}

fn with_account(account: &Mastodon, patient: &Patient) -> Program {
    with_account_that(account, patient, "")
}

fn with_account_that(account: &Mastodon, patient: &Patient, more: &str) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es\"\nkind = \"mastodon\"\nlanguage = \"es\"\n\
         token_env = \"ACCOUNT\"\nbase_url = \"{}\"\nvisibility = \"unlisted\"\n{AT_ONCE}{more}",
        patient.settings(),
        account.base_url()
    ));
    program.set("ACCOUNT", TOKEN);
    program.start();
    program
}

#[test]
fn a_file_outlet_has_a_line_for_each_publication_as_the_contract_words_it() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es\"\nkind = \"file\"\nlanguage = \"es\"\n\
         path = \"out/es.jsonl\"\n",
        patient.settings()
    ));
    let id = program.submit(&body("Good day"));

    let task = program.final_task(&id);

    let lines = program.published("out/es.jsonl");
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    let publication = &task["publications"][0];
    assert_eq!(publication["state"], "Published", "{task}");
    assert_eq!(line["key"], publication["id"]);
    assert_eq!(line["task"], task["id"]);
    assert_eq!(line["source"], "requests");
    assert_eq!(line["post"], "Good day");
    assert_eq!(line["language"], "es");
    assert_eq!(line["text"], "[es] Good day");
    assert!(
        line["at"].as_str().expect("a time").ends_with('Z'),
        "{line}"
    );
}

#[test]
fn what_a_server_allows_is_told_by_status_check_and_fit() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    account.set_max_characters(11_000);
    let mut program = with_account(&account, &patient);
    let outlet = until("the limit is known", || {
        let outlet = program.status()["outlets"][0].clone();
        outlet["max"].is_u64().then_some(outlet)
    });
    let told = json!([outlet["max"], outlet["unit"], outlet["link"]]);
    assert_eq!(told, json!([11_000, "graphemes", 23]));
    let line = "at most 11000 graphemes a part, a link is 23";
    let status = program.run(&["status"]).well();
    assert!(status.contains(line), "{status}");
    let check = program.run(&["check"]).well();
    assert!(check.contains(line), "{check}");
    let found = program.run(&["check", "--json"]).json();
    assert_eq!(found["outlets"][0]["max"], 11_000);
    let fit = ["fit", "--outlet", "es", "--json", "Hola"];
    assert_eq!(program.run(&fit).json()["max"], 11_000);
    program.stop();
    // Nobody is there to be asked, which is said.
    let fitted = program.run(&fit);
    assert!(fitted.err.contains("is assumed"), "{}", fitted.err);
    assert_eq!(fitted.json()["max"], 500);
}

#[test]
fn hashtags_go_out_in_the_language_of_the_outlet_where_that_is_wanted() {
    let simulator = ProviderSimulator::start();
    simulator.always(Some(provider::Fault::Says(
        "La ⟦0⟧ acaba.\n⟦1⟧\nhuelga de ferris",
    )));
    let program = Program::started(&format!(
        "{UNCHECKED}[[provider]]\nname = \"model\"\nkind = \"openai\"\nmodel = \"m\"\n\
         base_url = \"{}\"\n[[outlet]]\nname = \"es\"\nkind = \"file\"\nlanguage = \"es\"\n\
         path = \"es.jsonl\"\nhashtags = \"both\"\n",
        simulator.base_url(Dialect::OpenAi)
    ));

    let task = program.final_task(&program.submit(&body("The #FerryStrike ends.")));

    assert_eq!(task["result"]["text"], "La #FerryStrike acaba.");
    let published = program.published("es.jsonl");
    let expected = "La #FerryStrike acaba.\n\n#HuelgaDeFerris";
    assert_eq!(published[0]["text"], expected);
}

#[test]
fn a_feed_outlet_is_valid_atom_with_every_translation_once() {
    let patient = Patient::start(0, 0);
    let mut program = Program::started(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es-feed\"\nkind = \"feed\"\nlanguage = \"es\"\n\
         path = \"es.xml\"\ntitle = \"Spanish & more\"\n",
        patient.settings()
    ));
    for text in ["One <b>bold</b> & \"quoted\"", "Two", "Three"] {
        let task = program.final_task(&program.submit(&body(text)));
        assert_eq!(task["publications"][0]["state"], "Published", "{task}");
    }
    program.kill();
    program.start();
    program.final_task(&program.submit(&body("Four")));

    let feed = Feed::read_from(program.read("es.xml").as_bytes()).expect("valid Atom");

    assert_eq!(feed.title().as_str(), "Spanish & more");
    assert!(!feed.id().is_empty());
    let ids: std::collections::HashSet<&str> = feed.entries().iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), 4);
    let all = program.read("es.xml");
    for word in ["Two", "Three", "Four"] {
        assert!(all.contains(&format!("[es] {word}")), "{all}");
    }
    assert!(!all.contains("<b>"), "{all}");
}

/// Every case waits for the same time of quiet, so that they wait together.
#[test]
fn an_account_gets_every_post_once_whatever_became_of_its_reply() {
    thread::scope(|scope| {
        for (keys, fault) in [
            (Keys::Kept, Fault::ReplyLost),
            (Keys::Kept, Fault::BadGateway),
            (Keys::Ignored, Fault::ReplyLost),
            (Keys::Ignored, Fault::HalfReply),
            (Keys::Ignored, Fault::RequestLost),
        ] {
            scope.spawn(move || publishes_once(keys, fault));
        }
    });
}

fn publishes_once(keys: Keys, fault: Fault) {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(keys);
    account.fail_next(fault.clone());
    let program = with_account(&account, &patient);

    let ids = ["One", "Two", "Three"].map(|text| program.submit(&body(text)));
    let tasks = ids.map(|id| {
        until("it is published", || {
            let task = program.task(&id);
            (task["publications"][0]["state"] == "Published").then_some(task)
        })
    });

    let case = format!("{keys:?}, {fault:?}");
    assert_eq!(account.statuses().len(), 3, "{case}");
    for (task, text) in tasks.iter().zip(["One", "Two", "Three"]) {
        let statuses = account.statuses();
        let wanted = format!("[es] {text}");
        let status = statuses.iter().find(|status| status.text == wanted);
        let status = status.unwrap_or_else(|| panic!("{case}: no {wanted}"));
        assert_eq!(status.language.as_deref(), Some("es"));
        assert_eq!(status.visibility.as_deref(), Some("unlisted"));
        assert!(status.key.is_some());
        let url = task["publications"][0]["parts"][0]["url"].as_str();
        assert!(url.expect("a URL").ends_with(&status.id), "{case}: {task}");
    }
    let asked = account.requests();
    let is_read = |path: &str| path.ends_with("/statuses");
    if keys == Keys::Ignored {
        let n_read = asked
            .iter()
            .filter(|it| it.method == "GET" && is_read(&it.path));
        assert!(n_read.count() > 0, "{case}: the account was read back");
    }
}

#[test]
fn what_an_account_publishes_later_is_shown_as_such_and_handed_in_once() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    let mut program = with_account_that(&account, &patient, "schedule = \"30m\"\n");
    let id = program.submit(&body("Good day"));

    let task = program.final_task(&id);

    let publication = &task["publications"][0];
    assert_eq!(publication["state"], "Scheduled", "{task}");
    assert_eq!(publication["parts"][0]["state"], "Scheduled", "{task}");
    let why = publication["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("the outlet publishes it at 20"), "{task}");

    let status = program.status();
    assert_eq!(status["outlets"][0]["scheduled"], 1, "{status}");
    program.kill();
    // While it is away the post comes out.
    account.set_lead(31 * 60);
    program.start();
    let task = until("it is out", || {
        let task = program.task(&id);
        (task["publications"][0]["state"] == "Published").then_some(task)
    });

    let [status] = &account.statuses()[..] else {
        panic!("{:?}", account.statuses());
    };
    assert_eq!(status.text, "[es] Good day");
    assert_eq!(task["publications"][0]["parts"][0]["id"], status.id);
    assert_eq!(account.scheduled().len(), 0);
}

//! Telegram, Discord, Slack and webhooks behind the built program.

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::discord::Discord;
use crate::simulators::faults::Fault;
use crate::simulators::slack::Slack;
use crate::simulators::telegram::{CHAT, TOKEN, Telegram};
use crate::simulators::webhook::{Receiver, SECRET};

/// One of each kind.
struct Places {
    telegram: Telegram,
    discord: Discord,
    slack: Slack,
    receiver: Receiver,
}

impl Places {
    fn start() -> Self {
        Self {
            telegram: Telegram::start(),
            discord: Discord::start(),
            slack: Slack::start(),
            receiver: Receiver::start(),
        }
    }

    /// The program with an outlet at each of them, and a file beside them.
    fn program(&self, patient: &Patient) -> Program {
        let outlet = |kind: &str, more: &str| {
            format!(
                "[[outlet]]\nname = \"{kind}\"\nkind = \"{kind}\"\nlanguage = \"es\"\n\
                 {AT_ONCE}{more}\n"
            )
        };
        let telegram = format!(
            "base_url = \"{}\"\ntoken_env = \"TELEGRAM\"\nchat = \"{CHAT}\"",
            self.telegram.base_url()
        );
        let settings = [
            UNCHECKED.to_owned(),
            patient.settings(),
            outlet("telegram", &telegram),
            outlet("discord", "url_env = \"DISCORD\""),
            outlet("slack", "url_env = \"SLACK\""),
            outlet("webhook", "url_env = \"WEBHOOK\"\nsecret_env = \"SECRET\""),
            outlet("file", "path = \"es.jsonl\""),
        ]
        .concat();
        let mut program = Program::new(&settings);
        program.set("TELEGRAM", TOKEN);
        program.set("DISCORD", &self.discord.url());
        program.set("SLACK", &self.slack.url());
        program.set("WEBHOOK", &self.receiver.url());
        program.set("SECRET", SECRET);
        program
    }

    /// How often a text stands: Telegram, Discord, Slack, webhook.
    fn n_standing(&self, text: &str) -> [usize; 4] {
        [
            self.telegram.n_standing(text),
            self.discord.n_standing(text),
            self.slack.n_standing(text),
            self.receiver.n_standing(text),
        ]
    }
}

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "publish": true, "key": text})
}

/// The state of a task's publication at an outlet.
fn state(task: &Value, outlet: &str) -> String {
    let publications = task["publications"].as_array().expect("publications");
    let found = publications.iter().find(|it| it["outlet"] == outlet);
    let found = found.unwrap_or_else(|| panic!("none at {outlet}: {task}"));
    found["state"].as_str().expect("a state").to_owned()
}

const KINDS: [&str; 4] = ["telegram", "discord", "slack", "webhook"];

fn shows_no_secret(text: &str) {
    for secret in ["the_token_of_the_bot", "of-the-webhook", SECRET] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn every_text_stands_once_at_each_of_them() {
    let (places, patient) = (Places::start(), Patient::start(0, 0));
    let mut program = places.program(&patient);
    program.start();
    let texts = ["One & <two>", "Two", "Three"];
    let ids = texts.map(|text| program.submit(&body(text)));
    for (id, text) in ids.iter().zip(texts) {
        let task = program.final_task(id);
        for kind in KINDS {
            assert_eq!(state(&task, kind), "Published", "{task}");
        }
        let wanted = format!("[es] {text}");
        assert_eq!(places.n_standing(&wanted), [1; 4], "{text}");
    }
    assert_eq!(places.receiver.n_forged(), 0);
    shows_no_secret(&program.log());
}

#[test]
fn what_may_be_out_is_unknown_and_the_rest_goes_on() {
    let (places, patient) = (Places::start(), Patient::start(0, 0));
    places.telegram.fail_next(Fault::ReplyLost);
    places.discord.fail_next(Fault::BadGateway);
    places.slack.fail_next(Fault::HalfReply);
    places.receiver.fail_next(Fault::ReplyLost);
    let mut program = places.program(&patient);
    program.start();

    let first = program.final_task(&program.submit(&body("One")));
    let second = program.final_task(&program.submit(&body("Two")));
    program.kill();
    program.start();
    let third = program.final_task(&program.submit(&body("Three")));

    for kind in KINDS {
        assert_eq!(state(&first, kind), "Unknown", "{first}");
        assert_eq!(state(&second, kind), "Published", "{second}");
        assert_eq!(state(&third, kind), "Published", "{third}");
    }
    for text in ["One", "Two", "Three"] {
        assert_eq!(places.n_standing(&format!("[es] {text}")), [1; 4]);
    }
    shows_no_secret(&program.log());
}

#[test]
fn a_person_says_what_became_of_what_may_be_out() {
    let (places, patient) = (Places::start(), Patient::start(0, 0));
    places.telegram.fail_next(Fault::ReplyLost);
    places.discord.fail_next(Fault::RequestLost);
    let mut program = places.program(&patient);
    program.start();
    let id = program.submit(&body("One"));
    program.final_task(&id);
    let listed = program.run(&["review", "--json"]).json();
    let listed = listed["publications"].as_array().expect("a list");
    let unknown = |outlet: &str| {
        let mut listed = listed.iter();
        let found = listed.find(|it| it["outlet"] == outlet).expect("is listed");
        assert_eq!(found["state"], "Unknown", "{found}");
        found["id"].as_str().expect("an id").to_owned()
    };
    let shown = program.run(&["review"]).well();
    assert!(shown.contains("Unknown since"), "{shown}");

    program.run(&["approve", &unknown("telegram")]).well();
    program.run(&["reject", &unknown("discord")]).well();

    let task = program.task(&id);
    assert_eq!(state(&task, "telegram"), "Published", "{task}");
    assert_eq!(state(&task, "discord"), "Refused", "{task}");
    program.kill();
    program.start();
    let left = program.get("/v1/review").json();
    assert_eq!(left["publications"], json!([]));
}

#[test]
fn what_a_person_must_mend_holds_up_nobody_else_and_is_logged_once() {
    let (places, patient) = (Places::start(), Patient::start(0, 0));
    places.telegram.kick();
    places.discord.forget();
    places.slack.refuse_all(410, "channel_is_archived");
    let refusal = crate::simulators::server::Answer::new(401, "text/plain", "no");
    for _ in 0..50 {
        places.receiver.fail_next(Fault::Answer(refusal.clone()));
    }
    let mut program = places.program(&patient);
    program.start();
    let ids = ["One", "Two", "Three"].map(|text| program.submit(&body(text)));
    until("the file has them all", || {
        (program.published("es.jsonl").len() == 3).then_some(())
    });
    until("all others are known to take nothing", || {
        let status = program.status();
        let outlets = status["outlets"].as_array().expect("outlets").clone();
        let is_failing = |kind: &str| {
            let mut outlets = outlets.iter();
            outlets.any(|it| it["name"] == kind && it["error"].is_string())
        };
        KINDS.iter().all(|kind| is_failing(kind)).then_some(())
    });
    for id in &ids {
        let task = program.task(id);
        for kind in KINDS {
            assert_eq!(state(&task, kind), "Planned", "{task}");
        }
    }
    assert_eq!(program.n_logged("an outlet takes no posts"), 4);
    assert!(places.discord.n_invalid() <= 1);
    shows_no_secret(&program.log());
    shows_no_secret(&program.status().to_string());
}

#[test]
fn what_is_tried_before_is_told_and_nothing_is_published() {
    let (places, patient) = (Places::start(), Patient::start(0, 0));
    let program = places.program(&patient);
    let out = program.run(&["check"]).well();
    for line in [
        "outlet telegram: works, @noticias_bot posts to `Noticias`; at most 4096 UTF-16 units a part",
        "outlet discord: works, posts as `noticias`; at most 2000 code points a part",
        "outlet slack: works, or not: Slack's webhooks cannot be tried without publishing",
        "outlet webhook: works, its receiver answers HEAD with HTTP status 405",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    places.telegram.revoke();
    places.discord.forget();
    let said = program.run(&["check"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("outlet telegram: failed"), "{}", said.out);
    assert!(said.out.contains("outlet discord: failed"), "{}", said.out);
    shows_no_secret(&format!("{}{}", said.out, said.err));
    assert_eq!(places.slack.messages().len(), 0);
    assert_eq!(places.receiver.deliveries().len(), 0);
}

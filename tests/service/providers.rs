//! Each kind of provider behind the built program, well and badly behaved.

use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::provider::{Dialect, Fault, ProviderSimulator};

const KEY: &str = "sk-very-secret-key-of-this-test";

fn kind(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Gemini => "gemini",
        Dialect::Anthropic => "anthropic",
        Dialect::DeepL => "deepl",
        Dialect::LibreTranslate => "libretranslate",
        Dialect::Apertium => "apertium",
    }
}

/// The settings of a provider that is named like its kind.
fn provider(dialect: Dialect, simulator: &ProviderSimulator) -> String {
    let name = kind(dialect);
    let more = match dialect {
        Dialect::OpenAi | Dialect::Gemini | Dialect::Anthropic => {
            "model = \"m\"\napi_key_env = \"PROVIDER_KEY\"\n"
        }
        Dialect::DeepL => "api_key_env = \"PROVIDER_KEY\"\nprice = { input = 20.0 }\n",
        Dialect::LibreTranslate => "api_key_env = \"PROVIDER_KEY\"\n",
        Dialect::Apertium => "",
    };
    let url = simulator.base_url(dialect);
    format!("[[provider]]\nname = \"{name}\"\nkind = \"{name}\"\nbase_url = \"{url}\"\n{more}")
}

fn program(providers: &[String]) -> Program {
    let text = format!(
        "[translation]\ntimeout = \"3s\"\ntranslators = 2\n{UNCHECKED}{}",
        providers.concat()
    );
    let mut program = Program::new(&text);
    program.set("PROVIDER_KEY", KEY);
    program.start();
    program
}

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "source": "en"})
}

/// The lane of that name.
fn lane(program: &Program, name: &str) -> Value {
    let status = program.status();
    let lanes = status["lanes"].as_array().expect("lanes").clone();
    let found = lanes.into_iter().find(|lane| lane["name"] == name);
    found.unwrap_or_else(|| panic!("no lane {name} in {status}"))
}

#[test]
fn each_kind_of_provider_translates_and_keeps_spans() {
    for dialect in Dialect::ALL {
        let simulator = ProviderSimulator::start();
        let program = program(&[provider(dialect, &simulator)]);
        let text = "Read https://example.org/a?b=1 by @ann@example.org in #Berlin";
        let id = program.submit(&body(text));

        let task = program.final_task(&id);

        assert_eq!(task["state"], "Completed", "{dialect:?}: {task}");
        let translated = task["result"]["text"].as_str().expect("a text");
        for span in ["https://example.org/a?b=1", "@ann@example.org", "#Berlin"] {
            assert!(translated.contains(span), "{dialect:?}: {translated}");
        }
        assert!(translated.starts_with('['), "{dialect:?}: {translated}");
        assert_eq!(task["result"]["provider"], kind(dialect));
        assert_eq!(simulator.n_calls(), 1);
        let sent = simulator.calls()[0].body.to_string();
        assert!(
            !sent.contains("example.org/a"),
            "the span stayed here: {sent}"
        );
    }
}

#[test]
fn a_wrong_key_closes_its_lane_until_a_person_acts_and_the_others_go_on() {
    let (bad, good) = (ProviderSimulator::start(), ProviderSimulator::start());
    bad.always(Some(Fault::Raw {
        status: 401,
        headers: vec![("content-type", "application/json")],
        body: json!({"error": {"message": format!("Incorrect API key provided: {KEY}"),
            "type": "invalid_request_error", "code": "invalid_api_key"}})
        .to_string(),
    }));
    let program = program(&[
        provider(Dialect::OpenAi, &bad),
        provider(Dialect::LibreTranslate, &good),
    ]);
    for number in 0..5 {
        let id = program.submit(&body(&format!("Text {number}")));
        let task = program.final_task(&id);
        assert_eq!(task["state"], "Completed", "{task}");
        assert_eq!(task["result"]["provider"], "libretranslate");
    }
    assert_eq!(bad.n_calls(), 1, "a closed lane is not tried again");
    let closed = lane(&program, "openai");
    assert_eq!(closed["why"], "credential or credit refused", "{closed}");
    let ready = program.get("/readyz");
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &json!("degraded"))
    );
    assert_eq!(program.n_logged("a lane is closed until a person acts"), 1);
    assert!(!program.log().contains(KEY), "the key stands in the log");
    let said = program.run(&["status", "--json"]).well();
    assert!(!said.contains(KEY));
    let said = program.run(&["status"]).well();
    assert!(said.contains("babelfeed resume openai"), "{said}");

    bad.always(None);
    program.run(&["resume", "openai"]).well();
    let id = program.submit(&body("After the person"));
    assert_eq!(program.final_task(&id)["result"]["provider"], "openai");
}

#[test]
fn answers_that_make_no_sense_are_tried_again_and_read_within_bounds() {
    for (dialect, fault) in [
        (Dialect::OpenAi, Fault::Malformed),
        (Dialect::Gemini, Fault::Huge),
        (Dialect::LibreTranslate, Fault::HtmlGateway),
        (Dialect::OpenAi, Fault::Trickle),
        (Dialect::Apertium, Fault::Cut),
    ] {
        let simulator = ProviderSimulator::start();
        simulator.then(fault.clone());
        let program = program(&[provider(dialect, &simulator)]);
        let id = program.submit(&body("Good day"));

        let task = program.final_task(&id);

        assert_eq!(task["state"], "Completed", "{fault:?}: {task}");
        assert!(simulator.n_calls() >= 2, "{fault:?}");
        let metrics = program.get("/v1/metrics").json();
        let rss = metrics["rss_bytes"].as_u64().expect("bytes");
        assert!(rss < 120_000_000, "{fault:?}: {rss} bytes");
        assert!(!program.log().contains(KEY));
    }
}

#[test]
fn a_429_with_a_hint_is_waited_for_and_costs_no_attempt() {
    let simulator = ProviderSimulator::start();
    simulator.then(Fault::RateLimited);
    let program = program(&[provider(Dialect::OpenAi, &simulator)]);
    let id = program.submit(&body("Good day"));
    let waiting = until("the task waits for its lane", || {
        let task = program.task(&id);
        (task["state"] == "RateLimited").then_some(task)
    });
    let parked = lane(&program, "openai");
    assert!(parked["parked_until"].is_string(), "{parked}");

    let task = program.final_task(&id);

    assert_eq!(task["state"], "Completed");
    assert_eq!(task["attempts"], 1, "{task}");
    assert_eq!(simulator.n_calls(), 2, "it was waited for, not bounced");
    assert!(
        waiting["history"].to_string().contains("until"),
        "{waiting}"
    );
}

#[test]
fn a_text_that_is_refused_fails_at_once_and_says_so() {
    let simulator = ProviderSimulator::start();
    simulator.always(Some(Fault::Refused));
    let program = program(&[provider(Dialect::OpenAi, &simulator)]);
    let id = program.submit(&body("Good day"));

    let task = program.final_task(&id);

    assert_eq!(task["state"], "Failed");
    assert_eq!(task["error"]["kind"], "rejected", "{task}");
}

#[test]
fn what_deepl_bills_is_counted_in_characters_and_money() {
    let simulator = ProviderSimulator::start();
    let program = program(&[provider(Dialect::DeepL, &simulator)]);
    let id = program.submit(&body("Good day"));

    let task = program.final_task(&id);

    let result = &task["result"];
    assert_eq!(result["text"], "[ES] Good day", "{task}");
    assert_eq!(result["tokens_in"], 8);
    assert_eq!(result["model"], "quality_optimized");
    let cost = result["cost_usd"].as_f64().expect("a number");
    assert!((cost - 8.0 * 20.0 / 1e6).abs() < 1e-9, "{cost}");
}

#[test]
fn a_quota_that_deepl_has_spent_leaves_the_work_to_the_next_provider() {
    let (spent, next) = (ProviderSimulator::start(), ProviderSimulator::start());
    spent.always(Some(Fault::DailyQuota));
    let program = program(&[
        provider(Dialect::DeepL, &spent),
        provider(Dialect::Anthropic, &next),
    ]);
    for number in 0..3 {
        let id = program.submit(&body(&format!("Text {number}")));
        let task = program.final_task(&id);
        assert_eq!(task["state"], "Completed", "{task}");
        assert_eq!(task["result"]["provider"], "anthropic");
        assert_eq!(task["result"]["model"], "m-20261021");
    }
    assert_eq!(spent.n_calls(), 1, "a parked lane is left alone");
    let parked = lane(&program, "deepl");
    assert!(parked["parked_until"].is_string(), "{parked}");
}

#[test]
fn every_kind_of_provider_is_tried_by_check_and_no_key_is_printed() {
    let simulator = ProviderSimulator::start();
    let text: String = Dialect::ALL
        .into_iter()
        .map(|dialect| provider(dialect, &simulator))
        .collect();
    let mut program = Program::new(&text);
    program.set("PROVIDER_KEY", KEY);

    let said = program.run(&["check"]).well();

    for dialect in Dialect::ALL {
        let line = format!("provider {}: works, en→es: [", kind(dialect));
        assert!(said.contains(&line), "{said}");
    }
    assert!(!said.contains(KEY));
}

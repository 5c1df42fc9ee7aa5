//! A real gateway: the LiteLLM proxy, by each of its routes.

use std::time::Duration;

use babelfeed::providers::anthropic::{AnthropicConfig, AnthropicProvider};
use babelfeed::providers::gemini::{GeminiConfig, GeminiProvider};
use babelfeed::providers::openai::{OpenAiConfig, OpenAiProvider};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Pair, SeenLimit, Unit};
use babelfeed_actors::ports::{Answer, Item, Pack, Provider, ProviderError};
use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::litellm;

/// The kinds of providers that it can stand for, and where each of its routes begins.
const ROUTES: [(&str, &str); 3] = [("openai", "/v1"), ("anthropic", ""), ("gemini", "/v1beta")];

/// A program that asks one model by one route with one key.
fn program(route: (&str, &str), model: &str, key: &str, timeout: &str) -> Program {
    let (kind, prefix) = route;
    let base_url = format!("{}{prefix}", litellm::shared());
    let mut program = Program::new(&format!(
        "[translation]\ntimeout = \"{timeout}\"\n{UNCHECKED}\
         [[provider]]\nname = \"{kind}\"\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\n\
         model = \"{model}\"\napi_key_env = \"LITELLM_KEY\"\n"
    ));
    program.set("LITELLM_KEY", key);
    program.start();
    program
}

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "source": "en"})
}

/// The one lane of a program.
fn lane(program: &Program) -> Value {
    program.status()["lanes"][0].clone()
}

#[test]
fn texts_pass_by_each_route_with_their_spans() {
    for route in ROUTES {
        let program = program(route, "canned", "sk-canned", "30s");
        let ids: Vec<String> = (0..12)
            .map(|number| {
                let text =
                    format!("Post {number} of @ann@example.org: https://example.org/{number}");
                program.submit(&body(&text))
            })
            .collect();
        for (number, id) in ids.iter().enumerate() {
            let task = program.final_task(id);
            assert_eq!(task["state"], "Completed", "{route:?}: {task}");
            assert_eq!(
                task["result"]["text"],
                format!("[es] Post {number} of @ann@example.org: https://example.org/{number}")
            );
            assert!(task["result"]["tokens_in"].as_u64() > Some(0), "{task}");
        }
    }
}

#[test]
fn a_key_that_it_does_not_know_closes_the_lane_for_a_person() {
    for route in ROUTES {
        let program = program(route, "canned", "sk-nobody", "30s");
        let id = program.submit(&body("Good day"));
        until("the lane is closed", || {
            let lane = lane(&program);
            (lane["why"] == "credential or credit refused").then_some(())
        });
        assert_ne!(program.task(&id)["state"], "Completed");
        assert!(
            !program.log().contains("sk-nobody"),
            "the key stands in the log"
        );
    }
}

#[test]
fn one_call_a_minute_is_waited_for_and_not_bounced() {
    for route in ROUTES {
        let key = format!("sk-one-a-minute-{}", route.0);
        let program = program(route, "canned", &key, "30s");
        let first = program.submit(&body("The first one"));
        assert_eq!(program.final_task(&first)["state"], "Completed");
        let second = program.submit(&body("The second one"));
        let task = until("the second one waits for its lane", || {
            let task = program.task(&second);
            (task["state"] == "RateLimited").then_some(task)
        });
        assert!(task["history"].to_string().contains("until"), "{task}");
    }
}

#[test]
fn what_breaks_and_what_hangs_is_asked_for_again() {
    for (model, timeout) in [("flaky", "30s"), ("slow", "2s")] {
        for route in ROUTES {
            let program = program(route, model, "sk-canned", timeout);
            let text = format!("By {} to a {model} model", route.0);
            let id = program.submit(&body(&text));

            let task = program.final_task(&id);

            assert_eq!(task["state"], "Completed", "{route:?}: {task}");
            assert_eq!(task["result"]["text"], format!("[es] {text}"));
            assert!(task["attempts"].as_u64() >= Some(2), "{route:?}: {task}");
        }
    }
}

/// The adapter of a route, as the program would make it.
fn adapter(kind: &str, model: &str, key: &str) -> Box<dyn Provider> {
    let api_key = Some(Secret::new(key));
    let (_, prefix) = ROUTES.into_iter().find(|it| it.0 == kind).expect("a route");
    let base_url = format!("{}{prefix}", litellm::shared());
    match kind {
        "openai" => {
            let config = OpenAiConfig::new(&base_url, model);
            Box::new(OpenAiProvider::new(OpenAiConfig { api_key, ..config }).expect("an address"))
        }
        "anthropic" => {
            let config = AnthropicConfig::new(&base_url, model);
            Box::new(
                AnthropicProvider::new(AnthropicConfig { api_key, ..config }).expect("an address"),
            )
        }
        _ => {
            let config = GeminiConfig::new(&base_url, model);
            Box::new(GeminiProvider::new(GeminiConfig { api_key, ..config }).expect("an address"))
        }
    }
}

async fn call(
    provider: &dyn Provider,
    text: &str,
    timeout: Duration,
) -> Result<Answer, ProviderError> {
    let pack = Pack {
        pair: Pair {
            source: Some("en".parse().expect("a tag")),
            target: "es".parse().expect("a tag"),
        },
        items: vec![Item {
            id: "1".into(),
            text: text.into(),
            context: None,
        }],
        max_tokens: Some(200),
        guide: None,
    };
    provider.translate(&pack, timeout).await
}

fn one_a_minute(seen: &[SeenLimit]) -> bool {
    let minute = Some(Duration::from_secs(60));
    let is_it = |seen: &SeenLimit| {
        (seen.unit, seen.per, seen.limit, seen.remaining)
            == (Unit::Requests, minute, Some(1.0), Some(0.0))
    };
    seen.iter().any(is_it)
}

#[actix_rt::test]
async fn its_errors_mean_what_they_mean_elsewhere() {
    const LONG: Duration = Duration::from_secs(60);
    let error_of = |kind, model, key| async move {
        let provider = adapter(kind, model, key);
        let answer = call(&*provider, &format!("By {kind} alone"), LONG).await;
        answer.expect_err("an error")
    };
    for (kind, _) in ROUTES {
        let unknown = error_of(kind, "canned", "sk-nobody").await;
        assert!(
            matches!(unknown, ProviderError::Auth { .. }),
            "{kind}: {unknown}"
        );
        let broken = error_of(kind, "flaky", "sk-canned").await;
        assert!(
            matches!(broken, ProviderError::Transient { .. }),
            "{kind}: {broken}"
        );
        let slow = adapter(kind, "slow", "sk-canned");
        let late = call(&*slow, &format!("By {kind}"), Duration::from_secs(1)).await;
        let late = late.expect_err("no answer in time");
        assert!(
            matches!(late, ProviderError::Unanswered { .. }),
            "{kind}: {late}"
        );
        let limited = adapter(kind, "canned", &format!("sk-one-a-minute-adapter-{kind}"));
        call(&*limited, "One", LONG).await.expect("one a minute");
        limited.take_seen();
        let error = call(&*limited, "Two", LONG).await.expect_err("a 429");
        let ProviderError::RateLimited {
            wait: Some(wait), ..
        } = error
        else {
            panic!("{kind}: {error:?}");
        };
        // Its Anthropic route has no Retry-After, and names in its message when the minute is over.
        // That is less than a minute by as long as the answer took on a busy machine.
        let minute = Duration::from_secs(45)..=Duration::from_secs(61);
        assert!(minute.contains(&wait), "{kind}: {wait:?}");
        assert!(
            one_a_minute(&limited.take_seen()),
            "{kind}: the limit is learned"
        );
    }
    let short = error_of("openai", "limited", "sk-canned").await;
    assert!(
        matches!(short, ProviderError::RateLimited { wait: None, .. }),
        "{short}"
    );
    let day = error_of("openai", "exhausted", "sk-canned").await;
    let wait = Some(Duration::from_millis(578_016));
    assert!(
        matches!(&day, ProviderError::QuotaExhausted { wait: it, .. } if *it == wait),
        "{day:?}"
    );
}

#[actix_rt::test]
async fn headers_of_its_own_tell_what_a_key_may_do() {
    let provider = adapter("openai", "canned", "sk-one-a-minute-headers");
    let answer = call(&*provider, "One", Duration::from_secs(60)).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert!(one_a_minute(&provider.take_seen()));
}

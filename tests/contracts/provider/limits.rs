//! What responses say of limits, and what calls say of their length.

use babelfeed_actors::domain::{KnownBy, SeenLimit, Unit};
use serde_json::json;

use super::*;
use crate::simulators::provider::account::{Account, Counted, House};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// An adapter whose calls are counted against an account.
fn counted(dialect: Dialect, account: Account) -> (ProviderSimulator, Box<dyn Provider>) {
    let simulator = ProviderSimulator::start();
    simulator.open(account);
    let provider = provider(dialect, &simulator.base_url(dialect));
    (simulator, provider)
}

async fn call(provider: &dyn Provider) -> Result<Answer, ProviderError> {
    provider.translate(&short_pack(), LONG).await
}

/// Two texts whose answer may have 100 tokens.
fn short_pack() -> Pack {
    Pack {
        max_tokens: Some(100),
        ..pack(&["one", "two"])
    }
}

fn of_unit(seen: &[SeenLimit], unit: Unit) -> SeenLimit {
    let found = seen.iter().rfind(|seen| seen.unit == unit);
    *found.unwrap_or_else(|| panic!("{unit:?} in {seen:?}"))
}

#[actix_rt::test]
async fn headers_of_answers_tell_what_is_left_as_the_server_counts_it() {
    for (account, requests, requests_per) in [
        (
            Account::at(House::OpenAi).per_minute(Counted::Requests, 600.0),
            600.0,
            MINUTE,
        ),
        (
            Account::at(House::Groq).per_day(Counted::Requests, 1_000.0),
            1_000.0,
            DAY,
        ),
    ] {
        let account = account.per_minute(Counted::Tokens, 60_000.0);
        let (simulator, provider) = counted(Dialect::OpenAi, account);
        for _ in 0..3 {
            call(&*provider).await.expect("an answer");
        }

        let seen = provider.take_seen();

        let by_requests = of_unit(&seen, Unit::Requests);
        assert_eq!(by_requests.per, Some(requests_per));
        assert_eq!(by_requests.limit, Some(requests));
        assert_eq!(
            by_requests.remaining,
            Some(simulator.left(Counted::Requests))
        );
        let by_tokens = of_unit(&seen, Unit::Tokens);
        assert_eq!(by_tokens.per, Some(MINUTE));
        assert_eq!(by_tokens.remaining, Some(simulator.left(Counted::Tokens)));
        assert!(by_tokens.resets_in.is_some_and(|reset| reset <= MINUTE));
        assert!(seen.iter().all(|seen| seen.known_by == KnownBy::Headers));
        assert_eq!(provider.take_seen(), [], "what was taken is gone");
    }
}

#[actix_rt::test]
async fn groq_is_known_by_its_answers_behind_any_address() {
    let account = Account::at(House::Groq).per_day(Counted::Requests, 14_400.0);
    let (simulator, provider) = counted(Dialect::OpenAi, account);
    simulator.add(json!({"x_groq": {"id": "req_01"}}));
    call(&*provider).await.expect("an answer");
    let seen = of_unit(&provider.take_seen(), Unit::Requests);
    assert_eq!((seen.per, seen.limit), (Some(DAY), Some(14_400.0)));
    // Six seconds until all of the day is free again are no wait.
    assert_eq!(seen.resets_in, Some(Duration::from_secs(6)));
    call(&*provider).await.expect("nothing is waited for");
}

#[actix_rt::test]
async fn a_refusal_teaches_the_limit_that_no_header_names() {
    for (house, counted_by) in [(House::Groq, "groq"), (House::OpenAi, "openai")] {
        let account = Account::at(house).per_minute(Counted::Requests, 2.0);
        let (simulator, provider) = counted(Dialect::OpenAi, account);
        for _ in 0..2 {
            call(&*provider).await.expect("an answer");
        }
        provider.take_seen();

        let error = call(&*provider).await.expect_err("a third one");

        let wait = Some(Duration::from_secs(30));
        assert_eq!(
            error.remedy(),
            ProviderRemedy::Park(wait),
            "{counted_by}: {error}"
        );
        let seen = provider.take_seen();
        let by_text = seen.iter().find(|seen| seen.known_by == KnownBy::Refusal);
        let expected = SeenLimit {
            unit: Unit::Requests,
            per: Some(MINUTE),
            limit: Some(2.0),
            remaining: Some(0.0),
            resets_in: None,
            known_by: KnownBy::Refusal,
        };
        assert_eq!(by_text, Some(&expected), "{counted_by}");
        simulator.pass(30.0);
        call(&*provider).await.expect("the wait was enough");
    }
}

#[actix_rt::test]
async fn a_day_that_is_used_up_is_told_from_a_minute() {
    let account = Account::at(House::Groq)
        .per_day(Counted::Tokens, 100_000.0)
        .spent();
    let (_simulator, provider) = counted(Dialect::OpenAi, account);
    let error = call(&*provider).await.expect_err("a quota");
    assert!(
        matches!(error, ProviderError::QuotaExhausted { wait: Some(_), .. }),
        "{error}"
    );
    let seen = of_unit(&provider.take_seen(), Unit::Tokens);
    assert_eq!((seen.per, seen.limit), (Some(DAY), Some(100_000.0)));
}

#[actix_rt::test]
async fn a_call_above_a_whole_window_is_split_and_never_waited_for() {
    for house in [House::Groq, House::OpenAi] {
        let account = Account::at(house).per_minute(Counted::Tokens, 50.0);
        let (simulator, provider) = counted(Dialect::OpenAi, account);
        let error = call(&*provider).await.expect_err("too large");
        assert!(matches!(error, ProviderError::TooLarge { .. }), "{error}");
        assert_eq!(error.remedy(), ProviderRemedy::Split);
        assert_eq!(simulator.n_calls(), 1);
        let seen = provider.take_seen();
        let by_text = seen.iter().find(|seen| seen.known_by == KnownBy::Refusal);
        let by_text = by_text.expect("the limit is learned");
        assert_eq!(
            (by_text.unit, by_text.per, by_text.limit, by_text.remaining),
            (Unit::Tokens, Some(MINUTE), Some(50.0), None)
        );
    }
}

#[actix_rt::test]
async fn google_names_its_quotas_and_lies_only_about_the_day() {
    let minute = Account::at(House::Google).per_minute(Counted::Requests, 1.0);
    let (_simulator, provider) = counted(Dialect::Gemini, minute);
    call(&*provider).await.expect("an answer");
    let error = call(&*provider).await.expect_err("a quota");
    let wait = Some(Duration::from_secs(22));
    assert_eq!(error.remedy(), ProviderRemedy::Park(wait), "{error}");
    let seen = of_unit(&provider.take_seen(), Unit::Requests);
    assert_eq!(
        (seen.per, seen.limit, seen.resets_in),
        (Some(MINUTE), Some(1.0), None)
    );

    let both = Account::at(House::Google)
        .per_minute(Counted::Tokens, 10.0)
        .per_day(Counted::Requests, 250.0)
        .spent();
    let (_simulator, provider) = counted(Dialect::Gemini, both);
    let begun = SystemTime::now();
    let error = call(&*provider).await.expect_err("both quotas");
    let ProviderError::QuotaExhausted {
        wait: Some(wait), ..
    } = error
    else {
        panic!("the longest window wins: {error}");
    };
    assert!(ends_with_an_hour(wait, begun), "{wait:?}");
    assert!(wait <= Duration::from_secs(25 * 3_600 + 1), "{wait:?}");
    let seen = provider.take_seen();
    let by_day = of_unit(&seen, Unit::Requests);
    assert_eq!((by_day.per, by_day.limit), (Some(DAY), Some(250.0)));
    assert_eq!(by_day.resets_in, Some(wait));
    let by_minute = of_unit(&seen, Unit::InputTokens);
    assert_eq!((by_minute.per, by_minute.limit), (Some(MINUTE), Some(10.0)));
    assert_eq!(by_minute.remaining, None);
}

#[actix_rt::test]
async fn libretranslate_counts_texts_and_bans_who_goes_on() {
    let account = Account::at(House::LibreTranslate).per_minute(Counted::Requests, 5.0);
    let (_simulator, provider) = counted(Dialect::LibreTranslate, account);
    for _ in 0..2 {
        call(&*provider).await.expect("an answer");
    }
    let error = call(&*provider).await.expect_err("too many");
    assert_eq!(error.remedy(), ProviderRemedy::Park(None), "{error}");
    let seen = of_unit(&provider.take_seen(), Unit::Requests);
    // Five texts a minute are two calls of two.
    assert_eq!((seen.per, seen.limit), (Some(MINUTE), Some(2.0)));
    call(&*provider).await.expect_err("too many");
    let banned = call(&*provider).await.expect_err("a ban");
    assert!(
        matches!(banned, ProviderError::QuotaExhausted { .. }),
        "{banned}"
    );
}

#[actix_rt::test]
async fn libretranslate_tells_a_limit_in_calls_as_large_as_those_since_the_last_refusal() {
    let simulator = ProviderSimulator::start();
    let provider = provider(
        Dialect::LibreTranslate,
        &simulator.base_url(Dialect::LibreTranslate),
    );
    for (n_texts, limit) in [(10, 8.0), (1, 80.0), (2, 40.0)] {
        simulator.then(Fault::RateLimited);
        let texts = vec!["one"; n_texts];
        let refused = provider.translate(&pack(&texts), LONG).await;
        refused.expect_err("too many");
        let seen = of_unit(&provider.take_seen(), Unit::Requests);
        assert_eq!(seen.limit, Some(limit), "{n_texts}");
    }
}

#[actix_rt::test]
async fn hints_that_are_absurd_are_bounded_or_passed_over() {
    const MONTH: Duration = Duration::from_secs(31 * 86_400);
    for (header, value, wait) in [
        ("retry-after", "1.5", Some(Duration::from_millis(1_500))),
        ("retry-after", "90", Some(Duration::from_secs(90))),
        ("retry-after-ms", "1500", Some(Duration::from_millis(1_500))),
        (
            "retry-after",
            "Sat, 21 Nov 2026 12:00:30 GMT",
            Some(Duration::from_secs(30)),
        ),
        ("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT", None),
        ("retry-after", "-5", None),
        ("retry-after", "NaN", None),
        ("retry-after", "31536000", Some(MONTH)),
    ] {
        for dialect in [Dialect::OpenAi, Dialect::Gemini, Dialect::LibreTranslate] {
            let simulator = ProviderSimulator::start();
            simulator.then(Fault::Raw {
                status: 429,
                headers: vec![
                    ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
                    ("x-ratelimit-limit-requests", "-600"),
                    ("x-ratelimit-remaining-requests", "1e400"),
                    (header, value),
                ],
                body: json!({"error": {"message": "slow down"}}).to_string(),
            });
            let provider = provider(dialect, &simulator.base_url(dialect));
            let error = call(&*provider).await.expect_err("a refusal");
            assert_eq!(
                error.remedy(),
                ProviderRemedy::Park(wait),
                "{dialect:?}: {value}"
            );
            assert_eq!(provider.take_seen(), [], "{dialect:?}: {value}");
        }
    }
}

#[actix_rt::test]
async fn a_pack_decides_how_long_its_answer_may_be() {
    let simulator = ProviderSimulator::start();
    let openai = provider(Dialect::OpenAi, &simulator.base_url(Dialect::OpenAi));
    let gemini = provider(Dialect::Gemini, &simulator.base_url(Dialect::Gemini));
    call(&*openai).await.expect("an answer");
    call(&*gemini).await.expect("an answer");
    simulator.refuse_field("max_completion_tokens");
    call(&*openai).await.expect("an answer");
    let calls = simulator.calls();
    assert_eq!(calls[0].body["max_completion_tokens"], 100);
    assert_eq!(calls[1].body["generationConfig"]["maxOutputTokens"], 100);
    assert_eq!(calls[3].body["max_tokens"], 100);
}

#[actix_rt::test]
async fn a_model_that_must_think_has_room_for_it() {
    let (simulator, provider) = counted(Dialect::Gemini, Account::at(House::Google));
    simulator.refuse_field("thinkingBudget");
    let answer = call(&*provider).await.expect("an answer");
    let generation = simulator.calls()[1].body["generationConfig"].clone();
    assert_eq!(
        generation["thinkingConfig"],
        json!({"thinkingLevel": "LOW"})
    );
    let allowed = answer.thoughts.map(|thoughts| thoughts.allowed);
    assert_eq!(allowed, Some(4_096), "it is told what may be thought");
    assert!(
        generation["maxOutputTokens"].as_u64() > Some(1_000),
        "{generation}"
    );
}

#[actix_rt::test]
async fn a_model_that_thinks_although_it_is_told_not_to_has_room_for_it() {
    let (simulator, provider) = counted(Dialect::Gemini, Account::at(House::Google));
    simulator.think(550);
    let cut = call(&*provider).await.expect("a cut answer");
    let whole = call(&*provider).await.expect("an answer");

    assert!(cut.is_truncated && cut.items.is_empty(), "{cut:?}");
    assert!(!whole.is_truncated && !whole.items.is_empty(), "{whole:?}");
    for answer in [cut, whole] {
        let allowed = answer.thoughts.map(|thoughts| thoughts.allowed);
        assert_eq!(allowed, Some(4_096), "it is told what may be thought");
    }
    let asked: Vec<_> = simulator
        .calls()
        .iter()
        .map(|call| call.body["generationConfig"].clone())
        .map(|generation| {
            let budget = generation["thinkingConfig"]["thinkingBudget"].as_u64();
            (budget, generation["maxOutputTokens"].as_u64())
        })
        .collect();
    assert_eq!(asked, [(Some(0), Some(100)), (Some(0), Some(4_196))]);
}

#[actix_rt::test]
async fn tokens_of_caches_and_thoughts_are_counted_once() {
    for (dialect, additions, tokens) in [
        // Groq and OpenAI: both are parts of what they stand below.
        (
            Dialect::OpenAi,
            json!({"usage": {"queue_time": 0.03, "prompt_tokens": 18, "completion_tokens": 9, "total_tokens": 27,
                "prompt_tokens_details": {"cached_tokens": 16},
                "completion_tokens_details": {"reasoning_tokens": 7}}}),
            Some((18, 9)),
        ),
        // A server whose thoughts only its total tells of.
        (
            Dialect::OpenAi,
            json!({"usage": {"prompt_tokens": 18, "completion_tokens": 9, "total_tokens": 127}}),
            Some((18, 109)),
        ),
        (Dialect::OpenAi, json!({"usage": null}), None),
        (
            Dialect::Gemini,
            json!({"usageMetadata": {"promptTokenCount": 8, "cachedContentTokenCount": 6,
                "toolUsePromptTokenCount": 2, "candidatesTokenCount": 11, "thoughtsTokenCount": 829,
                "totalTokenCount": 850}}),
            Some((10, 840)),
        ),
        (
            Dialect::Gemini,
            json!({"usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 848}}),
            Some((8, 840)),
        ),
    ] {
        let simulator = ProviderSimulator::start();
        simulator.add(additions.clone());
        let provider = provider(dialect, &simulator.base_url(dialect));
        let answer = call(&*provider).await.expect("an answer");
        let found = answer
            .usage
            .map(|usage| (usage.tokens_in, usage.tokens_out));
        assert_eq!(found, tokens, "{additions}");
        let thoughts = &additions["usageMetadata"]["thoughtsTokenCount"];
        let thought = answer.thoughts.map(|thoughts| thoughts.used);
        assert_eq!(thought, thoughts.as_u64(), "{additions}");
    }
}

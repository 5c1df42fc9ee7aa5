//! What only the messages API does.

use babelfeed_actors::domain::{KnownBy, Unit};

use super::kinds::adapter;
use super::*;

#[actix_rt::test]
async fn a_call_says_nothing_that_the_newest_version_refuses() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    provider
        .translate(&pack(&["one"]), LONG)
        .await
        .expect("an answer");
    let call = &simulator.calls()[0];
    assert_eq!(call.version.as_deref(), Some("2026-10-21"));
    for field in ["temperature", "top_p", "top_k"] {
        assert!(call.body.get(field).is_none(), "{field}");
    }
    assert_eq!(call.body["output_config"]["format"]["type"], "json_schema");
    assert_eq!(call.body["output_config"]["effort"], "low");
    let system = call.body["system"].as_str().expect("a system prompt");
    assert!(system.contains("translator"), "{system}");
}

#[actix_rt::test]
async fn a_server_that_knows_only_the_version_before_is_spoken_to_in_it() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    simulator.then(Fault::Raw {
        status: 400,
        headers: vec![("content-type", "application/json")],
        body: r#"{"type":"error","error":{"type":"invalid_request_error","message":"anthropic-version: \"2026-10-21\" is not a valid version"}}"#.to_owned(),
    });
    for _ in 0..2 {
        let answer = provider.translate(&pack(&["one"]), LONG).await;
        assert_eq!(answer.expect("an answer").items.len(), 1);
    }
    let versions: Vec<_> = simulator.calls().into_iter().map(|it| it.version).collect();
    let versions: Vec<_> = versions.iter().flatten().map(String::as_str).collect();
    assert_eq!(versions, ["2026-10-21", "2023-06-01", "2023-06-01"]);
}

#[actix_rt::test]
async fn the_most_tokens_of_a_pack_are_the_most_of_its_answer() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    let estimated = pack(&["one"]);
    let told = Pack {
        max_tokens: Some(77),
        ..estimated.clone()
    };
    for pack in [&estimated, &told] {
        provider.translate(pack, LONG).await.expect("an answer");
    }
    let most: Vec<_> = simulator
        .calls()
        .iter()
        .map(|call| call.body["max_tokens"].as_u64().expect("a number"))
        .collect();
    assert!(most[0] > 128, "{most:?}");
    assert_eq!(most[1], 77);
}

#[actix_rt::test]
async fn what_the_headers_say_of_limits_can_be_taken_once() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    simulator.then_well();
    simulator.then(Fault::RateLimited);
    for _ in 0..2 {
        let _ = provider.translate(&pack(&["one"]), LONG).await;
        let seen = provider.take_seen();
        let figures: Vec<_> = seen
            .iter()
            .map(|it| (it.unit, it.limit, it.remaining))
            .collect();
        assert_eq!(
            figures,
            [
                (Unit::Requests, Some(50.0), Some(49.0)),
                (Unit::Tokens, Some(38_000.0), Some(37_000.0)),
                (Unit::InputTokens, Some(30_000.0), Some(29_000.0)),
                (Unit::OutputTokens, Some(8_000.0), Some(8_000.0)),
            ]
        );
        for limit in &seen {
            let resets_in = limit.resets_in.expect("a reset");
            assert!(resets_in <= Duration::from_secs(31), "{resets_in:?}");
            assert!(resets_in >= Duration::from_secs(20), "{resets_in:?}");
            assert_eq!(limit.per, Some(Duration::from_secs(60)));
            assert_eq!(limit.known_by, KnownBy::Headers);
        }
        assert_eq!(provider.take_seen(), []);
    }
}

#[actix_rt::test]
async fn a_spend_limit_is_for_a_person_however_it_is_told() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    for fault in [
        Fault::DailyQuota,
        Fault::NoCredit,
        Fault::Raw {
            status: 400,
            headers: vec![("content-type", "application/json")],
            body: r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified spend limit."}}"#.to_owned(),
        },
    ] {
        simulator.then(fault.clone());
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("no money");
        assert!(matches!(error, ProviderError::Billing { .. }), "{fault:?}: {error}");
    }
}

#[actix_rt::test]
async fn an_answer_out_of_form_is_asked_for_again() {
    let (simulator, provider) = adapter(Dialect::Anthropic);
    simulator.then(Fault::OutOfForm);
    let error = provider
        .translate(&pack(&["one"]), LONG)
        .await
        .expect_err("no answer");
    assert_eq!(error.remedy(), ProviderRemedy::Retry(None), "{error}");
}

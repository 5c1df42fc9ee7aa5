//! What only one kind of provider, or only language models, do.

use std::sync::Arc;

use babelfeed_actors::domain::{Guide, Term};
use babelfeed_actors::logic::estimate::Ending;
use serde_json::{Value, json};

use super::*;

pub(super) fn adapter(dialect: Dialect) -> (ProviderSimulator, Box<dyn Provider>) {
    let simulator = ProviderSimulator::start();
    let provider = provider(dialect, &simulator.base_url(dialect));
    (simulator, provider)
}

async fn ids(provider: &dyn Provider, texts: &[&str]) -> Vec<String> {
    let answer = provider
        .translate(&pack(texts), LONG)
        .await
        .expect("an answer");
    answer
        .items
        .iter()
        .map(|item| item.id.to_string())
        .collect()
}

const MODELS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Gemini, Dialect::Anthropic];

#[actix_rt::test]
async fn a_model_is_believed_about_ids_and_nothing_else() {
    for dialect in MODELS {
        let (simulator, provider) = adapter(dialect);
        for (fault, expected) in [
            (Fault::Fenced, vec!["id0", "id1"]),
            (Fault::Missing, vec!["id1"]),
            (Fault::Doubled, vec!["id0", "id1", "id0"]),
            (Fault::Unknown, vec!["id0", "id1", "unknown"]),
            (Fault::Reordered, vec!["id1", "id0"]),
            (Fault::Merged, vec!["id0"]),
        ] {
            simulator.then(fault.clone());
            let found = ids(&*provider, &["one", "two"]).await;
            assert_eq!(found, expected, "{dialect:?}: {fault:?}");
        }
    }
}

#[actix_rt::test]
async fn a_model_is_told_the_terms_the_forbidden_words_and_the_tone() {
    for dialect in MODELS {
        let (simulator, provider) = adapter(dialect);
        let guide = Guide {
            terms: vec![Term {
                source: "ferry".into(),
                target: "transbordador".into(),
            }],
            forbidden: vec!["barcaza".into()],
            tone: Some("like a harbour master".into()),
            version: "1".into(),
            remark: None,
            budget: None,
        };
        let pack = Pack {
            guide: Some(Arc::new(guide)),
            ..pack(&["the ferry leaves"])
        };
        provider.translate(&pack, LONG).await.expect("an answer");
        let sent = simulator.calls()[0].body.to_string();
        for word in ["transbordador", "barcaza", "like a harbour master"] {
            assert!(sent.contains(word), "{dialect:?}: {sent}");
        }
    }
}

#[actix_rt::test]
async fn a_cut_answer_says_so_and_keeps_its_whole_items() {
    for dialect in MODELS {
        let (simulator, provider) = adapter(dialect);
        simulator.then(Fault::Truncated);
        let answer = provider
            .translate(&pack(&["one", "two"]), LONG)
            .await
            .expect("an answer");
        assert!(answer.is_truncated, "{dialect:?}");
        let ids: Vec<_> = answer.items.iter().map(|item| &*item.id).collect();
        assert_eq!(ids, ["id0"], "{dialect:?}");
    }
}

#[actix_rt::test]
async fn an_answer_that_thoughts_left_no_room_was_cut_and_the_bound_stays() {
    let (simulator, provider) = adapter(Dialect::OpenAi);
    simulator.then(Fault::OutOfRoom);
    let cut = provider
        .translate(&pack(&["one"]), LONG)
        .await
        .expect("a cut answer");
    assert!(cut.is_truncated && cut.items.is_empty(), "{cut:?}");
    assert_eq!(cut.usage, None);

    assert_eq!(ids(&*provider, &["one"]).await, ["id0"]);
    let calls = simulator.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls[1].body["max_completion_tokens"].is_u64());
}

#[actix_rt::test]
async fn a_model_tells_its_name_and_its_tokens() {
    for (dialect, model, tokens) in [
        (Dialect::OpenAi, "m", (19, 10)),
        (Dialect::Gemini, "gemini-simulated-001", (8, 840)),
        (Dialect::Anthropic, "m-20261021", (17, 5)),
    ] {
        let (_simulator, provider) = adapter(dialect);
        let answer = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect("an answer");
        let usage = answer.usage.expect("usage");
        assert_eq!(&*answer.model, model);
        assert_eq!((usage.tokens_in, usage.tokens_out), tokens, "{dialect:?}");
    }
}

#[actix_rt::test]
async fn the_credential_goes_where_each_api_wants_it() {
    for dialect in Dialect::ALL {
        let (simulator, provider) = adapter(dialect);
        provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect("an answer");
        let call = &simulator.calls()[0];
        let bearer = call.authorization.as_deref() == Some("Bearer key-of-test");
        let header = call.key.as_deref() == Some(KEY);
        let field = call.body["api_key"] == KEY;
        let expected = match dialect {
            Dialect::OpenAi => (true, false, false),
            Dialect::Gemini | Dialect::Anthropic => (false, true, false),
            Dialect::LibreTranslate => (false, false, true),
            Dialect::DeepL | Dialect::Apertium => (false, false, false),
        };
        assert_eq!((bearer, header, field), expected, "{dialect:?}");
    }
}

#[actix_rt::test]
async fn a_field_that_is_refused_is_never_sent_again() {
    for (dialect, field, n_calls) in [
        (Dialect::OpenAi, "response_format", 3),
        (Dialect::OpenAi, "temperature", 2),
        (Dialect::OpenAi, "max_completion_tokens", 2),
        (Dialect::Gemini, "thinkingConfig", 3),
        (Dialect::Gemini, "thinkingBudget", 2),
        (Dialect::Gemini, "responseJsonSchema", 2),
        (Dialect::Anthropic, "output_config", 3),
        (Dialect::Anthropic, "effort", 2),
    ] {
        let (simulator, provider) = adapter(dialect);
        simulator.refuse_field(field);
        for _ in 0..2 {
            assert_eq!(ids(&*provider, &["one"]).await, ["id0"], "{field}");
        }
        assert_eq!(simulator.n_calls(), n_calls + 1, "{field}");
    }
}

/// What each call said of thinking.
fn thinking(simulator: &ProviderSimulator) -> Vec<Value> {
    let calls = simulator.calls();
    calls
        .iter()
        .map(|call| call.body["generationConfig"]["thinkingConfig"].clone())
        .collect()
}

#[actix_rt::test]
async fn a_model_that_must_think_and_does_not_say_so_is_let_think_a_little() {
    let (simulator, provider) = adapter(Dialect::Gemini);
    simulator.refuse_without_naming("thinkingBudget");
    for _ in 0..2 {
        assert_eq!(ids(&*provider, &["one"]).await, ["id0"]);
    }
    let (off, low) = (
        json!({"thinkingBudget": 0}),
        json!({"thinkingLevel": "LOW"}),
    );
    assert_eq!(thinking(&simulator), [off, low.clone(), low]);
}

#[actix_rt::test]
async fn a_text_that_is_refused_without_a_word_does_not_make_a_model_think() {
    let (simulator, provider) = adapter(Dialect::Gemini);
    let refused = async || {
        let answer = provider.translate(&pack(&["one"]), LONG).await;
        answer.expect_err("a refusal").remedy()
    };
    simulator.then(Fault::Nameless);
    simulator.then(Fault::Nameless);
    assert_eq!(refused().await, ProviderRemedy::Split);
    assert_eq!(ids(&*provider, &["one"]).await, ["id0"]);
    simulator.then(Fault::Nameless);
    assert_eq!(refused().await, ProviderRemedy::Split);

    let (off, low) = (
        json!({"thinkingBudget": 0}),
        json!({"thinkingLevel": "LOW"}),
    );
    assert_eq!(thinking(&simulator), [off.clone(), low, off.clone(), off]);
}

#[actix_rt::test]
async fn a_quota_of_a_day_is_told_from_a_short_one() {
    for dialect in [Dialect::OpenAi, Dialect::Gemini] {
        let (simulator, provider) = adapter(dialect);
        simulator.then(Fault::DailyQuota);
        let begun = SystemTime::now();
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("a quota");
        let ProviderError::QuotaExhausted {
            wait: Some(wait), ..
        } = error
        else {
            panic!("{dialect:?}: {error}");
        };
        let most = Duration::from_secs(25 * 3_600 + 1);
        assert!(wait <= most, "{dialect:?}: {wait:?}");
        match dialect {
            // Gemini's own hint of 22 s is not the answer.
            Dialect::Gemini => assert!(ends_with_an_hour(wait, begun), "{wait:?}"),
            _ => assert!(wait >= Duration::from_secs(578), "{wait:?}"),
        }
    }
}

#[actix_rt::test]
async fn an_error_inside_a_success_is_an_error() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let (simulator, provider) = adapter(dialect);
        simulator.then(Fault::ErrorInside);
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("an error");
        assert_eq!(error.remedy(), ProviderRemedy::Retry(None), "{dialect:?}");
    }
}

#[actix_rt::test]
async fn a_blocked_prompt_is_a_refusal() {
    let (simulator, provider) = adapter(Dialect::Gemini);
    simulator.then(Fault::Blocked);
    let error = provider
        .translate(&pack(&["one"]), LONG)
        .await
        .expect_err("a refusal");
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error}");
}

#[actix_rt::test]
async fn an_answer_in_two_parts_is_put_together() {
    let (simulator, provider) = adapter(Dialect::Gemini);
    simulator.then(Fault::Continued);
    assert_eq!(ids(&*provider, &["one", "two"]).await, ["id0", "id1"]);
    assert_eq!(simulator.calls()[1].body["continuationToken"], "go-on");
}

#[actix_rt::test]
async fn a_missing_model_is_for_a_person_and_a_missing_pair_for_another_provider() {
    for dialect in Dialect::ALL {
        let (simulator, provider) = adapter(dialect);
        simulator.always(Some(Fault::NotFound));
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("nothing there");
        let expected = match dialect {
            Dialect::OpenAi | Dialect::Gemini | Dialect::Anthropic => ProviderRemedy::ParkForPerson,
            Dialect::DeepL | Dialect::LibreTranslate | Dialect::Apertium => {
                ProviderRemedy::OtherProvider
            }
        };
        assert_eq!(error.remedy(), expected, "{dialect:?}: {error}");
    }
}

#[actix_rt::test]
async fn a_list_of_another_length_is_never_matched_by_position() {
    for dialect in [Dialect::LibreTranslate, Dialect::DeepL] {
        let (simulator, provider) = adapter(dialect);
        for fault in [Fault::Missing, Fault::Doubled, Fault::Merged] {
            simulator.then(fault.clone());
            let error = provider
                .translate(&pack(&["one", "two"]), LONG)
                .await
                .expect_err("a list");
            assert_eq!(error.remedy(), ProviderRemedy::Retry(None), "{fault:?}");
        }
    }
}

#[actix_rt::test]
async fn what_was_answered_before_an_error_stands_beside_it() {
    for (dialect, source) in [
        (Dialect::DeepL, Some("en")),
        (Dialect::LibreTranslate, None),
        (Dialect::Apertium, Some("en")),
    ] {
        let (simulator, provider) = adapter(dialect);
        let mut pack = Pack {
            pair: pair(source, "es"),
            ..pack(&["one", "two"])
        };
        pack.items[1].context = Some("the thread".into());
        simulator.then_well();
        simulator.then(Fault::Overloaded);

        let answer = provider.translate(&pack, LONG).await.expect("a part");

        assert!(text_of(&answer, "id0").ends_with("one"), "{dialect:?}");
        assert_eq!(answer.items.len(), 1, "{dialect:?}");
        assert_eq!(answer.ending(), Ending::InPlace, "{dialect:?}");
        let remedy = answer.error.map(|error| error.remedy());
        assert_eq!(remedy, Some(ProviderRemedy::Retry(None)), "{dialect:?}");
    }
}

#[actix_rt::test]
async fn a_list_is_one_call_unless_its_language_is_unknown() {
    let (simulator, provider) = adapter(Dialect::LibreTranslate);
    let known = pack(&["one", "two"]);
    let unknown = Pack {
        pair: pair(None, "es"),
        ..known.clone()
    };
    provider.translate(&known, LONG).await.expect("an answer");
    let answer = provider.translate(&unknown, LONG).await.expect("an answer");
    let texts: Vec<_> = simulator.calls().iter().map(|call| call.n_texts).collect();
    assert_eq!(texts, [2, 1, 1]);
    assert_eq!(answer.items.len(), 2);
}

#[actix_rt::test]
async fn norwegian_is_translated_whatever_a_text_calls_it() {
    let (_simulator, provider) = adapter(Dialect::LibreTranslate);
    for pair in [
        pair(Some("no"), "es"),
        pair(Some("en"), "no"),
        pair(Some("nb"), "no-NO"),
    ] {
        let pack = Pack {
            pair,
            ..pack(&["one"])
        };
        let answer = provider.translate(&pack, LONG).await.expect("an answer");
        assert_eq!(answer.items.len(), 1, "{:?}", pack.pair);
    }
}

#[actix_rt::test]
async fn apertium_goes_line_by_line_and_keeps_the_lines() {
    let (simulator, provider) = adapter(Dialect::Apertium);
    let pack = pack(&["One ⟦0⟧\r\n\n  two\n⟦1⟧\n"]);
    let answer = provider.translate(&pack, LONG).await.expect("an answer");
    assert_eq!(
        text_of(&answer, "id0"),
        "[eng|spa] One ⟦0⟧\r\n\n  [eng|spa] two\n⟦1⟧\n"
    );
    assert_eq!(simulator.n_texts(), 2);
}

#[actix_rt::test]
async fn apertium_asks_for_no_pair_that_is_not_there() {
    let (simulator, provider) = adapter(Dialect::Apertium);
    for pair in [
        pair(None, "es"),
        pair(Some("en"), "ja"),
        pair(Some("es"), "en"),
    ] {
        let pack = Pack {
            pair,
            ..pack(&["one"])
        };
        let error = provider.translate(&pack, LONG).await.expect_err("no pair");
        assert_eq!(error.remedy(), ProviderRemedy::OtherProvider, "{error}");
    }
    assert_eq!(simulator.n_calls(), 0);
}

#[actix_rt::test]
async fn apertium_never_sees_the_stars_that_it_would_strip() {
    let (simulator, provider) = adapter(Dialect::Apertium);
    let answer = provider
        .translate(&pack(&["see *stars*"]), LONG)
        .await
        .expect("an answer");
    assert_eq!(text_of(&answer, "id0"), "[eng|spa] see *stars*");
    let sent = simulator.calls()[0].body["q"].clone();
    assert!(!sent.to_string().contains('*'), "{sent}");
}

//! What only DeepL does: tags, codes of languages, formality, contexts, quotas and glossaries.

use std::sync::Arc;

use babelfeed::providers::deepl::Glossaries;
use babelfeed_actors::domain::{Guide, Term};
use babelfeed_actors::logic::estimate::Ending;

use super::kinds::adapter;
use super::*;

fn guide(version: &str, terms: &[(&str, &str)], tone: Option<&str>) -> Option<Arc<Guide>> {
    let terms = terms.iter().map(|(source, target)| Term {
        source: (*source).into(),
        target: (*target).into(),
    });
    Some(Arc::new(Guide {
        terms: terms.collect(),
        forbidden: Vec::new(),
        tone: tone.map(Arc::from),
        version: version.into(),
        remark: None,
        budget: None,
    }))
}

fn guided(version: &str, term: (&str, &str)) -> Pack {
    Pack {
        guide: guide(version, &[term], None),
        ..pack(&["the ferry leaves"])
    }
}

/// An adapter as a process that has just begun makes it, or another arbiter of the same one.
fn another(simulator: &ProviderSimulator, glossaries: &Arc<Glossaries>) -> DeepLProvider {
    DeepLProvider::new(DeepLConfig {
        api_key: Some(Secret::new(KEY)),
        glossaries: Arc::clone(glossaries),
        ..DeepLConfig::new(&simulator.base_url(Dialect::DeepL), "deepl")
    })
    .expect("an address")
}

async fn translated(provider: &dyn Provider, pack: &Pack) -> String {
    let answer = provider.translate(pack, LONG).await.expect("an answer");
    text_of(&answer, "id0").to_owned()
}

fn names(simulator: &ProviderSimulator) -> Vec<String> {
    let all = |glossaries: &[crate::simulators::provider::deepl::Glossary]| {
        glossaries.iter().map(|it| it.name.clone()).collect()
    };
    simulator.account(|account| all(&account.glossaries))
}

#[actix_rt::test]
async fn a_call_has_the_key_the_codes_and_the_tags_that_the_api_wants() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = Pack {
        pair: pair(Some("en-GB"), "pt-BR"),
        ..pack(&["AT&T <b> ⟦0⟧ & ⟦1⟧"])
    };

    let text = translated(&*provider, &pack).await;

    assert_eq!(text, "[PT-BR] AT&T <b> ⟦0⟧ & ⟦1⟧");
    let call = &simulator.calls()[0];
    let authorization = call.authorization.as_deref();
    assert_eq!(authorization, Some("DeepL-Auth-Key key-of-test"));
    assert_eq!(call.body["source_lang"], "EN");
    assert_eq!(call.body["target_lang"], "PT-BR");
    assert_eq!(call.body["tag_handling"], "xml");
    assert_eq!(
        call.body["text"][0],
        "AT&amp;T &lt;b&gt; <x id=\"0\"/> &amp; <x id=\"1\"/>"
    );
    assert!(call.body.get("glossary_id").is_none());
    assert!(call.body.get("formality").is_none());
}

#[actix_rt::test]
async fn a_language_that_nobody_told_is_left_to_the_api_in_one_call() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = Pack {
        pair: pair(None, "zh-TW"),
        ..pack(&["one", "two"])
    };
    let answer = provider.translate(&pack, LONG).await.expect("an answer");
    assert_eq!(answer.items.len(), 2);
    assert_eq!(simulator.n_calls(), 1);
    assert!(simulator.calls()[0].body.get("source_lang").is_none());
    assert_eq!(simulator.calls()[0].body["target_lang"], "ZH-HANT");
}

#[actix_rt::test]
async fn a_language_that_the_api_does_not_have_is_for_another_provider() {
    let (_simulator, provider) = adapter(Dialect::DeepL);
    for pair in [pair(Some("en"), "eo"), pair(Some("eo"), "en")] {
        let pack = Pack {
            pair,
            ..pack(&["one"])
        };
        let error = provider.translate(&pack, LONG).await.expect_err("no pair");
        assert_eq!(error.remedy(), ProviderRemedy::OtherProvider, "{error}");
    }
}

#[actix_rt::test]
async fn a_tone_becomes_a_formality_that_every_target_takes() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    for (target, tone, formality) in [
        ("de", "formal", "prefer_more"),
        ("uk", "informal, please", "prefer_less"),
    ] {
        let pack = Pack {
            pair: pair(Some("en"), target),
            guide: guide("1", &[], Some(tone)),
            ..pack(&["one"])
        };
        provider.translate(&pack, LONG).await.expect("an answer");
        let call = simulator.calls().pop().expect("a call");
        assert_eq!(call.body["formality"], formality);
    }
    assert_eq!(simulator.account(|account| account.n_asked), 0);
}

#[actix_rt::test]
async fn texts_of_another_context_go_in_another_call() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let mut pack = pack(&["one", "two", "three"]);
    pack.items[1].context = Some("the thread".into());
    let answer = provider.translate(&pack, LONG).await.expect("an answer");
    assert!(text_of(&answer, "id1").ends_with("two"));
    assert!(text_of(&answer, "id2").ends_with("three"));
    let calls = simulator.calls();
    let contexts: Vec<_> = calls
        .iter()
        .map(|call| call.body["context"].as_str())
        .collect();
    assert_eq!(contexts, [None, Some("the thread")]);
    assert_eq!(calls[0].n_texts, 2);
}

#[actix_rt::test]
async fn a_text_whose_tags_cannot_be_read_casts_no_doubt_on_those_beside_it() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    simulator.then(Fault::Raw {
        status: 200,
        headers: Vec::new(),
        body: r#"{"translations":[{"text":"uno"},{"text":"<b>dos</b>"},{"text":"tres"}]}"#.into(),
    });
    let pack = pack(&["one", "two", "three"]);
    let answer = provider.translate(&pack, LONG).await.expect("an answer");
    let ids: Vec<_> = answer.items.iter().map(|item| &*item.id).collect();
    assert_eq!(ids, ["id0", "id2"]);
    assert_eq!((answer.ending(), &answer.error), (Ending::InPlace, &None));
}

#[actix_rt::test]
async fn what_was_billed_is_told_in_characters() {
    let (_simulator, provider) = adapter(Dialect::DeepL);
    let answer = provider
        .translate(&pack(&["Grüße", "two"]), LONG)
        .await
        .expect("an answer");
    let usage = answer.usage.expect("usage");
    assert_eq!((usage.tokens_in, usage.tokens_out), (8, 0));
    assert_eq!(&*answer.model, "quality_optimized");
}

#[actix_rt::test]
async fn a_call_beyond_the_measure_is_never_sent() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let long = "&".repeat(30_000);
    let error = provider
        .translate(&pack(&[&long]), LONG)
        .await
        .expect_err("too large");
    assert!(matches!(error, ProviderError::TooLarge { .. }), "{error}");
    assert_eq!(simulator.n_calls(), 0);
    let most = "&".repeat(25_000);
    assert!(
        translated(&*provider, &pack(&[&most]))
            .await
            .ends_with(&most)
    );
}

#[actix_rt::test]
async fn more_texts_than_a_call_takes_go_in_two() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let texts: Vec<String> = (0..51).map(|number| format!("text {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let answer = provider
        .translate(&pack(&texts), LONG)
        .await
        .expect("an answer");
    assert_eq!(text_of(&answer, "id50"), "[ES] text 50");
    assert_eq!(simulator.n_calls(), 2);
}

#[actix_rt::test]
async fn tags_that_cannot_be_read_make_their_text_missing_and_no_other() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    simulator.then(Fault::Raw {
        status: 200,
        headers: vec![("content-type", "application/json")],
        body: r#"{"translations":[{"text":"<g>uno</g>"},{"text":"dos <x id=\"0\"/>"}]}"#.to_owned(),
    });
    let answer = provider
        .translate(&pack(&["one", "two ⟦0⟧"]), LONG)
        .await
        .expect("an answer");
    assert_eq!(answer.items.len(), 1);
    assert_eq!(text_of(&answer, "id1"), "dos ⟦0⟧");
    assert_eq!(answer.usage, None);
}

#[actix_rt::test]
async fn a_spent_quota_is_waited_for_until_its_period_ends() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let end = chrono::Utc::now() + chrono::TimeDelta::days(3);
    for (ends, expected) in [
        (None, None),
        (
            Some(end.to_rfc3339()),
            Some(Duration::from_secs(3 * 86_400)),
        ),
    ] {
        simulator.account(|account| account.period_ends = ends);
        simulator.then(Fault::DailyQuota);
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("a quota");
        let ProviderError::QuotaExhausted { wait, .. } = error else {
            panic!("{error}");
        };
        let differs = wait
            .unwrap_or_default()
            .abs_diff(expected.unwrap_or_default());
        assert_eq!(wait.is_some(), expected.is_some());
        assert!(differs < Duration::from_secs(60), "{wait:?}");
    }
}

#[actix_rt::test]
async fn too_many_requests_are_told_by_two_statuses() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    for status in [429, 529] {
        simulator.then(Fault::Raw {
            status,
            headers: Vec::new(),
            body: String::new(),
        });
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("a limit");
        assert_eq!(error.remedy(), ProviderRemedy::Park(None), "{status}");
    }
}

#[actix_rt::test]
async fn a_glossary_is_made_once_for_all_arbiters_and_found_after_a_restart() {
    let (simulator, _) = adapter(Dialect::DeepL);
    let pack = guided("v1", ("ferry", "transbordador"));
    let shared: Arc<Glossaries> = Arc::default();
    let (one, two) = (another(&simulator, &shared), another(&simulator, &shared));
    let (first, second) = futures_util::join!(translated(&one, &pack), translated(&two, &pack));
    assert_eq!(first, "[ES] the transbordador leaves");
    assert_eq!(second, first);
    assert_eq!(simulator.account(|account| account.n_asked), 2);

    let restarted = another(&simulator, &Arc::default());
    assert_eq!(translated(&restarted, &pack).await, first);

    assert_eq!(simulator.account(|account| account.n_created), 1);
    assert_eq!(names(&simulator), ["babelfeed deepl en:es v1"]);
}

#[actix_rt::test]
async fn a_glossary_whose_making_was_not_answered_is_not_made_again() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    simulator.account(|account| account.loses_answers = true);
    let pack = guided("v1", ("ferry", "balsa"));
    let error = provider.translate(&pack, LONG).await.expect_err("lost");
    assert_eq!(error.remedy(), ProviderRemedy::Retry(None), "{error}");
    assert_eq!(translated(&*provider, &pack).await, "[ES] the balsa leaves");
    assert_eq!(simulator.account(|account| account.n_created), 1);
}

#[actix_rt::test]
async fn an_outdated_glossary_is_deleted_and_nobody_elses() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    translated(&*provider, &guided("v1", ("ferry", "balsa"))).await;
    simulator.account(|account| {
        for (number, name) in [
            "babelfeed deepl en:es v2",
            "babelfeed deepl en:es v2",
            "babelfeed deepl en:fr v1",
            "babelfeed deepl2 en:es v1",
            "of a person",
        ]
        .into_iter()
        .enumerate()
        {
            let mut other = account.glossaries[0].clone();
            other.id = format!("other-{number}");
            other.name = name.to_owned();
            other.created = 10 + number;
            account.glossaries.push(other);
        }
    });
    translated(&*provider, &guided("v2", ("ferry", "balsa"))).await;
    assert_eq!(
        names(&simulator),
        [
            "babelfeed deepl en:es v2",
            "babelfeed deepl en:fr v1",
            "babelfeed deepl2 en:es v1",
            "of a person",
        ]
    );
    let call = simulator.calls().pop().expect("a call");
    assert_eq!(
        call.body["glossary_id"], "other-0",
        "the eldest of that name"
    );
    assert_eq!(simulator.account(|account| account.n_created), 1);
}

#[actix_rt::test]
async fn where_there_is_no_room_the_glossaries_of_pairs_that_nobody_wants_go() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let (es, de) = (
        guided("v1", ("ferry", "balsa")),
        Pack {
            pair: pair(Some("en"), "de"),
            ..guided("v1", ("ferry", "Schiff"))
        },
    );
    translated(&*provider, &de).await;
    simulator.account(|account| {
        account.glossaries[0].name = "babelfeed deepl en:fr v1".to_owned();
        let mut other = account.glossaries[0].clone();
        (other.id, other.name) = ("other".to_owned(), "of a person".to_owned());
        account.glossaries.push(other);
        account.most_glossaries = Some(2);
    });
    let restarted = another(&simulator, &Arc::default());
    assert_eq!(translated(&restarted, &es).await, "[ES] the balsa leaves");
    let kept = ["of a person", "babelfeed deepl en:es v1"];
    assert_eq!(names(&simulator), kept);

    // Both of these are wanted.
    assert_eq!(translated(&restarted, &de).await, "[DE] the ferry leaves");
    assert_eq!(names(&simulator), kept);
}

#[actix_rt::test]
async fn a_refused_glossary_is_asked_for_again_after_an_hour() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = guided("v1", ("ferry", "balsa"));
    simulator.account(|account| account.most_glossaries = Some(0));
    assert_eq!(translated(&*provider, &pack).await, "[ES] the ferry leaves");
    simulator.account(|account| account.most_glossaries = None);
    assert_eq!(translated(&*provider, &pack).await, "[ES] the ferry leaves");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    tokio::time::resume();
    assert_eq!(translated(&*provider, &pack).await, "[ES] the balsa leaves");
}

#[actix_rt::test]
async fn a_glossary_that_somebody_deleted_is_made_again_in_the_same_call() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = guided("v1", ("ferry", "balsa"));
    translated(&*provider, &pack).await;
    simulator.account(|account| account.glossaries.clear());
    assert_eq!(translated(&*provider, &pack).await, "[ES] the balsa leaves");
    assert_eq!(simulator.account(|account| account.n_created), 2);
}

#[actix_rt::test]
async fn an_account_without_glossaries_translates_without_and_is_not_asked_again() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    simulator.account(|account| account.refuses_glossaries = Some(403));
    let pack = guided("v1", ("ferry", "balsa"));
    for _ in 0..2 {
        assert_eq!(translated(&*provider, &pack).await, "[ES] the ferry leaves");
    }
    assert_eq!(simulator.account(|account| account.n_asked), 1);
}

#[actix_rt::test]
async fn a_busy_account_is_waited_for_before_its_texts_go_without_their_terms() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = guided("v1", ("ferry", "balsa"));
    for (status, remedy) in [
        (429, ProviderRemedy::Park(None)),
        (503, ProviderRemedy::Retry(None)),
    ] {
        simulator.account(|account| account.refuses_glossaries = Some(status));
        let error = provider.translate(&pack, LONG).await.expect_err("busy");
        assert_eq!(error.remedy(), remedy, "{error}");
    }
    assert_eq!(simulator.n_calls(), 0);
}

#[actix_rt::test]
async fn a_glossary_is_used_when_it_is_ready() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    simulator.account(|account| account.is_slow = true);
    let text = translated(&*provider, &guided("v1", ("ferry", "balsa"))).await;
    assert_eq!(text, "[ES] the balsa leaves");
}

#[actix_rt::test]
async fn terms_between_unknown_languages_want_no_glossary() {
    let (simulator, provider) = adapter(Dialect::DeepL);
    let pack = Pack {
        pair: pair(None, "es"),
        ..guided("v1", ("ferry", "balsa"))
    };
    assert_eq!(translated(&*provider, &pack).await, "[ES] the ferry leaves");
    assert_eq!(simulator.account(|account| account.n_asked), 0);
}

//! The contract of the provider port, passed by its fake and by every adapter.

mod anthropic;
mod deepl;
mod kinds;
mod limits;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use babelfeed::http::HttpConfig;
use babelfeed::providers::anthropic::{AnthropicConfig, AnthropicProvider};
use babelfeed::providers::apertium::{ApertiumConfig, ApertiumProvider};
use babelfeed::providers::deepl::{DeepLConfig, DeepLProvider};
use babelfeed::providers::gemini::{GeminiConfig, GeminiProvider};
use babelfeed::providers::libretranslate::{LibreTranslateConfig, LibreTranslateProvider};
use babelfeed::providers::openai::{OpenAiConfig, OpenAiProvider};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::Pair;
use babelfeed_actors::ports::{Answer, Item, Pack, Provider, ProviderError, ProviderRemedy};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};

use crate::simulators::provider::{Dialect, Fault, ProviderSimulator};

const KEY: &str = "key-of-test";
const LONG: Duration = Duration::from_secs(20);

/// What can befall any provider, and what is to be done about it.
const TROUBLES: [(Fault, ProviderRemedy); 12] = [
    (Fault::RateLimitedWithoutHint, ProviderRemedy::Park(None)),
    (
        Fault::RateLimited,
        ProviderRemedy::Park(Some(Duration::from_secs(2))),
    ),
    (Fault::NoCredit, ProviderRemedy::ParkForPerson),
    (Fault::BadKey, ProviderRemedy::ParkForPerson),
    (Fault::TooLarge, ProviderRemedy::Split),
    (Fault::Invalid, ProviderRemedy::Split),
    (Fault::Refused, ProviderRemedy::Split),
    (Fault::Overloaded, ProviderRemedy::Retry(None)),
    (Fault::HtmlGateway, ProviderRemedy::Retry(None)),
    (Fault::Reset, ProviderRemedy::Retry(None)),
    (Fault::Cut, ProviderRemedy::Retry(None)),
    (Fault::Malformed, ProviderRemedy::Retry(None)),
];

/// A provider of one kind with the means to trouble it.
enum Subject {
    Fake(FakeProvider),
    Adapter(Dialect, ProviderSimulator, Box<dyn Provider>),
}

impl Subject {
    /// One subject of each kind.
    fn all() -> Vec<Self> {
        let adapters = Dialect::ALL.into_iter().map(Self::adapter);
        adapters.chain([Self::Fake(FakeProvider::new())]).collect()
    }

    fn adapter(dialect: Dialect) -> Self {
        let simulator = ProviderSimulator::start();
        let provider = provider(dialect, &simulator.base_url(dialect));
        Self::Adapter(dialect, simulator, provider)
    }

    fn name(&self) -> String {
        match self {
            Self::Fake(_) => "Fake".to_owned(),
            Self::Adapter(dialect, ..) => format!("{dialect:?}"),
        }
    }

    fn provider(&self) -> &dyn Provider {
        match self {
            Self::Fake(fake) => fake,
            Self::Adapter(_, _, provider) => &**provider,
        }
    }

    fn n_calls(&self) -> usize {
        match self {
            Self::Fake(fake) => fake.n_calls(),
            Self::Adapter(_, simulator, _) => simulator.n_calls(),
        }
    }

    /// Arranges a trouble for the next call; false where this kind does not know it.
    fn trouble(&self, fault: &Fault, remedy: ProviderRemedy) -> bool {
        match self {
            Self::Fake(fake) => fake.then(ProviderFault::Error(error_with(remedy))),
            Self::Adapter(dialect, simulator, _) => {
                if !is_known(*dialect, fault) {
                    return false;
                }
                simulator.then(fault.clone());
            }
        }
        true
    }
}

/// Not every API can say everything.
fn is_known(dialect: Dialect, fault: &Fault) -> bool {
    match dialect {
        Dialect::OpenAi | Dialect::Gemini | Dialect::Anthropic => true,
        Dialect::DeepL => !matches!(fault, Fault::RateLimited | Fault::NoCredit | Fault::Refused),
        Dialect::LibreTranslate => !matches!(fault, Fault::NoCredit | Fault::Refused),
        Dialect::Apertium => matches!(
            fault,
            Fault::Invalid
                | Fault::Overloaded
                | Fault::HtmlGateway
                | Fault::Reset
                | Fault::Cut
                | Fault::Malformed
        ),
    }
}

fn error_with(remedy: ProviderRemedy) -> ProviderError {
    let detail = "as told".to_owned();
    match remedy {
        ProviderRemedy::Retry(wait) => ProviderError::Transient { detail, wait },
        ProviderRemedy::Park(wait) => ProviderError::RateLimited { detail, wait },
        ProviderRemedy::ParkForPerson => ProviderError::Auth { detail },
        ProviderRemedy::Split => ProviderError::TooLarge { detail },
        ProviderRemedy::OtherProvider => ProviderError::Unsupported { detail },
    }
}

fn provider(dialect: Dialect, base_url: &str) -> Box<dyn Provider> {
    let api_key = Some(Secret::new(KEY));
    match dialect {
        Dialect::OpenAi => Box::new(
            OpenAiProvider::new(OpenAiConfig {
                api_key,
                ..OpenAiConfig::new(base_url, "m")
            })
            .expect("an address"),
        ),
        Dialect::Gemini => Box::new(
            GeminiProvider::new(GeminiConfig {
                api_key,
                ..GeminiConfig::new(base_url, "m")
            })
            .expect("an address"),
        ),
        Dialect::Anthropic => Box::new(
            AnthropicProvider::new(AnthropicConfig {
                api_key,
                ..AnthropicConfig::new(base_url, "m")
            })
            .expect("an address"),
        ),
        Dialect::DeepL => Box::new(
            DeepLProvider::new(DeepLConfig {
                api_key,
                ..DeepLConfig::new(base_url, "deepl")
            })
            .expect("an address"),
        ),
        Dialect::LibreTranslate => Box::new(
            LibreTranslateProvider::new(LibreTranslateConfig {
                base_url: base_url.to_owned(),
                api_key,
                http: HttpConfig::default(),
            })
            .expect("an address"),
        ),
        Dialect::Apertium => {
            Box::new(ApertiumProvider::new(ApertiumConfig::new(base_url)).expect("an address"))
        }
    }
}

fn pair(source: Option<&str>, target: &str) -> Pair {
    Pair {
        source: source.map(|tag| tag.parse().expect("a tag")),
        target: target.parse().expect("a tag"),
    }
}

fn pack(texts: &[&str]) -> Pack {
    let items = texts.iter().enumerate().map(|(number, text)| Item {
        id: format!("id{number}").into(),
        text: (*text).into(),
        context: None,
    });
    Pack {
        max_tokens: None,
        guide: None,
        pair: pair(Some("en"), "es"),
        items: items.collect(),
    }
}

fn text_of<'a>(answer: &'a Answer, id: &str) -> &'a str {
    let mut found = answer.items.iter().filter(|item| &*item.id == id);
    let text = found.next().expect("the id is there");
    assert!(found.next().is_none(), "{id} came twice");
    &text.text
}

#[actix_rt::test]
async fn texts_come_back_under_their_ids_with_their_placeholders() {
    for subject in Subject::all() {
        let pack = pack(&["one ⟦0⟧", "⟦1⟧ two ⟦0⟧", "three"]);

        let answer = subject
            .provider()
            .translate(&pack, LONG)
            .await
            .expect("an answer");

        assert_eq!(answer.items.len(), 3, "{}", subject.name());
        for item in &pack.items {
            let text = text_of(&answer, &item.id);
            assert!(text.ends_with(&*item.text), "{}: {text}", subject.name());
            assert_ne!(text, &*item.text, "{}", subject.name());
        }
        assert!(!answer.is_truncated);
        assert!(subject.n_calls() > 0);
    }
}

#[actix_rt::test]
async fn every_error_carries_the_right_remedy() {
    for subject in Subject::all() {
        for (fault, remedy) in TROUBLES {
            if !subject.trouble(&fault, remedy) {
                continue;
            }
            let result = subject.provider().translate(&pack(&["one"]), LONG).await;
            let error = result.expect_err("a trouble");
            assert_eq!(
                error.remedy(),
                remedy,
                "{}: {fault:?}: {error}",
                subject.name()
            );
            assert!(
                !error.to_string().contains(KEY),
                "{}: {error}",
                subject.name()
            );
        }
    }
}

#[actix_rt::test]
async fn a_failed_call_leaves_the_next_one_unharmed() {
    for subject in Subject::all() {
        subject.trouble(&Fault::Reset, ProviderRemedy::Retry(None));
        let provider = subject.provider();
        let failed = provider.translate(&pack(&["one"]), LONG).await;
        let answer = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect("an answer");
        assert!(failed.is_err(), "{}", subject.name());
        assert!(
            text_of(&answer, "id0").ends_with("one"),
            "{}",
            subject.name()
        );
    }
}

#[actix_rt::test]
async fn a_call_ends_at_its_timeout_even_while_a_body_trickles() {
    for subject in Subject::all() {
        for fault in [Fault::Hang, Fault::Trickle] {
            match &subject {
                Subject::Fake(fake) => fake.then(ProviderFault::Hang),
                Subject::Adapter(_, simulator, _) => simulator.then(fault.clone()),
            }
            let begun = Instant::now();
            let timeout = Duration::from_millis(700);
            let result = subject.provider().translate(&pack(&["one"]), timeout).await;
            let remedy = result.expect_err("a timeout").remedy();
            assert_eq!(remedy, ProviderRemedy::Retry(None), "{}", subject.name());
            assert!(
                begun.elapsed() < timeout * 5,
                "{}: {fault:?}",
                subject.name()
            );
        }
    }
}

#[actix_rt::test]
async fn a_body_beyond_measure_is_not_read_to_its_end() {
    for subject in Subject::all() {
        let Subject::Adapter(_, simulator, provider) = &subject else {
            continue;
        };
        simulator.then(Fault::Huge);
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("too much");
        assert!(
            error.to_string().contains("too large"),
            "{}: {error}",
            subject.name()
        );
    }
}

/// Whether a wait that was told after this ends with an hour, as every day in Los Angeles does, or
/// within the three seconds after it: it is rounded up to seconds, and so is a `Date` down.
fn ends_with_an_hour(wait: Duration, begun: SystemTime) -> bool {
    let hour = |told: SystemTime| {
        let told = told.duration_since(UNIX_EPOCH).expect("after 1970");
        (told + wait).as_secs() / 3_600
    };
    hour(begun - Duration::from_secs(3)) < hour(SystemTime::now())
}

#[actix_rt::test]
async fn nobody_listening_is_unreachable() {
    // Bound, so that nobody else may have the port, and not listening.
    let bound = tokio::net::TcpSocket::new_v4().expect("a socket");
    bound.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let base_url = format!("http://{}", bound.local_addr().expect("an address"));
    for dialect in Dialect::ALL {
        let provider = provider(dialect, &base_url);
        let error = provider
            .translate(&pack(&["one"]), LONG)
            .await
            .expect_err("nobody");
        assert!(
            matches!(error, ProviderError::Unreachable { .. }),
            "{dialect:?}: {error}"
        );
    }
}

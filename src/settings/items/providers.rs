//! `[[provider]]`: what translates, and what each kind must be told.

use std::collections::BTreeSet;

use babelfeed_actors::domain::{DayReset, Lane, ProviderName};
use babelfeed_actors::logic::routing::{MOST_ROUTES, Pairs};
use babelfeed_actors::setup::LaneLimits;
use config::Value;

use super::{read_limits, read_name};
use crate::secret::Secret;
use crate::settings::reader::{Section, address, amount, choice, flag, some_text, texts, whole};

/// `[[provider]]`: something that translates.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// Its name.
    pub name: ProviderName,
    /// What it is.
    pub kind: ProviderKind,
    /// Where its routes begin, without a slash at the end.
    pub base_url: String,
    /// The model; none where the kind has none.
    pub model: Option<String>,
    /// The credential; none for a server that asks for none.
    pub api_key: Option<Secret>,
    /// Whoever counts us: named after the first provider of this address, credential and model.
    pub lane: Lane,
    /// The limits that are known.
    pub limits: LaneLimits,
    /// US dollars per million tokens, in and out.
    pub price: (f64, f64),
    /// Who comes first: the lowest.
    pub order: u32,
    /// Whether texts of low priority without a deadline go by its batch interface.
    pub batch: bool,
    /// Its part of the texts where shares decide.
    pub share: f64,
    /// The pairs of languages that it is asked for; none: all.
    pub pairs: Option<Vec<Pairs>>,
}

/// What a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Whatever speaks OpenAI's chat completions.
    OpenAi,
    /// Google's Gemini.
    Gemini,
    /// Anthropic's Claude.
    Anthropic,
    /// DeepL.
    DeepL,
    /// A LibreTranslate server.
    LibreTranslate,
    /// An Apertium server.
    Apertium,
}

impl ProviderKind {
    const NAMES: [(&'static str, Self); 6] = [
        ("openai", Self::OpenAi),
        ("gemini", Self::Gemini),
        ("anthropic", Self::Anthropic),
        ("deepl", Self::DeepL),
        ("libretranslate", Self::LibreTranslate),
        ("apertium", Self::Apertium),
    ];

    /// Its name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
            Self::DeepL => "deepl",
            Self::LibreTranslate => "libretranslate",
            Self::Apertium => "apertium",
        }
    }

    /// Whether it has a batch interface.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::OpenAi | Self::Gemini)
    }

    /// When the quota of a day is there again, where nothing is said of it.
    const fn day(self) -> DayReset {
        match self {
            Self::Gemini => DayReset::Pacific,
            _ => DayReset::Rolling,
        }
    }

    /// Whether it is a language model, which has a name and counts tokens.
    pub const fn is_language_model(self) -> bool {
        matches!(self, Self::OpenAi | Self::Gemini | Self::Anthropic)
    }
}

/// Reads every provider.
pub(in crate::settings) fn read_providers(top: &Section<'_>) -> Vec<ProviderSettings> {
    let mut names = BTreeSet::new();
    let mut providers: Vec<ProviderSettings> = Vec::new();
    for (index, section) in top.list("provider").iter().enumerate() {
        let place = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if let Some(mut provider) = read_provider(section, place, &mut names) {
            let shares = |other: &&mut ProviderSettings| {
                other.base_url == provider.base_url
                    && other.api_key == provider.api_key
                    && other.model == provider.model
            };
            let mut earlier: Vec<_> = providers.iter_mut().filter(shares).collect();
            share_lane(section, &mut earlier, &mut provider);
            providers.push(provider);
        }
        if index == MOST_ROUTES {
            let most = format!("is one too many, expected at most {MOST_ROUTES} providers");
            section.mistake("name", most);
        }
    }
    providers
}

/// Gives all providers of one account and model one lane, and the limits that one of them names:
/// it is counted once, so there cannot be two.
fn share_lane(
    section: &Section<'_>,
    earlier: &mut [&mut ProviderSettings],
    last: &mut ProviderSettings,
) {
    let Some(first) = earlier.first() else {
        return;
    };
    last.lane = first.lane.clone();
    let names_any = |provider: &ProviderSettings| {
        let none = LaneLimits {
            day: provider.kind.day(),
            ..LaneLimits::default()
        };
        provider.limits != none
    };
    if !names_any(first) {
        for provider in earlier {
            provider.limits = last.limits;
        }
        return;
    }
    if names_any(last) && last.limits != first.limits {
        section.mistake(
            "limits",
            format!(
                "differ from those of `{}`, which has the same address, credential and model, \
                 expected them in one place",
                first.name
            ),
        );
    }
    last.limits = first.limits;
}

fn read_provider(
    section: &Section<'_>,
    place: u32,
    names: &mut BTreeSet<String>,
) -> Option<ProviderSettings> {
    let name = read_name(section, names);
    let kind = section.required("kind", "\"openai\"", choice(&ProviderKind::NAMES))?;
    section.refuse_unknown(&[
        "name",
        "kind",
        "base_url",
        "model",
        "api_key_env",
        "api_key_file",
        "limits",
        "price",
        "order",
        "batch",
        "share",
        "pairs",
    ]);
    let base_url = section.required("base_url", "\"https://api.example.org/v1\"", address);
    let model = if kind.is_language_model() {
        section.required("model", "\"llama-3.3-70b-versatile\"", some_text)
    } else {
        section.refuse(
            "model",
            "belongs to language models, which this kind is not",
        );
        None
    };
    if kind.is_language_model() && model.is_none() {
        return None;
    }
    if section.has("api_key_env") && section.has("api_key_file") {
        section.mistake(
            "api_key_file",
            "stands beside `api_key_env`, expected one of them".to_owned(),
        );
    }
    let api_key = section
        .secret_in_variable("api_key_env")
        .or_else(|| section.secret_in_file("api_key_file"));
    let limits = read_limits(section, kind.day());
    let price = section.section("price", &["input", "output"]);
    let price = (
        price.read("input", 0.0, amount),
        price.read("output", 0.0, amount),
    );
    let order = section.read("order", place, whole(0));
    let batch = section.read("batch", false, flag);
    if batch && !kind.has_batches() {
        section.mistake(
            "batch",
            "is true, expected false: this kind has no batch interface".to_owned(),
        );
    }
    let share = section.read("share", 1.0, amount);
    let pairs = section.optional("pairs", pairs);
    let name = name?;
    Some(ProviderSettings {
        lane: Lane::from(name.as_str()),
        name: ProviderName::from(name.as_str()),
        kind,
        base_url: base_url?.trim_end_matches('/').to_owned(),
        model,
        api_key,
        limits,
        price,
        order,
        batch,
        share,
        pairs,
    })
}

/// Pairs of languages, at least one.
fn pairs(value: &Value) -> Result<Vec<Pairs>, String> {
    let written = texts(value)?;
    if written.is_empty() {
        return Err("is empty, expected pairs of languages like \"en-es\"".to_owned());
    }
    let pairs = written.iter().map(|pairs| pairs.parse::<Pairs>());
    pairs
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

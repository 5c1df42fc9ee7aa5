//! Makes the providers that the settings name, and what they share.

use std::rc::Rc;
use std::sync::Arc;

use babelfeed_actors::logic::known::Quality;
use babelfeed_actors::ports::{BatchProvider, Provider};
use babelfeed_actors::setup::{BatchSetup, ProviderSetup};
use log::info;

use super::super::counted::{Counted, Counts};
use super::http_config;
use crate::http::HttpConfig;
use crate::providers::anthropic::{self, AnthropicConfig, AnthropicProvider};
use crate::providers::apertium::{self, ApertiumConfig, ApertiumProvider};
use crate::providers::deepl::{self, DeepLConfig, DeepLProvider, Glossaries};
use crate::providers::gemini::batch::GeminiBatch;
use crate::providers::gemini::{self, GeminiConfig, GeminiProvider};
use crate::providers::libretranslate::{self, LibreTranslateConfig, LibreTranslateProvider};
use crate::providers::openai::batch::OpenAiBatch;
use crate::providers::openai::{self, OpenAiConfig, OpenAiProvider};
use crate::providers::prompt::Family;
use crate::settings::{ProviderKind, ProviderSettings, Settings};

/// The adapter of a provider, with all of the connections.
pub(in crate::service) fn provider(
    provider: &ProviderSettings,
    settings: &Settings,
) -> anyhow::Result<Box<dyn Provider>> {
    adapter(provider, settings, 1, &Arc::default())
}

/// The adapter of a provider on one of so many arbiters, with its share of the connections; its
/// adapters on all of them share what is known of the provider's glossaries.
fn adapter(
    provider: &ProviderSettings,
    settings: &Settings,
    n_arbiters: usize,
    glossaries: &Arc<Glossaries>,
) -> anyhow::Result<Box<dyn Provider>> {
    let http = HttpConfig {
        connections: provider_connections(settings, n_arbiters),
        ..http_config(settings)
    };
    let model = provider.model.as_deref().unwrap_or_default();
    let api_key = provider.api_key.clone();
    Ok(match provider.kind {
        ProviderKind::OpenAi => Box::new(OpenAiProvider::new(OpenAiConfig {
            api_key,
            http,
            ..OpenAiConfig::new(&provider.base_url, model)
        })?),
        ProviderKind::Gemini => Box::new(GeminiProvider::new(GeminiConfig {
            api_key,
            http,
            ..GeminiConfig::new(&provider.base_url, model)
        })?),
        ProviderKind::Anthropic => Box::new(AnthropicProvider::new(AnthropicConfig {
            api_key,
            http,
            ..AnthropicConfig::new(&provider.base_url, model)
        })?),
        ProviderKind::DeepL => Box::new(DeepLProvider::new(DeepLConfig {
            api_key,
            http,
            glossaries: Arc::clone(glossaries),
            ..DeepLConfig::new(&provider.base_url, provider.name.as_str())
        })?),
        ProviderKind::LibreTranslate => {
            Box::new(LibreTranslateProvider::new(LibreTranslateConfig {
                api_key,
                http,
                ..LibreTranslateConfig::new(&provider.base_url)
            })?)
        }
        ProviderKind::Apertium => Box::new(ApertiumProvider::new(ApertiumConfig {
            http,
            ..ApertiumConfig::new(&provider.base_url)
        })?),
    })
}

pub(super) fn provider_setup(
    it: &ProviderSettings,
    settings: &Settings,
    n_arbiters: usize,
    counts: &Arc<Counts>,
) -> anyhow::Result<ProviderSetup> {
    let glossaries: Arc<Glossaries> = Arc::default();
    // Made once here, so that making it on the arbiters cannot fail.
    adapter(it, settings, n_arbiters, &glossaries)?;
    let max_items = match it.kind {
        ProviderKind::OpenAi => openai::MAX_ITEMS,
        ProviderKind::Gemini => gemini::MAX_ITEMS,
        ProviderKind::Anthropic => anthropic::MAX_ITEMS,
        ProviderKind::DeepL => deepl::MAX_ITEMS,
        ProviderKind::LibreTranslate => libretranslate::MAX_ITEMS,
        ProviderKind::Apertium => apertium::MAX_ITEMS,
    };
    let (own, all, counts) = (it.clone(), settings.clone(), Arc::clone(counts));
    Ok(ProviderSetup {
        name: it.name.clone(),
        lane: it.lane.clone(),
        account: it.account(),
        limits: it.limits,
        max_items,
        max_untold: match it.kind {
            ProviderKind::LibreTranslate => libretranslate::MAX_UNTOLD,
            _ => None,
        },
        max_bytes: match it.kind {
            ProviderKind::DeepL => deepl::MAX_BYTES,
            _ => None,
        },
        counts_tokens: it.kind.is_language_model(),
        quality: quality(it.kind),
        price: it.price,
        order: it.order,
        share: it.share,
        pairs: it.pairs.clone(),
        version: version(it.kind),
        batch: batch_setup(it, settings)?,
        build: Arc::new(move || {
            let made = adapter(&own, &all, n_arbiters, &glossaries)
                .expect("the same settings made the same adapter before");
            Box::new(Counted::new(made, Arc::clone(&counts)))
        }),
    })
}

/// What a kind's prompt, or the form of its calls, is called.
const fn version(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAi => Family::OpenAi.version(),
        ProviderKind::Gemini => Family::Gemini.version(),
        ProviderKind::Anthropic => Family::Anthropic.version(),
        ProviderKind::DeepL => deepl::VERSION,
        ProviderKind::LibreTranslate => "libretranslate-1",
        ProviderKind::Apertium => "apertium-2",
    }
}

/// The batch interface of a provider whose kind has one; also where no new jobs are wanted,
/// because there may be some under way.
fn batch_setup(it: &ProviderSettings, settings: &Settings) -> anyhow::Result<Option<BatchSetup>> {
    let http = HttpConfig {
        connections: 2,
        ..http_config(settings)
    };
    let model = it.model.as_deref().unwrap_or_default();
    let (api_key, timeout) = (it.api_key.clone(), settings.translation.timeout);
    let provider: Rc<dyn BatchProvider> = match it.kind {
        ProviderKind::OpenAi => {
            let config = OpenAiConfig {
                api_key,
                http,
                ..OpenAiConfig::new(&it.base_url, model)
            };
            Rc::new(OpenAiBatch::new(config, timeout)?)
        }
        ProviderKind::Gemini => {
            let config = GeminiConfig {
                api_key,
                http,
                ..GeminiConfig::new(&it.base_url, model)
            };
            Rc::new(GeminiBatch::new(config, timeout)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(BatchSetup {
        provider,
        takes_new: it.batch,
    }))
}

/// How well a kind of provider translates.
const fn quality(kind: ProviderKind) -> Quality {
    if kind.is_language_model() {
        Quality::Model
    } else {
        Quality::Engine
    }
}

/// The connections that one arbiter may have to one provider: one at least, else not too many.
pub(super) fn provider_connections(settings: &Settings, n_arbiters: usize) -> usize {
    (settings.translation.connections / n_arbiters.max(1)).max(1)
}

/// Says in the log which providers are counted together, because they are one account and model.
pub(super) fn tell_of_shared_lanes(settings: &Settings) {
    for provider in &settings.providers {
        if provider.lane.as_str() != provider.name.as_str() {
            info!(
                provider:% = provider.name, lane:% = provider.lane;
                "a provider shares the limits of a lane"
            );
        }
    }
}

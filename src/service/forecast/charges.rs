//! What providers would charge for posts before any of them is translated.
//!
//! What is sent is counted; how long an answer becomes is not known, so all is told from the least
//! that the checks let pass to the most that is reserved for a call. Each text counts once, in packs
//! as full as may be or alone, as if nothing were known already and nothing went wrong.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use babelfeed_actors::domain::{Attached, Pair, Post, Tokens};
use babelfeed_actors::logic::checks;
use babelfeed_actors::logic::estimate::{Estimates, Weight, count};
use babelfeed_actors::logic::hashtags::{Hashtags, hashtags, with_words};
use babelfeed_actors::logic::price::usd;
use babelfeed_actors::logic::routing::By;
use babelfeed_actors::logic::spans::{Protected, protect_with};
use babelfeed_actors::ports::{Item, Pack};
use serde::Serialize;

use super::{Span, priced};
use crate::providers::prompt::{Family, question};
use crate::settings::{OutletSettings, ProviderKind, ProviderSettings, Settings};

/// What a tokenizer makes of a text, as a share of what a usual one does.
const TOKENS: (f64, f64) = (0.7, 1.3);
/// What an engine counts as characters, as a share of those of the text: marks count, or not.
const CHARACTERS: (f64, f64) = (0.9, 1.2);
/// The least tokens of a letter.
const LETTER: f64 = 0.2;
/// How many places a price is told to: a text costs a fraction of a cent.
const PLACES: usize = 4;

/// What a provider would charge, or has charged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::service) struct Charge {
    pub(in crate::service) provider: String,
    pub(in crate::service) texts: Span<u64>,
    pub(in crate::service) calls: Span<u64>,
    /// In US dollars.
    pub(in crate::service) usd: Span<f64>,
}

/// The texts that posts would have translated, each once for a pair of languages.
pub(in crate::service) struct Texts<'a> {
    settings: &'a Settings,
    pairs: BTreeMap<Pair, BTreeMap<String, Wanted>>,
}

/// What is wanted of a text beside its translation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    /// The hashtags that are translated with it.
    tags: Vec<Box<str>>,
    /// Whether it may be asked for once more, in fewer words.
    in_fewer_words: bool,
}

/// Tokens from the least to the most.
struct Needs {
    least: (f64, f64),
    most: Tokens,
}

impl<'a> Texts<'a> {
    /// No text yet.
    pub(in crate::service) const fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            pairs: BTreeMap::new(),
        }
    }

    /// Adds what an outlet would have translated of a post, which may not fit there.
    pub(in crate::service) fn add(&mut self, outlet: &OutletSettings, post: &Post, may_fit: Fits) {
        if super::taker::is_in_language(self.settings, &outlet.language, post) {
            return;
        }
        let joined = Attached::of(post).map_or_else(|| post.text.clone(), |it| it.join(&post.text));
        if !protected(self.settings, &joined).has_words() {
            return;
        }
        let pair = Pair {
            source: post.language.clone(),
            target: outlet.language.clone(),
        };
        let wanted = self.pairs.entry(pair).or_default();
        let wanted = wanted.entry(joined).or_default();
        wanted.in_fewer_words |= may_fit == Fits::Perhaps;
        if outlet.rules.style.hashtags != Hashtags::Keep {
            wanted.tags = hashtags(&post.text);
        }
    }

    /// What each provider that comes first for some of them would charge; where the settings do
    /// not say who comes first, it may be anybody.
    pub(in crate::service) fn charges(&self) -> Vec<Charge> {
        let providers = self.settings.providers.iter();
        let charges = providers.map(|provider| self.charge(provider));
        charges.filter(|charge| charge.texts.max > 0).collect()
    }

    fn charge(&self, provider: &ProviderSettings) -> Charge {
        let mut charge = Charge {
            provider: provider.name.to_string(),
            texts: Span::default(),
            calls: Span::default(),
            usd: Span::default(),
        };
        for (pair, texts) in &self.pairs {
            let mut serving = self.settings.providers.iter();
            let is_alone = serving.all(|it| it.name == provider.name || !serves(it, pair));
            let is_first = is_alone || self.is_first(provider, pair);
            let may_come = is_first || self.settings.routing.by != By::Order;
            if !serves(provider, pair) || !may_come {
                continue;
            }
            let of_pair = self.charge_of(provider, pair, texts);
            if is_first {
                charge.texts.min += of_pair.texts.min;
                charge.calls.min += of_pair.calls.min;
                charge.usd.min += of_pair.usd.min;
            }
            charge.texts.max += of_pair.texts.max;
            charge.calls.max += of_pair.calls.max;
            charge.usd.max += of_pair.usd.max;
        }
        charge
    }

    /// Whether the settings name a provider before all others that serve a pair.
    fn is_first(&self, provider: &ProviderSettings, pair: &Pair) -> bool {
        let serving = self.settings.providers.iter();
        let first = serving
            .filter(|it| serves(it, pair))
            .min_by_key(|it| it.order);
        self.settings.routing.by == By::Order && first.is_some_and(|it| it.name == provider.name)
    }

    /// What a provider would charge for all texts of a pair.
    fn charge_of(
        &self,
        provider: &ProviderSettings,
        pair: &Pair,
        texts: &BTreeMap<String, Wanted>,
    ) -> Charge {
        let n_texts = texts.len() as u64;
        let n_packs = texts.len().div_ceil(self.settings.batching.max_batch_size);
        let is_model = provider.kind.is_language_model();
        let prompt = TOKENS.0 * f64::from(system(provider.kind));
        let price = |(input, output): (f64, f64)| {
            (input * provider.price.0 + output * provider.price.1) / 1e6
        };
        let mut charge = Charge {
            provider: provider.name.to_string(),
            texts: Span::exactly(n_texts),
            calls: Span {
                min: n_packs as u64,
                max: n_texts,
            },
            usd: Span {
                min: n_packs as f64 * price((prompt, 0.0)),
                max: 0.0,
            },
        };
        for (text, wanted) in texts {
            let needs = match is_model {
                true => self.needs_of_model(provider.kind, pair, text, wanted),
                false => self.needs_of_engine(pair, text, wanted),
            };
            charge.usd.min += price(needs.least);
            charge.usd.max += usd(needs.most, provider.price);
            if is_model && wanted.in_fewer_words {
                charge.calls.max += 1;
                charge.usd.max += usd(needs.most, provider.price);
            }
        }
        charge
    }

    /// What a language model counts: alone with its prompt, or among others without.
    fn needs_of_model(
        &self,
        kind: ProviderKind,
        pair: &Pair,
        text: &str,
        wanted: &Wanted,
    ) -> Needs {
        let plain = protected(self.settings, text);
        let whole = protected(self.settings, &with_words(text, &wanted.tags));
        let (letters, _) = checks::plausible_letters(&plain.skeleton);
        let reserved = Estimates::default()
            .rate(pair)
            .tokens(Weight::of(&whole.skeleton, None));
        let pack = Pack {
            pair: pair.clone(),
            items: vec![Item {
                id: "1".into(),
                text: whole.skeleton.clone(),
                context: None,
            }],
            max_tokens: None,
            guide: self.settings.translation.glossary.guide(pair).cloned(),
        };
        let asked = f64::from(system(kind) + count(&question(&pack)));
        Needs {
            least: (
                TOKENS.0 * f64::from(count(&plain.skeleton)),
                TOKENS.0 * LETTER * letters,
            ),
            most: Tokens {
                input: reserved.input.max((TOKENS.1 * asked).ceil() as u64),
                ..reserved
            },
        }
    }

    /// What an engine counts, the characters that are sent.
    fn needs_of_engine(&self, pair: &Pair, text: &str, wanted: &Wanted) -> Needs {
        let letters = |protected: &Protected| {
            let shown = protected.skeleton.chars().filter(|it| it.is_alphabetic());
            shown.count() as f64
        };
        let plain = protected(self.settings, text);
        let whole = with_words(text, &wanted.tags);
        let weight = Weight::of(&protected(self.settings, &whole).skeleton, None);
        let reserved = Estimates::of_characters().rate(pair).tokens(weight);
        let most = CHARACTERS.1 * whole.chars().count() as f64;
        Needs {
            least: (CHARACTERS.0 * letters(&plain), 0.0),
            most: Tokens {
                input: reserved.input.max(most.ceil() as u64),
                output: 0,
            },
        }
    }
}

/// Whether a translation surely fits where it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Fits {
    Surely,
    Perhaps,
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            texts,
            calls,
            usd,
        } = self;
        let usd = priced(*usd, PLACES);
        write!(
            f,
            "forecast {provider}: translates {texts} texts in {calls} calls, {usd}"
        )
    }
}

fn protected(settings: &Settings, text: &str) -> Protected {
    protect_with(&text.into(), settings.translation.numbers)
}

fn serves(provider: &ProviderSettings, pair: &Pair) -> bool {
    let pairs = provider.pairs.as_ref();
    pairs.is_none_or(|pairs| pairs.iter().any(|it| it.include(pair)))
}

/// The tokens of a kind's prompt; engines have none.
fn system(kind: ProviderKind) -> u32 {
    let family = match kind {
        ProviderKind::OpenAi => Family::OpenAi,
        ProviderKind::Gemini => Family::Gemini,
        ProviderKind::Anthropic => Family::Anthropic,
        ProviderKind::DeepL | ProviderKind::LibreTranslate | ProviderKind::Apertium => return 0,
    };
    count(family.system())
}

//! Makes the adapters that the settings name, and hands them over as the system wants them.

use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use anyhow::Context as _;
use babelfeed_actors::logic::checks::Checks;
use babelfeed_actors::logic::known::Quality;
use babelfeed_actors::ports::{BatchProvider, Clock, Outlet, Provider, Source};
use babelfeed_actors::setup::{
    BatchSetup, OutletSetup, Pauses, ProviderSetup, Setup, SourceSetup, SystemConfig,
};
use log::{info, warn};

use super::counted::{Counted, Counts};
use super::world::SystemChance;
use crate::http::download::DownloadConfig;
use crate::http::{HttpConfig, Reach, Uri};
use crate::outlets::bluesky::{BlueskyConfig, BlueskyOutlet};
use crate::outlets::discord::{DiscordConfig, DiscordOutlet};
use crate::outlets::feed::{FeedConfig as FeedOutletConfig, FeedOutlet};
use crate::outlets::file::FileOutlet;
use crate::outlets::mastodon::{self, MastodonConfig, MastodonOutlet};
use crate::outlets::slack::{SlackConfig, SlackOutlet};
use crate::outlets::telegram::{TelegramConfig, TelegramOutlet};
use crate::outlets::webhook::{Doubt, WebhookConfig, WebhookOutlet};
use crate::outlets::x::{XConfig, XOutlet};
use crate::providers::anthropic::{self, AnthropicConfig, AnthropicProvider};
use crate::providers::apertium::{self, ApertiumConfig, ApertiumProvider};
use crate::providers::deepl::{self, DeepLConfig, DeepLProvider, Glossaries};
use crate::providers::gemini::batch::GeminiBatch;
use crate::providers::gemini::{self, GeminiConfig, GeminiProvider};
use crate::providers::libretranslate::{self, LibreTranslateConfig, LibreTranslateProvider};
use crate::providers::openai::batch::OpenAiBatch;
use crate::providers::openai::{self, OpenAiConfig, OpenAiProvider};
use crate::providers::prompt::Family;
use crate::settings::{
    FeedPlace, OutletKind, OutletSettings, ProviderKind, ProviderSettings, Settings, SourceKind,
    SourceSettings, Visibility, XAccess, XCredential,
};
use crate::sources::anchored::Anchored;
use crate::sources::bluesky::{BlueskyConfig as BlueskySourceConfig, BlueskySource};
use crate::sources::feed::{FeedConfig, FeedSource, Location};
use crate::sources::file::{FileConfig, FileSource};
use crate::sources::mastodon::{MastodonConfig as MastodonSourceConfig, MastodonSource};
use crate::sources::websub::Callbacks;
use crate::sources::x::{Apps, LeftOut, XConfig as XSourceConfig, XSource};
use crate::stores::SqliteStore;
use crate::x::{ApiConfig, Identity, Renewal};

/// How long one call to a source's server may take.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(30);

/// A system that can be started, with the threads of its translators.
pub(super) struct Prepared {
    /// What the system is made of.
    pub(super) setup: Setup,
    /// The threads.
    pub(super) arbiters: Vec<Arbiter>,
    /// What is asked of each provider, in the order of the settings.
    pub(super) counts: Vec<Arc<Counts>>,
    /// Where hubs tell of news, where that is wanted.
    pub(super) callbacks: Option<Callbacks>,
}

/// Makes everything that these settings name; nothing is read, called or written yet.
///
/// # Errors
/// When an address cannot be one.
pub(super) fn prepare(
    settings: &Settings,
    store: &SqliteStore,
    clock: &Arc<dyn Clock>,
    escalate: Rc<dyn Fn(&'static str)>,
) -> anyhow::Result<Prepared> {
    warn_of_idle(settings);
    tell_of_shared_lanes(settings);
    let n_arbiters = settings.translation.translators.unwrap_or_else(n_cores);
    let counts: Vec<Arc<Counts>> = settings.providers.iter().map(|_| Arc::default()).collect();
    let callbacks = callbacks(settings);
    let sources = settings.sources.iter();
    let apps = Apps::default();
    let http = http_config(settings);
    let sources = sources.map(|it| source_setup(it, http.clone(), callbacks.as_ref(), &apps));
    let providers = settings.providers.iter().zip(&counts);
    let providers = providers.map(|(it, counts)| provider_setup(it, settings, n_arbiters, counts));
    let outlets = settings.outlets.iter().map(|it| outlet_setup(it, settings));
    let (sources, providers, outlets) = (
        sources.collect::<anyhow::Result<_>>()?,
        providers.collect::<anyhow::Result<_>>()?,
        outlets.collect::<anyhow::Result<_>>()?,
    );
    // One translator lives on this arbiter, for texts that somebody waits for.
    let arbiters: Vec<Arbiter> = (1..n_arbiters).map(|_| Arbiter::new()).collect();
    let setup = Setup {
        clock: Arc::clone(clock),
        chance: Arc::new(SystemChance),
        store: Rc::new(store.clone()),
        memory: Rc::new(store.clone()),
        ledger: Rc::new(store.clone()),
        quotas: Vec::new(),
        pauses: Pauses::default(),
        sources,
        providers,
        outlets,
        arbiters: arbiters
            .iter()
            .map(Arbiter::handle)
            .collect::<Vec<ArbiterHandle>>(),
        config: config(settings),
        escalate,
    };
    Ok(Prepared {
        setup,
        arbiters,
        counts,
        callbacks,
    })
}

/// Where hubs tell of news, where the settings name a public address.
fn callbacks(settings: &Settings) -> Option<Callbacks> {
    let public_url = settings.http.public_url.as_deref()?;
    let file = settings.service.data_dir.join("websub.json");
    Some(Callbacks::new(public_url, file))
}

/// How many threads the machine runs at once.
pub(super) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn config(settings: &Settings) -> SystemConfig {
    SystemConfig {
        by: settings.routing.by,
        hedge: settings.routing.hedge,
        concurrency: settings.translation.concurrency,
        max_attempts: settings.translation.max_attempts,
        timeout: settings.translation.timeout,
        max_batch_size: settings.batching.max_batch_size,
        batch_timeout: settings.batching.batch_timeout,
        max_job_size: settings.batching.max_job_size,
        job_timeout: settings.batching.job_timeout,
        job_poll: settings.batching.job_poll,
        cache_entries: settings.cache.max_entries,
        cache_bytes: settings.cache.max_bytes,
        cache_ttl: settings.cache.ttl,
        publishing_concurrency: settings.publishing.concurrency,
        glossary: Arc::clone(&settings.translation.glossary),
        numbers: settings.translation.numbers,
        checks: settings.checks,
    }
}

fn http_config(settings: &Settings) -> HttpConfig {
    HttpConfig {
        keep_alive: settings.translation.keep_alive,
        dns_ttl: settings.translation.dns_ttl,
        ..HttpConfig::default()
    }
}

/// The adapter of a source.
pub(super) fn source(
    source: &SourceSettings,
    settings: &Settings,
) -> anyhow::Result<Rc<dyn Source>> {
    source_with(source, http_config(settings), None, &Apps::default())
}

/// The adapter of a source, which hubs may wake, and which may share an app with others.
fn source_with(
    settings: &SourceSettings,
    http: HttpConfig,
    callbacks: Option<&Callbacks>,
    apps: &Apps,
) -> anyhow::Result<Rc<dyn Source>> {
    let source: Rc<dyn Source> = match &settings.kind {
        SourceKind::File(path) => Rc::new(FileSource::new(FileConfig {
            name: settings.name.clone(),
            path: path.clone(),
            language: settings.language.clone(),
        })),
        SourceKind::Feed(place) => {
            let location = match place {
                FeedPlace::Path(path) => Location::Path(path.clone()),
                FeedPlace::Url(url) | FeedPlace::Hub(url) => {
                    Location::Url(uri(url, settings.name.as_str())?)
                }
            };
            let callbacks = callbacks.filter(|_| matches!(place, FeedPlace::Hub(_)));
            Rc::new(FeedSource::new(FeedConfig {
                language: settings.language.clone(),
                respect_hints: settings.respect_hints,
                callbacks: callbacks.cloned(),
                http,
                ..FeedConfig::new(settings.name.clone(), location)
            }))
        }
        SourceKind::X(x) => {
            let rules = &settings.rules.filter;
            let left_out = [
                (LeftOut::Replies, !x.threads),
                (LeftOut::Reposts, !rules.reposts),
            ];
            let left_out = left_out.into_iter().filter(|(_, is_left_out)| *is_left_out);
            Rc::new(XSource::new(
                XSourceConfig {
                    name: settings.name.clone(),
                    api: ApiConfig {
                        base_url: x.access.base_url.clone(),
                        identity: match &x.access.credential {
                            XCredential::Keys(keys) => Identity::Keys(keys.clone()),
                            XCredential::App(token) => Identity::App(token.clone()),
                            XCredential::Renewed { .. } => {
                                anyhow::bail!("a source on X is read by an app or by keys")
                            }
                        },
                        spelling: x.access.spelling,
                        http,
                        timeout: SOURCE_TIMEOUT,
                    },
                    accounts: x.accounts.clone(),
                    left_out: left_out.map(|(it, _)| it).collect(),
                    language: settings.language.clone(),
                    backfill: settings.backfill,
                    prices: x.access.prices,
                    usd_per_day: x.usd_per_day,
                    streams: x.streams,
                    extent: x.extent,
                },
                apps,
            )?)
        }
        SourceKind::Mastodon {
            base_url,
            account,
            token,
            streams,
        } => Rc::new(MastodonSource::new(MastodonSourceConfig {
            name: settings.name.clone(),
            base_url: uri(base_url, settings.name.as_str())?,
            account: account.clone(),
            token: token.clone(),
            language: settings.language.clone(),
            backfill: settings.backfill,
            streams: *streams,
            http,
            timeout: SOURCE_TIMEOUT,
        })),
        SourceKind::Bluesky {
            subject,
            base_url,
            jetstream,
        } => {
            let name = settings.name.as_str();
            let jetstream = jetstream.as_deref().map(|url| uri(url, name));
            Rc::new(BlueskySource::new(BlueskySourceConfig {
                name: settings.name.clone(),
                subject: subject.clone(),
                base_url: uri(base_url, name)?,
                jetstream: jetstream.transpose()?,
                language: settings.language.clone(),
                backfill: settings.backfill,
                http,
                timeout: SOURCE_TIMEOUT,
            }))
        }
    };
    let subject = settings.kind.subject();
    let subject = [settings.kind.name(), &subject];
    Ok(Rc::new(Anchored::new(source, &subject)))
}

fn source_setup(
    settings: &SourceSettings,
    http: HttpConfig,
    callbacks: Option<&Callbacks>,
    apps: &Apps,
) -> anyhow::Result<SourceSetup> {
    Ok(SourceSetup {
        name: settings.name.clone(),
        kind: settings.kind.name(),
        source: source_with(settings, http, callbacks, apps)?,
        every: settings.every,
        respects_hints: settings.respect_hints,
        backfill: settings.backfill,
        rules: settings.rules.clone(),
    })
}

/// The adapter of a provider, with all of the connections.
pub(super) fn provider(
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

fn provider_setup(
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
fn provider_connections(settings: &Settings, n_arbiters: usize) -> usize {
    (settings.translation.connections / n_arbiters.max(1)).max(1)
}

/// Says in the log which providers are counted together, because they are one account and model.
fn tell_of_shared_lanes(settings: &Settings) {
    for provider in &settings.providers {
        if provider.lane.as_str() != provider.name.as_str() {
            info!(
                provider:% = provider.name, lane:% = provider.lane;
                "a provider shares the limits of a lane"
            );
        }
    }
}

/// Says in the log what is written in the settings and makes no difference in this build.
pub(super) fn warn_of_idle(settings: &Settings) {
    for key in idle(settings) {
        warn!(key = key; "setting makes no difference in this build");
    }
}

/// What is written in the settings and makes no difference in this build.
pub(super) fn idle(settings: &Settings) -> Vec<&'static str> {
    [(
        "outlet.hold = \"doubtful\"",
        settings.translation.glossary.is_empty()
            && settings.checks == Checks::NONE
            && settings
                .outlets
                .iter()
                .any(|it| it.hold == babelfeed_actors::setup::Hold::Doubtful),
    )]
    .into_iter()
    .filter_map(|(key, is_idle)| is_idle.then_some(key))
    .collect()
}

/// The adapter of an outlet.
pub(super) fn outlet(
    outlet: &OutletSettings,
    settings: &Settings,
) -> anyhow::Result<Rc<dyn Outlet>> {
    Ok(match &outlet.kind {
        OutletKind::File { path } => Rc::new(FileOutlet::new(path)),
        OutletKind::Feed { path, title } => Rc::new(FeedOutlet::new(FeedOutletConfig {
            name: outlet.name.clone(),
            path: path.clone(),
            language: outlet.language.clone(),
            title: title.clone(),
        })),
        OutletKind::Mastodon {
            base_url,
            token,
            visibility,
            account,
            schedule,
        } => Rc::new(MastodonOutlet::new(MastodonConfig {
            base_url: uri(base_url, outlet.name.as_str())?,
            token: token.clone(),
            account: account.clone(),
            schedule: *schedule,
            visibility: visibility.map(visible),
            http: http_config(settings),
            timeout: settings.translation.timeout,
            download: download_config(settings),
        })?),
        OutletKind::Bluesky {
            base_url,
            account,
            password,
        } => Rc::new(BlueskyOutlet::new(&BlueskyConfig {
            base_url: uri(base_url, outlet.name.as_str())?,
            account: account.clone(),
            password: password.clone(),
            folder: settings.service.data_dir.clone(),
            http: http_config(settings),
            download: download_config(settings),
            timeout: settings.translation.timeout,
        })),
        OutletKind::X(x) => Rc::new(XOutlet::new(XConfig {
            api: x_api(&x.access, settings),
            account: x.account.clone(),
            max: x.max,
            prices: x.access.prices,
            quiet: x.quiet,
            quotes: x.quotes,
            pause: x.quiet.min(XConfig::PAUSE),
            download: download_config(settings),
        })?),
        OutletKind::Telegram {
            base_url,
            token,
            chat,
            topic,
            preview,
        } => Rc::new(TelegramOutlet::new(TelegramConfig {
            base_url: uri(base_url, outlet.name.as_str())?,
            token: token.clone(),
            chat: chat.clone(),
            topic: *topic,
            preview: *preview,
            http: http_config(settings),
            timeout: settings.translation.timeout,
        })?),
        OutletKind::Discord { url } => Rc::new(DiscordOutlet::new(&DiscordConfig {
            url: url.clone(),
            http: http_config(settings),
            timeout: settings.translation.timeout,
        })?),
        OutletKind::Slack { url } => Rc::new(SlackOutlet::new(&SlackConfig {
            url: url.clone(),
            http: http_config(settings),
            timeout: settings.translation.timeout,
        })?),
        OutletKind::Webhook {
            url,
            secret,
            drops_repeats,
        } => Rc::new(WebhookOutlet::new(&WebhookConfig {
            url: url.clone(),
            secret: secret.clone(),
            doubt: match drops_repeats {
                true => Doubt::Repeats,
                false => Doubt::Waits,
            },
            http: http_config(settings),
            timeout: settings.translation.timeout,
        })?),
    })
}

/// Where and as whom X is called.
fn x_api(access: &XAccess, settings: &Settings) -> ApiConfig {
    let identity = match &access.credential {
        XCredential::Keys(keys) => Identity::Keys(keys.clone()),
        XCredential::App(token) => Identity::App(token.clone()),
        XCredential::Renewed {
            client_id,
            client_secret,
            refresh_token,
        } => Identity::Renewed(Renewal {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            refresh_token: refresh_token.clone(),
            folder: settings.service.data_dir.clone(),
        }),
    };
    ApiConfig {
        base_url: access.base_url.clone(),
        identity,
        spelling: access.spelling,
        http: http_config(settings),
        timeout: settings.translation.timeout,
    }
}

/// How media are downloaded, whatever outlet they are for.
fn download_config(settings: &Settings) -> DownloadConfig {
    let reach = match settings.publishing.media_from_private {
        true => Reach::Anywhere,
        false => Reach::Public,
    };
    DownloadConfig {
        http: http_config(settings),
        reach,
        max_bytes: settings.publishing.max_media,
        ..DownloadConfig::default()
    }
}

fn visible(visibility: Visibility) -> mastodon::Visibility {
    match visibility {
        Visibility::Public => mastodon::Visibility::Public,
        Visibility::Unlisted => mastodon::Visibility::Unlisted,
        Visibility::Private => mastodon::Visibility::Private,
        Visibility::Direct => mastodon::Visibility::Direct,
    }
}

fn outlet_setup(it: &OutletSettings, settings: &Settings) -> anyhow::Result<OutletSetup> {
    Ok(OutletSetup {
        name: it.name.clone(),
        kind: it.kind.name(),
        outlet: outlet(it, settings)?,
        language: it.language.clone(),
        from: it.from.clone(),
        rules: it.rules.clone(),
        hold: it.hold,
        account: it.account(),
        place: it.place(),
        limits: it.limits,
    })
}

fn uri(text: &str, name: &str) -> anyhow::Result<Uri> {
    text.parse()
        .with_context(|| format!("the address of `{name}` cannot be called"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::GlobalOptions;

    fn settings(routing: &str) -> Settings {
        let provider = |name: &str, price: f64| {
            format!(
                "[[provider]]\nname = \"{name}\"\nkind = \"libretranslate\"\n\
                 base_url = \"http://{name}.example\"\nprice = {{ input = {price} }}\n"
            )
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Settings.toml");
        let text = [
            routing,
            &provider("dear", 3.0),
            &provider("cheap", 0.5),
            &provider("middle", 1.0),
        ]
        .concat();
        std::fs::write(&file, text).expect("written");
        let options = GlobalOptions {
            settings: Some(file),
            ..GlobalOptions::default()
        };
        Settings::load(&options).expect("valid")
    }

    #[test]
    fn what_makes_no_difference_is_named() {
        assert_eq!(idle(&settings("")), Vec::<&str>::new());
        let text = "[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\n\
                    language = \"es\"\nhold = \"doubtful\"\n";
        assert_eq!(idle(&settings(text)), Vec::<&str>::new());
        let unchecked = "[checks]\nlanguage = false\necho = false\nlength = false\nnotes = false\n";
        let text = format!("{unchecked}{text}");
        assert_eq!(idle(&settings(&text)), ["outlet.hold = \"doubtful\""]);
    }

    #[test]
    fn connections_are_divided_over_the_translators() {
        let settings = settings("");
        assert_eq!(provider_connections(&settings, 3), 33);
        assert_eq!(provider_connections(&settings, 101), 1);
        assert_eq!(provider_connections(&settings, 1), 100);
    }
}

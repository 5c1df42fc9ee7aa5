//! Makes the sources that the settings name.

use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::ports::Source;
use babelfeed_actors::setup::SourceSetup;

use super::{http_config, uri};
use crate::http::HttpConfig;
use crate::settings::{FeedPlace, Settings, SourceKind, SourceSettings, XCredential};
use crate::sources::anchored::Anchored;
use crate::sources::bluesky::{BlueskyConfig as BlueskySourceConfig, BlueskySource};
use crate::sources::feed::{FeedConfig, FeedSource, Location};
use crate::sources::file::{FileConfig, FileSource};
use crate::sources::mastodon::{MastodonConfig as MastodonSourceConfig, MastodonSource};
use crate::sources::websub::Callbacks;
use crate::sources::x::{Apps, LeftOut, XConfig as XSourceConfig, XSource};
use crate::x::{ApiConfig, Identity};

/// How long one call to a source's server may take.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(30);

/// The adapter of a source.
pub(in crate::service) fn source(
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

pub(super) fn source_setup(
    settings: &SourceSettings,
    http: HttpConfig,
    callbacks: Option<&Callbacks>,
    apps: &Apps,
) -> anyhow::Result<SourceSetup> {
    Ok(SourceSetup {
        name: settings.name.clone(),
        kind: settings.kind.name(),
        source: source_with(settings, http, callbacks, apps)?,
        network: settings.kind.network().map(Into::into),
        every: settings.every,
        respects_hints: settings.respect_hints,
        backfill: settings.backfill,
        rules: settings.rules.clone(),
    })
}

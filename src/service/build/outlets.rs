//! Makes the outlets that the settings name.

use std::rc::Rc;

use babelfeed_actors::ports::Outlet;
use babelfeed_actors::setup::OutletSetup;

use super::{http_config, uri, x_api};
use crate::http::Reach;
use crate::http::download::DownloadConfig;
use crate::outlets::bluesky::{BlueskyConfig, BlueskyOutlet};
use crate::outlets::discord::{DiscordConfig, DiscordOutlet};
use crate::outlets::feed::{FeedConfig as FeedOutletConfig, FeedOutlet};
use crate::outlets::file::FileOutlet;
use crate::outlets::mastodon::{self, MastodonConfig, MastodonOutlet};
use crate::outlets::slack::{SlackConfig, SlackOutlet};
use crate::outlets::telegram::{TelegramConfig, TelegramOutlet};
use crate::outlets::webhook::{Doubt, WebhookConfig, WebhookOutlet};
use crate::outlets::x::{XConfig, XOutlet};
use crate::settings::{OutletKind, OutletSettings, Settings, Visibility};

/// The adapter of an outlet.
pub(in crate::service) fn outlet(
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
            quiet,
        } => Rc::new(MastodonOutlet::new(MastodonConfig {
            base_url: uri(base_url, outlet.name.as_str())?,
            token: token.clone(),
            account: account.clone(),
            schedule: *schedule,
            quiet: *quiet,
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

pub(super) fn outlet_setup(
    it: &OutletSettings,
    settings: &Settings,
) -> anyhow::Result<OutletSetup> {
    Ok(OutletSetup {
        name: it.name.clone(),
        kind: it.kind.name(),
        outlet: outlet(it, settings)?,
        network: it.kind.network().map(Into::into),
        language: it.language.clone(),
        from: it.from.clone(),
        rules: it.rules.clone(),
        hold: it.hold,
        account: it.account(),
        place: it.place(),
        limits: it.limits,
    })
}

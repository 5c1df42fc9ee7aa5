//! Names the accounts that count us, so that what was learned of one is not believed of another.

use sha2::{Digest as _, Sha256};

use super::x::XCredential;
use super::{OutletKind, OutletSettings, ProviderSettings, Secret};

impl ProviderSettings {
    /// Names the account: another address, model or credential is another one.
    pub fn account(&self) -> u64 {
        let model = self.model.as_deref().unwrap_or_default();
        let api_key = self.api_key.as_ref().map_or("", Secret::expose);
        let kind = format!("{:?}", self.kind);
        name(&[&kind, &self.base_url, model, api_key])
    }
}

impl OutletSettings {
    /// Names the account, as far as the settings do without its credentials.
    pub fn account(&self) -> u64 {
        name(&[&format!("{:?}", self.kind)])
    }

    /// Names the account or chat that publishes, by what stays the same as long as it does; none
    /// where nothing of it is ever changed or answered, or the settings do not tell.
    pub fn place(&self) -> Option<u64> {
        let words: [&str; 2] = match &self.kind {
            OutletKind::Mastodon { base_url, .. } => ["mastodon", base_url],
            OutletKind::Bluesky { account, .. } => ["bluesky", account.as_str()],
            OutletKind::Telegram { chat, .. } => ["telegram", chat],
            OutletKind::Discord { url } => {
                // Its number stays where its token is made anew.
                let (_, webhook) = url.expose().split_once("/webhooks/")?;
                ["discord", webhook.split('/').next()?]
            }
            OutletKind::X(x) => match &x.access.credential {
                XCredential::Keys(keys) => ["x", keys.token.expose().split('-').next()?],
                XCredential::Renewed { .. } | XCredential::App(_) => return None,
            },
            OutletKind::File { .. }
            | OutletKind::Feed { .. }
            | OutletKind::Slack { .. }
            | OutletKind::Webhook { .. } => return None,
        };
        let words = words.map(str::to_lowercase);
        Some(name(&[&words[0], &words[1]]))
    }
}

/// A number of such parts, from which none of them can be read.
fn name(parts: &[&str]) -> u64 {
    let hash = Sha256::digest(parts.join("\n"));
    hash.iter()
        .take(8)
        .fold(0, |name, byte| name << 8 | u64::from(*byte))
}

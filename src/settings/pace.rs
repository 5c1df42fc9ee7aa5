//! How fast outlets publish where the settings do not say it.

use babelfeed_actors::setup::LaneLimits;

use super::items::OutletKind;

/// The limits of an outlet's account: where the settings name none per second or minute, those
/// that its platform is known to keep, or that leave room for what goes with a post.
pub(super) fn paced(kind: &OutletKind, limits: LaneLimits) -> LaneLimits {
    let (rps, rpm) = match kind {
        // A server takes 300 requests in 5 minutes, and media are requests of their own.
        OutletKind::Mastodon { .. } => (Some(1.0), Some(30.0)),
        // An account has 5,000 points an hour, and each post or deletion costs two at most.
        OutletKind::Bluesky { .. } => (Some(1.0), Some(30.0)),
        // An account may post 100 times in 15 minutes.
        OutletKind::X(_) => (Some(1.0), Some(6.0)),
        OutletKind::Telegram { chat, .. } => {
            // A person's chat has a positive number; all others take fewer in a minute.
            let is_person = chat.parse().is_ok_and(|number: i64| number > 0);
            (Some(1.0), (!is_person).then_some(20.0))
        }
        OutletKind::Discord { .. } => (Some(2.0), Some(30.0)),
        OutletKind::Slack { .. } => (Some(1.0), None),
        OutletKind::File { .. } | OutletKind::Feed { .. } | OutletKind::Webhook { .. } => {
            (None, None)
        }
    };
    LaneLimits {
        rps: limits.rps.or(rps),
        rpm: limits.rpm.or(rpm),
        ..limits
    }
}

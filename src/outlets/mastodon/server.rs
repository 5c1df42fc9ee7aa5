//! What a server that speaks Mastodon's API is: its limits, and whether it keeps keys.

use std::time::{Duration, Instant};

use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::OutletError;

use super::wire::Instance;
use super::{MastodonOutlet, answer};

/// How long what a server said of itself is believed.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// The limits of Mastodon itself, for servers that tell none.
const MAX_CHARACTERS: usize = 500;
const CHARACTERS_PER_URL: usize = 23;

/// What a server said of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// The most that a status may measure.
    pub(super) limit: Limit,
    /// Whether it is Mastodon 4 or later, which keeps idempotency keys for an hour.
    pub(super) keeps_keys: bool,
    asked_at: Instant,
}

impl Server {
    /// Asks by version 2 of the API, and by version 1 where there is no other.
    pub(super) async fn ask(outlet: &MastodonOutlet) -> Result<Self, OutletError> {
        let token = &outlet.config.token;
        let mut response = outlet.get("/api/v2/instance").await?;
        if matches!(response.status, 400 | 404 | 405 | 410 | 501) {
            response = outlet.get("/api/v1/instance").await?;
        }
        Ok(Self::of(&answer::of_get(&response, token)?))
    }

    /// Whether this need not be asked again yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.asked_at.elapsed() < FRESH
    }

    fn of(instance: &Instance) -> Self {
        let statuses = &instance.configuration.statuses;
        Self {
            limit: Limit::Mastodon {
                max: statuses
                    .max_characters
                    .or(instance.max_toot_chars)
                    .unwrap_or(MAX_CHARACTERS),
                url: statuses
                    .characters_reserved_per_url
                    .unwrap_or(CHARACTERS_PER_URL),
            },
            keeps_keys: is_mastodon_4(&instance.version, &instance.source_url),
            asked_at: Instant::now(),
        }
    }
}

/// Whether a server is Mastodon 4 or later: others add words to a version that is like its own.
fn is_mastodon_4(version: &str, source_url: &str) -> bool {
    let source = source_url.trim_end_matches('/').trim_end_matches(".git");
    let major = version.split('.').next().unwrap_or_default();
    let is_plain = !version.contains(|char: char| char.is_whitespace() || char == '(');
    source.ends_with("/mastodon") && is_plain && major.parse().is_ok_and(|major: u32| major >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mastodon_itself_is_trusted_with_keys() {
        let source = "https://github.com/mastodon/mastodon";
        assert!(is_mastodon_4("4.3.1", source));
        assert!(is_mastodon_4(
            "4.4.0-rc1+glitch",
            "https://github.com/glitch-soc/mastodon"
        ));
        assert!(!is_mastodon_4("3.5.19", source));
        assert!(!is_mastodon_4("4.0.0 (not true; snac 2.80)", source));
        assert!(!is_mastodon_4("4.2.0", ""));
        assert!(!is_mastodon_4(
            "0.19.1",
            "https://codeberg.org/superseriousbusiness/gotosocial"
        ));
    }

    #[test]
    fn a_server_that_tells_no_limits_has_those_of_mastodon() {
        let instance: Instance = serde_json::from_str("{}").expect("reads");
        let expected = Limit::Mastodon { max: 500, url: 23 };
        assert_eq!(Server::of(&instance).limit, expected);
    }
}

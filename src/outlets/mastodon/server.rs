//! What a server that speaks Mastodon's API is: its limits, and what it can do.

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
const MAX_MEDIA: usize = 4;
const MAX_IMAGE: usize = 16_777_216;
const MAX_VIDEO: usize = 103_809_024;
const MAX_DESCRIPTION: usize = 1_500;
const MAX_OPTIONS: usize = 4;
const MAX_OPTION: usize = 50;
const SHORTEST_POLL: u64 = 300;
const LONGEST_POLL: u64 = 2_629_746;
/// The first version of Mastodon's own API in which a status can quote another.
const QUOTES_SINCE: u32 = 7;

/// What a server said of itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// The most that a status may measure.
    pub(super) limit: Limit,
    /// Whether a status can quote another.
    pub(super) quotes: bool,
    /// What may be attached.
    pub(super) media: MediaLimits,
    /// What a poll may be.
    pub(super) polls: PollLimits,
    asked_at: Instant,
}

/// What may be attached to a status.
#[derive(Clone, Debug)]
pub(super) struct MediaLimits {
    /// The most pictures of one status.
    pub(super) max: usize,
    /// The most characters of a description.
    pub(super) description: usize,
    image: usize,
    video: usize,
    /// None: it does not tell.
    types: Option<Vec<String>>,
}

/// What a poll may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct PollLimits {
    /// The most options.
    pub(super) options: usize,
    /// The most characters of an option.
    pub(super) option: usize,
    /// The shortest time that it is open, in seconds.
    pub(super) shortest: u64,
    /// The longest.
    pub(super) longest: u64,
}

impl MediaLimits {
    /// Whether a file of this type can be attached at all.
    pub(super) fn takes(&self, mime: &str) -> bool {
        let types = self.types.as_ref();
        types.is_none_or(|types| types.iter().any(|known| known == mime))
    }

    /// The most bytes of a file of this type.
    pub(super) fn max_bytes(&self, mime: &str) -> usize {
        if mime.starts_with("image/") {
            self.image
        } else {
            self.video
        }
    }

    /// The most bytes of any file.
    pub(super) fn max_file(&self) -> usize {
        self.image.max(self.video)
    }
}

impl Server {
    /// Asks by version 2 of the API, and by version 1 where there is no other.
    pub(super) async fn ask(outlet: &MastodonOutlet) -> Result<Self, OutletError> {
        let mut response = outlet.get("/api/v2/instance").await?;
        if matches!(response.status, 400 | 404 | 405 | 410 | 501) {
            response = outlet.get("/api/v1/instance").await?;
        }
        Ok(Self::of(answer::of_get(&response, &outlet.exchange)?))
    }

    /// Whether this need not be asked again yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.asked_at.elapsed() < FRESH
    }

    fn of(instance: Instance) -> Self {
        let configuration = instance.configuration;
        let statuses = &configuration.statuses;
        let (media, polls) = (configuration.media_attachments, &configuration.polls);
        let is_mastodon_4 = is_mastodon_4(&instance.version, &instance.source_url);
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
            quotes: is_mastodon_4
                && instance.api_versions.mastodon.unwrap_or_default() >= QUOTES_SINCE,
            media: MediaLimits {
                max: statuses.max_media_attachments.unwrap_or(MAX_MEDIA),
                description: media.description_limit.unwrap_or(MAX_DESCRIPTION),
                image: media.image_size_limit.unwrap_or(MAX_IMAGE),
                video: media.video_size_limit.unwrap_or(MAX_VIDEO),
                types: media.supported_mime_types,
            },
            polls: PollLimits {
                options: polls.max_options.unwrap_or(MAX_OPTIONS),
                option: polls.max_characters_per_option.unwrap_or(MAX_OPTION),
                shortest: polls.min_expiration.unwrap_or(SHORTEST_POLL),
                longest: polls.max_expiration.unwrap_or(LONGEST_POLL),
            },
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
    fn only_mastodon_itself_is_taken_for_mastodon() {
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
        let server = Server::of(instance);
        assert_eq!(server.limit, Limit::Mastodon { max: 500, url: 23 });
        assert_eq!((server.media.max, server.polls.options), (4, 4));
        assert!(server.media.takes("image/png") && !server.quotes);
    }

    #[test]
    fn quotes_are_for_servers_whose_api_has_them() {
        let of = |version: u32| {
            let text = format!(
                "{{\"version\":\"4.5.0\",\"source_url\":\"https://github.com/mastodon/mastodon\",\
                 \"api_versions\":{{\"mastodon\":{version}}}}}"
            );
            Server::of(serde_json::from_str(&text).expect("reads")).quotes
        };
        assert!(of(7) && !of(6));
    }
}

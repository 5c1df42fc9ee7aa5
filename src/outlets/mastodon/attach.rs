//! What hangs on a publication, as Mastodon takes it: a warning, media, a poll, a quote.

use babelfeed_actors::domain::{Poll, Publication};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, OutletError};

use super::server::PollLimits;
use super::wire::NewPoll;
use super::{MastodonOutlet, media};
use crate::outlets::{part, words};

/// How long a poll is open whose source does not tell, in seconds.
const DAY: u64 = 24 * 3600;

/// What goes out with a part beside its text.
#[derive(Debug, Default)]
pub(super) struct Hung {
    pub(super) warning: Option<String>,
    pub(super) is_sensitive: bool,
    /// The ids of media that were handed in.
    pub(super) media: Vec<String>,
    pub(super) poll: Option<NewPoll>,
    /// The id of the status that is quoted.
    pub(super) quoted: Option<String>,
    /// What cannot be attached, as text behind the part's own.
    pub(super) appendix: String,
}

/// Prepares what goes with a part: hands media in, and puts into words what this server does not
/// take.
///
/// # Errors
/// When the server cannot take anything now.
pub(super) async fn hang(
    outlet: &MastodonOutlet,
    dispatch: &Dispatch,
) -> Result<Hung, OutletError> {
    let publication = &dispatch.publication;
    let warning = part::warning(dispatch);
    let Some(attached) = part::attached(dispatch) else {
        return Ok(Hung {
            is_sensitive: warning.is_some(),
            warning: warning.map(str::to_owned),
            ..Hung::default()
        });
    };
    let server = outlet.server().await?;
    let poll = attached
        .poll
        .as_ref()
        .and_then(|poll| new_poll(poll, server.polls));
    // A status has either a poll or media.
    let media = match &poll {
        Some(_) => media::links(&attached.media),
        None => media::attach(outlet, publication, &attached.media, &server.media).await?,
    };
    let quoted = match (&attached.quoted_as, &attached.quoted) {
        (Some(id), _) if server.quotes => Some(id.to_string()),
        (None, Some(address)) if server.quotes => outlet.own_status(address).await?,
        _ => None,
    };
    let limit = server.limit.beside(warning.unwrap_or_default());
    let mut pieces = Vec::new();
    if let (None, Some(poll)) = (&poll, &attached.poll) {
        pieces.push(words::poll(poll));
    }
    if let (None, Some(address)) = (&quoted, words::quoted(attached, publication)) {
        pieces.push(address.to_owned());
    }
    pieces.extend(media.links);
    Ok(Hung {
        warning: warning.map(str::to_owned),
        is_sensitive: attached.is_sensitive || warning.is_some(),
        media: media.ids,
        poll,
        quoted,
        appendix: appendix(part::text(dispatch)?, &pieces, limit, publication),
    })
}

/// The poll as the server takes it; none where its options are too many or too long, or say nothing
/// of their own.
fn new_poll(poll: &Poll, limits: PollLimits) -> Option<NewPoll> {
    let is_short = |option: &String| option.chars().count() <= limits.option;
    let is_possible = (2..=limits.options).contains(&poll.options.len())
        && poll.options.iter().all(is_short)
        && words::are_choices(&poll.options);
    let lasts = poll.lasts.map_or(DAY, |lasts| lasts.as_secs());
    is_possible.then(|| NewPoll {
        options: poll.options.clone(),
        expires_in: lasts.clamp(limits.shortest, limits.longest.max(limits.shortest)),
        multiple: poll.is_multiple,
    })
}

/// As many of the pieces as fit behind the text of a part, each a paragraph.
fn appendix(text: &str, pieces: &[String], limit: Limit, publication: &Publication) -> String {
    words::with_pieces(text, pieces, limit, publication).split_off(text.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: PollLimits = PollLimits {
        options: 4,
        option: 10,
        shortest: 300,
        longest: 1_000_000,
    };

    fn poll(options: &[&str], lasts: Option<Duration>) -> Poll {
        Poll {
            options: options.iter().map(|it| it.to_string()).collect(),
            is_multiple: true,
            lasts,
        }
    }

    #[test]
    fn a_poll_keeps_to_the_limits_of_its_server() {
        let short = new_poll(&poll(&["sí", "no"], Some(Duration::from_secs(5))), LIMITS);
        let expected = NewPoll {
            options: vec!["sí".into(), "no".into()],
            expires_in: 300,
            multiple: true,
        };
        assert_eq!(short, Some(expected));
        let open = new_poll(&poll(&["sí", "no"], None), LIMITS);
        assert_eq!(open.map(|it| it.expires_in), Some(DAY));
        for options in [
            &["a", "b", "c", "d", "e"][..],
            &["solo"],
            &["demasiado larga", "no"],
            &["sí", " sí", "no"],
            &["sí", " "],
        ] {
            assert_eq!(new_poll(&poll(options, None), LIMITS), None, "{options:?}");
        }
    }
}

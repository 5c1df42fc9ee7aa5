//! What goes over the wire to X, and what comes back.

use babelfeed_actors::domain::{Attached, Poll};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, Frozen, OutletError};
use serde::{Deserialize, Serialize};

use crate::outlets::{part, words};

/// What becomes of the posts that are quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotes {
    /// Nothing: X lets only some accounts quote, and charges for addresses.
    #[default]
    Never,
    /// Their addresses stand behind the text.
    Linked,
    /// Those that we published are shown as quoted, the addresses of others stand behind the text.
    Shown,
}

/// The most choices of a poll.
const MAX_OPTIONS: usize = 4;
/// The most characters of a choice.
const MAX_OPTION: usize = 25;
/// How long a poll may be open, in minutes.
const POLL_MINUTES: (u64, u64) = (5, 10_080);
/// How long one is open that does not say it, in minutes.
const POLL_DAY: u64 = 1_440;

/// A post as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewPost {
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<ReplyTo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media: Option<MediaIds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<NewPoll>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quote_tweet_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReplyTo {
    pub(super) in_reply_to_tweet_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MediaIds {
    pub(super) media_ids: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewPoll {
    options: Vec<String>,
    duration_minutes: u64,
}

/// What most answers are wrapped in.
#[derive(Debug, Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// A post that is out.
#[derive(Debug, Deserialize)]
pub(super) struct Posted {
    pub(super) id: String,
}

/// An account.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
}

/// The text of a part, with what stands behind it.
pub(super) struct Text {
    pub(super) whole: String,
    /// What has no room there.
    pub(super) left_out: Vec<String>,
}

/// The exact body of a part.
pub(super) fn freeze(
    dispatch: Dispatch,
    text: String,
    media: Vec<String>,
    quotes: Quotes,
    mark: u64,
) -> Result<Frozen, OutletError> {
    let post = NewPost {
        text,
        quote_tweet_id: quoted(&dispatch, quotes).map(str::to_owned),
        reply: part::parent(&dispatch)?.map(|id| ReplyTo {
            in_reply_to_tweet_id: id.to_owned(),
        }),
        poll: poll(&dispatch),
        media: (!media.is_empty()).then_some(MediaIds { media_ids: media }),
    };
    Ok(Frozen {
        bytes: part::json(&post)?.into(),
        key: part::key(&dispatch).into(),
        dispatch,
        mark,
    })
}

/// Whether a part can be frozen, whatever becomes of its media.
///
/// # Errors
/// When it cannot.
pub(super) fn check(dispatch: &Dispatch, limit: Limit) -> Result<(), OutletError> {
    below_warning(dispatch, limit)?;
    part::parent(dispatch)?;
    Ok(())
}

/// The text of a part as it is posted: behind the first one's stand the choices of a poll that is
/// none of X's, the address of what is quoted where that is wanted, and the addresses of media that
/// do not go up, as far as there is room.
pub(super) fn text(
    dispatch: &Dispatch,
    limit: Limit,
    quotes: Quotes,
    media: Vec<String>,
) -> Result<Text, OutletError> {
    let text = below_warning(dispatch, limit)?;
    let publication = &dispatch.publication;
    let Some(attached) = part::attached(dispatch) else {
        return Ok(Text {
            whole: text,
            left_out: Vec::new(),
        });
    };
    let untaken = attached.poll.as_ref().filter(|poll| !takes(poll, attached));
    let mut pieces: Vec<String> = untaken.map(words::poll).into_iter().collect();
    if quotes != Quotes::Never && quoted(dispatch, quotes).is_none() {
        pieces.extend(words::quoted(attached, publication).map(str::to_owned));
    }
    pieces.extend(media);
    let (whole, left_out) = words::joined(&text, pieces, limit);
    Ok(Text { whole, left_out })
}

/// The id of the post that a part shows as quoted.
fn quoted(dispatch: &Dispatch, quotes: Quotes) -> Option<&str> {
    let attached = part::attached(dispatch).filter(|_| quotes == Quotes::Shown)?;
    attached.quoted_as.as_deref()
}

/// The text of a part below its warning, which is cut to the room that is left, since X has no
/// other place for it.
fn below_warning(dispatch: &Dispatch, limit: Limit) -> Result<String, OutletError> {
    let text = part::text(dispatch)?;
    let Some(warning) = part::warning(dispatch) else {
        return Ok(text.to_owned());
    };
    words::below_warning(warning, text, |warning| warning, |text| limit.fits(text))
        .ok_or_else(|| part::rejected("the text leaves no room for its warning".to_owned()))
}

/// The poll of a first part, its choices cut to what X takes.
fn poll(dispatch: &Dispatch) -> Option<NewPoll> {
    let attached = part::attached(dispatch)?;
    let poll = attached
        .poll
        .as_ref()
        .filter(|poll| takes(poll, attached))?;
    Some(NewPoll {
        options: options(poll),
        duration_minutes: minutes(poll),
    })
}

/// Whether X has such polls: of few choices of which one is made, all different once they are cut,
/// and without media.
fn takes(poll: &Poll, attached: &Attached) -> bool {
    let is_short = (2..=MAX_OPTIONS).contains(&poll.options.len());
    is_short && !poll.is_multiple && attached.media.is_empty() && words::are_choices(&options(poll))
}

/// The choices of a poll, cut to what X takes.
fn options(poll: &Poll) -> Vec<String> {
    let cut = |option: &String| words::shortened(option, MAX_OPTION);
    poll.options.iter().map(cut).collect()
}

fn minutes(poll: &Poll) -> u64 {
    let (least, most) = POLL_MINUTES;
    let told = poll.lasts.map(|lasts| lasts.as_secs().div_ceil(60));
    told.unwrap_or(POLL_DAY).clamp(least, most)
}

//! What goes over the wire to a webhook of Discord, and what comes back.

use babelfeed_actors::domain::Media;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::markdown::escaped;
use babelfeed_actors::ports::{Dispatch, OutletError};
use serde::{Deserialize, Serialize};

use crate::outlets::fallback::Fallback;
use crate::outlets::part;
use crate::outlets::words::{self, Look};

/// The most embeds of a message.
const MAX_EMBEDS: usize = 10;
/// The most characters of a description under a picture: all embeds of a message share 6,000.
const MAX_DESCRIPTION: usize = 500;

/// A message as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) content: String,
    /// Sent empty as well: a change can also take pictures away.
    #[serde(default)]
    pub(super) embeds: Vec<Embed>,
    pub(super) allowed_mentions: AllowedMentions,
}

/// Whom a message alerts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct AllowedMentions {
    /// Empty: nobody.
    pub(super) parse: Vec<String>,
}

/// A picture below the text, with what it shows in words.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Embed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) image: Image,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) url: String,
}

/// A message as it stands.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) channel_id: Option<String>,
}

/// A webhook.
#[derive(Debug, Deserialize)]
pub(super) struct Webhook {
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) guild_id: Option<String>,
}

/// A refusal.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) code: u32,
    /// In seconds.
    pub(super) retry_after: Option<f64>,
}

/// The message of a part.
pub(super) fn post(dispatch: &Dispatch) -> Result<Fallback<Message>, OutletError> {
    let text = escaped(part::text(dispatch)?);
    let warning = part::warning(dispatch);
    let publication = &dispatch.publication;
    let content = |pieces: &[String]| {
        let whole = words::with_pieces(&text, pieces, Limit::DISCORD, publication);
        match warning {
            Some(warning) => hidden(&escaped(warning), &whole),
            None => whole,
        }
    };
    let Some(attached) = part::attached(dispatch) else {
        return Ok(Fallback::none(message(content(&[]), Vec::new())));
    };
    let is_hidden = attached.is_sensitive || warning.is_some();
    // An embed cannot be hidden, so what is sensitive becomes a link that is.
    let can_embed = |it: &Media| !is_hidden && words::look(it) == Look::Picture;
    let (embedded, rest) = words::divided(&attached.media, MAX_EMBEDS, can_embed);
    let link = |it: &Media| match is_hidden && warning.is_none() {
        true => format!("||{}||", it.url),
        false => it.url.clone(),
    };
    let poll = attached.poll.as_ref().map(words::poll);
    let mut pieces: Vec<String> = poll.iter().map(|poll| escaped(poll)).collect();
    pieces.extend(words::quoted(attached, publication).map(str::to_owned));
    pieces.extend(rest.into_iter().map(link));
    let otherwise = (!embedded.is_empty()).then(|| {
        let links = embedded.iter().map(|it| it.url.clone());
        let pieces: Vec<String> = pieces.iter().cloned().chain(links).collect();
        message(content(&pieces), Vec::new())
    });
    let embeds = embedded.iter().map(|it| embed(it)).collect();
    Ok(Fallback {
        message: message(content(&pieces), embeds),
        otherwise,
    })
}

fn message(content: String, embeds: Vec<Embed>) -> Message {
    Message {
        content,
        embeds,
        allowed_mentions: AllowedMentions::default(),
    }
}

fn embed(media: &Media) -> Embed {
    Embed {
        description: words::alt(media).map(|alt| words::shortened(alt, MAX_DESCRIPTION)),
        image: Image {
            url: media.url.clone(),
        },
    }
}

/// The text behind its warning, hidden until it is asked for; in the open where the signs of
/// hiding have no room, or stand in the text already.
fn hidden(warning: &str, text: &str) -> String {
    let max = Limit::DISCORD.max().unwrap_or_default();
    let n_text = text.chars().count();
    if text.is_empty() {
        return words::shortened(warning, max);
    }
    let (n_signs, text) = match text.contains("||") || n_text + 4 > max {
        true => (0, text.to_owned()),
        false => (4, format!("||{text}||")),
    };
    let room = max.saturating_sub(n_text + n_signs + 2);
    match words::shortened(warning, room) {
        none if none.is_empty() => text,
        warning => format!("{warning}\n\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_stands_before_what_it_hides_and_never_makes_it_too_long() {
        assert_eq!(hidden("Ojo", "hola"), "Ojo\n\n||hola||");
        assert_eq!(hidden("Ojo", "a||b"), "Ojo\n\na||b");
        for n_text in [1_980, 1_995, 1_996, 1_997, 2_000] {
            let shown = hidden("Cuidado con esto", &"x".repeat(n_text));
            assert!(shown.chars().count() <= 2_000, "{n_text}");
        }
    }
}

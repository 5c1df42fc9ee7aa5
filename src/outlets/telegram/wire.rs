//! What goes over the wire to Telegram's Bot API, and what comes back.

use babelfeed_actors::domain::Media;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, OutletError};
use serde::{Deserialize, Serialize};

use super::TelegramConfig;
use crate::outlets::fallback::Fallback;
use crate::outlets::part;
use crate::outlets::words::{self, Look};

/// The most media of one message.
const MAX_MEDIA: usize = 10;
/// What a picture is among several media.
const PHOTO: &str = "photo";

/// One call of a method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) body: Body,
}

/// The methods that send something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "sendMessage")]
    Text,
    #[serde(rename = "sendPhoto")]
    Photo,
    #[serde(rename = "sendVideo")]
    Video,
    #[serde(rename = "sendMediaGroup")]
    Group,
}

impl Method {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "sendMessage",
            Self::Photo => "sendPhoto",
            Self::Video => "sendVideo",
            Self::Group => "sendMediaGroup",
        }
    }
}

/// How a message looks, which a change of its text does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appearance {
    /// Media with a caption.
    Media,
    /// A text below a picture, which is the preview of a link.
    Pictured,
    /// A text.
    Text,
}

impl Appearance {
    /// How what is sent by that call looks.
    pub(super) fn of(call: &Call) -> Self {
        let preview = call.body.link_preview_options.as_ref();
        match call.method {
            Method::Photo | Method::Video | Method::Group => Self::Media,
            Method::Text if preview.is_some_and(|it| it.url.is_some()) => Self::Pictured,
            Method::Text => Self::Text,
        }
    }

    /// What ids begin with.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Media => "media:",
            Self::Pictured => "pictured:",
            Self::Text => "",
        }
    }
}

/// The parameters of a method.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chat_id: Option<Chat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_thread_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) entities: Vec<Entity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link_preview_options: Option<Preview>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) photo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) video: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) media: Vec<Medium>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caption: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) caption_entities: Vec<Entity>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_spoiler: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_parameters: Option<Reply>,
    /// Of what is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<i64>,
}

/// A chat: its number, or the public name of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Chat {
    Number(i64),
    Name(String),
}

impl Chat {
    /// The chat as the settings write it.
    pub(super) fn of(written: &str) -> Self {
        match written.parse() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Name(written.to_owned()),
        }
    }
}

/// A piece of a text that is shown in a way of its own, in code units of UTF-16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entity {
    pub(super) r#type: String,
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// What is shown of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Preview {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) prefer_large_media: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) show_above_text: bool,
}

impl Preview {
    /// A picture above the text.
    fn above(url: &str) -> Self {
        Self {
            url: Some(url.to_owned()),
            prefer_large_media: true,
            show_above_text: true,
            ..Self::default()
        }
    }
}

/// One of several media.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Medium {
    pub(super) r#type: String,
    pub(super) media: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caption: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) caption_entities: Vec<Entity>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_spoiler: bool,
}

/// What a message answers. Where that is gone, it goes out by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) message_id: i64,
    pub(super) allow_sending_without_reply: bool,
}

/// An answer, whatever was called.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Answer<T> {
    #[serde(default)]
    pub(super) ok: bool,
    pub(super) result: Option<T>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

/// What a refusal says beside its words.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    pub(super) retry_after: Option<u64>,
    pub(super) migrate_to_chat_id: Option<i64>,
}

/// What was sent.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Sent {
    One(SentMessage),
    Several(Vec<SentMessage>),
}

/// A message as it stands.
#[derive(Debug, Deserialize)]
pub(super) struct SentMessage {
    pub(super) message_id: i64,
    pub(super) chat: SentChat,
}

/// The chat in which it stands.
#[derive(Debug, Deserialize)]
pub(super) struct SentChat {
    pub(super) id: i64,
    pub(super) username: Option<String>,
    pub(super) title: Option<String>,
}

/// A bot.
#[derive(Debug, Deserialize)]
pub(super) struct Bot {
    #[serde(default)]
    pub(super) username: String,
}

/// The calls that publish a part in that chat.
pub(super) fn message(
    dispatch: &Dispatch,
    chat: &Chat,
    config: &TelegramConfig,
) -> Result<Fallback<Call>, OutletError> {
    let text = part::text(dispatch)?;
    let base = Body {
        chat_id: Some(chat.clone()),
        message_thread_id: config.topic,
        reply_parameters: part::parent(dispatch)?.and_then(|id| reply(id, chat)),
        ..Body::default()
    };
    let preview = (!config.preview).then(|| Preview {
        is_disabled: true,
        ..Preview::default()
    });
    let warning = part::warning(dispatch);
    let publication = &dispatch.publication;
    let shown = |pieces: &[String]| {
        let whole = words::with_pieces(text, pieces, Limit::TELEGRAM, publication);
        Shown::of(whole, warning)
    };
    let Some(attached) = part::attached(dispatch) else {
        return Ok(Fallback::none(in_text(base, shown(&[]), preview)));
    };
    let is_hidden = attached.is_sensitive || warning.is_some();
    let can_show = |it: &Media| words::look(it) != Look::Other;
    let (media, rest) = words::divided(&attached.media, MAX_MEDIA, can_show);
    let mut pieces = words::pieces(attached, publication);
    pieces.extend(rest.into_iter().map(|it| it.url.clone()));
    if media.is_empty() {
        return Ok(Fallback::none(in_text(base, shown(&pieces), preview)));
    }
    let links = media.iter().map(|it| it.url.clone());
    let with_links: Vec<String> = pieces.iter().cloned().chain(links).collect();
    let linked = in_text(base.clone(), shown(&with_links), preview);
    let caption = shown(&pieces);
    if caption.units() > Limit::TELEGRAM_CAPTION.max().unwrap_or_default() {
        // Too long for a caption: the first picture is shown above the text, as a preview.
        let first = media[0];
        if is_hidden || words::look(first) != Look::Picture {
            return Ok(Fallback::none(linked));
        }
        let more = media[1..].iter().map(|it| it.url.clone());
        let pieces: Vec<String> = pieces.into_iter().chain(more).collect();
        let preview = Preview::above(&first.url);
        return Ok(Fallback {
            message: in_text(base, shown(&pieces), Some(preview)),
            otherwise: Some(linked),
        });
    }
    Ok(Fallback {
        message: in_caption(base, &media, caption, is_hidden),
        otherwise: Some(linked),
    })
}

/// The call of a post whose message looks so already, as near as it can be had.
pub(super) fn looking(post: &Fallback<Call>, look: Appearance) -> Call {
    let linked = post.otherwise.as_ref().unwrap_or(&post.message);
    match (look, Appearance::of(&post.message)) {
        (Appearance::Pictured, Appearance::Media) => {
            pictured(&post.message).unwrap_or_else(|| linked.clone())
        }
        (Appearance::Text, Appearance::Media) => linked.clone(),
        _ => post.message.clone(),
    }
}

/// Media with a caption as a text below the first of them, if that is a picture; the others as
/// links.
fn pictured(call: &Call) -> Option<Call> {
    let body = &call.body;
    let first = body.media.first();
    let picture = body.photo.as_ref().or_else(|| {
        let picture = first.filter(|it| it.r#type == PHOTO);
        picture.map(|it| &it.media)
    })?;
    let caption = first.map_or(&body.caption, |it| &it.caption);
    let entities = first.map_or(&body.caption_entities, |it| &it.caption_entities);
    let is_hidden = body.has_spoiler || first.is_some_and(|it| it.has_spoiler);
    let text = caption.clone().filter(|_| !is_hidden)?;
    let links = body.media.iter().skip(1).map(|it| it.media.as_str());
    let paragraphs: Vec<&str> = std::iter::once(text.as_str()).chain(links).collect();
    let shown = Shown {
        text: paragraphs.join("\n\n"),
        entities: entities.clone(),
    };
    let base = Body {
        chat_id: body.chat_id.clone(),
        ..Body::default()
    };
    let fits = shown.units() <= Limit::TELEGRAM.max().unwrap_or_default();
    fits.then(|| in_text(base, shown, Some(Preview::above(picture))))
}

fn in_text(base: Body, shown: Shown, preview: Option<Preview>) -> Call {
    Call {
        method: Method::Text,
        body: Body {
            text: Some(shown.text),
            entities: shown.entities,
            link_preview_options: preview,
            ..base
        },
    }
}

fn in_caption(base: Body, media: &[&Media], shown: Shown, has_spoiler: bool) -> Call {
    let caption = Some(shown.text).filter(|it| !it.is_empty());
    if let [one] = media {
        let url = Some(one.url.clone());
        let (method, photo, video) = match words::look(one) {
            Look::Film => (Method::Video, None, url),
            _ => (Method::Photo, url, None),
        };
        let body = Body {
            photo,
            video,
            caption,
            caption_entities: shown.entities,
            has_spoiler,
            ..base
        };
        return Call { method, body };
    }
    let mut media: Vec<Medium> = media
        .iter()
        .map(|it| Medium {
            r#type: match words::look(it) {
                Look::Film => "video".to_owned(),
                _ => PHOTO.to_owned(),
            },
            media: it.url.clone(),
            caption: None,
            caption_entities: Vec::new(),
            has_spoiler,
        })
        .collect();
    // The caption of the first is shown as that of all.
    media[0].caption = caption;
    media[0].caption_entities = shown.entities;
    Call {
        method: Method::Group,
        body: Body { media, ..base },
    }
}

/// A text with what is hidden in it.
struct Shown {
    text: String,
    entities: Vec<Entity>,
}

impl Shown {
    fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            entities: Vec::new(),
        }
    }

    /// The text behind its warning, hidden until it is asked for.
    fn of(text: String, warning: Option<&str>) -> Self {
        let Some(warning) = warning.filter(|_| !text.is_empty()) else {
            return Self::plain(warning.filter(|_| text.is_empty()).unwrap_or(&text));
        };
        let max = Limit::TELEGRAM.max().unwrap_or_default();
        // Half of it, because a code point may be two code units.
        let room = max.saturating_sub(units(&text) + 2);
        let fits = units(warning) <= room;
        let warning = match fits {
            true => warning.to_owned(),
            false => words::shortened(warning, room / 2),
        };
        let head = match warning.is_empty() {
            true => String::new(),
            false => format!("{warning}\n\n"),
        };
        let hidden = Entity {
            r#type: "spoiler".to_owned(),
            offset: units(&head),
            length: units(&text),
        };
        Self {
            text: format!("{head}{text}"),
            entities: vec![hidden],
        }
    }

    fn units(&self) -> usize {
        units(&self.text)
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What answers the message with that id in that chat; of several that are one publication the
/// first.
fn reply(id: &str, chat: &Chat) -> Option<Reply> {
    let Known {
        chat: its, numbers, ..
    } = known(id);
    let message_id = *numbers.first()?;
    if let (Some(its), Chat::Number(here)) = (its, chat)
        && its != *here
    {
        return None;
    }
    Some(Reply {
        message_id,
        allow_sending_without_reply: true,
    })
}

/// What a published id tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// How it looks.
    pub(super) look: Appearance,
    /// The chat in which it stands; none where that was not kept.
    pub(super) chat: Option<i64>,
    /// The numbers of its messages there.
    pub(super) numbers: Vec<i64>,
}

/// What a published id tells.
pub(super) fn known(id: &str) -> Known {
    let looks = [Appearance::Media, Appearance::Pictured];
    let known = looks
        .into_iter()
        .find_map(|look| Some((look, id.strip_prefix(look.prefix())?)));
    let (look, place) = known.unwrap_or((Appearance::Text, id));
    let (chat, numbers) = match place.split_once('/') {
        Some((chat, numbers)) => (chat.parse().ok(), numbers),
        None => (None, place),
    };
    let numbers = numbers.split(',').filter_map(|it| it.parse().ok());
    Known {
        look,
        chat,
        numbers: numbers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_hides_the_text_behind_it_in_code_units() {
        let shown = Shown::of("hola 😀".to_owned(), Some("¡Ojo 😀!"));
        assert_eq!(shown.text, "¡Ojo 😀!\n\nhola 😀");
        assert_eq!(
            (shown.entities[0].offset, shown.entities[0].length),
            (10, 7)
        );
    }

    #[test]
    fn a_warning_never_makes_a_message_too_long() {
        let shown = Shown::of("x".repeat(4_090), Some(&"😀".repeat(100)));
        assert!(shown.units() <= 4_096, "{}", shown.units());
        assert_eq!(shown.entities[0].length, 4_090);
    }

    #[test]
    fn ids_tell_how_a_message_looks() {
        let tells = |id: &str| {
            let known = known(id);
            (known.look, known.chat, known.numbers)
        };
        assert_eq!(tells("42"), (Appearance::Text, None, vec![42]));
        assert_eq!(tells("pictured:42"), (Appearance::Pictured, None, vec![42]));
        let media = (Appearance::Media, Some(-7), vec![42, 43]);
        assert_eq!(tells("media:-7/42,43"), media);
    }

    #[test]
    fn what_stands_in_another_chat_is_not_answered() {
        let chats = [Chat::Number(-7), Chat::Name("@news".to_owned())];
        for chat in &chats {
            let to = |id: &str| reply(id, chat).map(|it| it.message_id);
            assert_eq!(to("pictured:42"), Some(42));
            assert_eq!(to("media:-7/42,43"), Some(42));
            assert_eq!(to("what"), None);
        }
        assert_eq!(reply("-8/42", &chats[0]), None);
    }
}

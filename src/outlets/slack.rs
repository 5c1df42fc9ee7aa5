//! An incoming webhook of a channel on Slack as an outlet.
//!
//! It answers `ok` and no id, so nothing can be changed, taken back or read back, and a message
//! goes out at most once: what may be out stays Unknown.

use std::time::Duration;

use anyhow::Context as _;
use babelfeed_actors::domain::Media;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::exchange::{self, Exchange};
use super::fallback::Fallback;
use super::ledger::Ledger;
use super::part;
use super::words::{self, Look};
use crate::http::{HttpConfig, Uri};
use crate::secret::Secret;

/// The most of a text; Slack cuts none that is shorter.
const LIMIT: Limit = Limit::SLACK;
/// The most characters of a section, as they are sent.
const MAX_SECTION: usize = 3_000;
/// The most characters of the description of a picture.
const MAX_ALT: usize = 2_000;
/// The most pictures of a message, which has at most 50 blocks.
const MAX_PICTURES: usize = 10;

/// What a Slack outlet is told.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    /// The webhook's address, which is its credential.
    pub url: Secret,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// An outlet that posts by a webhook; bound to its arbiter, like the client it holds.
pub struct SlackOutlet {
    exchange: Exchange,
    ledger: Ledger,
    url: Uri,
}

/// A message as it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    text: String,
    /// False: signs in the text stay signs.
    mrkdwn: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block {
    Section { text: Plain },
    Image { image_url: String, alt_text: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "plain_text")]
struct Plain {
    text: String,
    emoji: bool,
}

impl SlackOutlet {
    /// An outlet by that webhook; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the address cannot be one.
    pub fn new(config: &SlackConfig) -> anyhow::Result<Self> {
        // Without a cause, which could show the address.
        let (url, secrets) = exchange::webhook(&config.url)
            .and_then(|(url, secrets)| Some((url.as_str().parse().ok()?, secrets)))
            .context("expected a webhook's address like `https://hooks.slack.com/services/…`")?;
        Ok(Self {
            exchange: Exchange::new(&config.http, config.timeout, secrets),
            ledger: Ledger::default(),
            url,
        })
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let post: Fallback<Message> = part::thawed(part)?;
        let send = async |message: &Message| self.publish_message(message).await;
        post.send(part, send).await?;
        Ok(Published {
            id: part.key.clone(),
            url: None,
        })
    }

    async fn publish_message(&self, message: &Message) -> Result<(), OutletError> {
        let body = part::json(message)?.into();
        let headers = [("content-type", "application/json")];
        let answer = self.exchange.publish(&self.url, &headers, body).await?;
        let said = self.exchange.said(&answer, None);
        match answer.status {
            200..=299 if answer.body.trim_ascii() == b"ok" => Ok(()),
            200..=299 => Err(OutletError::Ambiguous {
                detail: format!("wanted `ok`, got {said}"),
            }),
            _ => Err(exchange::by_status(&answer, said)),
        }
    }
}

/// The message of a part.
fn post(dispatch: &Dispatch) -> Result<Fallback<Message>, OutletError> {
    let text = part::text(dispatch)?;
    let warning = part::warning(dispatch);
    let publication = &dispatch.publication;
    let whole = |pieces: &[String]| {
        let text = words::with_pieces(text, pieces, LIMIT, publication);
        let n_text = text.chars().count();
        let room = LIMIT.max().unwrap_or_default().saturating_sub(n_text + 2);
        match warning.map(|warning| words::shortened(warning, room)) {
            Some(warning) if !warning.is_empty() => format!("{warning}\n\n{text}"),
            _ => text,
        }
    };
    let Some(attached) = part::attached(dispatch) else {
        return Ok(Fallback::none(message(&whole(&[]), &[])));
    };
    // A picture cannot be hidden, so what is sensitive becomes a link.
    let is_hidden = attached.is_sensitive || warning.is_some();
    let can_show = |it: &Media| !is_hidden && words::look(it) == Look::Picture;
    let (shown, rest) = words::divided(&attached.media, MAX_PICTURES, can_show);
    let mut pieces = words::pieces(attached, publication);
    pieces.extend(rest.into_iter().map(|it| it.url.clone()));
    let otherwise = (!shown.is_empty()).then(|| {
        let links = shown.iter().map(|it| it.url.clone());
        let pieces: Vec<String> = pieces.iter().cloned().chain(links).collect();
        message(&whole(&pieces), &[])
    });
    Ok(Fallback {
        message: message(&whole(&pieces), &shown),
        otherwise,
    })
}

fn message(text: &str, pictures: &[&Media]) -> Message {
    let mut blocks = Vec::new();
    if !pictures.is_empty() {
        let sections = sections(text).into_iter();
        blocks.extend(sections.map(|text| Block::Section {
            text: Plain { text, emoji: false },
        }));
        blocks.extend(pictures.iter().map(|it| Block::Image {
            image_url: it.url.clone(),
            alt_text: words::shortened(words::alt(it).unwrap_or("…"), MAX_ALT),
        }));
    }
    // Below blocks it is shown in notifications alone, and Slack takes no message without one.
    let first = pictures.first().filter(|_| text.is_empty());
    let notified = first.map_or(text, |it| words::alt(it).unwrap_or(&it.url));
    Message {
        text: escaped(notified),
        mrkdwn: false,
        blocks,
    }
}

/// The text as sections that Slack takes, escaped, split behind a space where there is one.
fn sections(text: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let mut n_chars = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let word = escaped(word);
        let n_word = word.chars().count();
        if n_chars + n_word > MAX_SECTION {
            sections.push(String::new());
            n_chars = 0;
        }
        // One word of more than a section is left to Slack, which then gets the links.
        n_chars += n_word;
        if let Some(last) = sections.last_mut() {
            last.push_str(&word);
        }
    }
    sections.retain(|section| !section.trim().is_empty());
    sections
}

/// A text in which nothing is taken for Slack's own signs.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Outlet for SlackOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            media: true,
            ..Abilities::default()
        }
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn known_limit(&self) -> Option<Limit> {
        Some(LIMIT)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(LIMIT) }.boxed_local()
    }

    fn probe(&self) -> LocalBoxFuture<'_, Result<Option<String>, OutletError>> {
        let note = "or not: Slack's webhooks cannot be tried without publishing";
        async { Ok(Some(note.to_owned())) }.boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let freeze = |dispatch: Dispatch| {
            let post = post(&dispatch)?;
            self.ledger.freeze(dispatch, &post)
        };
        let frozen = dispatches.into_iter().map(freeze).collect();
        async { frozen }.boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let send = async |part: &Frozen| self.send(part).await;
        self.ledger.send(parts, send).boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        async { self.ledger.read_back(part) }.boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_slack_are_escaped() {
        assert_eq!(escaped("<!channel> & co"), "&lt;!channel&gt; &amp; co");
    }

    #[test]
    fn a_picture_with_neither_text_nor_words_is_notified_of_by_its_address() {
        let picture = Media {
            url: "https://example.org/1.png".to_owned(),
            mime: None,
            alt: Some(" ".to_owned()),
        };
        assert_eq!(message("", &[&picture]).text, picture.url);
    }

    #[test]
    fn a_long_text_becomes_sections_that_hold_all_of_it() {
        let text = "uno & dos ".repeat(390);
        let sections = sections(&text);
        assert!(sections.len() > 1);
        assert!(sections.iter().all(|it| it.chars().count() <= MAX_SECTION));
        assert_eq!(sections.concat(), escaped(&text));
    }
}

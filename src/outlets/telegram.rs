//! A chat on Telegram as an outlet: a bot posts to a channel or a group.
//!
//! The API is that of <https://core.telegram.org/bots/api>. It has no idempotency key, and a bot
//! cannot read a chat back, so a message goes out at most once: what may be out stays Unknown.
//! Descriptions of media have no place there and are left out.

mod answer;
mod wire;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use log::warn;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::exchange::{self, Exchange};
use super::fallback::Fallback;
use super::ledger::Ledger;
use super::part;
use crate::http::{HttpConfig, Method, Uri};
use crate::secret::Secret;
use answer::Failure;
use wire::{Body, Chat, Known};

/// How long after a group has moved its messages go to the new number.
const SOON: Duration = Duration::from_millis(100);

/// What a Telegram outlet is told.
#[derive(Clone, Debug)]
pub struct TelegramConfig {
    /// The server, like `https://api.telegram.org`.
    pub base_url: Uri,
    /// The bot's token.
    pub token: Secret,
    /// The chat: `@channel`, or its number.
    pub chat: String,
    /// The topic of a group that has some.
    pub topic: Option<u32>,
    /// Whether links show what they lead to.
    pub preview: bool,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// An outlet that posts to a chat; bound to its arbiter, like the client it holds.
pub struct TelegramOutlet {
    config: TelegramConfig,
    exchange: Exchange,
    ledger: Ledger,
    /// Where messages go: the chat of the settings, until its group gets another number.
    chat: RefCell<Chat>,
}

impl TelegramOutlet {
    /// An outlet to that chat; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the base address cannot be one, or the token stands in none.
    pub fn new(config: TelegramConfig) -> anyhow::Result<Self> {
        let secrets = vec![config.token.clone()];
        let outlet = Self {
            exchange: Exchange::new(&config.http, config.timeout, secrets),
            ledger: Ledger::default(),
            chat: RefCell::new(Chat::of(&config.chat)),
            config,
        };
        outlet
            .address("getMe")
            .context("base address and token make no address, expected `https://api.telegram.org` and a token of a bot")?;
        Ok(outlet)
    }

    fn address(&self, method: &str) -> Option<Uri> {
        let base = self.config.base_url.to_string();
        let (base, token) = (base.trim_end_matches('/'), self.config.token.expose());
        format!("{base}/bot{token}/{method}").parse().ok()
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let post: Fallback<wire::Call> = part::thawed(part)?;
        let send = async |call: &wire::Call| self.publish_call(call).await;
        post.send(part, send).await
    }

    async fn publish_call(&self, call: &wire::Call) -> Result<Published, OutletError> {
        let look = wire::Appearance::of(call);
        let url = self.url(call.method.name())?;
        let body = part::json(&call.body)?.into();
        let answer = self.exchange.publish(&url, &JSON, body).await?;
        let sent = answer::of(&answer, &self.exchange).map_err(|failure| self.heed(failure))?;
        answer::published(sent, look).ok_or_else(|| OutletError::Ambiguous {
            detail: "wanted the messages that were sent, got none".to_owned(),
        })
    }

    async fn change(&self, part: &Frozen, published: &Published) -> Result<Published, OutletError> {
        let post: Fallback<wire::Call> = part::thawed(part)?;
        let known = wire::known(&published.id);
        let look = known.look;
        let is_media = look == wire::Appearance::Media;
        let mut body = wire::looking(&post, look).body;
        if let Some(first) = body.media.first_mut() {
            body.caption = first.caption.take();
            body.caption_entities = std::mem::take(&mut first.caption_entities);
        }
        let changed = Body {
            message_id: known.numbers.first().copied(),
            ..self.in_chat_of(&known)?
        };
        let (method, changed) = match (is_media, body.text) {
            (false, Some(text)) => {
                let changed = Body {
                    text: Some(text),
                    entities: body.entities,
                    link_preview_options: body.link_preview_options,
                    ..changed
                };
                ("editMessageText", changed)
            }
            (true, None) => {
                let changed = Body {
                    caption: body.caption,
                    caption_entities: body.caption_entities,
                    ..changed
                };
                ("editMessageCaption", changed)
            }
            _ => {
                return Err(OutletError::Rejected {
                    detail: "a message with media cannot become one without".to_owned(),
                });
            }
        };
        match self.alter::<IgnoredAny>(method, &changed).await {
            Ok(_) => Ok(published.clone()),
            Err(OutletError::Rejected { detail })
                if is_done(&detail, "message is not modified") =>
            {
                Ok(published.clone())
            }
            Err(error) => Err(error),
        }
    }

    async fn take_back(&self, published: &Published) -> Result<(), OutletError> {
        let known = wire::known(&published.id);
        let in_chat = self.in_chat_of(&known)?;
        for number in known.numbers {
            let body = Body {
                message_id: Some(number),
                ..in_chat.clone()
            };
            match self.alter::<IgnoredAny>("deleteMessage", &body).await {
                Ok(_) => (),
                Err(OutletError::Rejected { detail })
                    if is_done(&detail, "message to delete not found") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Calls what may be called twice.
    async fn alter<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &Body,
    ) -> Result<T, OutletError> {
        let url = self.url(method)?;
        let body = part::json(body)?.into();
        let answer = self.exchange.ask(Method::POST, &url, &JSON, body).await?;
        answer::of(&answer, &self.exchange)
            .map_err(|failure| exchange::repeatable(self.heed(failure)))
    }

    /// Learns from a failure where the chat is now.
    fn heed(&self, failure: Failure) -> OutletError {
        match failure {
            Failure::Other(error) => error,
            Failure::Moved(number) => {
                warn!(chat = self.config.chat.as_str(), number = number; "a group has another number now, which belongs into the settings");
                *self.chat.borrow_mut() = Chat::Number(number);
                OutletError::Busy {
                    wait: Some(SOON),
                    detail: format!(
                        "the group `{}` has become {number}, which belongs into the settings",
                        self.config.chat
                    ),
                }
            }
        }
    }

    async fn look(&self) -> Result<Option<String>, OutletError> {
        let bot: wire::Bot = self.alter("getMe", &Body::default()).await?;
        let chat: wire::SentChat = match self.alter("getChat", &self.in_chat()).await {
            // Its group may have moved, and is known by its new number now.
            Err(OutletError::Busy { .. }) => self.alter("getChat", &self.in_chat()).await?,
            answer => answer?,
        };
        let title = chat.title.unwrap_or_else(|| chat.id.to_string());
        Ok(Some(format!("@{} posts to `{title}`", bot.username)))
    }

    /// The parameters of whatever is about the chat.
    fn in_chat(&self) -> Body {
        Body {
            chat_id: Some(self.chat.borrow().clone()),
            ..Body::default()
        }
    }

    /// The parameters of whatever is about messages that were sent before. They are in the chat of
    /// that time, and their numbers mean others elsewhere.
    fn in_chat_of(&self, known: &Known) -> Result<Body, OutletError> {
        let here = self.chat.borrow().clone();
        let is_here = match (known.chat, &here) {
            (Some(chat), Chat::Number(here)) => chat == *here,
            (Some(_), Chat::Name(_)) => true,
            (None, here) => *here == Chat::of(&self.config.chat),
        };
        if !is_here {
            return Err(OutletError::Rejected {
                detail: "its messages stand in another chat".to_owned(),
            });
        }
        Ok(Body {
            chat_id: Some(known.chat.map_or(here, Chat::Number)),
            ..Body::default()
        })
    }

    fn url(&self, method: &str) -> Result<Uri, OutletError> {
        self.address(method)
            .ok_or_else(|| OutletError::Unreachable {
                detail: format!("`{method}` is no method"),
            })
    }
}

const JSON: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("accept", "application/json"),
];

/// Whether a refusal says that what was wanted is so already.
fn is_done(detail: &str, words: &str) -> bool {
    detail.to_lowercase().contains(words)
}

impl Outlet for TelegramOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            media: true,
            quotes: false,
        }
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn known_limit(&self) -> Option<Limit> {
        Some(Limit::TELEGRAM)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(Limit::TELEGRAM) }.boxed_local()
    }

    fn probe(&self) -> LocalBoxFuture<'_, Result<Option<String>, OutletError>> {
        self.look().boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let chat = self.chat.borrow().clone();
        let freeze = |dispatch: Dispatch| {
            let message = wire::message(&dispatch, &chat, &self.config)?;
            self.ledger.freeze(dispatch, &message)
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

    fn edit<'a>(
        &'a self,
        part: &'a Frozen,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<Published, OutletError>> {
        self.change(part, published).boxed_local()
    }

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        self.take_back(published).boxed_local()
    }
}

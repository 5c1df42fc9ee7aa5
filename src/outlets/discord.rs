//! A webhook of a channel on Discord as an outlet.
//!
//! The API is that of <https://discord.com/developers/docs/resources/webhook>. It has no
//! idempotency key, and a webhook cannot read its channel, so a message goes out at most once:
//! what may be out stays Unknown. Whoever makes 10,000 calls in ten minutes that are refused for
//! their credential is shut out with his address; so a webhook that is gone is called no more.

mod wire;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use actix_web::web::Bytes;
use anyhow::Context as _;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;
use url::Url;

use super::exchange::{self, Exchange};
use super::fallback::Fallback;
use super::ledger::Ledger;
use super::part;
use crate::http::{HttpConfig, Method, Response, Uri, hints};
use crate::secret::Secret;
use wire::{Message, Refusal, Sent, Webhook};

/// The code of a webhook that is not there, and of a token that is not its.
const UNKNOWN_WEBHOOK: u32 = 10_015;
const INVALID_TOKEN: u32 = 50_027;
/// The code of a message that is not there.
const UNKNOWN_MESSAGE: u32 = 10_008;
/// How long a refusal without a hint is heeded: a page before Discord says no more than 429.
const UNTOLD: Duration = Duration::from_secs(60);
/// The longest that is waited for a spent bucket before a call; the bucket is 2 s long.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How much longer than told a bucket may be spent.
const ROUNDED: Duration = Duration::from_millis(1);

/// What a Discord outlet is told.
#[derive(Clone, Debug)]
pub struct DiscordConfig {
    /// The webhook's address, which is its credential.
    pub url: Secret,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// An outlet that posts by a webhook; bound to its arbiter, like the client it holds.
pub struct DiscordOutlet {
    exchange: Exchange,
    ledger: Ledger,
    webhook: Url,
    /// Why the webhook is never called again, once it is so.
    gone: RefCell<Option<String>>,
    /// When a spent bucket is full again.
    renewed_at: Cell<Option<Instant>>,
    /// The server of the channel, once it was asked for.
    guild: RefCell<Option<String>>,
}

impl DiscordOutlet {
    /// An outlet by that webhook; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the address cannot be one.
    pub fn new(config: &DiscordConfig) -> anyhow::Result<Self> {
        // Without a cause, which could show the address.
        let (webhook, secrets) = exchange::webhook(&config.url)
            .context("expected a webhook's address like `https://discord.com/api/webhooks/…`")?;
        Ok(Self {
            exchange: Exchange::new(&config.http, config.timeout, secrets),
            ledger: Ledger::default(),
            webhook,
            gone: RefCell::new(None),
            renewed_at: Cell::new(None),
            guild: RefCell::new(None),
        })
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let post: Fallback<Message> = part::thawed(part)?;
        let send = async |message: &Message| self.publish_message(message).await;
        post.send(part, send).await
    }

    async fn publish_message(&self, message: &Message) -> Result<Published, OutletError> {
        let body = part::json(message)?.into();
        self.ready().await?;
        let url = self.address(|url| {
            url.query_pairs_mut().append_pair("wait", "true");
        })?;
        let answer = self.exchange.publish(&url, &JSON, body).await?;
        self.note_bucket(&answer);
        match answer.status {
            200 => (),
            201..=299 => {
                return Err(OutletError::Ambiguous {
                    detail: format!(
                        "wanted the message, got HTTP status {} without one",
                        answer.status
                    ),
                });
            }
            _ => return Err(self.refusal(&answer)),
        }
        match serde_json::from_slice::<Sent>(&answer.body) {
            Ok(sent) => Ok(self.published(sent)),
            Err(error) => Err(OutletError::Ambiguous {
                detail: format!("wanted a message, got what cannot be read: {error}"),
            }),
        }
    }

    fn published(&self, sent: Sent) -> Published {
        let guild = self.guild.borrow();
        let place = guild.as_ref().zip(sent.channel_id);
        let url = place.map(|(guild, channel)| {
            format!("https://discord.com/channels/{guild}/{channel}/{}", sent.id)
        });
        Published {
            id: sent.id.into(),
            url: url.map(Into::into),
        }
    }

    async fn change(&self, part: &Frozen, published: &Published) -> Result<Published, OutletError> {
        let post: Fallback<Message> = part::thawed(part)?;
        let change = async |message: &Message| {
            let body = part::json(message)?.into();
            let answer = self.alter(Method::PATCH, published, body).await?;
            self.done(&answer)
        };
        post.send(part, change).await?;
        Ok(published.clone())
    }

    async fn take_back(&self, published: &Published) -> Result<(), OutletError> {
        let answer = self.alter(Method::DELETE, published, Bytes::new()).await?;
        match is_missing(answer.status, &refusal_in(&answer)) {
            true => Ok(()),
            false => self.done(&answer),
        }
    }

    /// Asks for a message to be changed or deleted.
    async fn alter(
        &self,
        method: Method,
        published: &Published,
        body: Bytes,
    ) -> Result<Response, OutletError> {
        self.ready().await?;
        let url = self.address(|url| {
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["messages", &*published.id]);
            }
        })?;
        let answer = self.exchange.ask(method, &url, &JSON, body).await?;
        self.note_bucket(&answer);
        Ok(answer)
    }

    /// Whether something was done that may be done twice, so that a failure leaves it undone.
    fn done(&self, answer: &Response) -> Result<(), OutletError> {
        match answer.is_success() {
            true => Ok(()),
            false => Err(exchange::repeatable(self.refusal(answer))),
        }
    }

    /// Asks the webhook what it is, which also tries its token.
    async fn look(&self) -> Result<Option<String>, OutletError> {
        self.ready().await?;
        let url = self.address(|_| ())?;
        let answer = self
            .exchange
            .ask(Method::GET, &url, &JSON, Bytes::new())
            .await?;
        self.done(&answer)?;
        let webhook: Webhook =
            serde_json::from_slice(&answer.body).map_err(|error| OutletError::Unreachable {
                detail: format!("wanted a webhook, got what cannot be read: {error}"),
            })?;
        *self.guild.borrow_mut() = webhook.guild_id;
        Ok(webhook.name.map(|name| format!("posts as `{name}`")))
    }

    /// What a refusal means; a webhook that is gone is remembered as such.
    fn refusal(&self, response: &Response) -> OutletError {
        let refusal = refusal_in(response);
        let words = Some(refusal.message.as_str()).filter(|it| !it.is_empty());
        let detail = self.exchange.said(response, words);
        match (response.status, refusal.code) {
            _ if is_missing(response.status, &refusal) => OutletError::Rejected { detail },
            (401 | 404, _) | (_, UNKNOWN_WEBHOOK | INVALID_TOKEN) => {
                let detail =
                    format!("{detail}; it is called no more until the settings are read again");
                *self.gone.borrow_mut() = Some(detail.clone());
                OutletError::Auth { detail }
            }
            (429, _) => {
                let said = refusal
                    .retry_after
                    .and_then(|it| hints::seconds(&it.to_string()));
                let reset = response.header("x-ratelimit-reset-after");
                let wait = said
                    .or_else(|| reset.and_then(hints::seconds))
                    .or_else(|| hints::from_headers(response));
                OutletError::Busy {
                    wait: Some(exchange::longer(wait.unwrap_or(UNTOLD))),
                    detail,
                }
            }
            _ => exchange::by_status(response, detail),
        }
    }

    /// Waits until a spent bucket is full again.
    ///
    /// # Errors
    /// When the webhook is gone, or the wait is long.
    async fn ready(&self) -> Result<(), OutletError> {
        if let Some(detail) = self.gone.borrow().clone() {
            return Err(OutletError::Auth { detail });
        }
        let renewed_at = self.renewed_at.take();
        let wait = renewed_at.map(|at| at.saturating_duration_since(Instant::now()));
        match wait {
            Some(wait) if wait > MAX_PAUSE => {
                self.renewed_at.set(renewed_at);
                Err(OutletError::Busy {
                    wait: Some(wait),
                    detail: "the webhook's limit is used up".to_owned(),
                })
            }
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Remembers when a bucket that has just been spent is full again: a millisecond later than
    /// told, because the thousandths of a second that are told may be rounded down.
    fn note_bucket(&self, response: &Response) {
        let is_spent = response.header("x-ratelimit-remaining") == Some("0");
        let reset = response.header("x-ratelimit-reset-after");
        if let Some(wait) = reset.filter(|_| is_spent).and_then(hints::seconds) {
            self.renewed_at.set(Some(Instant::now() + wait + ROUNDED));
        }
    }

    fn address(&self, change: impl FnOnce(&mut Url)) -> Result<Uri, OutletError> {
        let mut url = self.webhook.clone();
        change(&mut url);
        url.as_str().parse().map_err(|_| OutletError::Unreachable {
            detail: "the webhook's address cannot be called".to_owned(),
        })
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// What a refusal says; nothing where it is none of Discord's.
fn refusal_in(response: &Response) -> Refusal {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// Whether what is refused is a message that is not there.
const fn is_missing(status: u16, refusal: &Refusal) -> bool {
    status == 404 && refusal.code == UNKNOWN_MESSAGE
}

impl Outlet for DiscordOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: false,
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
        Some(Limit::DISCORD_MESSAGE)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(Limit::DISCORD_MESSAGE) }.boxed_local()
    }

    fn probe(&self) -> LocalBoxFuture<'_, Result<Option<String>, OutletError>> {
        self.look().boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        async move {
            // Only the address that people read hangs on it, but a webhook that is gone is told.
            if self.guild.borrow().is_none()
                && let Err(error @ OutletError::Auth { .. }) = self.look().await
            {
                return Err(error);
            }
            let freeze = |dispatch: Dispatch| {
                let post = wire::post(&dispatch)?;
                self.ledger.freeze(dispatch, &post)
            };
            dispatches.into_iter().map(freeze).collect()
        }
        .boxed_local()
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

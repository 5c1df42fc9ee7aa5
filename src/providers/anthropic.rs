//! Anthropic's Claude, by the messages API.

mod classify;
mod limits;
mod request;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{SeenLimit, Usage};
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::Value;

use self::request::Shape;
use super::refusal::Refusal;
use super::wire::{ErrorBody, excerpt};
use super::{BaseUrlError, Deadline, endpoint, hints, post, prompt, unanswered};
use crate::http::{HttpClient, HttpConfig, Response, Uri};
use crate::secret::Secret;

/// The most texts that one call takes; none of the kind's own.
pub const MAX_ITEMS: Option<usize> = None;

/// The version of the API that is spoken, and the one before it.
const VERSION: &str = "2026-10-21";
const PREVIOUS_VERSION: &str = "2023-06-01";

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct AnthropicConfig {
    /// The address that `/v1/messages` is appended to.
    pub base_url: String,
    /// The model.
    pub model: String,
    /// The credential, where the server wants one.
    pub api_key: Option<Secret>,
    /// How the client connects.
    pub http: HttpConfig,
    /// The most tokens of an answer; none goes by the pack.
    pub max_tokens: Option<u32>,
    /// How much the model thinks before it answers, like `low`; none leaves it to the server.
    pub effort: Option<String>,
}

impl AnthropicConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str, model: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            api_key: None,
            http: HttpConfig::default(),
            max_tokens: None,
            effort: Some("low".to_owned()),
        }
    }
}

/// A model of Anthropic's.
pub struct AnthropicProvider {
    config: AnthropicConfig,
    client: HttpClient,
    url: Uri,
    model: Arc<str>,
    /// What the server turned out to take.
    shape: Cell<Shape>,
    /// What the last response with such headers said of the limits.
    seen: RefCell<Vec<SeenLimit>>,
}

impl AnthropicProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: AnthropicConfig) -> Result<Self, BaseUrlError> {
        Ok(Self {
            url: endpoint(&config.base_url, "/v1/messages")?,
            client: HttpClient::new(&config.http),
            model: config.model.as_str().into(),
            shape: Cell::new(Shape::new(&config)),
            seen: RefCell::default(),
            config,
        })
    }

    /// Calls, and calls again in a plainer shape where the server refuses the form of the call.
    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        loop {
            let shape = self.shape.get();
            let body = request::body(&self.config, shape, pack);
            let response = self.send(shape, body, deadline).await?;
            self.see(&response);
            if response.is_success() {
                return self.read(&response);
            }
            let error = classify::error_body(&response.body);
            match shape.without_what_is_refused(response.status, &error) {
                // Another call in flight may have learned as much already.
                Some(plainer) if self.shape.get() == shape => self.shape.set(plainer),
                Some(_) => {}
                None => return Err(self.error_of(&response, response.status, error)),
            }
        }
    }

    async fn send(
        &self,
        shape: Shape,
        body: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        let key = self.config.api_key.as_ref().map(Secret::expose);
        let version = if shape.is_current() {
            VERSION
        } else {
            PREVIOUS_VERSION
        };
        let headers = [
            ("content-type", "application/json"),
            ("anthropic-version", version),
            ("x-api-key", key.unwrap_or_default()),
        ];
        let n_headers = if key.is_some() { 3 } else { 2 };
        post(
            &self.client,
            &self.url,
            &headers[..n_headers],
            body,
            deadline,
        )
        .await
    }

    /// Keeps what the headers say of the limits; the latest word replaces what nobody took.
    fn see(&self, response: &Response) {
        let now = hints::server_time(response.header("date"));
        let limits = limits::seen(|name| response.header(name), now);
        if !limits.is_empty() {
            *self.seen.borrow_mut() = limits;
        }
    }

    fn error_of(&self, response: &Response, status: u16, body: ErrorBody) -> ProviderError {
        let now = hints::server_time(response.header("date"));
        let spent = || limits::until_spent_are_free(|name| response.header(name), now);
        // A gateway names in its message what Anthropic names in headers.
        let said = crate::providers::limits::in_refusal(&body.message);
        if !said.is_empty() {
            *self.seen.borrow_mut() = said;
        }
        classify::error_of(&Refusal {
            status,
            wait: hints::asked_for(response, &body.message).or_else(spent),
            body,
            secret: self.config.api_key.as_ref(),
        })
    }

    fn read(&self, response: &Response) -> Result<Answer, ProviderError> {
        let Ok(message) = serde_json::from_slice::<Message>(&response.body) else {
            return Err(self.error_inside(response));
        };
        let is_truncated = match message.stop_reason.as_deref() {
            Some("refusal") => {
                let detail = format!("the model refuses: {}", excerpt(&message.text()));
                return Err(ProviderError::Rejected { detail });
            }
            Some(reason @ ("tool_use" | "pause_turn")) => {
                return Err(unanswered(&format!(
                    "the model answered out of form: {reason}"
                )));
            }
            Some("max_tokens" | "model_context_window_exceeded") => true,
            _ => false,
        };
        let text = message.text();
        // Without a list of items nothing came back: smaller packs are easier to answer.
        let items = prompt::answer(&text).unwrap_or_else(|| prompt::whole_items(&text));
        let model = message.model.filter(|model| !model.is_empty());
        Ok(Answer {
            items,
            model: model.map_or_else(|| Arc::clone(&self.model), Arc::from),
            usage: message.usage.map(Usage::from),
            is_truncated,
            ..Answer::default()
        })
    }

    /// Servers between us and the model may answer 200 and put the error into the body.
    fn error_inside(&self, response: &Response) -> ProviderError {
        let value = serde_json::from_slice::<Value>(&response.body).ok();
        match value.as_ref().and_then(ErrorBody::inside) {
            Some(_) => {
                let error = classify::error_body(&response.body);
                let status = classify::status_of(&error.kind);
                self.error_of(response, status, error)
            }
            None => {
                let body = excerpt(&String::from_utf8_lossy(&response.body));
                unanswered(&format!("an answer that is no message: {body}"))
            }
        }
    }
}

impl Provider for AnthropicProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        Box::pin(self.call(pack, Deadline::after(timeout)))
    }

    fn take_seen(&self) -> Vec<SeenLimit> {
        self.seen.take()
    }
}

#[derive(Deserialize)]
struct Message {
    content: Vec<Block>,
    model: Option<String>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

/// A piece of what the model said; thoughts have no `text`.
#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

impl Message {
    fn text(&self) -> String {
        let blocks = self.content.iter();
        blocks.filter_map(|block| block.text.as_deref()).collect()
    }
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    /// Tokens from the cache of prompts, and into it, are not among `input_tokens`.
    fn from(tokens: Tokens) -> Self {
        let input = [
            tokens.input_tokens,
            tokens.cache_read_input_tokens,
            tokens.cache_creation_input_tokens,
        ];
        Self {
            tokens_in: input.into_iter().flatten().fold(0, u64::saturating_add),
            tokens_out: tokens.output_tokens.unwrap_or(0),
            cost_usd: 0.0,
        }
    }
}

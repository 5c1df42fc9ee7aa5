//! Chat completions as OpenAI defined them, and as Groq, Ollama, llama.cpp, vLLM and others speak them.

pub mod batch;
mod classify;
mod house;
mod request;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{SeenLimit, Usage};
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use self::house::House;
use self::request::Shape;
use super::limits::{self, Noticed, RateHeaders};
use super::refusal::Refusal;
use super::wire::{ErrorBody, excerpt};
use super::{BaseUrlError, Deadline, endpoint, hints, post, prompt, unanswered};
use crate::http::{HttpClient, HttpConfig, Response, Uri, json};
use crate::secret::Secret;

/// The most texts that one call takes; none of the kind's own.
pub const MAX_ITEMS: Option<usize> = None;

/// How a model is held to the form of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structure {
    /// By a JSON Schema, and by the next where the server refuses it.
    #[default]
    Schema,
    /// By asking for some JSON object.
    Object,
    /// By the prompt alone.
    Prompt,
}

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// The address that `/chat/completions` is appended to.
    pub base_url: String,
    /// The model.
    pub model: String,
    /// The credential, where the server wants one.
    pub api_key: Option<Secret>,
    /// How the client connects.
    pub http: HttpConfig,
    /// How freely the model chooses its words; none leaves it to the server. Reasoning models of
    /// OpenAI, which refuse it, are not told.
    pub temperature: Option<f64>,
    /// The most tokens of an answer, whatever a pack wants; none leaves it to the pack.
    pub max_tokens: Option<u32>,
    /// How the model is held to the form of its answer.
    pub structure: Structure,
    /// How long a reasoning model thinks, like `none` or `low`; none keeps it short where the
    /// address and the model's name tell how, and leaves it to the server elsewhere.
    pub reasoning_effort: Option<String>,
}

impl OpenAiConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str, model: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            api_key: None,
            http: HttpConfig::default(),
            temperature: Some(0.2),
            max_tokens: None,
            structure: Structure::default(),
            reasoning_effort: None,
        }
    }
}

/// A server of chat completions.
pub struct OpenAiProvider {
    config: OpenAiConfig,
    client: HttpClient,
    url: Uri,
    authorization: String,
    model: Arc<str>,
    /// What the server turned out to take.
    shape: Cell<Shape>,
    rates: RateHeaders,
    noticed: Noticed,
}

impl OpenAiProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: OpenAiConfig) -> Result<Self, BaseUrlError> {
        let key = config.api_key.as_ref().map_or("", Secret::expose);
        let url = endpoint(&config.base_url, "/chat/completions")?;
        let house = House::of(&url);
        Ok(Self {
            url,
            client: HttpClient::new(&config.http),
            authorization: format!("Bearer {key}"),
            model: config.model.as_str().into(),
            shape: Cell::new(Shape::new(&config, house)),
            rates: RateHeaders::new(house.requests_per()),
            noticed: Noticed::default(),
            config,
        })
    }

    /// Calls, and calls again in a plainer shape where the server refuses the form of the call.
    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        loop {
            let shape = self.shape.get();
            let body = request::body(&self.config, shape, pack);
            let response = self.send(body, deadline).await?;
            if response.is_success() {
                let answer = self.read(&response);
                self.noticed.add(self.rates.read(&response));
                return answer;
            }
            let error = ErrorBody::parse(&response.body);
            self.noticed.add(self.rates.read(&response));
            self.noticed.add(limits::in_refusal(&error.message));
            if classify::is_cut(response.status, &error) {
                return Ok(self.cut_answer());
            }
            match shape.without_what_is_refused(response.status, &error) {
                // Another call in flight may have learned as much already.
                Some(plainer) if self.shape.get() == shape => self.shape.set(plainer),
                Some(_) => {}
                None => {
                    let refusal = self.refusal(&response, response.status, error);
                    return Err(classify::error_of(refusal));
                }
            }
        }
    }

    async fn send(&self, body: Vec<u8>, deadline: Deadline) -> Result<Response, ProviderError> {
        let json = ("content-type", "application/json");
        let headers = [json, ("authorization", self.authorization.as_str())];
        let n_headers = if self.config.api_key.is_some() { 2 } else { 1 };
        post(
            &self.client,
            &self.url,
            &headers[..n_headers],
            body,
            deadline,
        )
        .await
    }

    fn refusal(&self, response: &Response, status: u16, body: ErrorBody) -> Refusal<'_> {
        Refusal {
            status,
            wait: hints::asked_for(response, &body.message),
            body,
            secret: self.config.api_key.as_ref(),
        }
    }

    fn read(&self, response: &Response) -> Result<Answer, ProviderError> {
        match self.read_body(&response.body) {
            Some(answer) => answer,
            None => Err(self.error_inside(response)),
        }
    }

    /// What a chat completion says; none for what is none.
    fn read_body(&self, body: &[u8]) -> Option<Result<Answer, ProviderError>> {
        let completion: Completion = json::read(body).ok()?;
        if completion.x_groq.is_some() {
            self.rates.assume(limits::DAY);
        }
        let choice = completion.choices.into_iter().next()?;
        Some(self.answer(choice, completion.model, completion.usage))
    }

    fn answer(
        &self,
        choice: Choice,
        model: Option<String>,
        usage: Option<Tokens>,
    ) -> Result<Answer, ProviderError> {
        if let Some(detail) = choice.refused() {
            return Err(ProviderError::Rejected { detail });
        }
        let is_truncated = choice.finish_reason.as_deref() == Some("length");
        let text = choice.message.into_text();
        // Without a list of items nothing came back: smaller packs are easier to answer.
        let items = prompt::answer(&text).unwrap_or_else(|| prompt::whole_items(&text));
        let model = model.filter(|model| !model.is_empty());
        Ok(Answer {
            items,
            model: model.map_or_else(|| Arc::clone(&self.model), Arc::from),
            usage: usage.map(Usage::from),
            is_truncated,
            ..Answer::default()
        })
    }

    /// An answer that was cut before its first word; what it used is not said.
    fn cut_answer(&self) -> Answer {
        Answer {
            model: Arc::clone(&self.model),
            is_truncated: true,
            ..Answer::default()
        }
    }

    /// Some servers answer 200 and put the error into the body.
    fn error_inside(&self, response: &Response) -> ProviderError {
        let error = serde_json::from_slice(&response.body)
            .ok()
            .and_then(|value: Value| ErrorBody::inside(&value));
        let Some(error) = error else {
            let body = excerpt(&String::from_utf8_lossy(&response.body));
            return unanswered(&format!("an answer that is no chat completion: {body}"));
        };
        let status = error
            .code
            .parse()
            .ok()
            .filter(|code| (400..600).contains(code));
        self.noticed.add(limits::in_refusal(&error.message));
        classify::error_of(self.refusal(response, status.unwrap_or(500), error))
    }
}

impl Provider for OpenAiProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        Box::pin(self.call(pack, Deadline::after(timeout)))
    }

    fn take_seen(&self) -> Vec<SeenLimit> {
        self.noticed.take()
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    model: Option<String>,
    usage: Option<Tokens>,
    /// What only Groq adds, behind whatever address it stands.
    x_groq: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Value>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl Choice {
    /// What the model or its moderation said instead of translating.
    fn refused(&self) -> Option<String> {
        let refusal = self
            .message
            .refusal
            .as_deref()
            .filter(|text| !text.is_empty());
        match self.finish_reason.as_deref() {
            Some("content_filter") => Some("the content filter stopped the answer".to_owned()),
            _ => refusal.map(|text| format!("the model refuses: {}", excerpt(text))),
        }
    }
}

impl Message {
    /// The content, which some servers split into parts.
    fn into_text(self) -> String {
        match self.content {
            Some(Value::String(text)) => text,
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(|part| part.get("text").and_then(Value::as_str))
                .collect(),
            _ => String::new(),
        }
    }
}

impl From<Tokens> for Usage {
    /// Cached tokens are part of what was sent. Thoughts are part of what was received, and where a
    /// server counts them apart, only its total tells of them.
    fn from(tokens: Tokens) -> Self {
        let tokens_in = tokens.prompt_tokens.unwrap_or(0);
        let said = tokens.completion_tokens.unwrap_or(0);
        let total = tokens.total_tokens.unwrap_or(0);
        Self {
            tokens_in,
            tokens_out: said.max(total.saturating_sub(tokens_in)),
            cost_usd: 0.0,
        }
    }
}

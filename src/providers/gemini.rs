//! Google's Gemini Developer API, by `generateContent`.

pub mod batch;
mod classify;
mod quotas;
mod request;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{SeenLimit, Thoughts, Usage};
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use self::request::{Shape, ZeroBudget};
use super::limits::{self, Noticed, RateHeaders};
use super::refusal::Refusal;
use super::wire::{ErrorBody, excerpt};
use super::{BaseUrlError, Deadline, endpoint, hints, post, prompt, unanswered};
use crate::http::{HttpClient, HttpConfig, Response, Uri};
use crate::secret::Secret;

/// The most texts that one call takes; none of the kind's own.
pub const MAX_ITEMS: Option<usize> = None;

/// How often an answer that says CONTINUATION is asked to go on.
const MAX_CONTINUATIONS: usize = 4;

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct GeminiConfig {
    /// The address that `/models/{model}:generateContent` is appended to.
    pub base_url: String,
    /// The model.
    pub model: String,
    /// The credential, where the server wants one.
    pub api_key: Option<Secret>,
    /// How the client connects.
    pub http: HttpConfig,
    /// How freely the model chooses its words; none leaves it to the server.
    pub temperature: Option<f64>,
    /// The most tokens of an answer, whatever a pack wants; none leaves it to the pack.
    pub max_tokens: Option<u32>,
}

impl GeminiConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str, model: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            model: model.to_owned(),
            api_key: None,
            http: HttpConfig::default(),
            temperature: Some(0.2),
            max_tokens: None,
        }
    }
}

/// A model of the Gemini Developer API.
pub struct GeminiProvider {
    config: GeminiConfig,
    client: HttpClient,
    url: Uri,
    model: Arc<str>,
    /// What the model turned out to take.
    shape: Cell<Shape>,
    /// What the model made of being told not to think.
    zero_budget: Cell<ZeroBudget>,
    /// Google sends none; a gateway before it does.
    rates: RateHeaders,
    noticed: Noticed,
}

impl GeminiProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: GeminiConfig) -> Result<Self, BaseUrlError> {
        let model = config.model.trim_start_matches("models/");
        Ok(Self {
            url: endpoint(
                &config.base_url,
                &format!("/models/{model}:generateContent"),
            )?,
            client: HttpClient::new(&config.http),
            model: model.into(),
            shape: Cell::new(Shape::default()),
            zero_budget: Cell::default(),
            rates: RateHeaders::new(None),
            noticed: Noticed::default(),
            config,
        })
    }

    /// Asks until the answer is whole, or was continued too often.
    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        let mut gathered = Gathered::default();
        let mut token = None;
        for _ in 0..=MAX_CONTINUATIONS {
            let generated = self.generate(pack, token.as_deref(), deadline).await?;
            token = gathered.take(generated)?;
            if token.is_none() {
                return self.answer(gathered);
            }
        }
        Err(unanswered(
            "an answer that wants to be continued without end",
        ))
    }

    /// Calls, and calls again in a plainer shape where the model refuses the form of the call.
    async fn generate(
        &self,
        pack: &Pack,
        token: Option<&str>,
        deadline: Deadline,
    ) -> Result<Generated, ProviderError> {
        loop {
            let shape = self.shape.get();
            let (response, error) = match self.generate_in(shape, pack, token, deadline).await? {
                Ok(generated) => return Ok(generated),
                Err(refused) => refused,
            };
            match shape.without_what_is_refused(response.status, &error) {
                // Another call in flight may have learned as much already.
                Some(plainer) if self.shape.get() == shape => self.shape.set(plainer),
                Some(_) => {}
                None => {
                    let refused = (response, error);
                    return self
                        .generate_thinking(shape, refused, pack, token, deadline)
                        .await;
                }
            }
        }
    }

    /// Calls once more after a refusal that may be about a budget of no thoughts without a word of
    /// it, and lets the model think from then on where that was it.
    async fn generate_thinking(
        &self,
        sent: Shape,
        (response, error): Refused,
        pack: &Pack,
        token: Option<&str>,
        deadline: Deadline,
    ) -> Result<Generated, ProviderError> {
        let thinking = sent.thinking_if_it_must(response.status, &error);
        let Some(thinking) = thinking.filter(|_| self.may_have_to_think()) else {
            return Err(self.error_of(&response, error));
        };
        match self.generate_in(thinking, pack, token, deadline).await? {
            Ok(generated) => {
                self.let_think(sent, thinking);
                Ok(generated)
            }
            // It was about something else.
            Err((again, _)) if again.status == 400 => Err(self.error_of(&response, error)),
            Err((response, error)) => Err(self.error_of(&response, error)),
        }
    }

    /// Calls once in a shape; an answer that is an error comes back with what it says.
    async fn generate_in(
        &self,
        shape: Shape,
        pack: &Pack,
        token: Option<&str>,
        deadline: Deadline,
    ) -> Result<Result<Generated, Refused>, ProviderError> {
        let body = request::body(&self.config, shape, self.room(shape), pack, token);
        let response = self.send(body, deadline).await?;
        self.noticed.add(self.rates.read(&response));
        if !response.is_success() {
            let error = ErrorBody::parse(&response.body);
            return Ok(Err((response, error)));
        }
        let generated: Generated = serde_json::from_slice(&response.body).map_err(|_| {
            let body = excerpt(&String::from_utf8_lossy(&response.body));
            unanswered(&format!("an answer that is no generated content: {body}"))
        })?;
        self.note_thoughts(shape, &generated);
        Ok(Ok(generated))
    }

    /// Notes whether the answer to a call in this shape was thought about.
    fn note_thoughts(&self, sent: Shape, generated: &Generated) {
        if !sent.has_zero_budget() {
            return;
        }
        let tokens = generated.usage_metadata.as_ref();
        let seen = match tokens.map_or(0, Tokens::thought) {
            0 => ZeroBudget::Kept,
            _ => ZeroBudget::Exceeded,
        };
        self.zero_budget.set(self.zero_budget.get().max(seen));
    }

    /// The room for thoughts beside the answer to a call in this shape.
    fn room(&self, shape: Shape) -> u32 {
        shape.room(self.zero_budget.get())
    }

    /// Whether no call with a budget of no thoughts was answered yet: after one, a refusal that names
    /// nothing is about the texts.
    fn may_have_to_think(&self) -> bool {
        self.zero_budget.get() == ZeroBudget::Unanswered
    }

    /// Lets the model think from now on, unless it proved meanwhile that it need not.
    fn let_think(&self, sent: Shape, thinking: Shape) {
        if self.may_have_to_think() && self.shape.get() == sent {
            self.shape.set(thinking);
        }
    }

    async fn send(&self, body: Vec<u8>, deadline: Deadline) -> Result<Response, ProviderError> {
        let json = ("content-type", "application/json");
        let key = self.config.api_key.as_ref().map(Secret::expose);
        let headers = [json, ("x-goog-api-key", key.unwrap_or_default())];
        let n_headers = if key.is_some() { 2 } else { 1 };
        post(
            &self.client,
            &self.url,
            &headers[..n_headers],
            body,
            deadline,
        )
        .await
    }

    fn error_of(&self, response: &Response, body: ErrorBody) -> ProviderError {
        let now = hints::server_time(response.header("date"));
        self.noticed.add(quotas::seen(&body, now));
        self.noticed.add(limits::in_refusal(&body.message));
        let refusal = Refusal {
            status: response.status,
            wait: hints::asked_for(response, &body.message),
            body,
            secret: self.config.api_key.as_ref(),
        };
        classify::error_of(&refusal, now)
    }

    fn answer(&self, gathered: Gathered) -> Result<Answer, ProviderError> {
        // Without a list of items nothing came back: smaller packs are easier to answer.
        let items =
            prompt::answer(&gathered.text).unwrap_or_else(|| prompt::whole_items(&gathered.text));
        Ok(Answer {
            items,
            model: gathered
                .model
                .map_or_else(|| Arc::clone(&self.model), Arc::from),
            usage: gathered.usage,
            thoughts: self.thoughts(gathered.thought),
            is_truncated: gathered.is_truncated,
            ..Answer::default()
        })
    }

    /// What was thought, with what may be, as long as the model is let think or thinks unasked.
    fn thoughts(&self, used: u64) -> Option<Thoughts> {
        let allowed = u64::from(self.room(self.shape.get())).max(used);
        (allowed > 0).then_some(Thoughts { used, allowed })
    }
}

impl Provider for GeminiProvider {
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

/// An answer that is an error, and what it says.
type Refused = (Response, ErrorBody);

/// An answer put together from its continuations.
#[derive(Default)]
struct Gathered {
    text: String,
    model: Option<String>,
    usage: Option<Usage>,
    /// Tokens that were thought.
    thought: u64,
    is_truncated: bool,
}

impl Gathered {
    /// Appends what was generated; gives the token by which it goes on, if it does.
    fn take(&mut self, generated: Generated) -> Result<Option<String>, ProviderError> {
        if let Some(tokens) = generated.usage_metadata {
            let usage = self.usage.get_or_insert_default();
            usage.tokens_in += tokens.sent();
            usage.tokens_out += tokens.received();
            self.thought += tokens.thought();
        }
        self.model = generated.model_version.or(self.model.take());
        if let Some(reason) = generated.prompt_feedback.and_then(|it| it.block_reason) {
            let detail = format!("the prompt was blocked: {reason}");
            return Err(ProviderError::Rejected { detail });
        }
        let Some(candidate) = generated.candidates.into_iter().next() else {
            return Err(unanswered("an answer without candidates"));
        };
        self.text
            .extend(candidate.content.iter().flat_map(Content::texts));
        match candidate.finish_reason.as_deref() {
            Some("CONTINUATION") => match candidate.continuation_token {
                Some(token) => return Ok(Some(token)),
                None => return Err(unanswered("a continuation without its token")),
            },
            Some("MAX_TOKENS") => self.is_truncated = true,
            None | Some("STOP" | "FINISH_REASON_UNSPECIFIED") => {}
            Some("MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL") => {
                return Err(unanswered("the model answered out of form"));
            }
            Some("PUP_LIMITED_DISABLED") => {
                let detail = "the account is restricted: PUP_LIMITED_DISABLED".to_owned();
                return Err(ProviderError::Auth { detail });
            }
            Some(reason) => {
                let detail = format!("the model stopped: {reason}");
                return Err(ProviderError::Rejected { detail });
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<Tokens>,
    model_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
    continuation_token: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<TextPart>,
}

impl Content {
    /// What was said, without what was only thought.
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .filter(|part| !part.thought)
            .filter_map(|part| part.text.as_deref())
    }
}

#[derive(Deserialize)]
struct TextPart {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
}

impl Tokens {
    /// What was sent, from the cache or not.
    fn sent(&self) -> u64 {
        let prompt = self.prompt_token_count.unwrap_or(0);
        prompt.saturating_add(self.tool_use_prompt_token_count.unwrap_or(0))
    }

    /// What was said and thought, which costs the same; the total tells of thoughts that are not.
    fn received(&self) -> u64 {
        let said = self.candidates_token_count.unwrap_or(0);
        let received = said.saturating_add(self.thoughts_token_count.unwrap_or(0));
        let total = self.total_token_count.unwrap_or(0);
        received.max(total.saturating_sub(self.sent()))
    }

    /// What of that was only thought.
    fn thought(&self) -> u64 {
        let said = self.candidates_token_count.unwrap_or(0);
        match self.thoughts_token_count {
            Some(thought) => thought,
            // Without a count of what was said, nothing tells them apart.
            None if self.candidates_token_count.is_none() => 0,
            None => self.received().saturating_sub(said),
        }
    }
}

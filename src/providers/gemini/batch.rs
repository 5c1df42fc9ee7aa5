//! Jobs as Gemini's batch interface takes them: calls in one request, made within a day at half price.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{
    Answer, BatchAnswers, BatchBounds, BatchCall, BatchProgress, BatchProvider, ProviderError,
};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::{self, Shape};
use super::{Gathered, GeminiConfig, GeminiProvider, Generated, classify};
use crate::http::{Method, Response, hints};
use crate::providers::exchange::{exchange, is_plain};
use crate::providers::refusal::Refusal;
use crate::providers::shapes::Shapes;
use crate::providers::wire::{ErrorBody, excerpt};
use crate::providers::{BaseUrlError, unanswered};
use crate::secret::Secret;

/// How far clocks may differ when a job is looked for among those of its time.
const SKEW: Duration = Duration::from_secs(3_600);
/// The most pages of a list that are read, of a hundred jobs each.
const MAX_PAGES: usize = 100;

/// The batch interface of a model of the Gemini Developer API.
pub struct GeminiBatch {
    provider: GeminiProvider,
    shapes: Shapes<Shape>,
    base_url: String,
    timeout: Duration,
}

impl GeminiBatch {
    /// An interface that has not called yet; each of its exchanges takes at most `timeout`.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: GeminiConfig, timeout: Duration) -> Result<Self, BaseUrlError> {
        Ok(Self {
            base_url: config.base_url.trim().trim_end_matches('/').to_owned(),
            provider: GeminiProvider::new(config)?,
            shapes: Shapes::default(),
            timeout,
        })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Vec<u8>,
    ) -> Result<Response, ProviderError> {
        let key = self.provider.config.api_key.as_ref().map(Secret::expose);
        let mut headers = Vec::with_capacity(2);
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        headers.extend(key.map(|key| ("x-goog-api-key", key)));
        let client = &self.provider.client;
        exchange(client, (method, url), &headers, body, self.timeout).await
    }

    fn error_of(&self, response: &Response) -> ProviderError {
        let error = ErrorBody::parse(&response.body);
        self.provider.error_of(response, error)
    }

    async fn create_job(&self, mark: &str, calls: &[BatchCall]) -> Result<Arc<str>, ProviderError> {
        let (config, shape) = (&self.provider.config, self.provider.shape.get());
        let room = self.provider.room(shape);
        let mut body = format!(
            "{{\"batch\":{{\"displayName\":{},\"inputConfig\":{{\"requests\":{{\"requests\":[",
            Value::from(mark)
        )
        .into_bytes();
        for (index, call) in calls.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            body.extend(format!("{comma}{{\"request\":").bytes());
            body.extend(request::body(config, shape, room, &call.pack, None));
            let key = Value::from(&*call.key);
            body.extend(format!(",\"metadata\":{{\"key\":{key}}}}}").bytes());
        }
        body.extend(b"]}}}}");
        let model = &self.provider.model;
        let url = format!("{}/models/{model}:batchGenerateContent", self.base_url);
        let response = self.send(Method::POST, &url, body).await?;
        if !response.is_success() {
            return Err(self.refused(&response, shape));
        }
        let job: Job = read(&response)?;
        let remote: Arc<str> = job.name.into();
        self.shapes.keep(&remote, shape);
        Ok(remote)
    }

    /// An error of a job as a whole, whose calls were sent in this shape; the next one leaves out
    /// the field that it is about.
    fn refused(&self, response: &Response, sent: Shape) -> ProviderError {
        let error = ErrorBody::parse(&response.body);
        if self.leaves_out(sent, response.status, &error) {
            // Nothing was made of it, and the same job may be handed in again at once.
            return ProviderError::RateLimited {
                wait: Some(Duration::from_secs(1)),
                detail: "a field of the calls is not taken, and is left out now".to_owned(),
            };
        }
        self.provider.error_of(response, error)
    }

    /// Whether an error is about a field of calls that were sent in this shape; it is left out
    /// from then on.
    fn leaves_out(&self, sent: Shape, status: u16, error: &ErrorBody) -> bool {
        let Some(plainer) = sent.without_what_is_refused(status, error) else {
            return false;
        };
        // Another call of the same shape may have told as much already.
        if self.provider.shape.get() == sent {
            self.provider.shape.set(plainer);
        }
        true
    }

    async fn find_job(
        &self,
        mark: &str,
        since: Timestamp,
    ) -> Result<Option<Arc<str>>, ProviderError> {
        let oldest = since.as_millis() - SKEW.as_millis() as i64;
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let url = format!("{}/batches?pageSize=100{token}", self.base_url);
            let response = self.send(Method::GET, &url, Vec::new()).await?;
            if !response.is_success() {
                return Err(self.error_of(&response));
            }
            let page: Page = read(&response)?;
            let is_ours = |job: &&Job| job.metadata.display_name.as_deref() == Some(mark);
            if let Some(job) = page.operations.iter().find(is_ours) {
                return Ok(Some(job.name.as_str().into()));
            }
            // Nothing promises an order, so that only a page of old jobs alone ends the list.
            let mut times = page.operations.iter().map(Job::created_at);
            let is_old = |at: Option<Timestamp>| at.is_some_and(|at| at.as_millis() < oldest);
            let is_older = !page.operations.is_empty() && times.all(is_old);
            match page.next_page_token {
                Some(next) if !next.is_empty() && !is_older => {
                    let next: String =
                        url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
                    token = format!("&pageToken={next}");
                }
                _ => return Ok(None),
            }
        }
        Err(unanswered("a list of jobs without end"))
    }

    /// The job; none if the provider does not know it.
    async fn job(&self, remote: &str) -> Result<Option<Job>, ProviderError> {
        if !is_plain(remote) {
            return Ok(None);
        }
        let url = format!("{}/{remote}", self.base_url);
        let response = self.send(Method::GET, &url, Vec::new()).await?;
        match response.status {
            404 => Ok(None),
            _ if !response.is_success() => Err(self.error_of(&response)),
            _ => read(&response).map(Some),
        }
    }

    async fn progress(&self, remote: &str) -> Result<BatchProgress, ProviderError> {
        let Some(job) = self.job(remote).await? else {
            let lost = BatchAnswers::lost("the provider does not know the job any more");
            return Ok(BatchProgress::Over(lost));
        };
        if !job.is_over() {
            return Ok(BatchProgress::Running);
        }
        let mut over = BatchAnswers {
            why: (job.state() != "SUCCEEDED").then(|| job.why().into()),
            ..BatchAnswers::default()
        };
        let sent = self.shapes.of(remote);
        if let Some(output) = job.output() {
            if let Some(inlined) = &output.inlined_responses {
                self.take(&inlined.inlined_responses, sent, &mut over);
            }
            if let Some(file) = output.responses_file.as_deref() {
                self.read_file(file, sent, &mut over).await?;
            }
        }
        Ok(BatchProgress::Over(over))
    }

    /// Reads a file of answers, which are matched by their keys.
    async fn read_file(
        &self,
        file: &str,
        sent: Option<Shape>,
        over: &mut BatchAnswers,
    ) -> Result<(), ProviderError> {
        let Some(url) = self.download_url(file) else {
            over.may_lack_answers = true;
            return Ok(());
        };
        let response = self.send(Method::GET, &url, Vec::new()).await?;
        match response.status {
            // Deleted by somebody: nothing more comes of it.
            404 => {
                over.may_lack_answers = true;
                return Ok(());
            }
            _ if !response.is_success() => return Err(self.error_of(&response)),
            _ => {}
        }
        let lines = response.body.split(|byte| *byte == b'\n');
        let answered: Vec<Answered> = lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        self.take(&answered, sent, over);
        Ok(())
    }

    /// The address where a file's bytes are: the route of the API below `/download`.
    fn download_url(&self, file: &str) -> Option<String> {
        let base = url::Url::parse(&self.base_url).ok()?;
        let origin = base.origin().ascii_serialization();
        let path = base.path().trim_end_matches('/');
        is_plain(file).then(|| format!("{origin}/download{path}/{file}:download?alt=media"))
    }

    /// Takes what came of the calls of a job, which were sent in this shape as far as is known.
    fn take(&self, answered: &[Answered], sent: Option<Shape>, over: &mut BatchAnswers) {
        for answered in answered {
            // What has no key is nobody's: nothing is matched by its place.
            if let Some(key) = answered.key() {
                let answer = self.read_answer(answered, sent);
                over.answers.push((key.into(), answer));
            }
        }
        if let Some(sent) = sent {
            self.learn_to_think(answered, sent);
        }
    }

    /// Lets the model think in the next job where each call of this one was refused as if it had to.
    /// One call alone may have been refused for its texts.
    fn learn_to_think(&self, answered: &[Answered], sent: Shape) {
        let refusals = answered.iter().map(Answered::refusal);
        let thinking: Option<Vec<Shape>> = refusals
            .map(|refusal| {
                let (status, error) = refusal?;
                sent.thinking_if_it_must(status, &error)
            })
            .collect();
        if let Some([thinking, _, ..]) = thinking.as_deref() {
            self.provider.let_think(sent, *thinking);
        }
    }

    fn read_answer(
        &self,
        answered: &Answered,
        sent: Option<Shape>,
    ) -> Result<Answer, ProviderError> {
        if let Some(response) = &answered.response {
            let generated: Generated = serde_json::from_str(response.get())
                .map_err(|_| unanswered("an answer that is no generated content"))?;
            if let Some(sent) = sent {
                self.provider.note_thoughts(sent, &generated);
            }
            let mut gathered = Gathered::default();
            return match gathered.take(generated)? {
                None => self.provider.answer(gathered),
                Some(_) => Err(unanswered("an answer that wants to be continued")),
            };
        }
        let Some((status, body)) = answered.refusal() else {
            return Err(unanswered("a call without an answer"));
        };
        let sent = sent.unwrap_or_else(|| self.provider.shape.get());
        self.leaves_out(sent, status, &body);
        let refusal = Refusal {
            status,
            body,
            wait: None,
            secret: self.provider.config.api_key.as_ref(),
        };
        Err(classify::error_of(&refusal, hints::server_time(None)))
    }

    async fn discard_job(&self, remote: &str) -> Result<(), ProviderError> {
        self.shapes.forget(remote);
        let Some(job) = self.job(remote).await? else {
            return Ok(());
        };
        let file = job
            .output()
            .and_then(|output| output.responses_file.clone());
        if !job.is_over() {
            let url = format!("{}/{remote}:cancel", self.base_url);
            let response = self.send(Method::POST, &url, b"{}".to_vec()).await?;
            // It may have ended meanwhile.
            if !response.is_success() && !matches!(response.status, 400 | 404 | 409) {
                return Err(self.error_of(&response));
            }
        }
        for name in [Some(remote), file.as_deref()].into_iter().flatten() {
            if !is_plain(name) {
                continue;
            }
            let url = format!("{}/{name}", self.base_url);
            let response = self.send(Method::DELETE, &url, Vec::new()).await?;
            if !response.is_success() && response.status != 404 {
                return Err(self.error_of(&response));
            }
        }
        Ok(())
    }
}

/// The status of an error whose code may be one of HTTP's or one of gRPC's.
const fn http_status(code: u64) -> u16 {
    match code {
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        7 => 403,
        8 => 429,
        16 => 401,
        400..600 => code as u16,
        _ => 500,
    }
}

fn read<T: serde::de::DeserializeOwned>(response: &Response) -> Result<T, ProviderError> {
    serde_json::from_slice(&response.body).map_err(|_| {
        let body = excerpt(&String::from_utf8_lossy(&response.body));
        unanswered(&format!("an answer that is not what was asked for: {body}"))
    })
}

impl BatchProvider for GeminiBatch {
    /// Below the 20 MB that one request may have.
    fn bounds(&self) -> BatchBounds {
        BatchBounds {
            calls: 10_000,
            bytes: 16 << 20,
        }
    }

    fn create<'a>(
        &'a self,
        mark: &'a str,
        calls: &'a [BatchCall],
    ) -> LocalBoxFuture<'a, Result<Arc<str>, ProviderError>> {
        Box::pin(self.create_job(mark, calls))
    }

    fn find<'a>(
        &'a self,
        mark: &'a str,
        since: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Arc<str>>, ProviderError>> {
        Box::pin(self.find_job(mark, since))
    }

    fn look<'a>(
        &'a self,
        remote: &'a str,
    ) -> LocalBoxFuture<'a, Result<BatchProgress, ProviderError>> {
        Box::pin(self.progress(remote))
    }

    fn discard<'a>(&'a self, remote: &'a str) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.discard_job(remote))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default, alias = "batches")]
    operations: Vec<Job>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Job {
    name: String,
    #[serde(default)]
    metadata: Metadata,
    response: Option<Output>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    display_name: Option<String>,
    state: Option<String>,
    create_time: Option<String>,
    output: Option<Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    responses_file: Option<String>,
    inlined_responses: Option<Inlined>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inlined {
    #[serde(default)]
    inlined_responses: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    key: Option<String>,
    metadata: Option<Value>,
    response: Option<Box<RawValue>>,
    error: Option<Value>,
}

impl Answered {
    fn key(&self) -> Option<&str> {
        let inside = || self.metadata.as_ref()?.get("key")?.as_str();
        self.key.as_deref().or_else(inside)
    }

    /// The status and the words of the error that came instead of an answer.
    fn refusal(&self) -> Option<(u16, ErrorBody)> {
        let error = self.error.as_ref()?;
        let code = error.get("code").and_then(Value::as_u64).unwrap_or(0);
        let body = ErrorBody::parse(error.to_string().as_bytes());
        Some((http_status(code), body))
    }
}

impl Job {
    /// The state without the name of its kind, which differs between versions of the API.
    fn state(&self) -> &str {
        let state = self.metadata.state.as_deref().unwrap_or_default();
        state.rsplit_once("STATE_").map_or(state, |(_, name)| name)
    }

    fn is_over(&self) -> bool {
        matches!(
            self.state(),
            "SUCCEEDED" | "FAILED" | "CANCELLED" | "EXPIRED"
        ) || self.error.is_some()
    }

    fn output(&self) -> Option<&Output> {
        self.metadata.output.as_ref().or(self.response.as_ref())
    }

    fn created_at(&self) -> Option<Timestamp> {
        Timestamp::parse(self.metadata.create_time.as_deref()?)
    }

    /// Why it did not end well.
    fn why(&self) -> String {
        let state = self.state().to_lowercase();
        let message = self.error.as_ref().and_then(|error| error.get("message"));
        match message.and_then(Value::as_str) {
            Some(message) => format!("the job {state}: {}", excerpt(message)),
            None => format!("the job {state}"),
        }
    }
}

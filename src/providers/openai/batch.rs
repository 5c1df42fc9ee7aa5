//! Jobs as OpenAI's batch interface takes them: a file of calls, made within 24 hours at half price.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{
    Answer, BatchAnswers, BatchBounds, BatchCall, BatchProgress, BatchProvider, ProviderError,
};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::{self, Shape};
use super::{OpenAiConfig, OpenAiProvider, classify};
use crate::http::{Method, Response};
use crate::providers::exchange::{exchange, is_plain};
use crate::providers::refusal::Refusal;
use crate::providers::shapes::Shapes;
use crate::providers::wire::{ErrorBody, excerpt};
use crate::providers::{BaseUrlError, unanswered};

/// The route that the calls of a job are made to, whatever the base address.
const ROUTE: &str = "/v1/chat/completions";
/// The key under which a job bears our mark.
const MARK: &str = "babelfeed";
/// How far clocks may differ when a job is looked for among those of its time.
const SKEW: Duration = Duration::from_secs(3_600);
/// The most pages of a list that are read, of a hundred jobs each.
const MAX_PAGES: usize = 100;

/// The batch interface of a server of chat completions.
pub struct OpenAiBatch {
    provider: OpenAiProvider,
    shapes: Shapes<Shape>,
    base_url: String,
    timeout: Duration,
}

impl OpenAiBatch {
    /// An interface that has not called yet; each of its exchanges takes at most `timeout`.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: OpenAiConfig, timeout: Duration) -> Result<Self, BaseUrlError> {
        Ok(Self {
            base_url: config.base_url.trim().trim_end_matches('/').to_owned(),
            provider: OpenAiProvider::new(config)?,
            shapes: Shapes::default(),
            timeout,
        })
    }

    async fn send(
        &self,
        method: Method,
        route: &str,
        (kind, body): (&str, Vec<u8>),
    ) -> Result<Response, ProviderError> {
        let mut headers = Vec::with_capacity(2);
        if !body.is_empty() {
            headers.push(("content-type", kind));
        }
        if self.provider.config.api_key.is_some() {
            headers.push(("authorization", self.provider.authorization.as_str()));
        }
        let url = format!("{}{route}", self.base_url);
        let client = &self.provider.client;
        exchange(client, (method, &url), &headers, body, self.timeout).await
    }

    /// Sends, and reads what a success says.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        (kind, body): (&str, Vec<u8>),
    ) -> Result<T, ProviderError> {
        let response = self.send(method, route, (kind, body)).await?;
        if !response.is_success() {
            return Err(self.error_of(&response));
        }
        serde_json::from_slice(&response.body).map_err(|_| {
            let body = excerpt(&String::from_utf8_lossy(&response.body));
            unanswered(&format!("an answer that is not what was asked for: {body}"))
        })
    }

    fn error_of(&self, response: &Response) -> ProviderError {
        let error = ErrorBody::parse(&response.body);
        classify::error_of(self.provider.refusal(response, response.status, error))
    }

    async fn upload(
        &self,
        mark: &str,
        calls: &[BatchCall],
        shape: Shape,
    ) -> Result<Named, ProviderError> {
        // The mark is random, so it stands in no text.
        let boundary = mark;
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{mark}.jsonl\"\r\n\
             Content-Type: application/jsonl\r\n\r\n"
        )
        .into_bytes();
        for call in calls {
            let key = Value::from(&*call.key);
            body.extend(
                format!("{{\"custom_id\":{key},\"method\":\"POST\",\"url\":\"{ROUTE}\",\"body\":")
                    .bytes(),
            );
            body.extend(request::body(&self.provider.config, shape, &call.pack));
            body.extend(b"}\n");
        }
        body.extend(format!("\r\n--{boundary}--\r\n").bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        self.ask(Method::POST, "/files", (&kind, body)).await
    }

    async fn create_job(&self, mark: &str, calls: &[BatchCall]) -> Result<Arc<str>, ProviderError> {
        let shape = self.provider.shape.get();
        // A job is made of a file whose name we know, so there is none yet whatever failed.
        let input = self
            .upload(mark, calls, shape)
            .await
            .map_err(|error| match error {
                ProviderError::Transient { .. } | ProviderError::Unanswered { .. } => {
                    let detail = format!("the file of a job was not taken: {error}");
                    ProviderError::Unreachable { detail }
                }
                error => error,
            })?;
        let order = serde_json::json!({
            "input_file_id": input.id,
            "endpoint": ROUTE,
            "completion_window": "24h",
            "metadata": {MARK: mark},
        });
        let body = ("application/json", order.to_string().into_bytes());
        let created: Result<Named, _> = self.ask(Method::POST, "/batches", body).await;
        match created {
            Ok(job) => {
                let remote: Arc<str> = job.id.into();
                self.shapes.keep(&remote, shape);
                Ok(remote)
            }
            Err(error) => {
                if !matches!(
                    error,
                    ProviderError::Transient { .. } | ProviderError::Unanswered { .. }
                ) {
                    // No job will read it; what is left of it harms nobody.
                    let _ = self.delete_file(&input.id).await;
                }
                Err(error)
            }
        }
    }

    async fn find_job(
        &self,
        mark: &str,
        since: Timestamp,
    ) -> Result<Option<Arc<str>>, ProviderError> {
        let oldest = since.as_millis() / 1_000 - SKEW.as_secs().cast_signed();
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let route = format!("/batches?limit=100{after}");
            let page: Page = self.ask(Method::GET, &route, ("", Vec::new())).await?;
            let mut jobs = page.data.iter();
            let is_ours = |job: &&Job| job.mark() == Some(mark);
            if let Some(job) = jobs.find(is_ours) {
                return Ok(Some(job.id.as_str().into()));
            }
            // The newest come first; a page of old jobs alone ends the list.
            let is_old = page.data.iter().all(|job| job.created_at < oldest);
            match page.data.last() {
                Some(last) if page.has_more && !is_old && is_plain(&last.id) => {
                    after = format!("&after={}", last.id);
                }
                _ => return Ok(None),
            }
        }
        Err(unanswered("a list of jobs without end"))
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
            why: (job.status != "completed").then(|| job.why().into()),
            ..BatchAnswers::default()
        };
        let sent = self.shape_of(remote);
        let files = [&job.output_file_id, &job.error_file_id];
        for file in files.into_iter().flatten() {
            self.read_file(file, sent, &mut over).await?;
        }
        Ok(BatchProgress::Over(over))
    }

    /// The job; none if the provider does not know it.
    async fn job(&self, remote: &str) -> Result<Option<Job>, ProviderError> {
        let route = format!("/batches/{remote}");
        let response = self.send(Method::GET, &route, ("", Vec::new())).await?;
        match response.status {
            404 => Ok(None),
            _ if !response.is_success() => Err(self.error_of(&response)),
            _ => serde_json::from_slice(&response.body)
                .map(Some)
                .map_err(|_| unanswered("an answer that is no job")),
        }
    }

    /// The shape that the calls of a job were sent in, as far as is known.
    fn shape_of(&self, remote: &str) -> Shape {
        let sent = self.shapes.of(remote);
        sent.unwrap_or_else(|| self.provider.shape.get())
    }

    async fn read_file(
        &self,
        file: &str,
        sent: Shape,
        over: &mut BatchAnswers,
    ) -> Result<(), ProviderError> {
        if !is_plain(file) {
            over.may_lack_answers = true;
            return Ok(());
        }
        let route = format!("/files/{file}/content");
        let response = self.send(Method::GET, &route, ("", Vec::new())).await?;
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
        for line in lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()) {
            let answer = self.read_line(&line, sent);
            over.answers.push((line.custom_id.as_str().into(), answer));
        }
        Ok(())
    }

    fn read_line(&self, line: &Line, sent: Shape) -> Result<Answer, ProviderError> {
        let Some(response) = &line.response else {
            return Err(line.not_made());
        };
        let body = response.body.get().as_bytes();
        if response.status_code == 200 {
            let answer = self.provider.read_body(body);
            return answer
                .unwrap_or_else(|| Err(unanswered("an answer that is no chat completion")));
        }
        let error = ErrorBody::parse(body);
        if classify::is_cut(response.status_code, &error) {
            return Ok(self.provider.cut_answer());
        }
        if let Some(plainer) = sent.without_what_is_refused(response.status_code, &error)
            // Another call of the same shape may have told as much already.
            && self.provider.shape.get() == sent
        {
            // The next job leaves the field out.
            self.provider.shape.set(plainer);
        }
        Err(classify::error_of(Refusal {
            status: response.status_code,
            body: error,
            wait: None,
            secret: self.provider.config.api_key.as_ref(),
        }))
    }

    async fn discard_job(&self, remote: &str) -> Result<(), ProviderError> {
        self.shapes.forget(remote);
        let Some(job) = self.job(remote).await? else {
            return Ok(());
        };
        if !job.is_over() {
            let route = format!("/batches/{remote}/cancel");
            let response = self.send(Method::POST, &route, ("", Vec::new())).await?;
            // It may have ended meanwhile.
            if !response.is_success() && !matches!(response.status, 400 | 404 | 409) {
                return Err(self.error_of(&response));
            }
        }
        let files = [job.input_file_id, job.output_file_id, job.error_file_id];
        for file in files.iter().flatten() {
            self.delete_file(file).await?;
        }
        Ok(())
    }

    async fn delete_file(&self, file: &str) -> Result<(), ProviderError> {
        if !is_plain(file) {
            return Ok(());
        }
        let route = format!("/files/{file}");
        let response = self.send(Method::DELETE, &route, ("", Vec::new())).await?;
        if response.is_success() || response.status == 404 {
            return Ok(());
        }
        Err(self.error_of(&response))
    }
}

impl BatchProvider for OpenAiBatch {
    /// OpenAI's limit of calls; its 200 MB a file are not used up.
    fn bounds(&self) -> BatchBounds {
        BatchBounds {
            calls: 50_000,
            bytes: 64 << 20,
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
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Job>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    status: String,
    #[serde(default)]
    created_at: i64,
    metadata: Option<Value>,
    input_file_id: Option<String>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    errors: Option<Value>,
}

impl Job {
    fn mark(&self) -> Option<&str> {
        self.metadata.as_ref()?.get(MARK)?.as_str()
    }

    fn is_over(&self) -> bool {
        matches!(
            &*self.status,
            "completed" | "failed" | "expired" | "cancelled"
        )
    }

    /// Why it did not end well.
    fn why(&self) -> String {
        let first = self
            .errors
            .as_ref()
            .and_then(|errors| errors.pointer("/data/0/message"));
        match first.and_then(Value::as_str) {
            Some(message) => format!("the job {}: {}", self.status, excerpt(message)),
            None => format!("the job {}", self.status),
        }
    }
}

#[derive(Deserialize)]
struct Line {
    custom_id: String,
    response: Option<Answered>,
    error: Option<Value>,
}

impl Line {
    /// Why its call has no response.
    fn not_made(&self) -> ProviderError {
        let Some(error) = &self.error else {
            return unanswered("a call without an answer");
        };
        let detail = excerpt(&error.to_string());
        match error.get("code").and_then(Value::as_str) {
            // There was no time for it, and nobody has to pay.
            Some("batch_expired" | "batch_cancelled") => {
                ProviderError::Transient { detail, wait: None }
            }
            _ => unanswered(&detail),
        }
    }
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
    body: Box<RawValue>,
}

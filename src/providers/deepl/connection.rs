//! The routes of DeepL that are called, with the credential.

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::ProviderError;
use serde::Deserialize;

use super::{DeepLConfig, classify};
use crate::http::{Call, HttpClient, Method, Response, Uri};
use crate::providers::refusal::Refusal;
use crate::providers::wire::ErrorBody;
use crate::providers::{BaseUrlError, Deadline, MAX_ANSWER, endpoint, failure, hints};
use crate::secret::Secret;

/// How long asking for the end of a billing period may take: the call itself has failed.
const USAGE_PATIENCE: Duration = Duration::from_secs(5);

/// An account at one host.
pub(super) struct Connection {
    client: HttpClient,
    base_url: String,
    authorization: String,
    secret: Option<Secret>,
    translate: Uri,
    glossaries: Uri,
    usage: Uri,
}

impl Connection {
    /// A connection that is not open yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub(super) fn new(config: &DeepLConfig) -> Result<Self, BaseUrlError> {
        let key = config.api_key.as_ref().map_or("", Secret::expose);
        Ok(Self {
            client: HttpClient::new(&config.http),
            authorization: format!("DeepL-Auth-Key {key}"),
            secret: config.api_key.clone(),
            translate: endpoint(&config.base_url, "/v2/translate")?,
            glossaries: endpoint(&config.base_url, "/v2/glossaries")?,
            usage: endpoint(&config.base_url, "/v2/usage")?,
            base_url: config.base_url.clone(),
        })
    }

    /// Asks for translations; any status is an answer.
    pub(super) async fn translate(
        &self,
        body: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        self.send(Method::POST, &self.translate, body, deadline.left()?)
            .await
    }

    /// Asks for the account's glossaries.
    pub(super) async fn list_glossaries(
        &self,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        self.send(Method::GET, &self.glossaries, Vec::new(), deadline.left()?)
            .await
    }

    /// Makes a glossary.
    pub(super) async fn create_glossary(
        &self,
        body: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        self.send(Method::POST, &self.glossaries, body, deadline.left()?)
            .await
    }

    /// Deletes a glossary.
    pub(super) async fn delete_glossary(
        &self,
        id: &str,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        let url = self.glossary(id)?;
        self.send(Method::DELETE, &url, Vec::new(), deadline.left()?)
            .await
    }

    /// Asks for one glossary.
    pub(super) async fn show_glossary(
        &self,
        id: &str,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        let url = self.glossary(id)?;
        self.send(Method::GET, &url, Vec::new(), deadline.left()?)
            .await
    }

    fn glossary(&self, id: &str) -> Result<Uri, ProviderError> {
        // An id goes into an address, and nothing else may go with it.
        let is_id = id
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-');
        let url = endpoint(&self.base_url, &format!("/v2/glossaries/{id}")).ok();
        url.filter(|_| is_id).ok_or_else(|| ProviderError::Invalid {
            detail: "a glossary's id that is none".to_owned(),
        })
    }

    /// The error that this answer is; a spent quota is asked when it comes back.
    pub(super) async fn error_of(&self, response: &Response, deadline: Deadline) -> ProviderError {
        let reset = match response.status {
            classify::QUOTA => self.until_period_ends(deadline).await,
            _ => None,
        };
        let refusal = Refusal {
            status: response.status,
            body: ErrorBody::parse(&response.body),
            wait: hints::from_headers(response),
            secret: self.secret.as_ref(),
        };
        let key = self.secret.as_ref().map_or("", Secret::expose);
        match classify::error_of(&refusal, reset) {
            ProviderError::Auth { detail } => {
                let hint = classify::hint_of_host(&self.base_url, key);
                let detail = hint.map_or(detail.clone(), |hint| format!("{detail}; {hint}"));
                ProviderError::Auth { detail }
            }
            error => error,
        }
    }

    /// How long until the billing period ends, where the account has one that tells.
    async fn until_period_ends(&self, deadline: Deadline) -> Option<Duration> {
        #[derive(Deserialize)]
        struct Period {
            end_time: String,
        }
        let patience = deadline.left().ok()?.min(USAGE_PATIENCE);
        let asked = self.send(Method::GET, &self.usage, Vec::new(), patience);
        let response = asked.await.ok().filter(Response::is_success)?;
        let period: Period = serde_json::from_slice(&response.body).ok()?;
        hints::rfc3339(
            &period.end_time,
            hints::server_time(response.header("date")),
        )
    }

    async fn send(
        &self,
        method: Method,
        url: &Uri,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Response, ProviderError> {
        let headers = [
            ("authorization", self.authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let n_headers = if body.is_empty() { 1 } else { 2 };
        let call = Call {
            method,
            url,
            headers: &headers[..n_headers],
            body: Bytes::from(body),
            timeout,
            max_body: MAX_ANSWER,
        };
        self.client.call(call).await.map_err(failure)
    }
}

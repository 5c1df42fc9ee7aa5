//! Calls as the servers of atproto take them: one route per method, JSON in and out.
//!
//! The protocol is that of <https://atproto.com/specs/xrpc>.

use std::time::{Duration, SystemTime};

use actix_web::web::Bytes;
use serde::Deserialize;
use url::form_urlencoded;

use super::{Call, HttpClient, HttpConfig, HttpError, Method, Response, Uri, hints};
use crate::secret::Secret;

/// The most bytes of an answer.
const MAX_BODY: usize = 8_000_000;
/// The most characters of an answer that a failure repeats.
const MAX_DETAIL: usize = 200;
/// Added to a time of renewal: servers cut it down to whole seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// Someone who calls servers of atproto; bound to its arbiter, like the client it holds.
#[derive(Clone)]
pub struct Xrpc {
    client: HttpClient,
    timeout: Duration,
}

/// A body that is sent, and what it is.
pub struct Body<'a> {
    /// The bytes; none for a method that takes nothing.
    pub bytes: Bytes,
    /// Their MIME type.
    pub mime: &'a str,
}

impl<'a> Body<'a> {
    /// JSON that is written already.
    pub const fn json(bytes: Bytes) -> Self {
        Self {
            bytes,
            mime: "application/json",
        }
    }
}

/// What a refusal says.
#[derive(Debug, Default, Deserialize)]
pub struct Refusal {
    /// Its name, like `ExpiredToken`.
    #[serde(default)]
    pub error: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

impl Xrpc {
    /// A caller without connections yet, each of whose calls may take so long.
    pub fn new(config: &HttpConfig, timeout: Duration) -> Self {
        // A redirected POST would become a GET, so none is followed.
        let client = HttpClient::new(&HttpConfig {
            redirects: 0,
            ..config.clone()
        });
        Self { client, timeout }
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When no whole answer arrived; any status is an answer.
    pub async fn query(
        &self,
        server: &Uri,
        method: &str,
        parameters: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<Response, HttpError> {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let path = match query.is_empty() {
            true => method.to_owned(),
            false => format!("{method}?{query}"),
        };
        let body = Body {
            bytes: Bytes::new(),
            mime: "",
        };
        self.call(Method::GET, server, &path, body, token).await
    }

    /// Has something done.
    ///
    /// # Errors
    /// When no whole answer arrived; any status is an answer.
    pub async fn procedure(
        &self,
        server: &Uri,
        method: &str,
        body: Body<'_>,
        token: Option<&Secret>,
    ) -> Result<Response, HttpError> {
        self.call(Method::POST, server, method, body, token).await
    }

    async fn call(
        &self,
        method: Method,
        server: &Uri,
        path: &str,
        body: Body<'_>,
        token: Option<&Secret>,
    ) -> Result<Response, HttpError> {
        let server = server.to_string();
        let url = format!("{}/xrpc/{path}", server.trim_end_matches('/'));
        let url: Uri = url.parse().map_err(|error| HttpError::NotSent {
            detail: format!("`{path}` is no path: {error}"),
        })?;
        let bearer = token.map(|token| format!("Bearer {}", token.expose()));
        let mut headers = vec![("accept", "application/json")];
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        if !body.bytes.is_empty() {
            headers.push(("content-type", body.mime));
        }
        let call = Call {
            method,
            url: &url,
            headers: &headers,
            body: body.bytes,
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        let mut response = self.client.call(call).await?;
        if let Some(token) = token {
            response.hide_in_refusal(token);
        }
        Ok(response)
    }
}

/// What a refusal says; its name is empty where the answer is none of atproto's.
pub fn refusal(response: &Response) -> Refusal {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// A failure in words, for people.
pub fn detail(response: &Response) -> String {
    let refusal = refusal(response);
    let said = match refusal.error.is_empty() {
        true => String::from_utf8_lossy(&response.body).trim().to_owned(),
        false => format!("{}: {}", refusal.error, refusal.message),
    };
    let said: String = said.chars().take(MAX_DETAIL).collect();
    format!("HTTP status {}: {said}", response.status)
}

/// How long to wait after a refusal for asking too often.
pub fn asked_wait(response: &Response) -> Option<Duration> {
    hints::from_headers(response).or_else(|| until_renewal(response, response_time(response)))
}

/// How long nothing more may be asked for that costs `points`, where the answer tells that the
/// limit nearest to its end leaves less.
pub fn spent_wait(response: &Response, points: u32) -> Option<Duration> {
    let remaining = response.header("ratelimit-remaining")?;
    let remaining: u32 = remaining.trim().parse().ok()?;
    (remaining < points)
        .then(|| until_renewal(response, response_time(response)))
        .flatten()
}

fn until_renewal(response: &Response, now: SystemTime) -> Option<Duration> {
    let wait = hints::unix_seconds(response.header("ratelimit-reset")?, now)?;
    Some(wait + MARGIN)
}

fn response_time(response: &Response) -> SystemTime {
    hints::server_time(response.header("date"))
}

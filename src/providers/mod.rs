//! Adapters of the provider port, one file per kind, with what they share.

pub mod anthropic;
pub mod apertium;
pub mod deepl;
mod exchange;
pub mod gemini;
pub mod libretranslate;
mod limits;
pub mod openai;
pub mod prompt;
mod refusal;
mod shapes;
mod wire;

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::{Answer, ProviderError};
use tokio::time::Instant;

use crate::http::hints;
use crate::http::{Call, HttpClient, HttpError, Method, Response, Uri};

/// The most bytes of an answer that are read; the longest translation is far below.
pub const MAX_ANSWER: usize = 8 << 20;

/// A base address that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no base address, expected something like `https://api.example.org/v1`")]
pub struct BaseUrlError(String);

/// The address of a route below a base address.
fn endpoint(base_url: &str, route: &str) -> Result<Uri, BaseUrlError> {
    let error = || BaseUrlError(base_url.to_owned());
    let address = format!("{}{route}", base_url.trim().trim_end_matches('/'));
    let uri: Uri = address.parse().map_err(|_| error())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_http && uri.host().is_some())
        .then_some(uri)
        .ok_or_else(error)
}

/// The end of a call that may need several round trips.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// The time that is left, if any.
    fn left(self) -> Result<Duration, ProviderError> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unanswered("timed out between two steps of one call"));
        }
        Ok(left)
    }
}

async fn post(
    client: &HttpClient,
    url: &Uri,
    headers: &[(&str, &str)],
    body: Vec<u8>,
    deadline: Deadline,
) -> Result<Response, ProviderError> {
    let call = Call {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body),
        timeout: deadline.left()?,
        max_body: MAX_ANSWER,
    };
    client.call(call).await.map_err(failure)
}

/// What a failed call means: a translation is asked for again without harm.
fn failure(error: HttpError) -> ProviderError {
    match error {
        HttpError::NotSent { detail } | HttpError::OutOfReach { detail } => {
            ProviderError::Unreachable { detail }
        }
        other => unanswered(&other.to_string()),
    }
}

/// What becomes of a call of several requests when a later one fails.
fn cut_short(answer: Answer, error: ProviderError) -> Result<Answer, ProviderError> {
    if answer.items.is_empty() {
        return Err(error);
    }
    Ok(Answer {
        error: Some(error),
        ..answer
    })
}

fn unanswered(detail: &str) -> ProviderError {
    ProviderError::Unanswered {
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_stands_below_its_base_address() {
        let route = |base| endpoint(base, "/translate").map(|uri| uri.to_string());
        assert_eq!(
            route("http://h:1/v1/"),
            Ok("http://h:1/v1/translate".to_owned())
        );
        for base in [
            "",
            "example.org",
            "ftp://example.org",
            "http://",
            "http://a b",
        ] {
            assert_eq!(route(base), Err(BaseUrlError(base.to_owned())), "{base}");
        }
    }
}

//! One call to a platform, and what it proves when its answer does not come.

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::OutletError;
use url::{Position, Url};

use crate::http::{Call, HttpClient, HttpConfig, HttpError, Method, Response, Uri, hints};
use crate::secret::Secret;

/// The most bytes of an answer.
const MAX_BODY: usize = 1_000_000;
/// The most characters of an answer that a failure repeats.
const MAX_DETAIL: usize = 200;
/// Added to a wait that a server asks for, so that the next call does not come a moment early.
const MARGIN: Duration = Duration::from_secs(1);

/// Makes calls that publish; bound to its arbiter, like the client it holds.
pub(super) struct Exchange {
    /// It keeps no connection, because one that the server closed meanwhile would leave open
    /// whether something was published.
    client: HttpClient,
    timeout: Duration,
    /// What stands in addresses or headers, and in no failure.
    secrets: Vec<Secret>,
}

impl Exchange {
    /// An exchange whose failures never show these secrets.
    pub(super) fn new(http: &HttpConfig, timeout: Duration, secrets: Vec<Secret>) -> Self {
        // A redirected POST would become a GET, so none is followed.
        let http = HttpConfig {
            redirects: 0,
            keep_alive: Duration::ZERO,
            ..http.clone()
        };
        Self {
            client: HttpClient::new(&http),
            timeout,
            secrets,
        }
    }

    /// Sends what must not be sent twice.
    ///
    /// # Errors
    /// `Unreachable` where nothing has left, `Ambiguous` where it may have arrived.
    pub(super) async fn publish(
        &self,
        url: &Uri,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, OutletError> {
        let answer = self.call(Method::POST, url, headers, body).await;
        answer.map_err(|error| match error {
            HttpError::NotSent { detail } | HttpError::OutOfReach { detail } => {
                OutletError::Unreachable {
                    detail: self.hide(&detail),
                }
            }
            other => OutletError::Ambiguous {
                detail: self.hide(&other.to_string()),
            },
        })
    }

    /// Sends what may be sent twice: a question, a change, a deletion.
    ///
    /// # Errors
    /// `Unreachable` where no answer came.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Uri,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, OutletError> {
        let answer = self.call(method, url, headers, body).await;
        answer.map_err(|error| OutletError::Unreachable {
            detail: self.hide(&error.to_string()),
        })
    }

    async fn call(
        &self,
        method: Method,
        url: &Uri,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, HttpError> {
        let call = Call {
            method,
            url,
            headers,
            body,
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        self.client.call(call).await
    }

    /// What a response says in its own words, or else in its body, short and without secrets.
    pub(super) fn said(&self, response: &Response, words: Option<&str>) -> String {
        let body = String::from_utf8_lossy(&response.body);
        let words = words.unwrap_or(&body).trim();
        let words: String = self.hide(words).chars().take(MAX_DETAIL).collect();
        format!("HTTP status {}: {words}", response.status)
    }

    fn hide(&self, text: &str) -> String {
        let hide = |text: String, secret: &Secret| secret.hide_in(&text);
        self.secrets.iter().fold(text.to_owned(), hide)
    }
}

/// The address of a webhook that is its credential, and what of it no failure may show: servers
/// repeat the path that was called.
pub(super) fn webhook(address: &Secret) -> Option<(Url, Vec<Secret>)> {
    let url = Url::parse(address.expose()).ok().filter(Url::has_host)?;
    let called = &url[Position::BeforePath..Position::AfterQuery];
    let secrets = [address.expose(), called, url.path()];
    let secrets = secrets.into_iter().filter(|it| *it != "/");
    let secrets = secrets.map(Secret::new).collect();
    Some((url, secrets))
}

/// What the status of an answer to something published means, where its body says no more.
pub(super) fn by_status(response: &Response, detail: String) -> OutletError {
    match response.status {
        401 | 403 | 404 | 410 => OutletError::Auth { detail },
        429 => OutletError::Busy {
            wait: hints::from_headers(response).map(longer),
            detail,
        },
        400 | 405 | 413 | 415 | 422 => OutletError::Rejected { detail },
        408 | 409 | 500..=599 => OutletError::Ambiguous { detail },
        300..=399 => OutletError::Unreachable {
            detail: format!("redirected, expected the final address: {detail}"),
        },
        _ => OutletError::Unreachable { detail },
    }
}

/// A failure of something that may be done twice: what is open is not done, and is done again.
pub(super) fn repeatable(error: OutletError) -> OutletError {
    match error {
        OutletError::Ambiguous { detail } => OutletError::Unreachable { detail },
        other => other,
    }
}

/// A wait that a server asked for, with a margin.
pub(super) fn longer(wait: Duration) -> Duration {
    wait + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_shows_what_of_a_webhook_is_its_credential() {
        let address = Secret::new("https://example.org/hooks/key-1?token=key-2");
        let (url, secrets) = webhook(&address).expect("an address");
        let exchange = Exchange::new(&HttpConfig::default(), MARGIN, secrets);
        for repeated in [url.as_str(), "/hooks/key-1?token=key-2", "/hooks/key-1"] {
            assert_eq!(exchange.hide(repeated), "***");
        }
    }

    #[test]
    fn the_root_of_a_server_is_no_secret() {
        let address = Secret::new("https://example.org");
        let (_, secrets) = webhook(&address).expect("an address");
        let exchange = Exchange::new(&HttpConfig::default(), MARGIN, secrets);
        assert_eq!(exchange.hide("text/html"), "text/html");
    }
}

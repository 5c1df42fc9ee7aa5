//! The calls that a source makes to Mastodon's API.

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::SourceError;
use serde::de::DeserializeOwned;

use super::MastodonConfig;
use super::wire::{Account, Instance, Refusal, Status};
use crate::http::{
    Call, HttpClient, HttpConfig, HttpError, Incoming, Method, Response, Uri, hints,
};
use crate::secret::Secret;

/// The most bytes of an answer.
const MAX_BODY: usize = 8_000_000;
/// The most redirects that are followed; the token goes to the server itself alone.
const MAX_REDIRECTS: u8 = 3;
/// The most characters of an answer that a failure repeats.
const MAX_DETAIL: usize = 200;

/// A client of one server.
pub(super) struct Api {
    client: HttpClient,
    base: String,
    authorization: Option<Secret>,
    timeout: Duration,
}

/// A page of statuses, the newest first.
pub(super) struct Page {
    pub(super) statuses: Vec<Status>,
    /// Where the page of the newer ones begins, by the server's own word.
    pub(super) newer: Option<String>,
    /// Where the page of the older ones begins.
    pub(super) older: Option<String>,
}

impl Api {
    pub(super) fn new(config: &MastodonConfig) -> Self {
        let client = HttpClient::new(&HttpConfig {
            redirects: MAX_REDIRECTS,
            ..config.http.clone()
        });
        let token = config.token.as_ref();
        Self {
            client,
            base: config.base_url.to_string().trim_end_matches('/').to_owned(),
            authorization: token.map(|it| Secret::new(&format!("Bearer {}", it.expose()))),
            timeout: config.timeout,
        }
    }

    /// The account of that name.
    pub(super) async fn look_up(&self, name: &str) -> Result<Account, SourceError> {
        let acct: String =
            url::form_urlencoded::byte_serialize(name.trim_start_matches('@').as_bytes()).collect();
        let response = self
            .get(&format!("/api/v1/accounts/lookup?acct={acct}"))
            .await?;
        self.body(&response)
    }

    /// The newest statuses, or those right below another one.
    pub(super) async fn page_below(
        &self,
        account: &str,
        below: Option<&str>,
        limit: usize,
    ) -> Result<Page, SourceError> {
        let below = below.map_or_else(String::new, |id| format!("&max_id={id}"));
        self.page(account, &format!("limit={limit}{below}")).await
    }

    /// The statuses right above another one, without a gap; `since_id` would leave one.
    pub(super) async fn page_above(
        &self,
        account: &str,
        above: &str,
        limit: usize,
    ) -> Result<Page, SourceError> {
        self.page(account, &format!("limit={limit}&min_id={above}"))
            .await
    }

    async fn page(&self, account: &str, query: &str) -> Result<Page, SourceError> {
        let path = format!("/api/v1/accounts/{account}/statuses?{query}");
        let response = self.get(&path).await?;
        let statuses: Vec<Status> = self.body(&response)?;
        if statuses.iter().any(|status| status.id.is_empty()) {
            return Err(SourceError::Malformed {
                detail: "wanted statuses with ids, got some without".to_owned(),
            });
        }
        let links = response.header("link").unwrap_or_default();
        let newest = statuses.first().map(|it| it.id.clone());
        let oldest = statuses.last().map(|it| it.id.clone());
        Ok(Page {
            newer: linked(links, "prev", "min_id").or(newest),
            older: linked(links, "next", "max_id").or(oldest),
            statuses,
        })
    }

    /// Whether a status is not there any more.
    pub(super) async fn is_gone(&self, id: &str) -> Result<bool, SourceError> {
        let response = self.get(&format!("/api/v1/statuses/{id}")).await?;
        match response.status {
            404 | 410 => Ok(true),
            _ => self.body::<Status>(&response).map(|_| false),
        }
    }

    /// Opens the stream of whoever the token belongs to.
    pub(super) async fn open_stream(&self) -> Result<Incoming, SourceError> {
        let base = self.streaming_base().await?;
        let url = address(&format!("{base}/api/v1/streaming/user"))?;
        let mut headers = vec![
            ("accept", "text/event-stream"),
            ("accept-encoding", "identity"),
        ];
        let authorization = self.authorization.as_ref();
        headers.extend(authorization.map(|it| ("authorization", it.expose())));
        let call = Call {
            method: Method::GET,
            url: &url,
            headers: &headers,
            body: Bytes::new(),
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        let incoming = self.client.open(call).await.map_err(|it| failure(&it))?;
        match incoming.status {
            200..=299 => Ok(incoming),
            status => Err(SourceError::Refused {
                detail: format!("wanted a stream, got HTTP status {status}"),
            }),
        }
    }

    /// Where streams are: some servers have them at another address.
    async fn streaming_base(&self) -> Result<String, SourceError> {
        let mut response = self.get("/api/v2/instance").await?;
        if response.status == 404 {
            response = self.get("/api/v1/instance").await?;
        }
        let instance: Instance = self.body(&response)?;
        let told = instance.configuration.urls.streaming;
        let told = told.or(instance.urls.streaming_api);
        let told = told.map(|it| it.trim_end_matches('/').replacen("ws", "http", 1));
        // Over HTTP the token must not leave a server that is asked by HTTPS.
        let is_safe = |base: &String| {
            base.starts_with("https://") || (base.starts_with("http://") && is_plain(&self.base))
        };
        Ok(told.filter(is_safe).unwrap_or_else(|| self.base.clone()))
    }

    async fn get(&self, path: &str) -> Result<Response, SourceError> {
        let url = address(&format!("{}{path}", self.base))?;
        let mut headers = vec![("accept", "application/json")];
        let authorization = self.authorization.as_ref();
        headers.extend(authorization.map(|it| ("authorization", it.expose())));
        let call = Call {
            method: Method::GET,
            url: &url,
            headers: &headers,
            body: Bytes::new(),
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        match self.client.call(call.clone()).await {
            // The server may have closed a connection that was kept.
            Err(HttpError::Broken { .. }) => self.client.call(call).await,
            answer => answer,
        }
        .map_err(|error| failure(&error))
    }

    fn body<T: DeserializeOwned>(&self, response: &Response) -> Result<T, SourceError> {
        let detail = || self.detail(response);
        match response.status {
            200..=299 => {
                serde_json::from_slice(&response.body).map_err(|error| SourceError::Malformed {
                    detail: format!("wanted JSON of Mastodon's API, got something else: {error}"),
                })
            }
            410 => Err(SourceError::Gone { detail: detail() }),
            429 | 503 => Err(SourceError::Busy {
                wait: hints::from_headers(response).or_else(|| hints::until_reset(response)),
                detail: detail(),
            }),
            408 | 425 | 500..=599 => Err(SourceError::Unreachable { detail: detail() }),
            _ => Err(SourceError::Refused { detail: detail() }),
        }
    }

    fn detail(&self, response: &Response) -> String {
        let said = match serde_json::from_slice::<Refusal>(&response.body) {
            Ok(refusal) => refusal.error,
            Err(_) => String::from_utf8_lossy(&response.body).trim().to_owned(),
        };
        let said: String = said.chars().take(MAX_DETAIL).collect();
        let detail = format!("HTTP status {}: {said}", response.status);
        match &self.authorization {
            Some(secret) => secret.hide_in(&detail),
            None => detail,
        }
    }
}

fn is_plain(base: &str) -> bool {
    base.starts_with("http://")
}

fn address(url: &str) -> Result<Uri, SourceError> {
    url.parse().map_err(|_| SourceError::Malformed {
        detail: format!("`{url}` is no address"),
    })
}

fn failure(error: &HttpError) -> SourceError {
    let detail = error.to_string();
    match error {
        HttpError::TooLarge { .. } => SourceError::Malformed { detail },
        _ => SourceError::Unreachable { detail },
    }
}

/// What a link of this relation (RFC 8288) has in its query under `name`.
///
/// Only this is taken from it, so that no server can send the token elsewhere.
fn linked(header: &str, relation: &str, name: &str) -> Option<String> {
    let relation = format!("rel=\"{relation}\"");
    let link = header.split('<').find(|link| link.contains(&relation))?;
    let (target, _) = link.split_once('>')?;
    let (_, query) = target.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    let is_id = |id: &str| {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
        !id.is_empty() && id.chars().all(is_plain)
    };
    is_id(&value).then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_server_says() {
        let header = "<https://a.example/api/v1/accounts/1/statuses?limit=40&max_id=12>; rel=\"next\", \
                      <https://a.example/api/v1/accounts/1/statuses?limit=40&min_id=57>; rel=\"prev\"";
        assert_eq!(linked(header, "next", "max_id").as_deref(), Some("12"));
        assert_eq!(linked(header, "prev", "min_id").as_deref(), Some("57"));
        assert_eq!(linked(header, "prev", "since_id"), None);
        assert_eq!(linked("", "next", "max_id"), None);
    }
}

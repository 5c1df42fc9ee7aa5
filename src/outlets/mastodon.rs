//! An account on Mastodon, or on a server that speaks its API, as an outlet.
//!
//! The API is that of <https://docs.joinmastodon.org/methods/statuses/>. Mastodon keeps an
//! idempotency key for an hour after success; other servers ignore it or race on it, so after
//! an ambiguous answer the account's own statuses are read, unless the key still protects.

mod answer;
mod reconcile;
mod server;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::web::Bytes;
use anyhow::Context;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, Frozen, Outlet, OutletError, Published, ReadBack};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::http::{Call, HttpClient, HttpConfig, HttpError, Method, Response, Uri};
use crate::secret::Secret;
use server::Server;
pub use wire::Visibility;

/// How long after an ambiguous answer a post may still arrive.
const QUIET: Duration = Duration::from_secs(30);
/// How long a key protects a resend on Mastodon itself, which keeps keys for an hour.
const KEY_LIFE: Duration = Duration::from_secs(55 * 60);
/// The most bytes of an answer.
const MAX_BODY: usize = 4_000_000;
/// The most published ids that are remembered, to be told from what is looked for.
const MAX_KNOWN: usize = 1000;

/// What a Mastodon outlet is told.
#[derive(Clone, Debug)]
pub struct MastodonConfig {
    /// The server, like `https://mastodon.example`.
    pub base_url: Uri,
    /// The account's token, with the scopes `write:statuses` and `read`.
    pub token: Secret,
    /// The account that the token must belong to, like `@ana` or `ana@mastodon.example`; none
    /// leaves it to the token.
    pub account: Option<String>,
    /// Who sees the posts; none leaves it to the account's settings.
    pub visibility: Option<Visibility>,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// An outlet that posts to an account; bound to its arbiter, like the client it holds.
pub struct MastodonOutlet {
    config: MastodonConfig,
    statuses: Uri,
    authorization: Secret,
    client: HttpClient,
    server: Cell<Option<Server>>,
    account: RefCell<Option<Arc<str>>>,
    /// What was published lately: (status, key).
    known: RefCell<VecDeque<(Arc<str>, Arc<str>)>>,
}

impl MastodonOutlet {
    /// An outlet to that account; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: MastodonConfig) -> anyhow::Result<Self> {
        // A redirected POST would become a GET, so none is followed.
        let client = HttpClient::new(&HttpConfig {
            redirects: 0,
            ..config.http.clone()
        });
        Ok(Self {
            statuses: address(&config.base_url, "/api/v1/statuses").with_context(|| {
                format!(
                    "`{}` is no base address, expected one like `https://mastodon.example`",
                    config.base_url
                )
            })?,
            authorization: Secret::new(&format!("Bearer {}", config.token.expose())),
            client,
            server: Cell::new(None),
            account: RefCell::new(None),
            known: RefCell::new(VecDeque::new()),
            config,
        })
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let headers = [
            ("authorization", self.authorization.expose()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("idempotency-key", &part.key),
        ];
        let call = Call {
            method: Method::POST,
            url: &self.statuses,
            headers: &headers,
            body: Bytes::copy_from_slice(&part.bytes),
            timeout: self.config.timeout,
            max_body: MAX_BODY,
        };
        let answer = self.client.call(call).await;
        let published = answer::of_post(answer, &self.config.token)?;
        self.remember(&published.id, &part.key);
        Ok(published)
    }

    async fn get(&self, path: &str) -> Result<Response, OutletError> {
        let url =
            address(&self.config.base_url, path).map_err(|error| OutletError::Unreachable {
                detail: format!("`{path}` is no path: {error}"),
            })?;
        let headers = [
            ("authorization", self.authorization.expose()),
            ("accept", "application/json"),
        ];
        let call = Call {
            method: Method::GET,
            url: &url,
            headers: &headers,
            body: Bytes::new(),
            timeout: self.config.timeout,
            max_body: MAX_BODY,
        };
        self.client
            .call(call)
            .await
            .map_err(|error: HttpError| OutletError::Unreachable {
                detail: error.to_string(),
            })
    }

    /// What the server is, asked at most once a day.
    async fn server(&self) -> Result<Server, OutletError> {
        if let Some(server) = self.server.get().filter(Server::is_fresh) {
            return Ok(server);
        }
        let server = Server::ask(self).await?;
        self.server.set(Some(server));
        Ok(server)
    }

    /// The account's id, asked once.
    async fn account(&self) -> Result<Arc<str>, OutletError> {
        if let Some(id) = self.account.borrow().clone() {
            return Ok(id);
        }
        let response = self.get("/api/v1/accounts/verify_credentials").await?;
        let account: wire::Account = answer::of_get(&response, &self.config.token)?;
        if let Some(wanted) = &self.config.account
            && !is_account(wanted, &account.acct)
        {
            return Err(OutletError::Auth {
                detail: format!(
                    "the token belongs to `{}`, expected the account `{wanted}`",
                    account.acct
                ),
            });
        }
        let id: Arc<str> = account.id.into();
        *self.account.borrow_mut() = Some(id.clone());
        Ok(id)
    }

    async fn look_for(&self, part: &Frozen) -> Result<ReadBack, OutletError> {
        if self.server().await?.keeps_keys && age(part.mark) < KEY_LIFE {
            return Ok(ReadBack::Absent);
        }
        let found = reconcile::find(self, part).await?;
        let Some(published) = found else {
            return Ok(ReadBack::Absent);
        };
        self.remember(&published.id, &part.key);
        Ok(ReadBack::Found(published))
    }

    fn remember(&self, id: &Arc<str>, key: &Arc<str>) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_KNOWN {
            known.pop_front();
        }
        known.push_back((id.clone(), key.clone()));
    }

    /// Whether a status is known to be another publication's.
    fn is_taken(&self, id: &str, key: &str) -> bool {
        self.known
            .borrow()
            .iter()
            .any(|(known, owner)| &**known == id && &**owner != key)
    }
}

impl Outlet for MastodonOutlet {
    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        QUIET
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async {
            // Nothing may go out on another account than the one that is meant.
            if self.config.account.is_some() {
                self.account().await?;
            }
            self.server().await.map(|server| server.limit)
        }
        .boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let mark = now();
        async move {
            dispatches
                .into_iter()
                .map(|dispatch| wire::freeze(dispatch, self.config.visibility, mark))
                .collect()
        }
        .boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        async move {
            let mut answers = Vec::with_capacity(parts.len());
            for part in parts {
                answers.push(self.send(part).await);
            }
            answers
        }
        .boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        self.look_for(part).boxed_local()
    }
}

fn address(base: &Uri, path: &str) -> anyhow::Result<Uri> {
    anyhow::ensure!(base.host().is_some(), "it has no host");
    let base = base.to_string();
    Ok(format!("{}{path}", base.trim_end_matches('/')).parse()?)
}

/// Milliseconds since 1970 by our clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn age(mark: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(mark))
}

/// Whether an account's name on its server is the one that the settings name.
fn is_account(wanted: &str, acct: &str) -> bool {
    let name = wanted.trim_start_matches('@');
    let name = name.split('@').next().unwrap_or(name);
    name.eq_ignore_ascii_case(acct)
}

#[cfg(test)]
mod tests {
    use super::is_account;

    #[test]
    fn an_account_is_known_by_its_name_however_it_is_written() {
        for wanted in [
            "ana",
            "@ana",
            "Ana@mastodon.example",
            "@ana@mastodon.example",
        ] {
            assert!(is_account(wanted, "ana"), "{wanted}");
        }
        assert!(!is_account("@anabel", "ana"));
    }
}

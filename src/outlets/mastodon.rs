//! An account on Mastodon, or on a server that speaks its API, as an outlet.
//!
//! The API is that of <https://docs.joinmastodon.org/methods/statuses/>. Mastodon keeps an
//! idempotency key for an hour after success; other servers ignore it or race on it, and nobody
//! knows when what is read back is sent again. So the key goes along, but after an ambiguous
//! answer the account's own statuses are read, always.

mod answer;
mod attach;
mod language;
mod media;
mod reconcile;
mod scheduled;
mod server;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use anyhow::Context;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::exchange::Exchange;
use super::known::Known;
use super::part;
use crate::http::clock::ServerClock;
use crate::http::download::{DownloadConfig, Downloader};
use crate::http::{Call, HttpClient, HttpConfig, HttpError, Method, Response, Uri};
use crate::secret::Secret;
use media::Uploads;
use server::Server;
pub use wire::Visibility;

/// The most bytes of an answer.
const MAX_BODY: usize = 4_000_000;

/// What a Mastodon outlet is told.
#[derive(Clone, Debug)]
pub struct MastodonConfig {
    /// The server, like `https://mastodon.example`.
    pub base_url: Uri,
    /// The account's token, with the scopes `write:statuses`, `write:media` and `read`.
    pub token: Secret,
    /// The account that the token must belong to, like `@ana` or `ana@mastodon.example`; none
    /// leaves it to the token.
    pub account: Option<String>,
    /// How long after its planning a post is published by the server itself, which shows it to the
    /// account until then; none: at once.
    pub schedule: Option<Duration>,
    /// How long after an ambiguous answer a post may still arrive.
    pub quiet: Duration,
    /// Who sees the posts; none leaves it to the account's settings.
    pub visibility: Option<Visibility>,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
    /// How media are downloaded before they are attached.
    pub download: DownloadConfig,
}

/// An outlet that posts to an account; bound to its arbiter, like the client it holds.
pub struct MastodonOutlet {
    config: MastodonConfig,
    statuses: Uri,
    authorization: Secret,
    client: HttpClient,
    /// For what changes something.
    exchange: Exchange,
    /// For files, which take longer.
    uploader: Exchange,
    downloader: Downloader,
    server: RefCell<Option<Rc<Server>>>,
    account: RefCell<Option<Rc<wire::Account>>>,
    /// What was handed in lately.
    uploads: Uploads,
    /// What was published lately.
    known: Known,
    /// What the server was lately given to be published by itself, by the ids of its list.
    scheduled: Known,
    clock: ServerClock,
}

impl MastodonOutlet {
    /// An outlet to that account; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: MastodonConfig) -> anyhow::Result<Self> {
        // No redirect is followed, as with what is posted: the final address is expected.
        let http = HttpConfig {
            redirects: 0,
            ..config.http.clone()
        };
        let exchange = |timeout| Exchange::new(&config.http, timeout, vec![config.token.clone()]);
        Ok(Self {
            statuses: address(&config.base_url, "/api/v1/statuses").with_context(|| {
                format!(
                    "`{}` is no base address, expected one like `https://mastodon.example`",
                    config.base_url
                )
            })?,
            authorization: Secret::new(&format!("Bearer {}", config.token.expose())),
            client: HttpClient::new(&http),
            exchange: exchange(config.timeout),
            uploader: exchange(config.timeout.max(media::UPLOAD)),
            downloader: Downloader::new(&config.download),
            server: RefCell::new(None),
            account: RefCell::new(None),
            uploads: Uploads::default(),
            known: Known::default(),
            scheduled: Known::default(),
            clock: ServerClock::default(),
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
        let body = Bytes::copy_from_slice(&part.bytes);
        let response = self.exchange.publish(&self.statuses, &headers, body);
        match answer::of_post(&response.await?, &self.exchange) {
            Ok(status) => match &status.scheduled_at {
                Some(at) => Err(scheduled::taken(self, part, &status.id, at)),
                None => {
                    let published = answer::published(status);
                    self.known.note(&published.id, &part.key);
                    Ok(published)
                }
            },
            Err(refusal @ OutletError::Rejected { .. }) => {
                let status = part::thawed(part)?;
                let refusal = media::judge(self, part, &status, refusal).await;
                Err(scheduled::judge(self, &status, refusal).await)
            }
            Err(error) => Err(error),
        }
    }

    async fn change(&self, part: &Frozen, published: &Published) -> Result<Published, OutletError> {
        let status: wire::NewStatus = part::thawed(part)?;
        let attributes = media::attributes(part, &status.media_ids);
        let change = wire::ChangedStatus::to(status, attributes);
        let body = part::json(&change)?.into();
        let response = self.alter(Method::PUT, published, body).await?;
        answer::of_change(&response, &self.exchange)
    }

    async fn take_back(&self, published: &Published) -> Result<(), OutletError> {
        let response = self.alter(Method::DELETE, published, Bytes::new()).await?;
        answer::of_delete(&response, &self.exchange)
    }

    /// Changes or deletes a status. Doing it twice does it once, so a failure leaves it undone.
    async fn alter(
        &self,
        method: Method,
        published: &Published,
        body: Bytes,
    ) -> Result<Response, OutletError> {
        let url = self.address(&format!("/api/v1/statuses/{}", published.id))?;
        let headers = [
            ("authorization", self.authorization.expose()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ];
        self.exchange.ask(method, &url, &headers, body).await
    }

    async fn get(&self, path: &str) -> Result<Response, OutletError> {
        let url = self.address(path)?;
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
        let response = match self.client.call(call.clone()).await {
            // The server may have closed a connection that was kept.
            Err(HttpError::Broken { .. }) => self.client.call(call).await,
            answer => answer,
        };
        let response = response.map_err(unreachable)?;
        self.clock.note(&response);
        Ok(response)
    }

    fn address(&self, path: &str) -> Result<Uri, OutletError> {
        address(&self.config.base_url, path).map_err(|error| OutletError::Unreachable {
            detail: format!("`{path}` is no path: {error}"),
        })
    }

    /// What the server is, asked at most once a day.
    async fn server(&self) -> Result<Rc<Server>, OutletError> {
        let known = self.server.borrow().clone();
        if let Some(server) = known.filter(|server| server.is_fresh()) {
            return Ok(server);
        }
        let server = Rc::new(Server::ask(self).await?);
        *self.server.borrow_mut() = Some(Rc::clone(&server));
        Ok(server)
    }

    /// The account, asked once.
    async fn account(&self) -> Result<Rc<wire::Account>, OutletError> {
        if let Some(account) = self.account.borrow().clone() {
            return Ok(account);
        }
        let response = self.get("/api/v1/accounts/verify_credentials").await?;
        if response.status == 422 {
            // What Mastodon says to a token without a user, and snac2 to one that is none.
            return Err(OutletError::Auth {
                detail: answer::detail(&response, &self.exchange),
            });
        }
        let account: wire::Account = answer::of_get(&response, &self.exchange)?;
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
        let account = Rc::new(account);
        *self.account.borrow_mut() = Some(Rc::clone(&account));
        Ok(account)
    }

    /// The id of a status of this account, by the address where people read it; none if it is
    /// another's.
    async fn own_status(&self, url: &str) -> Result<Option<String>, OutletError> {
        let account = self.account().await?;
        let Ok(own) = address(&self.config.base_url, &format!("/@{}/", account.acct)) else {
            return Ok(None);
        };
        let id = url.strip_prefix(&own.to_string());
        let is_id = |id: &&str| !id.is_empty() && id.chars().all(|it| it.is_ascii_alphanumeric());
        Ok(id.filter(is_id).map(str::to_owned))
    }

    async fn look_for(&self, part: &Frozen) -> Result<ReadBack, OutletError> {
        let wanted: wire::NewStatus = part::thawed(part)?;
        if let Some(at) = &wanted.scheduled_at {
            return scheduled::look_for(self, part, &wanted, at).await;
        }
        let found = reconcile::find(self, part).await?;
        Ok(found.map_or(ReadBack::Absent, ReadBack::Found))
    }
}

impl Outlet for MastodonOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            media: true,
            quotes: true,
        }
    }

    fn author(&self) -> Option<String> {
        let host = self.config.base_url.host()?;
        let account = self.account.borrow();
        account.as_ref().map(|it| format!("@{}@{host}", it.acct))
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        self.config.quiet
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async {
            // A token that is not accepted is told before anything waits for it, and nothing may go
            // out on another account than the one that is meant.
            self.account().await?;
            if self.config.schedule.is_some() {
                scheduled::probe(self).await?;
            }
            self.server().await.map(|server| server.limit)
        }
        .boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let freeze = async |dispatch: Dispatch| {
            let hung = attach::hang(self, &dispatch).await?;
            if !self.clock.is_shown() {
                self.server().await?;
            }
            let at = scheduled::time(self, &dispatch);
            // Nothing is posted before now, however long media took.
            let mark = reconcile::mark(&self.clock);
            wire::freeze(dispatch, hung, self.config.visibility, at, mark)
        };
        part::freeze_each(dispatches, freeze).boxed_local()
    }

    fn remember(&self, publications: &[Arc<Publication>]) {
        self.known.note_all(publications);
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let send = async |part: &Frozen| self.send(part).await;
        part::send_each(parts, send).boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        self.look_for(part).boxed_local()
    }

    fn unschedule<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        scheduled::take_back(self, part).boxed_local()
    }

    fn edit<'a>(
        &'a self,
        part: &'a Frozen,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<Published, OutletError>> {
        self.change(part, published).boxed_local()
    }

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        self.take_back(published).boxed_local()
    }
}

fn unreachable(error: HttpError) -> OutletError {
    OutletError::Unreachable {
        detail: error.to_string(),
    }
}

fn address(base: &Uri, path: &str) -> anyhow::Result<Uri> {
    anyhow::ensure!(base.host().is_some(), "it has no host");
    let base = base.to_string();
    Ok(format!("{}{path}", base.trim_end_matches('/')).parse()?)
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

//! An account on X as an outlet.
//!
//! X knows no idempotency keys. After an ambiguous answer the account's own posts are read, once
//! its time of quiet is over and a second time after a pause, before anything is sent again. A
//! process that is frozen between that look and the sending can still double a post there.

mod answer;
mod media;
mod reconcile;
mod upload;
mod wire;

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::failures::Failures;
use super::known::Known;
use super::{part, words};
use crate::http::Method;
use crate::http::download::{DownloadConfig, Downloader};
use crate::x::answer::{Refusal, refusal};
use crate::x::bill::Bill;
use crate::x::post::Shown;
use crate::x::prices::Prices;
use crate::x::{Api, ApiConfig, Content, Question};
use media::Uploads;
use reconcile::Since;
pub use wire::Quotes;
use wire::{Account, Data, Posted, Text};

/// The most parts whose uploads, and whose duplicates, are remembered.
const MAX_PARTS: usize = 100;
/// How often X may fail over the media of a post before that is laid to them; meanwhile the outlet
/// rests, for half an hour in all.
const MAX_SETBACKS: u32 = 12;

/// What an outlet on X is told.
#[derive(Clone, Debug)]
pub struct XConfig {
    /// Where and as whom X is called; as an account, since an app alone cannot publish.
    pub api: ApiConfig,
    /// The account that the credential must belong to, like `@ana`; none leaves it to the
    /// credential.
    pub account: Option<String>,
    /// The most that a post may weigh.
    pub max: usize,
    /// What becomes of the posts that are quoted.
    pub quotes: Quotes,
    /// What X charges.
    pub prices: Prices,
    /// How long after an ambiguous answer a post may still appear.
    pub quiet: Duration,
    /// How long after a first look in vain the account is read again.
    pub pause: Duration,
    /// How media are fetched.
    pub download: DownloadConfig,
}

impl XConfig {
    /// How long after an ambiguous answer a post may usually still appear.
    pub const QUIET: Duration = Duration::from_secs(180);
    /// How long after a first look in vain an account is usually read again.
    pub const PAUSE: Duration = Duration::from_secs(30);
}

/// An outlet that posts to an account; bound to its arbiter, like the client it holds.
pub struct XOutlet {
    config: XConfig,
    /// It keeps no connection, because one that the server closed meanwhile would leave open
    /// whether something was published.
    api: Api,
    downloader: Downloader,
    account: RefCell<Option<Account>>,
    /// What was published lately.
    known: Known,
    uploads: Uploads,
    /// How often media could not be had.
    failures: Failures,
    /// How often X did not take them.
    setbacks: Failures,
    /// What was read.
    bill: Bill,
    /// The keys of parts that X called a duplicate of a post that is not there.
    doubles: RefCell<HashSet<Arc<str>>>,
}

impl XOutlet {
    /// An outlet to that account; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: XConfig) -> anyhow::Result<Self> {
        let mut api = config.api.clone();
        api.http.keep_alive = Duration::ZERO;
        Ok(Self {
            api: Api::new(api)?,
            downloader: Downloader::new(&config.download),
            bill: Bill::new(config.prices, Rc::default()),
            config,
            account: RefCell::new(None),
            known: Known::default(),
            uploads: Uploads::default(),
            failures: Failures::up_to(Failures::OF_DOWNLOADS),
            setbacks: Failures::up_to(MAX_SETBACKS),
            doubles: RefCell::new(HashSet::new()),
        })
    }

    const fn most(&self) -> Limit {
        Limit::X {
            max: self.config.max,
        }
    }

    async fn freeze_one(&self, dispatch: Dispatch) -> Result<Frozen, OutletError> {
        // What is refused anyway is worth no upload, of which words are paid for.
        wire::check(&dispatch, self.most())?;
        let publication = dispatch.publication.id;
        let media = match part::attached(&dispatch) {
            Some(attached) => self.uploaded(publication, attached).await?,
            None => Vec::new(),
        };
        let text = self.text(&dispatch)?;
        for piece in &text.left_out {
            words::say_left_out(publication, piece);
        }
        let mark = part::mark(self.api.time());
        wire::freeze(dispatch, text.whole, media, self.config.quotes, mark)
    }

    /// The text of a part as it is posted, as far as it is known what becomes of its media.
    fn text(&self, dispatch: &Dispatch) -> Result<Text, OutletError> {
        let fates = self.uploads.of(dispatch.publication.id);
        let attached = part::attached(dispatch);
        let links = attached.map(|attached| fates.links(attached));
        let links = links.unwrap_or_default();
        wire::text(dispatch, self.most(), self.config.quotes, links)
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let body = Content::Json(Bytes::copy_from_slice(&part.bytes));
        let answer = self.api.call(Question::post("/2/tweets", body)).await;
        let response = answer.map_err(answer::not_posted)?;
        // Whatever happens to them now, they are not attached twice.
        self.uploads.spend(part.dispatch.publication.id);
        if response.is_success() {
            let posted: Data<Posted> =
                answer::read(&response.body).map_err(|detail| OutletError::Ambiguous { detail })?;
            return Ok(self.published(posted.data.id, &part.key));
        }
        match refusal(&response, |text| self.api.without_secrets(text)) {
            (Refusal::Duplicate, detail) => self.after_duplicate(part, detail).await,
            (refusal, detail) => Err(answer::of_post(refusal, detail)),
        }
    }

    /// What became of a part that X calls a duplicate: it may be out since an earlier attempt.
    async fn after_duplicate(
        &self,
        part: &Frozen,
        detail: String,
    ) -> Result<Published, OutletError> {
        if let Ok(Some(published)) = reconcile::find(self, part, Since::Planned).await {
            return Ok(published);
        }
        // Once more after the time of quiet; if it is not there then, it is another's text.
        let mut doubles = self.doubles.borrow_mut();
        if doubles.remove(&part.key) {
            return Err(OutletError::Rejected {
                detail: format!("{detail}; no post of this publication is there"),
            });
        }
        if doubles.len() >= MAX_PARTS {
            doubles.clear();
        }
        doubles.insert(Arc::clone(&part.key));
        Err(OutletError::Ambiguous { detail })
    }

    async fn look_for(&self, part: &Frozen) -> Result<ReadBack, OutletError> {
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(self.config.pause).await;
            }
            if let Some(published) = reconcile::find(self, part, Since::Frozen).await? {
                return Ok(ReadBack::Found(published));
            }
        }
        Ok(ReadBack::Absent)
    }

    async fn remove(&self, id: &str) -> Result<(), OutletError> {
        let path = format!("/2/tweets/{id}");
        let question = Question {
            method: Method::DELETE,
            ..Question::get(&path, &[])
        };
        let response = self.api.call(question).await.map_err(answer::not_asked)?;
        if response.is_success() {
            return Ok(());
        }
        match refusal(&response, |text| self.api.without_secrets(text)) {
            (Refusal::Missing, _) => Ok(()),
            (refusal, detail) => Err(answer::of_get(refusal, detail)),
        }
    }

    /// Whose posts these are, asked once.
    async fn account(&self) -> Result<Account, OutletError> {
        if let Some(account) = self.account.borrow().clone() {
            return Ok(account);
        }
        let known = self.api.account().filter(|_| self.config.account.is_none());
        let account = match known {
            Some(id) => Account {
                id: id.to_owned(),
                username: String::new(),
            },
            None => self.ask_account().await?,
        };
        *self.account.borrow_mut() = Some(account.clone());
        Ok(account)
    }

    async fn ask_account(&self) -> Result<Account, OutletError> {
        let question = Question::get("/2/users/me", &[]);
        let found: Data<Account> = answer::ask(&self.api, question).await?;
        self.bill.add_own_user(part::mark(self.api.time()));
        let account = found.data;
        match &self.config.account {
            Some(wanted) if !is_account(wanted, &account.username) => Err(OutletError::Auth {
                detail: format!(
                    "the credential belongs to `{}`, expected the account `{wanted}`",
                    account.username
                ),
            }),
            _ => Ok(account),
        }
    }

    /// Notes a post of the account's own that was read, which is charged for.
    fn note_read(&self, post: &Shown) {
        self.bill.add_own_post(post, part::mark(self.api.time()));
    }

    fn published(&self, id: String, key: &Arc<str>) -> Published {
        let id: Arc<str> = id.into();
        self.known.note(&id, key);
        let account = self.account.borrow();
        let names = account.as_ref().map(|account| account.username.as_str());
        let name = names.filter(|name| !name.is_empty()).unwrap_or("i");
        Published {
            url: Some(format!("https://x.com/{name}/status/{id}").into()),
            id,
        }
    }

    /// Whether a post is known to be another part's.
    fn is_taken(&self, id: &str, part: &Frozen) -> bool {
        let parts = &part.dispatch.publication.parts;
        let is_sibling = parts.iter().any(|it| it.id.as_deref() == Some(id));
        is_sibling || self.known.is_anothers(id, &part.key)
    }
}

impl Outlet for XOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: false,
            deletes: true,
            replies: true,
            media: true,
            quotes: self.config.quotes == Quotes::Shown,
        }
    }

    fn author(&self) -> Option<String> {
        let account = self.account.borrow();
        let name = account.as_ref().map(|it| it.username.as_str());
        name.filter(|name| !name.is_empty()).map(str::to_owned)
    }

    fn batch(&self) -> usize {
        1
    }

    fn cost(&self, dispatch: &Dispatch) -> f64 {
        let prices = &self.config.prices;
        let text = self.text(dispatch);
        let post = text.map_or(0.0, |text| prices.of_post(&text.whole));
        let fates = self.uploads.of(dispatch.publication.id);
        let attached = part::attached(dispatch);
        let n_described = attached.map_or(0, |attached| fates.n_described(attached));
        post + prices.media_metadata * n_described as f64
    }

    fn cost_of_deletion(&self) -> f64 {
        self.config.prices.delete
    }

    fn charged(&self) -> f64 {
        self.bill.take()
    }

    fn quiet(&self) -> Duration {
        self.config.quiet
    }

    fn known_limit(&self) -> Option<Limit> {
        Some(self.most())
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async {
            // Nothing may go out on another account than the one that is meant.
            if self.config.account.is_some() {
                self.account().await?;
            }
            Ok(self.most())
        }
        .boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let freeze = async |dispatch: Dispatch| self.freeze_one(dispatch).await;
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

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        self.remove(&published.id).boxed_local()
    }
}

fn is_account(wanted: &str, username: &str) -> bool {
    wanted
        .trim_start_matches('@')
        .eq_ignore_ascii_case(username)
}

#[cfg(test)]
mod tests {
    use super::is_account;

    #[test]
    fn an_account_is_known_by_its_name_however_it_is_written() {
        assert!(is_account("@Ana", "ana"));
        assert!(is_account("ana", "Ana"));
        assert!(!is_account("@anabel", "ana"));
    }
}

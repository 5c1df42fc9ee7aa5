//! One poll of the accounts of a source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::Post;
use babelfeed_actors::ports::{Polled, SourceError, Unread};

use super::ask::Trouble;
use super::cursor::{Account, LATE, Seen, before, id_at, millis_of};
use super::query::{MAX_QUERY, left_out, names, queries};
use super::stream::Told;
use super::{Extent, Inner, User, depth, wire};
use crate::x::post::{Page, Shown};

/// The fewest and the most posts of a page.
pub(super) const PAGE: (usize, usize) = (5, 100);
/// How far back a search reaches for sure, in milliseconds: one day less than X says.
const REACH: u64 = 6 * 86_400_000;

/// A poll under way.
pub(super) struct Reader<'a> {
    pub(super) inner: &'a Inner,
    /// When it began, in milliseconds since 1970.
    pub(super) now: u64,
    pub(super) warnings: Vec<String>,
    seen: Seen,
    posts: BTreeMap<u64, Post>,
    unread: Unread,
}

impl<'a> Reader<'a> {
    /// A poll that goes on where that place is.
    pub(super) fn new(inner: &'a Inner, seen: Seen) -> Self {
        let now = now();
        inner.bill.remember(seen.recent(), seen.read_at(), now);
        inner.bill.remember_spent(seen.spent, now);
        Self {
            inner,
            now,
            warnings: Vec::new(),
            seen,
            posts: BTreeMap::new(),
            unread: Unread::default(),
        }
    }

    /// How many posts may be read now, as far as money is concerned.
    pub(super) fn affordable(&self) -> usize {
        match self.inner.config.usd_per_day {
            Some(usd) => self
                .inner
                .bill
                .affordable(usd, self.now)
                .map_or(0, |it| it.max(1)),
            None => usize::MAX,
        }
    }

    /// Reads every account for the first time.
    pub(super) async fn all(mut self) -> Result<Polled, SourceError> {
        for name in names(&self.inner.config) {
            self.begin(&name, Newest::All).await?;
        }
        self.finish()
    }

    /// Whether every account of the settings was read before.
    pub(super) fn knows_all(&self) -> bool {
        let mut names = names(&self.inner.config).into_iter();
        names.all(|name| self.seen.accounts.contains_key(&name))
    }

    /// Takes what the stream told, which is all there is.
    pub(super) fn told(mut self, told: Vec<Told>) -> Result<Polled, SourceError> {
        self.take_told(told);
        self.finish()
    }

    /// Reads what came since, and what accounts have that are new in the settings; takes what the
    /// stream told as well.
    pub(super) async fn since(mut self, told: Vec<Told>) -> Result<Polled, SourceError> {
        let (known, new): (Vec<String>, Vec<String>) = names(&self.inner.config)
            .into_iter()
            .partition(|name| self.seen.accounts.contains_key(name));
        self.seen.accounts.retain(|name, _| known.contains(name));
        for name in new {
            self.begin(&name, Newest::Wanted).await?;
        }
        let (mut alone, together): (Vec<String>, Vec<String>) = known
            .into_iter()
            .partition(|name| self.seen.accounts[name].is_behind);
        alone.extend(match together.len() {
            0..=1 => together,
            _ => self.search(together).await?,
        });
        for name in alone {
            self.follow(&name).await?;
        }
        self.take_told(told);
        self.finish()
    }

    /// Goes on behind what came since, which is read no further than to its newest posts.
    pub(super) async fn skip(mut self, told: &[Told]) -> Result<Polled, SourceError> {
        let numbers = told.iter().map(|told| told.number);
        self.seen.told = self.seen.told.max(numbers.max().unwrap_or_default());
        for name in names(&self.inner.config) {
            let known = self.seen.accounts.get(&name).cloned();
            match known {
                Some(account) => self.skip_of(&name, account).await?,
                None => self.begin(&name, Newest::Wanted).await?,
            }
        }
        self.finish()
    }

    async fn skip_of(&mut self, name: &str, account: Account) -> Result<(), SourceError> {
        let newest = match self.posts_since(&account, PAGE.0).await {
            Ok(pages) => pages,
            Err(trouble) => return self.fall_behind(name, trouble),
        };
        let since = account.since;
        self.take(name, &newest, u64::MAX);
        let read = shown(&newest).map(Shown::number).chain([since]).collect();
        let begun = Account::begun(account.id, read);
        self.seen.accounts.insert(name.to_owned(), begun);
        Ok(())
    }

    /// Takes the posts of the accounts from what the stream told; it tells them out of order.
    fn take_told(&mut self, told: Vec<Told>) {
        for told in told {
            self.seen.told = self.seen.told.max(told.number);
            let Some(line) = &told.what else {
                continue;
            };
            let Some(shown) = &line.data else {
                continue;
            };
            let mut accounts = self.seen.accounts.iter_mut();
            let author = accounts.find(|(_, it)| shown.author_id.as_ref() == Some(&it.id));
            if let Some((name, account)) = author {
                let number = shown.number();
                if account.note(number) {
                    let post = wire::post(shown, &line.includes, &self.inner.config, name);
                    self.posts.insert(number, post);
                }
                // What is missing of one that is behind is still to be asked for.
                if !account.is_behind {
                    account.move_on(before(number, LATE));
                }
            }
        }
    }

    /// What was found, with the place behind it.
    fn finish(mut self) -> Result<Polled, SourceError> {
        let told = self.inner.told.take();
        let warnings: Vec<String> = self
            .warnings
            .iter()
            .filter(|warning| !told.contains(*warning))
            .cloned()
            .collect();
        if self.seen.accounts.is_empty()
            && let Some(detail) = self.warnings.pop()
        {
            return Err(SourceError::Refused { detail });
        }
        *self.inner.told.borrow_mut() = self.warnings.into_iter().collect();
        self.seen.settle(self.now);
        self.seen.spent = self.inner.bill.spent(self.now);
        Ok(Polled {
            posts: self.posts.into_values().collect(),
            cursor: Some(self.seen.to_cursor()),
            warnings,
            unread: self.unread,
            ..Polled::default()
        })
    }

    /// Reads an account for the first time, no further back than is wanted.
    async fn begin(&mut self, name: &str, newest: Newest) -> Result<(), SourceError> {
        let user = match self.look_up(name).await {
            Ok(user) => user,
            Err(trouble) => return self.pass_over(name, trouble),
        };
        let wanted = self.inner.config.backfill.unwrap_or(usize::MAX);
        let most = match self.inner.config.extent {
            Extent::Whole => wanted,
            Extent::Look => wanted.min(PAGE.1),
        };
        let path = format!("/2/users/{}/tweets", user.id);
        let mut query = Vec::new();
        let left_out = left_out(&self.inner.config);
        query.extend(left_out.as_deref().map(|it| ("exclude", it)));
        let pages = match self.pages(&path, &query, most).await {
            Ok(pages) => pages,
            Err(trouble) => return self.pass_over(name, trouble),
        };
        self.note_unread(&user, &pages, wanted);
        let read: BTreeSet<u64> = shown(&pages).map(Shown::number).collect();
        let account = Account::begun(user.id, read);
        self.seen.accounts.insert(name.to_owned(), account);
        let most = match newest {
            Newest::All => usize::MAX,
            Newest::Wanted => most,
        };
        let config = &self.inner.config;
        let posts = pages.iter().flat_map(|page| {
            let posts = page.data.iter();
            posts.map(|post| {
                let made = wire::post(post, &page.includes, config, name);
                (post.number(), made)
            })
        });
        self.posts.extend(posts.take(most));
        Ok(())
    }

    /// Notes what a run would read beyond what a look reads.
    fn note_unread(&mut self, user: &User, pages: &[Page], wanted: usize) {
        let is_whole = pages.last().is_none_or(|it| it.meta.next_token.is_none());
        let config = &self.inner.config;
        if is_whole || config.extent == Extent::Whole {
            return;
        }
        let depth = depth(config);
        let there = user.n_posts().map_or(depth, |n_posts| n_posts.min(depth));
        let n_read = shown(pages).count();
        let n_unread = there.min(wanted).saturating_sub(n_read);
        let price = self
            .inner
            .bill
            .price(Some(&user.id), self.inner.api.account());
        self.unread.posts += n_unread;
        self.unread.usd += n_unread as f64 * price;
    }

    /// Reads what came since at one account.
    async fn follow(&mut self, name: &str) -> Result<(), SourceError> {
        let Some(account) = self.seen.accounts.get(name).cloned() else {
            return Ok(());
        };
        match self.posts_since(&account, usize::MAX).await {
            // A timeline is whole.
            Ok(pages) => self.take(name, &pages, u64::MAX),
            Err(trouble) => return self.fall_behind(name, trouble),
        }
        Ok(())
    }

    /// What came since at one account, the newest first, until there are so many.
    async fn posts_since(&mut self, account: &Account, most: usize) -> Result<Vec<Page>, Trouble> {
        let path = format!("/2/users/{}/tweets", account.id);
        let since = account.since.to_string();
        let mut query = vec![("since_id", since.as_str())];
        let left_out = left_out(&self.inner.config);
        query.extend(left_out.as_deref().map(|it| ("exclude", it)));
        self.pages(&path, &query, most).await
    }

    /// Notes that what is missing of an account is to be asked for.
    fn fall_behind(&mut self, name: &str, trouble: Trouble) -> Result<(), SourceError> {
        if let Some(account) = self.seen.accounts.get_mut(name) {
            account.is_behind = true;
        }
        self.pass_over(name, trouble)
    }

    /// Reads what came since at all of these by search; returns those that it does not reach.
    async fn search(&mut self, names: Vec<String>) -> Result<Vec<String>, SourceError> {
        let since = self.seen.search_from(&names);
        if self.now.saturating_sub(millis_of(since)) > REACH {
            return Ok(names);
        }
        let since = since.to_string();
        let mut found = Vec::new();
        for query in queries(&self.inner.config, &names, MAX_QUERY) {
            let query = [("query", query.as_str()), ("since_id", since.as_str())];
            let path = "/2/tweets/search/recent";
            match self.pages(path, &query, usize::MAX).await {
                Ok(pages) => found.extend(pages),
                // Which account it is about is not told, so each is asked alone.
                Err(Trouble::Account(_)) => return Ok(names),
                Err(Trouble::All(error)) => return Err(error),
            }
        }
        let whole = id_at(self.now.saturating_sub(LATE));
        for name in &names {
            self.take(name, &found, whole);
        }
        Ok(Vec::new())
    }

    /// Takes of pages that which is new of one account; nothing older than `whole` is missing in
    /// them.
    fn take(&mut self, name: &str, pages: &[Page], whole: u64) {
        let Some(account) = self.seen.accounts.get_mut(name) else {
            return;
        };
        let mut newest = account.since;
        for page in pages {
            for post in &page.data {
                if post.author_id.as_deref() != Some(&account.id) {
                    continue;
                }
                let number = post.number();
                newest = newest.max(number);
                if account.note(number) {
                    let made = wire::post(post, &page.includes, &self.inner.config, name);
                    self.posts.insert(number, made);
                }
            }
        }
        account.move_on(newest.min(whole));
    }

    /// Goes on without an account that cannot be read; not where all have the same trouble.
    fn pass_over(&mut self, name: &str, trouble: Trouble) -> Result<(), SourceError> {
        match trouble {
            Trouble::All(error) => Err(error),
            Trouble::Account(detail) if self.inner.config.accounts.len() == 1 => {
                Err(SourceError::Refused { detail })
            }
            Trouble::Account(detail) => {
                self.warnings.push(format!("`{name}`: {detail}"));
                Ok(())
            }
        }
    }
}

/// How much of what was read at first sight is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    /// Everything: whoever polls without a place chooses.
    All,
    /// What is wanted of an account that is new in the settings.
    Wanted,
}

fn shown(pages: &[Page]) -> impl Iterator<Item = &Shown> {
    pages.iter().flat_map(|page| &page.data)
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

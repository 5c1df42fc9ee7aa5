//! One poll of the accounts of a source.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::Post;
use babelfeed_actors::ports::{Polled, SourceError};
use serde::Deserialize;

use super::cursor::{Account, Seen, before, millis_of};
use super::stream::Told;
use super::{Inner, LeftOut, XConfig, wire};
use crate::http::HttpError;
use crate::x::answer::{Refusal, refusal};
use crate::x::post::{Page, Shown};
use crate::x::{ApiError, Question};

/// The fewest and the most posts of a page.
const PAGE: (usize, usize) = (5, 100);
/// The most pages of one poll; a timeline ends before.
const MAX_PAGES: usize = 100;
/// The most characters of a search.
const MAX_QUERY: usize = 512;
/// The most characters of a rule of the stream.
pub(super) const MAX_RULE: usize = 1_024;
/// How far back a search reaches for sure, in milliseconds: one day less than X says.
const REACH: u64 = 6 * 86_400_000;
/// How much of what was read a search reads again, in milliseconds: it finds some posts late.
const OVERLAP: u64 = 300_000;

/// A poll under way.
pub(super) struct Reader<'a> {
    inner: &'a Inner,
    seen: Seen,
    posts: BTreeMap<u64, Post>,
    warnings: Vec<String>,
    cost_usd: f64,
}

/// An account that was looked up.
#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Found {
    data: Option<User>,
}

/// Why something was not read.
enum Trouble {
    /// It is about that account alone.
    Account(String),
    /// It is about all of them.
    All(SourceError),
}

impl<'a> Reader<'a> {
    /// A poll that goes on where that place is.
    pub(super) const fn new(inner: &'a Inner, seen: Seen) -> Self {
        Self {
            inner,
            seen,
            posts: BTreeMap::new(),
            warnings: Vec::new(),
            cost_usd: 0.0,
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
        let mut rest = known;
        if rest.len() > 1 {
            rest = self.search(rest).await?;
        }
        for name in rest {
            self.follow(&name).await?;
        }
        self.take_told(told);
        self.finish()
    }

    /// Takes the posts of the accounts from what the stream told; it tells them out of order.
    fn take_told(&mut self, told: Vec<Told>) {
        for told in told {
            self.seen.told = self.seen.told.max(told.number);
            let is_counted = self
                .inner
                .stream
                .as_ref()
                .is_some_and(|it| it.counts(&told));
            let Some(line) = &told.what else {
                continue;
            };
            let Some(shown) = &line.data else {
                continue;
            };
            if is_counted {
                self.cost_usd += self.price(shown);
            }
            let mut accounts = self.seen.accounts.iter();
            let author = accounts.find(|(_, it)| shown.author_id.as_ref() == Some(&it.id));
            if let Some(name) = author.map(|(name, _)| name.clone()) {
                let post = wire::post(shown, &line.includes, &self.inner.config, &name);
                self.posts.insert(number(shown), post);
                self.move_on(&name, Some(before(number(shown), OVERLAP)));
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
        Ok(Polled {
            posts: self.posts.into_values().collect(),
            cursor: Some(self.seen.to_cursor()),
            warnings,
            cost_usd: self.cost_usd,
            ..Polled::default()
        })
    }

    /// Reads an account for the first time, no further back than is wanted.
    async fn begin(&mut self, name: &str, newest: Newest) -> Result<(), SourceError> {
        let id = match self.look_up(name).await {
            Ok(id) => id,
            Err(trouble) => return self.pass_over(name, trouble),
        };
        let most = self.inner.config.backfill.unwrap_or(usize::MAX);
        let path = format!("/2/users/{id}/tweets");
        let n_page = most.clamp(PAGE.0, PAGE.1).to_string();
        let mut query = vec![("max_results", n_page.as_str())];
        let left_out = left_out(self.inner);
        query.extend(left_out.as_deref().map(|it| ("exclude", it)));
        let pages = match self.pages(&path, &query, most).await {
            Ok(pages) => pages,
            Err(trouble) => return self.pass_over(name, trouble),
        };
        let since = newest_of(&pages).unwrap_or(1);
        self.seen
            .accounts
            .insert(name.to_owned(), Account { id, since });
        let mut posts = self.made(&pages);
        if newest == Newest::Wanted {
            posts.truncate(most);
        }
        self.posts.extend(posts);
        Ok(())
    }

    /// Reads what came since at one account.
    async fn follow(&mut self, name: &str) -> Result<(), SourceError> {
        let Some(account) = self.seen.accounts.get(name).cloned() else {
            return Ok(());
        };
        let path = format!("/2/users/{}/tweets", account.id);
        let since = account.since.to_string();
        let mut query = vec![("max_results", "100"), ("since_id", since.as_str())];
        let left_out = left_out(self.inner);
        query.extend(left_out.as_deref().map(|it| ("exclude", it)));
        let pages = match self.pages(&path, &query, usize::MAX).await {
            Ok(pages) => pages,
            Err(trouble) => return self.pass_over(name, trouble),
        };
        self.move_on(name, newest_of(&pages));
        let posts = self.made(&pages);
        self.posts.extend(posts);
        Ok(())
    }

    /// Reads what came since at all of these by search; returns those that it does not reach.
    async fn search(&mut self, names: Vec<String>) -> Result<Vec<String>, SourceError> {
        let since = |name: &String| self.seen.accounts.get(name).map_or(1, |it| it.since);
        let newest = names.iter().map(since).max().unwrap_or(1);
        // A post is found late, if at all, by minutes: what is older was found.
        let since = before(newest, OVERLAP);
        if now().saturating_sub(millis_of(since)) > REACH {
            return Ok(names);
        }
        let since = since.to_string();
        for query in queries(&self.inner.config, &names, MAX_QUERY) {
            let query = [
                ("query", query.as_str()),
                ("max_results", "100"),
                ("since_id", since.as_str()),
            ];
            let path = "/2/tweets/search/recent";
            let pages = match self.pages(path, &query, usize::MAX).await {
                Ok(pages) => pages,
                // Which account it is about is not told, so each is asked alone.
                Err(Trouble::Account(_)) => return Ok(names),
                Err(Trouble::All(error)) => return Err(error),
            };
            for name in &names {
                self.take_found(name, &pages);
            }
        }
        Ok(Vec::new())
    }

    /// Takes of what a search found that which is new of one account.
    fn take_found(&mut self, name: &str, pages: &[Page]) {
        let Some(account) = self.seen.accounts.get(name).cloned() else {
            return;
        };
        let is_new = |post: &Shown| {
            post.author_id.as_deref() == Some(&account.id) && number(post) > account.since
        };
        let posts = pages.iter().flat_map(|page| {
            let new = page.data.iter().filter(|post| is_new(post));
            new.map(|post| {
                (
                    number(post),
                    wire::post(post, &page.includes, &self.inner.config, name),
                )
            })
        });
        let posts: Vec<(u64, Post)> = posts.collect();
        self.move_on(name, posts.iter().map(|(id, _)| *id).max());
        self.posts.extend(posts);
    }

    fn move_on(&mut self, name: &str, newest: Option<u64>) {
        if let (Some(newest), Some(account)) = (newest, self.seen.accounts.get_mut(name)) {
            account.since = account.since.max(newest);
        }
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

    /// The id of an account, which is asked once.
    async fn look_up(&mut self, name: &str) -> Result<String, Trouble> {
        if let Some(id) = self.inner.ids.borrow().get(name) {
            return Ok(id.clone());
        }
        let path = format!("/2/users/by/username/{name}");
        let found: Found = self.ask(Question::get(&path, &[])).await?;
        let user = found
            .data
            .ok_or_else(|| Trouble::Account("there is no such account".to_owned()))?;
        self.cost_usd += self.inner.config.prices.user_read;
        let mut ids = self.inner.ids.borrow_mut();
        ids.insert(name.to_owned(), user.id.clone());
        Ok(user.id)
    }

    /// Every page of an answer, until there are so many posts.
    async fn pages(
        &mut self,
        path: &str,
        query: &[(&str, &str)],
        most: usize,
    ) -> Result<Vec<Page>, Trouble> {
        let spelling = self.inner.api.spelling();
        let is_search = path.ends_with("/recent");
        let next = if is_search {
            "next_token"
        } else {
            "pagination_token"
        };
        let mut pages: Vec<Page> = Vec::new();
        let mut n_posts = 0;
        while pages.len() < MAX_PAGES {
            let token = pages.last().and_then(|page| page.meta.next_token.clone());
            let mut query = query.to_vec();
            query.extend([
                (spelling.parameter(), spelling.all_fields()),
                ("expansions", spelling.expansions()),
                ("media.fields", wire::MEDIA_FIELDS),
                ("poll.fields", wire::POLL_FIELDS),
            ]);
            query.extend(token.as_deref().map(|token| (next, token)));
            let page: Page = self.ask(Question::get(path, &query)).await?;
            self.cost_usd += self.cost_of(&page);
            n_posts += page.data.len();
            let is_last = page.meta.next_token.is_none();
            pages.push(page);
            if is_last || n_posts >= most {
                return Ok(pages);
            }
        }
        self.warnings.push(format!(
            "more than {n_posts} posts are new, those before them are passed over"
        ));
        Ok(pages)
    }

    /// What a page costs: a post is billed once a day, so not what a search reads again.
    fn cost_of(&self, page: &Page) -> f64 {
        let was_read = |post: &&Shown| {
            let mut accounts = self.seen.accounts.values();
            let author = accounts.find(|it| post.author_id.as_ref() == Some(&it.id));
            author.is_some_and(|author| number(post) <= author.since)
        };
        let new = page.data.iter().filter(|post| !was_read(post));
        new.map(|post| self.price(post)).sum()
    }

    fn price(&self, post: &Shown) -> f64 {
        let own = self.inner.api.account();
        let prices = &self.inner.config.prices;
        if own.is_some() && post.author_id.as_deref() == own {
            prices.owned_read
        } else {
            prices.post_read
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        question: Question<'_>,
    ) -> Result<T, Trouble> {
        let api = &self.inner.api;
        let response = api.call(question).await.map_err(|error| {
            let detail = error.to_string();
            Trouble::All(match error {
                ApiError::Refused { .. } => SourceError::Refused { detail },
                ApiError::NotRenewed { .. } | ApiError::Http(HttpError::NotSent { .. }) => {
                    SourceError::Unreachable { detail }
                }
                ApiError::Http(HttpError::TooLarge { .. }) => SourceError::Malformed { detail },
                ApiError::Http(_) => SourceError::Unreachable { detail },
            })
        })?;
        if response.is_success() {
            return serde_json::from_slice(&response.body).map_err(|error| {
                Trouble::All(SourceError::Malformed {
                    detail: format!("wanted posts as JSON, got what cannot be read: {error}"),
                })
            });
        }
        let (refusal, detail) = refusal(&response, |text| api.without_secrets(text));
        Err(match refusal {
            Refusal::Missing | Refusal::Rejected | Refusal::Duplicate => Trouble::Account(detail),
            Refusal::Credential | Refusal::Unpaid => Trouble::All(SourceError::Refused { detail }),
            Refusal::Busy(wait) => Trouble::All(SourceError::Busy { wait, detail }),
            Refusal::Unclear => Trouble::All(SourceError::Unreachable { detail }),
        })
    }

    /// The posts of pages of one account, the newest first.
    fn made(&self, pages: &[Page]) -> Vec<(u64, Post)> {
        let config = &self.inner.config;
        let ids = self.seen.accounts.iter();
        let names: BTreeMap<&str, &str> = ids
            .map(|(name, account)| (account.id.as_str(), name.as_str()))
            .collect();
        let posts = pages.iter().flat_map(|page| {
            let posts = page.data.iter();
            posts.map(|post| {
                let author = post.author_id.as_deref().and_then(|id| names.get(id));
                let name = author.copied().unwrap_or("i");
                (number(post), wire::post(post, &page.includes, config, name))
            })
        });
        posts.collect()
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

/// The names of the accounts, as they are compared.
pub(super) fn names(config: &XConfig) -> Vec<String> {
    let names = config.accounts.iter();
    names
        .map(|name| name.trim_start_matches('@').to_lowercase())
        .collect()
}

fn left_out(inner: &Inner) -> Option<String> {
    let words = inner.config.left_out.iter().map(|it| match it {
        LeftOut::Replies => "replies",
        LeftOut::Reposts => "retweets",
    });
    let words: Vec<&str> = words.collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// Searches for the posts of these accounts, each at most so long.
pub(super) fn queries(config: &XConfig, names: &[String], most: usize) -> Vec<String> {
    let ending: String = config
        .left_out
        .iter()
        .map(|it| match it {
            LeftOut::Replies => " -is:reply",
            LeftOut::Reposts => " -is:retweet",
        })
        .collect();
    let room = most - ending.len() - "()".len();
    let mut queries: Vec<String> = Vec::new();
    for name in names {
        let word = format!("from:{name}");
        match queries.last_mut() {
            Some(query) if query.len() + " OR ".len() + word.len() <= room => {
                query.push_str(" OR ");
                query.push_str(&word);
            }
            _ => queries.push(word),
        }
    }
    let whole = queries.iter().map(|query| format!("({query}){ending}"));
    whole.collect()
}

fn newest_of(pages: &[Page]) -> Option<u64> {
    let posts = pages.iter().flat_map(|page| &page.data);
    posts.map(number).max()
}

/// A post's id, which rises with time.
fn number(post: &Shown) -> u64 {
    post.id.parse().unwrap_or_default()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

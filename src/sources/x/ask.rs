//! Questions to X, and what they cost.

use babelfeed_actors::ports::SourceError;
use serde::Deserialize;

use super::read::{PAGE, Reader};
use super::{User, wire};
use crate::http::HttpError;
use crate::x::answer::{Refusal, refusal};
use crate::x::post::Page;
use crate::x::{ApiError, Question};

/// The most pages of one poll; a timeline ends before.
const MAX_PAGES: usize = 100;

/// Why something was not read.
pub(super) enum Trouble {
    /// It is about that account alone.
    Account(String),
    /// It is about all of them.
    All(SourceError),
}

#[derive(Deserialize)]
struct Found {
    data: Option<User>,
}

impl Reader<'_> {
    /// An account, which is looked up once.
    pub(super) async fn look_up(&self, name: &str) -> Result<User, Trouble> {
        if let Some(user) = self.inner.users.borrow().get(name) {
            return Ok(user.clone());
        }
        let path = format!("/2/users/by/username/{name}");
        let query = [("user.fields", "public_metrics")];
        let found: Found = self.ask(Question::get(&path, &query)).await?;
        let user = found
            .data
            .ok_or_else(|| Trouble::Account("there is no such account".to_owned()))?;
        self.inner.bill.add_user(self.now);
        let mut users = self.inner.users.borrow_mut();
        users.insert(name.to_owned(), user.clone());
        Ok(user)
    }

    /// Every page of an answer, until there are so many posts.
    pub(super) async fn pages(
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
        while pages.len() < MAX_PAGES && self.affordable() > 0 {
            let token = pages.last().and_then(|page| page.meta.next_token.clone());
            let n_page = most.min(self.affordable()).clamp(PAGE.0, PAGE.1);
            let n_page = n_page.to_string();
            let mut query = query.to_vec();
            query.extend([
                ("max_results", n_page.as_str()),
                (spelling.parameter(), spelling.all_fields()),
                ("expansions", spelling.expansions()),
                ("media.fields", wire::MEDIA_FIELDS),
                ("poll.fields", wire::POLL_FIELDS),
            ]);
            query.extend(token.as_deref().map(|token| (next, token)));
            let page: Page = self.ask(Question::get(path, &query)).await?;
            let own = self.inner.api.account();
            for post in &page.data {
                self.inner.bill.add_post(post, own, self.now);
            }
            n_posts += page.data.len();
            let is_last = page.meta.next_token.is_none();
            pages.push(page);
            if is_last || n_posts >= most {
                return Ok(pages);
            }
        }
        if pages.is_empty() {
            let detail = "is not read, since what that may cost a day is spent";
            return Err(Trouble::Account(detail.to_owned()));
        }
        let why = match self.affordable() {
            0 => ", since what reading may cost a day is spent",
            _ => "",
        };
        self.warnings.push(format!(
            "more than {n_posts} posts are new, those before them are passed over{why}"
        ));
        Ok(pages)
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
}

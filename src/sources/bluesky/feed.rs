//! A feed of many authors, read from the network's view: by a program's rules, or of a list of accounts.
//!
//! What it shows, and in which order, is up to whoever puts it together. So what is new is told by
//! what was seen, and each poll reads from the top down to where it knows everything.

use std::collections::BTreeSet;

use babelfeed_actors::domain::Post;
use babelfeed_actors::ports::{Cursor, Polled, SourceError};

use super::cursor::Seen;
use super::wire::{Entry, Feed};
use super::{BlueskySource, MAX_PAGES_OF_FEED, PAGE};
use crate::atproto::{FeedAddress, FeedKind};

/// How far back each poll reads at least, in milliseconds, where a feed reaches as far: posts may
/// bear a time before the one at which they come.
const REACH: i64 = 3_600_000;
/// So many pages in a row without anything to see end a feed; the view leaves out what is hidden,
/// so one alone does not.
const MAX_EMPTY: usize = 2;
/// By this word of their own, authors ask to be shown only to people who are logged in.
const NOT_OUTSIDE: &str = "!no-unauthenticated";

/// What a poll found, in the feed's order.
#[derive(Default)]
struct Found {
    /// Posts, and when they were published as the view orders them.
    posts: Vec<(i64, Post)>,
    warnings: Vec<String>,
}

impl BlueskySource {
    /// Reads what came into a feed.
    pub(super) async fn read_feed(
        &self,
        feed: &FeedAddress,
        cursor: Option<&Cursor>,
    ) -> Result<Polled, SourceError> {
        let before = Seen::of(cursor);
        let begins_anew = cursor.is_some() && before.is_none();
        let mut seen = before.unwrap_or_default();
        let found = self.unseen(feed, &seen).await?;
        let since = seen.since();
        let lowest_known = found.posts.iter().rposition(|it| seen.knows(&it.1.id));
        let mut present = BTreeSet::new();
        let mut posts = Vec::new();
        for (place, (at, post)) in found.posts.into_iter().enumerate() {
            // What is old and stands below all that is known is here because others left.
            let is_left_over = at < since && lowest_known.is_some_and(|lowest| place > lowest);
            present.insert(post.id.clone());
            if seen.note(&post.id, at) && !is_left_over {
                posts.push((at, post));
            }
        }
        seen.forget_all_but(&present);
        posts.sort_by_key(|(at, _)| *at);
        Ok(Polled {
            posts: posts.into_iter().map(|(_, post)| post).collect(),
            cursor: Some(seen.to_cursor()),
            warnings: found.warnings,
            begins_anew,
            ..Polled::default()
        })
    }

    /// Reads page by page until one shows nothing new and reaches far enough back.
    async fn unseen(&self, feed: &FeedAddress, seen: &Seen) -> Result<Found, SourceError> {
        let did = self.did(&feed.account).await?;
        let uri = feed.uri(&did);
        let (method, parameter) = match feed.kind {
            FeedKind::Custom => ("app.bsky.feed.getFeed", "feed"),
            FeedKind::List => ("app.bsky.feed.getListFeed", "list"),
        };
        let mut found = Found::default();
        let mut next = String::new();
        let mut n_empty = 0;
        for _ in 0..MAX_PAGES_OF_FEED {
            let parameters = [
                (parameter, uri.as_str()),
                ("limit", PAGE),
                ("cursor", &next),
            ];
            let page: Feed = self.ask(method, &parameters).await?;
            let entries = page.feed.iter().filter_map(|it| self.entry_of_feed(it));
            let posts: Vec<(i64, Post)> = entries.collect();
            n_empty = if posts.is_empty() { n_empty + 1 } else { 0 };
            let has_news = posts.iter().any(|it| !seen.knows(&it.1.id));
            let is_deep = posts.iter().any(|it| it.0 < seen.newest - REACH);
            found.posts.extend(posts);
            match page.cursor {
                Some(cursor) if cursor != next && n_empty < MAX_EMPTY => next = cursor,
                _ => return Ok(found),
            }
            if !has_news && is_deep {
                return Ok(found);
            }
        }
        // At first sight a feed has no end that anybody would want, unless all of it is wanted.
        if !seen.posts.is_empty() || self.config.backfill.is_none() {
            let n_posts = found.posts.len();
            found.warnings.push(format!(
                "more than {n_posts} posts are new, those below them are passed over"
            ));
        }
        Ok(found)
    }

    fn entry_of_feed(&self, entry: &Entry) -> Option<(i64, Post)> {
        let (at, mut post) = self.entry(entry)?;
        let mut labels = entry.post.author.labels.iter();
        post.has_opted_out = labels.any(|it| it.val == NOT_OUTSIDE);
        Some((at, post))
    }
}

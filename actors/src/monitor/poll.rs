//! One poll of one source: page by page, until the source has no more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use futures_util::FutureExt;
use log::error;

use super::Watched;
use super::ours::Ours;
use super::settling::Settling;
use crate::domain::{Attached, Class, Flow, Moment, Origin, Post, SourceName, Timestamp};
use crate::failpoints;
use crate::logic::talks::Talks;
use crate::messages::{Missed, Submission, Submit};
use crate::ports::{Clock, Cursor, Outcome, Polled, SourceError, TaskStore};

/// About so many posts are asked for, and handed in, at a time.
const PAGE: usize = 500;
/// How long to wait for a task manager that fell.
const RETRY: Duration = Duration::from_secs(1);

/// A poll has ended.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) source: SourceName,
    pub(super) begun: Moment,
    /// How long the server would like to be left alone, or why the poll failed.
    pub(super) result: Result<Option<Duration>, PollError>,
    pub(super) seen: u64,
    pub(super) new: u64,
    /// What the server charged, in US dollars.
    pub(super) cost_usd: f64,
    /// When the latest post was published.
    pub(super) latest: Option<Timestamp>,
    /// What was unreadable.
    pub(super) warnings: Vec<String>,
    /// Whether it showed something else than what was read before.
    pub(super) begins_anew: bool,
    /// Posts that are not old enough to be taken.
    pub(super) settling: Settling,
}

/// Why a poll did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    /// The source was not read.
    #[error(transparent)]
    Source(SourceError),
    /// What was found was not taken; it is found again.
    #[error("the queue does not take posts now")]
    Full {
        /// When to try again.
        wait: Duration,
        /// What was not done.
        why: String,
    },
}

impl PollError {
    /// What the log says of it.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Source(_) => self.to_string(),
            Self::Full { why, .. } => format!("{self}: {why}"),
        }
    }
}

/// One poll.
pub(super) struct Poll {
    pub(super) watched: Watched,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Rc<dyn TaskStore>,
    pub(super) submit: Recipient<Submit>,
    /// Posts that earlier polls found, and that were not old enough to be taken.
    pub(super) settling: Settling,
    /// Which posts of the source go on in a conversation with somebody else.
    pub(super) talks: Rc<RefCell<Talks>>,
    /// What becomes of what came since the last poll.
    pub(super) missed: Missed,
}

/// What is handed in of one page.
#[derive(Clone, Default)]
pub(super) struct Taken {
    pub(super) posts: Vec<Post>,
    /// What counts as seen.
    pub(super) seen: Vec<Post>,
    /// The ids of posts that were deleted.
    pub(super) gone: Vec<String>,
    pub(super) cursor: Option<Cursor>,
}

#[derive(Default)]
struct Found {
    seen: u64,
    new: u64,
    latest: Option<Timestamp>,
    warnings: Vec<String>,
    begins_anew: bool,
}

impl Poll {
    pub(super) async fn run(mut self) -> Ended {
        let begun = self.clock.now();
        let mut found = Found::default();
        let mut settling = std::mem::take(&mut self.settling);
        let polling = AssertUnwindSafe(self.pages(&mut found, &mut settling)).catch_unwind();
        let result = match polling.await {
            Ok(result) => result,
            Err(_) => {
                error!(source:% = self.watched.name; "a poll panicked");
                settling = Settling::default();
                Err(PollError::Source(SourceError::Unreachable {
                    detail: "the poll panicked".to_owned(),
                }))
            }
        };
        let cost_usd = self.watched.source.charged();
        Ended {
            source: self.watched.name,
            begun,
            result,
            seen: found.seen,
            new: found.new,
            cost_usd,
            latest: found.latest,
            warnings: found.warnings,
            begins_anew: found.begins_anew,
            settling,
        }
    }

    /// Reads page after page, and hands in what is old enough; the cursor moves with what was
    /// taken.
    async fn pages(
        &self,
        found: &mut Found,
        settling: &mut Settling,
    ) -> Result<Option<Duration>, PollError> {
        failpoints::hit("monitor.call");
        found.new += self.hand_in_settled(settling).await?;
        if self.has_enough(settling) {
            return Ok(None);
        }
        let cursor = self.store.cursor(self.watched.name.clone()).await;
        let cursor = cursor.map_err(|error| PollError::Full {
            wait: RETRY,
            why: format!("the cursor was not read: {error}"),
        })?;
        let cursor = cursor.map(|kept| self.place(&kept));
        let mut cursor = settling.cursor().cloned().or(cursor);
        let mut is_first_sight = cursor.is_none();
        let mut kept_back = VecDeque::new();
        loop {
            let source = &self.watched.source;
            let page = match (&cursor, self.missed) {
                (Some(cursor), Missed::Skipped) if !is_first_sight => {
                    source.skip(cursor, PAGE).await?
                }
                (cursor, _) => source.poll(cursor.as_ref(), PAGE).await?,
            };
            if page.begins_anew && !is_first_sight {
                is_first_sight = true;
                found.begins_anew = true;
            }
            found.warnings.extend(page.warnings.iter().cloned());
            found.seen += page.posts.len() as u64;
            let dates = page.posts.iter().filter_map(|post| post.created_at);
            found.latest = found.latest.max(dates.max());
            let (has_more, rest) = (page.has_more, page.rest);
            cursor = page.cursor.clone().or(cursor);
            let backfill = self.watched.backfill.filter(|_| is_first_sight);
            let taken = match (backfill, self.missed) {
                (Some(newest), _) => hold_back(page, newest, &mut kept_back),
                (None, Missed::Taken) => Taken {
                    posts: page.posts,
                    gone: page.gone,
                    cursor: page.cursor,
                    ..Taken::default()
                },
                (None, Missed::Skipped) => Taken {
                    seen: page.posts,
                    gone: page.gone,
                    cursor: page.cursor,
                    ..Taken::default()
                },
            };
            settling.add(taken, &self.watched.rules, self.clock.as_ref());
            found.new += self.hand_in_settled(settling).await?;
            if !has_more || self.has_enough(settling) {
                return Ok(rest);
            }
        }
    }

    /// A source's own place in what is kept; after a start, its answers to others are known again.
    fn place(&self, kept: &Cursor) -> Cursor {
        let (known, place) = Talks::read(&kept.0);
        let mut talks = self.talks.borrow_mut();
        if talks.is_empty() {
            *talks = known;
        }
        Cursor(place.to_vec())
    }

    /// A source's place as it is kept, with its latest answers to others.
    fn kept(&self, place: &Cursor) -> Cursor {
        Cursor(self.talks.borrow().write(&place.0))
    }

    /// Whether no more is read until something is old enough. What was missed is passed over to its
    /// end, or the rest of it would come later as if it were new.
    fn has_enough(&self, settling: &Settling) -> bool {
        settling.is_full() && self.missed == Missed::Taken
    }

    /// Hands in, page by page, what is old enough.
    async fn hand_in_settled(&self, settling: &mut Settling) -> Result<u64, PollError> {
        let mut n_new = 0;
        while let Some(taken) = settling.take_settled(self.clock.now()) {
            // What came before a pause would be passed over with the rest if it were read again.
            let kept = (self.missed == Missed::Skipped).then(|| taken.clone());
            n_new += self.hand_in(taken).await.inspect_err(|_| match kept {
                Some(taken) => settling.put_back(taken, self.clock.now()),
                // Nothing behind a page that was not taken may be taken; all of it is read again.
                None => *settling = Settling::default(),
            })?;
        }
        Ok(n_new)
    }

    /// Hands posts in, in pages, the cursor with the last; answers how many were new.
    async fn hand_in(&self, taken: Taken) -> Result<u64, PollError> {
        let Taken {
            mut posts,
            mut seen,
            gone,
            cursor,
        } = taken;
        for post in seen.iter_mut().chain(&mut posts) {
            self.talks.borrow_mut().tell_apart(post);
        }
        let mut gone: Vec<(SourceName, Arc<str>)> = gone
            .into_iter()
            .map(|post| (self.watched.name.clone(), post.into()))
            .collect();
        let filter = &self.watched.rules.filter;
        let has_use = |post: &Post| {
            let is_wanted = post.shows_something() && !self.watched.targets.is_empty();
            is_wanted && filter.refusal(post).is_none()
        };
        let ours = Ours::new(&*self.store, &self.watched.echoed);
        let (posts, our_own) = ours.part(posts).await.map_err(|error| PollError::Full {
            wait: RETRY,
            why: format!("a publication was not looked up: {error}"),
        })?;
        let (useful, useless): (Vec<Post>, Vec<Post>) = posts.into_iter().partition(has_use);
        // What is ours stays ours when its publication is forgotten.
        let mut seen: Vec<(SourceName, Arc<str>)> = seen
            .into_iter()
            .chain(useless)
            .chain(our_own)
            .map(|post| (post.source, post.id.into()))
            .collect();
        let mut submissions: Vec<Submission> = useful
            .into_iter()
            .map(|post| self.submission(post))
            .collect();
        let mut n_new = 0;
        loop {
            let rest = submissions.split_off(submissions.len().min(PAGE));
            let rest_seen = seen.split_off(seen.len().min(PAGE * 10));
            let is_last = rest.is_empty() && rest_seen.is_empty();
            let (cursor, gone) = if is_last {
                (cursor.clone(), std::mem::take(&mut gone))
            } else {
                (None, Vec::new())
            };
            let is_nothing = submissions.is_empty() && seen.is_empty() && gone.is_empty();
            if is_nothing && cursor.is_none() {
                return Ok(n_new);
            }
            let submit = Submit {
                submissions,
                seen,
                gone,
                cursor: cursor.map(|place| (self.watched.name.clone(), self.kept(&place))),
            };
            n_new += self.submit(submit).await?;
            if is_last {
                break;
            }
            (submissions, seen) = (rest, rest_seen);
        }
        if let Some(cursor) = cursor {
            self.watched.source.taken(&cursor);
        }
        Ok(n_new)
    }

    async fn submit(&self, submit: Submit) -> Result<u64, PollError> {
        match self.submit.send(submit).await {
            Ok(Ok(admitted)) => {
                let new = admitted
                    .iter()
                    .filter(|admitted| admitted.outcome == Outcome::New);
                Ok(new.count() as u64)
            }
            Ok(Err(error)) => Err(PollError::Full {
                wait: error.retry_after(),
                why: error.to_string(),
            }),
            Err(_) => Err(PollError::Full {
                wait: RETRY,
                why: "whoever takes them fell".to_owned(),
            }),
        }
    }

    fn submission(&self, post: Post) -> Submission {
        let attached = Attached::of(&post);
        let text = match &attached {
            Some(attached) => attached.join(&post.text),
            None => post.text,
        };
        Submission {
            flow: Flow::from(post.source.as_str()),
            origin: Origin::Post {
                source: post.source,
                post: post.id.into(),
            },
            text: text.into(),
            source: post.language,
            targets: match post.was_shown {
                true => Vec::new(),
                false => self.watched.targets.clone(),
            },
            revised: self.watched.revised.clone(),
            class: Class::Normal,
            publish: true,
            context: None,
            url: post.url.map(Into::into),
            author: post.author.map(Into::into),
            attached: attached.map(Arc::new),
            deadline: None,
        }
    }
}

/// At first sight, what is handed in of a page: the newest posts alone, once the last page shows
/// which they are; the others count as seen.
fn hold_back(page: Polled, newest: usize, kept_back: &mut VecDeque<Post>) -> Taken {
    let mut seen = Vec::new();
    for post in page.posts {
        kept_back.push_back(post);
        if kept_back.len() > newest {
            seen.extend(kept_back.pop_front());
        }
    }
    if page.has_more {
        // Without the cursor: until the last page is taken, this is still the first sight.
        return Taken {
            seen,
            ..Taken::default()
        };
    }
    Taken {
        posts: kept_back.drain(..).collect(),
        seen,
        gone: page.gone,
        cursor: page.cursor,
    }
}

//! A source that shows what a test tells it to show.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::domain::{Post, SourceName};
use crate::ports::{Cursor, Polled, Source, SourceError};

/// A source in memory; clones share what it shows.
#[derive(Clone, Debug)]
pub struct FakeSource {
    name: SourceName,
    stage: Arc<Mutex<Stage>>,
    news: Arc<Notify>,
    is_open: Arc<AtomicBool>,
    charged: Arc<Mutex<f64>>,
}

/// What a poll does instead of answering.
#[derive(Clone, Debug)]
pub enum SourceFault {
    /// It fails.
    Error(SourceError),
    /// It panics.
    Panic,
}

#[derive(Debug, Default)]
struct Stage {
    posts: Vec<Post>,
    /// What was deleted and not taken yet, each with its number from 1.
    gone: Vec<(u64, String)>,
    n_gone: u64,
    faults: VecDeque<SourceFault>,
    delay: Duration,
    rest: Option<Duration>,
    warnings: Vec<String>,
    n_polls: usize,
    begins_anew: bool,
}

impl FakeSource {
    /// A source of that name which shows nothing yet.
    pub fn new(name: impl Into<SourceName>) -> Self {
        Self {
            name: name.into(),
            stage: Arc::default(),
            news: Arc::default(),
            is_open: Arc::default(),
            charged: Arc::default(),
        }
    }

    /// Tells whoever waits that there is something to poll for.
    pub fn tell_news(&self) {
        self.news.notify_one();
    }

    /// Shows one more post with that text, whose id is its number from 1.
    pub fn show(&self, text: impl Into<String>) {
        let id = (self.stage().posts.len() + 1).to_string();
        self.show_post(Post::new(self.name.clone(), id, text));
    }

    /// Shows one more post.
    pub fn show_post(&self, post: Post) {
        self.stage().posts.push(post);
    }

    /// Shows something else from now on, whatever was shown before.
    pub fn point_elsewhere(&self) {
        let mut stage = self.stage();
        stage.posts.clear();
        stage.begins_anew = true;
    }

    /// Says from the next poll on, until it was taken, that a post was deleted.
    pub fn lose_post(&self, id: impl Into<String>) {
        let mut stage = self.stage();
        stage.n_gone += 1;
        let gone = (stage.n_gone, id.into());
        stage.gone.push(gone);
    }

    /// Makes a coming poll fail; several wait their turn.
    pub fn fail_next(&self, fault: SourceFault) {
        self.stage().faults.push_back(fault);
    }

    /// Makes every poll take so long.
    pub fn delay(&self, delay: Duration) {
        self.stage().delay = delay;
    }

    /// Makes every poll ask to be left alone so long.
    pub fn ask_for_rest(&self, rest: Duration) {
        self.stage().rest = Some(rest);
    }

    /// Makes the next successful poll warn.
    pub fn warn(&self, warning: impl Into<String>) {
        self.stage().warnings.push(warning.into());
    }

    /// Charges for a coming poll, whatever becomes of it.
    pub fn charge(&self, usd: f64) {
        *self.charged.lock().unwrap_or_else(PoisonError::into_inner) += usd;
    }

    /// Whether its stream is open, as it is from the first time that somebody waits for news.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    /// How often it was polled.
    pub fn n_polls(&self) -> usize {
        self.stage().n_polls
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, cursor: Option<&Cursor>, room: usize) -> Result<Polled, SourceError> {
        let fault = self.stage().faults.pop_front();
        match fault {
            Some(SourceFault::Error(error)) => return Err(error),
            Some(SourceFault::Panic) => panic!("the fake source was told to panic"),
            None => {}
        }
        let mut stage = self.stage();
        let begins_anew = std::mem::take(&mut stage.begins_anew) && cursor.is_some();
        let cursor = cursor.filter(|_| !begins_anew);
        let (start, told) = cursor.map_or((0, 0), place);
        let start = start.min(stage.posts.len());
        let end = start.saturating_add(room).min(stage.posts.len());
        let gone = stage.gone.iter().filter(|(number, _)| *number > told);
        let place = [end as u64, stage.n_gone].map(u64::to_be_bytes);
        Ok(Polled {
            posts: stage.posts[start..end].to_vec(),
            cursor: Some(Cursor(place.concat())),
            gone: gone.map(|(_, id)| id.clone()).collect(),
            has_more: end < stage.posts.len(),
            rest: stage.rest,
            begins_anew,
            warnings: std::mem::take(&mut stage.warnings),
            ..Polled::default()
        })
    }
}

impl Source for FakeSource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        async move {
            let delay = {
                let mut stage = self.stage();
                stage.n_polls += 1;
                stage.delay
            };
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            self.answer(cursor, room)
        }
        .boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        async {
            self.is_open.store(true, Ordering::SeqCst);
            self.news.notified().await;
        }
        .boxed_local()
    }

    fn taken(&self, cursor: &Cursor) {
        let (_, told) = place(cursor);
        self.stage().gone.retain(|(number, _)| *number > told);
    }

    fn rest(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    fn charged(&self) -> f64 {
        std::mem::take(&mut *self.charged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many posts were shown, and how many deletions.
fn place(cursor: &Cursor) -> (usize, u64) {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
    let (posts, gone) = cursor.0.split_at(cursor.0.len().min(8));
    let posts = usize::try_from(number(posts));
    (posts.unwrap_or(usize::MAX), number(gone))
}

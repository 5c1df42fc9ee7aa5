//! Somebody who waits for texts with an open connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::NowError;
use crate::domain::{Class, Flow, Pair, Timestamp, Translation};
use crate::logic::spans::Protected;
use crate::ports::KnownKey;

/// A caller who waits for texts; all or nothing.
#[derive(Debug)]
pub(crate) struct NowCall {
    pub(crate) texts: Vec<Arc<Protected>>,
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) pair: Pair,
    pub(crate) class: Class,
    pub(crate) flow: Flow,
    /// When the caller gives up, by wall clock.
    pub(crate) due: Timestamp,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    done: Vec<Option<Translation>>,
    missing: usize,
    reply: Option<oneshot::Sender<Result<Vec<Translation>, NowError>>>,
}

impl NowCall {
    /// A caller none of whose texts is done.
    pub(crate) fn new(
        texts: Vec<Arc<Protected>>,
        keys: Vec<KnownKey>,
        pair: Pair,
        (class, flow): (Class, Flow),
        due: Timestamp,
        reply: oneshot::Sender<Result<Vec<Translation>, NowError>>,
    ) -> Arc<Self> {
        let progress = Mutex::new(Progress {
            done: vec![None; texts.len()],
            missing: texts.len(),
            reply: Some(reply),
        });
        Arc::new(Self {
            texts,
            keys,
            pair,
            class,
            flow,
            due,
            progress,
        })
    }

    /// The caller's progress; nobody holds the lock for longer than it takes to move a text.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller was answered, or has left.
    pub(crate) fn is_over(&self) -> bool {
        self.progress()
            .reply
            .as_ref()
            .is_none_or(oneshot::Sender::is_closed)
    }

    /// Whether one of the texts needs no translation any more: it has one, or nobody waits for it.
    pub(crate) fn has(&self, index: usize) -> bool {
        let progress = self.progress();
        progress.reply.is_none() || progress.done[index].is_some()
    }

    /// The texts that are not done.
    pub(crate) fn missing(&self) -> Vec<usize> {
        let progress = self.progress();
        let undone = progress.done.iter().enumerate();
        undone
            .filter(|(_, done)| done.is_none())
            .map(|(index, _)| index)
            .collect()
    }

    /// Takes one finished text, and answers the caller when it is the last.
    pub(crate) fn finish(&self, index: usize, translation: Translation) {
        let mut progress = self.progress();
        let progress = &mut *progress;
        if progress.reply.is_none() {
            // A text can be under way twice; the caller was answered by the first.
            return;
        }
        if progress.done[index].replace(translation).is_none() {
            progress.missing -= 1;
        }
        if progress.missing == 0
            && let Some(reply) = progress.reply.take()
        {
            let done = progress.done.iter_mut().filter_map(Option::take).collect();
            // A caller who has left needs no answer.
            let _ = reply.send(Ok(done));
        }
    }

    /// Answers the caller that one of the texts cannot be had.
    pub(crate) fn refuse(&self, error: NowError) {
        if let Some(reply) = self.progress().reply.take() {
            let _ = reply.send(Err(error));
        }
    }
}

/// One text of a caller, who is answered by whoever has its translation first.
#[derive(Clone, Debug)]
pub struct AwaitedText {
    call: Arc<NowCall>,
    index: usize,
}

impl AwaitedText {
    /// The caller's text with this index.
    pub(crate) fn new(call: &Arc<NowCall>, index: usize) -> Self {
        Self {
            call: Arc::clone(call),
            index,
        }
    }

    /// Gives the caller its translation, spans and all.
    pub(crate) fn answer(&self, translation: Translation) {
        self.call.finish(self.index, translation);
    }
}

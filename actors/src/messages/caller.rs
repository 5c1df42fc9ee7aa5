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

    /// Whether the caller still waits for one of the texts.
    pub(crate) fn wants(&self, index: usize) -> bool {
        let progress = self.progress();
        let reply = progress.reply.as_ref();
        progress.done[index].is_none() && reply.is_some_and(|reply| !reply.is_closed())
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

    /// Takes the first translation of a text, and answers the caller when it is the last text.
    pub(crate) fn finish(&self, index: usize, translation: Translation) {
        let mut progress = self.progress();
        let progress = &mut *progress;
        let text = &mut progress.done[index];
        if progress.reply.is_none() || text.is_some() {
            // A text can be under way twice; the first translation counts.
            return;
        }
        *text = Some(translation);
        progress.missing -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Usage;
    use crate::logic::spans::protect;

    fn translation(text: &str) -> Translation {
        Translation {
            text: text.into(),
            provider: "p".into(),
            model: "m".into(),
            cached: false,
            usage: Usage::default(),
        }
    }

    #[test]
    fn of_two_translations_of_a_text_the_caller_gets_the_first() {
        let (reply, mut answer) = oneshot::channel();
        let texts: Vec<_> = ["One", "Two"]
            .map(|it| Arc::new(protect(&it.into())))
            .into();
        let pair = Pair {
            source: None,
            target: "es".parse().expect("a tag"),
        };
        let asking = (Class::Interactive, "requests".into());
        let due = Timestamp::from_millis(0);
        let call = NowCall::new(texts, vec![[0; 16], [1; 16]], pair, asking, due, reply);

        for (index, text) in [(0, "Uno"), (0, "Un"), (1, "Dos"), (1, "Dos más")] {
            assert_eq!(call.wants(index), !matches!(text, "Un" | "Dos más"));
            AwaitedText::new(&call, index).answer(translation(text));
        }

        let answer = answer.try_recv().expect("an answer").expect("translations");
        let texts: Vec<&str> = answer.iter().map(|it| &*it.text).collect();
        assert_eq!(texts, ["Uno", "Dos"]);
    }
}

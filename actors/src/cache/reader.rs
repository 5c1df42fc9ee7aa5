//! Reads what is known without asking the actor, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::{Pair, Translation, Usage};
use crate::logic::known::{Edition, Keyed};
use crate::logic::shelf::Shelf;
use crate::ports::{Clock, KnownKey};

/// Reads what is known; saves those who ask for known texts two changes of threads.
#[derive(Clone)]
pub struct KnownReader {
    shelf: Arc<Shelf>,
    edition: Edition,
    clock: Arc<dyn Clock>,
    is_open: Arc<AtomicBool>,
}

impl KnownReader {
    /// A reader of this shelf, whose keys are of this edition, as long as intake is open.
    pub fn new(
        shelf: Arc<Shelf>,
        edition: Edition,
        clock: Arc<dyn Clock>,
        is_open: Arc<AtomicBool>,
    ) -> Self {
        Self {
            shelf,
            edition,
            clock,
            is_open,
        }
    }

    /// A text as it is looked up.
    pub fn keyed(&self, text: &Arc<str>, pair: &Pair) -> Keyed {
        self.edition.keyed(text, pair)
    }

    /// The translations of texts, in order, where all of them are known and good.
    ///
    /// None means that the task manager must be asked: something is not known, wants to be made
    /// anew, needs no translation, or intake is closed.
    pub fn read(&self, texts: &[Keyed], pair: &Pair) -> Option<Vec<Translation>> {
        if !self.is_open.load(Ordering::Relaxed) || pair.source.as_ref() == Some(&pair.target) {
            return None;
        }
        if !texts.iter().all(|it| it.text.has_words()) {
            return None;
        }
        let keys: Vec<KnownKey> = texts.iter().map(|it| it.key).collect();
        let known = self.shelf.take_all(&keys, self.clock.wall())?;
        let restored = texts.iter().zip(known).map(|(asked, known)| {
            Some(Translation {
                text: asked.text.restore(&known.text).ok()?.into(),
                provider: known.provider.clone(),
                model: Arc::clone(&known.model),
                cached: true,
                usage: Usage::default(),
            })
        });
        restored.collect()
    }
}

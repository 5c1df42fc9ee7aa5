//! Reads what is known without asking the actor, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::{Pair, Translation, Usage};
use crate::logic::known::Edition;
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

    /// The translations of texts, in order, where all of them are known and good.
    ///
    /// None means that the task manager must be asked: something is not known, wants to be made
    /// anew, needs no translation, or intake is closed.
    pub fn read(&self, texts: &[Arc<str>], pair: &Pair) -> Option<Vec<Translation>> {
        if !self.is_open.load(Ordering::Relaxed) || pair.source.as_ref() == Some(&pair.target) {
            return None;
        }
        let texts = texts.iter().map(|text| self.edition.protect(text));
        let texts: Vec<_> = texts.collect();
        if !texts.iter().all(|text| text.has_words()) {
            return None;
        }
        let key = |skeleton: &str| self.edition.key(skeleton, None, pair);
        let keys: Vec<KnownKey> = texts.iter().map(|text| key(&text.skeleton)).collect();
        let known = self.shelf.take_all(&keys, self.clock.wall())?;
        let restored = texts.iter().zip(known).map(|(text, known)| {
            Some(Translation {
                text: text.restore(&known.text).ok()?.into(),
                provider: known.provider.clone(),
                model: Arc::clone(&known.model),
                cached: true,
                usage: Usage::default(),
            })
        });
        restored.collect()
    }
}

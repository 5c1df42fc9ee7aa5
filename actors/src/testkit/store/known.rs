//! How the store in memory keeps known translations.

use futures_util::future::LocalBoxFuture;

use super::MemoryStore;
use crate::ports::{Known, KnownKey, StoreError, TranslationMemory};

impl TranslationMemory for MemoryStore {
    fn load(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Known>, StoreError>> {
        self.read(|committed| {
            let mut known: Vec<Known> = committed.known.values().cloned().collect();
            known.sort_by_key(|known| (std::cmp::Reverse(known.at), known.key));
            known.truncate(limit);
            known
        })
    }

    fn save(
        &self,
        known: Vec<Known>,
        forgotten: Vec<KnownKey>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            committed
                .known
                .extend(known.into_iter().map(|known| (known.key, known)));
            committed.known.retain(|key, _| !forgotten.contains(key));
        })
    }

    fn clear(&self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(|committed| committed.known.clear())
    }
}

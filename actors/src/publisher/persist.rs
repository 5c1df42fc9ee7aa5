//! Has the store write publications down, however often it takes.

use crate::failpoints;
use crate::ports::{Kept, PublicationChange, PublicationRecord, StoreError, TaskStore, Token};
use crate::supervision::{Words, until_answered};

/// Writes publications down as they stand, however often it takes; their tokens stay.
pub(super) async fn write(store: &dyn TaskStore, records: &mut [PublicationRecord]) -> Vec<Kept> {
    let token = records.first().map_or(0, |record| record.token);
    write_as(store, records, token).await
}

/// Writes publications down as they stand, held by `token` from then on.
pub(super) async fn write_as(
    store: &dyn TaskStore,
    records: &mut [PublicationRecord],
    token: Token,
) -> Vec<Kept> {
    if records.is_empty() {
        return Vec::new();
    }
    let changes = changes(records, token);
    until_written(async || store.record_publications(changes.clone()).await).await
}

/// The same with publications that need each other: all of them, or none.
pub(super) async fn write_together(
    store: &dyn TaskStore,
    records: &mut [PublicationRecord],
    token: Token,
) -> Kept {
    let changes = changes(records, token);
    until_written(async || store.record_together(changes.clone()).await).await
}

/// Publications as they stand, held by `token` from now on.
fn changes(records: &mut [PublicationRecord], token: Token) -> Vec<PublicationChange> {
    let changes = records.iter_mut().map(|record| PublicationChange {
        held: std::mem::replace(&mut record.token, token),
        after: record.clone(),
    });
    changes.collect()
}

/// Writes until the store takes it.
async fn until_written<T>(write: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let words = Words {
        fails: "the store does not write publications",
        again: "the store writes publications again",
    };
    let writing = async || {
        failpoints::hit("publisher.write");
        write().await
    };
    until_answered(words, writing).await
}

//! The traits by which the system meets the world, with the errors each can answer.

mod batch;
mod chance;
mod ledger;
mod outdated;
mod outlet;
mod provider;
mod source;
mod store;

pub use crate::domain::{Bucket, Position};
pub use batch::{
    BatchAnswers, BatchBounds, BatchCall, BatchJob, BatchProgress, BatchProvider, BatchStore,
    Reserved,
};
pub use chance::{Chance, Clock};
pub use ledger::{LearnedLimits, QuotaChange, QuotaEntry, QuotaLedger};
pub use outdated::{Outdated, outdated};
pub use outlet::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, OutletRemedy, Published, ReadBack,
};
pub use provider::{Answer, Item, Pack, Provider, ProviderError, ProviderRemedy, Translated};
pub use source::{Cursor, Polled, Source, SourceError, SourceRemedy, Unread};
pub use store::{
    Admission, Admitted, Ended, Errand, Fate, Kept, Known, KnownKey, NewRequest, OpenAtOutlet,
    Outcome, Portion, PublicationChange, PublicationRecord, StoreError, StoreRemedy, Tally,
    TaskChange, TaskRecord, TaskStore, Token, TranslationMemory,
};

//! What keeps the use of quotas, so that no crash gives any of it back.

use futures_util::future::LocalBoxFuture;

use super::store::StoreError;
use crate::domain::{Lane, Timestamp, Unit};

/// How much of something a lane counts as used in one stretch of wall time.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaEntry {
    /// The lane.
    pub lane: Lane,
    /// What is counted.
    pub unit: Unit,
    /// When the stretch begins; its length is the limiter's affair, always the same for a lane's
    /// unit.
    pub slot: Timestamp,
    /// All of it in this stretch, what is only drawn for use included.
    pub amount: f64,
}

/// What keeps the use of quotas.
pub trait QuotaLedger {
    /// The entries of stretches that begin at `since` or later, in no order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn entries(&self, since: Timestamp) -> LocalBoxFuture<'_, Result<Vec<QuotaEntry>, StoreError>>;

    /// Writes entries down, each in the place of the one with its lane, unit and slot, which is
    /// forgotten where the amount is nothing, and forgets those of stretches that began before
    /// `before`, all in one commit; durable when it is answered.
    ///
    /// # Errors
    /// When nothing was changed.
    fn enter(
        &self,
        entries: Vec<QuotaEntry>,
        before: Timestamp,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>>;
}

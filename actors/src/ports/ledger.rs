//! What keeps the use of quotas and what was learned of them, so that no crash gives any of it back.

use futures_util::future::LocalBoxFuture;

use super::store::StoreError;
use crate::domain::{Lane, LearnedLimit, Timestamp, Unit};

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

/// What a lane learned of its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedLimits {
    /// The lane.
    pub lane: Lane,
    /// Names the account whose limits they are.
    pub account: u64,
    /// The limits, one for each unit and time.
    pub limits: Vec<LearnedLimit>,
}

/// What is to be kept, all of it in one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuotaChange {
    /// Entries, each in the place of the one with its lane, unit and slot, which is forgotten
    /// where the amount is nothing.
    pub entries: Vec<QuotaEntry>,
    /// What lanes learned, each in the place of all that was kept of it.
    pub learned: Vec<LearnedLimits>,
    /// Entries of stretches that began before are forgotten.
    pub before: Timestamp,
}

/// What keeps the use of quotas.
pub trait QuotaLedger {
    /// The entries of stretches that begin at `since` or later, in no order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn entries(&self, since: Timestamp) -> LocalBoxFuture<'_, Result<Vec<QuotaEntry>, StoreError>>;

    /// What lanes learned, one of each that learned something, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    fn learned(&self) -> LocalBoxFuture<'_, Result<Vec<LearnedLimits>, StoreError>>;

    /// Makes a change in one commit; durable when it is answered.
    ///
    /// # Errors
    /// When nothing was changed.
    fn enter(&self, change: QuotaChange) -> LocalBoxFuture<'_, Result<(), StoreError>>;
}

//! How the store in memory keeps the use of quotas.

use futures_util::future::LocalBoxFuture;

use super::MemoryStore;
use crate::domain::Timestamp;
use crate::ports::{LearnedLimits, QuotaChange, QuotaEntry, QuotaLedger, StoreError};

impl QuotaLedger for MemoryStore {
    fn entries(&self, since: Timestamp) -> LocalBoxFuture<'_, Result<Vec<QuotaEntry>, StoreError>> {
        self.read(|committed| {
            let entries = committed.quota.iter();
            entries
                .filter(|((.., slot), _)| *slot >= since)
                .map(|((lane, unit, slot), amount)| QuotaEntry {
                    lane: lane.clone(),
                    unit: *unit,
                    slot: *slot,
                    amount: *amount,
                })
                .collect()
        })
    }

    fn learned(&self) -> LocalBoxFuture<'_, Result<Vec<LearnedLimits>, StoreError>> {
        self.read(|committed| committed.learned.values().cloned().collect())
    }

    fn enter(&self, change: QuotaChange) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            let entries = change.entries.into_iter();
            let entries = entries.map(|entry| ((entry.lane, entry.unit, entry.slot), entry.amount));
            committed.quota.extend(entries);
            let is_kept = |slot: Timestamp, amount: f64| slot >= change.before && amount > 0.0;
            committed
                .quota
                .retain(|(.., slot), amount| is_kept(*slot, *amount));
            let learned = change.learned.into_iter();
            committed
                .learned
                .extend(learned.map(|it| (it.lane.clone(), it)));
            committed.learned.retain(|_, it| !it.limits.is_empty());
        })
    }
}

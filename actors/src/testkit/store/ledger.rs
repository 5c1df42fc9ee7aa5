//! How the store in memory keeps the use of quotas.

use futures_util::future::LocalBoxFuture;

use super::MemoryStore;
use crate::domain::Timestamp;
use crate::ports::{QuotaEntry, QuotaLedger, StoreError};

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

    fn enter(
        &self,
        entries: Vec<QuotaEntry>,
        before: Timestamp,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            let entries = entries.into_iter();
            let entries = entries.map(|entry| ((entry.lane, entry.unit, entry.slot), entry.amount));
            committed.quota.extend(entries);
            let is_kept = |slot: Timestamp, amount: f64| slot >= before && amount > 0.0;
            committed
                .quota
                .retain(|(.., slot), amount| is_kept(*slot, *amount));
        })
    }
}

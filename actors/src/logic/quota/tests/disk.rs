//! The ledger of a lane, as the disk holds it.

use std::collections::BTreeMap;

use super::*;
use crate::domain::LearnedLimit;

/// The ledger as the disk holds it; long quotas stand there as windows of no length.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) entries: BTreeMap<(Duration, Unit, Timestamp), f64>,
    pub(super) learned: Vec<LearnedLimit>,
    pub(super) n_writes: usize,
    /// How often what was learned was written.
    pub(super) n_learned: usize,
}

impl Disk {
    /// Makes every write that the quota wants, and answers it.
    pub(super) fn sync(&mut self, quota: &mut Quota, now: Now) {
        self.n_writes += usize::from(quota.wants_ledger(now.wall));
        for (per, unit, slot, amount) in asked(quota, now) {
            self.enter(per, unit, slot, amount);
            for account in quota.accounts_mut() {
                if (Duration::ZERO, account.unit()) == (per, unit) {
                    account.kept(slot, amount);
                }
            }
            for window in quota.windows_mut() {
                if (window.per(), window.unit()) == (per, unit) {
                    window.is_written(slot, amount);
                }
            }
        }
        self.remember(quota, now);
        quota.learned_is_kept();
    }

    fn remember(&mut self, quota: &mut Quota, now: Now) {
        if let Some(learned) = quota.remember(now.wall) {
            self.learned = learned;
            self.n_learned += 1;
        }
    }

    /// Makes every write that the quota wants, and answers that it failed.
    pub(super) fn sync_unanswered(&mut self, quota: &mut Quota, now: Now) {
        for (per, unit, slot, amount) in asked(quota, now) {
            self.enter(per, unit, slot, amount);
        }
        self.remember(quota, now);
        quota.not_kept();
    }

    /// Loses every write that the quota wants.
    pub(super) fn lose(quota: &mut Quota, now: Now) {
        asked(quota, now);
        quota.remember(now.wall);
        quota.not_kept();
    }

    fn enter(&mut self, per: Duration, unit: Unit, slot: Timestamp, amount: f64) {
        if amount > 0.0 {
            self.entries.insert((per, unit, slot), amount);
        } else {
            self.entries.remove(&(per, unit, slot));
        }
    }

    /// Fills a new quota with what was kept.
    pub(super) fn load(&self, quota: &mut Quota, now: Now) {
        quota.recall(&self.learned, now);
        let own = |per: Duration, unit: Unit| -> Vec<(Timestamp, f64)> {
            let own = self.entries.iter();
            let own = own.filter(|((of, what, _), _)| (*of, *what) == (per, unit));
            own.map(|((.., slot), amount)| (*slot, *amount)).collect()
        };
        let accounts = quota.accounts_mut().iter_mut();
        for account in accounts.filter(|it| !it.is_loaded()) {
            account.load(&own(Duration::ZERO, account.unit()), now.wall);
        }
        let windows = quota.windows_mut().iter_mut();
        for window in windows.filter(|it| !it.is_loaded()) {
            window.load(&own(window.per(), window.unit()), now);
        }
    }
}

/// What the quota wants to be written of its use.
fn asked(quota: &mut Quota, now: Now) -> Vec<(Duration, Unit, Timestamp, f64)> {
    let mut asked = Vec::new();
    for account in quota.accounts_mut() {
        let unit = account.unit();
        if account.wants_ledger() {
            account.ask_ledger(|slot, amount| asked.push((Duration::ZERO, unit, slot, amount)));
        }
    }
    for window in quota.windows_mut() {
        let (per, unit) = (window.per(), window.unit());
        if window.wants_ledger(now.wall) {
            window.ask_ledger(now.wall, |slot, amount| {
                asked.push((per, unit, slot, amount))
            });
        }
    }
    asked
}

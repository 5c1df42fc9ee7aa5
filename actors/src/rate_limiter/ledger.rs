//! Keeps the use of long quotas in step with the ledger, one write at a time.

use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, Handler};
use log::{info, warn};

use super::RateLimiterActor;
use crate::domain::Timestamp;
use crate::failpoints;
use crate::logic::quota::Account;
use crate::ports::{QuotaEntry, QuotaLedger, StoreError};

/// How long to wait after the ledger failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long entries are kept: more than a month.
const KEPT: i64 = 40 * 86_400_000;

/// The ledger, and how the limiter stands with it.
pub(super) struct Ledger {
    port: Rc<dyn QuotaLedger>,
    /// Whether a write is under way.
    is_writing: bool,
    /// Whether the last write failed.
    is_failing: bool,
    /// Which life of the actor this is; answers to an earlier one are passed over.
    epoch: u64,
}

/// What the ledger held at the start.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Loaded(Vec<QuotaEntry>);

/// The ledger has written entries down, or not.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Entered {
    epoch: u64,
    entries: Vec<QuotaEntry>,
    outcome: Result<(), StoreError>,
}

impl Ledger {
    /// A ledger of which nothing is known yet.
    pub(super) const fn new(port: Rc<dyn QuotaLedger>) -> Self {
        Self {
            port,
            is_writing: false,
            is_failing: false,
            epoch: 0,
        }
    }

    /// Reads what was used in the time that still counts, however often it takes.
    pub(super) fn load(&self, own: Addr<RateLimiterActor>, wall: Timestamp) {
        let port = Rc::clone(&self.port);
        let since = Timestamp::from_millis(wall.as_millis() - KEPT);
        actix_rt::spawn(async move {
            let mut is_failing = false;
            loop {
                match port.entries(since).await {
                    Ok(entries) => return own.do_send(Loaded(entries)),
                    Err(error) if !is_failing => {
                        warn!(cause:% = error; "the use of quotas was not read");
                    }
                    Err(_) => (),
                }
                is_failing = true;
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    fn enter(&self, own: Addr<RateLimiterActor>, entries: Vec<QuotaEntry>, before: Timestamp) {
        let (port, epoch) = (Rc::clone(&self.port), self.epoch);
        actix_rt::spawn(async move {
            let outcome = port.enter(entries.clone(), before).await;
            if outcome.is_err() {
                tokio::time::sleep(RETRY).await;
            }
            own.do_send(Entered {
                epoch,
                entries,
                outcome,
            });
        });
    }
}

impl RateLimiterActor {
    /// Draws blocks for every lane, if any lane wants some and no write is under way.
    pub(super) fn draw(&mut self) {
        if self.ledger.is_writing {
            return;
        }
        let mut entries = Vec::new();
        for (lane, state) in &mut self.lanes {
            let accounts = state.quota.accounts_mut().iter_mut();
            for account in accounts.filter(|account| account.wants_ledger()) {
                let unit = account.unit();
                account.ask_ledger(|slot, amount| {
                    entries.push(QuotaEntry {
                        lane: lane.clone(),
                        unit,
                        slot,
                        amount,
                    });
                });
            }
        }
        if entries.is_empty() {
            return;
        }
        self.ledger.is_writing = true;
        let before = Timestamp::from_millis(self.clock.wall().as_millis() - KEPT);
        self.ledger.enter(self.own.clone(), entries, before);
    }

    /// Starts anew with the ledger after a fall: what was not answered is asked for again.
    pub(super) fn ledger_after_fall(&mut self) {
        self.ledger.epoch += 1;
        self.ledger.is_writing = false;
        let is_missing = |account: &Account| account.is_kept() && !account.is_loaded();
        let mut is_loaded = true;
        for state in self.lanes.values_mut() {
            is_loaded &= !state.quota.accounts().iter().any(is_missing);
            for account in state.quota.accounts_mut() {
                account.not_kept();
            }
        }
        if !is_loaded {
            self.ledger.load(self.own.clone(), self.clock.wall());
        }
    }
}

impl Handler<Loaded> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Loaded(entries): Loaded, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.loaded");
        let wall = self.clock.wall();
        for (lane, state) in &mut self.lanes {
            for account in state.quota.accounts_mut() {
                if !account.is_kept() || account.is_loaded() {
                    continue;
                }
                let own: Vec<(Timestamp, f64)> = entries
                    .iter()
                    .filter(|entry| entry.lane == *lane && entry.unit == account.unit())
                    .map(|entry| (entry.slot, entry.amount))
                    .collect();
                account.load(&own, wall);
            }
        }
        self.ledger_changed();
    }
}

impl Handler<Entered> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, entered: Entered, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.entered");
        if entered.epoch != self.ledger.epoch {
            return;
        }
        self.ledger.is_writing = false;
        if let Err(error) = &entered.outcome {
            if !std::mem::replace(&mut self.ledger.is_failing, true) {
                warn!(cause:% = error; "the use of quotas was not written down");
            }
        } else if std::mem::take(&mut self.ledger.is_failing) {
            info!("the use of quotas is written down again");
        }
        for QuotaEntry {
            lane,
            unit,
            slot,
            amount,
        } in entered.entries
        {
            let accounts = self.lanes.get_mut(&lane).map(|it| it.quota.accounts_mut());
            let mut accounts = accounts.into_iter().flatten();
            let account = accounts.find(|account| account.unit() == unit && account.is_kept());
            match (account, &entered.outcome) {
                (Some(account), Ok(())) => account.kept(slot, amount),
                (Some(account), Err(_)) => account.not_kept(),
                (None, _) => (),
            }
        }
        self.ledger_changed();
    }
}

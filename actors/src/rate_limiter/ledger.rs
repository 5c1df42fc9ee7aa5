//! Keeps quotas in step with the ledger, one write at a time.

use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, Handler};
use log::{info, warn};

use super::RateLimiterActor;
use crate::domain::{Lane, Timestamp, Unit};
use crate::failpoints;
use crate::ports::{LearnedLimits, QuotaChange, QuotaEntry, QuotaLedger, StoreError};
use crate::supervision::unless_panicked;

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
pub(super) struct Loaded {
    entries: Vec<QuotaEntry>,
    learned: Vec<LearnedLimits>,
}

/// What is to be written down.
#[derive(Default)]
struct Change {
    drawn: Vec<Drawn>,
    learned: Vec<LearnedLimits>,
}

/// An entry, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    lane: Lane,
    /// The length of the window; none: of a long quota.
    per: Option<Duration>,
    entry: QuotaEntry,
}

/// The ledger has written a change down, or not.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Entered {
    epoch: u64,
    change: Change,
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

    /// Reads what was learned, and all that was used and is kept, however often it takes: the clock
    /// may be wrong about what still counts.
    pub(super) fn load(&self, own: Addr<RateLimiterActor>) {
        let port = Rc::clone(&self.port);
        let since = Timestamp::from_millis(i64::MIN);
        actix_rt::spawn(async move {
            let mut is_failing = false;
            loop {
                let reading = async {
                    failpoints::hit("rate_limiter.load");
                    let (entries, learned) = (port.entries(since).await?, port.learned().await?);
                    Ok(Loaded { entries, learned })
                };
                match unless_panicked(reading).await {
                    Ok(loaded) => return own.do_send(loaded),
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

    fn enter(&self, own: Addr<RateLimiterActor>, change: Change, before: Timestamp) {
        let (port, epoch) = (Rc::clone(&self.port), self.epoch);
        actix_rt::spawn(async move {
            let entries = change.drawn.iter().map(|drawn| drawn.entry.clone());
            let whole = QuotaChange {
                entries: entries.collect(),
                learned: change.learned.clone(),
                before,
            };
            let writing = async {
                failpoints::hit("rate_limiter.call");
                port.enter(whole).await
            };
            let outcome = unless_panicked(writing).await;
            if outcome.is_err() {
                tokio::time::sleep(RETRY).await;
            }
            own.do_send(Entered {
                epoch,
                change,
                outcome,
            });
        });
    }
}

impl Drawn {
    fn new(lane: &Lane, per: Option<Duration>, unit: Unit, slot: Timestamp, amount: f64) -> Self {
        Self {
            lane: lane.clone(),
            per,
            entry: QuotaEntry {
                lane: name_in_ledger(lane, per),
                unit,
                slot,
                amount,
            },
        }
    }
}

/// Under which name the ledger keeps a lane's long quotas, or its windows of some length.
fn name_in_ledger(lane: &Lane, per: Option<Duration>) -> Lane {
    per.map_or_else(
        || lane.clone(),
        |per| format!("{}s:{lane}", per.as_secs()).as_str().into(),
    )
}

impl RateLimiterActor {
    /// Draws blocks for every lane, if any lane wants some and no write is under way.
    pub(super) fn draw(&mut self) {
        if self.ledger.is_writing {
            return;
        }
        let wall = self.now().wall;
        let Change {
            mut drawn,
            mut learned,
        } = Change::default();
        for (lane, state) in &mut self.lanes {
            let accounts = state.quota.accounts_mut().iter_mut();
            for account in accounts.filter(|account| account.wants_ledger()) {
                let unit = account.unit();
                account.ask_ledger(|slot, amount| {
                    drawn.push(Drawn::new(lane, None, unit, slot, amount));
                });
            }
            let windows = state.quota.windows_mut().iter_mut();
            for window in windows.filter(|window| window.wants_ledger(wall)) {
                let (unit, per) = (window.unit(), Some(window.per()));
                window.ask_ledger(wall, |slot, amount| {
                    drawn.push(Drawn::new(lane, per, unit, slot, amount));
                });
            }
            if let Some(limits) = state.quota.remember(wall) {
                learned.push(LearnedLimits {
                    lane: lane.clone(),
                    account: state.account,
                    limits,
                });
            }
        }
        if drawn.is_empty() && learned.is_empty() {
            return;
        }
        self.ledger.is_writing = true;
        let before = Timestamp::from_millis(wall.as_millis() - KEPT);
        let change = Change { drawn, learned };
        self.ledger.enter(self.own.clone(), change, before);
    }

    /// Starts anew with the ledger after a fall: what was not answered is asked for again.
    pub(super) fn ledger_after_fall(&mut self) {
        self.ledger.epoch += 1;
        self.ledger.is_writing = false;
        for state in self.lanes.values_mut() {
            state.quota.not_kept();
        }
    }
}

impl Handler<Loaded> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Loaded { entries, learned }: Loaded, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.loaded");
        let newest = entries.iter().map(|entry| entry.slot).max();
        if let Some(newest) = newest
            && self.now().wall.as_millis() - newest.as_millis() > KEPT
        {
            warn!(last_used:% = newest; "the clock is far ahead of what was used last, and is not believed yet");
            self.steady.begin_at(newest, self.clock.now());
        }
        let now = self.now();
        for (lane, state) in &mut self.lanes {
            let account = state.account;
            let mut own = learned.iter();
            let own = own.find(|it| it.lane == *lane && it.account == account);
            let own = own.map_or(&[][..], |it| &it.limits);
            for recalled in state.quota.recall(own, now) {
                state.say_recalled(recalled);
            }
            let kept = |per, unit| -> Vec<(Timestamp, f64)> {
                let name = name_in_ledger(lane, per);
                let own = entries.iter();
                let own = own.filter(|entry| entry.lane == name && entry.unit == unit);
                own.map(|entry| (entry.slot, entry.amount)).collect()
            };
            for account in state.quota.accounts_mut() {
                if !account.is_loaded() {
                    account.load(&kept(None, account.unit()), now.wall);
                }
            }
            for window in state.quota.windows_mut() {
                if !window.is_loaded() {
                    window.load(&kept(Some(window.per()), window.unit()), now);
                }
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
        let Change { drawn, learned } = entered.change;
        if entered.outcome.is_err() {
            let lanes = drawn.iter().map(|drawn| &drawn.lane);
            for lane in lanes.chain(learned.iter().map(|it| &it.lane)) {
                let state = self.lanes.get_mut(lane);
                state.into_iter().for_each(|it| it.quota.not_kept());
            }
            return self.ledger_changed();
        }
        for LearnedLimits { lane, .. } in learned {
            let state = self.lanes.get_mut(&lane);
            state.into_iter().for_each(|it| it.quota.learned_is_kept());
        }
        for Drawn { lane, per, entry } in drawn {
            let QuotaEntry {
                unit, slot, amount, ..
            } = entry;
            let Some(state) = self.lanes.get_mut(&lane) else {
                continue;
            };
            if let Some(per) = per {
                let mut windows = state.quota.windows_mut().iter_mut();
                let window = windows.find(|it| (it.unit(), it.per()) == (unit, per));
                window
                    .into_iter()
                    .for_each(|it| it.is_written(slot, amount));
            } else {
                let mut accounts = state.quota.accounts_mut().iter_mut();
                let account = accounts.find(|it| it.unit() == unit);
                account.into_iter().for_each(|it| it.kept(slot, amount));
            }
        }
        self.ledger_changed();
    }
}

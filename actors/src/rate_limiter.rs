//! Grants permits in lanes, exactly when they are due.

mod lane;
mod ledger;
mod view;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Supervised};
use log::{info, warn};
use tokio::sync::oneshot;

use crate::domain::{Lane, Moment, Timestamp};
use crate::failpoints;
use crate::logic::quota::{Need, Now, Parked, Quota, Turn, Word};
use crate::logic::steady::{PATIENCE, Steady};
use crate::messages::{
    Acquire, Acquired, Adjust, Adjustment, Amend, LaneView, Lanes, Permit, PermitHome, Quotas,
    Reserve, Settle, UnknownName, Urgency, Verdict,
};
use crate::ports::{Clock, QuotaLedger};
use crate::setup::LaneLimits;

use lane::{LaneState, Waiter};
use ledger::Ledger;

/// What the rate limiter is born with.
pub struct Config {
    /// Every lane.
    pub lanes: Vec<LaneConfig>,
    /// What was used and learned in lanes before.
    pub earlier: Vec<(Lane, Quota)>,
    /// The lanes that grant nothing until each is resumed.
    pub paused: Vec<Lane>,
    /// After so long a call is over, whatever became of its permit.
    pub patience: Duration,
    /// What time it is for days and months.
    pub steady: Rc<Steady>,
}

/// What the settings say of a lane.
pub struct LaneConfig {
    /// The lane.
    pub lane: Lane,
    /// Names the account that it is: what was learned of another is not believed.
    pub account: u64,
    /// Its limits.
    pub limits: LaneLimits,
}

/// Owns the quota of every lane.
pub struct RateLimiterActor {
    own: Addr<Self>,
    clock: Arc<dyn Clock>,
    steady: Rc<Steady>,
    patience: Duration,
    lanes: BTreeMap<Lane, LaneState>,
    ledger: Ledger,
    serial: u64,
}

/// A timer that rings: a lane has something to grant since then.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Due(Lane, Moment);

impl RateLimiterActor {
    /// A rate limiter in whose lanes nothing is used but what was before and what the ledger holds.
    pub fn new(
        own: Addr<Self>,
        clock: Arc<dyn Clock>,
        ledger: Rc<dyn QuotaLedger>,
        config: Config,
    ) -> Self {
        let mut limiter = Self {
            own,
            clock,
            steady: config.steady,
            patience: config.patience,
            lanes: BTreeMap::new(),
            ledger: Ledger::new(ledger),
            serial: 0,
        };
        let now = limiter.now();
        let mut earlier: BTreeMap<Lane, Quota> = config.earlier.into_iter().collect();
        for it in config.lanes {
            let mut state = limiter.new_lane(&it);
            if let Some(earlier) = earlier.remove(&it.lane) {
                state.quota.follow(earlier, now);
            }
            if config.paused.contains(&it.lane) {
                state.quota.pause();
            }
            limiter.lanes.insert(it.lane, state);
        }
        limiter
    }

    fn new_lane(&self, config: &LaneConfig) -> LaneState {
        let home = PermitHome::new(config.lane.clone(), self.own.clone().recipient());
        let (account, now) = (config.account, self.clock.now());
        LaneState::new(Arc::new(home), account, &config.limits, now)
    }

    fn now(&self) -> Now {
        self.clock.steadied(&self.steady)
    }

    /// Grants at most so many permits in a lane now.
    fn grant(&mut self, lane: &Lane, calls: usize, need: Need, urgency: Urgency) -> Vec<Permit> {
        let now = self.now();
        let patience = self.patience;
        let Some(state) = self.lanes.get_mut(lane) else {
            return Vec::new();
        };
        let mut room = state.quota.room(calls, need, urgency, now);
        if room == 0 && state.quota.in_flight() > 0 {
            state.quota.write_off(patience, now.moment);
            room = state.quota.room(calls, need, urgency, now);
        }
        let first = self.serial + 1;
        self.serial += room as u64;
        let serials = first..first + room as u64;
        let permits = serials.map(|serial| {
            state.quota.grant(serial, need, now);
            Permit::new(Arc::clone(&state.home), serial, need.tokens)
        });
        permits.collect()
    }

    /// Serves who waits in a lane, and sets the timer for the next.
    fn serve(&mut self, lane: &Lane) {
        while let Some(order) = self.lanes.get(lane).map(LaneState::order) {
            if !order
                .into_iter()
                .any(|urgency| self.serve_one(lane, urgency))
            {
                break;
            }
        }
        self.set_timer(lane);
    }

    /// Serves the next who waits with that urgency; answers whether anything was granted.
    fn serve_one(&mut self, lane: &Lane, urgency: Urgency) -> bool {
        let Some((calls, need)) = self.next_waiter(lane, urgency) else {
            return false;
        };
        let permits = self.grant(lane, calls, need, urgency);
        if permits.is_empty() {
            return false;
        }
        if let Some(state) = self.lanes.get_mut(lane) {
            state.served(urgency);
            if let Some(waiter) = state.waiters(urgency).pop_front() {
                // Who does not wait any more drops the permits, and so gives them back.
                let _ = waiter.permits.send(permits);
            }
        }
        true
    }

    fn next_waiter(&mut self, lane: &Lane, urgency: Urgency) -> Option<(usize, Need)> {
        let waiters = self.lanes.get_mut(lane)?.waiters(urgency);
        while waiters.front()?.permits.is_closed() {
            waiters.pop_front();
        }
        waiters.front().map(|waiter| (waiter.calls, waiter.need))
    }

    fn set_timer(&mut self, lane: &Lane) {
        let now = self.now();
        let patience = self.patience;
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        let Some(need) = state.next_need(now) else {
            return;
        };
        state.say_binding(need, now);
        // Without a window to wait for, the end of a call is waited for; one whose end is lost
        // is written off in the end.
        let written_off = |quota: &Quota| {
            let oldest = quota.oldest().filter(|_| quota.parked().is_none());
            oldest.map(|at| at.plus(patience).plus(Duration::from_millis(1)))
        };
        let due = state.quota.due(need, now);
        let Some(due) = due.or_else(|| written_off(&state.quota)) else {
            return;
        };
        // By then it may be known to be later than it was thought to be.
        let due = due.min(now.moment.plus(PATIENCE));
        if state.rings_at.is_some_and(|rings| rings <= due) {
            return;
        }
        state.rings_at = Some(due);
        let (own, lane) = (self.own.clone(), lane.clone());
        actix_rt::spawn(async move {
            tokio::time::sleep(due.since(now.moment)).await;
            own.do_send(Due(lane, due));
        });
    }

    /// When it is expected that a waiter at the end of the line is served, if that is known.
    fn expected(&self, lane: &Lane, need: Need) -> Option<Moment> {
        self.lanes.get(lane)?.quota.due(need, self.now())
    }

    fn draw_for(&mut self, lane: &Lane) {
        let wall = self.now().wall;
        let state = self.lanes.get(lane);
        if state.is_some_and(|state| state.quota.wants_ledger(wall)) {
            self.draw();
        }
    }

    /// Serves every lane, since the ledger has brought something.
    fn ledger_changed(&mut self) {
        let waited_for: Vec<Lane> = self
            .lanes
            .iter()
            .filter(|(_, state)| state.is_waited_for())
            .map(|(lane, _)| lane.clone())
            .collect();
        for lane in waited_for {
            self.serve(&lane);
        }
        self.draw();
    }
}

impl Actor for RateLimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.started");
        if self.lanes.values().any(|state| !state.quota.is_loaded()) {
            self.ledger.load(self.own.clone());
        }
    }
}

impl Supervised for RateLimiterActor {
    /// Waiters are told by their closed channel to ask again. What was granted was counted
    /// before it was handed out, so it still is: the calls under way are spent until they are
    /// settled or their time is over, and every window stands as it stood.
    fn restarting(&mut self, _: &mut Self::Context) {
        for state in self.lanes.values_mut() {
            state.urgent.clear();
            state.bulk.clear();
            state.rings_at = None;
        }
        self.ledger_after_fall();
    }
}

impl Handler<Acquire> for RateLimiterActor {
    type Result = actix::MessageResult<Acquire>;

    fn handle(&mut self, acquire: Acquire, _: &mut Self::Context) -> Self::Result {
        failpoints::hit("rate_limiter.handler");
        let Acquire {
            lane,
            urgency,
            calls,
            tokens,
            usd,
        } = acquire;
        let need = Need { tokens, usd };
        if !self.lanes.contains_key(&lane) {
            let mut state = self.new_lane(&LaneConfig {
                lane: lane.clone(),
                account: 0,
                limits: LaneLimits::default(),
            });
            let now = self.now();
            state.quota.recall(&[], now);
            for account in state.quota.accounts_mut() {
                account.load(&[], now.wall);
            }
            self.lanes.insert(lane.clone(), state);
        }
        let is_first = self.lanes.get(&lane).is_some_and(|state| match urgency {
            Urgency::Urgent => state.urgent.is_empty() && state.order()[0] == Urgency::Urgent,
            Urgency::Bulk => !state.is_waited_for(),
        });
        if is_first {
            let permits = self.grant(&lane, calls, need, urgency);
            self.draw_for(&lane);
            if !permits.is_empty() {
                return actix::MessageResult(Acquired::Now(permits));
            }
        }
        let (sender, permits) = oneshot::channel();
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.waiters(urgency).push_back(Waiter {
                calls,
                need,
                permits: sender,
            });
        }
        self.serve(&lane);
        self.draw_for(&lane);
        actix::MessageResult(Acquired::Later {
            until: self.expected(&lane, need),
            permits,
        })
    }
}

impl Handler<Due> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Due(lane, rings_at): Due, _: &mut Self::Context) {
        match self.lanes.get_mut(&lane) {
            Some(state) if state.rings_at == Some(rings_at) => state.rings_at = None,
            // An earlier one took its place, and has set what follows.
            _ => return,
        }
        failpoints::hit("rate_limiter.timer");
        self.serve(&lane);
        self.draw_for(&lane);
    }
}

impl Handler<Settle> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, settle: Settle, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.settle");
        let now = self.now();
        let lane = settle.home.lane();
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        if !settle.seen.is_empty() {
            for learned in state.quota.learn(settle.serial, &settle.seen, now) {
                state.say_learned(learned);
            }
        }
        let word = match settle.verdict {
            Verdict::Unused => Word::Unused,
            Verdict::Spent { tokens } => Word::Spent(tokens),
            Verdict::Answered { tokens, cost_usd } => Word::Answered(tokens, cost_usd),
            Verdict::Bounced { wait } => Word::Bounced(wait),
            Verdict::Exhausted { wait } => Word::Exhausted(wait),
            Verdict::Failed { wait } => Word::Failed(wait),
            Verdict::Unreachable => Word::Unreachable,
            Verdict::Unanswered => Word::Unanswered,
            Verdict::Person => Word::Person,
        };
        let parked = state.quota.parked();
        let turn = state.quota.settle(settle.serial, word, now);
        if state.quota.parked() != parked {
            state.let_urgent_ask_again();
        }
        if settle.part_usd > 0.0 {
            state.quota.amend(settle.part_usd, now.wall, now);
        }
        report(lane, turn, &state.quota, now.moment);
        if state.is_waited_for() {
            self.serve(lane);
        }
        self.draw_for(lane);
    }
}

impl Handler<Reserve> for RateLimiterActor {
    type Result = Option<Timestamp>;

    fn handle(&mut self, Reserve { lane, usd }: Reserve, _: &mut Self::Context) -> Self::Result {
        failpoints::hit("rate_limiter.reserve");
        let now = self.now();
        let state = self.lanes.get_mut(&lane);
        // A lane without limits has no money to be short of.
        let is_reserved = state.is_none_or(|state| state.quota.reserve(usd, now));
        self.draw_for(&lane);
        is_reserved.then_some(now.wall)
    }
}

impl Handler<Amend> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Amend { lane, at, usd }: Amend, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.amend");
        let now = self.now();
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.quota.amend(usd, at, now);
        }
        self.serve(&lane);
        self.draw_for(&lane);
    }
}

/// Says once in the log that a lane closed or opened.
fn report(lane: &Lane, turn: Turn, quota: &Quota, now: Moment) {
    match turn {
        Turn::Same => (),
        Turn::Opened => info!(lane:% = lane; "a lane is open again"),
        Turn::Closed(Parked::Person) => {
            let mended = format!("babelfeed resume {lane}");
            warn!(lane:% = lane, why = Parked::Person.name(), when_mended = mended.as_str();
                "a lane is closed until a person acts, and tried each hour");
        }
        Turn::Closed(why) => {
            let until = quota.parked().and_then(|(_, until)| until);
            let wait = until.map_or(0, |until| until.since(now).as_millis());
            warn!(lane:% = lane, why = why.name(), wait_ms = wait; "a lane is closed");
        }
    }
}

impl Handler<Adjust> for RateLimiterActor {
    type Result = Result<(), UnknownName>;

    fn handle(&mut self, adjust: Adjust, _: &mut Self::Context) -> Self::Result {
        let lanes: Vec<Lane> = match adjust.lane {
            Some(lane) if self.lanes.contains_key(&lane) => vec![lane],
            Some(lane) => return Err(UnknownName(lane.as_str().to_owned())),
            None => self.lanes.keys().cloned().collect(),
        };
        for lane in lanes {
            if let Some(state) = self.lanes.get_mut(&lane) {
                match adjust.adjustment {
                    Adjustment::Pause => state.quota.pause(),
                    Adjustment::Resume => state.quota.resume(),
                }
            }
            self.serve(&lane);
            self.draw_for(&lane);
        }
        Ok(())
    }
}

impl Handler<Lanes> for RateLimiterActor {
    type Result = actix::MessageResult<Lanes>;

    fn handle(&mut self, _: Lanes, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        let lanes = self.lanes.values_mut();
        let mut views: Vec<LaneView> = lanes.map(|state| view::view(state, now)).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        actix::MessageResult(views)
    }
}

impl Handler<Quotas> for RateLimiterActor {
    type Result = actix::MessageResult<Quotas>;

    fn handle(&mut self, _: Quotas, _: &mut Self::Context) -> Self::Result {
        let lanes = self.lanes.iter();
        let quotas = lanes.map(|(lane, state)| (lane.clone(), state.quota.clone()));
        actix::MessageResult(quotas.collect())
    }
}

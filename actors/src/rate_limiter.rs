//! Grants permits in lanes, exactly when they are due.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Supervised};
use log::{info, warn};
use tokio::sync::oneshot;

use crate::domain::{Lane, Moment, Timestamp, Tokens, Unit};
use crate::failpoints;
use crate::logic::quota::{Parked, Quota, Turn, Window, Word};
use crate::messages::{
    Acquire, Acquired, Adjust, Adjustment, LaneView, Lanes, Permit, Settle, UnknownName, Urgency,
    Verdict, WindowView,
};
use crate::ports::Clock;
use crate::setup::LaneLimits;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const DAY_MILLIS: i64 = 86_400_000;

/// What the rate limiter is born with.
pub struct Config {
    /// Every lane with its limits.
    pub lanes: Vec<(Lane, LaneLimits)>,
    /// After so long a call is over, whatever became of its permit.
    pub patience: Duration,
}

/// Owns the quota of every lane.
pub struct RateLimiterActor {
    own: Addr<Self>,
    clock: Arc<dyn Clock>,
    config: Config,
    lanes: HashMap<Lane, LaneState>,
    serial: u64,
}

struct LaneState {
    quota: Quota,
    limits: LaneLimits,
    urgent: VecDeque<Waiter>,
    bulk: VecDeque<Waiter>,
    /// When the earliest timer rings.
    rings_at: Option<Moment>,
    day: i64,
    usd_today: f64,
    month: i64,
    usd_month: f64,
}

struct Waiter {
    calls: usize,
    tokens: Tokens,
    permits: oneshot::Sender<Vec<Permit>>,
}

/// A timer that rings: a lane has something to grant.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Due(Lane);

impl RateLimiterActor {
    /// A rate limiter in whose lanes nothing is used.
    pub fn new(own: Addr<Self>, clock: Arc<dyn Clock>, config: Config) -> Self {
        let lanes = config
            .lanes
            .iter()
            .map(|(lane, limits)| (lane.clone(), LaneState::new(*limits)))
            .collect();
        Self {
            own,
            clock,
            config,
            lanes,
            serial: 0,
        }
    }

    fn permit(&self, lane: &Lane, serial: u64, tokens: Tokens) -> Permit {
        Permit::new(lane.clone(), serial, tokens, self.own.clone().recipient())
    }

    /// Grants at most so many permits in a lane now.
    fn grant(
        &mut self,
        lane: &Lane,
        calls: usize,
        granted: Tokens,
        urgency: Urgency,
    ) -> Vec<Permit> {
        let tokens = granted.total();
        let now = self.clock.now();
        let patience = self.config.patience;
        let Some(state) = self.lanes.get_mut(lane) else {
            return Vec::new();
        };
        let mut room = state.quota.room(calls, tokens, urgency, now);
        if room == 0 && state.quota.in_flight() > 0 {
            state.quota.write_off(patience, now);
            room = state.quota.room(calls, tokens, urgency, now);
        }
        let first = self.serial + 1;
        self.serial += room as u64;
        for serial in first..first + room as u64 {
            state.quota.grant(serial, tokens, now);
        }
        (first..first + room as u64)
            .map(|serial| self.permit(lane, serial, granted))
            .collect()
    }

    /// Serves who waits in a lane, the urgent first, and sets the timer for the next.
    fn serve(&mut self, lane: &Lane) {
        for urgency in [Urgency::Urgent, Urgency::Bulk] {
            while let Some((calls, tokens)) = self.next_waiter(lane, urgency) {
                let permits = self.grant(lane, calls, tokens, urgency);
                if permits.is_empty() {
                    break;
                }
                let waiter = self
                    .lanes
                    .get_mut(lane)
                    .and_then(|state| state.waiters(urgency).pop_front());
                if let Some(waiter) = waiter {
                    // Who does not wait any more drops the permits, and so gives them back.
                    let _ = waiter.permits.send(permits);
                }
            }
        }
        self.set_timer(lane);
    }

    fn next_waiter(&mut self, lane: &Lane, urgency: Urgency) -> Option<(usize, Tokens)> {
        let waiters = self.lanes.get_mut(lane)?.waiters(urgency);
        while waiters.front()?.permits.is_closed() {
            waiters.pop_front();
        }
        waiters.front().map(|waiter| (waiter.calls, waiter.tokens))
    }

    fn set_timer(&mut self, lane: &Lane) {
        let now = self.clock.now();
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        let tokens = match (state.urgent.front(), state.bulk.front()) {
            (Some(waiter), _) | (None, Some(waiter)) => waiter.tokens.total(),
            (None, None) => return,
        };
        let patience = self.config.patience;
        // Without a window to wait for, the end of a call is waited for; one whose end is lost
        // is written off in the end.
        let written_off = || {
            let parked = state.quota.parked().is_some();
            let oldest = state.quota.oldest().filter(|_| !parked);
            oldest.map(|at| at.plus(patience).plus(Duration::from_millis(1)))
        };
        let Some(due) = state.quota.due(tokens).or_else(written_off) else {
            return;
        };
        if state
            .rings_at
            .is_some_and(|rings| rings > now && rings <= due)
        {
            return;
        }
        state.rings_at = Some(due);
        let (own, lane) = (self.own.clone(), lane.clone());
        actix_rt::spawn(async move {
            tokio::time::sleep(due.since(now)).await;
            own.do_send(Due(lane));
        });
    }

    /// When it is expected that a waiter at the end of the line is served, if that is known.
    fn expected(&self, lane: &Lane, tokens: Tokens) -> Option<Moment> {
        self.lanes.get(lane)?.quota.due(tokens.total())
    }
}

impl LaneState {
    fn new(limits: LaneLimits) -> Self {
        let windows = [
            (Unit::Requests, limits.rps, SECOND),
            (Unit::Requests, limits.rpm, MINUTE),
            (Unit::Requests, limits.rpd, DAY),
            (Unit::Tokens, limits.tps, SECOND),
            (Unit::Tokens, limits.tpm, MINUTE),
            // Counted apart by some providers; all tokens together are never too few.
            (Unit::Tokens, limits.itpm, MINUTE),
            (Unit::Tokens, limits.otpm, MINUTE),
            (Unit::Tokens, limits.tpd, DAY),
        ];
        let windows = windows
            .into_iter()
            .filter_map(|(unit, limit, per)| Some(Window::new(unit, limit?, per)))
            .collect();
        Self {
            quota: Quota::new(windows, limits.concurrency),
            limits,
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            rings_at: None,
            day: 0,
            usd_today: 0.0,
            month: 0,
            usd_month: 0.0,
        }
    }

    fn waiters(&mut self, urgency: Urgency) -> &mut VecDeque<Waiter> {
        match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Bulk => &mut self.bulk,
        }
    }

    /// Counts money, and closes the lane until tomorrow when the day's or month's is spent.
    fn spend(&mut self, usd: f64, wall: Timestamp, now: Moment) -> Turn {
        let day = wall.as_millis().div_euclid(DAY_MILLIS);
        let month = month_of(wall);
        if day != self.day {
            (self.day, self.usd_today) = (day, 0.0);
        }
        if month != self.month {
            (self.month, self.usd_month) = (month, 0.0);
        }
        self.usd_today += usd;
        self.usd_month += usd;
        let is_over = |limit: Option<f64>, spent: f64| limit.is_some_and(|limit| spent >= limit);
        if is_over(self.limits.usd_per_day, self.usd_today)
            || is_over(self.limits.usd_per_month, self.usd_month)
        {
            let tomorrow = Timestamp::from_millis((day + 1) * DAY_MILLIS);
            return self.quota.spend_no_more(now.plus(tomorrow.since(wall)));
        }
        Turn::Same
    }
}

/// The month of a time, as a number that differs between months.
fn month_of(wall: Timestamp) -> i64 {
    wall.to_string()
        .get(..7)
        .and_then(|month| month.replace('-', "").parse().ok())
        .unwrap_or(0)
}

impl Actor for RateLimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.started");
    }
}

impl Supervised for RateLimiterActor {
    /// Waiters are told by their closed channel to ask again; what was used is not known any
    /// more, so every window counts as used up and fills again at its pace.
    fn restarting(&mut self, _: &mut Self::Context) {
        let now = self.clock.now();
        for state in self.lanes.values_mut() {
            state.urgent.clear();
            state.bulk.clear();
            state.rings_at = None;
            state.quota.assume_used(now);
        }
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
        } = acquire;
        let state = self
            .lanes
            .entry(lane.clone())
            .or_insert_with(|| LaneState::new(LaneLimits::default()));
        let is_first = match urgency {
            Urgency::Urgent => state.urgent.is_empty(),
            Urgency::Bulk => state.urgent.is_empty() && state.bulk.is_empty(),
        };
        if is_first {
            let permits = self.grant(&lane, calls, tokens, urgency);
            if !permits.is_empty() {
                return actix::MessageResult(Acquired::Now(permits));
            }
        }
        let (sender, permits) = oneshot::channel();
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.waiters(urgency).push_back(Waiter {
                calls,
                tokens,
                permits: sender,
            });
        }
        self.serve(&lane);
        actix::MessageResult(Acquired::Later {
            until: self.expected(&lane, tokens),
            permits,
        })
    }
}

impl Handler<Due> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Due(lane): Due, _: &mut Self::Context) {
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.rings_at = None;
        }
        failpoints::hit("rate_limiter.timer");
        self.serve(&lane);
    }
}

impl Handler<Settle> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, settle: Settle, _: &mut Self::Context) {
        failpoints::hit("rate_limiter.settle");
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let Some(state) = self.lanes.get_mut(&settle.lane) else {
            return;
        };
        let (word, usd) = match settle.verdict {
            Verdict::Unused => (Word::Unused, 0.0),
            Verdict::Spent { tokens } => (Word::Spent(tokens.map(Tokens::total)), 0.0),
            Verdict::Answered { tokens, cost_usd } => {
                (Word::Answered(tokens.map(Tokens::total)), cost_usd)
            }
            Verdict::Bounced { wait } => (Word::Bounced(wait), 0.0),
            Verdict::Exhausted { wait } => (
                Word::Bounced(Some(wait.unwrap_or(Duration::from_secs(3600)))),
                0.0,
            ),
            Verdict::Failed { wait } => (Word::Failed(wait), 0.0),
            Verdict::Person => (Word::Person, 0.0),
        };
        let turn = state.quota.settle(settle.serial, word, now);
        report(&settle.lane, turn, &state.quota, now);
        if usd > 0.0 {
            let turn = state.spend(usd, wall, now);
            report(&settle.lane, turn, &state.quota, now);
        }
        if !state.urgent.is_empty() || !state.bulk.is_empty() {
            self.serve(&settle.lane);
        }
    }
}

/// Says once in the log that a lane closed or opened.
fn report(lane: &Lane, turn: Turn, quota: &Quota, now: Moment) {
    match turn {
        Turn::Same => (),
        Turn::Opened => info!(lane:% = lane; "a lane is open again"),
        Turn::Closed(Parked::Person) => {
            warn!(lane:% = lane, why = Parked::Person.name(); "a lane is closed until a person acts");
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
        }
        Ok(())
    }
}

impl Handler<Lanes> for RateLimiterActor {
    type Result = actix::MessageResult<Lanes>;

    fn handle(&mut self, _: Lanes, _: &mut Self::Context) -> Self::Result {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut views: Vec<LaneView> = self
            .lanes
            .iter()
            .map(|(lane, state)| view(lane, state, now, wall))
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        actix::MessageResult(views)
    }
}

fn view(lane: &Lane, state: &LaneState, now: Moment, wall: Timestamp) -> LaneView {
    let by_wall = |moment: Moment| wall.plus(moment.since(now));
    let mut windows: Vec<WindowView> = state
        .quota
        .windows()
        .iter()
        .map(|window| WindowView {
            unit: window.unit().name(),
            per: match window.per() {
                SECOND => "second",
                MINUTE => "minute",
                _ => "day",
            },
            limit: window.limit(),
            used: window.used(),
            resets_at: window.free_at().map(by_wall),
            known_by: "settings",
        })
        .collect();
    if let Some(concurrency) = state.quota.concurrency() {
        windows.push(WindowView {
            unit: "calls",
            per: "at once",
            limit: concurrency as f64,
            used: state.quota.in_flight() as f64,
            resets_at: None,
            known_by: "settings",
        });
    }
    let parked = state
        .quota
        .parked()
        .filter(|(_, until)| until.is_none_or(|until| until > now));
    let today = wall.as_millis().div_euclid(DAY_MILLIS);
    LaneView {
        name: lane.clone(),
        windows,
        waiting: (state.urgent.len() + state.bulk.len()) as u64,
        in_flight: state.quota.in_flight() as u64,
        parked_until: parked
            .map(|(_, until)| until.map_or(Timestamp::from_millis(i64::MAX), by_wall)),
        why: state.quota.closed().map(Parked::name),
        usd_today: if state.day == today {
            state.usd_today
        } else {
            0.0
        },
        binding: None,
    }
}

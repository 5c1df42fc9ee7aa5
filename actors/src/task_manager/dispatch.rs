//! Asks for permits, fills packs with the best work at that moment, and has calls made.

use std::time::Duration;

use actix::{Context, Handler};
use log::error;

use super::book::Flight;
use super::changes::tell;
use super::work::{Subject, Work};
use super::{Intake, Place, ProviderRoute, TaskManagerActor, Translators};
use crate::domain::{Class, Moment, Pair, Tokens};
use crate::failpoints;
use crate::logic::lifecycle::Step;
use crate::logic::queue::{Queue, Turn};
use crate::logic::quota::{Urgency, held_back};
use crate::messages::{Acquire, Acquired, CallEnd, Job, JobItem, Permit, Translate};

use super::lookup::RETRY;

/// The most permits asked for at once.
const PERMITS: usize = 64;
/// How many of the tasks whose turn is next are shown as waiting when a lane grants nothing.
const SHOWN_WAITING: usize = 100;
/// The tokens of a prompt.
const PROMPT_TOKENS: f64 = 250.0;
/// Tokens, sent and received, for a byte of text.
const TOKENS_PER_BYTE: f64 = 0.8;

/// Whether somebody waits for a call with an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    BySomebody,
    ByNobody,
}

/// A lane answered.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Granted {
    epoch: u64,
    route: usize,
    urgency: Urgency,
    permits: Vec<Permit>,
}

/// A lane grants nothing now.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct NotYet {
    epoch: u64,
    route: usize,
    until: Option<Moment>,
}

/// A call has ended.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) route: usize,
    /// Which of the far translators; none for the near one.
    pub(super) translator: Option<usize>,
    pub(super) flight: Flight,
    /// How; none when the translator fell over it.
    pub(super) end: Option<CallEnd>,
}

impl TaskManagerActor {
    /// Asks for the permits that the work in the queue can use now.
    pub(super) fn dispatch(&mut self, _: &mut Context<Self>) {
        if self.intake == Intake::Stopping || self.book.lock().outbox.is_stuck {
            return;
        }
        for urgency in [Urgency::Urgent, Urgency::Bulk] {
            for route in 0..self.config.routes.len() {
                self.ask(route, urgency);
            }
        }
    }

    fn ask(&mut self, route: usize, urgency: Urgency) {
        let slots = self.free_slots(urgency);
        if slots == 0 || !self.has_work(route, urgency) {
            return;
        }
        let state = self.state.routes.entry(route).or_default();
        if state.asking.contains(&urgency) {
            return;
        }
        let is_short = state.waiting_until.is_some();
        let pack = self.pack_size(route);
        let waiting = self.waiting(route);
        if urgency == Urgency::Bulk && is_short && waiting < pack && self.waits_for_company(route) {
            return;
        }
        let calls = waiting.div_ceil(pack).clamp(1, slots.min(PERMITS));
        let provider = &self.config.routes[route];
        let tokens = if provider.counts_tokens {
            let texts = waiting.min(pack) as f64 * self.state.text_bytes.max(40.0);
            Tokens {
                input: (PROMPT_TOKENS + texts * TOKENS_PER_BYTE / 2.0) as u64,
                output: (texts * TOKENS_PER_BYTE / 2.0) as u64,
            }
        } else {
            Tokens::default()
        };
        let acquire = Acquire {
            lane: provider.lane.clone(),
            urgency,
            calls,
            tokens,
        };
        if let Some(state) = self.state.routes.get_mut(&route) {
            state.asking.insert(urgency);
        }
        self.acquire(route, acquire);
    }

    fn acquire(&self, route: usize, acquire: Acquire) {
        let (limiter, own) = (self.peers.acquire.clone(), self.own.clone());
        let (urgency, epoch) = (acquire.urgency, self.epoch);
        actix_rt::spawn(async move {
            let permits = match limiter.send(acquire).await {
                Ok(Acquired::Now(permits)) => permits,
                Ok(Acquired::Later { until, permits }) => {
                    own.do_send(NotYet {
                        epoch,
                        route,
                        until,
                    });
                    // Closed when the limiter fell: ask again.
                    permits.await.unwrap_or_default()
                }
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    Vec::new()
                }
            };
            own.do_send(Granted {
                epoch,
                route,
                urgency,
                permits,
            });
        });
    }

    /// Whether bulk work of a short lane still waits for company; sets the timer if so.
    fn waits_for_company(&mut self, route: usize) -> bool {
        let wait = self.config.batch_timeout;
        let wall = self.clock.wall();
        let oldest = self.next_turn(route, |_| true).and_then(|turn| {
            let queue = self.queue_mut(route, &turn)?;
            match &queue.get_mut(&turn.bucket, &turn.position)?.subject {
                Subject::Task(live) => Some(live.record.lifecycle.since()),
                Subject::Now { .. } => None,
            }
        });
        let Some(since) = oldest else {
            return false;
        };
        let waited = wall.since(since);
        if waited >= wait {
            return false;
        }
        let now = self.clock.now();
        let rings = now.plus(wait.saturating_sub(waited).max(Duration::from_millis(1)));
        if self.state.rings_at.is_none_or(|at| at > rings) {
            self.state.rings_at = Some(rings);
            self.ring_after(rings.since(now));
        }
        true
    }

    fn free_slots(&self, urgency: Urgency) -> usize {
        match self.slots.limit() {
            None => usize::MAX,
            Some(limit) => limit
                .saturating_sub(held_back(limit, urgency))
                .saturating_sub(self.slots.used()),
        }
    }

    fn pack_size(&self, route: usize) -> usize {
        let provider: &ProviderRoute = &self.config.routes[route];
        self.config
            .max_batch_size
            .min(provider.max_items.unwrap_or(usize::MAX))
            .max(1)
    }

    /// How many texts wait that this provider may do, or a little more.
    fn waiting(&self, route: usize) -> usize {
        let strays = self.state.strays.get(&route).map_or(0, Queue::len);
        strays + self.state.queue.len()
    }

    fn has_work(&self, route: usize, urgency: Urgency) -> bool {
        self.next_turn(route, |class| fits(class, urgency))
            .is_some()
    }

    /// Whose turn it is at this provider: its strays first.
    fn next_turn(&self, route: usize, classes: impl Fn(Class) -> bool + Copy) -> Option<Turn> {
        let strays = self.state.strays.get(&route);
        strays
            .and_then(|strays| strays.next(classes, |_| true))
            .or_else(|| {
                self.state
                    .queue
                    .next(classes, |pair| self.serves(route, pair))
            })
    }

    fn serves(&self, route: usize, pair: &Pair) -> bool {
        let state = self.state.routes.get(&route);
        let until = state.and_then(|state| state.unsupported.get(pair));
        until.is_none_or(|until| *until <= self.clock.now())
    }

    /// The queue in which that turn is.
    fn queue_mut(&mut self, route: usize, turn: &Turn) -> Option<&mut Queue<Work>> {
        let strays = self.state.strays.get_mut(&route);
        if let Some(strays) = strays
            && strays.get_mut(&turn.bucket, &turn.position).is_some()
        {
            return self.state.strays.get_mut(&route);
        }
        Some(&mut self.state.queue)
    }

    fn take(&mut self, route: usize, turn: &Turn) -> Option<Work> {
        let cost = self.state.text_bytes.max(1.0);
        let work = self.queue_mut(route, turn)?.take(turn, cost)?;
        self.state.leaders.remove(&work.key);
        Some(work)
    }

    /// The best work for one call: of one pair, as much as may share it.
    fn fill(&mut self, route: usize, urgency: Urgency) -> Vec<Work> {
        let mut pack: Vec<Work> = Vec::new();
        let mut most = self.pack_size(route);
        let mut pair: Option<Pair> = None;
        while pack.len() < most {
            let classes = |class| fits(class, urgency) || !pack.is_empty();
            let turn = match &pair {
                None => self.next_turn(route, classes),
                Some(pair) => self.next_alike(route, pair, classes),
            };
            let Some(turn) = turn else { break };
            let wanted = pack.len() + 1;
            let Some(work) = self
                .queue_mut(route, &turn)
                .and_then(|queue| queue.get_mut(&turn.bucket, &turn.position))
            else {
                break;
            };
            if work.pack_limit < wanted && !work.is_abandoned() {
                // It wants a smaller call than this one has become.
                break;
            }
            let Some(work) = self.take(route, &turn) else {
                break;
            };
            if work.is_abandoned() {
                continue;
            }
            most = most.min(work.pack_limit);
            pair = Some(work.bucket.pair.clone());
            pack.push(work);
        }
        pack
    }

    fn next_alike(
        &self,
        route: usize,
        pair: &Pair,
        classes: impl Fn(Class) -> bool + Copy,
    ) -> Option<Turn> {
        let strays = self.state.strays.get(&route);
        strays
            .and_then(|strays| strays.next(classes, |other| other == pair))
            .or_else(|| self.state.queue.next(classes, |other| other == pair))
    }

    /// Uses a permit for the best work there is; without any it is dropped, and so given back.
    fn call(&mut self, route: usize, urgency: Urgency, permit: Permit) {
        let pack = self.fill(route, urgency);
        if pack.is_empty() {
            return;
        }
        let mut items = Vec::with_capacity(pack.len());
        let mut numbers = Vec::with_capacity(pack.len());
        let pair = pack[0].bucket.pair.clone();
        let awaited = match pack[0].bucket.class {
            Class::Interactive => Awaited::BySomebody,
            Class::High | Class::Normal | Class::Low => Awaited::ByNobody,
        };
        for work in pack {
            if let Some(item) = self.claim(work) {
                numbers.push(item.token);
                items.push(item);
            }
        }
        if items.is_empty() {
            return;
        }
        let job = Job {
            provider: self.config.routes[route].name.clone(),
            pair,
            items,
            permit,
            timeout: self.config.timeout,
        };
        let flight = Flight::new(numbers, &self.book, &self.lost, self.slots.take());
        self.send(route, awaited, job, flight);
    }

    /// Puts work into the book as being in a call.
    fn claim(&mut self, mut work: Work) -> Option<JobItem> {
        let leadership = work.leadership.take()?;
        let number = self.store.token();
        work.number = number;
        match &mut work.subject {
            Subject::Task(live) => {
                let id = live.record.task.id;
                if let Err(refusal) = live.record.lifecycle.step(Step::Call, self.clock.wall()) {
                    error!(task:% = id, cause:% = refusal; "a task was not called for");
                    return None;
                }
                self.tell(&live.record);
                self.state.places.insert(id, Place::InFlight(number));
                self.book.lock().outbox.claims.push(number);
            }
            Subject::Now { .. } => work.attempts += 1,
        }
        let item = JobItem {
            token: number,
            text: work.text.clone(),
            context: work.context.clone(),
            leadership,
        };
        self.book.lock().in_flight.insert(number, work);
        Some(item)
    }

    fn send(&mut self, route: usize, awaited: Awaited, job: Job, flight: Flight) {
        let Translators { near, far } = &self.peers.translators;
        let load = |translator: &usize| self.state.calls.get(translator).copied().unwrap_or(0);
        let idlest = (0..far.len()).min_by_key(load);
        let translator = idlest.filter(|_| awaited == Awaited::ByNobody);
        let sending = match translator {
            Some(translator) => far[translator].send(Translate(job)),
            None => near.send(Translate(job)),
        };
        if let Some(translator) = translator {
            *self.state.calls.entry(translator).or_default() += 1;
        }
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let end = sending.await.ok();
            own.do_send(Ended {
                route,
                translator,
                flight,
                end,
            });
        });
    }

    /// Shows the tasks whose turn is next as waiting for their lane.
    fn show_waiting(&mut self, until: Option<Moment>) {
        let (at, now) = (self.clock.wall(), self.clock.now());
        let until = until.map(|until| at.plus(until.since(now)));
        let turns: Vec<_> = self
            .state
            .queue
            .iter()
            .filter(|(.., work)| match &work.subject {
                Subject::Task(live) => {
                    live.record.lifecycle.state() == crate::domain::State::Queued
                }
                Subject::Now { .. } => false,
            })
            .take(SHOWN_WAITING)
            .map(|(class, flow, pair, position, _)| Turn {
                bucket: crate::domain::Bucket {
                    class,
                    flow: flow.clone(),
                    pair: pair.clone(),
                },
                position: *position,
            })
            .collect();
        for turn in turns {
            let Some(work) = self.state.queue.get_mut(&turn.bucket, &turn.position) else {
                continue;
            };
            if let Subject::Task(live) = &mut work.subject
                && live.record.lifecycle.step(Step::Wait { until }, at).is_ok()
            {
                tell(&self.peers.events, &live.record);
            }
        }
    }
}

/// Whether work of a class is asked for with that urgency.
const fn fits(class: Class, urgency: Urgency) -> bool {
    match urgency {
        Urgency::Urgent => class.is_urgent(),
        Urgency::Bulk => true,
    }
}

impl Handler<NotYet> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, not_yet: NotYet, context: &mut Context<Self>) {
        if not_yet.epoch != self.epoch {
            return;
        }
        let until = not_yet.until;
        let state = self.state.routes.entry(not_yet.route).or_default();
        state.waiting_until = Some(until.unwrap_or_else(|| self.clock.now()));
        self.show_waiting(until);
        // Another provider may have room.
        self.dispatch(context);
    }
}

impl Handler<Granted> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, granted: Granted, context: &mut Context<Self>) {
        failpoints::hit("task_manager.granted");
        if granted.epoch != self.epoch {
            // The restart has asked anew; these are given back.
            return;
        }
        let Granted {
            route,
            urgency,
            permits,
            ..
        } = granted;
        let now = self.clock.now();
        let state = self.state.routes.entry(route).or_default();
        state.asking.remove(&urgency);
        if state.waiting_until.is_some_and(|until| until <= now) {
            state.waiting_until = None;
        }
        if self.intake == Intake::Stopping || self.book.lock().outbox.is_stuck {
            return;
        }
        let mut n_called = 0;
        let n_permits = permits.len();
        for permit in permits {
            if self.free_slots(urgency) > 0 {
                let before = self.slots.used();
                self.call(route, urgency, permit);
                n_called += self.slots.used() - before;
            }
        }
        if n_called > 0 || n_permits == 0 {
            self.dispatch(context);
            self.flush_soon(context);
        }
    }
}

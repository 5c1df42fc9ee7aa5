//! Asks for permits, and has calls made for the packs that they allow.

mod fill;

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use log::error;

use super::book::{Claim, Flight};
use super::changes::tell;
use super::choice::Made;
use super::lookup::RETRY;
use super::work::{Subject, Work};
use super::{Ask, Intake, Place, TaskManagerActor, Translators, Unfit};
use crate::domain::{Class, Moment, Pair, State, Tokens};
use crate::failpoints;
use crate::logic::estimate::{Rate, Weight};
use crate::logic::lifecycle::Step;
use crate::logic::pack::texts_within;
use crate::logic::price::usd;
use crate::logic::queue::{Crowd, Queue, Spot};
use crate::logic::quota::{Urgency, held_back};
use crate::logic::routing::Routes;
use crate::messages::{Acquire, Acquired, CallEnd, Duty, Job, JobItem, Permit, Translate};
use fill::Filled;

/// The most permits asked for at once.
const PERMITS: usize = 64;
/// So many calls of those who wait are made by the near translator although others have fewer.
const FEW: usize = 4;
/// How many of the tasks whose turn is next are shown as waiting when a lane grants nothing.
const SHOWN_WAITING: usize = 100;

/// Whether somebody waits for a call with an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    BySomebody,
    ByNobody,
}

/// In which of a provider's queues something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Among what only these providers may still do.
    Strays(Routes),
    /// Among what any provider may do.
    Common,
}

/// What went out in a call.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) pair: Pair,
    pub(super) n_texts: usize,
    /// What they weigh by their texts alone.
    pub(super) weight: Weight,
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
    urgency: Urgency,
    until: Option<Moment>,
}

/// Time to use what has become free.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Dispatch;

/// A call has ended.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) route: usize,
    /// Which of the far translators; none for the near one.
    pub(super) translator: Option<usize>,
    pub(super) made: Made,
    pub(super) flight: Flight,
    pub(super) sent: Sent,
    /// How; none when the translator fell over it.
    pub(super) end: Option<CallEnd>,
}

impl TaskManagerActor {
    /// Lets permits be asked for after the mail that is waiting now, so that calls which end
    /// together are followed by one request for as many permits.
    pub(super) fn dispatch_soon(&mut self, context: &mut Context<Self>) {
        if !self.state.is_dispatch_due {
            self.state.is_dispatch_due = true;
            context.notify(Dispatch);
        }
    }

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
        let state = self.state.routes.get(&route);
        let is_asking = state.is_some_and(|state| state.ask(urgency) != Ask::Done);
        if slots == 0 || is_asking {
            return;
        }
        if urgency == Urgency::Bulk && self.is_all_asked_for(route) {
            return;
        }
        let Some(((line, head), most)) = self.wanted_turn(route, urgency) else {
            return;
        };
        let is_short = state.is_some_and(|state| state.waiting_until.is_some());
        let crowd = self.crowd(route, line, head);
        let pack = self.pack_size_at(route, (line, head));
        if urgency == Urgency::Bulk
            && is_short
            && crowd.n_texts < pack
            && self.waits_for_company(line, head)
        {
            return;
        }
        // More may come while the permit is waited for, and goes in the same call.
        let n_expected = 2 * crowd.n_texts;
        let tokens = self.tokens_for(route, (line, head), crowd, n_expected);
        let calls = self.waiting(route).div_ceil(pack);
        let acquire = Acquire {
            lane: self.config.routes[route].lane.clone(),
            urgency,
            calls: calls.clamp(1, slots.min(PERMITS).min(most)),
            tokens,
            usd: usd(tokens, self.config.routes[route].price),
        };
        let state = self.state.routes.entry(route).or_default();
        state.set_ask(urgency, Ask::Sent);
        state.unfit = state.unfit.map(|unfit| Unfit::AskedFor(unfit.weight()));
        self.acquire(route, acquire);
    }

    /// Whether nothing waits for the only provider but urgent work, for which it is being asked:
    /// another permit would be given back. Of several, what each of them grants bulk work is asked
    /// all the same, because it tells whether it may take over from another.
    fn is_all_asked_for(&self, route: usize) -> bool {
        let is_asked = self.ask_of(route, Urgency::Urgent) != Ask::Done;
        self.config.routes.len() == 1
            && is_asked
            && self
                .next_turn(route, |class| !class.is_urgent(), |_, _| true)
                .is_none()
    }

    /// How much waits that may go with the work at a place.
    fn crowd(&self, route: usize, line: Line, head: Spot) -> Crowd {
        let Some(company) = self.queue(line).company(head) else {
            return Crowd::default();
        };
        let strays = self.strays_of(route).map(|(_, strays)| strays);
        let queues = strays.chain(std::iter::once(&self.state.queue));
        queues.fold(Crowd::default(), |sum, queue| {
            let crowd = queue.crowd(company);
            Crowd {
                n_texts: sum.n_texts + crowd.n_texts,
                weight: sum.weight + crowd.weight,
            }
        })
    }

    /// The tokens of the call that the work whose turn it is would be in: those of as many texts
    /// of its crowd's average weight as may share it, and never less than it needs alone.
    fn tokens_for(
        &self,
        route: usize,
        (line, head): (Line, Spot),
        crowd: Crowd,
        n_expected: usize,
    ) -> Tokens {
        let provider = &self.config.routes[route];
        let queue = self.queue(line);
        let Some(company) = queue.company(head).filter(|_| provider.counts_tokens) else {
            return Tokens::default();
        };
        let rate = self.rate(route, &company.pair);
        let n_waiting = crowd.n_texts.max(1) as u64;
        let average = Weight {
            input: crowd.weight.input.div_ceil(n_waiting),
            output: crowd.weight.output.div_ceil(n_waiting),
        };
        let pack = self.pack_size_for(route, &company.pair);
        let wanted = pack.min(company.most).min(n_expected);
        let n_texts = texts_within(provider.max_tokens, rate, average, wanted) as u64;
        let pack = rate.tokens(Weight {
            input: average.input * n_texts,
            output: average.output * n_texts,
        });
        let unfit = self.state.routes.get(&route).and_then(|state| state.unfit);
        let alone = unfit.map_or_else(|| queue.weight(head), Unfit::weight);
        let alone = rate.tokens(alone);
        Tokens {
            input: pack.input.max(alone.input),
            output: pack.output.max(alone.output),
        }
    }

    pub(super) fn rate(&self, route: usize, pair: &Pair) -> Rate {
        self.learned[route].estimates.rate(pair)
    }

    fn acquire(&self, route: usize, acquire: Acquire) {
        let (urgency, epoch) = (acquire.urgency, self.epoch);
        let own = self.own.clone();
        let asking = self.peers.acquire.send(acquire);
        actix_rt::spawn(async move {
            let permits = match asking.await {
                Ok(Acquired::Now(permits)) => permits,
                Ok(Acquired::Later { until, permits }) => {
                    own.do_send(NotYet {
                        epoch,
                        route,
                        urgency,
                        until,
                    });
                    // Closed when the limiter fell, or `until` holds no longer: ask again.
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
    fn waits_for_company(&mut self, line: Line, head: Spot) -> bool {
        let wait = self.config.batch_timeout;
        let since = match self.queue(line).get(head).map(|work| &work.subject) {
            Some(Subject::Task(live)) => live.record.lifecycle.since(),
            Some(Subject::Now { .. }) | None => return false,
        };
        let wall = self.clock.wall();
        let waited = wall.since(since);
        // A clock that was set back tells nothing of how long it has waited.
        if waited >= wait || since > wall {
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

    pub(super) fn free_slots(&self, urgency: Urgency) -> usize {
        match self.slots.limit() {
            None => usize::MAX,
            Some(limit) => limit
                .saturating_sub(held_back(limit, urgency))
                .saturating_sub(self.slots.used()),
        }
    }

    /// The most texts in one call that are wanted, whatever is digested.
    pub(super) fn wanted_size(&self, route: usize) -> usize {
        let most = self.config.routes[route].max_items;
        self.config
            .max_batch_size
            .min(most.unwrap_or(usize::MAX))
            .max(1)
    }

    pub(super) fn pack_size(&self, route: usize) -> usize {
        let wanted = self.wanted_size(route);
        self.learned[route].digestion.size(wanted)
    }

    /// The most texts of a pair in one call.
    pub(super) fn pack_size_for(&self, route: usize, pair: &Pair) -> usize {
        let untold = self.config.routes[route].max_untold;
        let untold = untold.filter(|_| pair.source.is_none());
        self.pack_size(route).min(untold.unwrap_or(usize::MAX))
    }

    /// The same for the work at a place.
    pub(super) fn pack_size_at(&self, route: usize, (line, spot): (Line, Spot)) -> usize {
        match self.queue(line).company(spot) {
            Some(company) => self.pack_size_for(route, &company.pair),
            None => self.pack_size(route),
        }
    }

    /// How many texts wait that this provider may do, or a little more.
    pub(super) fn waiting(&self, route: usize) -> usize {
        let strays = self.strays_of(route).map(|(_, strays)| strays.len());
        strays.sum::<usize>() + self.state.queue.len()
    }

    /// The queues of the work that this provider and some others may still do.
    fn strays_of(&self, route: usize) -> impl Iterator<Item = (Routes, &Queue<Work>)> {
        let strays = self.state.strays.iter();
        strays
            .filter(move |(among, _)| among.contains(route))
            .map(|(among, queue)| (*among, queue))
    }

    /// Uses a permit for the best work there is; without any it is dropped, and so given back.
    fn call(&mut self, route: usize, urgency: Urgency, permit: Permit) {
        let Some(filled) = self.fill(route, urgency, permit.tokens()) else {
            return;
        };
        let Filled {
            company,
            works,
            max_tokens,
        } = filled;
        let guide = self.guide(&works);
        let awaited = match works[0].bucket.class {
            Class::Interactive => Awaited::BySomebody,
            Class::High | Class::Normal | Class::Low => Awaited::ByNobody,
        };
        let sent = Sent {
            pair: company.pair.clone(),
            n_texts: works.len(),
            weight: works.iter().map(Work::bare_weight).sum(),
        };
        let items: Vec<JobItem> = works
            .into_iter()
            .filter_map(|work| self.claim(work))
            .collect();
        if items.is_empty() {
            return;
        }
        let numbers = items.iter().map(|item| item.token).collect();
        let job = Job {
            provider: self.config.routes[route].name.clone(),
            pair: company.pair,
            guide,
            items,
            permit,
            timeout: self.config.timeout,
            max_tokens,
        };
        let (slot, made) = self.begin_call(route, awaited, &job, &sent);
        let flight = Flight::new(numbers, &self.book, &self.lost, slot);
        self.send(route, awaited, job, flight, (sent, made));
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
                let since = self.clock.now();
                let claim = Claim { number, since };
                self.book.lock().outbox.claims.push_back(claim);
            }
            Subject::Now { .. } => work.attempts += 1,
        }
        let duty = Duty::Alone(leadership);
        let item = JobItem {
            token: number,
            text: work.text.clone(),
            context: work.context.clone(),
            duty: if self.hedges() { duty.shared() } else { duty },
            awaited: work.awaited(),
        };
        self.book.lock().in_flight.insert(number, work);
        Some(item)
    }

    pub(super) fn send(
        &mut self,
        route: usize,
        awaited: Awaited,
        job: Job,
        flight: Flight,
        (sent, made): (Sent, Made),
    ) {
        let Translators { near, far } = &self.peers.translators;
        let load = |translator| self.state.calls.get(&translator).copied().unwrap_or(0);
        let far_loads = (0..far.len()).map(|index| load(Some(index)));
        let translator = translator_for(awaited, load(None), far_loads);
        let sending = match translator {
            Some(translator) => far[translator].send(Translate(job)),
            None => near.send(Translate(job)),
        };
        *self.state.calls.entry(translator).or_default() += 1;
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let end = sending.await.ok();
            own.do_send(Ended {
                route,
                translator,
                made,
                flight,
                sent,
                end,
            });
        });
    }

    /// Shows the tasks whose turn is next as waiting for their lane.
    fn show_waiting(&mut self, until: Option<Moment>) {
        let (at, now) = (self.clock.wall(), self.clock.now());
        let until = until.map(|until| at.plus(until.since(now)));
        let is_queued = |work: &Work| match &work.subject {
            Subject::Task(live) => live.record.lifecycle.state() == State::Queued,
            Subject::Now { .. } => false,
        };
        let queue = &self.state.queue;
        let first = queue.in_turn().take(SHOWN_WAITING);
        let spots: Vec<Spot> = first
            .filter(|spot| queue.get(*spot).is_some_and(is_queued))
            .collect();
        for spot in spots {
            let Some(work) = self.state.queue.get_mut(spot) else {
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

/// Which far translator makes a call; none for the near one.
///
/// What somebody waits for goes to the near one, which is heard without a change of threads, as
/// long as it has few calls: many of them would wait for one thread while others rest.
fn translator_for(
    awaited: Awaited,
    near_load: usize,
    far_loads: impl Iterator<Item = usize>,
) -> Option<usize> {
    let (index, load) = far_loads.enumerate().min_by_key(|(_, load)| *load)?;
    let is_near = awaited == Awaited::BySomebody && (near_load < FEW || near_load <= load);
    (!is_near).then_some(index)
}

/// Whether work of a class is asked for with that urgency.
pub(super) const fn fits(class: Class, urgency: Urgency) -> bool {
    match urgency {
        Urgency::Urgent => class.is_urgent(),
        Urgency::Bulk => true,
    }
}

impl Handler<Dispatch> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: Dispatch, context: &mut Context<Self>) {
        self.state.is_dispatch_due = false;
        self.dispatch(context);
    }
}

impl Handler<NotYet> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, not_yet: NotYet, context: &mut Context<Self>) {
        if not_yet.epoch != self.epoch {
            return;
        }
        let NotYet {
            route,
            urgency,
            until,
            ..
        } = not_yet;
        let state = self.state.routes.entry(route).or_default();
        state.waiting_until = Some(until.unwrap_or_else(|| self.clock.now()));
        state.set_ask(urgency, Ask::Waiting(until));
        self.refuse_hopeless(urgency);
        if self.takes_over(route, urgency) {
            // Another provider may have room.
            self.dispatch(context);
        } else {
            self.show_waiting(until);
        }
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
        state.set_ask(urgency, Ask::Done);
        if state.waiting_until.is_some_and(|until| until <= now) {
            state.waiting_until = None;
        }
        if self.intake == Intake::Stopping || self.book.lock().outbox.is_stuck {
            return;
        }
        let mut n_called = 0;
        let n_permits = permits.len();
        for permit in permits {
            if self.free_slots(urgency) > 0 && self.may_call(route, urgency) {
                let before = self.slots.used();
                self.call(route, urgency, permit);
                n_called += self.slots.used() - before;
            }
        }
        let is_unfit = self
            .state
            .routes
            .get(&route)
            .is_some_and(|state| state.unfit.is_some());
        if n_called > 0 || n_permits == 0 || is_unfit {
            self.dispatch(context);
            self.flush_soon(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_waits_for_stays_near_until_many_do() {
        let chosen =
            |near, far: &[usize]| translator_for(Awaited::BySomebody, near, far.iter().copied());
        assert_eq!(chosen(0, &[0, 0]), None);
        assert_eq!(chosen(FEW - 1, &[0, 0]), None);
        assert_eq!(chosen(FEW, &[2, 1]), Some(1));
        assert_eq!(chosen(FEW, &[FEW, FEW]), None);
        assert_eq!(chosen(9, &[]), None, "there is no other");
    }

    #[test]
    fn what_nobody_waits_for_goes_to_the_idlest_of_the_others() {
        let chosen = |far: &[usize]| translator_for(Awaited::ByNobody, 0, far.iter().copied());
        assert_eq!(chosen(&[3, 1, 2]), Some(1));
        assert_eq!(chosen(&[]), None);
    }
}

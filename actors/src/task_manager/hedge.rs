//! Makes a slow call a second time at another provider that has quota to spare.

use std::sync::Arc;

use actix::{Context, Handler};
use log::debug;

use super::book::{Flight, Loan};
use super::dispatch::{Awaited, Sent};
use super::work::Work;
use super::{Ask, Hedge, Intake, TaskManagerActor};
use crate::domain::{Guide, Tokens};
use crate::failpoints;
use crate::logic::price::usd;
use crate::logic::quota::Urgency;
use crate::messages::{Acquire, Acquired, Duty, Job, JobItem, Permit};
use crate::ports::Token;

/// What is remembered of a call while it is under way.
#[derive(Debug)]
pub(super) struct OnCall {
    pub(super) route: usize,
    pub(super) loan: Loan,
    /// What a second call needs, where one may be made.
    pub(super) hedged: Option<Hedged>,
    /// The number of the slow call that this one was made for.
    pub(super) first: Option<u64>,
}

/// What a second call needs of the first.
#[derive(Debug)]
pub(super) struct Hedged {
    awaited: Awaited,
    sent: Sent,
    max_tokens: Option<u32>,
    guide: Option<Arc<Guide>>,
    duties: Vec<(Token, Duty)>,
}

/// Another lane has a permit to spare.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Spared {
    epoch: u64,
    /// The call that is slow.
    number: u64,
    route: usize,
    permit: Permit,
}

impl TaskManagerActor {
    /// Whether slow calls may be made a second time.
    pub(super) fn hedges(&self) -> bool {
        self.config.hedging == Hedge::FromSurplus && self.config.routes.len() > 1
    }

    /// What a second call would need of this one, where one may be made.
    pub(super) fn hedgeable(&self, awaited: Awaited, job: &Job, sent: &Sent) -> Option<Hedged> {
        let duties = job.items.iter();
        let duties: Option<Vec<(Token, Duty)>> = duties
            .map(|item| Some((item.token, item.duty.twin()?)))
            .collect();
        Some(Hedged {
            awaited,
            sent: sent.clone(),
            max_tokens: job.max_tokens,
            guide: job.guide.clone(),
            duties: duties.filter(|_| self.hedges())?,
        })
    }

    /// Asks another lane for a permit to spare, for a call that is slow.
    pub(super) fn hedge(&mut self, number: u64) {
        let Some(on_call) = self.state.under_way.get(number) else {
            return;
        };
        let (first, hedged) = (on_call.route, on_call.hedged.as_ref());
        let Some(hedged) = hedged.filter(|hedged| self.may_double(hedged)) else {
            return;
        };
        let n_texts = hedged.duties.len();
        let lane = &self.config.routes[first].lane;
        let spares = |route: usize| {
            let asks = [Urgency::Urgent, Urgency::Bulk].map(|urgency| self.ask_of(route, urgency));
            // What is slow there is so for every provider of that account and model.
            self.config.routes[route].lane != *lane
                && asks == [Ask::Done; 2]
                && self.serves(route, &hedged.sent.pair)
                && !self.state.under_way.hangs(route)
                && self.pack_size_for(route, &hedged.sent.pair) >= n_texts
        };
        let Some(route) = self.routing.first(&hedged.sent.pair, spares) else {
            return;
        };
        let provider = &self.config.routes[route];
        let tokens = if provider.counts_tokens {
            self.tokens_of(route, hedged)
        } else {
            Tokens::default()
        };
        let acquire = Acquire {
            lane: provider.lane.clone(),
            urgency: Urgency::Bulk,
            calls: 1,
            tokens,
            usd: usd(tokens, provider.price),
        };
        let (limiter, own, epoch) = (self.peers.acquire.clone(), self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            // A lane that has none to spare at once is not waited for.
            if let Ok(Acquired::Now(permits)) = limiter.send(acquire).await {
                for permit in permits {
                    own.do_send(Spared {
                        epoch,
                        number,
                        route,
                        permit,
                    });
                }
            }
        });
    }

    /// The tokens that the texts of a call need at another provider.
    fn tokens_of(&self, route: usize, hedged: &Hedged) -> Tokens {
        let book = self.book.lock();
        let works = hedged.duties.iter();
        let works = works.filter_map(|(token, _)| book.in_flight.get(token));
        let rate = self.rate(route, &hedged.sent.pair);
        let weight = works.map(Work::weight).sum();
        // What the first call was allowed for its answer, the second is too.
        let allowed = hedged.max_tokens.map_or(0, u64::from);
        Tokens {
            output: rate.answer(weight).max(allowed) + rate.thoughts(),
            ..rate.tokens(weight)
        }
    }

    /// Whether the texts of a call may go in a second one: all are still wanted and in one call
    /// alone, and each has an attempt left should both fail.
    fn may_double(&self, hedged: &Hedged) -> bool {
        let book = self.book.lock();
        hedged.duties.iter().all(|(token, _)| {
            let work = book.in_flight.get(token);
            let is_wanted =
                work.is_some_and(|work| !work.is_abandoned() && !self.is_out_of_attempts(work));
            is_wanted && !book.twins.contains(token)
        })
    }

    /// Makes the second call.
    fn double(&mut self, number: u64, route: usize, permit: Permit) -> Option<()> {
        let on_call = self.state.under_way.get(number)?;
        let hedged = on_call.hedged.as_ref()?;
        let refuses = |token: &Token| {
            let book = self.book.lock();
            let work = book.in_flight.get(token);
            work.is_none_or(|work| work.refused_by.contains(route))
        };
        if !self.may_double(hedged) || hedged.duties.iter().any(|(token, _)| refuses(token)) {
            return None;
        }
        let (awaited, sent) = (hedged.awaited, hedged.sent.clone());
        let (max_tokens, guide) = (hedged.max_tokens, hedged.guide.clone());
        let mut items = Vec::with_capacity(hedged.duties.len());
        for (token, duty) in &hedged.duties {
            let book = self.book.lock();
            let work = book.in_flight.get(token)?;
            items.push(JobItem {
                token: *token,
                text: work.text.clone(),
                context: work.context.clone(),
                duty: duty.twin()?,
                awaited: work.awaited(),
            });
        }
        if !self.hedging.spend(self.clock.now()) {
            return None;
        }
        let numbers: Vec<Token> = items.iter().map(|item| item.token).collect();
        self.book.lock().twins.extend(&numbers);
        let bytes = items.iter().map(|item| item.text.skeleton.len()).sum();
        let job = Job {
            provider: self.config.routes[route].name.clone(),
            pair: sent.pair.clone(),
            items,
            permit,
            timeout: self.config.timeout,
            max_tokens,
            guide,
        };
        debug!(provider:% = job.provider, texts = job.items.len(); "a slow call is made again");
        let made = self.make(route, job.items.len(), bytes);
        self.state.routes.entry(route).or_default().hedges += 1;
        let (slot, loan) = self.slots.take_for_lending();
        let second = OnCall {
            route,
            loan,
            hedged: None,
            first: Some(number),
        };
        self.watch_call(&made, second, None);
        let flight = Flight::new(numbers, &self.book, &self.lost, slot);
        self.send(route, awaited, job, flight, (sent, made));
        Some(())
    }

    /// Whether a slot is free for a second call; what somebody waits for may use what is held back.
    fn has_room_to_double(&self, number: u64) -> bool {
        let on_call = self.state.under_way.get(number);
        let hedged = on_call.and_then(|on_call| on_call.hedged.as_ref());
        let urgency = match hedged.map(|hedged| hedged.awaited) {
            Some(Awaited::BySomebody) => Urgency::Urgent,
            Some(Awaited::ByNobody) | None => Urgency::Bulk,
        };
        self.free_slots(urgency) > 0
    }

    /// Lends the slot of a slow call whose texts its second call has brought: nobody waits for it
    /// any more, and slow calls that keep their slots would leave none for second ones.
    pub(super) fn lend_slot_of(&self, first: u64) {
        if let Some(on_call) = self.state.under_way.get(first) {
            self.slots.lend(&on_call.loan);
        }
    }
}

impl Handler<Spared> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, spared: Spared, _: &mut Context<Self>) {
        failpoints::hit("task_manager.spared");
        let Spared {
            epoch,
            number,
            route,
            permit,
        } = spared;
        let has_room = self.has_room_to_double(number) && self.intake != Intake::Stopping;
        if epoch == self.epoch && has_room {
            // Where it is not made after all, the permit is dropped, and so given back.
            self.double(number, route, permit);
        }
    }
}

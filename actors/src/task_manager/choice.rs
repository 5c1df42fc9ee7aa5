//! Which providers are asked for which work, by what they are set to and how they do.

use std::time::Duration;

use log::{info, warn};

use super::book::Slot;
use super::dispatch::{Awaited, Line, Sent, fits};
use super::hedge::OnCall;
use super::lookup::take_where;
use super::work::{Subject, Work};
use super::{Ask, ProviderRoute, TaskManagerActor};
use crate::domain::{Class, Failure, FailureKind, Moment, Pair, Tokens, Translation};
use crate::logic::price::usd;
use crate::logic::queue::Spot;
use crate::logic::quota::Urgency;
use crate::logic::routing::{Look, Routes, far_too_late};
use crate::messages::{CallEnd, Job, NowError};
use crate::ports::{ProviderError, ProviderRemedy};

/// So long one pack of work waits for the provider that comes first.
const SOON: Duration = Duration::from_secs(1);
/// How much later than told a permit may come.
const LATE: Duration = Duration::from_millis(20);

/// A call that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// Its number.
    pub(super) number: u64,
    begun: Moment,
    bytes: usize,
}

impl TaskManagerActor {
    fn n_routes(&self) -> usize {
        self.config.routes.len()
    }

    /// Whether a provider translates a pair, as far as is known.
    pub(super) fn serves(&self, route: usize, pair: &Pair) -> bool {
        let pairs = self.config.routes[route].pairs.as_deref();
        if pairs.is_some_and(|pairs| !pairs.iter().any(|it| it.include(pair))) {
            return false;
        }
        let state = self.state.routes.get(&route);
        let Some(state) = state.filter(|state| !state.unsupported.is_empty()) else {
            return true;
        };
        let until = state.unsupported.get(pair);
        until.is_none_or(|until| *until <= self.clock.now())
    }

    pub(super) fn ask_of(&self, route: usize, urgency: Urgency) -> Ask {
        let state = self.state.routes.get(&route);
        state.map_or(Ask::Done, |state| state.ask(urgency))
    }

    /// Whether a provider grants calls now, or so soon that the little that waits can wait.
    fn is_ready(&self, route: usize, urgency: Urgency) -> bool {
        if self.state.under_way.hangs(route) {
            return false;
        }
        match self.ask_of(route, urgency) {
            Ask::Done | Ask::Sent => true,
            Ask::Waiting(None) => false,
            Ask::Waiting(Some(until)) => {
                let now = self.clock.now();
                let is_soon = until.plus(LATE) > now && until.since(now) <= SOON;
                is_soon && self.waiting(route) <= self.pack_size(route)
            }
        }
    }

    fn any_other_ready(&self, route: usize, urgency: Urgency, pair: Option<&Pair>) -> bool {
        let mut others = (0..self.n_routes()).filter(|other| *other != route);
        others.any(|other| {
            pair.is_none_or(|pair| self.serves(other, pair)) && self.is_ready(other, urgency)
        })
    }

    /// Whether a provider comes first for a pair, among those that may do the work.
    fn is_first(&self, route: usize, urgency: Urgency, among: Routes, pair: &Pair) -> bool {
        if self.n_routes() == 1 {
            return self.serves(route, pair);
        }
        let may = |other: usize| {
            among.contains(other) && self.serves(other, pair) && self.is_ready(other, urgency)
        };
        if !self.serves(route, pair) {
            return false;
        }
        if self.state.under_way.hangs(route) {
            return !(0..self.n_routes()).any(may);
        }
        self.routing.first(pair, may) == Some(route)
    }

    /// The work that a provider is to be asked for now, and the most calls; none where it has
    /// none, or another comes first.
    pub(super) fn wanted_turn(
        &self,
        route: usize,
        urgency: Urgency,
    ) -> Option<((Line, Spot), usize)> {
        let classes = |class| fits(class, urgency);
        let first = |among, pair: &Pair| self.is_first(route, urgency, among, pair);
        if let Some(turn) = self.next_turn(route, classes, first) {
            if self.n_routes() == 1 {
                return Some((turn, usize::MAX));
            }
            let pack = self.pack_size_at(route, turn);
            let ready = |other| self.is_ready(other, urgency);
            let most = self.routing.most_calls(route, pack, ready);
            return Some((turn, most.max(1)));
        }
        let probes = urgency == Urgency::Bulk && self.state.under_way.hangs(route);
        if !probes || !self.may_probe(route) {
            return None;
        }
        // Nobody with an open connection waits for what may hang.
        let patient = |class| class != Class::Interactive;
        let serves = |_, pair: &Pair| self.serves(route, pair);
        Some((self.next_turn(route, patient, serves)?, 1))
    }

    /// Whether one call may find out if a provider that hangs is back; should it hang as well, its
    /// slot is lent in time.
    fn may_probe(&self, route: usize) -> bool {
        self.state.under_way.may_probe(route) && self.slots.can_lend()
    }

    /// Whether a permit of a provider is used, which may hang by now.
    pub(super) fn may_call(&self, route: usize, urgency: Urgency) -> bool {
        !self.state.under_way.hangs(route)
            || self.may_probe(route)
            || !self.any_other_ready(route, urgency, None)
    }

    /// Whether another provider may take over from one that grants nothing now.
    pub(super) fn takes_over(&mut self, route: usize, urgency: Urgency) -> bool {
        if self.n_routes() == 1 {
            return false;
        }
        if self.is_ready(route, urgency) {
            if let Ask::Waiting(Some(until)) = self.ask_of(route, urgency) {
                // Should it not come, the others are asked.
                self.ring_by(until.plus(LATE * 2));
            }
            return false;
        }
        self.release_strays(route);
        self.any_other_ready(route, urgency, None)
    }

    /// Lets work go anywhere again that was to go to providers none of which is ready.
    fn release_strays(&mut self, route: usize) {
        let is_stuck = |among: &Routes| {
            let ready = |other| among.contains(other) && self.is_ready(other, Urgency::Bulk);
            among.contains(route) && !(0..self.n_routes()).any(ready)
        };
        let stuck: Vec<Routes> = self.state.strays.keys().copied().filter(is_stuck).collect();
        for among in stuck {
            let strays = self.state.strays.get_mut(&among);
            let works = strays.map(|strays| take_where(strays, |_, work| !work.avoids.is_empty()));
            for mut work in works.into_iter().flatten() {
                self.state.leaders.remove(&work.key);
                work.avoids = Routes::default();
                self.enqueue(work);
            }
        }
        self.state.strays.retain(|_, strays| !strays.is_empty());
    }

    /// The providers that may do work at all.
    fn able(&self, work: &Work) -> Routes {
        let able = |route: &usize| {
            !work.refused_by.contains(*route) && self.serves(*route, &work.bucket.pair)
        };
        (0..self.n_routes()).filter(able).collect()
    }

    /// Whether one of them is ready, for work of this urgency.
    fn any_ready(&self, among: Routes, work: &Work) -> bool {
        let urgency = if work.bucket.class.is_urgent() {
            Urgency::Urgent
        } else {
            Urgency::Bulk
        };
        let mut routes = (0..self.n_routes()).filter(|route| among.contains(*route));
        routes.any(|route| self.is_ready(route, urgency))
    }

    /// Whether a provider is ready that has not failed this work of late.
    pub(super) fn has_another(&self, work: &Work) -> bool {
        self.any_ready(self.able(work).without(work.avoids), work)
    }

    /// Whether there is a provider for this work beside those.
    pub(super) fn has_another_than(&self, work: &Work, those: Routes) -> bool {
        !self.able(work).without(those).is_empty()
    }

    /// Keeps work from providers whose whole budget, or whole day's tokens, is less than it may
    /// need there: nothing would ever be left for it, or it would be the one call that exceeds the
    /// budget.
    pub(super) fn keep_within_budgets(&self, work: &mut Work) {
        for (route, provider) in self.config.routes.iter().enumerate() {
            if provider.budget.is_none() && provider.tokens_per_day.is_none() {
                continue;
            }
            if work.refused_by.contains(route) || !self.serves(route, &work.bucket.pair) {
                continue;
            }
            let tokens = self.rate(route, &work.bucket.pair).tokens(work.weight());
            if let Some(detail) = beyond_budget(provider, tokens) {
                work.refused_by = work.refused_by.with(route);
                work.refusal = Some(Failure {
                    kind: FailureKind::TooLarge,
                    detail: detail.into(),
                });
            }
        }
    }

    /// Which queue work belongs in: none is the common one, else that of these providers; no
    /// answer means that nobody can.
    pub(super) fn queue_for(&self, work: &mut Work) -> Option<Option<Routes>> {
        if self.n_routes() == 0 {
            // Nobody translates at all: the work waits for settings that name somebody.
            return Some(None);
        }
        let able = self.able(work);
        if able.is_empty() {
            return None;
        }
        let among = able.without(work.avoids);
        if !work.avoids.is_empty() && !self.any_ready(among, work) {
            work.avoids = Routes::default();
        }
        let is_stray = !work.refused_by.is_empty() || !work.avoids.is_empty();
        Some(is_stray.then(|| able.without(work.avoids)))
    }

    /// Notes that a call begins.
    pub(super) fn begin_call(
        &mut self,
        route: usize,
        awaited: Awaited,
        job: &Job,
        sent: &Sent,
    ) -> (Slot, Made) {
        let now = self.clock.now();
        let bytes = job.items.iter().map(|item| item.text.skeleton.len()).sum();
        self.hedging.called(now);
        let made = self.make(route, job.items.len(), bytes);
        if self.n_routes() == 1 {
            return (self.slots.take(), made);
        }
        let (slot, loan) = self.slots.take_for_lending();
        let hedged = self.hedgeable(awaited, job, sent);
        let slow_after = hedged.as_ref().and(self.hedging.slow_after(route, bytes));
        let on_call = OnCall {
            route,
            loan,
            hedged,
            first: None,
        };
        self.watch_call(&made, on_call, slow_after);
        (slot, made)
    }

    /// Counts a call.
    pub(super) fn make(&mut self, route: usize, n_texts: usize, bytes: usize) -> Made {
        self.n_calls += 1;
        self.routing.called(route, n_texts);
        Made {
            number: self.n_calls,
            begun: self.clock.now(),
            bytes,
        }
    }

    /// Looks at a call again when it is slow, and when it is far too late.
    pub(super) fn watch_call(
        &mut self,
        made: &Made,
        on_call: OnCall,
        slow_after: Option<Duration>,
    ) {
        let route = on_call.route;
        let late_after = far_too_late(self.routing.latency(route), self.config.timeout);
        let slow_at = slow_after.map(|wait| made.begun.plus(wait));
        let late_at = made.begun.plus(late_after);
        let calls = &mut self.state.under_way;
        calls.begin(made.number, route, late_at, slow_at, on_call);
        self.set_timer();
    }

    /// Notes that a call has ended, and what it says of its provider.
    pub(super) fn end_call(&mut self, route: usize, made: &Made, end: Option<&CallEnd>) {
        let took = self.clock.now().since(made.begun);
        let error = end.map(|end| end.error.as_ref());
        let is_sign_of_life = error.is_some_and(|error| {
            !error.is_some_and(|error| {
                let is_away = matches!(error, ProviderError::Unreachable { .. });
                is_away || matches!(error.remedy(), ProviderRemedy::Retry(_))
            })
        });
        if !is_sign_of_life {
            self.routing.failed(route);
            self.state.under_way.failed(made.number);
            return;
        }
        if error == Some(None) {
            self.routing.answered(route, took);
            self.hedging.answered(route, made.bytes, took);
        }
        self.state.under_way.answered(made.number);
        let state = self.state.routes.entry(route).or_default();
        if std::mem::take(&mut state.is_told_hanging) {
            let provider = &self.config.routes[route].name;
            info!(provider:% = provider; "a provider answers again");
        }
    }

    /// Notes what a text took at a provider.
    pub(super) fn note_usage(&mut self, route: usize, work: &Work, translation: &Translation) {
        let bytes = work.text.skeleton.len();
        let pair = &work.bucket.pair;
        self.routing.used(route, pair, bytes, translation.usage);
    }

    /// Looks at the calls that have become slow, or far too late.
    pub(super) fn look_at_calls(&mut self) {
        let now = self.clock.now();
        while let Some(look) = self.state.under_way.look(now) {
            match look {
                Look::Slow(number) => self.hedge(number),
                Look::Late(number) => self.note_late(number),
            }
        }
    }

    /// A call is far too late: its slot is lent, and its provider may hang.
    fn note_late(&mut self, number: u64) {
        let Some(on_call) = self.state.under_way.get(number) else {
            return;
        };
        let route = on_call.route;
        self.slots.lend(&on_call.loan);
        let state = self.state.routes.entry(route).or_default();
        if self.state.under_way.hangs(route) && !std::mem::replace(&mut state.is_told_hanging, true)
        {
            let provider = &self.config.routes[route].name;
            warn!(provider:% = provider; "a provider hangs");
        }
    }

    /// How long it is until the first lane opens that could do this work, if all of them are closed
    /// until a moment that is known.
    fn closed_for(&self, work: &Work) -> Option<Duration> {
        let able = self.able(work);
        let routes = (0..self.n_routes()).filter(|route| able.contains(*route));
        let opens = |route: usize| match self.ask_of(route, Urgency::Urgent) {
            Ask::Waiting(until) => until,
            Ask::Done | Ask::Sent => None,
        };
        let moments: Option<Vec<Moment>> = routes.map(opens).collect();
        let first = moments?.into_iter().min()?;
        let now = self.clock.now();
        (first > now).then(|| first.since(now))
    }

    /// Answers a caller at once whose deadline passes before any lane opens; whether it did.
    pub(super) fn refuses_hopeless(&self, work: &Work) -> bool {
        let Subject::Now { call, .. } = &work.subject else {
            return false;
        };
        if call.class != Class::Interactive {
            return false;
        }
        let Some(wait) = self.closed_for(work) else {
            return false;
        };
        let is_hopeless = self.clock.wall().plus(wait) > call.due;
        if is_hopeless {
            call.refuse(NowError::Closed { wait });
        }
        is_hopeless
    }

    /// Answers all callers at once whose deadline passes before any lane opens.
    pub(super) fn refuse_hopeless(&mut self, urgency: Urgency) {
        if urgency != Urgency::Urgent {
            return;
        }
        let interactive = |queue: &super::Queue<Work>| {
            let works = queue.iter();
            works
                .filter(|(.., work)| self.refuses_hopeless(work))
                .count()
        };
        let n_refused: usize = std::iter::once(&self.state.queue)
            .chain(self.state.strays.values())
            .map(interactive)
            .sum();
        if n_refused == 0 {
            return;
        }
        let is_over = |_: &Pair, work: &Work| work.is_abandoned();
        let mut over = take_where(&mut self.state.queue, is_over);
        for strays in self.state.strays.values_mut() {
            over.append(&mut take_where(strays, is_over));
        }
        for work in over {
            self.state.leaders.remove(&work.key);
        }
    }
}

/// Why a call of so many tokens can never be made there, if that is so.
fn beyond_budget(provider: &ProviderRoute, tokens: Tokens) -> Option<String> {
    let name = &provider.name;
    let cost = usd(tokens, provider.price);
    if let Some(budget) = provider.budget.filter(|budget| cost > *budget) {
        return Some(format!(
            "{name}: it may cost {cost:.4} dollars, expected at most the whole budget of {budget}"
        ));
    }
    let day = provider.tokens_per_day.filter(|_| provider.counts_tokens)?;
    let n_tokens = tokens.total();
    (n_tokens as f64 > day).then(|| {
        format!("{name}: it may need {n_tokens} tokens, expected at most the {day} of a whole day")
    })
}

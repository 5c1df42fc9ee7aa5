//! What waits at an outlet: in memory as much as has room there, and the rest in the store.

use std::rc::Rc;

use actix::Handler;

use super::fates::is_open;
use super::line::source_in_line;
use super::standing::{awaited, is_begun};
use super::threads::Blocked;
use super::unheard::Hearing;
use super::{OutletState, PublisherActor};
use crate::domain::{OutletName, PublicationState};
use crate::failpoints;
use crate::ports::{Errand, PublicationRecord};
use crate::supervision::{Words, until_answered};

/// The most publications of one outlet that wait in memory; the rest is in the store.
const IN_MEMORY: usize = 1_000;

/// A page of what is planned was loaded.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Loaded {
    epoch: u64,
    outlet: OutletName,
    records: Vec<PublicationRecord>,
    has_more: bool,
}

impl OutletState {
    /// How many are in memory.
    pub(super) fn n_in_memory(&self) -> usize {
        self.waiting.len() + self.n_judged
    }

    /// Leaves the last ones to the store where more wait than memory is to hold.
    pub(super) fn shrink(&mut self) {
        // While a page is loaded from behind the last one, that one has to stay.
        while self.waiting.len() > IN_MEMORY && !self.is_loading {
            self.waiting.pop_last();
            let last = self.waiting.keys().next_back().copied();
            self.reach = self.reach.min(last);
            self.has_more = true;
        }
    }
}

impl PublisherActor {
    /// Loads more of what is planned at an outlet, if memory has run low.
    pub(super) fn refill(&mut self, outlet: &OutletName) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        if !state.has_more || state.is_loading || state.n_in_memory() > IN_MEMORY / 2 {
            return;
        }
        state.is_loading = true;
        let after = state.reach;
        let (store, own, epoch) = (Rc::clone(&self.store), self.own.clone(), self.epoch);
        let outlet = outlet.clone();
        actix_rt::spawn(async move {
            let words = Words {
                fails: "publications were not loaded",
                again: "publications are loaded again",
            };
            let loading = async || {
                failpoints::hit("publisher.load");
                let (outlet, state) = (outlet.clone(), PublicationState::Planned);
                store.publications_in(outlet, state, after, IN_MEMORY).await
            };
            let records = until_answered(words, loading).await;
            let has_more = records.len() == IN_MEMORY;
            own.do_send(Loaded {
                epoch,
                outlet,
                records,
                has_more,
            });
        });
    }

    /// Takes a planned publication into memory, or leaves it to the store.
    pub(super) fn take_in(&mut self, record: PublicationRecord) {
        let id = record.publication.id;
        let outlet = record.publication.outlet.clone();
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        if !is_open(record.state) {
            // Who decided about it takes its fate upon himself; nobody looks it up any more.
            state.fates.close(id);
        }
        if record.state != PublicationState::Planned || self.book.holds(id) {
            return;
        }
        let is_behind = state.reach.is_none_or(|reach| id > reach);
        if is_behind && (state.has_more || state.n_in_memory() >= IN_MEMORY) {
            state.has_more = true;
            if state.is_loading {
                state.missed = Some(state.missed.map_or(id, |missed| missed.min(id)));
            }
            return;
        }
        state.reach = state.reach.max(Some(id));
        self.let_wait(record);
        if let Some(state) = self.state.get_mut(&outlet) {
            state.shrink();
        }
    }

    /// Puts a planned publication among those that wait for their turn.
    pub(super) fn let_wait(&mut self, record: PublicationRecord) {
        let outlet = record.publication.outlet.clone();
        let seat = self.seat(&outlet);
        let abilities = seat.map(|seat| seat.outlet.abilities()).unwrap_or_default();
        let is_withdrawn = seat.is_some_and(|seat| seat.minds_deletions)
            && record.errand == Errand::Publish
            && !is_begun(&record.publication)
            && self.withdrawals.concern(&record.publication);
        let hearing = seat.map(|seat| Hearing::of(seat, self.begun_at));
        let may_lack = hearing.is_some_and(|hearing| hearing.may_lack(&record));
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        let id = record.publication.id;
        let posts = awaited(&record, abilities);
        if is_withdrawn {
            self.drop_withdrawn(record);
        } else if posts.is_empty() && !may_lack {
            state.waiting.insert(id, record);
        } else {
            let source = source_in_line(&record);
            state.blocked.insert(id, Blocked::by(posts, source));
            self.judge_first(record);
        }
    }
}

impl Handler<Loaded> for PublisherActor {
    type Result = ();

    fn handle(&mut self, mut loaded: Loaded, _: &mut Self::Context) {
        if loaded.epoch != self.epoch {
            return;
        }
        if let Some(state) = self.state.get_mut(&loaded.outlet) {
            state.is_loading = false;
            let missed = state.missed.take();
            state.has_more = loaded.has_more || missed.is_some();
            let ids = loaded.records.iter().map(|record| record.publication.id);
            // From there on it is read once more, so that nothing goes before what it lacks.
            let n_whole = ids
                .take_while(|id| missed.is_none_or(|missed| *id < missed))
                .count();
            loaded.records.truncate(n_whole);
            let last = loaded.records.last().map(|record| record.publication.id);
            state.reach = state.reach.max(last);
            let is_new = |record: &PublicationRecord| {
                // What is in memory already may be newer than what was read.
                let id = record.publication.id;
                let is_known = state.waiting.contains_key(&id) || state.blocked.contains_key(&id);
                !is_known && !self.book.holds(id)
            };
            let new: Vec<PublicationRecord> = loaded.records.into_iter().filter(is_new).collect();
            for record in new {
                self.let_wait(record);
            }
        }
        self.pump(&loaded.outlet);
    }
}

//! Begins to send what comes next at an outlet, when nothing is in the way.

use std::rc::Rc;
use std::sync::Arc;

use super::send::Batch;
use super::standing::is_begun;
use super::{OutletState, PublisherActor};
use crate::domain::{Moment, OutletName, PublicationId, PublicationState};
use crate::ports::{Errand, PublicationRecord};

/// What is sent next.
pub(super) struct Next {
    ids: Vec<PublicationId>,
    /// How many of them begin.
    n_beginning: u32,
}

impl PublisherActor {
    /// Begins to send at an outlet, if something waits there and nothing is in the way.
    pub(super) fn pump(&mut self, outlet: &OutletName) {
        self.refill(outlet);
        let now = self.clock.now();
        let Some(seat) = self.seat(outlet).cloned() else {
            return;
        };
        let Some(limit) = self.limits.borrow().get(outlet).copied() else {
            return;
        };
        let state = self.state.get(outlet);
        let Some(n_together) = state
            .filter(|state| !state.is_barred(now) && !state.waiting.is_empty())
            .map(|state| state.n_together(seat.outlet.batch()))
        else {
            return;
        };
        let room = self.room_to_begin(&seat);
        let Some(Next { ids, n_beginning }) = self.next_in_line(&seat, (n_together, room)) else {
            if room == Some(0) {
                self.pump_when_released(outlet);
            }
            return;
        };
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let Some(under_way) = self.book.begin(outlet, ids.clone()) else {
            return;
        };
        let records: Vec<PublicationRecord> = ids
            .iter()
            .filter_map(|id| state.waiting.remove(id))
            .collect();
        let pause = state.pause.clone();
        let begun = self.begin_there(&seat, n_beginning);
        let batch = Batch {
            seat,
            clock: Arc::clone(&self.clock),
            store: Rc::clone(&self.store),
            peers: self.peers.clone(),
            records,
            begun,
            own: self.own.clone(),
            pause,
            under_way,
        };
        actix_rt::spawn(batch.send(limit, Arc::clone(&self.turns)));
    }
}

impl OutletState {
    /// Whether nothing may be sent now.
    fn is_barred(&self, now: Moment) -> bool {
        let is_parked = self.parked_until.is_some_and(|until| until > now);
        !self.is_measured || self.pause.holds() || is_parked || self.fates.is_awaited()
    }

    /// How many go together at an outlet that takes so many at once.
    fn n_together(&self, n_batch: usize) -> usize {
        // What fails may fail for all of a batch, and what may be out has to be looked for.
        match self.failures {
            0 => n_batch.max(1),
            _ => 1,
        }
    }

    /// What goes next, so many at most, of which no more begin than there is room for; none if
    /// nothing may go.
    pub(super) fn next_batch(
        &self,
        (n_together, room): (usize, Option<u32>),
        mut is_early: impl FnMut(&PublicationRecord) -> bool,
    ) -> Option<Next> {
        // What began goes on, and what is out is changed, however much has begun. But what would
        // begin anew stays out until it may.
        let is_braked = |record: &PublicationRecord| {
            let begins_anew = matches!(record.errand, Errand::Repost(..));
            room == Some(0) && (begins(record) || begins_anew)
        };
        let waiting = self.waiting.iter();
        let mut free = waiting.filter(|(_, record)| !is_braked(record) && !is_early(record));
        let (first, record) = free.next()?;
        let mut ids = vec![*first];
        let mut n_beginning = u32::from(begins(record));
        // What changes something that is out goes alone.
        if record.errand == Errand::Publish {
            for (id, record) in free.filter(|(_, record)| record.errand == Errand::Publish) {
                let is_beginning = begins(record);
                if ids.len() >= n_together || is_beginning && room == Some(n_beginning) {
                    break;
                }
                n_beginning += u32::from(is_beginning);
                ids.push(*id);
            }
        }
        Some(Next { ids, n_beginning })
    }
}

/// Whether nothing of a publication is out yet, and something is about to be.
pub(super) fn begins(record: &PublicationRecord) -> bool {
    let may_be_out = matches!(
        record.state,
        PublicationState::Sending | PublicationState::Scheduled | PublicationState::Unknown
    );
    record.errand == Errand::Publish && !may_be_out && !is_begun(&record.publication)
}

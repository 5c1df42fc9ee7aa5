//! Which publications of an outlet may be out or will be, and when each of them is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use log::warn;

use super::read_back::Look;
use super::{PublisherActor, Seat};
use crate::domain::{Moment, OutletName, PublicationId, PublicationState, Timestamp};
use crate::logic::backoff::Backoff;
use crate::ports::{Clock, PublicationRecord, StoreError, TaskStore};

/// The waits between looks at a publication whose fate cannot be told.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(3_600));
/// The longest of them while the outlet waits for what is found.
const LONGEST_AWAITED: Duration = Duration::from_secs(300);
/// After so many looks in vain, which take some 50 minutes, an outlet waits no longer.
const MOST_AWAITED: u32 = 12;
/// After so many trials of which nobody knew whether they arrived, a publication may be at fault
/// itself: what comes behind it waits no longer.
const MOST_TRIALS: u32 = 8;
/// How many publications are read at a time.
const PAGE: usize = 500;

/// What may be out at one outlet, or is published there by itself. Of each no more than its id is
/// kept, since a night of failures can leave many; the rest is read from the store when its time
/// has come.
#[derive(Debug, Default)]
pub(super) struct Fates {
    open: BTreeMap<PublicationId, Open>,
    /// Those that are looked at before anything else goes out.
    awaited: BTreeSet<PublicationId>,
    /// One at a time is looked at, so that of two equal texts each is found in its own place.
    is_looking: bool,
    /// The next look that a timer stands for.
    alarm: Option<Moment>,
}

/// When a publication is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    /// How often it was looked at in vain.
    looks: u32,
    due: Moment,
    /// Whether it is known that the outlet publishes it by itself.
    is_scheduled: bool,
}

/// What stands open in the store.
pub(super) struct Found {
    id: PublicationId,
    open: Open,
    /// Whether it is looked at before anything else goes out: it was on its way when the process
    /// ended, or shortly before.
    is_awaited: bool,
}

impl Found {
    fn of(record: &PublicationRecord, seat: &Seat, clock: &dyn Clock) -> Self {
        let open = match record.state {
            PublicationState::Scheduled => Open::scheduled(clock.now()),
            _ => Open::of(record, seat.outlet.quiet(), clock),
        };
        let is_recent = clock.wall().since(record.at) < seat.in_order;
        Self {
            id: record.publication.id,
            // What was unknown before was looked at in vain, and that was said.
            open: Open {
                looks: u32::from(record.state == PublicationState::Unknown),
                ..open
            },
            is_awaited: n_beyond(record) == 0
                && match record.state {
                    PublicationState::Sending => true,
                    PublicationState::Unknown => is_recent,
                    _ => false,
                },
        }
    }
}

impl Open {
    /// How a publication stands that may be out: to be looked at after the outlet's time of quiet.
    fn of(record: &PublicationRecord, quiet: Duration, clock: &dyn Clock) -> Self {
        let sent_at = record.frozen.as_ref().map_or(record.at, |fate| fate.at);
        let wait = quiet_left(sent_at, quiet, clock.wall());
        Self {
            looks: 0,
            due: clock.now().plus(wait),
            is_scheduled: false,
        }
    }

    /// How a publication stands that its outlet publishes by itself; a look finds out when.
    const fn scheduled(now: Moment) -> Self {
        Self {
            looks: 0,
            due: now,
            is_scheduled: true,
        }
    }
}

impl Fates {
    /// How many may be out.
    pub(super) fn n_unknown(&self) -> usize {
        self.open.len() - self.n_scheduled()
    }

    /// How many the outlet publishes by itself.
    pub(super) fn n_scheduled(&self) -> usize {
        let open = self.open.values();
        open.filter(|open| open.is_scheduled).count()
    }

    /// Notes that the outlet publishes something by itself; answers whether that is news.
    pub(super) fn schedule(&mut self, id: PublicationId, now: Moment) -> bool {
        self.awaited.remove(&id);
        match self.open.get_mut(&id) {
            Some(open) => !std::mem::replace(&mut open.is_scheduled, true),
            None => self.open.insert(id, Open::scheduled(now)).is_none(),
        }
    }

    /// Whether something is looked at before anything else goes out.
    pub(super) fn is_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Notes that nothing has to be looked at any more before something goes out.
    pub(super) fn await_none(&mut self) {
        self.awaited.clear();
    }

    /// Notes that what became of a publication is known, or in other hands; answers how often it
    /// was looked at in vain.
    pub(super) fn close(&mut self, id: PublicationId) -> u32 {
        self.awaited.remove(&id);
        self.open.remove(&id).map_or(0, |open| open.looks)
    }

    /// When the next look is due, if no timer stands for it yet.
    fn next_alarm(&mut self) -> Option<Moment> {
        let due = self.open.values().map(|open| open.due).min()?;
        if self.is_looking || self.alarm.is_some_and(|alarm| alarm <= due) {
            return None;
        }
        self.alarm = Some(due);
        Some(due)
    }

    /// The publication whose look is due, if none is being looked at.
    pub(super) fn begin_look(&mut self, now: Moment) -> Option<PublicationId> {
        self.alarm = self.alarm.filter(|alarm| *alarm > now);
        if self.is_looking {
            return None;
        }
        let first = self.open.iter().min_by_key(|(_, open)| open.due);
        let (id, _) = first.filter(|(_, open)| open.due <= now)?;
        self.is_looking = true;
        Some(*id)
    }

    /// Notes that nothing is being looked at.
    pub(super) fn end_look(&mut self) {
        self.is_looking = false;
    }

    /// Puts the next look at a publication off.
    pub(super) fn put_off(&mut self, id: PublicationId, due: Moment) {
        if let Some(open) = self.open.get_mut(&id) {
            open.due = due;
        }
    }

    /// Notes a look in vain, and answers how many there were and how long to wait for the next.
    /// What tells nothing now, but may later, is still awaited for a while.
    pub(super) fn look_in_vain(&mut self, id: PublicationId, found: Vain) -> (u32, Duration) {
        let open = self.open.entry(id).or_insert(Open {
            looks: 0,
            due: Moment::default(),
            is_scheduled: false,
        });
        open.looks += 1;
        let looks = open.looks;
        let wait = LOOKS.after(looks);
        if found == Vain::Ever || looks >= MOST_AWAITED {
            self.awaited.remove(&id);
        }
        match self.awaited.contains(&id) {
            true => (looks, wait.min(LONGEST_AWAITED)),
            false => (looks, wait),
        }
    }
}

/// How much is left of the time of quiet after something was sent: never more than all of it, also
/// where the clock was set back since.
fn quiet_left(sent_at: Timestamp, quiet: Duration, now: Timestamp) -> Duration {
    sent_at.plus(quiet).since(now).min(quiet)
}

/// What a look in vain says of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vain {
    /// The outlet did not answer, and may soon.
    Yet,
    /// What was asked cannot be told.
    Ever,
}

impl PublisherActor {
    /// Sees to it that a publication is looked at that was sent just now and may be out, before
    /// anything else goes out there: what would follow might be lost in the same way.
    pub(super) fn await_fate(&mut self, record: &PublicationRecord) {
        let (outlet, id) = (&record.publication.outlet, record.publication.id);
        let Some(quiet) = self.seat(outlet).map(|seat| seat.outlet.quiet()) else {
            return;
        };
        let mut open = Open::of(record, quiet, &*self.clock);
        let n_beyond = n_beyond(record);
        if n_beyond > 0 {
            self.note_answer(outlet);
        }
        let now = self.clock.now();
        if let Some(state) = self.state.get_mut(outlet) {
            if n_beyond == 0 {
                state.fates.awaited.insert(id);
            } else {
                // The next one is tried before this comes back, and goes first again.
                let tried = state.parked_until.map_or(now, |until| until.max(now));
                open.due = open.due.max(tried.plus(LOOKS.after(n_beyond)));
            }
            state.fates.open.insert(id, open);
        }
        self.look_when_due(outlet);
    }

    /// Sees to it that what the store has as open is looked at; says once how much that is.
    pub(super) fn resolve(&mut self, outlet: &OutletName, stored: Vec<Found>) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        for found in stored {
            if self.book.holds(found.id) {
                continue;
            }
            state.fates.open.insert(found.id, found.open);
            if found.is_awaited {
                state.fates.awaited.insert(found.id);
            }
        }
        let n = state.fates.n_unknown();
        if n > 0 {
            warn!(outlet:% = outlet, n; "publications may be out, and are looked for");
        }
        self.look_when_due(outlet);
    }

    /// Sees to it that a publication is looked at that its outlet publishes by itself.
    pub(super) fn await_scheduled(&mut self, record: &PublicationRecord) {
        let (outlet, now) = (&record.publication.outlet, self.clock.now());
        if let Some(state) = self.state.get_mut(outlet) {
            state.fates.schedule(record.publication.id, now);
        }
        self.look_when_due(outlet);
    }

    /// Has the next look begin when it is due.
    pub(super) fn look_when_due(&mut self, outlet: &OutletName) {
        let state = self.state.get_mut(outlet);
        let Some(due) = state.and_then(|state| state.fates.next_alarm()) else {
            return;
        };
        let wait = due.since(self.clock.now());
        let (own, epoch, outlet) = (self.own.clone(), self.epoch, outlet.clone());
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(Look { epoch, outlet });
        });
    }
}

/// How often a publication was tried beyond what others wait for.
const fn n_beyond(record: &PublicationRecord) -> u32 {
    (record.attempts + 1).saturating_sub(MOST_TRIALS)
}

/// Whether it is still to be found out whether a publication in that state is out.
pub(super) const fn is_open(state: PublicationState) -> bool {
    matches!(
        state,
        PublicationState::Sending | PublicationState::Unknown | PublicationState::Scheduled
    )
}

/// What stands open in the store at an outlet: what was being sent, what is unknown, and what it
/// publishes by itself.
pub(super) async fn open_fates(
    store: &dyn TaskStore,
    seat: &Seat,
    clock: &dyn Clock,
) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for state in [
        PublicationState::Sending,
        PublicationState::Unknown,
        PublicationState::Scheduled,
    ] {
        let mut after = None;
        loop {
            let page = store
                .publications_in(seat.name.clone(), state, after, PAGE)
                .await?;
            after = page.last().map(|record| record.publication.id);
            let n_page = page.len();
            let page = page.iter();
            found.extend(page.map(|record| Found::of(record, seat, clock)));
            if n_page < PAGE {
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_puts_no_look_off() {
        let (sent_at, quiet) = (Timestamp::from_millis(7_200_000), Duration::from_secs(30));
        for (now, left) in [(7_200_000, 30), (7_220_000, 10), (7_300_000, 0), (0, 30)] {
            let found = quiet_left(sent_at, quiet, Timestamp::from_millis(now));
            assert_eq!(found, Duration::from_secs(left), "{now}");
        }
    }
}

//! Keeps the order of each source's posts at an outlet: what is ready waits for what was taken
//! before it, as long as the outlet's settings say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use log::info;

use super::standing::is_begun;
use super::threads::behind_held;
use super::turn::Next;
use super::{OutletState, PublisherActor, Seat};
use crate::domain::{Moment, OutletName, PublicationId, REQUESTS, SourceName, TaskId, Timestamp};
use crate::logic::outstanding::{Line, Outstanding};
use crate::ports::{Errand, PublicationRecord};

/// What an outlet knows of what is early there.
#[derive(Debug, Default)]
pub(super) struct InLine {
    sources: HashMap<Arc<str>, Passed>,
    /// Whether something was too early when that was looked at last.
    has_early: bool,
}

/// What of a source nothing waits for any more, because something has waited for long enough.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    /// Tasks up to this one, if they are under way.
    under_way: Option<TaskId>,
    /// Publications of tasks up to this one, if they are blocked.
    blocked: Option<TaskId>,
    /// Since when nothing of the source could go for the sake of what is blocked, which mostly goes
    /// on within a moment.
    stuck_since: Option<Moment>,
}

/// The source among whose posts a publication keeps its order; none where it has no place in it:
/// what clients asked for, and what changes or goes on with what is out.
pub(super) fn source_in_line(record: &PublicationRecord) -> Option<Arc<str>> {
    let publication = &record.publication;
    let is_new = record.errand == Errand::Publish && publication.revises.is_none();
    let is_in_line = is_new && !is_begun(publication) && *publication.source != *REQUESTS;
    is_in_line.then(|| Arc::clone(&publication.source))
}

/// How long something waits, and what time it is.
#[derive(Clone, Copy, Debug)]
struct Patience {
    longest: Duration,
    wall: Timestamp,
    now: Moment,
    /// When this system began to publish: what a restart finds waits anew.
    begun: Moment,
}

impl Patience {
    /// How much longer something waits that was planned then; zero if it has waited enough.
    fn left(self, planned: Timestamp) -> Duration {
        // A clock that was set back must not lengthen it.
        let age = self.wall.since(planned) + planned.since(self.wall);
        let running = self.now.since(self.begun);
        self.longest.saturating_sub(age.min(running))
    }

    /// The same of something that is stuck since then.
    fn left_since(self, stuck_since: Option<Moment>) -> Duration {
        let stuck = stuck_since.map_or(Duration::ZERO, |since| self.now.since(since));
        self.longest.saturating_sub(stuck)
    }
}

/// Tells at one moment what of an outlet's is early.
struct Gate<'a> {
    seat: &'a Seat,
    state: &'a OutletState,
    outstanding: &'a Outstanding,
    patience: Patience,
    /// What is known of each source that was met.
    met: Vec<Met>,
    resting: Option<HashSet<PublicationId>>,
    /// When the first of what is early has waited enough.
    wait: Option<Duration>,
}

/// What of a source may go.
struct Met {
    source: Arc<str>,
    /// The last task before which none is under way; none: the last of all.
    last_free: Option<TaskId>,
    /// The first task of which a publication is blocked.
    first_blocked: Option<TaskId>,
    /// Whether something of it may go.
    moves: bool,
    /// Whether something of it waits for what is blocked.
    is_stuck: bool,
    passed: Passed,
    is_overdue: bool,
}

impl InLine {
    /// Notes what was met; answers whether anything of it is passed over from now on.
    fn note(&mut self, met: Vec<Met>, now: Moment, outlet: &OutletName) -> bool {
        let mut is_overdue = false;
        for mut met in met {
            if met.is_overdue {
                is_overdue = true;
                info!(outlet:% = outlet, source = &*met.source; "posts go out before earlier ones, which take too long");
            }
            let passed = &mut met.passed;
            passed.stuck_since = match met.is_stuck && !met.moves {
                true => passed.stuck_since.or(Some(now)),
                false => None,
            };
            self.sources.insert(met.source, met.passed);
        }
        is_overdue
    }
}

impl Gate<'_> {
    /// Whether something that was taken before a publication may still come, which is noted.
    fn is_early(&mut self, record: &PublicationRecord) -> bool {
        let source = source_in_line(record).filter(|_| !self.patience.longest.is_zero());
        let Some(source) = source else {
            return false;
        };
        let (task, planned) = (record.publication.id.task(), record.publication.created_at);
        let place = self.place_of(source);
        let (patience, met) = (self.patience, &mut self.met[place]);
        let (left, passed) = if met.last_free.is_some_and(|last| task > last) {
            (patience.left(planned), &mut met.passed.under_way)
        } else if met.first_blocked.is_some_and(|first| task > first) {
            met.is_stuck = true;
            // Where something moves, what is blocked will be next.
            let stuck_since = met.passed.stuck_since.filter(|_| !met.moves);
            (patience.left_since(stuck_since), &mut met.passed.blocked)
        } else {
            met.moves = true;
            return false;
        };
        if left.is_zero() {
            *passed = Some(task).max(*passed);
            met.is_overdue = true;
        } else {
            self.wait = Some(self.wait.map_or(left, |wait| wait.min(left)));
        }
        true
    }

    fn place_of(&mut self, source: Arc<str>) -> usize {
        if let Some(place) = self.met.iter().position(|met| met.source == source) {
            return place;
        }
        let passed = self.state.line.sources.get(&source).copied();
        let passed = passed.unwrap_or_default();
        let line = Line {
            source: SourceName::from(&*source),
            language: self.seat.language.clone(),
        };
        let first_blocked = self.first_blocked(&source, passed.blocked);
        self.met.push(Met {
            last_free: self.outstanding.last_free(&line, passed.under_way),
            first_blocked,
            source,
            moves: false,
            is_stuck: false,
            passed,
            is_overdue: false,
        });
        self.met.len() - 1
    }

    /// The first post of a source that goes out once something else at the outlet has.
    fn first_blocked(&mut self, source: &Arc<str>, passed: Option<TaskId>) -> Option<TaskId> {
        let blocked = &self.state.blocked;
        if blocked.is_empty() {
            return None;
        }
        let resting = self.resting.get_or_insert_with(|| behind_held(blocked));
        let ids = blocked.iter().filter(|(id, it)| {
            it.source.as_ref() == Some(source) && it.is_next() && !resting.contains(id)
        });
        let tasks = ids.map(|(id, _)| id.task());
        tasks.filter(|task| Some(*task) > passed).min()
    }
}

impl PublisherActor {
    /// What goes next at an outlet, so many together at most, of which so many may begin; none if
    /// nothing may go now. What is early is looked at again when it has waited enough.
    pub(super) fn next_in_line(
        &mut self,
        seat: &Seat,
        bounds: (usize, Option<u32>),
    ) -> Option<Next> {
        let patience = Patience {
            longest: seat.in_order,
            wall: self.clock.wall(),
            now: self.clock.now(),
            begun: self.begun,
        };
        loop {
            let state = self.state.get_mut(&seat.name)?;
            let mut gate = Gate {
                seat,
                state,
                outstanding: &self.outstanding,
                patience,
                met: Vec::new(),
                resting: None,
                wait: None,
            };
            let next = state.next_batch(bounds, |record| gate.is_early(record));
            let Gate { wait, met, .. } = gate;
            let is_overdue = state.line.note(met, patience.now, &seat.name);
            if is_overdue {
                continue;
            }
            state.line.has_early = wait.is_some();
            if let (None, Some(wait)) = (&next, wait) {
                self.pump_within(&seat.name, wait);
            }
            return next;
        }
    }

    /// Looks again whether something is early at an outlet.
    pub(super) fn pump_in_line(&mut self, outlet: &OutletName) {
        if self.has_early(outlet) {
            self.pump(outlet);
        }
    }

    /// The outlets where something is early.
    pub(super) fn outlets_in_line(&self) -> impl Iterator<Item = OutletName> {
        let names = self.seats.iter().map(|seat| &seat.name);
        names.filter(|name| self.has_early(name)).cloned()
    }

    fn has_early(&self, outlet: &OutletName) -> bool {
        let state = self.state.get(outlet);
        state.is_some_and(|state| state.line.has_early)
    }
}

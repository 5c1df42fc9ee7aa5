//! What is remembered of a lane's learned limits, so that a restart need not learn them anew.
//!
//! They are written down when they change, and not call by call: a new one at once, together with
//! what was used of it; one that changes all the time once a second at most; one that is told
//! again and again once a day.

use std::time::Duration;

use super::learning::{DAY, WINDOWS, is_sane};
use super::{Account, Learned, MINUTE, Now, Quota, Span, Trial, Window, per_name};
use crate::domain::{KnownBy, LearnedLimit, Timestamp, Unit};

/// How long nothing more is written down after something was.
const QUIET: Duration = Duration::from_secs(1);
/// How often is looked whether what is told again and again has to be written down anew.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// What was told last so long ago is remembered no more.
const FORGOTTEN: Duration = Duration::from_secs(40 * 86_400);
/// A limit that changes less than this share of it is the same.
const ALIKE: f64 = 0.01;

/// How a lane's learned limits stand with the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Whether the ledger may hold some that are not known here yet.
    is_to_come: bool,
    is_changed: bool,
    /// Whether it is a limit of which the ledger has nothing.
    is_new: bool,
    looked_at: Timestamp,
    /// What the ledger was asked to hold last.
    asked: Vec<LearnedLimit>,
    /// Whether it has not answered that yet, and whether it may never have heard of it.
    is_asked: bool,
    is_unsure: bool,
}

impl Memory {
    /// Whether the ledger may hold some that are not known here yet.
    pub(super) const fn is_to_come(&self) -> bool {
        self.is_to_come
    }

    /// Something was learned.
    pub(super) fn learned(&mut self, learned: &[Learned]) {
        let is_new = |new: &Learned| {
            let is_it = |old: &LearnedLimit| (old.unit, per_name(old.per)) == (new.unit, new.per);
            !self.asked.iter().any(is_it)
        };
        self.is_new |= learned.iter().any(is_new);
        self.is_changed |= !learned.is_empty();
    }

    /// Something is known otherwise than before, or not any more.
    pub(super) const fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Whether the ledger may have to hold something else.
    pub(super) fn wants_ledger(&self, wall: Timestamp) -> bool {
        if self.is_to_come {
            return false;
        }
        let since = wall.since(self.looked_at);
        self.is_unsure
            || self.is_new
            || (self.is_changed && since >= QUIET)
            || (!self.asked.is_empty() && since >= LOOK_EVERY)
    }

    /// What was asked of the ledger and not answered was not written down, as far as is known.
    pub(super) const fn not_kept(&mut self) {
        self.is_unsure |= std::mem::replace(&mut self.is_asked, false);
    }

    fn recalled(learned: &[LearnedLimit]) -> Self {
        Self {
            asked: learned.to_vec(),
            // What is not believed any more is to be forgotten there too.
            is_changed: true,
            ..Self::default()
        }
    }

    /// What the ledger is to hold instead of what it holds; counts as asked for.
    fn ask(&mut self, learned: Vec<LearnedLimit>, wall: Timestamp) -> Option<Vec<LearnedLimit>> {
        self.looked_at = wall;
        (self.is_changed, self.is_new) = (false, false);
        if are_alike(&self.asked, &learned) && !self.is_unsure {
            return None;
        }
        self.is_unsure = false;
        self.is_asked = true;
        self.asked = learned;
        Some(self.asked.clone())
    }
}

fn are_alike(kept: &[LearnedLimit], learned: &[LearnedLimit]) -> bool {
    let is_kept = |new: &LearnedLimit| kept.iter().any(|old| is_alike(old, new));
    kept.len() == learned.len() && learned.iter().all(is_kept)
}

fn is_alike(old: &LearnedLimit, new: &LearnedLimit) -> bool {
    (old.unit, old.per, old.known_by, old.set) == (new.unit, new.per, new.known_by, new.set)
        && (old.limit - new.limit).abs() <= old.limit * ALIKE
        && new.at.since(old.at) < DAY
}

impl Quota {
    /// The same quota, which grants nothing until [`Quota::recall`] says what is remembered.
    pub fn recalling(mut self) -> Self {
        self.memory.is_to_come = true;
        self
    }

    /// Believes what an earlier process learned, before what it used is loaded; answers what of
    /// it holds.
    ///
    /// It is trusted as if it had just been told, however long ago it was, but for a limit that
    /// the settings tell otherwise since.
    pub fn recall(&mut self, learned: &[LearnedLimit], now: Now) -> Vec<Learned> {
        if !self.memory.is_to_come {
            return Vec::new();
        }
        self.memory = Memory::recalled(learned);
        let holds = learned.iter().filter(|it| self.recall_one(it, now));
        let holds = holds.map(|it| Learned {
            unit: it.unit,
            per: per_name(it.per),
            limit: it.limit,
            known_by: it.known_by,
        });
        holds.collect()
    }

    fn recall_one(&mut self, learned: &LearnedLimit, now: Now) -> bool {
        let is_told_since = |set: Option<f64>| set.is_some() && set != learned.set;
        let is_past = now.wall.since(learned.at) > FORGOTTEN;
        if is_past || !is_sane(&learned.limit) {
            return false;
        }
        let told = Now {
            wall: learned.at,
            ..now
        };
        let LearnedLimit {
            unit,
            per,
            limit,
            known_by,
            ..
        } = *learned;
        if per >= DAY {
            let day = self.day;
            if !self.accounts.iter().any(|it| it.unit() == unit) {
                self.accounts.push(Account::learned(unit).unloaded());
            }
            let account = self.accounts.iter_mut().find(|it| it.unit() == unit);
            let Some(account) = account.filter(|it| !is_told_since(it.set_of_day())) else {
                return false;
            };
            account.tell(Span::Day(day), limit, known_by, told);
            return true;
        }
        if self.window(unit, per).is_none() && self.windows.len() < WINDOWS {
            self.windows.push(Window::unknown(unit, per));
        }
        let Some(window) = self.window(unit, per) else {
            return false;
        };
        if is_told_since(window.set_limit()) {
            return false;
        }
        if known_by != KnownBy::Trial {
            window.tell(limit, known_by, told);
            window.begin_learned(now.moment);
            return true;
        }
        if (unit, per) != (Unit::Requests, MINUTE) {
            return false;
        }
        window.even_out(now.moment);
        self.trial = Some(Trial::known(limit, told));
        self.follow_trial(now.moment);
        true
    }

    /// What the ledger is to hold of what was learned, all of it, where that is something else
    /// than it holds; counts as asked for.
    pub fn remember(&mut self, wall: Timestamp) -> Option<Vec<LearnedLimit>> {
        if !self.memory.wants_ledger(wall) {
            return None;
        }
        let learned = self.learned();
        self.memory.ask(learned, wall)
    }

    /// The ledger holds what it was asked to remember.
    pub const fn learned_is_kept(&mut self) {
        self.memory.is_asked = false;
    }

    fn learned(&self) -> Vec<LearnedLimit> {
        let tried = |window: &Window| {
            let trial = self.trial.as_ref()?;
            let is_it = (window.unit(), window.per()) == (Unit::Requests, MINUTE);
            is_it.then(|| LearnedLimit {
                unit: Unit::Requests,
                per: MINUTE,
                limit: trial.ceiling(),
                known_by: KnownBy::Trial,
                at: trial.told_at(),
                set: window.set_limit(),
            })
        };
        let windows = self.windows.iter();
        let windows = windows.filter_map(|window| tried(window).or_else(|| window.learned()));
        let days = self.accounts.iter().filter_map(Account::learned_day);
        windows.chain(days).collect()
    }
}

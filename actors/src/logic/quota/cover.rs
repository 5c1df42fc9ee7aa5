//! What of a short window is drawn from the ledger, so that a restart knows of all that was used.
//!
//! As with long quotas nothing is used that is not written down before, in blocks that are drawn
//! ahead. A block belongs to a stretch of a sixth of the window; after a restart all that was
//! drawn in a stretch counts as used at the stretch's end. So a restart may cost a sixth of the
//! window's time and the open blocks, and writes are a few a stretch at most. The first block of
//! the next stretch is drawn in time, so that no call of a busy lane waits for the disk.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::{Timestamp, Unit};

/// How many stretches a window has.
const STRETCHES: i64 = 6;
/// A block, of the limit.
const BLOCK: f64 = 0.05;
const EPSILON: f64 = 1e-9;

/// What the ledger holds of one window.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    /// The length of the window and of a stretch, in milliseconds.
    per: i64,
    length: i64,
    /// Whether what the ledger holds is known here.
    is_loaded: bool,
    stretches: VecDeque<Stretch>,
    /// The stretch to come, as soon as something is drawn for it.
    next: Option<Stretch>,
    /// The amount of a call that waits for a block, and the largest that ever did.
    pressing: f64,
    largest: f64,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: i64,
    used: f64,
    /// What the ledger was asked to hold last.
    asked: f64,
    /// What it holds at least.
    kept: f64,
}

impl Cover {
    /// The cover of a window of that length, of which nothing is known until [`Cover::load`].
    pub(super) fn new(per: Duration) -> Self {
        let per = i64::try_from(per.as_millis()).unwrap_or(i64::MAX / 4);
        Self {
            per,
            length: (per / STRETCHES).max(1),
            is_loaded: false,
            stretches: VecDeque::new(),
            next: None,
            pressing: 0.0,
            largest: 0.0,
        }
    }

    /// Whether what the ledger holds is known here.
    pub(super) const fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Takes over what the ledger holds, (stretch, amount); answers what of it still counts, and
    /// how long ago it was used at the latest.
    pub(super) fn load(
        &mut self,
        entries: &[(Timestamp, f64)],
        wall: Timestamp,
    ) -> Vec<(Duration, f64)> {
        let now = wall.as_millis();
        self.is_loaded = true;
        let mut counted = Vec::new();
        for &(start, amount) in entries {
            let start = start.as_millis();
            let ago = (now - start - self.length).max(0);
            if ago < self.per {
                counted.push((Duration::from_millis(ago.unsigned_abs()), amount));
            }
            self.stretches.push_back(Stretch {
                start,
                used: amount,
                asked: amount,
                kept: amount,
            });
        }
        self.stretches
            .make_contiguous()
            .sort_by_key(|stretch| stretch.start);
        counted
    }

    /// Takes over what was used without the ledger, (at the latest when, amount), in the order of
    /// time: the ledger is to hold that too, before anything else is used.
    pub(super) fn take_over(&mut self, used: impl Iterator<Item = (Timestamp, f64)>) {
        self.is_loaded = true;
        for (at, amount) in used {
            let start = self.start_of(at);
            match self.stretches.back_mut() {
                Some(last) if last.start >= start => last.used += amount,
                _ => self.stretches.push_back(Stretch {
                    used: amount,
                    ..Stretch::new(start)
                }),
            }
        }
    }

    /// How many times `amount` may be used now.
    pub(super) fn room(&mut self, amount: f64, wall: Timestamp) -> f64 {
        if !self.is_loaded {
            return 0.0;
        }
        if amount <= 0.0 {
            return f64::INFINITY;
        }
        let stretch = self.present(wall);
        let covered = ((stretch.kept - stretch.used + EPSILON) / amount)
            .floor()
            .max(0.0);
        if covered < 1.0 {
            self.pressing = self.pressing.max(amount);
            self.largest = self.largest.max(amount);
        }
        covered
    }

    /// Uses so much.
    pub(super) fn take(&mut self, amount: f64, wall: Timestamp) {
        self.present(wall).used += amount;
    }

    /// Corrects what was taken at `at` by `change`.
    pub(super) fn correct(&mut self, change: f64, at: Timestamp) {
        let at = at.as_millis();
        let mut stretches = self.stretches.iter_mut().rev();
        if let Some(stretch) = stretches.find(|stretch| stretch.start <= at) {
            stretch.used = (stretch.used + change).max(0.0);
        }
    }

    /// Whether the ledger should be asked for something, at such a limit.
    pub(super) fn wants_ledger(&self, unit: Unit, limit: f64, wall: Timestamp) -> bool {
        let Some(stretch) = self.stretches.back().filter(|_| self.is_loaded) else {
            return false;
        };
        let open = stretch.asked - stretch.used;
        if self.largest <= 0.0 && open >= -EPSILON {
            // A process that uses nothing draws nothing: it may be the next of many that fall.
            return false;
        }
        let least = (limit * BLOCK).max(self.pressing);
        let most = open_blocks(unit, limit).max(self.largest) + least;
        open + EPSILON < least || open > most + EPSILON || self.wants_next(wall)
    }

    /// Whether it is time to draw for the next stretch: the present one is used, and half over.
    fn wants_next(&self, wall: Timestamp) -> bool {
        let is_used = |stretch: &&Stretch| {
            let since = wall.as_millis() - stretch.start;
            stretch.used > 0.0 && (self.length / 2..self.length).contains(&since)
        };
        self.next.is_none() && self.stretches.back().is_some_and(|it| is_used(&it))
    }

    /// What the ledger should hold, (stretch, amount), nothing of what is past; counts as asked
    /// for.
    pub(super) fn ask_ledger(
        &mut self,
        unit: Unit,
        limit: f64,
        wall: Timestamp,
        mut ask: impl FnMut(Timestamp, f64),
    ) {
        let open = open_blocks(unit, limit).max(self.pressing);
        self.pressing = 0.0;
        let past = wall.as_millis() - self.length - self.per;
        if self.wants_next(wall)
            && let Some(start) = self.stretches.back().map(|it| it.start + self.length)
        {
            self.next = Some(Stretch::new(start));
        }
        if let Some(next) = self.next.as_mut().filter(|next| next.asked <= 0.0) {
            next.asked = (open_blocks(unit, limit) / 2.0).max(least_of(unit));
            ask(Timestamp::from_millis(next.start), next.asked);
        }
        let n_stretches = self.stretches.len();
        for (index, stretch) in self.stretches.iter_mut().enumerate() {
            let amount = match () {
                () if index + 1 == n_stretches => stretch.used + open,
                () if stretch.start <= past => 0.0,
                () => stretch.used,
            };
            if (amount - stretch.asked).abs() > EPSILON {
                stretch.asked = amount;
                stretch.kept = stretch.kept.min(amount);
                ask(Timestamp::from_millis(stretch.start), amount);
            }
        }
    }

    /// The ledger holds it.
    pub(super) fn kept(&mut self, start: Timestamp, amount: f64) {
        let start = start.as_millis();
        if let Some(next) = self.next.as_mut().filter(|next| next.start == start) {
            next.kept = amount;
            return;
        }
        let place = self.stretches.iter().position(|it| it.start == start);
        let Some(place) = place else { return };
        let stretch = &mut self.stretches[place];
        if (stretch.asked - amount).abs() <= EPSILON {
            stretch.kept = amount;
        }
        if amount <= 0.0 && place + 1 < self.stretches.len() {
            self.stretches.remove(place);
        }
    }

    /// What was asked of the ledger and not answered was not written down, as far as is known.
    pub(super) fn not_kept(&mut self) {
        for stretch in self.stretches.iter_mut().chain(&mut self.next) {
            // Unlike any amount, so that it is asked for again.
            stretch.asked = f64::NEG_INFINITY;
        }
    }

    const fn start_of(&self, wall: Timestamp) -> i64 {
        wall.as_millis().div_euclid(self.length) * self.length
    }

    /// The stretch in which something is used now.
    fn present(&mut self, wall: Timestamp) -> &mut Stretch {
        let start = self.start_of(wall);
        if self.stretches.back().is_none_or(|it| it.start < start) {
            // While the ledger fails nothing is used, and nothing of that has to be known.
            self.stretches
                .retain(|it| it.used > 0.0 || it.kept > 0.0 || it.asked > 0.0);
            self.stretches.extend(self.next.take());
            if self.stretches.back().is_none_or(|it| it.start < start) {
                self.stretches.push_back(Stretch::new(start));
            }
        }
        let last = self.stretches.len() - 1;
        &mut self.stretches[last]
    }
}

impl Stretch {
    const fn new(start: i64) -> Self {
        Self {
            start,
            used: 0.0,
            asked: 0.0,
            kept: 0.0,
        }
    }
}

/// The most that is drawn ahead.
fn open_blocks(unit: Unit, limit: f64) -> f64 {
    (2.0 * BLOCK * limit).max(least_of(unit))
}

/// The least that is worth drawing.
const fn least_of(unit: Unit) -> f64 {
    match unit {
        Unit::Requests => 1.0,
        _ => 0.0,
    }
}

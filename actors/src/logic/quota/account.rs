//! A long quota: what of a day or a month is used, and what of it is drawn from the ledger.
//!
//! Nothing is used that is not written down before. So that no call waits for the disk, use is
//! drawn ahead in blocks of half a percent of the limit, two at most, at least one request, from
//! the first use on. After a crash an open block counts as used: never too little, at most 1 % too much.

use std::collections::VecDeque;
use std::time::Duration;

use super::Now;
use super::calendar::{DAY, Span};
use crate::domain::{DayReset, KnownBy, LearnedLimit, Moment, Timestamp, Unit};

/// The stretches in which a day is counted, 7.5 minutes: whole ones in every time zone.
const SLOT: i64 = 450_000;
/// A block, of the limit.
const BLOCK: f64 = 0.005;
/// A block of money that has no limit, in US dollars.
const CENT: f64 = 0.01;
const EPSILON: f64 = 1e-9;

/// What a lane used of something over days.
#[derive(Clone, Debug)]
pub struct Account {
    unit: Unit,
    /// Whether what the ledger holds is known here.
    is_loaded: bool,
    limits: Vec<Long>,
    slots: VecDeque<Slot>,
    /// Until when the sums are right if nothing is used.
    fresh_until: i64,
    looked_at: i64,
    /// The amount of a call that waits for a block, and the largest that ever did.
    pressing: f64,
    largest: f64,
    /// What is to be written down, so that it can be reserved.
    reserving: f64,
    /// Whether more was used of a stretch that is over than the ledger was asked to hold: a call
    /// may end after it, for more than was expected, and what a job cost is known a day later.
    is_behind: bool,
}

/// A limit over a day or a month.
#[derive(Clone, Debug)]
pub struct Long {
    /// Over what time.
    pub span: Span,
    set: Option<f64>,
    /// What was learned: how much, from what, and when it was told.
    told: Option<(f64, KnownBy, Now)>,
    used: f64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: i64,
    used: f64,
    /// What the ledger was asked to hold last.
    asked: f64,
    /// What it holds at least.
    kept: f64,
}

impl Long {
    /// The most of it; none where it is not known.
    pub fn limit(&self) -> Option<f64> {
        match (self.set, self.told) {
            (Some(set), Some((told, ..))) => Some(set.min(told)),
            (set, told) => set.or(told.map(|(told, ..)| told)),
        }
    }

    /// How the limit is known.
    pub fn known_by(&self) -> KnownBy {
        match (self.set, self.told) {
            (Some(set), Some((told, by, _))) if told < set => by,
            (None, Some((_, by, _))) => by,
            _ => KnownBy::Settings,
        }
    }

    /// When that was told last; none where a person set it.
    pub fn told_at(&self) -> Option<Timestamp> {
        let told = self.told.filter(|(_, by, _)| *by == self.known_by());
        told.map(|(.., at)| at.wall)
    }

    const fn is_day(&self) -> bool {
        matches!(self.span, Span::Day(_))
    }

    /// What of it is used, as of the last look.
    pub const fn used(&self) -> f64 {
        self.used
    }

    fn most(&self) -> f64 {
        self.limit().unwrap_or(f64::INFINITY)
    }
}

impl Account {
    /// An account with limits that a person set, kept in the ledger, whose use is not known
    /// until [`Account::load`].
    pub fn set(unit: Unit, limits: Vec<(Span, Option<f64>)>) -> Self {
        let limits = limits.into_iter().map(|(span, set)| Long {
            span,
            set,
            told: None,
            used: 0.0,
        });
        Self {
            is_loaded: false,
            limits: limits.collect(),
            ..Self::learned(unit)
        }
    }

    /// An account of what was just learned, and is kept in the ledger from now on.
    pub fn learned(unit: Unit) -> Self {
        Self {
            unit,
            is_loaded: true,
            limits: Vec::new(),
            slots: VecDeque::new(),
            fresh_until: i64::MIN,
            looked_at: i64::MIN,
            pressing: 0.0,
            largest: 0.0,
            reserving: 0.0,
            is_behind: false,
        }
    }

    /// The same account, whose use is not known until [`Account::load`].
    pub fn unloaded(mut self) -> Self {
        self.is_loaded = false;
        self
    }

    /// Believes what was learned in the account of the same unit under other settings.
    pub fn follow(&mut self, earlier: Self) {
        for long in earlier.limits {
            if let Some((limit, known_by, at)) = long.told {
                self.tell(long.span, limit, known_by, at);
            }
        }
    }

    /// The account with what was learned alone, as the settings say nothing more of it but when
    /// its day is over.
    pub fn without_settings(mut self, day: DayReset) -> Option<Self> {
        self.limits.retain(|long| long.told.is_some());
        for long in &mut self.limits {
            long.set = None;
            if long.is_day() {
                long.span = Span::Day(day);
            }
        }
        self.fresh_until = i64::MIN;
        self.not_kept();
        (!self.limits.is_empty()).then_some(self)
    }

    /// What a person set for a day.
    pub fn set_of_day(&self) -> Option<f64> {
        self.limits.iter().find(|long| long.is_day())?.set
    }

    /// What was learned of a day, to be remembered.
    pub fn learned_day(&self) -> Option<LearnedLimit> {
        let day = self.limits.iter().find(|long| long.is_day())?;
        let (limit, known_by, at) = day.told?;
        Some(LearnedLimit {
            unit: self.unit,
            per: Duration::from_millis(DAY.unsigned_abs()),
            limit,
            known_by,
            at: at.wall,
            set: day.set,
        })
    }

    /// Forgets what was learned and not told again for so long; answers whether there was
    /// something.
    pub fn doubt(&mut self, patience: Duration, now: Moment) -> bool {
        let is_old = |long: &Long| {
            let told = long.told;
            told.is_some_and(|(.., at)| now.since(at.moment) > patience)
        };
        let mut is_any = false;
        for long in self.limits.iter_mut().filter(|long| is_old(long)) {
            long.told = None;
            is_any = true;
        }
        is_any
    }

    /// Whether it counts for something: money does without a limit too.
    pub fn is_needed(&self) -> bool {
        self.unit == Unit::Dollars || self.limits.iter().any(|long| long.limit().is_some())
    }

    /// What it counts.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Its limits, as of the last look.
    pub fn limits(&self) -> &[Long] {
        &self.limits
    }

    /// What counts today, as of the last look.
    pub fn used_in(&self, wanted: impl Fn(Span) -> bool) -> f64 {
        let long = self.limits.iter().find(|long| wanted(long.span));
        long.map_or(0.0, |long| long.used)
    }

    /// Believes a limit of a day; answers whether that changed it.
    pub fn tell(&mut self, span: Span, limit: f64, known_by: KnownBy, at: Now) -> bool {
        self.fresh_until = i64::MIN;
        let told = Some((limit, known_by, at));
        let is_same = |long: &&mut Long| {
            matches!((long.span, span), (Span::Day(_), Span::Day(_))) || long.span == span
        };
        match self.limits.iter_mut().find(is_same) {
            Some(long) => {
                let before = long.limit();
                long.told = told;
                before != long.limit()
            }
            None => {
                self.limits.push(Long {
                    span,
                    set: None,
                    told,
                    used: 0.0,
                });
                true
            }
        }
    }

    /// Believes that more of a day is used than is known here; all is free after `resets_in`, or
    /// when the day is over.
    pub fn believe(&mut self, used: f64, resets_in: Option<Duration>, wall: Timestamp) {
        self.look(wall);
        let day = self.limits.iter().find(|long| long.is_day());
        let Some(day) = day else { return };
        let others = used - day.used;
        if others < (day.most() / 100.0).max(1.0) {
            return;
        }
        let now = wall.as_millis();
        let wait = resets_in.map_or(DAY, |wait| {
            i64::try_from(wait.as_millis()).unwrap_or(DAY).min(DAY)
        });
        let begin = match day.span {
            Span::Day(DayReset::Rolling) => now - DAY + wait - self.length(),
            _ => now,
        };
        let slot = self.slot_of(begin.clamp(now - DAY, now));
        match self.slots.binary_search_by_key(&slot, |it| it.start) {
            Ok(place) => self.slots[place].used += others,
            Err(place) => self.slots.insert(place, Slot::new(slot, others)),
        }
        self.is_behind = true;
        self.fresh_until = i64::MIN;
        self.look(wall);
    }

    /// Takes over what the ledger holds: (slot, amount).
    pub fn load(&mut self, entries: &[(Timestamp, f64)], wall: Timestamp) {
        // What was looked at before says nothing, and its time may have been wrong.
        self.slots.retain(|slot| slot.used > EPSILON);
        for &(slot, amount) in entries {
            let slot = slot.as_millis();
            match self.slots.binary_search_by_key(&slot, |it| it.start) {
                Ok(place) => {
                    let kept = &mut self.slots[place];
                    kept.used += amount;
                    (kept.asked, kept.kept) = (amount, amount);
                }
                Err(place) => self.slots.insert(
                    place,
                    Slot {
                        start: slot,
                        used: amount,
                        asked: amount,
                        kept: amount,
                    },
                ),
            }
        }
        self.is_loaded = true;
        self.fresh_until = i64::MIN;
        self.look(wall);
    }

    /// Whether what the ledger holds is known here.
    pub const fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Brings the sums up to date.
    pub fn look(&mut self, wall: Timestamp) {
        let now = wall.as_millis();
        if now < self.fresh_until && now >= self.looked_at {
            return;
        }
        self.looked_at = now;
        let length = self.length();
        let current = self.slot_of(now);
        if self.slots.back().is_none_or(|slot| slot.start < current) {
            self.slots.push_back(Slot::new(current, 0.0));
        }
        let mut fresh_until = current + length;
        for long in &mut self.limits {
            long.used = 0.0;
            for slot in &self.slots {
                let leaves = long.span.leaves(slot.start, length);
                if leaves > now {
                    long.used += slot.used;
                    fresh_until = fresh_until.min(leaves);
                }
            }
        }
        self.fresh_until = fresh_until;
        let limits = &self.limits;
        let is_past = |slot: &Slot| {
            let leaves = |long: &Long| long.span.leaves(slot.start, length) <= now;
            limits.iter().all(leaves)
        };
        while self.slots.len() > 1 && self.slots.front().is_some_and(is_past) {
            self.slots.pop_front();
        }
    }

    /// How many times `amount` may be used now; what is larger than a whole limit counts as the
    /// whole of it, since it could never be used otherwise. Money that is more than its limit is
    /// never there.
    pub fn room(&mut self, amount: f64, wall: Timestamp) -> f64 {
        let amount = match self.unit {
            Unit::Dollars => amount,
            _ => amount.min(self.least()),
        };
        let room = self.within_limits(amount, wall);
        if room < 1.0 || !room.is_finite() || amount <= 0.0 {
            return room;
        }
        let covered = self.covered(amount);
        if covered < 1.0 {
            self.pressing = self.pressing.max(amount);
            self.largest = self.largest.max(amount);
        }
        room.min(covered)
    }

    /// Uses so much of it, if there is so much and it is written down; else it is to be.
    pub fn reserve(&mut self, amount: f64, wall: Timestamp) -> bool {
        let room = self.within_limits(amount, wall);
        let is_written = !room.is_finite() || amount <= 0.0 || self.covered(amount) >= 1.0;
        let has_room = room >= 1.0;
        self.reserving = if has_room && !is_written { amount } else { 0.0 };
        let is_reserved = has_room && is_written;
        if is_reserved {
            self.take(amount, wall);
        }
        is_reserved
    }

    /// How many times `amount` is written down and not used.
    fn covered(&self, amount: f64) -> f64 {
        let covered = self.slots.back().map_or(0.0, |slot| slot.kept - slot.used);
        ((covered + EPSILON) / amount).floor().max(0.0)
    }

    /// How many times `amount` is left of every limit.
    fn within_limits(&mut self, amount: f64, wall: Timestamp) -> f64 {
        self.look(wall);
        let mut room = f64::INFINITY;
        for long in &self.limits {
            let Some(limit) = long.limit() else { continue };
            if !self.is_loaded {
                return 0.0;
            }
            let left = limit - long.used + EPSILON;
            let amount = amount.min(limit);
            let fit = match () {
                () if left <= 2.0 * EPSILON => 0.0,
                () if amount <= 0.0 => f64::INFINITY,
                () => (left / amount).floor().max(0.0),
            };
            room = room.min(fit);
        }
        room
    }

    /// When `amount` may be used, as far as the calendar decides it; none when it may now.
    pub fn due(&self, amount: f64) -> Option<Timestamp> {
        self.opens_last(amount).map(|(_, due)| due)
    }

    /// The limit that lets `amount` be used last, and when it does; none when all do now.
    pub fn opens_last(&self, amount: f64) -> Option<(&Long, Timestamp)> {
        let length = self.length();
        let due = |long: &Long| {
            let limit = long.limit()?;
            let mut missing = amount.min(limit).max(2.0 * EPSILON) - (limit - long.used);
            for slot in &self.slots {
                let leaves = long.span.leaves(slot.start, length);
                if missing <= EPSILON || leaves <= self.looked_at {
                    continue;
                }
                missing -= slot.used;
                if missing <= EPSILON {
                    return Some(leaves);
                }
            }
            None
        };
        let short = self.limits.iter();
        let short = short.filter_map(|long| Some((long, Timestamp::from_millis(due(long)?))));
        short.max_by_key(|(_, due)| *due)
    }

    /// When nothing of a limit is used any more if nothing more is used.
    pub fn free_at(&self, long: &Long) -> Option<Timestamp> {
        let last = self.slots.iter().rev().find(|slot| slot.used > EPSILON)?;
        let leaves = long.span.leaves(last.start, self.length());
        (leaves > self.looked_at).then(|| Timestamp::from_millis(leaves))
    }

    /// Uses so much of it.
    pub fn take(&mut self, amount: f64, wall: Timestamp) {
        self.look(wall);
        if let Some(slot) = self.slots.back_mut() {
            slot.used += amount;
        }
        for long in &mut self.limits {
            long.used += amount;
        }
    }

    /// Corrects what was taken at `at` by `change`, if that still counts.
    pub fn correct(&mut self, change: f64, at: Timestamp, wall: Timestamp) {
        self.look(wall);
        let (length, at) = (self.length(), at.as_millis());
        let newest = self.slots.back().map(|slot| slot.start);
        let Some(slot) = self.slots.iter_mut().rev().find(|slot| slot.start <= at) else {
            return;
        };
        let change = change.max(-slot.used);
        slot.used += change;
        self.is_behind |= newest != Some(slot.start) && slot.used > slot.asked + EPSILON;
        for long in &mut self.limits {
            if long.span.leaves(slot.start, length) > self.looked_at {
                long.used += change;
            }
        }
    }

    /// Whether the ledger should be asked for something.
    pub fn wants_ledger(&self) -> bool {
        let Some(slot) = self.slots.back().filter(|_| self.is_loaded) else {
            return false;
        };
        if self.is_behind {
            return true;
        }
        let (open, left) = (slot.asked - slot.used, self.left());
        if left.is_infinite() && slot.used <= EPSILON {
            // Without a limit, nothing has to be drawn before it is used.
            return false;
        }
        let wanted = self.pressing.max(self.reserving);
        if wanted.max(self.largest) <= 0.0 && open >= -EPSILON {
            // A process that uses nothing draws nothing: it may be the next of many that fall.
            return false;
        }
        let least = self.block().max(wanted).min(left);
        let most = self.blocks().max(self.largest).max(self.reserving) + self.block();
        open + EPSILON < least || open > most + EPSILON
    }

    /// What the ledger should hold: (slot, amount); counts as asked for.
    pub fn ask_ledger(&mut self, mut ask: impl FnMut(Timestamp, f64)) {
        let wanted = self.blocks().max(self.pressing).max(self.reserving);
        let open = wanted.min(self.left().max(0.0));
        self.pressing = 0.0;
        self.is_behind = false;
        let n_slots = self.slots.len();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            // The use of a stretch that is over is known; the present one gets its blocks.
            let is_present = index + 1 == n_slots;
            let amount = if is_present {
                slot.used + open
            } else {
                slot.used
            };
            if (amount - slot.asked).abs() > EPSILON {
                slot.asked = amount;
                slot.kept = slot.kept.min(amount);
                ask(Timestamp::from_millis(slot.start), amount);
            }
        }
    }

    /// The ledger holds it.
    pub fn kept(&mut self, slot: Timestamp, amount: f64) {
        let slot = self
            .slots
            .iter_mut()
            .find(|it| it.start == slot.as_millis());
        if let Some(slot) = slot.filter(|slot| (slot.asked - amount).abs() <= EPSILON) {
            slot.kept = amount;
        }
    }

    /// What was asked of the ledger and not answered was not written down, as far as is known.
    pub fn not_kept(&mut self) {
        for slot in &mut self.slots {
            // Unlike any amount, so that it is asked for again.
            slot.asked = f64::NEG_INFINITY;
        }
    }

    /// From which stretch on the ledger has to keep entries.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.slots
            .front()
            .map(|slot| Timestamp::from_millis(slot.start))
    }

    /// What of the tightest limit is left.
    fn left(&self) -> f64 {
        let left = |long: &Long| long.most() - long.used;
        self.limits.iter().map(left).fold(f64::INFINITY, f64::min)
    }

    /// The tightest limit.
    fn least(&self) -> f64 {
        let limits = self.limits.iter().map(Long::most);
        limits.fold(f64::INFINITY, f64::min)
    }

    fn block(&self) -> f64 {
        let least = self.least();
        if least.is_finite() {
            least * BLOCK
        } else {
            CENT
        }
    }

    /// The most that is drawn ahead.
    fn blocks(&self) -> f64 {
        let least = if self.unit == Unit::Requests {
            1.0
        } else {
            0.0
        };
        (2.0 * self.block()).max(least)
    }

    const fn length(&self) -> i64 {
        match self.unit {
            Unit::Dollars => DAY,
            _ => SLOT,
        }
    }

    const fn slot_of(&self, at: i64) -> i64 {
        at.div_euclid(self.length()) * self.length()
    }
}

impl Slot {
    const fn new(start: i64, used: f64) -> Self {
        Self {
            start,
            used,
            asked: 0.0,
            kept: 0.0,
        }
    }
}

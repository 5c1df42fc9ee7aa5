//! A limit over seconds, minutes or hours: what of it is used, and how much may go now.
//!
//! A window counts what was granted over its whole length in slots of 1/200 and remembers each
//! slot until all of it is past, so no window is ever exceeded wherever it is laid. This is safe
//! at every provider, whether it refills continuously, by a log or each full minute. A slot more
//! than the length covers the different times that calls take on their way.
//!
//! An idle window may be used up at once. Once it was, what comes back is paced, so that calls
//! go evenly from then on, and not all at the same time each minute.
//!
//! A call that is larger than the whole window goes alone, when all of it is free, and the pace
//! makes up for the rest, so that over several lengths the limit holds for such calls too.

use std::collections::VecDeque;
use std::time::Duration;

use super::Now;
use super::cover::Cover;
use crate::domain::{KnownBy, LearnedLimit, Moment, Timestamp, Unit};

const SLOTS: u64 = 200;
/// The least time by which calls may differ on their way.
const LEAST_MARGIN: u64 = 10_000_000;
/// Added to every moment, so that what was used before the start has a place.
const BEFORE: u64 = 40 * 86_400 * 1_000_000_000;
/// How much of the limit may go at once while it is paced, beside what comes back while a timer
/// is late.
const BURST: f64 = 0.02;
/// By how many nanoseconds a timer may ring late before calls that may go at once lose by it.
const LATENESS: f64 = 5e6;
/// How much faster than the limit the pace is, to make up for pauses; the log still holds.
const PACE: f64 = 1.03;
/// In how many parts use that is not ours is spread over the time it was made in.
const SPREAD: u64 = 20;
/// How much of a call may have gathered while the log lets nothing go.
const NEARLY: f64 = 0.99;
const EPSILON: f64 = 1e-9;
/// Windows from this length on are kept in the ledger; of shorter ones a start waits for the
/// end, which costs less.
const KEPT: Duration = Duration::from_secs(10);

/// A limit over a time below a day.
#[derive(Clone, Debug)]
pub struct Window {
    unit: Unit,
    per: Duration,
    /// What a person set.
    set: Option<f64>,
    /// What was learned: how much, from what, and from a call that began when.
    told: Option<(f64, KnownBy, Now)>,
    /// The lower of both; infinite where nothing is known.
    limit: f64,
    known_by: KnownBy,
    slots: VecDeque<(u64, f64)>,
    used: f64,
    pace: Pace,
    /// What of it the ledger keeps, where a restart is to know of it.
    cover: Option<Cover>,
}

/// How evenly a window is used.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    is_on: bool,
    level: f64,
    at: u64,
}

impl Window {
    /// A window whose limit is not known, in which nothing is used.
    pub fn unknown(unit: Unit, per: Duration) -> Self {
        Self {
            unit,
            per,
            set: None,
            told: None,
            limit: f64::INFINITY,
            known_by: KnownBy::Settings,
            slots: VecDeque::new(),
            used: 0.0,
            pace: Pace::default(),
            cover: None,
        }
    }

    /// A window with a limit that a person set, in which nothing is used.
    pub fn set(unit: Unit, limit: f64, per: Duration) -> Self {
        Self {
            set: Some(limit),
            limit,
            ..Self::unknown(unit, per)
        }
    }

    /// The same window, of whose use nothing is known until [`Window::load`]: it is kept in the
    /// ledger, and nothing is used that is not written down before.
    pub fn kept(mut self) -> Self {
        self.cover = Some(Cover::new(self.per));
        self
    }

    /// The same window, all of which was used just now: so much an earlier process may have used
    /// of one that is too short to be written down.
    pub fn used_up(mut self, now: Moment) -> Self {
        self.was_used(self.limit, Duration::ZERO, now);
        self
    }

    /// The same window at the start of a process: kept in the ledger where it is long enough for
    /// that, and else used up.
    pub fn at_start(self, now: Moment) -> Self {
        if self.per >= KEPT {
            self.kept()
        } else {
            self.used_up(now)
        }
    }

    /// Begins with what the ledger holds, or as used up, a window whose limit is remembered from
    /// before the start.
    pub fn begin_learned(&mut self, now: Moment) {
        if self.set.is_some() {
            return;
        }
        if self.per >= KEPT {
            self.cover.get_or_insert_with(|| Cover::new(self.per));
        } else {
            self.was_used(self.limit, Duration::ZERO, now);
        }
    }

    /// Keeps a window whose limit was learned in the ledger from now on, with what was used of it
    /// until now, if it is long enough for that.
    pub fn keep_learned(&mut self, now: Now) {
        let is_learned = self.set.is_none() && self.limit.is_finite() && !self.is_guess();
        if is_learned && self.cover.is_none() && self.per >= KEPT {
            self.cover = Some(self.cover_of_used(now));
        }
    }

    /// Goes on from the same window under other settings: what was used still counts, and what
    /// was learned is still believed.
    pub fn follow(&mut self, mut earlier: Self, now: Now) {
        let (is_kept, cover) = (self.cover.is_some(), earlier.cover.take());
        *self = Self {
            set: self.set,
            cover: None,
            ..earlier
        };
        self.cover = match cover {
            Some(mut cover) => {
                cover.not_kept();
                Some(cover)
            }
            None if is_kept => Some(self.cover_of_used(now)),
            None => None,
        };
        self.decide();
        self.keep_learned(now);
    }

    fn cover_of_used(&mut self, now: Now) -> Cover {
        self.forget(now.moment);
        let mut cover = Cover::new(self.per);
        cover.take_over(self.used_by_wall(now));
        cover
    }

    /// What it counts.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Its length.
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// The most of it; none where it is not known.
    pub fn limit(&self) -> Option<f64> {
        self.limit.is_finite().then_some(self.limit)
    }

    /// How the limit is known.
    pub const fn known_by(&self) -> KnownBy {
        self.known_by
    }

    /// When that was told last; none where a person set it.
    pub fn told_at(&self) -> Option<Timestamp> {
        let told = self.told.filter(|(_, by, _)| *by == self.known_by);
        told.map(|(.., at)| at.wall)
    }

    /// What a person set.
    pub const fn set_limit(&self) -> Option<f64> {
        self.set
    }

    /// What was learned of it, to be remembered; what trials find is the lane's to remember.
    pub fn learned(&self) -> Option<LearnedLimit> {
        let (limit, known_by, at) = self.told.filter(|(_, by, _)| *by != KnownBy::Trial)?;
        Some(LearnedLimit {
            unit: self.unit,
            per: self.per,
            limit,
            known_by,
            at: at.wall,
            set: self.set,
        })
    }

    /// What of it is used, as of the last grant or look.
    pub const fn used(&self) -> f64 {
        self.used
    }

    /// When all of it is free again if nothing more is used; none when it is.
    pub fn free_at(&self) -> Option<Moment> {
        self.slots
            .back()
            .map(|&(slot, _)| moment(self.leaves(slot)))
    }

    /// Whether the limit is only a guess by what passed.
    pub fn is_guess(&self) -> bool {
        self.known_by == KnownBy::Trial && self.limit.is_finite()
    }

    /// Believes a limit that a call told which began then; answers whether that changed it.
    ///
    /// What a person set is believed unless less is told.
    pub fn tell(&mut self, limit: f64, known_by: KnownBy, began: Now) -> bool {
        let is_older = self
            .told
            .is_some_and(|(_, by, at)| by == known_by && at.moment > began.moment);
        if is_older {
            return false;
        }
        let before = (self.limit, self.known_by);
        self.told = Some((limit, known_by, began));
        self.decide();
        (self.limit, self.known_by) != before
    }

    /// Forgets what was learned from headers or refusals and not told again for so long; answers
    /// whether there was something.
    pub fn doubt(&mut self, patience: Duration, now: Moment) -> bool {
        let is_old = self
            .told
            .is_some_and(|(_, by, at)| by != KnownBy::Trial && now.since(at.moment) > patience);
        if is_old {
            self.told = None;
            self.decide();
        }
        is_old
    }

    fn decide(&mut self) {
        (self.limit, self.known_by) = match (self.set, self.told) {
            (Some(set), Some((told, by, _))) if told < set => (told, by),
            (Some(set), _) => (set, KnownBy::Settings),
            (None, Some((told, by, _))) => (told, by),
            (None, None) => (f64::INFINITY, KnownBy::Settings),
        };
        self.pace.is_on |= self.is_guess();
        if self.set.is_none() && (self.is_guess() || !self.limit.is_finite()) {
            // There is nothing to exceed, so nothing has to be written down.
            self.cover = None;
        }
    }

    /// Lets what comes go evenly from now on, until the lane was idle.
    pub fn even_out(&mut self, now: Moment) {
        if !self.pace.is_on {
            self.pace = Pace {
                is_on: true,
                level: 0.0,
                at: ticks(now),
            };
        }
    }

    /// Believes that more is used than is known here: others use the limit too.
    ///
    /// What is ours counts from the grant, so it is never less than a provider has seen of us.
    /// The rest was used evenly, and is free again after `resets_in`.
    pub fn believe(&mut self, used: f64, resets_in: Option<Duration>, now: Moment) {
        let others = used - self.used;
        if !self.limit.is_finite() || others < (self.limit / 100.0).max(1.0) {
            return;
        }
        let whole = nanos(self.per);
        let horizon = resets_in.map_or(whole, |wait| nanos(wait).min(whole));
        let begin = ticks(now) - whole;
        for part in 1..=SPREAD {
            let slot = (begin + horizon / SPREAD * part) / self.slot_length();
            self.add_to(slot, others / SPREAD as f64);
        }
    }

    /// Believes that no more than this is used, because the provider has just said so.
    pub fn believe_at_most(&mut self, used: f64) {
        if self.used > used.max(0.0) {
            let factor = used.max(0.0) / self.used;
            for (_, amount) in &mut self.slots {
                *amount *= factor;
            }
            self.used *= factor;
        }
    }

    /// Whether what the ledger holds of it is known here.
    pub fn is_loaded(&self) -> bool {
        self.cover.as_ref().is_none_or(Cover::is_loaded)
    }

    /// Takes over what the ledger holds: (stretch, amount).
    pub fn load(&mut self, entries: &[(Timestamp, f64)], now: Now) {
        let Some(cover) = &mut self.cover else { return };
        for (ago, amount) in cover.load(entries, now.wall) {
            self.was_used(amount, ago, now.moment);
        }
    }

    /// How many times `amount` may be used now by what the ledger holds.
    pub fn covered(&mut self, amount: f64, wall: Timestamp) -> f64 {
        let cover = self.cover.as_mut();
        cover.map_or(f64::INFINITY, |cover| cover.room(amount, wall))
    }

    /// Whether the ledger should be asked for something.
    pub fn wants_ledger(&self, wall: Timestamp) -> bool {
        let cover = self.cover.as_ref();
        cover.is_some_and(|cover| cover.wants_ledger(self.unit, self.limit, wall))
    }

    /// What the ledger should hold: (stretch, amount), nothing of what is past; counts as asked
    /// for.
    pub fn ask_ledger(&mut self, wall: Timestamp, ask: impl FnMut(Timestamp, f64)) {
        if let Some(cover) = &mut self.cover {
            cover.ask_ledger(self.unit, self.limit, wall, ask);
        }
    }

    /// The ledger holds it.
    pub fn is_written(&mut self, stretch: Timestamp, amount: f64) {
        if let Some(cover) = &mut self.cover {
            cover.kept(stretch, amount);
        }
    }

    /// What was asked of the ledger and not answered was not written down, as far as is known.
    pub fn not_kept(&mut self) {
        if let Some(cover) = &mut self.cover {
            cover.not_kept();
        }
    }

    /// What is used, by the wall clock's time at which it was used at the latest.
    fn used_by_wall(&self, now: Now) -> impl Iterator<Item = (Timestamp, f64)> {
        let (length, moment) = (self.slot_length(), ticks(now.moment));
        self.slots.iter().map(move |&(slot, amount)| {
            let ago = Duration::from_nanos(moment.saturating_sub((slot + 1) * length));
            let ago = i64::try_from(ago.as_millis()).unwrap_or(0);
            (Timestamp::from_millis(now.wall.as_millis() - ago), amount)
        })
    }

    fn was_used(&mut self, amount: f64, ago: Duration, now: Moment) {
        let slot = ticks(now).saturating_sub(nanos(ago)) / self.slot_length();
        self.add_to(slot, amount);
    }

    /// Lets go of what is past.
    pub fn forget(&mut self, now: Moment) {
        let now = ticks(now);
        while let Some(&(slot, amount)) = self.slots.front()
            && self.leaves(slot) <= now
        {
            self.slots.pop_front();
            self.used = if self.slots.is_empty() {
                0.0
            } else {
                self.used - amount
            };
        }
    }

    /// How many times `amount` may be used now; what is larger than the whole window counts as
    /// the whole of it, since it could never be used otherwise.
    pub fn room(&mut self, amount: f64, now: Moment) -> f64 {
        let amount = amount.min(self.limit);
        if !self.limit.is_finite() || amount <= 0.0 {
            return f64::INFINITY;
        }
        if !self.is_guess() && amount - (self.limit - self.used) > EPSILON {
            self.slow_down(amount, now);
            return 0.0;
        }
        let by_log = if self.is_guess() {
            f64::INFINITY
        } else {
            ((self.limit - self.used + EPSILON) / amount)
                .floor()
                .max(1.0)
        };
        if !self.pace.is_on {
            return by_log;
        }
        let level = self.level(ticks(now));
        if self.is_idle(ticks(now)) && !self.is_guess() {
            self.pace.is_on = false;
            return by_log;
        }
        let need = amount.min(self.burst());
        if need - level > EPSILON {
            return 0.0;
        }
        by_log.min(((level - need) / amount).floor().max(0.0) + 1.0)
    }

    /// When `amount` may be used, if nothing comes back before; none when it may now.
    pub fn due(&self, amount: f64, now: Moment) -> Option<Moment> {
        let amount = amount.min(self.limit);
        if !self.limit.is_finite() || amount <= 0.0 {
            return None;
        }
        let by_log = if self.is_guess() {
            None
        } else {
            self.log_due(amount)
        };
        let by_pace = self.pace.is_on.then(|| self.pace_due(amount, ticks(now)));
        by_log.max(by_pace.flatten()).map(moment)
    }

    /// Uses so much of it.
    pub fn take(&mut self, amount: f64, now: Now) {
        if let Some(cover) = &mut self.cover {
            cover.take(amount, now.wall);
        }
        let now = now.moment;
        let slot = ticks(now) / self.slot_length();
        match self.slots.back_mut() {
            Some((last, used)) if *last >= slot => *used += amount,
            _ => self.slots.push_back((slot, amount)),
        }
        self.used += amount;
        if amount > self.limit {
            self.owe(amount, now);
        } else {
            self.change_level(-amount, now);
        }
    }

    /// Corrects what was taken at `at` by `change`, if that still counts.
    pub fn correct(&mut self, change: f64, at: Now, now: Moment) {
        if let Some(cover) = &mut self.cover {
            cover.correct(change, at.wall);
        }
        let slot = ticks(at.moment) / self.slot_length();
        if let Some((_, used)) = self.slots.iter_mut().rev().find(|(kept, _)| *kept <= slot) {
            let change = change.max(-*used);
            *used += change;
            self.used += change;
            self.change_level(-change, now);
        }
    }

    fn add_to(&mut self, slot: u64, amount: f64) {
        match self.slots.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(place) => self.slots[place].1 += amount,
            Err(place) => self.slots.insert(place, (slot, amount)),
        }
        self.used += amount;
    }

    fn slow_down(&mut self, amount: f64, now: Moment) {
        let now = ticks(now);
        let due = self.log_due(amount).unwrap_or(now).max(now);
        // While the log lets nothing go, no more gathers than nearly one call, which then goes
        // as soon as the log lets it; else all that came back would go at once.
        let nearly_one = NEARLY * amount.min(self.burst());
        let level = if self.pace.is_on {
            self.level(due)
        } else {
            nearly_one
        };
        self.pace.level = level.min(nearly_one);
        self.pace.is_on = true;
        self.pace.at = due;
    }

    /// Makes up by the pace for what is larger than the whole window, since the log forgets all of
    /// it after one length; the pace being faster than the limit, more of it.
    fn owe(&mut self, amount: f64, now: Moment) {
        if !self.pace.is_on {
            self.even_out(now);
            self.pace.level = self.burst();
        }
        self.change_level(-amount * self.haste(), now);
    }

    /// Whether nobody wanted what could go for a quarter of its length, half of it is free, and
    /// what the log has forgotten is made up for.
    fn is_idle(&self, now: u64) -> bool {
        let filled = (self.burst() / self.pace_rate()) as u64;
        let unwanted = now.saturating_sub(self.pace.at);
        unwanted >= filled + nanos(self.per) / 4
            && self.used < self.limit / 2.0
            && self.burst() - self.level(now) <= self.used + EPSILON
    }

    fn change_level(&mut self, change: f64, now: Moment) {
        if self.pace.is_on {
            let now = ticks(now);
            self.pace.level = (self.level(now) + change).min(self.burst());
            self.pace.at = self.pace.at.max(now);
        }
    }

    fn level(&self, now: u64) -> f64 {
        let gathered = self.pace_rate() * now.saturating_sub(self.pace.at) as f64;
        (self.pace.level + gathered).min(self.burst())
    }

    /// How much comes back each nanosecond.
    fn pace_rate(&self) -> f64 {
        self.limit * self.haste() / nanos(self.per) as f64
    }

    /// How much faster than the limit the pace is.
    fn haste(&self) -> f64 {
        if self.is_guess() { 1.0 } else { PACE }
    }

    /// The most that may go at once while it is paced; a call larger than that goes when it is
    /// all there, and is made up for afterwards.
    fn burst(&self) -> f64 {
        let least = if self.unit == Unit::Requests {
            1.0
        } else {
            0.0
        };
        let while_late = self.pace_rate() * LATENESS;
        ((self.limit * BURST).max(least) + while_late).min(self.limit)
    }

    fn pace_due(&self, amount: f64, now: u64) -> Option<u64> {
        let missing = amount.min(self.burst()) - self.level(now);
        if missing <= EPSILON {
            return None;
        }
        let wait = (missing / self.pace_rate()).ceil().max(1.0);
        Some(now.max(self.pace.at).saturating_add(wait as u64))
    }

    fn log_due(&self, amount: f64) -> Option<u64> {
        let mut missing = amount - (self.limit - self.used);
        for &(slot, used) in &self.slots {
            if missing <= EPSILON {
                break;
            }
            missing -= used;
            if missing <= EPSILON {
                return Some(self.leaves(slot));
            }
        }
        None
    }

    fn slot_length(&self) -> u64 {
        (nanos(self.per) / SLOTS).max(1)
    }

    fn leaves(&self, slot: u64) -> u64 {
        let length = self.slot_length();
        (slot + 1) * length + nanos(self.per) + length.max(LEAST_MARGIN)
    }
}

fn ticks(moment: Moment) -> u64 {
    BEFORE + nanos(moment.since_start())
}

fn moment(ticks: u64) -> Moment {
    Moment::from_start(Duration::from_nanos(ticks.saturating_sub(BEFORE)))
}

fn nanos(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos())
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
}

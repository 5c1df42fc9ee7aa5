//! The quota of a lane: what it grants now, when it grants more, what comes back.
//!
//! A window counts what was granted over its whole length in slots of 1/200 and remembers each
//! slot until all of it is past, so no window is ever exceeded wherever it is laid. Windows
//! count from the grant; one slot more than the length covers the way to the provider.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::{Moment, Unit};
use crate::logic::backoff::Backoff;

const SLOTS: u32 = 200;
/// The waits between probes of a lane that gives no sign of life and no hint.
const PROBES: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
/// The waits after a refusal for a limit that says nothing of its end.
const BOUNCES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// So many failed calls in a row close the lane.
const FAILURES: u32 = 3;

/// Whether work may use what is held back for urgent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Interactive and high.
    Urgent,
    /// All other.
    Bulk,
}

/// A limit over a time.
#[derive(Clone, Debug)]
pub struct Window {
    unit: Unit,
    limit: f64,
    per: Duration,
    slots: VecDeque<(u64, f64)>,
    used: f64,
}

impl Window {
    /// A window in which nothing is used.
    pub fn new(unit: Unit, limit: f64, per: Duration) -> Self {
        Self {
            unit,
            limit,
            per,
            slots: VecDeque::new(),
            used: 0.0,
        }
    }

    /// What it counts.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The most of it.
    pub const fn limit(&self) -> f64 {
        self.limit
    }

    /// Its length.
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// What of it is used, as of the last grant or look.
    pub const fn used(&self) -> f64 {
        self.used
    }

    /// When all of it is free again if nothing more is used; none when it is.
    pub fn free_at(&self) -> Option<Moment> {
        self.slots.back().map(|&(slot, _)| self.leaves(slot))
    }

    fn slot_of(&self, at: Moment) -> u64 {
        let length = self.per.as_nanos() / u128::from(SLOTS);
        u64::try_from(at.since_start().as_nanos() / length.max(1)).unwrap_or(u64::MAX)
    }

    fn leaves(&self, slot: u64) -> Moment {
        let length = self.per / SLOTS;
        let slots = u32::try_from(slot % u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Moment::from_start(length.saturating_mul(slots) + self.per + length)
    }

    fn forget(&mut self, now: Moment) {
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
    fn room(&self, amount: f64) -> f64 {
        let amount = amount.min(self.limit);
        if amount <= 0.0 {
            return f64::INFINITY;
        }
        ((self.limit - self.used + 1e-9) / amount).floor().max(0.0)
    }

    /// When `amount` may be used, if nothing comes back before.
    fn due(&self, amount: f64) -> Option<Moment> {
        let mut missing = amount.min(self.limit) - (self.limit - self.used);
        for &(slot, used) in &self.slots {
            if missing <= 1e-9 {
                break;
            }
            missing -= used;
            if missing <= 1e-9 {
                return Some(self.leaves(slot));
            }
        }
        None
    }

    fn take(&mut self, amount: f64, now: Moment) {
        let slot = self.slot_of(now);
        match self.slots.back_mut() {
            Some((last, used)) if *last >= slot => *used += amount,
            _ => self.slots.push_back((slot, amount)),
        }
        self.used += amount;
    }

    /// Corrects what was taken at `at` by `amount`, if that still counts.
    fn correct(&mut self, amount: f64, at: Moment) {
        let slot = self.slot_of(at);
        if let Some((_, used)) = self.slots.iter_mut().rev().find(|(kept, _)| *kept <= slot) {
            let change = amount.max(-*used);
            *used += change;
            self.used += change;
        }
    }
}

/// Why a lane grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// It bounced a call because of a limit.
    Bounced,
    /// It failed.
    Failed,
    /// A person has to mend credential or credit.
    Person,
    /// The money set for this time is spent.
    Budget,
    /// A person paused it.
    Paused,
}

impl Parked {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bounced => "refused by its limit",
            Self::Failed => "failing",
            Self::Person => "credential or credit refused",
            Self::Budget => "its budget is spent",
            Self::Paused => "paused",
        }
    }
}

/// What a settled call says of its lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// Never made: all of it comes back.
    Unused,
    /// Made, with so many tokens where known; says nothing about the lane.
    Spent(Option<u64>),
    /// Answered, with so many tokens where known.
    Answered(Option<u64>),
    /// Refused for a limit that ends after so long, where known.
    Bounced(Option<Duration>),
    /// Failed; the lane asks to wait so long, where it does.
    Failed(Option<Duration>),
    /// A person has to mend something.
    Person,
}

/// What a lane has to say after a call was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing new.
    Same,
    /// It closed.
    Closed(Parked),
    /// It opened again.
    Opened,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    at: Moment,
    tokens: u64,
}

/// The quota of one lane.
#[derive(Clone, Debug)]
pub struct Quota {
    windows: Vec<Window>,
    concurrency: Option<usize>,
    outstanding: HashMap<u64, Outstanding>,
    parked: Option<(Parked, Option<Moment>)>,
    /// Why it closed, until a call was answered again.
    closed: Option<Parked>,
    /// Whether only one call may go, to find out how the lane does.
    is_probing: bool,
    failures: u32,
    bounces: u32,
}

impl Quota {
    /// The quota of a lane with these limits.
    pub fn new(windows: Vec<Window>, concurrency: Option<usize>) -> Self {
        Self {
            windows,
            concurrency,
            outstanding: HashMap::new(),
            parked: None,
            closed: None,
            is_probing: false,
            failures: 0,
            bounces: 0,
        }
    }

    /// Its windows.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The most calls in flight, where there is a limit.
    pub const fn concurrency(&self) -> Option<usize> {
        self.concurrency
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.outstanding.len()
    }

    /// Why it grants nothing, and until when; no end means until a person acts.
    pub const fn parked(&self) -> Option<(Parked, Option<Moment>)> {
        self.parked
    }

    /// Why it is closed, also while a probe is under way; none when it is open.
    pub const fn closed(&self) -> Option<Parked> {
        match self.parked {
            Some((why, _)) => Some(why),
            None => self.closed,
        }
    }

    /// Counts every window as used up, because what was used is not known; calls in flight
    /// stay so until they are settled or written off.
    pub fn assume_used(&mut self, now: Moment) {
        for window in &mut self.windows {
            *window = Window::new(window.unit, window.limit, window.per);
            window.take(window.limit, now);
        }
    }

    /// Writes off calls that began longer ago than any call can take.
    pub fn write_off(&mut self, patience: Duration, now: Moment) {
        self.outstanding
            .retain(|_, call| now.since(call.at) <= patience);
    }

    /// When the call began that has been in flight the longest.
    pub fn oldest(&self) -> Option<Moment> {
        self.outstanding.values().map(|call| call.at).min()
    }

    /// Grants nothing until then, because the money for the time until then is spent.
    pub fn spend_no_more(&mut self, until: Moment) -> Turn {
        self.park(Parked::Budget, Some(until))
    }

    /// How many calls of so many tokens may begin now, at most `calls`.
    pub fn room(&mut self, calls: usize, tokens: u64, urgency: Urgency, now: Moment) -> usize {
        if let Some((_, until)) = self.parked {
            match until {
                Some(until) if until <= now => {
                    self.parked = None;
                    self.is_probing = true;
                }
                _ => return 0,
            }
        }
        let mut room = calls;
        if self.is_probing {
            room = room.min(1_usize.saturating_sub(self.outstanding.len()));
        }
        if let Some(concurrency) = self.concurrency {
            let open = concurrency.saturating_sub(held_back(concurrency, urgency));
            room = room.min(open.saturating_sub(self.outstanding.len()));
        }
        for window in &mut self.windows {
            window.forget(now);
            let each = match window.unit {
                Unit::Requests => 1.0,
                Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => tokens as f64,
                Unit::Dollars => 0.0,
            };
            let fit = window.room(each);
            if fit < room as f64 {
                room = fit as usize;
            }
        }
        room
    }

    /// Takes one call of so many tokens; only after [`Quota::room`] said so.
    pub fn grant(&mut self, serial: u64, tokens: u64, now: Moment) {
        for window in &mut self.windows {
            let amount = match window.unit {
                Unit::Requests => 1.0,
                Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => tokens as f64,
                Unit::Dollars => 0.0,
            };
            window.take(amount, now);
        }
        self.outstanding
            .insert(serial, Outstanding { at: now, tokens });
    }

    /// When a call of so many tokens may begin, as far as time alone decides it.
    pub fn due(&self, tokens: u64) -> Option<Moment> {
        if let Some((_, until)) = self.parked {
            return until;
        }
        self.windows
            .iter()
            .filter_map(|window| match window.unit {
                Unit::Requests => window.due(1.0),
                Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => window.due(tokens as f64),
                Unit::Dollars => None,
            })
            .max()
    }

    /// Ends a call that was granted, and says what became of the lane by it.
    pub fn settle(&mut self, serial: u64, word: Word, now: Moment) -> Turn {
        let Some(call) = self.outstanding.remove(&serial) else {
            return Turn::Same;
        };
        match word {
            Word::Unused => self.give_back(call, 1.0, call.tokens as f64),
            Word::Spent(tokens) | Word::Answered(tokens) => {
                let used = tokens.unwrap_or(call.tokens);
                self.give_back(call, 0.0, call.tokens as f64 - used as f64);
            }
            Word::Bounced(_) | Word::Failed(_) | Word::Person => (),
        }
        match word {
            Word::Unused | Word::Spent(_) => Turn::Same,
            Word::Answered(_) => {
                (self.failures, self.bounces) = (0, 0);
                self.closed = None;
                if std::mem::take(&mut self.is_probing) {
                    Turn::Opened
                } else {
                    Turn::Same
                }
            }
            Word::Bounced(wait) => {
                // Calls that were under way when the first one bounced say nothing new.
                if self.parked.is_none() {
                    self.bounces += 1;
                }
                let wait = wait.unwrap_or_else(|| BOUNCES.after(self.bounces));
                self.park(Parked::Bounced, Some(now.plus(wait)))
            }
            Word::Failed(wait) => {
                self.failures += 1;
                if self.failures < FAILURES && !self.is_probing {
                    return Turn::Same;
                }
                let wait = wait.unwrap_or_else(|| PROBES.after(self.failures.div_ceil(FAILURES)));
                self.park(Parked::Failed, Some(now.plus(wait)))
            }
            Word::Person => self.park(Parked::Person, None),
        }
    }

    /// Grants nothing until [`Quota::resume`].
    pub fn pause(&mut self) {
        self.parked = Some((Parked::Paused, None));
    }

    /// Grants again, whatever parked it; one call goes first.
    pub fn resume(&mut self) {
        self.closed = None;
        if let Some((why, _)) = self.parked.take() {
            self.is_probing = why != Parked::Paused;
        }
    }

    fn give_back(&mut self, call: Outstanding, requests: f64, tokens: f64) {
        for window in &mut self.windows {
            let amount = match window.unit {
                Unit::Requests => requests,
                Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => tokens,
                Unit::Dollars => 0.0,
            };
            window.correct(-amount, call.at);
        }
    }

    fn park(&mut self, why: Parked, until: Option<Moment>) -> Turn {
        let was_open = self.parked.is_none() && !self.is_probing;
        self.is_probing = false;
        match self.parked {
            // A person's order, and a wait that ends later, stand.
            Some((_, None)) => return Turn::Same,
            Some((_, old)) if until.is_some() && old >= until => return Turn::Same,
            _ => self.parked = Some((why, until)),
        }
        self.closed = Some(why);
        if was_open || until.is_none() {
            Turn::Closed(why)
        } else {
            Turn::Same
        }
    }
}

/// How many of so many slots are held back from work that is not urgent: one in ten, at least
/// one, of two or more.
pub fn held_back(slots: usize, urgency: Urgency) -> usize {
    match urgency {
        Urgency::Bulk if slots >= 2 => (slots / 10).max(1),
        Urgency::Bulk | Urgency::Urgent => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    fn requests(limit: f64, millis: u64) -> Quota {
        let window = Window::new(Unit::Requests, limit, Duration::from_millis(millis));
        Quota::new(vec![window], None)
    }

    proptest! {
        #[test]
        fn no_window_is_exceeded_and_most_of_it_is_used(
            limit in 5_u32..60, gaps in prop::collection::vec(0_u64..40, 400),
        ) {
            let mut quota = requests(f64::from(limit), 1_000);
            let mut granted: Vec<u64> = Vec::new();
            let (mut now, mut serial) = (0, 0);
            for gap in gaps {
                now += gap;
                for _ in 0..quota.room(7, 0, Urgency::Bulk, at(now)) {
                    serial += 1;
                    quota.grant(serial, 0, at(now));
                    granted.push(now);
                }
            }
            for (index, &start) in granted.iter().enumerate() {
                let inside = granted[index..].iter().take_while(|&&t| t < start + 1_000).count();
                prop_assert!(inside <= limit as usize);
            }
            let whole = now / 1_100;
            prop_assert!(granted.len() as u64 >= whole.saturating_sub(1) * u64::from(limit) / 2);
        }

        #[test]
        fn what_is_given_back_leaves_no_trace(tokens in prop::collection::vec(1_u64..400, 1..50)) {
            let window = Window::new(Unit::Tokens, 1_000.0, Duration::from_secs(60));
            let mut quota = Quota::new(vec![window], Some(8));
            for (serial, tokens) in tokens.into_iter().enumerate() {
                let serial = serial as u64;
                prop_assert_eq!(quota.room(1, tokens, Urgency::Urgent, at(serial)), 1);
                quota.grant(serial, tokens, at(serial));
                quota.settle(serial, Word::Unused, at(serial));
            }
            prop_assert_eq!(quota.in_flight(), 0);
            prop_assert!(quota.windows()[0].used().abs() < 1e-6);
        }
    }

    #[test]
    fn a_wait_names_the_moment_at_which_there_is_room() {
        let mut quota = requests(2.0, 1_000);
        for serial in 0..2 {
            assert_eq!(quota.room(1, 0, Urgency::Bulk, at(serial * 100)), 1);
            quota.grant(serial, 0, at(serial * 100));
        }
        assert_eq!(quota.room(1, 0, Urgency::Bulk, at(500)), 0);
        let due = quota.due(0).expect("a wait");
        assert_eq!(due, at(1_005));
        assert_eq!(quota.room(1, 0, Urgency::Bulk, due), 1);
    }

    #[test]
    fn after_a_bounce_one_call_goes_first() {
        let mut quota = Quota::new(Vec::new(), None);
        for serial in 0..3 {
            quota.grant(serial, 0, at(0));
        }
        let wait = Some(Duration::from_secs(2));
        assert_eq!(
            quota.settle(0, Word::Bounced(wait), at(10)),
            Turn::Closed(Parked::Bounced)
        );
        assert_eq!(quota.settle(1, Word::Bounced(wait), at(10)), Turn::Same);
        assert_eq!(quota.settle(2, Word::Bounced(wait), at(10)), Turn::Same);
        assert_eq!(quota.room(100, 0, Urgency::Urgent, at(2_009)), 0);
        assert_eq!(quota.room(100, 0, Urgency::Urgent, at(2_010)), 1);
        quota.grant(9, 0, at(2_010));
        assert_eq!(quota.room(100, 0, Urgency::Urgent, at(2_011)), 0);
        assert_eq!(
            quota.settle(9, Word::Answered(None), at(2_020)),
            Turn::Opened
        );
        assert_eq!(quota.room(100, 0, Urgency::Urgent, at(2_021)), 100);
    }

    #[test]
    fn slots_are_held_back_for_urgent_work() {
        let mut quota = Quota::new(Vec::new(), Some(20));
        assert_eq!(quota.room(100, 0, Urgency::Bulk, at(0)), 18);
        assert_eq!(quota.room(100, 0, Urgency::Urgent, at(0)), 20);
        assert_eq!(held_back(1, Urgency::Bulk), 0);
        assert_eq!(held_back(2, Urgency::Bulk), 1);
    }

    #[test]
    fn a_lane_that_fails_is_probed_each_second_at_most() {
        let mut quota = Quota::new(Vec::new(), None);
        let mut now = 0;
        let mut turns = Vec::new();
        for serial in 0..10 {
            while quota.room(5, 0, Urgency::Bulk, at(now)) == 0 {
                now += 10;
            }
            quota.grant(serial, 0, at(now));
            turns.push(quota.settle(serial, Word::Failed(None), at(now)));
        }
        let closings = turns.iter().filter(|turn| **turn != Turn::Same).count();
        assert_eq!(closings, 1, "one word about it, not ten");
        assert!((1_500..8_000).contains(&now), "{now}");
    }
}

//! The quota of a lane: what it grants now, when it grants more, what comes back.

mod account;
mod binding;
mod calendar;
mod cover;
mod learning;
mod memory;
mod trial;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

pub use account::{Account, Long};
pub use binding::{AT_ONCE, Binding, CALLS};
pub use calendar::Span;
pub use learning::Learned;
pub use window::Window;

use memory::Memory;
use trial::Trial;

use crate::domain::{DayReset, Moment, Timestamp, Tokens, Unit};
use crate::logic::breaker::Breaker;
pub use crate::logic::breaker::{Parked, Turn};

const MINUTE: Duration = Duration::from_secs(60);

/// Whether work may use what is held back for urgent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Interactive and high.
    Urgent,
    /// All other.
    Bulk,
}

/// What a settled call says of its lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// Never made: all of it comes back.
    Unused,
    /// Made, with so many tokens where known; says nothing about the lane.
    Spent(Option<Tokens>),
    /// Answered, with so many tokens and for so many US dollars, where known.
    Answered(Option<Tokens>, Option<f64>),
    /// Refused for a limit that ends after so long, where known.
    Bounced(Option<Duration>),
    /// Refused for a long quota that comes back after so long, where known.
    Exhausted(Option<Duration>),
    /// Failed, for nothing; the lane asks to wait so long, where it does.
    Failed(Option<Duration>),
    /// Never arrived, for want of a connection: all of it comes back, and the lane fails.
    Unreachable,
    /// Sent, and nothing came back that says what became of it; it may have to be paid.
    Unanswered,
    /// A person has to mend something.
    Person,
}

/// Both clocks at one time: the monotonic one for waits, the wall for days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time.
    pub moment: Moment,
    /// Wall time.
    pub wall: Timestamp,
}

/// What a call is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Need {
    /// Its tokens.
    pub tokens: Tokens,
    /// The most that it is expected to cost, in US dollars.
    pub usd: f64,
}

impl From<Tokens> for Need {
    /// A call that costs nothing.
    fn from(tokens: Tokens) -> Self {
        Self { tokens, usd: 0.0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    at: Now,
    charge: Charge,
}

/// What a call counts as.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    requests: f64,
    tokens: Tokens,
    dollars: f64,
}

impl From<Need> for Charge {
    fn from(need: Need) -> Self {
        Self {
            requests: 1.0,
            tokens: need.tokens,
            dollars: need.usd,
        }
    }
}

impl Charge {
    fn of(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.tokens.total() as f64,
            Unit::InputTokens => self.tokens.input as f64,
            Unit::OutputTokens => self.tokens.output as f64,
            Unit::Dollars => self.dollars,
        }
    }
}

/// The quota of one lane.
#[derive(Clone, Debug)]
pub struct Quota {
    windows: Vec<Window>,
    accounts: Vec<Account>,
    concurrency: Option<usize>,
    /// When a learned quota of a day is there again.
    day: DayReset,
    outstanding: HashMap<u64, Outstanding, BuildHasherDefault<SerialHasher>>,
    breaker: Breaker,
    trial: Option<Trial>,
    /// Since when the lane is busy without a minute's pause, and what passed since.
    run: (Moment, f64),
    bounced_at: Option<Moment>,
    /// Whether a call was answered that began after that.
    has_passed: bool,
    doubted_at: Moment,
    memory: Memory,
}

impl Quota {
    /// The quota of a lane with these limits; where no window counts requests or tokens by the
    /// minute, they are counted without a limit, so that one that is learned knows what passed.
    pub fn new(windows: Vec<Window>, accounts: Vec<Account>, concurrency: Option<usize>) -> Self {
        let mut quota = Self {
            windows,
            accounts,
            concurrency,
            day: DayReset::Rolling,
            outstanding: HashMap::default(),
            breaker: Breaker::default(),
            trial: None,
            run: (Moment::default(), 0.0),
            bounced_at: None,
            has_passed: false,
            doubted_at: Moment::default(),
            memory: Memory::default(),
        };
        for unit in [Unit::Requests, Unit::Tokens] {
            if quota.window(unit, MINUTE).is_none() {
                quota.windows.push(Window::unknown(unit, MINUTE));
            }
        }
        quota
    }

    /// The same quota, in a lane whose day is over then.
    pub fn with_day(mut self, day: DayReset) -> Self {
        self.day = day;
        self
    }

    /// Goes on from the quota of the same lane under other settings: what was used still counts,
    /// what was learned is still believed, and a wait goes on. What was used of long quotas that
    /// the settings limit comes from the ledger.
    pub fn follow(&mut self, earlier: Self, now: Now) {
        for window in earlier.windows {
            let (unit, per) = (window.unit(), window.per());
            match self.window(unit, per) {
                Some(own) => own.follow(window, now),
                None => {
                    let mut learned = Window::unknown(unit, per);
                    learned.follow(window, now);
                    self.windows
                        .extend(learned.limit().is_some().then_some(learned));
                }
            }
        }
        for account in earlier.accounts {
            let mut own = self.accounts.iter_mut();
            match own.find(|own| own.unit() == account.unit()) {
                Some(own) => own.follow(account),
                None => self.accounts.extend(account.without_settings(self.day)),
            }
        }
        self.breaker.follow(earlier.breaker);
        self.trial = earlier.trial;
        self.run = earlier.run;
        self.bounced_at = earlier.bounced_at;
        self.has_passed = earlier.has_passed;
        self.doubted_at = earlier.doubted_at;
        self.memory = earlier.memory;
        self.memory.not_kept();
    }

    /// Its windows; those whose limit is not known have none.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Its windows, to be brought into step with the ledger.
    pub fn windows_mut(&mut self) -> &mut [Window] {
        &mut self.windows
    }

    /// Whether the ledger should be asked for something.
    pub fn wants_ledger(&self, wall: Timestamp) -> bool {
        let wants = |window: &Window| window.wants_ledger(wall);
        self.windows.iter().any(wants)
            || self.accounts.iter().any(Account::wants_ledger)
            || self.memory.wants_ledger(wall)
    }

    /// Whether what the ledger holds of it is known here.
    pub fn is_loaded(&self) -> bool {
        self.windows.iter().all(Window::is_loaded)
            && self.accounts.iter().all(Account::is_loaded)
            && !self.memory.is_to_come()
    }

    /// What was asked of the ledger and not answered was not written down, as far as is known.
    pub fn not_kept(&mut self) {
        self.windows.iter_mut().for_each(Window::not_kept);
        self.accounts.iter_mut().for_each(Account::not_kept);
        self.memory.not_kept();
    }

    /// Its long quotas.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Its long quotas, to be brought into step with the ledger.
    pub fn accounts_mut(&mut self) -> &mut [Account] {
        &mut self.accounts
    }

    /// Brings all sums up to date, for whoever looks at them.
    pub fn look(&mut self, now: Now) {
        for window in &mut self.windows {
            window.forget(now.moment);
        }
        for account in &mut self.accounts {
            account.look(now.wall);
        }
    }

    /// What was spent today in UTC, in US dollars, as of the last look.
    pub fn usd_today(&self) -> f64 {
        let money = self.accounts.iter().find(|it| it.unit() == Unit::Dollars);
        money.map_or(0.0, |money| {
            money.used_in(|span| span == Span::Day(DayReset::Utc))
        })
    }

    /// The most calls in flight, where there is a limit.
    pub const fn concurrency(&self) -> Option<usize> {
        self.concurrency
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.outstanding.len()
    }

    /// Why it grants nothing, and until when; no end means until it is resumed.
    pub const fn parked(&self) -> Option<(Parked, Option<Moment>)> {
        self.breaker.parked()
    }

    /// Why it is closed, also while a probe is under way; none when it is open.
    pub fn closed(&self) -> Option<Parked> {
        let is_spent = |long: &Long| long.limit().is_some_and(|limit| long.used() >= limit);
        let is_over = |account: &Account| {
            account.unit() == Unit::Dollars && account.limits().iter().any(is_spent)
        };
        let is_broke = || self.accounts.iter().any(is_over);
        let closed = self.breaker.closed();
        closed.or_else(|| is_broke().then_some(Parked::Budget))
    }

    /// Writes off calls that began longer ago than any call can take; they count as made.
    pub fn write_off(&mut self, patience: Duration, now: Moment) {
        let breaker = &mut self.breaker;
        self.outstanding.retain(|serial, call| {
            let is_under_way = now.since(call.at.moment) <= patience;
            if !is_under_way {
                breaker.over(*serial);
            }
            is_under_way
        });
    }

    /// When the call began that has been in flight the longest.
    pub fn oldest(&self) -> Option<Moment> {
        self.outstanding.values().map(|call| call.at.moment).min()
    }

    /// How many calls of that need may begin now, at most `calls`.
    pub fn room(
        &mut self,
        calls: usize,
        need: impl Into<Need>,
        urgency: Urgency,
        now: Now,
    ) -> usize {
        if self.memory.is_to_come() {
            return 0;
        }
        let mut room = calls.min(self.breaker.most(now.moment));
        if let Some(concurrency) = self.concurrency {
            let open = concurrency.saturating_sub(held_back(concurrency, urgency));
            room = room.min(open.saturating_sub(self.outstanding.len()));
        }
        if room == 0 {
            return 0;
        }
        self.try_higher(now.moment);
        let charge = Charge::from(need.into());
        let mut is_held_back = false;
        for window in &mut self.windows {
            window.forget(now.moment);
            let fit = window.room(charge.of(window.unit()), now.moment);
            is_held_back |= fit < 1.0 && window.is_guess();
            room = whole(fit, room);
        }
        for window in &mut self.windows {
            if room > 0 {
                let covered = window.covered(charge.of(window.unit()), now.wall);
                room = whole(covered, room);
            }
        }
        for account in &mut self.accounts {
            room = whole(account.room(charge.of(account.unit()), now.wall), room);
        }
        if is_held_back && let Some(trial) = &mut self.trial {
            trial.held_back(now.moment);
        }
        room
    }

    /// Takes one call of that need; only after [`Quota::room`] said so.
    pub fn grant(&mut self, serial: u64, need: impl Into<Need>, now: Now) {
        let charge = Charge::from(need.into());
        if self.windows.iter().all(|window| window.used() <= 0.0) {
            self.run = (now.moment, 0.0);
        }
        self.outstanding
            .insert(serial, Outstanding { at: now, charge });
        self.breaker.begin(serial);
        for window in &mut self.windows {
            window.take(charge.of(window.unit()), now);
        }
        for account in &mut self.accounts {
            account.take(charge.of(account.unit()), now.wall);
        }
    }

    /// When a call of that need may begin, as far as time alone decides it; none where it decides
    /// nothing any more, and an end of a call is waited for, or the ledger.
    pub fn due(&self, need: impl Into<Need>, now: Now) -> Option<Moment> {
        let due = match self.breaker.parked() {
            Some((_, until)) => until,
            None => self.opens(need, now),
        };
        due.filter(|due| *due > now.moment)
    }

    /// When every limit lets a call of that need go; of one that was not looked at since, it may
    /// be past.
    fn opens(&self, need: impl Into<Need>, now: Now) -> Option<Moment> {
        let charge = Charge::from(need.into());
        let windows = self.windows.iter();
        let windows = windows.filter_map(|it| it.due(charge.of(it.unit()), now.moment));
        let accounts = self.accounts.iter();
        let accounts = accounts.filter_map(|it| it.due(charge.of(it.unit())));
        let accounts = accounts.map(|due| now.moment.plus(due.since(now.wall)));
        windows.chain(accounts).max()
    }

    /// Ends a call that was granted, and says what became of the lane by it.
    pub fn settle(&mut self, serial: u64, word: Word, now: Now) -> Turn {
        let Some(call) = self.outstanding.remove(&serial) else {
            return Turn::Same;
        };
        self.correct(&call, word, now);
        let (began, moment) = (call.at.moment, now.moment);
        match word {
            Word::Unused | Word::Spent(_) => {
                self.breaker.over(serial);
                Turn::Same
            }
            Word::Answered(..) => {
                self.run.1 += 1.0;
                self.has_passed |= self.bounced_at.is_none_or(|at| began > at);
                if let Some(trial) = &mut self.trial {
                    trial.passed();
                }
                self.breaker.answered(serial)
            }
            Word::Bounced(wait) => {
                let is_old = self.breaker.is_old(began, serial);
                if !is_old {
                    self.bounced(wait, now);
                }
                let turn = self.breaker.bounced(serial, began, wait, moment);
                if let Some(trial) = self.trial.filter(|_| wait.is_none() && !is_old) {
                    self.breaker.not_before(moment.plus(trial.comes_back()));
                }
                turn
            }
            Word::Exhausted(wait) => self.breaker.exhausted(wait, moment),
            Word::Failed(wait) => self.breaker.failed(serial, began, wait, moment),
            Word::Unreachable | Word::Unanswered => {
                self.breaker.failed(serial, began, None, moment)
            }
            Word::Person => self.breaker.person(moment),
        }
    }

    /// Uses so much money for what is no call of this moment, if there is so much.
    pub fn reserve(&mut self, usd: f64, now: Now) -> bool {
        let mut money = self.money_mut();
        money.all(|it| it.reserve(usd, now.wall))
    }

    /// Corrects what was spent at `at` by `usd`, if that still counts.
    pub fn amend(&mut self, usd: f64, at: Timestamp, now: Now) {
        self.money_mut()
            .for_each(|it| it.correct(usd, at, now.wall));
    }

    fn money_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        let accounts = self.accounts.iter_mut();
        accounts.filter(|account| account.unit() == Unit::Dollars)
    }

    /// Grants nothing until [`Quota::resume`].
    pub fn pause(&mut self) {
        self.breaker.pause();
    }

    /// Grants again, whatever parked it; one call goes first.
    pub fn resume(&mut self) {
        self.breaker.resume();
    }

    fn window(&mut self, unit: Unit, per: Duration) -> Option<&mut Window> {
        let mut windows = self.windows.iter_mut();
        windows.find(|window| window.unit() == unit && window.per() == per)
    }

    /// Counts what a call really was instead of what was reserved for it.
    fn correct(&mut self, call: &Outstanding, word: Word, now: Now) {
        let reserved = call.charge;
        let real = match word {
            Word::Unused | Word::Unreachable => Charge::default(),
            Word::Spent(tokens) => Charge {
                tokens: tokens.unwrap_or(reserved.tokens),
                ..reserved
            },
            Word::Answered(tokens, dollars) => Charge {
                tokens: tokens.unwrap_or(reserved.tokens),
                dollars: dollars.unwrap_or(reserved.dollars),
                ..reserved
            },
            // What was sent may be billed, whatever came of it here.
            Word::Unanswered => reserved,
            // Refused and failed calls count where calls are counted, and cost nothing.
            Word::Bounced(_) | Word::Exhausted(_) | Word::Failed(_) | Word::Person => Charge {
                dollars: 0.0,
                ..reserved
            },
        };
        let real_of_days = match word {
            // Limits of a minute may count what such calls asked for, as OpenAI's do. No day is
            // known to, and hours of errors would use it up with tokens that nobody processed.
            Word::Bounced(_) | Word::Exhausted(_) | Word::Failed(_) | Word::Person => Charge {
                tokens: Tokens::default(),
                ..real
            },
            _ => real,
        };
        for window in &mut self.windows {
            let change = real.of(window.unit()) - reserved.of(window.unit());
            if change != 0.0 {
                window.correct(change, call.at, now.moment);
            }
        }
        for account in &mut self.accounts {
            let change = real_of_days.of(account.unit()) - reserved.of(account.unit());
            if change != 0.0 {
                account.correct(change, call.at.wall, now.wall);
            }
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

/// The name of a window's length.
pub fn per_name(per: Duration) -> &'static str {
    match per.as_secs() {
        0 | 1 => "second",
        60 => "minute",
        300 => "5 minutes",
        900 => "15 minutes",
        1_800 => "30 minutes",
        3_600 => "hour",
        10_800 => "3 hours",
        86_400 => "day",
        _ => "window",
    }
}

/// The whole calls that fit, at most `most`.
fn whole(fit: f64, most: usize) -> usize {
    if fit < most as f64 {
        fit as usize
    } else {
        most
    }
}

/// Spreads numbers that follow each other, which is all that the serials of calls need.
#[derive(Clone, Copy, Debug, Default)]
struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

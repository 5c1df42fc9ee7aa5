//! The circuit breaker of a lane: when it closes, for how long, and the one call that tries it first.

use std::time::Duration;

use crate::domain::Moment;
use crate::logic::backoff::Backoff;

/// The waits between probes of a lane that gives no sign of life and no hint.
const PROBES: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
/// The waits after a refusal for a limit that says nothing of its end.
const BOUNCES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// So many failed calls in a row close the lane.
const FAILURES: u32 = 3;
/// The longest hint that is believed after a refusal for a short limit.
const MOST_BOUNCED: Duration = Duration::from_secs(86_400);
/// How long a used up quota is left alone where nothing says when it comes back.
const EXHAUSTED: Duration = Duration::from_secs(3_600);
/// The shortest and the longest that a used up quota is left alone.
const LEAST_EXHAUSTED: Duration = Duration::from_secs(1);
const MOST_EXHAUSTED: Duration = Duration::from_secs(31 * 86_400);
/// How long what a person has to mend is left alone, unless a person says so.
const PERSON: Duration = Duration::from_secs(3_600);
/// The longest hint that is believed after a failure.
const MOST_FAILED: Duration = Duration::from_secs(300);

/// Why a lane grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// It bounced a call because of a limit.
    Bounced,
    /// The quota of a day or a month is used up there.
    Exhausted,
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
            Self::Exhausted => "its quota is used up",
            Self::Failed => "failing",
            Self::Person => "credential or credit refused",
            Self::Budget => "its budget is spent",
            Self::Paused => "paused",
        }
    }
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

/// Who tries a lane that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Nobody: it is open, or its wait is not over.
    None,
    /// The next call.
    Wanted,
    /// This call, which is under way.
    Sent(u64),
}

/// The breaker of one lane.
#[derive(Clone, Debug)]
pub struct Breaker {
    parked: Option<(Parked, Option<Moment>)>,
    /// Why it closed, until a probe was answered.
    closed: Option<Parked>,
    /// When it closed last; what began before says nothing new.
    since: Option<Moment>,
    probe: Probe,
    failures: u32,
    bounces: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            parked: None,
            closed: None,
            since: None,
            probe: Probe::None,
            failures: 0,
            bounces: 0,
        }
    }
}

impl Breaker {
    /// Goes on from the breaker of the same lane under other settings: who asked for rest has it.
    ///
    /// The end of a probe that is under way is not heard here, so another follows. What waits for a
    /// person is tried at once, because other settings are how a person mends it.
    pub fn follow(&mut self, earlier: Self) {
        *self = earlier;
        if matches!(self.probe, Probe::Sent(_)) {
            self.probe = Probe::Wanted;
        }
        if matches!(self.parked, Some((Parked::Person, _))) {
            self.resume();
        }
    }

    /// Why it grants nothing, and until when; no end means until it is resumed.
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

    /// How many calls may begin now, as far as the breaker decides it.
    pub fn most(&mut self, now: Moment) -> usize {
        if let Some((_, until)) = self.parked {
            if until.is_none_or(|until| until > now) {
                return 0;
            }
            self.parked = None;
            self.probe = Probe::Wanted;
        }
        match self.probe {
            Probe::None => usize::MAX,
            Probe::Wanted => 1,
            Probe::Sent(_) => 0,
        }
    }

    /// Notes that a call begins.
    pub fn begin(&mut self, serial: u64) {
        if self.probe == Probe::Wanted {
            self.probe = Probe::Sent(serial);
        }
    }

    /// Whether a call that began then tells nothing that is not known already.
    pub fn is_old(&self, began: Moment, serial: u64) -> bool {
        self.probe != Probe::Sent(serial) && self.since.is_some_and(|since| began <= since)
    }

    /// A call was answered.
    pub fn answered(&mut self, serial: u64) -> Turn {
        match self.probe {
            Probe::Sent(probe) if probe == serial => {
                self.probe = Probe::None;
                self.closed = None;
                (self.failures, self.bounces) = (0, 0);
                Turn::Opened
            }
            Probe::None if self.parked.is_none() => {
                (self.failures, self.bounces) = (0, 0);
                Turn::Same
            }
            // Calls from before it closed say nothing of how the lane does now.
            _ => Turn::Same,
        }
    }

    /// A call ended without a word about the lane; a lost probe is followed by another.
    pub fn over(&mut self, serial: u64) {
        if self.probe == Probe::Sent(serial) {
            self.probe = Probe::Wanted;
        }
    }

    /// A call was refused for a limit that ends after so long, where that is known.
    pub fn bounced(
        &mut self,
        serial: u64,
        began: Moment,
        wait: Option<Duration>,
        now: Moment,
    ) -> Turn {
        let is_old = self.is_old(began, serial);
        self.bounces += u32::from(!is_old);
        let wait = match wait {
            // A hint is believed once; one that did not help is no shorter than the backoff.
            Some(wait) if self.bounces > 1 => {
                wait.min(MOST_BOUNCED).max(BOUNCES.after(self.bounces - 1))
            }
            Some(wait) => wait.min(MOST_BOUNCED),
            None if is_old => return Turn::Same,
            None => BOUNCES.after(self.bounces),
        };
        self.park(Parked::Bounced, Some(now.plus(wait)), now)
    }

    /// Grants nothing before then, where it waits already.
    pub fn not_before(&mut self, moment: Moment) {
        if let Some((_, Some(until))) = &mut self.parked {
            *until = moment.max(*until);
        }
    }

    /// A call was refused for a long quota that comes back after so long, where that is known.
    pub fn exhausted(&mut self, wait: Option<Duration>, now: Moment) -> Turn {
        let wait = wait.unwrap_or(EXHAUSTED);
        let wait = wait.clamp(LEAST_EXHAUSTED, MOST_EXHAUSTED);
        self.park(Parked::Exhausted, Some(now.plus(wait)), now)
    }

    /// A call failed; the lane asks to wait so long, where it does.
    pub fn failed(
        &mut self,
        serial: u64,
        began: Moment,
        wait: Option<Duration>,
        now: Moment,
    ) -> Turn {
        if self.is_old(began, serial) {
            return Turn::Same;
        }
        self.failures += 1;
        let is_probe = self.probe == Probe::Sent(serial);
        if self.failures < FAILURES && !is_probe {
            return Turn::Same;
        }
        let n_probes = (self.failures + 1).saturating_sub(FAILURES);
        let wait = wait.unwrap_or_default().min(MOST_FAILED);
        let wait = wait.max(PROBES.after(n_probes));
        self.park(Parked::Failed, Some(now.plus(wait)), now)
    }

    /// A person has to mend something first; it is seldom tried whether that was done.
    pub fn person(&mut self, now: Moment) -> Turn {
        self.park(Parked::Person, Some(now.plus(PERSON)), now)
    }

    /// Grants nothing until [`Breaker::resume`].
    pub fn pause(&mut self) {
        self.parked = Some((Parked::Paused, None));
    }

    /// Grants again, whatever parked it; one call goes first unless it was only paused.
    pub fn resume(&mut self) {
        self.closed = None;
        if let Some((why, _)) = self.parked.take() {
            self.probe = match why {
                Parked::Paused => Probe::None,
                _ => Probe::Wanted,
            };
        }
    }

    fn park(&mut self, why: Parked, until: Option<Moment>, now: Moment) -> Turn {
        let was_open = self.parked.is_none() && self.probe == Probe::None;
        match self.parked {
            // A person's order, and a wait that ends later, stand.
            Some((_, None)) => return Turn::Same,
            Some((_, old)) if until.is_some() && old >= until => return Turn::Same,
            _ => self.parked = Some((why, until)),
        }
        self.probe = Probe::None;
        self.since = Some(now);
        self.closed = Some(why);
        if was_open || until.is_none() {
            Turn::Closed(why)
        } else {
            Turn::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn after_a_bounce_one_call_goes_first() {
        let mut breaker = Breaker::default();
        let turn = breaker.bounced(0, at(0), seconds(2), at(10));
        assert_eq!(turn, Turn::Closed(Parked::Bounced));
        assert_eq!(breaker.bounced(1, at(0), seconds(2), at(12)), Turn::Same);
        assert_eq!(breaker.most(at(2_011)), 0);
        assert_eq!(breaker.most(at(2_012)), 1);
        breaker.begin(9);
        assert_eq!(breaker.most(at(2_013)), 0);
        assert_eq!(breaker.answered(2), Turn::Same, "it began before");
        assert_eq!(breaker.most(at(2_014)), 0);
        assert_eq!(breaker.answered(9), Turn::Opened);
        assert_eq!(breaker.most(at(2_021)), usize::MAX);
    }

    #[test]
    fn a_probe_that_is_lost_is_followed_by_another() {
        let mut breaker = Breaker::default();
        breaker.bounced(0, at(0), seconds(1), at(0));
        assert_eq!(breaker.most(at(1_000)), 1);
        breaker.begin(1);
        breaker.over(1);
        assert_eq!(breaker.most(at(1_001)), 1);
    }

    #[test]
    fn a_lane_that_fails_is_probed_each_second_and_speaks_of_it_once() {
        let mut breaker = Breaker::default();
        let (mut now, mut n_closed, mut begun) = (0, 0, Vec::new());
        for serial in 0..20 {
            while breaker.most(at(now)) == 0 {
                now += 10;
            }
            breaker.begin(serial);
            begun.push(now);
            let turn = breaker.failed(serial, at(now), None, at(now));
            n_closed += usize::from(turn != Turn::Same);
        }
        assert_eq!(n_closed, 1);
        assert!(begun.windows(2).all(|pair| pair[1] - pair[0] <= 1_000));
        assert!(now >= 14_000, "{now}");
    }

    #[test]
    fn a_hint_that_asks_for_no_wait_does_not_make_a_lane_be_tried_without_rest() {
        for how in 0..3 {
            let mut breaker = Breaker::default();
            let (mut now, hint) = (0, Some(Duration::from_millis(1)));
            for serial in 0..20 {
                while breaker.most(at(now)) == 0 {
                    now += 1;
                }
                breaker.begin(serial);
                match how {
                    0 => breaker.failed(serial, at(now), hint, at(now)),
                    1 => breaker.bounced(serial, at(now), hint, at(now)),
                    _ => breaker.exhausted(hint, at(now)),
                };
                now += 1;
            }
            assert!(now >= 14_000, "{now} {how}");
        }
    }

    #[test]
    fn absurd_hints_are_bounded() {
        let mut breaker = Breaker::default();
        breaker.bounced(0, at(0), Some(Duration::MAX), at(0));
        assert_eq!(breaker.most(at(86_400_000)), 1);
        let mut breaker = Breaker::default();
        breaker.exhausted(Some(Duration::MAX), at(0));
        assert_eq!(breaker.most(at(31 * 86_400_000)), 1);
        let mut breaker = Breaker::default();
        for serial in 0..3 {
            breaker.failed(serial, at(1), Some(Duration::MAX), at(1));
        }
        assert_eq!(breaker.most(at(300_001)), 1);
    }

    #[test]
    fn what_waits_for_a_person_is_tried_each_hour_and_spoken_of_once() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.person(at(0)), Turn::Closed(Parked::Person));
        assert_eq!(breaker.bounced(1, at(0), seconds(1), at(1)), Turn::Same);
        for hour in 1..5 {
            let now = hour * 3_600_000;
            assert_eq!(breaker.most(at(now - 1)), 0);
            assert_eq!(breaker.most(at(now)), 1);
            breaker.begin(hour);
            assert_eq!(breaker.person(at(now)), Turn::Same);
            assert_eq!(breaker.closed(), Some(Parked::Person));
        }
        breaker.resume();
        assert_eq!(breaker.most(at(5 * 3_600_000 - 1)), 1);
        breaker.begin(9);
        assert_eq!(breaker.answered(9), Turn::Opened);
    }

    #[test]
    fn what_a_person_paused_is_tried_by_nobody() {
        let mut breaker = Breaker::default();
        breaker.pause();
        assert_eq!(breaker.person(at(0)), Turn::Same);
        assert_eq!(breaker.most(at(u64::MAX / 2_000_000)), 0);
        breaker.resume();
        assert_eq!(breaker.most(at(2)), usize::MAX);
    }
}

//! The calls under way, by provider: which are far too late, and who hangs.

use std::collections::BTreeSet;
use std::time::Duration;

use foldhash::HashMap;

use super::Latency;
use crate::domain::Moment;

/// Far too late is a call that takes so many times what 99 of 100 did not exceed.
const FAR: u32 = 3;
/// No call is far too late before.
const LEAST: Duration = Duration::from_secs(2);
/// So many calls are needed to know what is usual.
const KNOWN: f64 = 20.0;
/// Without knowing it, this part of the time that a call may take.
const UNKNOWN: u32 = 6;

/// After how long a call is far too late for its provider; never later than `timeout`.
pub fn far_too_late(latency: &Latency, timeout: Duration) -> Duration {
    let usual = latency.quantile(0.99);
    match usual.filter(|_| latency.weight() >= KNOWN) {
        Some(usual) => (usual * FAR).max(LEAST).min(timeout),
        None => (timeout / UNKNOWN).max(LEAST).min(timeout),
    }
}

/// The calls under way, each with something of the caller's.
///
/// A provider hangs when at least half of its calls under way are far too late; an answer proves
/// that it does not, and the late ones are then no sign any more.
#[derive(Debug)]
pub struct Calls<T> {
    calls: HashMap<u64, Call<T>>,
    looks: BTreeSet<(Moment, u64)>,
    routes: Vec<Counts>,
}

#[derive(Debug)]
struct Call<T> {
    route: usize,
    /// When it is far too late.
    late_at: Moment,
    /// When it is worth a second call elsewhere, until that was decided.
    slow_at: Option<Moment>,
    state: CallState,
    more: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    InTime,
    Late,
    /// Late, and its provider has answered another call since.
    Forgiven,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    in_time: usize,
    late: usize,
}

/// What became of a call with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It takes longer than most of its class.
    Slow(u64),
    /// It is far too late.
    Late(u64),
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self {
            calls: HashMap::default(),
            looks: BTreeSet::new(),
            routes: Vec::new(),
        }
    }
}

impl<T> Calls<T> {
    /// Notes that a call has begun.
    pub fn begin(
        &mut self,
        number: u64,
        route: usize,
        late_at: Moment,
        slow_at: Option<Moment>,
        more: T,
    ) {
        if self.routes.len() <= route {
            self.routes.resize(route + 1, Counts::default());
        }
        self.routes[route].in_time += 1;
        let call = Call {
            route,
            late_at,
            slow_at,
            state: CallState::InTime,
            more,
        };
        self.looks.insert((call.next_look(), number));
        self.calls.insert(number, call);
    }

    /// What the caller had given of a call that is under way.
    pub fn get(&self, number: u64) -> Option<&T> {
        self.calls.get(&number).map(|call| &call.more)
    }

    /// When the next call is to be looked at.
    pub fn next_look(&self) -> Option<Moment> {
        self.looks.first().map(|(moment, _)| *moment)
    }

    /// The next call that has become slow or late by now.
    pub fn look(&mut self, now: Moment) -> Option<Look> {
        let (moment, number) = *self.looks.first()?;
        if moment > now {
            return None;
        }
        self.looks.pop_first();
        let call = self.calls.get_mut(&number)?;
        if call.slow_at.take().is_some_and(|slow_at| slow_at <= now) {
            self.looks.insert((call.late_at, number));
            return Some(Look::Slow(number));
        }
        call.state = CallState::Late;
        let counts = &mut self.routes[call.route];
        counts.in_time -= 1;
        counts.late += 1;
        Some(Look::Late(number))
    }

    /// Notes that a call has ended with an answer.
    pub fn answered(&mut self, number: u64) -> Option<T> {
        let call = self.remove(number)?;
        if self.routes[call.route].late > 0 {
            self.routes[call.route].late = 0;
            let calls = self.calls.values_mut();
            for late in calls.filter(|it| it.route == call.route) {
                if late.state == CallState::Late {
                    late.state = CallState::Forgiven;
                }
            }
        }
        Some(call.more)
    }

    /// Notes that a call has ended without an answer.
    pub fn failed(&mut self, number: u64) -> Option<T> {
        self.remove(number).map(|call| call.more)
    }

    fn remove(&mut self, number: u64) -> Option<Call<T>> {
        let call = self.calls.remove(&number)?;
        let counts = &mut self.routes[call.route];
        match call.state {
            CallState::InTime => {
                counts.in_time -= 1;
                self.looks.remove(&(call.next_look(), number));
            }
            CallState::Late => counts.late -= 1,
            CallState::Forgiven => (),
        }
        Some(call)
    }

    /// Whether a provider gives no sign of life beyond what is usual for it.
    pub fn hangs(&self, route: usize) -> bool {
        let counts = self.routes.get(route);
        counts.is_some_and(|counts| counts.late > 0 && counts.late >= counts.in_time)
    }

    /// Whether one call may find out if a provider that hangs is back.
    pub fn may_probe(&self, route: usize) -> bool {
        self.routes
            .get(route)
            .is_none_or(|counts| counts.in_time == 0)
    }
}

impl<T> Call<T> {
    fn next_look(&self) -> Moment {
        let slow_at = self.slow_at.unwrap_or(self.late_at);
        slow_at.min(self.late_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn calls(n: u64) -> Calls<()> {
        let mut calls = Calls::default();
        for number in 0..n {
            calls.begin(number, 0, at(10), None, ());
        }
        calls
    }

    #[test]
    fn a_provider_hangs_when_half_of_its_calls_are_far_too_late() {
        let mut calls = calls(3);
        calls.begin(9, 0, at(20), None, ());
        assert_eq!(calls.look(at(9)), None);
        assert!(!calls.hangs(0));
        assert!(calls.look(at(10)).is_some());
        assert!(!calls.hangs(0));
        assert!(calls.look(at(10)).is_some());
        assert!(calls.hangs(0));
        assert!(!calls.may_probe(0));
        assert!(!calls.hangs(1));
        assert!(calls.look(at(10)).is_some());
        assert!(calls.look(at(20)).is_some());
        assert!(calls.may_probe(0));
        assert_eq!(calls.next_look(), None);
    }

    #[test]
    fn an_answer_proves_that_a_provider_does_not_hang() {
        let mut calls = calls(4);
        while calls.look(at(10)).is_some() {}
        calls.begin(9, 0, at(30), None, ());
        assert!(calls.hangs(0));
        calls.answered(9);
        assert!(!calls.hangs(0));
        for number in 0..4 {
            assert_eq!(calls.failed(number), Some(()));
        }
        assert!(!calls.hangs(0));
        assert_eq!(calls.failed(0), None);
    }

    #[test]
    fn a_slow_call_is_looked_at_before_it_is_late() {
        let mut calls = Calls::default();
        calls.begin(1, 0, at(10), Some(at(3)), "one");
        assert_eq!(calls.next_look(), Some(at(3)));
        assert_eq!(calls.look(at(4)), Some(Look::Slow(1)));
        assert_eq!(calls.next_look(), Some(at(10)));
        assert_eq!(calls.get(1), Some(&"one"));
        assert_eq!(calls.answered(1), Some("one"));
        assert_eq!(calls.next_look(), None);
    }

    #[test]
    fn how_late_is_far_too_late_follows_from_what_is_usual() {
        let minute = Duration::from_secs(60);
        let mut latency = Latency::default();
        assert_eq!(far_too_late(&latency, minute), Duration::from_secs(10));
        for _ in 0..30 {
            latency.record(Duration::from_secs(1));
        }
        let late = far_too_late(&latency, minute);
        assert!(late > Duration::from_secs(3) && late < Duration::from_millis(3_300));
        assert_eq!(
            far_too_late(&latency, Duration::from_secs(1)),
            Duration::from_secs(1)
        );
    }
}

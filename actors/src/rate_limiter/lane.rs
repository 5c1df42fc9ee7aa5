//! A lane as the limiter keeps it: its quota, who waits, and what was said of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use log::info;
use tokio::sync::oneshot;

use crate::domain::{DayReset, Moment, Unit};
use crate::logic::quota::{Account, Binding, Learned, Need, Now, Quota, Span, Urgency, Window};
use crate::messages::{Permit, PermitHome};
use crate::setup::LaneLimits;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How many turns all work has after one that was for urgent work alone, where both wait.
const TURNS: u8 = 4;
/// So long a lane was free of a limit that it speaks of it again.
const A_WHILE: Duration = Duration::from_secs(3_600);

/// One lane.
pub(super) struct LaneState {
    pub(super) home: Arc<PermitHome>,
    /// Names the account that it is.
    pub(super) account: u64,
    pub(super) quota: Quota,
    pub(super) urgent: VecDeque<Waiter>,
    pub(super) bulk: VecDeque<Waiter>,
    /// How many turns the others have before urgent work goes first again.
    owed: u8,
    /// When the timer rings that counts; of one whose place an earlier one took, nothing is heard.
    pub(super) rings_at: Option<Moment>,
    waits: Waits,
    /// What was said to be learned, a limit each.
    learned: Vec<Learned>,
}

/// The limits a lane waited for, by what they count and over what time, and when it last did.
#[derive(Default)]
struct Waits(Vec<((&'static str, &'static str), Moment)>);

/// Who waits for permits.
pub(super) struct Waiter {
    pub(super) calls: usize,
    pub(super) need: Need,
    pub(super) permits: oneshot::Sender<Vec<Permit>>,
}

impl LaneState {
    /// A lane in which nothing is used, as far as the ledger does not know more.
    pub(super) fn new(
        home: Arc<PermitHome>,
        account: u64,
        limits: &LaneLimits,
        now: Moment,
    ) -> Self {
        Self {
            home,
            account,
            quota: quota(limits, now).recalling(),
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            owed: 0,
            rings_at: None,
            waits: Waits::default(),
            learned: Vec::new(),
        }
    }

    /// Who waits with that urgency.
    pub(super) const fn waiters(&mut self, urgency: Urgency) -> &mut VecDeque<Waiter> {
        match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Bulk => &mut self.bulk,
        }
    }

    /// Closes the channels of urgent work that waits: it was told a moment that holds no longer, and
    /// somebody whose time ends before the true one is not to wait for it.
    pub(super) fn let_urgent_ask_again(&mut self) {
        self.urgent.clear();
    }

    /// Who is served first: urgent work when it comes, but not without end.
    ///
    /// A permit for all work goes to the best of all by its class, so urgent work loses little
    /// by that, and what is low still moves.
    pub(super) fn order(&self) -> [Urgency; 2] {
        if self.owed > 0 && !self.bulk.is_empty() {
            [Urgency::Bulk, Urgency::Urgent]
        } else {
            [Urgency::Urgent, Urgency::Bulk]
        }
    }

    /// Notes who was served.
    pub(super) fn served(&mut self, urgency: Urgency) {
        self.owed = match urgency {
            Urgency::Urgent if self.bulk.is_empty() => 0,
            Urgency::Urgent => TURNS,
            Urgency::Bulk => self.owed.saturating_sub(1),
        };
    }

    /// Whether anybody waits.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.urgent.is_empty() || !self.bulk.is_empty()
    }

    /// What the call needs that may begin first, as far as time decides it: of those that are next
    /// with either urgency, since a smaller one passes one that must wait longer.
    pub(super) fn next_need(&self, now: Now) -> Option<Need> {
        let next = [self.urgent.front(), self.bulk.front()];
        let needs = next.into_iter().flatten().map(|waiter| waiter.need);
        soonest(&self.quota, needs, now)
    }

    /// Says in the log what was learned of a limit, once for each change.
    pub(super) fn say_learned(&mut self, learned: Learned) {
        let is_same = |said: &&mut Learned| (said.unit, said.per) == (learned.unit, learned.per);
        match self.learned.iter_mut().find(is_same) {
            Some(said) if is_alike(said, &learned) => return,
            Some(said) => *said = learned,
            None => self.learned.push(learned),
        }
        let (unit, known_by) = (learned.unit.name(), learned.known_by.name());
        let Learned { per, limit, .. } = learned;
        info!(lane:% = self.home.lane(), unit, per, limit, known_by; "a limit was learned");
    }

    /// Says in the log what is remembered from before the start.
    pub(super) fn say_recalled(&mut self, recalled: Learned) {
        let (unit, known_by) = (recalled.unit.name(), recalled.known_by.name());
        let Learned { per, limit, .. } = recalled;
        self.learned.push(recalled);
        info!(lane:% = self.home.lane(), unit, per, limit, known_by; "a limit is remembered");
    }

    /// Says in the log for which limit the lane waits, once until it was free of it for a while;
    /// nothing where only calls in flight are waited for.
    pub(super) fn say_binding(&mut self, need: Need, now: Now) {
        if self.quota.parked().is_some() {
            return;
        }
        let Some(binding) = self.quota.binding(need, now) else {
            return;
        };
        // That calls in flight are as many as were set is how a busy lane is.
        let Some(opens) = binding.opens else { return };
        let Binding {
            unit, per, limit, ..
        } = binding;
        if !self.waits.is_anew((unit, per), now.moment) {
            return;
        }
        let (known_by, wait) = (binding.known_by.name(), opens.since(now.moment));
        info!(lane:% = self.home.lane(), unit, per, limit, known_by, wait_ms = wait.as_millis();
            "a lane waits for a limit");
    }
}

impl Waits {
    /// Notes that the lane waits for a limit now; answers whether it did not for a while.
    fn is_anew(&mut self, limit: (&'static str, &'static str), now: Moment) -> bool {
        match self.0.iter_mut().find(|(it, _)| *it == limit) {
            Some((_, last)) => now.since(std::mem::replace(last, now)) >= A_WHILE,
            None => {
                self.0.push((limit, now));
                true
            }
        }
    }
}

/// Whichever may begin first; what time does not decide comes last.
fn soonest(quota: &Quota, needs: impl Iterator<Item = Need>, now: Now) -> Option<Need> {
    needs.min_by_key(|need| {
        let due = quota.due(*need, now);
        (due.is_none(), due)
    })
}

/// Whether nobody needs to be told of the later one: it says nearly the same of the same limit.
fn is_alike(said: &Learned, learned: &Learned) -> bool {
    let change = (said.limit - learned.limit).abs();
    said.known_by == learned.known_by && change <= said.limit / 100.0
}

fn quota(limits: &LaneLimits, now: Moment) -> Quota {
    let windows = [
        (Unit::Requests, limits.rps, SECOND),
        (Unit::Requests, limits.rpm, MINUTE),
        (Unit::Tokens, limits.tps, SECOND),
        (Unit::Tokens, limits.tpm, MINUTE),
        (Unit::InputTokens, limits.itpm, MINUTE),
        (Unit::OutputTokens, limits.otpm, MINUTE),
    ];
    let windows = windows
        .into_iter()
        .filter_map(|(unit, limit, per)| Some(Window::set(unit, limit?, per).at_start(now)))
        .collect();
    let days = [(Unit::Requests, limits.rpd), (Unit::Tokens, limits.tpd)];
    let days = days.into_iter().filter_map(|(unit, limit)| {
        let limit = limit?;
        Some(Account::set(
            unit,
            vec![(Span::Day(limits.day), Some(limit))],
        ))
    });
    let money = [
        (Span::Day(DayReset::Utc), limits.usd_per_day),
        (Span::Month, limits.usd_per_month),
    ];
    let money = Account::set(Unit::Dollars, money.into());
    let accounts = days.chain([money]).collect();
    Quota::new(windows, accounts, limits.concurrency).with_day(limits.day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Tokens;

    #[test]
    fn a_lane_speaks_again_of_a_limit_that_it_was_free_of_for_an_hour() {
        let mut waits = Waits::default();
        let (minute, day) = (("requests", "minute"), ("requests", "day"));
        let mut is_anew = |limit, minutes: u64| {
            waits.is_anew(limit, Moment::from_start(Duration::from_secs(minutes * 60)))
        };

        assert!(is_anew(minute, 0));
        assert!(is_anew(day, 0));
        for minutes in (1..=300).step_by(13) {
            assert!(!is_anew(minute, minutes), "it still waits");
        }
        assert!(is_anew(day, 301));
        assert!(!is_anew(minute, 302));
        assert!(is_anew(minute, 3 * 1_440));
    }

    #[test]
    fn a_small_call_does_not_wait_for_the_time_of_a_large_one_before_it() {
        let window = Window::set(Unit::Tokens, 1_000.0, MINUTE);
        let mut quota = Quota::new(vec![window], Vec::new(), None);
        let need = |input| Need::from(Tokens { input, output: 0 });
        let at = |seconds| Now {
            moment: Moment::from_start(Duration::from_secs(seconds)),
            ..Now::default()
        };
        for (serial, seconds) in [(1, 0), (2, 20)] {
            quota.grant(serial, need(500), at(seconds));
        }
        let [large, small] = [need(900), need(300)];

        let first = soonest(&quota, [large, small].into_iter(), at(30));

        assert_eq!(first, Some(small));
        assert!(quota.due(small, at(30)) < quota.due(large, at(30)));
        assert_eq!(soonest(&quota, [large].into_iter(), at(30)), Some(large));
    }
}

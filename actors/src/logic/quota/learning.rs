//! What a lane learns of its limits: from what is told, and from what passes and what does not.

use std::time::Duration;

use super::{Account, MINUTE, Now, Quota, Span, Trial, Window, per_name};
use crate::domain::{KnownBy, Moment, SeenLimit, Unit};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// The most windows of a lane, so that no provider can make it count without end.
pub(super) const WINDOWS: usize = 16;
/// How long something told is believed that is not told again.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long that is with a limit of a day.
const PATIENCE_OF_DAYS: Duration = Duration::from_secs(3 * 86_400);
/// So many calls without a pause let the first refusal tell a limit; fewer need a second one.
const SAMPLE: f64 = 100.0;
/// Used to this share, a limit explains a refusal.
const EXPLAINS: f64 = 0.9;

/// A limit that is known now, or known otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// What it counts.
    pub unit: Unit,
    /// Over what time.
    pub per: &'static str,
    /// The most of it.
    pub limit: f64,
    /// How it is known.
    pub known_by: KnownBy,
}

impl Quota {
    /// Believes what the response of a call said, before the call is settled; answers what is
    /// new of it.
    ///
    /// What a person set is believed unless less is told; a lower remainder is believed at once.
    /// Of a limit that is set below the told one, so much counts as used that no more is left than
    /// is told: what others use beyond that is not taken from it.
    pub fn learn(&mut self, serial: u64, seen: &[SeenLimit], now: Now) -> Vec<Learned> {
        let began = self.outstanding.get(&serial).map(|call| call.at);
        let Some(began) = began else {
            return Vec::new();
        };
        let mut learned = Vec::new();
        for seen in seen {
            let seen = SeenLimit {
                limit: seen.limit.filter(is_sane),
                remaining: seen
                    .remaining
                    .filter(|left| left.is_finite() && *left >= 0.0),
                ..*seen
            };
            let Some(per) = seen.per.or_else(|| told_by_reset(&seen)) else {
                continue;
            };
            if per > DAY {
                // Months and the like are waited for when they are refused.
                continue;
            }
            if per == DAY {
                learned.extend(self.learn_day(&seen, now));
            } else if !per.is_zero() {
                learned.extend(self.learn_window(&seen, per, began, now));
            }
        }
        self.memory.learned(&learned);
        learned
    }

    fn learn_window(
        &mut self,
        seen: &SeenLimit,
        per: Duration,
        began: Now,
        now: Now,
    ) -> Option<Learned> {
        if self.window(seen.unit, per).is_none() {
            if self.windows.len() >= WINDOWS || seen.limit.is_none() {
                return None;
            }
            self.windows.push(Window::unknown(seen.unit, per));
        }
        if (seen.unit, per) == (Unit::Requests, MINUTE) && seen.limit.is_some() {
            self.trial = None;
        }
        let before = self.window(seen.unit, per)?.limit();
        let in_flight: f64 = match seen.limit == before {
            true => 0.0,
            false => self.in_flight_of(seen.unit),
        };
        let window = self.window(seen.unit, per)?;
        window.forget(now.moment);
        let is_news = seen
            .limit
            .is_some_and(|limit| window.tell(limit, seen.known_by, began));
        let limit = window.limit()?;
        let remaining = match seen.known_by {
            // Who refuses for a limit has nothing left of it.
            KnownBy::Refusal => Some(seen.remaining.unwrap_or(0.0)),
            _ => seen.remaining,
        };
        if let Some(remaining) = remaining {
            let used = (limit - remaining).max(0.0);
            if before.is_none_or(|before| limit < before) {
                // What passed before this limit was known is the provider's to count.
                let unseen = match seen.known_by {
                    KnownBy::Refusal => 0.0,
                    _ => in_flight,
                };
                window.believe_at_most(used + unseen);
            }
            window.believe(used, seen.resets_in, now.moment);
        }
        window.keep_learned(now);
        is_news.then(|| Learned {
            unit: seen.unit,
            per: per_name(per),
            limit,
            known_by: window.known_by(),
        })
    }

    fn in_flight_of(&self, unit: Unit) -> f64 {
        let calls = self.outstanding.values();
        calls.map(|call| call.charge.of(unit)).sum()
    }

    fn learn_day(&mut self, seen: &SeenLimit, now: Now) -> Option<Learned> {
        let span = Span::Day(self.day);
        let place = self.accounts.iter().position(|it| it.unit() == seen.unit);
        let place = match (place, seen.limit) {
            (Some(place), _) => place,
            (None, None) => return None,
            (None, Some(_)) => {
                self.accounts.push(Account::learned(seen.unit));
                self.accounts.len() - 1
            }
        };
        let account = &mut self.accounts[place];
        let is_news = seen
            .limit
            .is_some_and(|limit| account.tell(span, limit, seen.known_by, now));
        let day = |it: &&super::Long| matches!(it.span, Span::Day(_));
        let limit = account.limits().iter().find(day)?.limit()?;
        // A refusal says when it ends, and that is waited for; a header says what is left.
        let is_told = seen.known_by == KnownBy::Headers || seen.resets_in.is_some();
        if let Some(remaining) = seen.remaining.filter(|_| is_told) {
            let used = (limit - remaining).max(0.0);
            account.believe(used, seen.resets_in, now.wall);
        }
        let known_by = account.limits().iter().find(day)?.known_by();
        is_news.then_some(Learned {
            unit: seen.unit,
            per: "day",
            limit,
            known_by,
        })
    }

    /// A call was refused; where no limit known here explains it, one is searched for.
    pub(super) fn bounced(&mut self, wait: Option<Duration>, now: Now) {
        let moment = now.moment;
        let is_second = self
            .bounced_at
            .is_some_and(|before| moment.since(before) <= MINUTE);
        self.bounced_at = Some(moment);
        // Who refuses everything says nothing of the pace.
        let has_passed = std::mem::take(&mut self.has_passed);
        let mut is_explained = false;
        for window in &mut self.windows {
            window.forget(moment);
            let limit = window.limit().filter(|_| !window.is_guess());
            is_explained |= limit.is_some_and(|limit| window.used() >= limit * EXPLAINS);
            window.even_out(moment);
        }
        if is_explained {
            return;
        }
        let (since, n_answered) = self.run;
        // What began before the refused call and is under way has passed as well.
        let n_passed = n_answered + self.outstanding.len() as f64;
        match &mut self.trial {
            Some(trial) if has_passed => trial.refused(now),
            Some(trial) => trial.refused_again(now),
            None if (is_second && has_passed) || (wait.is_none() && n_passed >= SAMPLE) => {
                self.trial = Some(Trial::first(n_passed, since, now));
            }
            None => return,
        }
        self.memory.changed();
        self.follow_trial(moment);
    }

    /// Lets the pace of a trial rise, and doubts what was told long ago.
    pub(super) fn try_higher(&mut self, now: Moment) {
        if self.trial.is_some() {
            self.follow_trial(now);
        }
        if now.since(self.doubted_at) >= MINUTE {
            self.doubted_at = now;
            let mut is_any = false;
            for window in &mut self.windows {
                is_any |= window.doubt(PATIENCE, now);
            }
            for account in &mut self.accounts {
                is_any |= account.doubt(PATIENCE_OF_DAYS, now);
            }
            if is_any {
                self.accounts.retain(Account::is_needed);
                self.memory.changed();
            }
        }
    }

    pub(super) fn follow_trial(&mut self, now: Moment) {
        let Some(trial) = self.trial else { return };
        let limit = trial.limit();
        let told = Now {
            moment: now,
            wall: trial.told_at(),
        };
        let window = self.window(Unit::Requests, MINUTE);
        let is_told = |window: &Window| window.limit().is_some() && !window.is_guess();
        match window {
            Some(window) if !is_told(window) || window.limit() > Some(limit) => {
                window.tell(limit, KnownBy::Trial, told);
            }
            _ => (),
        }
    }
}

/// The window of a limit that is told without one: what is free again within a minute may count
/// by the minute, and of all else nothing is known.
fn told_by_reset(seen: &SeenLimit) -> Option<Duration> {
    let is_within = |wait: Duration| wait <= MINUTE;
    seen.resets_in.is_some_and(is_within).then_some(MINUTE)
}

/// Whether it can be a limit at all.
pub(super) fn is_sane(limit: &f64) -> bool {
    limit.is_finite() && *limit >= 1.0
}

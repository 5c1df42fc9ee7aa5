//! What a lane learns of limits that it is told, or that refusals show.

use super::disk::Disk;
use super::*;
use crate::domain::{KnownBy, SeenLimit};

/// How many calls may go, at most a hundred, if the disk answers at once.
fn room(quota: &Quota, millis: u64) -> usize {
    let (mut quota, mut disk, now) = (quota.clone(), Disk::default(), at(millis));
    let may_go = |serial: &u64| {
        quota.room(1, Tokens::default(), Urgency::Bulk, now);
        disk.sync(&mut quota, now);
        let may_go = quota.room(1, Tokens::default(), Urgency::Bulk, now) == 1;
        if may_go {
            quota.grant(*serial, Tokens::default(), now);
        }
        may_go
    };
    (1_000..1_100).take_while(may_go).count()
}

pub(super) fn told(unit: Unit, limit: f64, remaining: f64, known_by: KnownBy) -> SeenLimit {
    SeenLimit {
        unit,
        per: Some(MINUTE),
        limit: Some(limit),
        remaining: Some(remaining),
        resets_in: None,
        known_by,
    }
}

#[test]
fn a_limit_told_in_headers_holds_at_once_and_a_lower_one_beats_the_settings() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);
    quota.grant(1, Tokens::default(), at(0));
    let seen = [told(Unit::Requests, 60.0, 20.0, KnownBy::Headers)];
    assert_eq!(quota.learn(1, &seen, at(10)).len(), 1);
    quota.settle(1, Word::Answered(None, Some(0.0)), at(10));
    assert_eq!(room(&quota, 20), 20, "others have used the rest");

    let mut quota = requests(600.0, MINUTE);
    quota.grant(1, Tokens::default(), at(0));
    let seen = [told(Unit::Requests, 30.0, 29.0, KnownBy::Headers)];
    quota.learn(1, &seen, at(10));
    assert_eq!(quota.windows()[0].limit(), Some(30.0));
    assert_eq!(quota.windows()[0].known_by(), KnownBy::Headers);
    let seen = [told(Unit::Requests, 6_000.0, 5_000.0, KnownBy::Headers)];
    quota.learn(1, &seen, at(20));
    assert_eq!(quota.windows()[0].limit(), Some(600.0));
    assert_eq!(quota.windows()[0].known_by(), KnownBy::Settings);
}

#[test]
fn of_a_limit_that_others_share_never_more_goes_than_is_set_or_told_to_be_left() {
    const DAY: Duration = Duration::from_secs(86_400);
    let lane = |per: Duration| match per {
        DAY => {
            let day = (Span::Day(DayReset::Rolling), Some(30.0));
            Quota::new(
                Vec::new(),
                vec![Account::set(Unit::Requests, vec![day])],
                None,
            )
        }
        _ => requests(30.0, per),
    };
    for per in [MINUTE, DAY] {
        for (left, may_go) in [(59.0, 29), (29.0, 29), (20.0, 20), (0.0, 0)] {
            for known_by in [KnownBy::Headers, KnownBy::Refusal] {
                let (mut quota, disk) = (lane(per), Disk::default());
                disk.load(&mut quota, at(0));
                quota.grant(1, Tokens::default(), at(0));
                let seen = SeenLimit {
                    per: Some(per),
                    resets_in: Some(per),
                    ..told(Unit::Requests, 60.0, left, known_by)
                };

                quota.learn(1, &[seen], at(10));

                quota.settle(1, Word::Answered(None, Some(0.0)), at(10));
                assert_eq!(room(&quota, 20), may_go, "{per:?} {left} {known_by:?}");
            }
        }
    }
}

#[test]
fn absurd_limits_are_not_believed() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);
    quota.grant(1, Tokens::default(), at(0));
    for limit in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let seen = [told(Unit::Requests, limit, f64::NAN, KnownBy::Headers)];
        assert_eq!(quota.learn(1, &seen, at(1)), []);
    }
    assert_eq!(room(&quota, 2), 100);
}

#[test]
fn a_limit_of_which_nobody_knows_over_what_time_it_counts_is_believed_by_its_reset_alone() {
    let hours = Duration::from_secs(9 * 3_600 + 12 * 60);
    for (resets_in, n_learned, may_go) in [
        (None, 0, 100),
        (Some(hours), 0, 100),
        (Some(Duration::from_secs(30)), 1, 40),
    ] {
        let mut quota = Quota::new(Vec::new(), Vec::new(), None);
        quota.grant(1, Tokens::default(), at(0));
        let seen = SeenLimit {
            per: None,
            resets_in,
            ..told(Unit::Requests, 1_000.0, 40.0, KnownBy::Headers)
        };

        let learned = quota.learn(1, &[seen], at(10));

        assert_eq!(learned.len(), n_learned, "{resets_in:?}");
        assert_eq!(room(&quota, 20), may_go, "{resets_in:?}");
    }
}

#[test]
fn an_answer_that_comes_late_does_not_bring_an_old_limit_back() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);
    quota.grant(1, Tokens::default(), at(0));
    quota.grant(2, Tokens::default(), at(50));
    quota.learn(
        2,
        &[told(Unit::Requests, 30.0, 28.0, KnownBy::Headers)],
        at(100),
    );
    quota.learn(
        1,
        &[told(Unit::Requests, 60.0, 59.0, KnownBy::Headers)],
        at(200),
    );
    let minute = quota.window(Unit::Requests, MINUTE).expect("a window");
    assert_eq!(minute.limit(), Some(30.0));
}

/// A provider that refills a bucket of requests continuously, and may say something of it.
struct Bucket {
    limit: f64,
    level: f64,
    at: u64,
}

impl Bucket {
    fn new(limit: f64) -> Self {
        Self {
            limit,
            level: limit,
            at: 0,
        }
    }

    fn admits(&mut self, millis: u64) -> bool {
        let refilled = (millis - self.at) as f64 * self.limit / 60_000.0;
        (self.level, self.at) = ((self.level + refilled).min(self.limit), millis);
        let admits = self.level >= 1.0;
        self.level -= f64::from(u8::from(admits));
        admits
    }
}

/// How a provider tells its limit.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    Headers,
    Refusals,
    Nothing,
}

/// Ten callers that want all they can get for four minutes; answers the share of the limit
/// that passed from the second minute on, the share of calls refused, and when calls were.
fn against(limit: f64, tells: Tells) -> (f64, f64, Vec<u64>) {
    let (mut quota, mut bucket) = (
        Quota::new(Vec::new(), Vec::new(), Some(10)),
        Bucket::new(limit),
    );
    let mut ends: std::collections::VecDeque<(u64, u64, bool, f64)> = Default::default();
    let (mut serial, mut refused, mut n_passed) = (0, Vec::new(), 0.0);
    let mut disk = Disk::default();
    for millis in 0..240_000 {
        let now = at(millis);
        disk.sync(&mut quota, now);
        while ends.front().is_some_and(|(end, ..)| *end <= millis) {
            let (_, serial, passed, left) = ends.pop_front().expect("it was just seen");
            let seen = match tells {
                Tells::Headers => vec![told(Unit::Requests, limit, left, KnownBy::Headers)],
                Tells::Refusals if !passed => {
                    vec![told(Unit::Requests, limit, left, KnownBy::Refusal)]
                }
                _ => Vec::new(),
            };
            quota.learn(serial, &seen, now);
            let word = if passed {
                Word::Answered(None, Some(0.0))
            } else {
                Word::Bounced(None)
            };
            quota.settle(serial, word, now);
        }
        for _ in 0..quota.room(64, Tokens::default(), Urgency::Urgent, now) {
            serial += 1;
            quota.grant(serial, Tokens::default(), now);
            let passed = bucket.admits(millis);
            if !passed {
                refused.push(millis);
            } else if millis >= 60_000 {
                n_passed += 1.0;
            }
            ends.push_back((millis + 300, serial, passed, bucket.level.floor()));
        }
    }
    // A change each, and not one for each of thousands of calls.
    assert!(disk.n_learned <= 1 + refused.len(), "{}", disk.n_learned);
    let share = n_passed / (limit * 3.0);
    (share, refused.len() as f64 / serial as f64, refused)
}

#[test]
fn a_limit_in_headers_is_used_without_a_refusal() {
    let (share, refused, _) = against(600.0, Tells::Headers);
    assert!(share >= 0.97 && refused <= 0.001, "{share} {refused}");
}

#[test]
fn a_limit_that_only_refusals_tell_is_used_after_one_episode() {
    let (share, _, refused) = against(600.0, Tells::Refusals);
    let mut episodes = refused.clone();
    episodes.dedup_by(|later, earlier| *later < *earlier + 2_000);
    assert!(share >= 0.95 && episodes.len() <= 3, "{share} {refused:?}");
}

#[test]
fn a_limit_that_nothing_tells_is_found() {
    for limit in [300.0, 600.0, 1_200.0] {
        let (share, refused, times) = against(limit, Tells::Nothing);
        assert!(
            share >= 0.85 && refused <= 0.01,
            "{limit}: {share} {refused} {times:?}"
        );
    }
}

#[test]
fn under_other_settings_what_was_learned_is_still_believed() {
    let mut earlier = requests(60.0, MINUTE);
    earlier.grant(1, Tokens::default(), at(0));
    let hour = SeenLimit {
        per: Some(Duration::from_secs(3_600)),
        ..told(Unit::Tokens, 9_000.0, 8_000.0, KnownBy::Headers)
    };
    let minute = told(Unit::Tokens, 500.0, 400.0, KnownBy::Headers);
    earlier.learn(1, &[minute, hour], at(0));
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);

    quota.follow(earlier, at(0));

    let limits = quota.windows().iter();
    let limits: Vec<_> = limits.map(|it| (it.unit(), it.per(), it.limit())).collect();
    assert_eq!(
        limits,
        [
            (Unit::Requests, MINUTE, None),
            (Unit::Tokens, MINUTE, Some(500.0)),
            (Unit::Tokens, Duration::from_secs(3_600), Some(9_000.0)),
        ]
    );
}

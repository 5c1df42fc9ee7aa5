//! What a lane learned, over crashes: it is believed again, and not exceeded.

use proptest::prelude::*;

use super::disk::Disk;
use super::learned::told;
use super::*;
use crate::domain::{KnownBy, LearnedLimit, SeenLimit};

const DAY: Duration = Duration::from_secs(86_400);

/// A lane of which the settings say nothing.
fn untold() -> Quota {
    Quota::new(Vec::new(), Vec::new(), Some(20)).recalling()
}

/// What a start finds of such a minute's limit on requests.
fn minute(limit: f64, known_by: KnownBy, set: Option<f64>) -> LearnedLimit {
    LearnedLimit {
        unit: Unit::Requests,
        per: MINUTE,
        limit,
        known_by,
        at: Timestamp::from_millis(START - 1_000),
        set,
    }
}

/// The limit on requests by the minute that is believed, and how it is known.
fn believed(quota: &mut Quota) -> Option<(f64, KnownBy)> {
    let window = quota.window(Unit::Requests, MINUTE)?;
    Some((window.limit()?, window.known_by()))
}

#[test]
fn nothing_is_granted_before_it_is_known_what_is_remembered() {
    let mut quota = untold();
    let room = |quota: &mut Quota| quota.room(50, Tokens::default(), Urgency::Urgent, at(0));
    assert!(!quota.is_loaded());
    assert_eq!(room(&mut quota), 0);
    quota.recall(&[], at(0));
    assert!(quota.is_loaded());
    assert_eq!(room(&mut quota), 20);
}

#[test]
fn what_was_learned_long_ago_is_believed_until_nobody_told_it_again_for_an_hour() {
    let mut disk = Disk {
        learned: vec![LearnedLimit {
            at: Timestamp::from_millis(START - 30 * 86_400_000),
            ..minute(40.0, KnownBy::Headers, None)
        }],
        ..Disk::default()
    };
    let mut quota = untold();
    disk.load(&mut quota, at(0));
    assert_eq!(believed(&mut quota), Some((40.0, KnownBy::Headers)));
    let window = &quota.windows()[0];
    assert_eq!(window.told_at(), Some(disk.learned[0].at));

    for millis in [3_599_000, 3_661_000] {
        quota.room(1, Tokens::default(), Urgency::Bulk, at(millis));
        disk.sync(&mut quota, at(millis));
    }

    assert_eq!(believed(&mut quota), None);
    assert_eq!(disk.learned, []);
}

#[test]
fn what_was_told_last_more_than_forty_days_ago_is_not_remembered() {
    let old = LearnedLimit {
        at: Timestamp::from_millis(START - 41 * 86_400_000),
        ..minute(40.0, KnownBy::Headers, None)
    };
    let mut quota = untold();
    assert_eq!(quota.recall(&[old], at(0)), []);
    assert_eq!(believed(&mut quota), None);
}

#[test]
fn what_the_settings_tell_since_then_is_forgotten() {
    for (set_then, set_now, believes) in [
        (None, Some(600.0), 600.0),
        (Some(600.0), Some(500.0), 500.0),
        (Some(600.0), Some(600.0), 40.0),
        (Some(600.0), None, 40.0),
    ] {
        let windows = set_now.map(|set| Window::set(Unit::Requests, set, MINUTE).kept());
        let windows = windows.into_iter().collect();
        let mut quota = Quota::new(windows, Vec::new(), None).recalling();
        let mut disk = Disk {
            learned: vec![minute(40.0, KnownBy::Headers, set_then)],
            ..Disk::default()
        };
        disk.load(&mut quota, at(0));
        disk.sync(&mut quota, at(0));
        let limit = believed(&mut quota).map(|(limit, _)| limit);
        assert_eq!(limit, Some(believes), "{set_then:?} {set_now:?}");
        let is_kept = believes == 40.0;
        assert_eq!(disk.learned.len(), usize::from(is_kept));
    }
}

#[test]
fn a_learned_day_is_over_when_the_settings_say_so_also_after_a_restart_and_a_reload() {
    // It is five past twelve, and five past four in California.
    for (day, minutes) in [
        (DayReset::Utc, 11 * 60 + 55),
        (DayReset::Pacific, 19 * 60 + 55),
    ] {
        let told = SeenLimit {
            per: Some(DAY),
            ..told(Unit::Requests, 50.0, 0.0, KnownBy::Headers)
        };
        let learns = |mut quota: Quota| {
            let mut disk = Disk::default();
            disk.load(&mut quota, at(0));
            quota.grant(1, Tokens::default(), at(0));
            quota.learn(1, &[told], at(0));
            quota.settle(1, Word::Answered(None, Some(0.0)), at(0));
            disk.sync(&mut quota, at(0));
            (quota, disk)
        };
        let (quota, disk) = learns(untold().with_day(day));
        let mut again = untold().with_day(day);
        disk.load(&mut again, at(0));
        let (earlier, disk) = learns(untold());
        let mut reloaded = untold().with_day(day);
        reloaded.follow(earlier, at(0));
        disk.load(&mut reloaded, at(0));
        for (what, mut quota) in [("learned", quota), ("again", again), ("reloaded", reloaded)] {
            quota.look(at(10));
            let due = quota.due(Tokens::default(), at(10));
            let expected = Moment::from_start(Duration::from_secs(minutes * 60));
            assert_eq!(due, Some(expected), "{what}: {day:?}");
        }
    }
}

#[test]
fn damaged_memories_are_not_believed() {
    for limit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut quota = untold();
        let learned = [
            minute(limit, KnownBy::Headers, None),
            LearnedLimit {
                per: DAY,
                ..minute(limit, KnownBy::Refusal, None)
            },
        ];
        assert_eq!(quota.recall(&learned, at(0)), []);
        assert_eq!(believed(&mut quota), None);
        assert!(quota.accounts().is_empty());
    }
}

#[test]
fn a_limit_that_is_told_differently_with_each_call_is_written_once_a_second_at_most() {
    let (mut quota, mut disk) = (untold(), Disk::default());
    disk.load(&mut quota, at(0));
    for serial in 0..1_000 {
        let now = at(serial * 10);
        quota.grant(serial, Tokens::default(), now);
        let limit = 50_000.0 + 1_000.0 * (serial % 7) as f64;
        let seen = [told(Unit::Requests, limit, limit / 2.0, KnownBy::Headers)];
        quota.learn(serial, &seen, now);
        quota.settle(serial, Word::Answered(None, Some(0.0)), now);
        disk.sync(&mut quota, now);
    }
    assert!((5..=11).contains(&disk.n_learned), "{}", disk.n_learned);
}

#[test]
fn what_is_told_the_same_for_weeks_is_written_once_a_day() {
    let (mut quota, mut disk) = (untold(), Disk::default());
    disk.load(&mut quota, at(0));
    for hour in 0..24 * 21 {
        let now = at(hour * 3_600_000);
        quota.grant(hour, Tokens::default(), now);
        let seen = [told(Unit::Requests, 60.0, 59.0, KnownBy::Headers)];
        quota.learn(hour, &seen, now);
        quota.settle(hour, Word::Answered(None, Some(0.0)), now);
        disk.sync(&mut quota, now);
    }
    assert!((20..=22).contains(&disk.n_learned), "{}", disk.n_learned);
    let told_last = at((24 * 21 - 1) * 3_600_000).wall;
    assert!(told_last.since(disk.learned[0].at) <= 2 * DAY);
}

/// A call that was made: when, and the tokens that it used or was to use.
#[derive(Clone, Copy, Debug)]
struct Made {
    at: u64,
    tokens: f64,
}

/// What happens to a lane between two looks.
#[derive(Clone, Debug)]
enum Act {
    /// Time passes.
    Pass(u64),
    /// So many calls of so many tokens are wanted, and the disk answers.
    Want(usize, u64),
    /// A call ends: which, with which share of its tokens, and with what is told of limits.
    End(usize, f64, Vec<SeenLimit>),
    /// The limiter falls: the end of one call is lost.
    Fall,
    /// A write is made and its answer lost.
    Unanswered,
    /// A write is lost.
    Lose,
    /// The settings are read again.
    Reload,
    /// The process dies; what is on the disk is left.
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    let limit = prop_oneof![
        (20_u32..80).prop_map(|most| (Unit::Requests, MINUTE, most)),
        (2_000_u32..8_000).prop_map(|most| (Unit::Tokens, MINUTE, most)),
        (50_u32..300).prop_map(|most| (Unit::Requests, DAY, most)),
    ];
    let seen = (limit, 0_u8..6).prop_map(|((unit, per, most), how)| SeenLimit {
        unit,
        per: Some(per),
        limit: Some(f64::from(most)),
        remaining: None,
        resets_in: None,
        known_by: match how {
            0 => KnownBy::Refusal,
            _ => KnownBy::Headers,
        },
    });
    let seen = prop::collection::vec(seen, 0..3);
    prop_oneof![
        4 => (1_u64..4_000).prop_map(Act::Pass),
        8 => (1_usize..9, 1_u64..240).prop_map(|(calls, tokens)| Act::Want(calls, tokens)),
        6 => (any::<usize>(), 0.0_f64..=1.0, seen)
            .prop_map(|(which, share, seen)| Act::End(which, share, seen)),
        1 => Just(Act::Fall),
        1 => Just(Act::Unanswered),
        1 => Just(Act::Lose),
        1 => Just(Act::Reload),
        1 => Just(Act::Crash),
    ]
}

/// The limits that a lane knows, each with the first of all calls that it can know of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Knows {
    unit: Unit,
    per: Duration,
    limit: f64,
}

fn knows(quota: &Quota) -> Vec<Knows> {
    let windows = quota.windows().iter().filter_map(|window| {
        Some(Knows {
            unit: window.unit(),
            per: window.per(),
            limit: window.limit()?,
        })
    });
    let days = quota.accounts().iter().filter_map(|account| {
        Some(Knows {
            unit: account.unit(),
            per: DAY,
            limit: account.limits().first()?.limit()?,
        })
    });
    windows.chain(days).collect()
}

/// Which of the three limits it is.
fn place(unit: Unit, per: Duration) -> usize {
    match (unit, per) {
        (Unit::Requests, MINUTE) => 0,
        (Unit::Tokens, MINUTE) => 1,
        _ => 2,
    }
}

proptest! {
    #[test]
    fn what_was_learned_outlives_crashes_and_is_not_exceeded(
        acts in prop::collection::vec(act(), 1..300),
    ) {
        let (mut quota, mut disk) = (untold(), Disk::default());
        disk.load(&mut quota, at(0));
        let mut made: Vec<Made> = Vec::new();
        // The first call that a lane can know of, for each of the limits.
        let mut first = [0, 0, usize::MAX];
        let mut under_way: Vec<(u64, usize)> = Vec::new();
        let (mut millis, mut serial, mut boot) = (0, 0, 0);
        for act in acts {
            let now = since_boot(boot, millis);
            match act {
                Act::Pass(wait) => millis += wait,
                Act::Want(calls, size) => {
                    let size = tokens(size, 0);
                    quota.room(calls, size, Urgency::Bulk, now);
                    disk.sync(&mut quota, now);
                    let kept = disk.learned.iter().map(|it| (it.unit, it.per));
                    let kept: Vec<_> = kept.collect();
                    for known in knows(&quota) {
                        prop_assert!(kept.contains(&(known.unit, known.per)), "{known:?}");
                    }
                    for _ in 0..quota.room(calls, size, Urgency::Bulk, now) {
                        serial += 1;
                        quota.grant(serial, size, now);
                        under_way.push((serial, made.len()));
                        made.push(Made { at: millis, tokens: size.total() as f64 });
                        for Knows { unit, per, limit } in knows(&quota) {
                            let counted = &made[first[place(unit, per)].min(made.len())..];
                            let span = per.as_millis() as u64;
                            let inside = counted.iter().filter(|call| call.at + span > millis);
                            let used: f64 = match unit {
                                Unit::Requests => inside.count() as f64,
                                _ => inside.map(|call| call.tokens).sum(),
                            };
                            prop_assert!(used <= limit + 1e-6, "{used} of {limit} {unit:?} {per:?}");
                        }
                    }
                }
                Act::End(which, share, seen) if !under_way.is_empty() => {
                    let (serial, call) = under_way.swap_remove(which % under_way.len());
                    let real = (made[call].tokens * share) as u64;
                    quota.learn(serial, &seen, now);
                    for seen in seen.iter().filter(|it| it.known_by == KnownBy::Refusal) {
                        // What passed before it is the provider's to count.
                        first[place(seen.unit, seen.per.unwrap_or(MINUTE))] = made.len();
                    }
                    quota.settle(serial, Word::Answered(Some(tokens(real, 0)), Some(0.0)), now);
                    made[call].tokens = real as f64;
                    if first[2] == usize::MAX && !quota.accounts().is_empty() {
                        // Days are counted from when their limit is known.
                        first[2] = made.len();
                    }
                }
                Act::End(..) => (),
                Act::Fall => {
                    quota.not_kept();
                    under_way.pop();
                }
                Act::Unanswered => disk.sync_unanswered(&mut quota, now),
                Act::Lose => Disk::lose(&mut quota, now),
                Act::Reload => {
                    let mut next = untold();
                    next.follow(quota, now);
                    disk.load(&mut next, now);
                    quota = next;
                    under_way.clear();
                }
                Act::Crash => {
                    boot = millis;
                    let now = since_boot(boot, millis);
                    quota = untold();
                    disk.load(&mut quota, now);
                    under_way.clear();
                    for (place, first) in first.iter_mut().enumerate() {
                        let is_it = |it: &&LearnedLimit| self::place(it.unit, it.per) == place;
                        match disk.learned.iter().find(is_it) {
                            Some(kept) => {
                                let LearnedLimit { unit, per, limit, .. } = *kept;
                                let is_known = knows(&quota).contains(&Knows { unit, per, limit });
                                prop_assert!(is_known, "{kept:?}");
                            }
                            // What was not yet written down is known no more, nor what was used.
                            None => *first = if place == 2 { usize::MAX } else { made.len() },
                        }
                    }
                }
            }
        }
    }
}

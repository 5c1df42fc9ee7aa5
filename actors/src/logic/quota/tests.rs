//! What a lane gives within its limits, in virtual time.

mod disk;
mod learned;
mod ledger;
mod memory;
mod reference;
mod silent;

use super::*;

const START: i64 = 1_795_262_700_000;
const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Now {
    let since_start = Duration::from_millis(millis);
    Now {
        moment: Moment::from_start(since_start),
        wall: Timestamp::from_millis(START).plus(since_start),
    }
}

/// Both clocks in a process that began at `boot`.
fn since_boot(boot: u64, millis: u64) -> Now {
    Now {
        moment: at(millis - boot).moment,
        ..at(millis)
    }
}

const fn tokens(input: u64, output: u64) -> Tokens {
    Tokens { input, output }
}

fn requests(limit: f64, per: Duration) -> Quota {
    let window = Window::set(Unit::Requests, limit, per);
    Quota::new(vec![window], Vec::new(), None)
}

#[test]
fn a_wait_names_the_moment_at_which_there_is_room() {
    let mut quota = requests(2.0, SECOND);
    for serial in 0..2 {
        let now = at(serial * 100);
        assert_eq!(quota.room(1, Tokens::default(), Urgency::Bulk, now), 1);
        quota.grant(serial, Tokens::default(), now);
    }
    let mut now = at(500);
    let mut n_waits = 0;
    while quota.room(1, Tokens::default(), Urgency::Bulk, now) == 0 {
        let due = quota.due(Tokens::default(), now).expect("a wait");
        assert!(due > now.moment);
        now = at(due.since_start().as_nanos().div_ceil(1_000_000) as u64);
        n_waits += 1;
    }
    assert!((1_010..1_600).contains(&now.moment.since_start().as_millis()));
    assert!(n_waits <= 2, "{n_waits}");
}

/// Lets a lane that wants as much as it may run for so long; answers when calls began.
fn run(quota: &mut Quota, from: u64, until: u64) -> Vec<u64> {
    let (mut millis, mut serial, mut begun) = (from, from * 1_000, Vec::new());
    while millis < until {
        let now = at(millis);
        let room = quota.room(50, Tokens::default(), Urgency::Bulk, now);
        for _ in 0..room {
            serial += 1;
            quota.grant(serial, Tokens::default(), now);
            quota.settle(serial, Word::Answered(None, Some(0.0)), now);
            begun.push(millis);
        }
        millis += 5;
    }
    begun
}

#[test]
fn an_idle_lane_gives_all_at_once_and_a_busy_one_evenly() {
    let mut quota = requests(600.0, MINUTE);
    let begun = run(&mut quota, 0, 240_000);
    assert_eq!(begun.iter().filter(|at| **at < 1_000).count(), 600);
    for second in 61..237 {
        let seconds = second..second + 3;
        let inside = begun.iter().filter(|at| seconds.contains(&(**at / 1_000)));
        let inside = inside.count();
        assert!((5..=45).contains(&inside), "{inside} from second {second}");
    }
    let later = begun.iter().filter(|at| **at >= 60_000).count();
    assert!(later as f64 >= 0.97 * 1_800.0, "{later}");
    // After a rest it gives all at once again.
    assert_eq!(run(&mut quota, 400_000, 401_000).len(), 600);
}

#[test]
fn timers_that_ring_late_cost_little_of_a_limit() {
    let mut quota = requests(50.0, SECOND);
    let (mut now, mut begun) = (Duration::ZERO, Vec::new());
    while now < Duration::from_secs(60) {
        let moment = Now {
            moment: Moment::from_start(now),
            ..at(0)
        };
        if quota.room(1, Tokens::default(), Urgency::Bulk, moment) > 0 {
            let serial = begun.len() as u64;
            quota.grant(serial, Tokens::default(), moment);
            quota.settle(serial, Word::Answered(None, Some(0.0)), moment);
            begun.push(now);
        } else {
            let due = quota.due(Tokens::default(), moment).expect("a wait");
            let late = Duration::from_micros(300 + begun.len() as u64 % 7 * 500);
            now = due.since_start() + late;
        }
    }
    let steady = begun.iter().filter(|at| at.as_secs() >= 10).count();
    assert!(steady >= 2_450, "{steady} of 2,500");
}

#[test]
fn slots_are_held_back_for_urgent_work() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), Some(20));
    assert_eq!(quota.room(100, Tokens::default(), Urgency::Bulk, at(0)), 18);
    assert_eq!(
        quota.room(100, Tokens::default(), Urgency::Urgent, at(0)),
        20
    );
    assert_eq!(held_back(1, Urgency::Bulk), 0);
    assert_eq!(held_back(2, Urgency::Bulk), 1);
}

#[test]
fn a_second_begins_as_used_up_because_nobody_knows_what_was_used_of_it() {
    let window = Window::set(Unit::Requests, 5.0, SECOND).used_up(at(0).moment);
    let mut quota = Quota::new(vec![window], Vec::new(), None);
    let room =
        |quota: &mut Quota, millis| quota.room(9, Tokens::default(), Urgency::Bulk, at(millis));
    assert_eq!(room(&mut quota, 999), 0);
    assert!(room(&mut quota, 1_100) > 0);
}

#[test]
fn a_small_limit_is_used_as_well_as_a_large_one() {
    for limit in [1.0, 3.0, 10.0, 50.0] {
        let mut quota = requests(limit, SECOND);
        let begun = run(&mut quota, 0, 60_000);
        let share = begun.len() as f64 / (limit * 60.0);
        assert!(share >= 0.97, "{limit}: {share}");
    }
}

/// When calls of so many tokens begin that come each so many milliseconds for five minutes, where
/// one that may not begin goes on asking each time one comes.
fn begun_of_those_that_come(quota: &mut Quota, every: usize, reserved: Tokens) -> Vec<u64> {
    let half = tokens(reserved.input / 2, reserved.output / 2);
    let mut begun = Vec::new();
    for millis in (0..300_000).step_by(every) {
        let now = at(millis);
        if quota.room(1, reserved, Urgency::Bulk, now) == 1 {
            quota.grant(millis, reserved, now);
            quota.settle(millis, Word::Answered(Some(half), Some(0.0)), now);
            begun.push(millis);
        }
    }
    begun
}

#[test]
fn a_limit_smaller_than_one_call_is_held_however_calls_come() {
    let second = |unit, limit| Quota::new(vec![Window::set(unit, limit, SECOND)], vec![], None);
    for every in [5, 300, 1_100, 1_500, 4_000] {
        for (unit, limit, interval) in [
            (Unit::Requests, 0.5, 2_000_u64),
            (Unit::Requests, 0.1, 10_000),
            // Half of what is reserved is used.
            (Unit::Tokens, 100.0, 5_000),
        ] {
            let mut quota = second(unit, limit);

            let begun = begun_of_those_that_come(&mut quota, every, tokens(600, 400));

            let n_begun = begun.len() as u64;
            let most = 300_000 / interval + 1;
            let least = 300_000 * 9 / 10 / interval.next_multiple_of(every as u64);
            let range = least..=most;
            assert!(
                range.contains(&n_begun),
                "{unit:?} {limit} {every}: {n_begun}"
            );
        }
    }
}

#[test]
fn under_other_settings_who_asked_for_rest_has_it_and_is_probed_then() {
    let room =
        |quota: &mut Quota, millis| quota.room(9, Tokens::default(), Urgency::Urgent, at(millis));
    let follow = |earlier: &Quota, millis| {
        let mut quota = requests(60.0, MINUTE);
        quota.follow(earlier.clone(), at(millis));
        quota
    };
    let rest = Some(Duration::from_secs(600));
    for (word, rests) in [
        (Word::Bounced(rest), true),
        (Word::Exhausted(rest), true),
        (Word::Person, false),
    ] {
        let mut earlier = requests(60.0, MINUTE);
        earlier.grant(1, Tokens::default(), at(0));
        earlier.settle(1, word, at(0));

        let mut quota = follow(&earlier, 1_000);

        let at_once = room(&mut quota, 2_000);
        assert_eq!(at_once, usize::from(!rests), "{word:?}");
        assert_eq!(room(&mut quota, 601_000), 1, "{word:?}");
        quota.grant(1, Tokens::default(), at(601_000));
        assert_eq!(room(&mut quota, 602_000), 0, "{word:?}");
        let mut again = follow(&quota, 602_000);
        assert_eq!(room(&mut again, 602_000), 1, "its end would not be heard");
    }
}

#[test]
fn where_only_calls_in_flight_hold_work_back_that_is_what_is_named() {
    let window = Window::set(Unit::Requests, 10.0, MINUTE);
    let mut quota = Quota::new(vec![window], Vec::new(), Some(4));
    let named = |quota: &Quota| {
        let binding = quota.binding(Tokens::default(), at(0))?;
        Some((binding.unit, binding.per, binding.limit))
    };
    for serial in 0..2 {
        quota.grant(serial, Tokens::default(), at(0));
        assert_eq!(named(&quota), None);
    }
    quota.grant(2, Tokens::default(), at(0));
    assert_eq!(quota.room(1, Tokens::default(), Urgency::Bulk, at(0)), 0);
    assert_eq!(named(&quota), Some(("calls", "at once", 4.0)));

    for serial in 3..10 {
        quota.settle(serial - 1, Word::Answered(None, None), at(0));
        quota.grant(serial, Tokens::default(), at(0));
    }

    assert_eq!(named(&quota), Some(("requests", "minute", 10.0)));
}

#[test]
fn while_calls_in_flight_are_full_no_moment_that_is_past_is_waited_for() {
    let mut day = Account::set(Unit::Requests, vec![(Span::Day(DayReset::Utc), Some(1.0))]);
    day.load(&[], at(0).wall);
    let window = Window::set(Unit::Requests, 1.0, SECOND);
    let mut quota = Quota::new(vec![window], vec![day], Some(1));
    quota.grant(1, Tokens::default(), at(0));
    assert!(quota.due(Tokens::default(), at(0)).is_some());
    let days_later = at(2 * 86_400_000);

    let room = quota.room(1, Tokens::default(), Urgency::Urgent, days_later);

    assert_eq!(room, 0);
    assert_eq!(quota.due(Tokens::default(), days_later), None);
    let binding = quota.binding(Tokens::default(), days_later);
    assert_eq!(binding.map(|binding| binding.unit), Some("calls"));
}

#[test]
fn of_a_day_and_a_month_that_are_both_short_the_one_that_opens_last_is_named() {
    const DAY: u64 = 86_400_000;
    let limits = vec![
        (Span::Day(DayReset::Utc), Some(1.0)),
        (Span::Month, Some(2.5)),
    ];
    let mut money = Account::set(Unit::Dollars, limits);
    money.load(&[], at(0).wall);
    for (days, usd) in [(0, 0.98), (1, 0.49), (2, 0.98)] {
        money.take(usd, at(days * DAY).wall);
    }
    let quota = Quota::new(Vec::new(), vec![money], None);
    let need = Need {
        usd: 0.1,
        ..Need::default()
    };

    let binding = quota.binding(need, at(2 * DAY)).expect("a limit");

    assert_eq!((binding.per, binding.limit), ("month", 2.5));
    assert_eq!(binding.opens, quota.due(need, at(2 * DAY)));
}

#[test]
fn under_other_settings_what_was_used_still_counts() {
    let mut earlier = requests(60.0, MINUTE);
    for serial in 0..40 {
        earlier.grant(serial, Tokens::default(), at(0));
        earlier.settle(serial, Word::Answered(None, Some(0.0)), at(0));
    }
    let mut quota = requests(50.0, MINUTE);

    quota.follow(earlier, at(0));

    let room =
        |quota: &mut Quota, millis| quota.room(100, Tokens::default(), Urgency::Urgent, at(millis));
    assert_eq!(room(&mut quota, 1_000), 10);
    assert_eq!(room(&mut quota, 120_000), 50);
}

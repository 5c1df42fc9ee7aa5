//! What a lane keeps in the ledger, and has of it after a crash.

use super::disk::Disk;
use super::reference::Reference;
use super::*;

#[test]
fn a_budget_closes_the_lane_until_tomorrow() {
    let day = Span::Day(DayReset::Utc);
    let money = Account::set(Unit::Dollars, vec![(day, Some(1.0)), (Span::Month, None)]);
    let mut quota = Quota::new(Vec::new(), vec![money], None);
    let mut disk = Disk::default();
    disk.load(&mut quota, at(0));
    let mut n_calls = 0;
    let need = Need {
        tokens: Tokens::default(),
        usd: 0.02,
    };
    loop {
        quota.room(1, need, Urgency::Bulk, at(n_calls));
        disk.sync(&mut quota, at(n_calls));
        if quota.room(1, need, Urgency::Bulk, at(n_calls)) == 0 {
            break;
        }
        quota.grant(n_calls, need, at(n_calls));
        quota.settle(n_calls, Word::Answered(None, Some(0.01)), at(n_calls));
        n_calls += 1;
    }
    assert!((98..=100).contains(&n_calls), "{n_calls}");
    quota.look(at(1_000));
    assert!(quota.usd_today() <= 1.0);
    let due = quota.due(need, at(1_000)).expect("tomorrow");
    let wait = Duration::from_millis(86_400_000 - (START % 86_400_000) as u64);
    assert_eq!(due, Moment::from_start(wait));
}

#[test]
fn what_costs_more_than_was_expected_outlives_a_kill_also_when_its_day_is_over() {
    let lane = || {
        let limits = vec![
            (Span::Day(DayReset::Utc), Some(10.0)),
            (Span::Month, Some(100.0)),
        ];
        let money = Account::set(Unit::Dollars, limits);
        Quota::new(Vec::new(), vec![money], None)
    };
    let (mut quota, mut disk) = (lane(), Disk::default());
    disk.load(&mut quota, at(0));
    while !quota.reserve(1.0, at(0)) {
        disk.sync(&mut quota, at(0));
    }
    let tomorrow = 86_400_000;

    quota.amend(0.5, at(0).wall, at(tomorrow));

    disk.sync(&mut quota, at(tomorrow));
    let mut again = lane();
    let now = since_boot(tomorrow, tomorrow);
    disk.load(&mut again, now);
    again.look(now);
    let of_month = again.accounts()[0].used_in(|span| span == Span::Month);
    assert!((1.5..1.7).contains(&of_month), "{of_month}");
    assert!(!quota.wants_ledger(at(tomorrow).wall), "it is written once");
}

#[test]
fn many_calls_at_once_do_not_pass_a_budget_of_which_nothing_is_known_yet() {
    let money = Account::set(
        Unit::Dollars,
        vec![(Span::Day(DayReset::Utc), Some(0.1)), (Span::Month, None)],
    );
    let mut quota = Quota::new(Vec::new(), vec![money], None);
    let mut disk = Disk::default();
    disk.load(&mut quota, at(0));
    let need = Need {
        tokens: Tokens::default(),
        usd: 0.015,
    };
    let mut n_calls = 0;
    for _ in 0..20 {
        for _ in 0..quota.room(64, need, Urgency::Bulk, at(0)) {
            n_calls += 1;
            quota.grant(n_calls, need, at(0));
        }
        disk.sync(&mut quota, at(0));
    }
    assert_eq!(n_calls, 6);

    // One was refused and costs nothing; one was sent, and nobody knows what became of it.
    quota.settle(1, Word::Failed(None), at(10));
    quota.settle(2, Word::Unanswered, at(10));

    quota.look(at(10));
    assert!((quota.usd_today() - 5.0 * 0.015).abs() < 1e-9);
}

#[test]
fn what_needs_more_tokens_than_a_whole_day_has_goes_once_all_of_it_is_free() {
    let day = vec![(Span::Day(DayReset::Rolling), Some(20_000.0))];
    let account = Account::set(Unit::Tokens, day);
    let mut quota = Quota::new(Vec::new(), vec![account], None);
    let mut disk = Disk::default();
    disk.load(&mut quota, at(0));
    let mut room = |quota: &mut Quota, need, millis| {
        quota.room(1, need, Urgency::Bulk, at(millis));
        disk.sync(quota, at(millis));
        quota.room(1, need, Urgency::Bulk, at(millis))
    };
    let (small, large) = (tokens(100, 0), tokens(14_000, 10_000));
    assert_eq!(room(&mut quota, small, 0), 1);
    quota.grant(1, small, at(0));
    assert_eq!(room(&mut quota, large, 1_000), 0);
    let due = quota.due(large, at(1_000)).expect("a day later");
    let free = due.since_start().as_millis() as u64;
    assert!((86_400_000..87_000_000).contains(&free), "{free}");

    assert_eq!(room(&mut quota, large, free), 1);

    quota.grant(2, large, at(free));
    assert_eq!(room(&mut quota, small, free + 1), 0);
    assert!(quota.due(small, at(free + 1)).is_some());
}

/// A lane with limits on calls by the minute and the day, and on tokens by both.
fn limited() -> Quota {
    let windows = vec![
        Window::set(Unit::Requests, 30.0, MINUTE).kept(),
        Window::set(Unit::Tokens, 60_000.0, MINUTE).kept(),
    ];
    let day = |limit| vec![(Span::Day(DayReset::Rolling), Some(limit))];
    let accounts = vec![
        Account::set(Unit::Requests, day(1_000.0)),
        Account::set(Unit::Tokens, day(100_000.0)),
    ];
    Quota::new(windows, accounts, None)
}

fn used_of_days(quota: &Quota) -> Vec<f64> {
    let limits = quota.accounts().iter().flat_map(Account::limits);
    limits.map(Long::used).collect()
}

#[test]
fn an_hour_without_a_connection_uses_nothing_up_and_the_full_rate_is_there_at_once() {
    let (mut quota, mut disk) = (limited(), Disk::default());
    disk.load(&mut quota, at(0));
    let need = tokens(500, 500);
    let back = 3_600_000;
    let mut n_probes = 0;
    for millis in (0..back).step_by(10) {
        disk.sync(&mut quota, at(millis));
        if quota.room(1, need, Urgency::Bulk, at(millis)) == 1 {
            n_probes += 1;
            quota.grant(n_probes, need, at(millis));
            quota.settle(n_probes, Word::Unreachable, at(millis + 5));
        }
    }
    assert!(n_probes >= 3_500, "{n_probes}");
    quota.look(at(back));
    assert_eq!(used_of_days(&quota), [0.0, 0.0]);
    let mut again = limited();
    disk.load(&mut again, since_boot(back, back));
    again.look(since_boot(back, back));
    let of_limit = |(used, limit): (f64, f64)| used / limit;
    let used = used_of_days(&again).into_iter().zip([1_000.0, 100_000.0]);
    assert!(used.map(of_limit).all(|share| share <= 0.02));

    let begun = (back..back + 2_000).step_by(10).map(|millis| {
        disk.sync(&mut quota, at(millis));
        let room = quota.room(50, need, Urgency::Bulk, at(millis)) as u64;
        for serial in 0..room {
            let serial = millis * 100 + serial;
            quota.grant(serial, need, at(millis));
            quota.settle(serial, Word::Answered(Some(need), None), at(millis));
        }
        room
    });
    assert_eq!(begun.sum::<u64>(), 30);
}

#[test]
fn what_a_refused_call_asked_for_counts_by_the_minute_and_not_by_the_day() {
    for word in [Word::Failed(None), Word::Bounced(None)] {
        let (mut quota, mut disk) = (limited(), Disk::default());
        disk.load(&mut quota, at(0));
        let need = tokens(500, 500);
        quota.room(1, need, Urgency::Bulk, at(0));
        disk.sync(&mut quota, at(0));
        quota.grant(1, need, at(0));

        quota.settle(1, word, at(100));

        let of_minutes: Vec<f64> = quota.windows().iter().map(Window::used).collect();
        assert_eq!(of_minutes, [1.0, 1_000.0], "{word:?}");
        quota.look(at(100));
        assert_eq!(used_of_days(&quota), [1.0, 0.0], "{word:?}");
    }
}

#[test]
fn after_a_crash_a_day_is_never_too_much_and_at_most_a_hundredth_too_little() {
    for n_used in [1_u64, 7, 333, 990] {
        let day = Span::Day(DayReset::Utc);
        let lane = || {
            let account = Account::set(Unit::Requests, vec![(day, Some(1_000.0))]);
            Quota::new(Vec::new(), vec![account], None)
        };
        let mut disk = Disk::default();
        let mut quota = lane();
        disk.load(&mut quota, at(0));
        for serial in 0..n_used {
            quota.room(1, Tokens::default(), Urgency::Bulk, at(serial));
            disk.sync(&mut quota, at(serial));
            assert_eq!(
                quota.room(1, Tokens::default(), Urgency::Bulk, at(serial)),
                1
            );
            quota.grant(serial, Tokens::default(), at(serial));
        }
        disk.sync(&mut quota, at(n_used));

        let mut again = lane();
        disk.load(&mut again, at(n_used));

        again.look(at(n_used));
        let used = again.accounts()[0].limits()[0].used();
        assert!(used >= n_used as f64, "{used} {n_used}");
        assert!(used <= n_used as f64 + 10.0, "{used} {n_used}");
    }
}

#[test]
fn processes_that_fall_before_they_call_use_nothing_up() {
    let lane = || {
        let day = Account::set(
            Unit::Requests,
            vec![(Span::Day(DayReset::Utc), Some(1_000.0))],
        );
        let minute = Window::set(Unit::Requests, 60.0, MINUTE).kept();
        Quota::new(vec![minute], vec![day], None)
    };
    let mut disk = Disk::default();
    let mut first = lane();
    disk.load(&mut first, at(0));
    run_kept(&mut first, &mut disk, 0, 0..20, &mut Vec::new());
    let (used, n_writes) = (disk.entries.clone(), disk.n_writes);

    for life in 1..200 {
        let boot = life * 100;
        let mut quota = lane();
        disk.load(&mut quota, since_boot(boot, boot));
        quota.look(since_boot(boot, boot + 50));
        disk.sync(&mut quota, since_boot(boot, boot + 50));
    }

    assert!(!used.is_empty());
    assert_eq!((disk.entries, disk.n_writes), (used, n_writes));
}

#[test]
fn no_call_of_a_steady_lane_waits_for_the_ledger() {
    let day = Span::Day(DayReset::Rolling);
    let account = Account::set(Unit::Requests, vec![(day, Some(100_000.0))]);
    let mut quota = Quota::new(Vec::new(), vec![account], None);
    let mut disk = Disk::default();
    disk.load(&mut quota, at(0));
    let mut n_waits = 0;
    for serial in 0..20_000_u64 {
        let now = at(serial);
        if quota.room(1, Tokens::default(), Urgency::Bulk, now) == 0 {
            n_waits += 1;
            disk.sync(&mut quota, now);
            assert_eq!(quota.room(1, Tokens::default(), Urgency::Bulk, now), 1);
        }
        quota.grant(serial, Tokens::default(), now);
        // The disk answers only each tenth call.
        if serial % 10 == 0 {
            disk.sync(&mut quota, now);
        }
    }
    assert_eq!(n_waits, 1, "the first alone");
}

/// A lane whose minute is kept in the ledger.
fn kept_minute(limit: f64) -> Quota {
    let window = Window::set(Unit::Requests, limit, MINUTE).kept();
    Quota::new(vec![window], Vec::new(), None)
}

/// Lets such a lane of a process that began at `boot` run; adds when calls began.
fn run_kept(
    quota: &mut Quota,
    disk: &mut Disk,
    boot: u64,
    during: std::ops::Range<u64>,
    begun: &mut Vec<u64>,
) {
    let mut serial = 0;
    for millis in during.step_by(5) {
        let now = since_boot(boot, millis);
        if quota.room(50, Tokens::default(), Urgency::Bulk, now) == 0 {
            disk.sync(quota, now);
        }
        for _ in 0..quota.room(50, Tokens::default(), Urgency::Bulk, now) {
            serial += 1;
            quota.grant(serial, Tokens::default(), now);
            quota.settle(serial, Word::Answered(None, Some(0.0)), now);
            begun.push(millis);
        }
        disk.sync(quota, now);
    }
}

#[test]
fn after_a_crash_a_minute_is_never_too_much_and_soon_there_again() {
    for crash in [0, 500, 7_300, 59_000, 90_000, 131_700, 180_000] {
        let mut disk = Disk::default();
        let mut begun = Vec::new();
        let mut quota = kept_minute(600.0);
        disk.load(&mut quota, at(0));
        run_kept(&mut quota, &mut disk, 0, 0..crash, &mut begun);
        let (mut undisturbed, mut spare) = (begun.clone(), disk.clone());
        let during = crash..crash + 180_000;
        run_kept(&mut quota, &mut spare, 0, during.clone(), &mut undisturbed);

        let mut again = kept_minute(600.0);
        disk.load(&mut again, since_boot(crash, crash));
        run_kept(&mut again, &mut disk, crash, during, &mut begun);

        let made = Reference(begun.iter().map(|at| (*at, None)).collect());
        assert!(made.most(60_000, |_| 1.0) <= 600.0);
        // A sixth of a minute's time and the open block, and as much again for good measure.
        let lost = undisturbed.len().saturating_sub(begun.len());
        assert!(lost <= 320, "{lost} after a crash at {crash}");
    }
}

#[test]
fn a_minute_of_a_busy_lane_is_written_down_a_few_times_in_ten_seconds() {
    let mut disk = Disk::default();
    let mut quota = kept_minute(600.0);
    disk.load(&mut quota, at(0));
    run_kept(&mut quota, &mut disk, 0, 0..60_000, &mut Vec::new());
    let before = disk.n_writes;
    let mut begun = Vec::new();

    run_kept(&mut quota, &mut disk, 0, 60_000..240_000, &mut begun);

    assert!(
        disk.n_writes - before <= 18 * 6,
        "{}",
        disk.n_writes - before
    );
    assert!(disk.entries.len() <= 10, "{:?}", disk.entries);
}

#[test]
fn no_call_of_a_busy_minute_waits_for_the_ledger() {
    let mut disk = Disk::default();
    let mut quota = kept_minute(600.0);
    disk.load(&mut quota, at(0));
    run_kept(&mut quota, &mut disk, 0, 0..61_000, &mut Vec::new());
    let need = Tokens::default();
    let (mut n_calls, mut n_waits) = (0, 0);
    for millis in (61_000..181_000).step_by(5) {
        let now = at(millis);
        if quota.room(1, need, Urgency::Bulk, now) == 1 {
            n_calls += 1;
            quota.grant(millis, need, now);
            quota.settle(millis, Word::Answered(None, Some(0.0)), now);
        } else if quota.due(need, now).is_none() {
            n_waits += 1;
        }
        // The disk answers only five times a second.
        if millis % 200 == 0 {
            disk.sync(&mut quota, now);
        }
    }
    assert!(n_calls > 1_100, "{n_calls}");
    assert_eq!(n_waits, 0);
}

#[test]
fn under_other_settings_a_kept_minute_goes_on_with_what_the_ledger_holds() {
    let mut disk = Disk::default();
    let mut earlier = kept_minute(60.0);
    disk.load(&mut earlier, at(0));
    let mut begun = Vec::new();
    run_kept(&mut earlier, &mut disk, 0, 0..20, &mut begun);
    assert!((1..60).contains(&begun.len()), "{begun:?}");
    let mut quota = kept_minute(90.0);

    quota.follow(earlier, at(20));
    run_kept(&mut quota, &mut disk, 0, 20..1_000, &mut begun);

    assert_eq!(begun.len(), 90);
    let kept: f64 = disk.entries.values().sum();
    assert!((90.0..=100.0).contains(&kept), "{kept}");
}

#[test]
fn what_was_used_before_the_settings_limit_a_minute_outlives_a_crash_too() {
    for crash in [0, 10, 40_000] {
        let mut disk = Disk::default();
        let mut earlier = Quota::new(Vec::new(), Vec::new(), None);
        let mut begun = Vec::new();
        for millis in [100, 15_000, 29_000, 31_000] {
            earlier.grant(millis, Tokens::default(), at(millis));
            begun.push(millis);
        }
        let reload = 32_000;
        let mut quota = kept_minute(6.0);
        quota.follow(earlier, at(reload));
        run_kept(&mut quota, &mut disk, 0, reload..reload + crash, &mut begun);
        // What was asked of it when the settings were read is durable, whatever was wanted then.
        disk.sync(&mut quota, at(reload + crash));

        let boot = reload + crash + 5;
        let mut again = kept_minute(6.0);
        disk.load(&mut again, since_boot(boot, boot));
        run_kept(
            &mut again,
            &mut disk,
            boot,
            boot..boot + 180_000,
            &mut begun,
        );

        let made = Reference(begun.iter().map(|at| (*at, None)).collect());
        assert!(made.most(60_000, |_| 1.0) <= 6.0, "{crash}: {begun:?}");
        assert!(begun.len() > 15, "{crash}: {begun:?}");
    }
}

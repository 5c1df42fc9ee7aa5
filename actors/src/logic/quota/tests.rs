//! A lane against a reference that remembers every call, in virtual time, through falls and crashes.

mod silent;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::SeenLimit;

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

fn told(unit: Unit, limit: f64, remaining: f64, known_by: KnownBy) -> SeenLimit {
    SeenLimit {
        unit,
        per: Some(MINUTE),
        limit: Some(limit),
        remaining: Some(remaining),
        resets_in: None,
        known_by,
    }
}

/// The ledger as the disk holds it; long quotas stand there as windows of no length.
#[derive(Clone, Debug, Default)]
struct Disk {
    entries: BTreeMap<(Duration, Unit, Timestamp), f64>,
    n_writes: usize,
}

impl Disk {
    /// Makes every write that the quota wants, and answers it.
    fn sync(&mut self, quota: &mut Quota, now: Now) {
        self.n_writes += usize::from(quota.wants_ledger(now.wall));
        for (per, unit, slot, amount) in asked(quota, now) {
            self.enter(per, unit, slot, amount);
            for account in quota.accounts_mut() {
                if (Duration::ZERO, account.unit()) == (per, unit) {
                    account.kept(slot, amount);
                }
            }
            for window in quota.windows_mut() {
                if (window.per(), window.unit()) == (per, unit) {
                    window.is_written(slot, amount);
                }
            }
        }
    }

    /// Makes every write that the quota wants, and answers that it failed.
    fn sync_unanswered(&mut self, quota: &mut Quota, now: Now) {
        for (per, unit, slot, amount) in asked(quota, now) {
            self.enter(per, unit, slot, amount);
        }
        quota.not_kept();
    }

    fn enter(&mut self, per: Duration, unit: Unit, slot: Timestamp, amount: f64) {
        if amount > 0.0 {
            self.entries.insert((per, unit, slot), amount);
        } else {
            self.entries.remove(&(per, unit, slot));
        }
    }

    /// Fills a new quota with what was kept.
    fn load(&self, quota: &mut Quota, now: Now) {
        let own = |per: Duration, unit: Unit| -> Vec<(Timestamp, f64)> {
            let own = self.entries.iter();
            let own = own.filter(|((of, what, _), _)| (*of, *what) == (per, unit));
            own.map(|((.., slot), amount)| (*slot, *amount)).collect()
        };
        for account in quota.accounts_mut() {
            account.load(&own(Duration::ZERO, account.unit()), now.wall);
        }
        for window in quota.windows_mut() {
            window.load(&own(window.per(), window.unit()), now);
        }
    }
}

/// What the quota wants to be written.
fn asked(quota: &mut Quota, now: Now) -> Vec<(Duration, Unit, Timestamp, f64)> {
    let mut asked = Vec::new();
    for account in quota.accounts_mut() {
        let unit = account.unit();
        if account.wants_ledger() {
            account.ask_ledger(|slot, amount| asked.push((Duration::ZERO, unit, slot, amount)));
        }
    }
    for window in quota.windows_mut() {
        let (per, unit) = (window.per(), window.unit());
        if window.wants_ledger(now.wall) {
            window.ask_ledger(now.wall, |slot, amount| {
                asked.push((per, unit, slot, amount))
            });
        }
    }
    asked
}

/// Every call that was made: when, and what it really used.
#[derive(Debug, Default)]
struct Reference(Vec<(u64, Option<Tokens>)>);

impl Reference {
    /// The most that any window of so many milliseconds holds, wherever it is laid.
    fn most(&self, millis: u64, of: impl Fn(Tokens) -> f64) -> f64 {
        let (mut most, mut sum, mut first) = (0.0_f64, 0.0, 0);
        let of = |tokens: Option<Tokens>| tokens.map_or(0.0, &of);
        for &(at, tokens) in &self.0 {
            sum += of(tokens);
            while self.0[first].0 + millis <= at {
                sum -= of(self.0[first].1);
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }

    fn keeps_short_limits(&self) -> bool {
        self.most(1_000, |_| 1.0) <= 9.0
            && self.most(60_000, |_| 1.0) <= 60.0
            && self.most(60_000, |tokens| tokens.total() as f64) <= 6_000.0
            && self.most(60_000, |tokens| tokens.output as f64) <= 2_500.0
    }

    fn keeps_days(&self) -> bool {
        self.most(86_400_000, |_| 1.0) <= 400.0
            && self.most(86_400_000, |tokens| tokens.total() as f64) <= 40_000.0
    }
}

/// What happens to a lane between two looks.
#[derive(Clone, Debug)]
enum Act {
    /// Time passes.
    Pass(u64),
    /// So many calls of these tokens are wanted.
    Want(usize, Tokens),
    /// A call ends: which, how, and which share of its tokens it used.
    End(usize, u8, f64),
    /// The limiter falls: whoever waits is forgotten, the end of one call is lost.
    Fall,
    /// A write is made and its answer lost.
    Unanswered,
    /// A write is lost.
    Lose,
    /// The process dies; what is on the disk is left.
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_u64..900).prop_map(Act::Pass),
        6 => (1_usize..9, 1_u64..120, 1_u64..120)
            .prop_map(|(calls, input, output)| Act::Want(calls, tokens(input, output))),
        6 => (any::<usize>(), 0_u8..6, 0.0_f64..=1.0)
            .prop_map(|(which, how, share)| Act::End(which, how, share)),
        1 => Just(Act::Fall),
        1 => Just(Act::Unanswered),
        1 => Just(Act::Lose),
        1 => Just(Act::Crash),
    ]
}

fn lane(now: Now) -> Quota {
    let windows = vec![
        Window::set(Unit::Requests, 9.0, SECOND).used_up(now.moment),
        Window::set(Unit::Requests, 60.0, MINUTE).kept(),
        Window::set(Unit::Tokens, 6_000.0, MINUTE).kept(),
        Window::set(Unit::OutputTokens, 2_500.0, MINUTE).kept(),
    ];
    let day = Span::Day(DayReset::Rolling);
    let accounts = vec![
        Account::set(Unit::Requests, vec![(day, Some(400.0))]),
        Account::set(Unit::Tokens, vec![(day, Some(40_000.0))]),
    ];
    Quota::new(windows, accounts, Some(20))
}

proptest! {
    #[test]
    fn no_window_is_exceeded_and_no_permit_leaks(acts in prop::collection::vec(act(), 1..400)) {
        let mut disk = Disk::default();
        let mut quota = lane(at(0));
        disk.load(&mut quota, at(0));
        let mut made = Reference::default();
        let mut under_way: Vec<(u64, usize, Tokens)> = Vec::new();
        let (mut millis, mut serial, mut boot) = (0, 0, 0);
        for act in acts {
            let now = since_boot(boot, millis);
            match act {
                Act::Pass(wait) => millis += wait,
                Act::Want(calls, tokens) => {
                    quota.room(calls, tokens, Urgency::Bulk, now);
                    disk.sync(&mut quota, now);
                    for _ in 0..quota.room(calls, tokens, Urgency::Bulk, now) {
                        serial += 1;
                        quota.grant(serial, tokens, now);
                        under_way.push((serial, made.0.len(), tokens));
                        made.0.push((millis, Some(tokens)));
                    }
                    prop_assert!(quota.in_flight() <= 18);
                }
                Act::End(which, how, share) if !under_way.is_empty() => {
                    let (serial, place, reserved) = under_way.swap_remove(which % under_way.len());
                    let part = |tokens: u64| (tokens as f64 * share) as u64;
                    let real = tokens(part(reserved.input), part(reserved.output));
                    let word = match how {
                        0 => Word::Unused,
                        1 => Word::Spent(Some(real)),
                        2 => Word::Failed(None),
                        3 => Word::Spent(None),
                        _ => Word::Answered(Some(real), 0.001),
                    };
                    let used = match how {
                        0 => None,
                        1 | 4 | 5 => Some(real),
                        _ => Some(reserved),
                    };
                    quota.settle(serial, word, now);
                    made.0[place].1 = used;
                }
                Act::End(..) => (),
                Act::Fall => {
                    quota.not_kept();
                    under_way.pop();
                    quota.write_off(Duration::from_secs(30), now.moment);
                }
                Act::Unanswered => disk.sync_unanswered(&mut quota, now),
                Act::Lose => {
                    asked(&mut quota, now);
                    quota.not_kept();
                }
                Act::Crash => {
                    // The monotonic clock begins anew, the wall's goes on.
                    boot = millis;
                    let now = since_boot(boot, millis);
                    quota = lane(now);
                    disk.load(&mut quota, now);
                    under_way.clear();
                }
            }
        }
        prop_assert!(made.keeps_short_limits());
        prop_assert!(made.keeps_days());
        quota.write_off(Duration::from_secs(30), since_boot(boot, millis + 31_000).moment);
        prop_assert_eq!(quota.in_flight(), 0);
    }

    #[test]
    fn nearly_all_is_used_where_no_call_is_large(
        seed in prop::collection::vec((1_u64..600, 1_u64..600, 0_u64..40), 200),
    ) {
        let windows = vec![
            Window::set(Unit::Requests, 600.0, MINUTE),
            Window::set(Unit::Tokens, 60_000.0, MINUTE),
        ];
        let mut quota = Quota::new(windows, Vec::new(), None);
        let mut calls = seed.iter().cycle();
        let mut used: Vec<(u64, f64)> = Vec::new();
        let mut ends: std::collections::VecDeque<(u64, u64, Tokens)> = Default::default();
        let (mut millis, mut serial) = (0, 0);
        let mut next = *calls.next().expect("a call");
        while millis < 240_000 {
            let now = at(millis);
            while ends.front().is_some_and(|(end, ..)| *end <= millis) {
                let (_, serial, real) = ends.pop_front().expect("it was just seen");
                quota.settle(serial, Word::Answered(Some(real), 0.0), now);
            }
            let (input, output, gap) = next;
            let wanted = tokens(input, output);
            if quota.room(1, wanted, Urgency::Bulk, now) == 1 {
                serial += 1;
                quota.grant(serial, wanted, now);
                // What was estimated for the answer is twice what it is.
                let real = tokens(input, output / 2);
                ends.push_back((millis + 300, serial, real));
                used.push((millis, real.total() as f64));
                next = *calls.next().expect("a call");
                millis += gap / 20;
            } else {
                let due = quota.due(wanted, now).map(|due| due.since_start());
                let due = due.map_or(u64::MAX, |due| due.as_nanos().div_ceil(1_000_000) as u64);
                let end = ends.front().map_or(u64::MAX, |(end, ..)| *end);
                prop_assert!(due.min(end) < u64::MAX, "nobody would wake up: {:?}", quota.windows());
                millis = due.min(end).max(millis + 1);
            }
        }
        let later = used.iter().filter(|(at, _)| (60_000..240_000).contains(at));
        let (n_calls, n_tokens) = later.fold((0.0, 0.0), |(n, sum), (_, used)| (n + 1.0, sum + used));
        let share = f64::max(n_calls / 1_800.0, n_tokens / 180_000.0);
        prop_assert!(share >= 0.95, "{share}");
    }

    #[test]
    fn what_is_given_back_leaves_no_trace(sizes in prop::collection::vec(1_u64..20, 1..50)) {
        let window = Window::set(Unit::Tokens, 1_000.0, MINUTE);
        let mut quota = Quota::new(vec![window], Vec::new(), Some(8));
        for (serial, size) in sizes.into_iter().enumerate() {
            let (serial, size) = (serial as u64, tokens(size, 0));
            prop_assert_eq!(quota.room(1, size, Urgency::Urgent, at(serial)), 1);
            quota.grant(serial, size, at(serial));
            quota.settle(serial, Word::Unused, at(serial));
        }
        prop_assert_eq!(quota.in_flight(), 0);
        prop_assert!(quota.windows()[0].used().abs() < 1e-6);
    }
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
            quota.settle(serial, Word::Answered(None, 0.0), now);
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
fn a_limit_told_in_headers_holds_at_once_and_a_lower_one_beats_the_settings() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);
    quota.grant(1, Tokens::default(), at(0));
    let seen = [told(Unit::Requests, 60.0, 20.0, KnownBy::Headers)];
    assert_eq!(quota.learn(1, &seen, at(10)).len(), 1);
    quota.settle(1, Word::Answered(None, 0.0), at(10));
    let room = quota.room(100, Tokens::default(), Urgency::Bulk, at(20));
    assert_eq!(room, 20, "others have used the rest");

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
fn absurd_limits_are_not_believed() {
    let mut quota = Quota::new(Vec::new(), Vec::new(), None);
    quota.grant(1, Tokens::default(), at(0));
    for limit in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let seen = [told(Unit::Requests, limit, f64::NAN, KnownBy::Headers)];
        assert_eq!(quota.learn(1, &seen, at(1)), []);
    }
    let room = quota.room(100, Tokens::default(), Urgency::Bulk, at(2));
    assert_eq!(room, 100);
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
    for millis in 0..240_000 {
        let now = at(millis);
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
                Word::Answered(None, 0.0)
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
fn a_budget_closes_the_lane_until_tomorrow() {
    let day = Span::Day(DayReset::Utc);
    let money = Account::set(Unit::Dollars, vec![(day, Some(1.0)), (Span::Month, None)]);
    let mut quota = Quota::new(Vec::new(), vec![money], None);
    let mut disk = Disk::default();
    disk.load(&mut quota, at(0));
    let mut n_calls = 0;
    loop {
        disk.sync(&mut quota, at(n_calls));
        quota.room(1, Tokens::default(), Urgency::Bulk, at(n_calls));
        disk.sync(&mut quota, at(n_calls));
        if quota.room(1, Tokens::default(), Urgency::Bulk, at(n_calls)) == 0 {
            break;
        }
        quota.grant(n_calls, Tokens::default(), at(n_calls));
        quota.settle(n_calls, Word::Answered(None, 0.01), at(n_calls));
        n_calls += 1;
    }
    assert!((98..=100).contains(&n_calls), "{n_calls}");
    quota.look(at(1_000));
    assert!(quota.usd_today() <= 1.0);
    let due = quota.due(Tokens::default(), at(1_000)).expect("tomorrow");
    let wait = Duration::from_millis(86_400_000 - (START % 86_400_000) as u64);
    assert_eq!(due, Moment::from_start(wait));
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
            quota.settle(serial, Word::Answered(None, 0.0), now);
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
            quota.settle(millis, Word::Answered(None, 0.0), now);
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
fn a_second_begins_as_used_up_because_nobody_knows_what_was_used_of_it() {
    let window = Window::set(Unit::Requests, 5.0, SECOND).used_up(at(0).moment);
    let mut quota = Quota::new(vec![window], Vec::new(), None);
    let room =
        |quota: &mut Quota, millis| quota.room(9, Tokens::default(), Urgency::Bulk, at(millis));
    assert_eq!(room(&mut quota, 999), 0);
    assert!(room(&mut quota, 1_100) > 0);
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

    quota.follow(earlier);
    run_kept(&mut quota, &mut disk, 0, 20..1_000, &mut begun);

    assert_eq!(begun.len(), 90);
    let kept: f64 = disk.entries.values().sum();
    assert!((90.0..=100.0).contains(&kept), "{kept}");
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

#[test]
fn under_other_settings_what_was_used_still_counts() {
    let mut earlier = requests(60.0, MINUTE);
    for serial in 0..40 {
        earlier.grant(serial, Tokens::default(), at(0));
        earlier.settle(serial, Word::Answered(None, 0.0), at(0));
    }
    let mut quota = requests(50.0, MINUTE);

    quota.follow(earlier);

    let room =
        |quota: &mut Quota, millis| quota.room(100, Tokens::default(), Urgency::Urgent, at(millis));
    assert_eq!(room(&mut quota, 1_000), 10);
    assert_eq!(room(&mut quota, 120_000), 50);
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

    quota.follow(earlier);

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

//! A lane against a reference that remembers every call, through falls and crashes.

use proptest::prelude::*;

use super::disk::Disk;
use super::*;

/// Every call that was made: when, and what it really used.
#[derive(Debug, Default)]
pub(super) struct Reference(pub(super) Vec<(u64, Option<Tokens>)>);

/// What every call that was made really cost: when, and how many US dollars.
#[derive(Debug, Default)]
struct Bills(Vec<(u64, f64)>);

impl Bills {
    fn keep_budgets(&self) -> bool {
        let day = |at: u64| (START + at.cast_signed()).div_euclid(86_400_000);
        let of_day = |wanted| {
            let bills = self.0.iter().filter(|(at, _)| day(*at) == wanted);
            bills.map(|(_, usd)| usd).sum::<f64>()
        };
        let all: f64 = self.0.iter().map(|(_, usd)| usd).sum();
        self.0
            .iter()
            .all(|(at, _)| of_day(day(*at)) <= USD_PER_DAY + 1e-9)
            && all <= USD_PER_MONTH + 1e-9
    }
}

const USD_PER_DAY: f64 = 1.0;
const USD_PER_MONTH: f64 = 2.5;

impl Reference {
    /// The most that any window of so many milliseconds holds, wherever it is laid.
    pub(super) fn most(&self, millis: u64, of: impl Fn(Tokens) -> f64) -> f64 {
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
    /// Half a day passes.
    Sleep,
    /// So many calls of these tokens, at most at this price, are wanted.
    Want(usize, Tokens, f64),
    /// A call ends: which, how, and which share of its tokens and its price it used.
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
        16 => (1_u64..900).prop_map(Act::Pass),
        1 => Just(Act::Sleep),
        24 => (1_usize..9, 1_u64..120, 1_u64..120, 0.001..0.2)
            .prop_map(|(calls, input, output, usd)| Act::Want(calls, tokens(input, output), usd)),
        24 => (any::<usize>(), 0_u8..9, 0.0_f64..=1.0)
            .prop_map(|(which, how, share)| Act::End(which, how, share)),
        4 => Just(Act::Fall),
        4 => Just(Act::Unanswered),
        4 => Just(Act::Lose),
        4 => Just(Act::Crash),
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
        Account::set(
            Unit::Dollars,
            vec![
                (Span::Day(DayReset::Utc), Some(USD_PER_DAY)),
                (Span::Month, Some(USD_PER_MONTH)),
            ],
        ),
    ];
    Quota::new(windows, accounts, Some(20))
}

proptest! {
    #[test]
    fn no_window_is_exceeded_and_no_permit_leaks(acts in prop::collection::vec(act(), 1..400)) {
        let mut disk = Disk::default();
        let mut quota = lane(at(0));
        disk.load(&mut quota, at(0));
        let (mut made, mut bills) = (Reference::default(), Bills::default());
        // A day does not count the tokens of calls that were refused.
        let mut of_days = Reference::default();
        let mut under_way: Vec<(u64, usize, Need)> = Vec::new();
        let (mut millis, mut serial, mut boot) = (0, 0, 0);
        for act in acts {
            let now = since_boot(boot, millis);
            match act {
                Act::Pass(wait) => millis += wait,
                Act::Sleep => millis += 43_200_000,
                Act::Want(calls, tokens, usd) => {
                    let need = Need { tokens, usd };
                    quota.room(calls, need, Urgency::Bulk, now);
                    disk.sync(&mut quota, now);
                    for _ in 0..quota.room(calls, need, Urgency::Bulk, now) {
                        serial += 1;
                        quota.grant(serial, need, now);
                        under_way.push((serial, made.0.len(), need));
                        made.0.push((millis, Some(tokens)));
                        of_days.0.push((millis, Some(tokens)));
                        bills.0.push((millis, usd));
                    }
                    prop_assert!(quota.in_flight() <= 18);
                }
                Act::End(which, how, share) if !under_way.is_empty() => {
                    let (serial, place, reserved) = under_way.swap_remove(which % under_way.len());
                    let part = |tokens: u64| (tokens as f64 * share) as u64;
                    let Need { tokens: held, usd } = reserved;
                    let real = tokens(part(held.input), part(held.output));
                    let (word, used, cost) = match how {
                        0 => (Word::Unused, None, 0.0),
                        1 => (Word::Spent(Some(real)), Some(real), usd),
                        2 => (Word::Failed(None), Some(held), 0.0),
                        3 => (Word::Spent(None), Some(held), usd),
                        4 => (Word::Unanswered, Some(held), usd),
                        5 => (Word::Answered(Some(real), None), Some(real), usd),
                        6 => (Word::Unreachable, None, 0.0),
                        _ => {
                            let cost = usd * share;
                            (Word::Answered(Some(real), Some(cost)), Some(real), cost)
                        }
                    };
                    quota.settle(serial, word, now);
                    made.0[place].1 = used;
                    of_days.0[place].1 = match word {
                        Word::Failed(_) => Some(Tokens::default()),
                        _ => used,
                    };
                    bills.0[place].1 = cost;
                }
                Act::End(..) => (),
                Act::Fall => {
                    quota.not_kept();
                    under_way.pop();
                    quota.write_off(Duration::from_secs(30), now.moment);
                }
                Act::Unanswered => disk.sync_unanswered(&mut quota, now),
                Act::Lose => Disk::lose(&mut quota, now),
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
        prop_assert!(of_days.keeps_days());
        prop_assert!(bills.keep_budgets());
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
                quota.settle(serial, Word::Answered(Some(real), Some(0.0)), now);
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
    fn what_is_given_back_leaves_no_trace(
        calls in prop::collection::vec((1_u64..20, any::<bool>(), 0_u64..90_000), 1..200),
    ) {
        let (mut quota, mut disk) = (lane(at(0)), Disk::default());
        disk.load(&mut quota, at(0));
        let mut millis = 2_000;
        for (serial, (size, is_connected, wait)) in calls.into_iter().enumerate() {
            let (serial, need) = (serial as u64, Need { tokens: tokens(size, size), usd: 0.01 });
            while quota.room(1, need, Urgency::Urgent, at(millis)) == 0 {
                disk.sync(&mut quota, at(millis));
                millis += 10;
            }
            quota.grant(serial, need, at(millis));
            millis += wait;
            let word = if is_connected { Word::Unused } else { Word::Unreachable };
            quota.settle(serial, word, at(millis));
        }
        prop_assert_eq!(quota.in_flight(), 0);
        quota.look(at(millis));
        prop_assert!(quota.windows().iter().all(|window| window.used().abs() < 1e-6));
        let mut limits = quota.accounts().iter().flat_map(Account::limits);
        prop_assert!(limits.all(|long| long.used().abs() < 1e-6));
    }
}

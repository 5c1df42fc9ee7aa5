//! A lane against a reference that remembers every call, through falls and crashes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{
    Config, RngAlgorithm, TestCaseError, TestCaseResult, TestRng, TestRunner,
};

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

// So small that each of them holds calls back in many of the cases, as a test below demands.
const REQUESTS_PER_SECOND: f64 = 9.0;
const REQUESTS_PER_MINUTE: f64 = 25.0;
const TOKENS_PER_MINUTE: f64 = 2_500.0;
const OUTPUT_TOKENS_PER_MINUTE: f64 = 1_200.0;
const REQUESTS_PER_DAY: f64 = 35.0;
const TOKENS_PER_DAY: f64 = 4_000.0;
const USD_PER_DAY: f64 = 0.7;
const USD_PER_MONTH: f64 = 1.2;
const AT_ONCE: usize = 12;
/// How many of them work may use that is not urgent.
const OPEN_TO_BULK: usize = 11;

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
        self.most(1_000, |_| 1.0) <= REQUESTS_PER_SECOND
            && self.most(60_000, |_| 1.0) <= REQUESTS_PER_MINUTE
            && self.most(60_000, |tokens| tokens.total() as f64) <= TOKENS_PER_MINUTE
            && self.most(60_000, |tokens| tokens.output as f64) <= OUTPUT_TOKENS_PER_MINUTE
    }

    fn keeps_days(&self) -> bool {
        self.most(86_400_000, |_| 1.0) <= REQUESTS_PER_DAY
            && self.most(86_400_000, |tokens| tokens.total() as f64) <= TOKENS_PER_DAY
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
        2 => Just(Act::Pass(20_000)),
        1 => Just(Act::Sleep),
        24 => (1_usize..9, 1_u64..120, 1_u64..120, 0.0005..0.05)
            .prop_map(|(calls, input, output, usd)| Act::Want(calls, tokens(input, output), usd)),
        24 => (any::<usize>(), 0_u8..12, 0.0_f64..=1.0)
            .prop_map(|(which, how, share)| Act::End(which, how, share)),
        4 => Just(Act::Fall),
        4 => Just(Act::Unanswered),
        4 => Just(Act::Lose),
        4 => Just(Act::Crash),
    ]
}

fn lane(now: Now) -> Quota {
    let windows = vec![
        Window::set(Unit::Requests, REQUESTS_PER_SECOND, SECOND).used_up(now.moment),
        Window::set(Unit::Requests, REQUESTS_PER_MINUTE, MINUTE).kept(),
        Window::set(Unit::Tokens, TOKENS_PER_MINUTE, MINUTE).kept(),
        Window::set(Unit::OutputTokens, OUTPUT_TOKENS_PER_MINUTE, MINUTE).kept(),
    ];
    let day = Span::Day(DayReset::Rolling);
    let accounts = vec![
        Account::set(Unit::Requests, vec![(day, Some(REQUESTS_PER_DAY))]),
        Account::set(Unit::Tokens, vec![(day, Some(TOKENS_PER_DAY))]),
        Account::set(
            Unit::Dollars,
            vec![
                (Span::Day(DayReset::Utc), Some(USD_PER_DAY)),
                (Span::Month, Some(USD_PER_MONTH)),
            ],
        ),
    ];
    Quota::new(windows, accounts, Some(AT_ONCE))
}

/// What a limit counts, and over what time.
type Named = (&'static str, &'static str);

/// The limits of which less is left than so many calls need, as far as one of them alone decided
/// that only so many of these were granted.
fn deciding(quota: &mut Quota, wanted: usize, granted: usize, need: Need, now: Now) -> Vec<Named> {
    if granted >= wanted || quota.breaker.most(now.moment) < wanted {
        return Vec::new();
    }
    let charge = Charge::from(need);
    let decides = |left: f64, of_one: f64| {
        let fitting = ((left + 1e-9) / of_one).max(0.0);
        of_one > 0.0 && fitting < wanted as f64 && fitting as usize == granted
    };
    let windows = quota.windows().iter().filter(|it| {
        let limit = it.limit();
        limit.is_some_and(|limit| decides(limit - it.used(), charge.of(it.unit())))
    });
    let windows = windows.map(|it| (it.unit().name(), per_name(it.per())));
    let accounts = quota.accounts().iter().flat_map(|account| {
        let longs = account.limits().iter().filter(move |it| {
            let limit = it.limit();
            limit.is_some_and(|limit| decides(limit - it.used(), charge.of(account.unit())))
        });
        longs.map(|it| (account.unit().name(), it.span.name()))
    });
    let calls = decides((OPEN_TO_BULK - quota.in_flight()) as f64, 1.0);
    let calls = calls.then_some((binding::CALLS, binding::AT_ONCE));
    windows.chain(accounts).chain(calls).collect()
}

/// A lane through falls and crashes, and what was really made of it.
struct Life {
    quota: Quota,
    disk: Disk,
    made: Reference,
    /// A day does not count the tokens of calls that were refused.
    of_days: Reference,
    bills: Bills,
    /// Calls under way: their serial, their place among those made, and what they reserved.
    under_way: Vec<(u64, usize, Need)>,
    millis: u64,
    serial: u64,
    /// When the present process began.
    boot: u64,
    /// The limits that held calls back.
    bound: BTreeSet<Named>,
}

impl Life {
    fn new() -> Self {
        let (mut quota, disk) = (lane(at(0)), Disk::default());
        disk.load(&mut quota, at(0));
        Self {
            quota,
            disk,
            made: Reference::default(),
            of_days: Reference::default(),
            bills: Bills::default(),
            under_way: Vec::new(),
            millis: 0,
            serial: 0,
            boot: 0,
            bound: BTreeSet::new(),
        }
    }

    /// Lives through these; answers which limits held calls back, and fails where one did not
    /// hold or a permit leaked.
    fn run(acts: Vec<Act>) -> Result<BTreeSet<Named>, TestCaseError> {
        let mut life = Self::new();
        for act in acts {
            life.act(act)?;
        }
        life.check()?;
        Ok(life.bound)
    }

    fn act(&mut self, act: Act) -> TestCaseResult {
        let now = since_boot(self.boot, self.millis);
        match act {
            Act::Pass(wait) => self.millis += wait,
            Act::Sleep => self.millis += 43_200_000,
            Act::Want(calls, tokens, usd) => {
                self.want(calls, Need { tokens, usd }, now);
                prop_assert!(self.quota.in_flight() <= OPEN_TO_BULK);
            }
            Act::End(which, how, share) if !self.under_way.is_empty() => {
                let which = which % self.under_way.len();
                self.end(which, how, share, now);
            }
            Act::End(..) => (),
            Act::Fall => {
                self.quota.not_kept();
                self.under_way.pop();
                self.quota.write_off(Duration::from_secs(30), now.moment);
            }
            Act::Unanswered => self.disk.sync_unanswered(&mut self.quota, now),
            Act::Lose => Disk::lose(&mut self.quota, now),
            Act::Crash => {
                // The monotonic clock begins anew, the wall's goes on.
                self.boot = self.millis;
                let now = since_boot(self.boot, self.millis);
                self.quota = lane(now);
                self.disk.load(&mut self.quota, now);
                self.under_way.clear();
            }
        }
        Ok(())
    }

    /// Makes as many of these calls as are granted, the ledger being written whenever one waits
    /// for it.
    fn want(&mut self, calls: usize, need: Need, now: Now) {
        let mut wanted = calls;
        while wanted > 0 {
            self.quota.room(wanted, need, Urgency::Bulk, now);
            self.disk.sync(&mut self.quota, now);
            let room = self.quota.room(wanted, need, Urgency::Bulk, now);
            let deciding = deciding(&mut self.quota, wanted, room, need, now);
            self.bound.extend(deciding);
            for _ in 0..room {
                self.begin(need, now);
            }
            if room == 0 {
                return;
            }
            wanted -= room;
        }
    }

    fn begin(&mut self, need: Need, now: Now) {
        self.serial += 1;
        self.quota.grant(self.serial, need, now);
        self.under_way.push((self.serial, self.made.0.len(), need));
        self.made.0.push((self.millis, Some(need.tokens)));
        self.of_days.0.push((self.millis, Some(need.tokens)));
        self.bills.0.push((self.millis, need.usd));
    }

    fn end(&mut self, which: usize, how: u8, share: f64, now: Now) {
        let (serial, place, reserved) = self.under_way.swap_remove(which);
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
        self.quota.settle(serial, word, now);
        self.made.0[place].1 = used;
        self.of_days.0[place].1 = match word {
            Word::Failed(_) => Some(Tokens::default()),
            _ => used,
        };
        self.bills.0[place].1 = cost;
    }

    fn check(&mut self) -> TestCaseResult {
        prop_assert!(self.made.keeps_short_limits());
        prop_assert!(self.of_days.keeps_days());
        prop_assert!(self.bills.keep_budgets());
        let later = since_boot(self.boot, self.millis + 31_000);
        let patience = Duration::from_secs(30);
        self.quota.write_off(patience, later.moment);
        prop_assert_eq!(self.quota.in_flight(), 0);
        Ok(())
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..400)
}

#[test]
fn the_model_reaches_each_limit_in_a_good_part_of_the_cases() {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let (n_cases, n_bound) = (config.cases, std::cell::RefCell::new(BTreeMap::new()));

    TestRunner::new_with_rng(config, rng)
        .run(&acts(), |acts| {
            for limit in Life::run(acts)? {
                *n_bound.borrow_mut().entry(limit).or_default() += 1;
            }
            Ok(())
        })
        .expect("the lane keeps its limits");

    let n_bound: BTreeMap<Named, u32> = n_bound.into_inner();
    let limits = [
        ("requests", "second"),
        ("requests", "minute"),
        ("tokens", "minute"),
        ("output tokens", "minute"),
        ("requests", "day"),
        ("tokens", "day"),
        ("US dollars", "day"),
        ("US dollars", "month"),
        (binding::CALLS, binding::AT_ONCE),
    ];
    for limit in limits {
        let n_bound = n_bound.get(&limit).copied().unwrap_or(0);
        assert!(n_bound * 10 >= n_cases, "{limit:?}: {n_bound} of {n_cases}");
    }
}

proptest! {
    #[test]
    fn no_window_is_exceeded_and_no_permit_leaks(acts in acts()) {
        Life::run(acts)?;
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

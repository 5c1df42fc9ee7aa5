//! A lane whose provider tells nothing of its limits, against buckets that count for themselves.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::disk::Disk;
use super::*;

/// What a provider allows, and what the calls to it are like.
#[derive(Clone, Copy, Debug)]
struct Silent {
    requests_a_minute: f64,
    tokens_a_minute: f64,
    /// The tokens of a call, on average.
    tokens: f64,
    /// How far they differ: the standard deviation of their logarithm.
    spread: f64,
    /// How long an answer takes, on average.
    latency: f64,
    /// The share of calls that are refused whatever the pace.
    by_chance: f64,
    /// When the provider allows less of both, and what share of it.
    falls: Option<(u64, f64)>,
    /// When the process dies, and starts again at once.
    dies_at: Option<u64>,
    /// From when until when every call is refused.
    storm: Option<(u64, u64)>,
}

/// A bucket that refills continuously, full at first.
struct Refilled {
    most: f64,
    level: f64,
    at: u64,
}

impl Refilled {
    fn level(&mut self, millis: u64) -> &mut f64 {
        let refilled = (millis - self.at) as f64 * self.most / 60_000.0;
        self.level = (self.level + refilled).min(self.most);
        self.at = millis;
        &mut self.level
    }
}

/// What the provider counted of the calls in some time.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    calls: f64,
    tokens: f64,
    refused: f64,
}

/// A call under way, or its refusal.
struct UnderWay {
    serial: u64,
    most: f64,
    /// What it uses; none where it was refused.
    real: Option<f64>,
}

impl Silent {
    /// Lets a lane that wants all it can get run from `from` to `until`; answers what the
    /// provider counted from then on.
    fn count(mut self, seed: u64, from: u64, until: u64) -> Counted {
        let mut rng = Rng::with_seed(seed);
        let new = || Quota::new(Vec::new(), Vec::new(), Some(10)).recalling();
        let (mut quota, mut disk, mut boot) = (new(), Disk::default(), 0);
        disk.load(&mut quota, at(0));
        let mut buckets = [self.requests_a_minute, self.tokens_a_minute].map(|most| Refilled {
            most,
            level: most,
            at: 0,
        });
        let mut ends: BTreeMap<(u64, u64), UnderWay> = BTreeMap::new();
        let mut counted = Counted::default();
        let (mut millis, mut serial) = (0, 0);
        let mut size = self.tokens * lognormal(&mut rng, self.spread);
        while millis < until {
            if self.dies_at.is_some_and(|at| boot < at && at <= millis) {
                (quota, boot) = (new(), millis);
                disk.load(&mut quota, since_boot(boot, millis));
                ends.clear();
            }
            if let Some((_, share)) = self.falls.take_if(|(at, _)| *at <= millis) {
                for bucket in &mut buckets {
                    bucket.most *= share;
                }
            }
            let now = since_boot(boot, millis);
            disk.sync(&mut quota, now);
            while let Some(end) = ends.first_entry().filter(|end| end.key().0 <= millis) {
                let call = end.remove();
                let word = match call.real {
                    Some(real) => {
                        *buckets[1].level(millis) += call.most - real;
                        Word::Answered(Some(tokens(real as u64, 0)), Some(0.0))
                    }
                    None => Word::Bounced(None),
                };
                quota.settle(call.serial, word, now);
            }
            while quota.room(1, tokens(size as u64, 0), Urgency::Bulk, now) == 1 {
                serial += 1;
                quota.grant(serial, tokens(size as u64, 0), now);
                // A call is let in by the most that it may use.
                let most = size * 1.5;
                let costs = [1.0, most];
                let mut open = buckets.iter_mut().zip(costs);
                let is_in_storm = self
                    .storm
                    .is_some_and(|(from, to)| (from..to).contains(&millis));
                let is_unlucky = is_in_storm || self.by_chance > 0.0 && rng.f64() < self.by_chance;
                let is_let_in =
                    !is_unlucky && open.all(|(bucket, cost)| *bucket.level(millis) >= cost);
                let real = (size * lognormal(&mut rng, 0.2)).min(most);
                if is_let_in {
                    for (bucket, cost) in buckets.iter_mut().zip(costs) {
                        bucket.level -= cost;
                    }
                }
                if millis >= from {
                    let passed = f64::from(u8::from(is_let_in));
                    counted.calls += passed;
                    counted.tokens += real * passed;
                    counted.refused += 1.0 - passed;
                }
                let latency = match is_let_in {
                    true => self.latency * lognormal(&mut rng, 0.4),
                    false => 2.0,
                };
                let real = is_let_in.then_some(real);
                ends.insert(
                    (millis + latency as u64, serial),
                    UnderWay { serial, most, real },
                );
                size = self.tokens * lognormal(&mut rng, self.spread);
            }
            let due = quota.due(tokens(size as u64, 0), now);
            let due = due.map(|due| due.since_start().as_nanos().div_ceil(1_000_000) as u64 + boot);
            let end = ends.keys().next().map(|end| end.0);
            let next = due.into_iter().chain(end).filter(|next| *next > millis);
            millis = next.min().unwrap_or(millis + 1);
        }
        counted
    }
}

/// A factor whose logarithm is normal.
fn lognormal(rng: &mut Rng, spread: f64) -> f64 {
    let normal: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    (spread * normal).exp()
}

/// What a lane used of the limit that binds, and the share of calls refused, over many seeds.
fn measure(silent: Silent, seeds: u64, from: u64, until: u64) -> (f64, f64) {
    let minutes = (until - from) as f64 / 60_000.0;
    let (mut share, mut refused) = (0.0, 0.0);
    for seed in 0..seeds {
        let counted = silent.count(seed, from, until);
        let of_requests = counted.calls / (minutes * silent.requests_a_minute);
        let of_tokens = counted.tokens / (minutes * silent.tokens_a_minute);
        share += of_requests.max(of_tokens) / seeds as f64;
        refused += counted.refused / (counted.calls + counted.refused) / seeds as f64;
    }
    (share, refused)
}

/// Large calls, so that tokens bind.
const LARGE: Silent = Silent {
    requests_a_minute: 600.0,
    tokens_a_minute: 60_000.0,
    tokens: 570.0,
    spread: 0.3,
    latency: 300.0,
    by_chance: 0.0,
    falls: None,
    dies_at: None,
    storm: None,
};

/// Small ones, so that requests do.
const SMALL: Silent = Silent {
    tokens: 50.0,
    ..LARGE
};

#[test]
fn what_nobody_tells_is_used_from_the_second_minute_on_and_seldom_refused() {
    let slow = Silent {
        requests_a_minute: 60.0,
        ..SMALL
    };
    for silent in [LARGE, SMALL, slow] {
        let (share, refused) = measure(silent, 40, 60_000, 240_000);
        assert!(share >= 0.95, "{share} of {silent:?}");
        assert!(refused <= 0.008, "{refused} of {silent:?}");
    }
}

#[test]
fn over_an_hour_what_nobody_tells_is_used_and_not_exceeded() {
    let uneven = Silent {
        spread: 0.8,
        ..LARGE
    };
    for silent in [LARGE, SMALL, uneven] {
        let (share, refused) = measure(silent, 3, 600_000, 4_200_000);
        assert!((0.97..1.02).contains(&share), "{share} of {silent:?}");
        assert!(refused <= 0.008, "{refused} of {silent:?}");
    }
}

#[test]
fn what_nobody_tells_is_used_and_seldom_refused_from_the_first_minute_after_a_crash() {
    for silent in [LARGE, SMALL] {
        let dies = Silent {
            dies_at: Some(150_000),
            ..silent
        };
        let (share, refused) = measure(dies, 40, 150_000, 210_000);
        assert!((0.9..1.05).contains(&share), "{share} of {silent:?}");
        assert!(refused <= 0.008, "{refused} of {silent:?}");
    }
}

#[test]
fn a_provider_that_refuses_some_calls_whatever_the_pace_is_still_used_after_hours() {
    let overloaded = Silent {
        by_chance: 0.01,
        ..SMALL
    };
    let (share, _) = measure(overloaded, 10, 7_200_000, 10_800_000);
    assert!(share >= 0.1, "{share}");
}

#[test]
fn after_minutes_in_which_all_was_refused_the_earlier_rate_is_soon_there_again() {
    for silent in [LARGE, SMALL] {
        for (minutes, dies_at) in [(5, None), (10, None), (10, Some(900_000))] {
            let over = 600_000 + minutes * 60_000;
            let storm = Silent {
                storm: Some((600_000, over)),
                dies_at,
                ..silent
            };
            let (share, _) = measure(storm, 10, over + 120_000, over + 300_000);
            assert!(share >= 0.85, "{share} of {storm:?}");
        }
    }
}

#[test]
fn a_lane_that_was_refused_everything_from_the_first_call_on_has_the_pace_that_is_set() {
    let mut quota = requests(600.0, MINUTE);
    for millis in (0..600_000).step_by(10) {
        if quota.room(1, Tokens::default(), Urgency::Bulk, at(millis)) == 1 {
            quota.grant(millis, Tokens::default(), at(millis));
            quota.settle(millis, Word::Bounced(None), at(millis + 5));
        }
    }

    // It is left alone for a minute at most; then a minute's calls go, and those of the next.
    let begun = run(&mut quota, 600_000, 780_000);
    assert!(begun.len() > 1_200, "{}", begun.len());
}

#[test]
fn a_limit_that_falls_is_found_again_and_seldom_exceeded() {
    for silent in [LARGE, SMALL] {
        for share in [0.6, 0.48, 0.44, 0.4, 0.1] {
            let falls = Silent {
                falls: Some((600_000, share)),
                ..silent
            };
            let (used, refused) = measure(falls, 2, 1_200_000, 3_600_000);
            let used = used / share;
            assert!((0.95..1.02).contains(&used), "{used} of {falls:?}");
            assert!(refused <= 0.008, "{refused} of {falls:?}");
        }
    }
}

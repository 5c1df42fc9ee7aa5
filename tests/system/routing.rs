//! Which provider is asked: by each rule, and when one is closed, hangs, refuses or is slow.

use std::time::Duration;

use babelfeed_actors::domain::{Class, DayReset, TaskId};
use babelfeed_actors::logic::routing::By;
use babelfeed_actors::messages::{NowError, Providers, TranslateNow};
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, tag};
use tokio::time::Instant;

use crate::helpers::{assert_legal, ending, hand_in, pass, texts, translation};

fn two(world: &mut World, latencies: [u64; 2], limits: [LaneLimits; 2]) -> [FakeProvider; 2] {
    let providers =
        latencies.map(|millis| FakeProvider::with_latency(Duration::from_millis(millis)));
    let [first, second] = providers.clone();
    let [first_limits, second_limits] = limits;
    world.providers = vec![
        ("first", first, first_limits),
        ("second", second, second_limits),
    ];
    world.config.max_batch_size = 1;
    providers
}

const FREE: [LaneLimits; 2] = [NONE; 2];
const NONE: LaneLimits = LaneLimits {
    rps: None,
    rpm: None,
    rpd: None,
    tps: None,
    tpm: None,
    itpm: None,
    otpm: None,
    tpd: None,
    day: DayReset::Rolling,
    concurrency: None,
    usd_per_day: None,
    usd_per_month: None,
};

fn transient() -> ProviderFault {
    ProviderFault::Error(ProviderError::Transient {
        detail: "503".into(),
        wait: None,
    })
}

fn bounced(wait: u64) -> ProviderFault {
    ProviderFault::Error(ProviderError::RateLimited {
        wait: Some(Duration::from_secs(wait)),
        detail: "429".into(),
    })
}

async fn assert_attempts(handles: &Handles, ids: &[TaskId], most: u32) {
    for &id in ids {
        let record = find(handles, id).await.record;
        assert_legal(&record);
        assert!(record.lifecycle.attempts() <= most, "{record:?}");
    }
}

#[test]
fn by_order_the_second_is_asked_only_when_the_first_grants_nothing() {
    world::run(901, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        assert_eq!(finish(&handles, &ids).await, 100);
        assert_eq!((first.n_calls(), second.n_calls()), (100, 0));

        first.then(bounced(60));
        let more = texts(100).map(|text| format!("More: {text}"));
        let more = hand_in(&handles, more, "es").await;
        let finishing = tokio::time::timeout(Duration::from_secs(20), finish(&handles, &more));
        assert_eq!(finishing.await, Ok(100));
        assert!(second.n_calls() >= 80, "{}", second.n_calls());

        pass(Duration::from_secs(60)).await;
        let n_second = second.n_calls();
        let last = texts(100).map(|text| format!("Last: {text}"));
        let last = hand_in(&handles, last, "es").await;
        assert_eq!(finish(&handles, &last).await, 100);
        let n_more = second.n_calls() - n_second;
        assert!(n_more <= 10, "the first is open again: {n_more}");
    });
}

#[test]
fn by_order_the_second_takes_what_the_first_is_short_of() {
    world::run(902, async |mut world: World| {
        let short = LaneLimits {
            rpm: Some(60.0),
            ..NONE
        };
        let [first, second] = two(&mut world, [100, 100], [short, NONE]);
        let handles = world.start();
        let ids = hand_in(&handles, texts(500), "es").await;
        let finishing = tokio::time::timeout(Duration::from_secs(30), finish(&handles, &ids));
        assert_eq!(finishing.await, Ok(500));
        assert!(first.n_calls() >= 60, "{}", first.n_calls());
        assert_eq!(first.n_calls() + second.n_calls(), 500);
    });
}

#[test]
fn by_share_texts_are_divided_as_set() {
    world::run(903, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 200], FREE);
        world.config.by = By::Share;
        world.config.max_batch_size = 3;
        world.shares = vec![3.0, 1.0];
        let handles = world.start();
        let ids = hand_in(&handles, texts(1_200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 1_200);
        let n_first = first.n_texts();
        assert!(n_first.abs_diff(900) <= 30, "{n_first}");
        assert_eq!(n_first + second.n_texts(), 1_200);
    });
}

#[test]
fn by_speed_nearly_all_goes_to_the_faster() {
    world::run(904, async |mut world: World| {
        let [first, second] = two(&mut world, [900, 100], FREE);
        world.config.by = By::Speed;
        let handles = world.start();
        let ids = hand_in(&handles, texts(1_000), "es").await;
        assert_eq!(finish(&handles, &ids).await, 1_000);
        // One call in twenty finds out whether the slow one is faster now.
        assert!(first.n_calls() <= 90, "{}", first.n_calls());
        assert_eq!(first.n_calls() + second.n_calls(), 1_000);
    });
}

#[test]
fn a_pair_goes_only_to_who_is_asked_for_it() {
    world::run(905, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        world.pairs = vec![Some(vec!["en-ca".parse().expect("pairs")]), None];
        let handles = world.start();
        let spanish = hand_in(&handles, texts(30), "es").await;
        let catalan = hand_in(&handles, texts(30), "ca").await;
        assert_eq!(finish(&handles, &spanish).await, 30);
        assert_eq!(finish(&handles, &catalan).await, 30);
        assert_eq!((first.n_calls(), second.n_calls()), (30, 30));
    });
}

#[test]
fn a_text_that_one_provider_breaks_again_and_again_goes_to_another() {
    world::run(906, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        first.always(Some(ProviderFault::Missing(0)));
        let handles = world.start();
        let ids = hand_in(&handles, texts(20), "es").await;
        assert_eq!(finish(&handles, &ids).await, 20);
        assert_eq!(second.n_texts(), 20);
        assert_attempts(&handles, &ids, 2).await;
    });
}

#[test]
fn what_fails_at_all_providers_ends_with_the_last_reason() {
    world::run(907, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        let refused = |detail: &str| {
            Some(ProviderFault::Error(ProviderError::Rejected {
                detail: detail.into(),
            }))
        };
        first.always(refused("too rude"));
        second.always(refused("too long"));
        let handles = world.start();
        let ids = hand_in(&handles, texts(3), "es").await;
        assert_eq!(finish(&handles, &ids).await, 0);
        for &id in &ids {
            assert_eq!(ending(&handles, id).await, "rejected");
            let record = find(&handles, id).await.record;
            assert!(format!("{:?}", record.ended).contains("too long"));
        }
    });
}

#[test]
fn texts_that_wait_for_one_provider_hold_up_nothing_that_another_can_do() {
    world::run(922, async |mut world: World| {
        let a_day = LaneLimits {
            rpd: Some(1.0),
            ..NONE
        };
        let [first, _] = two(&mut world, [10, 10], [NONE, a_day]);
        for _ in 0..1_100 {
            first.then(ProviderFault::Error(ProviderError::Rejected {
                detail: "I will not".into(),
            }));
        }
        let handles = world.start();
        hand_in(&handles, texts(2_000), "es").await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(first.n_texts(), 2_000);
    });
}

#[test]
fn a_text_that_times_out_goes_to_another_provider_at_once() {
    world::run(908, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        world.config.timeout = Duration::from_secs(10);
        first.then(ProviderFault::Hang);
        let handles = world.start();
        let begun = Instant::now();
        let ids = hand_in(&handles, ["One.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        assert!(begun.elapsed() < Duration::from_millis(10_300));
        assert_eq!((first.n_calls(), second.n_calls()), (1, 1));
    });
}

#[test]
fn a_provider_that_hangs_takes_no_slots_from_a_healthy_one() {
    world::run(909, async |mut world: World| {
        let [first, second] = two(&mut world, [500, 500], FREE);
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        assert_eq!(finish(&handles, &ids).await, 100);
        first.always(Some(ProviderFault::Hang));
        let n_first = first.n_calls();
        let more = texts(2_000).map(|text| format!("More: {text}"));
        let more = hand_in(&handles, more, "es").await;
        // What hangs is noticed after two seconds; from then on nine slots are used as ever.
        pass(Duration::from_secs(4)).await;
        let before = second.n_calls();
        pass(Duration::from_secs(40)).await;
        let rate = (second.n_calls() - before) as f64 / 40.0;
        assert!(rate >= 17.0, "{rate} of 18 calls a second");
        assert!(first.n_calls() - n_first <= 40, "{}", first.n_calls());
        first.always(None);
        assert_eq!(finish(&handles, &more).await, 2_000);
        assert_attempts(&handles, &more, 5).await;
    });
}

#[test]
fn when_all_are_gone_nothing_fails_and_work_resumes_at_once() {
    let faults = [
        ProviderFault::Error(ProviderError::Unreachable {
            detail: "no connection".into(),
        }),
        transient(),
        ProviderFault::Hang,
    ];
    for (seed, fault) in (910..).zip(faults) {
        world::run(seed, async |mut world: World| {
            let providers = two(&mut world, [100, 100], FREE);
            world.config.timeout = Duration::from_secs(5);
            let handles = world.start();
            let ids = hand_in(&handles, texts(1_500), "es").await;
            pass(Duration::from_secs(2)).await;
            for provider in &providers {
                provider.always(Some(fault.clone()));
            }
            pass(Duration::from_secs(30)).await;
            let before = providers.each_ref().map(FakeProvider::n_calls);
            pass(Duration::from_secs(30)).await;
            for (provider, before) in providers.iter().zip(before) {
                let n_probes = provider.n_calls() - before;
                assert!(n_probes <= 40, "{fault:?}: {n_probes} in 30 s");
                provider.always(None);
            }
            // Back at full rate within two seconds: nine slots, ten calls a second each.
            let hang = if fault == ProviderFault::Hang { 5 } else { 0 };
            pass(Duration::from_secs(2 + hang)).await;
            let n_calls = || providers.iter().map(FakeProvider::n_calls).sum::<usize>();
            let before = n_calls();
            pass(Duration::from_secs(5)).await;
            let n_calls = n_calls() - before;
            assert!(n_calls >= 430, "{fault:?}: {n_calls} of 450");
            assert_eq!(finish(&handles, &ids).await, 1_500, "{fault:?}");
            assert_attempts(&handles, &ids, 4).await;
        });
    }
}

#[test]
fn an_outage_longer_than_a_thousand_probes_costs_no_task() {
    world::run(913, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        let handles = world.start();
        for provider in [&first, &second] {
            provider.always(Some(transient()));
        }
        let ids = hand_in(&handles, texts(20), "es").await;
        pass(Duration::from_secs(2_400)).await;
        for provider in [&first, &second] {
            provider.always(None);
        }
        let finishing = tokio::time::timeout(Duration::from_secs(5), finish(&handles, &ids));
        assert_eq!(finishing.await, Ok(20));
    });
}

fn now(deadline: u64) -> TranslateNow {
    now_of("Hello there", deadline)
}

fn now_of(text: &str, deadline: u64) -> TranslateNow {
    TranslateNow {
        texts: vec![text].into(),
        source: Some(tag("en")),
        target: tag("es"),
        deadline: Duration::from_secs(deadline),
        class: Class::Interactive,
        flow: "requests".into(),
    }
}

#[test]
fn who_waits_in_haste_raises_a_leader_that_only_some_providers_may_do() {
    world::run(1_320, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(1),
            ..NONE
        };
        let [first, second] = two(&mut world, [10, 1_000], [NONE, limits]);
        first.always(Some(ProviderFault::Error(ProviderError::Rejected {
            detail: "I will not".into(),
        })));
        let handles = world.start();
        let ids = hand_in(&handles, texts(20), "es").await;
        pass(Duration::from_secs(2)).await;
        assert_eq!(first.n_texts(), 20, "all were refused by the first");
        let last = texts(20).last().expect("the last");

        let answer = handles.translate_now.send(now_of(&last, 5)).await;

        assert!(answer.expect("heard").is_ok(), "the last of all came first");
        assert_eq!(finish(&handles, &ids).await, 20);
        assert_eq!(second.n_texts(), 20);
    });
}

#[test]
fn who_waits_is_told_at_once_when_all_lanes_are_closed_beyond_the_deadline() {
    world::run(914, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        first.always(Some(bounced(120)));
        second.always(Some(bounced(60)));
        let handles = world.start();
        let begun = Instant::now();
        for _ in 0..2 {
            let answer = handles.translate_now.send(now(30)).await.expect("heard");
            let Err(NowError::Closed { wait }) = answer else {
                panic!("{answer:?}");
            };
            assert!(wait > Duration::from_secs(58) && wait <= Duration::from_secs(60));
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
        second.always(None);
        // Who has the time waits.
        let answer = handles.translate_now.send(now(90)).await.expect("heard");
        assert!(answer.is_ok(), "{answer:?}");
    });
}

#[test]
fn who_waits_already_is_told_at_once_when_a_call_before_closes_the_lane_beyond_the_deadline() {
    let one_at_once = LaneLimits {
        concurrency: Some(1),
        ..NONE
    };
    let one_a_second = LaneLimits {
        rps: Some(1.0),
        ..NONE
    };
    for (seed, limits) in [(1_321, one_at_once), (1_322, one_a_second)] {
        world::run(seed, async |mut world: World| {
            let provider = FakeProvider::with_latency(Duration::from_millis(500));
            provider.always(Some(bounced(600)));
            world.providers = vec![("only", provider.clone(), limits)];
            let handles = world.start();
            let first = handles.translate_now.send(now(30));
            while provider.n_calls() == 0 {
                pass(Duration::from_millis(10)).await;
            }
            let begun = Instant::now();

            let second = handles.translate_now.send(now_of("Good morning", 30));

            for answer in [second.await, first.await] {
                let answer = answer.expect("heard");
                let Err(NowError::Closed { wait }) = answer else {
                    panic!("{answer:?}");
                };
                assert!(wait > Duration::from_secs(598) && wait <= Duration::from_secs(600));
            }
            assert!(begun.elapsed() < Duration::from_secs(1));
            assert_eq!(provider.n_calls(), 1);
        });
    }
}

#[test]
fn who_waits_is_told_at_once_when_a_person_has_to_act() {
    world::run(915, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        for provider in [first, second] {
            provider.always(Some(ProviderFault::Error(ProviderError::Auth {
                detail: "401".into(),
            })));
        }
        let handles = world.start();
        let begun = Instant::now();
        let answer = handles.translate_now.send(now(30)).await.expect("heard");
        assert!(matches!(answer, Err(NowError::Closed { .. })), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
}

/// Hands in so many texts at a steady pace, one a call, and returns the longest time that 99 of
/// 100 took.
async fn tail(handles: &Handles, n: usize) -> Duration {
    let mut waits = Vec::with_capacity(n);
    for number in 0..n {
        let translate = handles.translate_now.clone();
        let one = TranslateNow {
            texts: vec![format!("A text that has the number {number}.")].into(),
            ..now(60)
        };
        let begun = Instant::now();
        waits.push(actix::spawn(async move {
            let answer = translate.send(one).await.expect("heard");
            assert!(answer.is_ok(), "{answer:?}");
            begun.elapsed()
        }));
        pass(Duration::from_millis(50)).await;
    }
    let mut times = Vec::with_capacity(n);
    for wait in waits {
        times.push(wait.await.expect("answered"));
    }
    times.sort_unstable();
    times[n * 99 / 100]
}

/// Makes 2 % of a provider's calls ten times slower, at random.
fn slow_now_and_then(provider: &FakeProvider, seed: u64, n: usize) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..n {
        // About 300 ms, and 3 s.
        let base = 200 + chance.u64(..200);
        let factor = if chance.u32(..100) < 2 { 10 } else { 1 };
        provider.then(ProviderFault::Delay(Duration::from_millis(base * factor)));
    }
}

#[test]
fn a_second_call_for_the_slowest_halves_the_tail_for_three_in_a_hundred_more() {
    const N: usize = 4_000;
    let run = |hedge: bool, slots: usize| {
        world::run(916, async |mut world: World| {
            let rate = LaneLimits {
                rps: Some(30.0),
                ..NONE
            };
            let [first, second] = two(&mut world, [300, 300], [rate, rate]);
            slow_now_and_then(&first, 1, 2 * N);
            slow_now_and_then(&second, 2, 2 * N);
            world.config.hedge = hedge;
            world.config.concurrency = Some(slots);
            let handles = world.start();
            // Of a second's limit nobody knows at first what is used.
            pass(Duration::from_secs(2)).await;
            let p99 = tail(&handles, N).await;
            let views = handles.providers.send(Providers).await.expect("heard");
            let n_counted = views.iter().map(|view| view.figures.calls).sum::<u64>();
            let n_calls = first.n_calls() + second.n_calls();
            assert_eq!(n_counted, n_calls as u64);
            assert_eq!(views[1].hedges, second.n_calls() as u64);
            (p99, n_calls)
        })
    };
    // The few slots are nearly all in use, and slow calls hold more of them than are free.
    for slots in [50, 9] {
        let (alone, n_alone) = run(false, slots);
        let (hedged, n_hedged) = run(true, slots);
        assert_eq!(n_alone, N);
        assert!(n_hedged as f64 <= N as f64 * 1.03, "{n_hedged}");
        assert!(
            hedged * 2 <= alone,
            "{hedged:?} of {alone:?}, {slots} slots"
        );
    }
}

#[test]
fn no_second_call_is_made_where_the_other_lane_has_nothing_to_spare() {
    world::run(917, async |mut world: World| {
        let few = LaneLimits {
            rpm: Some(1.0),
            ..NONE
        };
        let [first, second] = two(&mut world, [100, 100], [NONE, few]);
        slow_now_and_then(&first, 3, 2_000);
        world.config.hedge = true;
        world.config.concurrency = Some(50);
        let handles = world.start();
        tail(&handles, 1_000).await;
        // Fifty seconds; one permit a minute.
        assert!(second.n_calls() <= 1, "{}", second.n_calls());
    });
}

#[test]
fn a_text_in_two_calls_counts_once_whichever_of_them_fails() {
    world::run(918, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        world.config.hedge = true;
        let handles = world.start();
        let ids = hand_in(&handles, texts(200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);

        // The second call fails, and the first one lands.
        first.then(ProviderFault::Delay(Duration::from_secs(1)));
        second.then(transient());
        let ids = hand_in(&handles, ["One.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(second.n_calls(), 1);
        assert_eq!(
            translation(&handles, ids[0]).await.provider.as_str(),
            "first"
        );
        assert_attempts(&handles, &ids, 1).await;

        // The second call lands, and the first one fails later.
        first.then(ProviderFault::Hang);
        let ids = hand_in(&handles, ["Two.".to_owned(), "Two.".to_owned()], "es").await;
        let finishing = tokio::time::timeout(Duration::from_secs(1), finish(&handles, &ids));
        assert_eq!(finishing.await, Ok(2));
        let provider = translation(&handles, ids[0]).await.provider;
        assert_eq!(provider.as_str(), "second");
        pass(Duration::from_secs(120)).await;
        assert_attempts(&handles, &ids, 1).await;
        assert_eq!((first.n_calls(), second.n_calls()), (202, 2));
    });
}

#[test]
fn no_second_call_is_made_at_the_account_that_is_slow() {
    world::run(920, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        let third = FakeProvider::new();
        world.providers.push(("third", third.clone(), NONE));
        world.lanes = vec!["account", "account"];
        world.config.hedge = true;
        let handles = world.start();
        let ids = hand_in(&handles, texts(200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);

        first.then(ProviderFault::Delay(Duration::from_secs(1)));
        let ids = hand_in(&handles, ["One.".to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!((second.n_calls(), third.n_calls()), (0, 1));
    });
}

#[test]
fn when_both_calls_of_a_text_fail_it_goes_on() {
    world::run(919, async |mut world: World| {
        let [first, second] = two(&mut world, [100, 100], FREE);
        world.config.hedge = true;
        world.config.timeout = Duration::from_secs(20);
        let handles = world.start();
        let ids = hand_in(&handles, texts(200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);
        first.then(ProviderFault::Hang);
        second.then(ProviderFault::Missing(0));
        let ids = hand_in(&handles, ["One.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_attempts(&handles, &ids, 2).await;
        assert_eq!(first.n_calls() + second.n_calls(), 203);
    });
}

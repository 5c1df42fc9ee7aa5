//! What providers see of us: never more than their limits, and never a text in the wrong place.

use std::time::Duration;

use babelfeed_actors::domain::{Class, State, TaskId};
use babelfeed_actors::failpoints::arm;
use babelfeed_actors::messages::{Cancel, Lanes, NowError, Submission, TranslateNow};
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, tag};

use crate::helpers::{assert_legal, depth, ending, hand_in, hand_in_all, pass, texts, translation};
use crate::journal;

fn alone(world: &mut World, latency: Duration, limits: LaneLimits) -> FakeProvider {
    let provider = FakeProvider::with_latency(latency);
    world.providers = vec![("fake", provider.clone(), limits)];
    provider
}

fn two(world: &mut World) -> (FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::new(), FakeProvider::new());
    let limits = LaneLimits::default();
    world.providers = vec![
        ("first", first.clone(), limits),
        ("second", second.clone(), limits),
    ];
    (first, second)
}

fn transient() -> ProviderError {
    ProviderError::Transient {
        detail: "no".into(),
        wait: None,
    }
}

async fn in_flight(handles: &Handles) -> u64 {
    let lanes = handles.lanes.send(Lanes).await.expect("heard");
    lanes.iter().map(|lane| lane.in_flight).sum()
}

#[test]
fn a_rate_is_never_exceeded_in_any_window_and_nearly_all_of_it_is_used() {
    world::run(71, async |mut world: World| {
        let limits = LaneLimits {
            rpm: Some(60.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(300), limits);
        world.config.max_batch_size = 1;
        let handles = world.start();
        let ids = hand_in(&handles, texts(700), "es").await;
        pass(Duration::from_secs(600)).await;
        let begun = provider.begun();
        for (at, first) in begun.iter().enumerate() {
            let window = begun[at..].iter();
            let inside = window.take_while(|t| **t < *first + Duration::from_secs(60));
            assert!(inside.count() <= 60);
        }
        // Ten windows; the first may be used up at once.
        assert!(begun.len() >= 570, "{}", begun.len());
        assert_eq!(finish(&handles, &ids).await, 700);
    });
}

#[test]
fn so_many_calls_at_once_and_no_more_are_in_flight() {
    world::run(72, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(4),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_secs(1), limits);
        world.config.max_batch_size = 1;
        let handles = world.start();
        let begun = tokio::time::Instant::now();
        let ids = hand_in(&handles, texts(300), "es").await;
        let answer = handles.translate_now.send(TranslateNow {
            texts: vec!["Hello there"].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_millis(1_500),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        // Bulk work fills three of four slots, so the urgent text needs to wait for none.
        assert!(answer.await.expect("heard").is_ok());
        assert_eq!(finish(&handles, &ids).await, 300);
        assert!(
            begun.elapsed() < Duration::from_secs(105),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(provider.most_in_flight(), 4);
        assert_eq!(in_flight(&handles).await, 0);
    });
}

#[test]
fn after_a_bounce_at_most_one_call_begins_before_the_wait_is_over() {
    world::run(73, async |mut world: World| {
        journal::listen();
        let provider = alone(
            &mut world,
            Duration::from_millis(100),
            LaneLimits::default(),
        );
        provider.then(ProviderFault::Error(ProviderError::RateLimited {
            wait: Some(Duration::from_secs(20)),
            detail: "429".into(),
        }));
        world.config.max_batch_size = 5;
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        pass(Duration::from_millis(150)).await;
        let n_calls = provider.n_calls();
        assert!(n_calls < 12, "the first answer came early: {n_calls}");
        pass(Duration::from_secs(19)).await;
        assert!(provider.n_calls() <= n_calls + 1, "{}", provider.n_calls());
        let state = find(&handles, ids[0]).await.record.lifecycle.state();
        assert_eq!(state, State::RateLimited);
        let depth = depth(&handles).await;
        assert!(depth.rate_limited > 40, "{depth:?}");
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        assert_eq!(lanes[0].why, Some("refused by its limit"));
        assert_eq!(finish(&handles, &ids).await, 100);
        let record = find(&handles, ids[0]).await.record;
        assert_legal(&record);
        assert_eq!(record.lifecycle.attempts(), 1, "a bounce is no attempt");
        assert_eq!(journal::count("a lane is closed"), 1);
    });
}

#[test]
fn minutes_without_a_connection_cost_nothing_of_a_limit_and_the_full_rate_is_there_at_once() {
    world::run(84, async |mut world: World| {
        let limits = LaneLimits {
            rpm: Some(30.0),
            rpd: Some(200.0),
            tpd: Some(20_000.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(100), limits);
        let unreachable = ProviderError::Unreachable {
            detail: "no route".into(),
        };
        provider.always(Some(ProviderFault::Error(unreachable)));
        world.config.max_batch_size = 1;
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        pass(Duration::from_secs(600)).await;
        let n_probes = provider.n_calls();
        assert!(n_probes > 500, "one a second: {n_probes}");
        provider.always(None);
        pass(Duration::from_secs(2)).await;
        let n_calls = provider.n_calls() - n_probes;
        assert!((29..=31).contains(&n_calls), "{n_calls}");
        assert_eq!(finish(&handles, &ids).await, 100);
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let mut days = lanes[0].windows.iter().filter(|it| it.per == "day");
        let requests = days.find(|it| it.unit == "requests");
        assert_eq!(requests.map(|day| day.used), Some(100.0));
    });
}

#[test]
fn permits_come_back_from_panics_timeouts_and_cancelled_tasks() {
    world::run(74, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(2),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(100), limits);
        for fault in [
            ProviderFault::Panic,
            ProviderFault::Hang,
            ProviderFault::Panic,
        ] {
            provider.then(fault);
            provider.then_well();
        }
        arm("translator.handler", 1);
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        handles
            .cancel
            .send(Cancel(ids[50]))
            .await
            .expect("heard")
            .expect("cancelled");
        assert_eq!(finish(&handles, &ids).await, 99);
        assert_eq!(ending(&handles, ids[50]).await, "cancelled");
        pass(Duration::from_secs(200)).await;
        assert_eq!(in_flight(&handles).await, 0);
        let more = texts(50).map(|text| format!("More: {text}"));
        let more = hand_in(&handles, more, "es").await;
        assert_eq!(finish(&handles, &more).await, 50);
    });
}

#[test]
fn a_provider_that_is_away_for_ten_minutes_costs_no_task() {
    world::run(75, async |mut world: World| {
        journal::listen();
        let provider = alone(
            &mut world,
            Duration::from_millis(100),
            LaneLimits::default(),
        );
        provider.always(Some(ProviderFault::Error(ProviderError::Unreachable {
            detail: "no connection".into(),
        })));
        let handles = world.start();
        let ids = hand_in(&handles, texts(200), "es").await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(journal::count("a lane is closed"), 1);
        assert!(provider.n_calls() < 1_000, "{}", provider.n_calls());
        provider.always(None);
        let finishing = tokio::time::timeout(Duration::from_secs(10), finish(&handles, &ids));
        assert_eq!(finishing.await, Ok(200));
        assert_eq!(journal::count("a lane is open again"), 1);
        for &id in &ids {
            assert_legal(&find(&handles, id).await.record);
        }
    });
}

#[test]
fn no_broken_pack_puts_a_translation_under_another_text() {
    let faults = [
        ProviderFault::Missing(1),
        ProviderFault::Doubled(0),
        ProviderFault::Renamed(2),
        ProviderFault::Unknown,
        ProviderFault::Reordered,
        ProviderFault::Unmarked,
        ProviderFault::Truncated,
        ProviderFault::Panic,
        ProviderFault::Error(ProviderError::TooLarge {
            detail: "no".into(),
        }),
        ProviderFault::Error(ProviderError::Invalid {
            detail: "no".into(),
        }),
    ];
    for (seed, fault) in (760..).zip(faults) {
        world::run(seed, async |mut world: World| {
            let provider = alone(&mut world, Duration::from_millis(10), LaneLimits::default());
            for _ in 0..3 {
                provider.then(fault.clone());
            }
            let handles = world.start();
            let marked = |n: usize| format!("Text {n} about https://example.org/{n} and @ann.");
            let ids = hand_in(&handles, (0..40).map(marked), "es").await;
            assert_eq!(finish(&handles, &ids).await, 40, "{fault:?}");
            for (n, &id) in ids.iter().enumerate() {
                let text = translation(&handles, id).await.text;
                assert_eq!(*text, format!("[es] {}", marked(n)), "{fault:?}");
            }
        });
    }
}

#[test]
fn what_one_provider_refuses_or_does_not_speak_another_does() {
    let errors = [
        ProviderError::Rejected {
            detail: "no".into(),
        },
        ProviderError::Unsupported {
            detail: "no".into(),
        },
        ProviderError::Auth {
            detail: "no".into(),
        },
    ];
    for (seed, error) in (770..).zip(errors) {
        world::run(seed, async |mut world: World| {
            let (first, second) = two(&mut world);
            first.always(Some(ProviderFault::Error(error.clone())));
            let handles = world.start();
            let ids = hand_in(&handles, texts(60), "es").await;
            assert_eq!(finish(&handles, &ids).await, 60, "{error:?}");
            assert_eq!(second.n_texts(), 60, "{error:?}");
            let provider = translation(&handles, ids[0]).await.provider;
            assert_eq!(provider.as_str(), "second");
            assert!(first.n_calls() <= 150, "{error:?} {}", first.n_calls());
        });
    }
}

#[test]
fn without_any_provider_for_a_pair_every_task_fails_by_name() {
    world::run(78, async |mut world: World| {
        let provider = alone(
            &mut world,
            Duration::from_millis(100),
            LaneLimits::default(),
        );
        provider.always(Some(ProviderFault::Error(ProviderError::Unsupported {
            detail: "no".into(),
        })));
        let handles = world.start();
        let ids = hand_in(&handles, texts(500), "eo").await;
        let finishing = tokio::time::timeout(Duration::from_secs(60), finish(&handles, &ids));
        assert_eq!(finishing.await, Ok(0));
        for &id in &ids {
            assert_eq!(ending(&handles, id).await, "no_route");
        }
        assert!(provider.n_calls() < 20, "{}", provider.n_calls());
    });
}

#[test]
fn a_text_that_fails_every_time_ends_with_its_attempts() {
    world::run(79, async |mut world: World| {
        let provider = alone(
            &mut world,
            Duration::from_millis(100),
            LaneLimits::default(),
        );
        let handles = world.start();
        // Something else goes well in between, so the failures are not the lane's.
        for _ in 0..world.config.max_attempts {
            provider.then(ProviderFault::Error(transient()));
            provider.then_well();
        }
        let ids = hand_in(&handles, ["The one.".to_owned()], "es").await;
        for n in 0..world.config.max_attempts as usize {
            while provider.n_calls() <= 2 * n {
                pass(Duration::from_millis(10)).await;
            }
            pass(Duration::from_millis(110)).await;
            let other = hand_in(&handles, [format!("Another one, {n}.")], "es").await;
            assert_eq!(finish(&handles, &other).await, 1);
        }
        assert_eq!(finish(&handles, &ids).await, 0);
        assert_eq!(ending(&handles, ids[0]).await, "attempts");
        let record = find(&handles, ids[0]).await.record;
        assert_eq!(record.lifecycle.attempts(), world.config.max_attempts);
        assert_legal(&record);
    });
}

#[test]
fn a_text_that_somebody_waits_for_ends_with_its_attempts_too() {
    world::run(80, async |mut world: World| {
        let latency = Duration::from_millis(100);
        let provider = alone(&mut world, latency, LaneLimits::default());
        provider.always(Some(ProviderFault::Missing(0)));
        let handles = world.start();
        let answer = handles.translate_now.send(TranslateNow {
            texts: vec!["Hello there"].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(60),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        let answer = answer.await.expect("heard");
        assert!(
            matches!(&answer, Err(NowError::Refused { index: 0, .. })),
            "{answer:?}"
        );
        assert_eq!(provider.n_calls(), world.config.max_attempts as usize);
    });
}

/// Hands in one text with a deadline.
async fn due_in(handles: &Handles, text: &str, deadline: Duration) -> TaskId {
    let one = Submission {
        deadline: Some(deadline),
        ..submission(text, "es")
    };
    hand_in_all(handles, vec![one]).await[0]
}

#[test]
fn a_deadline_ends_a_task_wherever_it_stands_and_a_late_answer_is_known() {
    world::run(80, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(1),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_secs(10), limits);
        let handles = world.start();
        let long = Duration::from_secs(3_600);
        let leader = due_in(&handles, "In a call.", long).await;
        pass(Duration::from_secs(1)).await;
        let follower = due_in(&handles, "In a call.", Duration::from_secs(3)).await;
        let queued = due_in(&handles, "In the queue.", Duration::from_secs(3)).await;
        pass(Duration::from_secs(4)).await;
        assert_eq!(ending(&handles, follower).await, "expired");
        assert_eq!(ending(&handles, queued).await, "expired");
        assert_eq!(finish(&handles, &[leader]).await, 1);

        let late = due_in(&handles, "Late.", Duration::from_secs(2)).await;
        pass(Duration::from_secs(3)).await;
        assert_eq!(ending(&handles, late).await, "expired");
        pass(Duration::from_secs(10)).await;
        assert_eq!(
            ending(&handles, late).await,
            "expired",
            "late answers change nothing"
        );
        let n_calls = provider.n_calls();
        let again = due_in(&handles, "Late.", long).await;
        assert_eq!(finish(&handles, &[again]).await, 1);
        assert!(translation(&handles, again).await.cached);
        assert_eq!(provider.n_calls(), n_calls);
        for id in [leader, follower, queued, late, again] {
            assert_legal(&find(&handles, id).await.record);
        }
    });
}

#[test]
fn what_was_used_survives_falls_of_the_limiter() {
    world::run(81, async |mut world: World| {
        let limits = LaneLimits {
            rpm: Some(60.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(300), limits);
        world.config.max_batch_size = 1;
        let handles = world.start();
        let ids = hand_in(&handles, texts(450), "es").await;
        let points = [
            "rate_limiter.settle",
            "rate_limiter.timer",
            "rate_limiter.handler",
        ];
        for point in points {
            pass(Duration::from_secs(61)).await;
            arm(point, 1);
        }
        pass(Duration::from_secs(420 - 3 * 61)).await;
        let begun = provider.begun();
        for (at, first) in begun.iter().enumerate() {
            let window = begun[at..].iter();
            let inside = window.take_while(|t| **t < *first + Duration::from_secs(60));
            assert!(inside.count() <= 60);
        }
        assert!(begun.len() >= 400, "{}", begun.len());
        assert_eq!(finish(&handles, &ids).await, 450);
        let falls = handles.falls.list();
        let limiter = falls.iter().find(|actor| actor.name == "rate_limiter");
        assert_eq!(limiter.map(|actor| actor.falls), Some(3));
    });
}

#[test]
fn a_days_quota_survives_crashes() {
    const DAY: usize = 200;
    let mut n_lives = 0;
    let provider = FakeProvider::with_latency(Duration::from_millis(50));
    let prepare = |world: &mut World| {
        let limits = LaneLimits {
            rpd: Some(DAY as f64),
            ..LaneLimits::default()
        };
        world.providers = vec![("fake", provider.clone(), limits)];
        world.config.max_batch_size = 1;
    };
    let live = async |world: &World| {
        n_lives += 1;
        let handles = world.start();
        let new = (0..100).map(|n| format!("Text {n} of life {n_lives}."));
        hand_in(&handles, new, "es").await;
        if n_lives <= 4 {
            pass(Duration::from_millis(200)).await;
            return None;
        }
        pass(Duration::from_secs(600)).await;
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let binding = lanes[0].binding.clone().expect("a limit");
        assert_eq!((binding.unit, binding.per), ("requests", "day"));
        let day = lanes[0].windows.iter().find(|it| it.per == "day");
        assert_eq!(day.map(|day| day.used), Some(DAY as f64));
        let n_today = provider.n_calls();
        pass(Duration::from_secs(86_400)).await;
        Some(n_today)
    };
    let n_today = world::run_lives(82, prepare, live);
    // Each crash may cost a hundredth, two calls here.
    assert!((DAY - 4 * 2 - 4..=DAY).contains(&n_today), "{n_today}");
    assert!(provider.n_calls() > DAY, "the next day brings new quota");
}

#[test]
fn a_used_up_quota_parks_its_lane_for_as_long_as_it_takes() {
    world::run(83, async |mut world: World| {
        let provider = alone(&mut world, Duration::from_millis(10), LaneLimits::default());
        let exhausted = |wait| {
            ProviderFault::Error(ProviderError::QuotaExhausted {
                wait,
                detail: "a day".into(),
            })
        };
        provider.then(exhausted(Some(Duration::from_secs(7 * 3_600))));
        let handles = world.start();
        let ids = hand_in(&handles, ["One text.".to_owned()], "es").await;
        pass(Duration::from_secs(6 * 3_600)).await;
        assert_eq!(provider.n_calls(), 1);
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        assert_eq!(lanes[0].why, Some("its quota is used up"));
        provider.then(exhausted(None));
        pass(Duration::from_secs(3_600 + 1_800)).await;
        assert_eq!(
            provider.n_calls(),
            2,
            "without a hint it is tried each hour"
        );
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(provider.n_calls(), 3);
    });
}

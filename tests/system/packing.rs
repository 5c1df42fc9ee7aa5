//! How texts share calls: few calls, nothing in the wrong place, and everybody in turn.

use std::time::Duration;

use babelfeed_actors::domain::{Class, Flow, TaskId};
use babelfeed_actors::messages::{NowError, Submission, TranslateNow};
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, tag};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::helpers::{ending, hand_in, hand_in_all, pass, settle, texts, translation};

/// A world with one provider that takes so long for each call.
fn alone(world: &mut World, latency: Duration, limits: LaneLimits) -> FakeProvider {
    let provider = FakeProvider::with_latency(latency);
    world.providers = vec![("fake", provider.clone(), limits)];
    provider
}

/// Every way in which an answer may be broken and be known to be.
fn every_way() -> [ProviderFault; 11] {
    [
        ProviderFault::Missing(7),
        ProviderFault::Doubled(3),
        ProviderFault::Renamed(12),
        ProviderFault::Unknown,
        ProviderFault::Reordered,
        ProviderFault::Unmarked,
        ProviderFault::Truncated,
        ProviderFault::Merged(0),
        ProviderFault::Merged(9),
        ProviderFault::Merged(18),
        ProviderFault::Unreadable,
    ]
}

#[test]
fn thousands_of_texts_need_fifteen_times_fewer_calls_though_answers_break_in_every_way() {
    world::run(1101, async |mut world: World| {
        const N_TEXTS: usize = 8_000;
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        world.config.max_batch_size = 20;
        for n in 0..N_TEXTS {
            if n % 20 == 7 {
                provider.then(every_way()[n / 20 % 11].clone());
            } else {
                provider.then_well();
            }
        }
        let handles = world.start();
        let text = |n: usize| format!("Text {n} is about https://example.org/{n} and more.");
        let ids = hand_in(&handles, (0..N_TEXTS).map(text), "es").await;
        settle(&handles).await;

        for (n, &id) in ids.iter().enumerate() {
            let translated = translation(&handles, id).await.text;
            assert_eq!(*translated, format!("[es] {}", text(n)));
        }
        let n_calls = provider.n_calls();
        assert!(N_TEXTS >= 15 * n_calls, "{n_calls} calls");
    });
}

#[test]
fn a_provider_that_digests_eight_texts_soon_gets_no_more() {
    world::run(1102, async |mut world: World| {
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        provider.digests(8);
        world.config.max_batch_size = 20;
        let handles = world.start();
        let ids = hand_in(&handles, texts(2_000), "es").await;
        assert_eq!(finish(&handles, &ids).await, 2_000);
        let packs = provider.packs();
        let is_broken = |n_items: usize| n_items > 8;
        let n_broken = packs.iter().filter(|pack| is_broken(pack.items.len()));
        let (n_broken, n_calls) = (n_broken.count(), packs.len());
        assert!(n_broken <= 40, "{n_broken} of {n_calls} calls broke");
        assert!(n_calls <= 2_000 / 4, "{n_calls}");
    });
}

/// Five hundred texts, the hundred and first of which is one that calls break of.
fn with_poison() -> impl Iterator<Item = String> {
    let poison = ["A poisonous text.".to_owned()];
    texts(100).chain(poison).chain(texts(500).skip(100))
}

/// Asserts that there were 25 packs, the halves of one, and what one text is given alone.
fn assert_few_calls(provider: &FakeProvider) {
    let n_calls = provider.n_calls();
    assert!(n_calls <= 25 + 10 + 5, "{n_calls}");
}

#[test]
fn one_text_that_breaks_every_call_is_found_and_does_no_harm() {
    world::run(1103, async |mut world: World| {
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        provider.chokes_on("poisonous");
        world.config.max_batch_size = 20;
        let handles = world.start();
        let ids = hand_in(&handles, with_poison(), "es").await;
        assert_eq!(finish(&handles, &ids).await, 500);
        assert_eq!(ending(&handles, ids[100]).await, "checks");
        for (n, &id) in ids.iter().enumerate().filter(|(n, _)| *n != 100) {
            let attempts = find(&handles, id).await.record.lifecycle.attempts();
            assert!(attempts <= 2, "text {n}: {attempts}");
        }
        assert_few_calls(&provider);
    });
}

#[test]
fn one_text_that_the_translator_falls_over_is_found_and_given_up() {
    world::run(1118, async |mut world: World| {
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        provider.falls_behind("poisonous");
        world.config.max_batch_size = 20;
        let handles = world.start();
        let ids = hand_in(&handles, with_poison(), "es").await;
        let finishing = finish(&handles, &ids);
        let finished = tokio::time::timeout(Duration::from_secs(600), finishing).await;
        assert_eq!(finished, Ok(500));
        assert_eq!(ending(&handles, ids[100]).await, "attempts");
        for (n, &id) in ids.iter().enumerate() {
            let attempts = find(&handles, id).await.record.lifecycle.attempts();
            let expected = if n == 100 { 5 } else { 1 };
            assert_eq!(attempts, expected, "text {n}");
        }
        assert_few_calls(&provider);
    });
}

#[test]
fn a_text_that_somebody_waits_for_ends_though_the_translator_falls_over_it_each_time() {
    world::run(1119, async |mut world: World| {
        let provider = alone(&mut world, Duration::ZERO, LaneLimits::default());
        provider.falls_behind("poisonous");
        let handles = world.start();
        let answer = handles.translate_now.send(TranslateNow {
            texts: vec!["A poisonous text."].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(600),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        let answer = answer.await.expect("heard");
        assert!(
            matches!(answer, Err(NowError::Refused { .. })),
            "{answer:?}"
        );
        assert_eq!(provider.n_calls(), 5);
    });
}

#[test]
fn a_cut_answer_goes_again_with_twice_the_room() {
    world::run(1104, async |mut world: World| {
        let limits = LaneLimits {
            tpm: Some(1_000_000.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(300), limits);
        provider.then(ProviderFault::Truncated);
        let handles = world.start();
        let ids = hand_in(&handles, texts(10), "es").await;
        assert_eq!(finish(&handles, &ids).await, 10);
        let packs = provider.packs();
        assert_eq!(packs.len(), 2);
        assert_eq!((packs[0].items.len(), packs[1].items.len()), (10, 5));
        let room = |n: usize| f64::from(packs[n].max_tokens.expect("limited"));
        // Half the texts, each with twice the room, and what is learned from the cut.
        assert!(room(1) >= 0.9 * room(0), "{} {}", room(0), room(1));
        for &id in &ids {
            assert_eq!(find(&handles, id).await.record.lifecycle.attempts(), 1);
        }
    });
}

#[test]
fn what_came_before_an_error_is_kept_and_the_rest_goes_together_when_the_lane_opens() {
    world::run(1113, async |mut world: World| {
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        let (detail, wait) = ("enough for now".to_owned(), Duration::from_secs(60));
        let wait = Some(wait);
        provider.then(ProviderFault::Halfway(ProviderError::RateLimited {
            wait,
            detail,
        }));
        let handles = world.start();
        let ids = hand_in(&handles, texts(10), "es").await;

        pass(Duration::from_secs(50)).await;
        assert_eq!(provider.n_calls(), 1, "the lane is parked");
        for (n, &id) in ids.iter().enumerate() {
            let expected = ["Completed", "RateLimited"][n % 2];
            assert_eq!(ending(&handles, id).await, expected, "text {n}");
        }
        assert_eq!(finish(&handles, &ids).await, 10);
        let packs = provider.packs();
        let sizes: Vec<_> = packs.iter().map(|pack| pack.items.len()).collect();
        assert_eq!(sizes, [10, 5]);
    });
}

#[test]
fn texts_of_a_language_that_nobody_told_go_alone_where_they_would_be_requests_of_their_own() {
    world::run(1114, async |mut world: World| {
        let latency = Duration::from_millis(300);
        let provider = alone(&mut world, latency, LaneLimits::default());
        world.max_untold = Some(1);
        let handles = world.start();
        let all = texts(20).enumerate().map(|(n, text)| Submission {
            source: (n % 2 == 0).then(|| tag("en")),
            ..submission(&text, "es")
        });
        let ids = hand_in_all(&handles, all.collect()).await;
        assert_eq!(finish(&handles, &ids).await, 20);
        let sizes_of = |is_told: bool| -> Vec<usize> {
            let packs = provider.packs().into_iter();
            let packs = packs.filter(|pack| pack.pair.source.is_some() == is_told);
            packs.map(|pack| pack.items.len()).collect()
        };
        assert_eq!(sizes_of(true), [10]);
        assert_eq!(sizes_of(false), [1; 10]);
    });
}

#[test]
fn a_call_never_needs_more_tokens_than_a_lane_has_however_much_waits() {
    world::run(1105, async |mut world: World| {
        let limits = LaneLimits {
            tpm: Some(6_000.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(300), limits);
        world.config.max_batch_size = 20;
        let handles = world.start();
        let long = (0..60).map(|n| format!("Text {n}. ") + &"Many words are in it. ".repeat(30));
        let ids = hand_in(&handles, long, "es").await;
        let one = hand_in(&handles, ["word ".repeat(3_000)], "es").await;
        assert_eq!(finish(&handles, &ids).await, 60);
        assert_eq!(finish(&handles, &one).await, 1);
        for pack in provider.packs() {
            let n_bytes: usize = pack.items.iter().map(|item| item.text.len()).sum();
            // A token for four bytes, sent and received.
            assert!(pack.items.len() == 1 || n_bytes / 2 <= 1_500, "{n_bytes}");
        }
        let used = provider.n_texts();
        assert_eq!(used, 61, "nothing was sent twice");
    });
}

#[test]
fn bulk_work_of_a_short_lane_waits_for_company_and_what_somebody_waits_for_does_not() {
    world::run(1106, async |mut world: World| {
        let limits = LaneLimits {
            rps: Some(1.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_millis(10), limits);
        world.config.batch_timeout = Duration::from_millis(400);
        let handles = world.start();
        let first = hand_in(&handles, ["The first.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &first).await, 1);
        let mut ids = Vec::new();
        for text in texts(40) {
            ids.extend(hand_in(&handles, [text], "es").await);
            pass(Duration::from_millis(50)).await;
        }
        let begun = Instant::now();
        let answer = handles.translate_now.send(TranslateNow {
            texts: vec!["Hello there"].into(),
            source: Some(tag("en")),
            target: tag("fr"),
            deadline: Duration::from_secs(10),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        assert!(answer.await.expect("heard").is_ok());
        assert!(begun.elapsed() <= Duration::from_millis(1_100));
        assert_eq!(finish(&handles, &ids).await, 40);
        assert!(provider.n_calls() <= 8, "{}", provider.n_calls());
    });
}

#[test]
fn low_work_moves_beside_a_flood_of_urgent_work() {
    world::run(1107, async |mut world: World| {
        let limits = LaneLimits {
            rps: Some(10.0),
            ..LaneLimits::default()
        };
        alone(&mut world, Duration::from_millis(100), limits);
        world.config.max_batch_size = 1;
        let handles = world.start();
        let of_class = |text: String, class| Submission {
            class,
            ..submission(&text, "es")
        };
        let high = texts(3_000).map(|text| of_class(text, Class::High));
        let high = hand_in_all(&handles, high.collect()).await;
        let low = texts(20).map(|text| of_class(format!("Low. {text}"), Class::Low));
        let low = hand_in_all(&handles, low.collect()).await;
        // 10 calls a second, one in nine of them for low work.
        let finishing = tokio::time::timeout(Duration::from_secs(25), finish(&handles, &low));
        assert_eq!(finishing.await, Ok(20));
        let state = find(&handles, high[2_999]).await.record.lifecycle.state();
        assert!(!state.is_final(), "there is no flood any more");
    });
}

/// Hands in texts of one flow.
async fn of_flow(handles: &Handles, flow: &str, texts: Vec<String>) -> Vec<TaskId> {
    let of = |text: &String| Submission {
        flow: Flow::from(flow),
        ..submission(text, "es")
    };
    hand_in_all(handles, texts.iter().map(of).collect()).await
}

/// How long ten posts of a feed take from now on.
async fn ten_posts(handles: &Handles) -> Duration {
    let posts = (0..10).map(|n| format!("A post of the feed, it has the number {n}."));
    let begun = Instant::now();
    let ids = of_flow(handles, "feed", posts.collect()).await;
    assert_eq!(finish(handles, &ids).await, 10);
    begun.elapsed()
}

const LATENCY: Duration = Duration::from_secs(2);

fn ten_a_second() -> LaneLimits {
    LaneLimits {
        rps: Some(10.0),
        concurrency: Some(40),
        ..LaneLimits::default()
    }
}

#[test]
fn ten_posts_beside_ten_thousand_need_at_most_twice_what_they_need_alone() {
    let alone_they_need = world::run(1108, async |mut world: World| {
        alone(&mut world, LATENCY, ten_a_second());
        ten_posts(&world.start()).await
    });
    world::run(1109, async |mut world: World| {
        let provider = alone(&mut world, LATENCY, ten_a_second());
        world.config.concurrency = Some(60);
        world.config.max_batch_size = 5;
        let handles = world.start();
        of_flow(&handles, "job", texts(10_000).collect()).await;
        pass(Duration::from_secs(20)).await;
        let (n_before, begun) = (provider.n_calls(), Instant::now());
        let beside_they_need = ten_posts(&handles).await;
        assert!(
            beside_they_need <= 2 * alone_they_need,
            "{beside_they_need:?} and {alone_they_need:?} alone"
        );
        pass(Duration::from_secs(60)).await;
        let allowed = 10.0 * begun.elapsed().as_secs_f64();
        let used = (provider.n_calls() - n_before) as f64;
        assert!(used >= 0.97 * allowed, "{used} of {allowed}");
    });
}

/// How long ten texts take that one caller waits for, each in a call of its own.
async fn ten_texts_now(handles: &Handles) -> Duration {
    let begun = Instant::now();
    let texts = (0..10).map(|n| format!("A text of the caller, it has the number {n}."));
    let asked = texts.map(|text| now(handles, "requests/1", vec![text]));
    for answer in join_all(asked).await {
        assert!(answer.expect("heard").is_ok());
    }
    begun.elapsed()
}

/// Has texts translated while their caller waits.
fn now(
    handles: &Handles,
    flow: &str,
    texts: Vec<String>,
) -> actix::prelude::RecipientRequest<TranslateNow> {
    handles.translate_now.send(TranslateNow {
        texts: texts.into(),
        source: Some(tag("en")),
        target: tag("es"),
        deadline: Duration::from_secs(3_600),
        class: Class::Interactive,
        flow: flow.into(),
    })
}

#[test]
fn ten_texts_of_one_caller_beside_ten_thousand_of_another_need_at_most_twice_as_long() {
    let alone_they_need = world::run(1111, async |mut world: World| {
        alone(&mut world, LATENCY, ten_a_second());
        ten_texts_now(&world.start()).await
    });
    world::run(1112, async |mut world: World| {
        alone(&mut world, LATENCY, ten_a_second());
        world.config.concurrency = Some(60);
        let handles = world.start();
        let greedy: Vec<_> = (0..10)
            .map(|_| now(&handles, "requests/2", texts(1_000).collect()))
            .collect();
        actix::spawn(join_all(greedy));
        pass(Duration::from_secs(20)).await;
        let beside_they_need = ten_texts_now(&handles).await;
        assert!(
            beside_they_need <= 2 * alone_they_need,
            "{beside_they_need:?} and {alone_they_need:?} alone"
        );
    });
}

/// Texts of many lengths.
fn long_and_short(n_texts: usize) -> impl Iterator<Item = String> {
    (0..n_texts).map(|n| {
        let n_words = 4 + (n * 7_919) % 61;
        format!("Text {n}:{}", " words".repeat(n_words))
    })
}

/// What the fake provider charges for a text, sent and received.
fn tokens_of(text: &str) -> f64 {
    (2 * text.len() + "[es] ".len()) as f64 / 4.0
}

#[test]
fn of_the_tokens_that_a_minute_allows_nearly_all_are_used_and_no_answer_is_cut() {
    world::run(1110, async |mut world: World| {
        let limits = LaneLimits {
            rpm: Some(600.0),
            tpm: Some(60_000.0),
            ..LaneLimits::default()
        };
        let provider = alone(&mut world, Duration::from_secs(1), limits);
        world.config.max_batch_size = 20;
        let handles = world.start();
        hand_in(&handles, long_and_short(8_000), "es").await;
        pass(Duration::from_secs(300)).await;
        let (packs, begun) = (provider.packs(), provider.begun());
        let minute = Duration::from_secs(60);
        let steady = begun[0] + minute..begun[0] + 5 * minute - Duration::from_secs(2);
        let calls = packs.iter().zip(&begun);
        let calls = calls.filter(|(_, begun)| steady.contains(begun));
        let used: f64 = calls
            .flat_map(|(pack, _)| &pack.items)
            .map(|item| tokens_of(&item.text))
            .sum();
        let allowed = (steady.end - steady.start).as_secs_f64() * 1_000.0;
        assert!(used >= 0.97 * allowed, "{:.2} %", used / allowed * 100.0);
        for pack in &packs {
            let needed: f64 = pack.items.iter().map(|item| item.text.len() as f64).sum();
            let room = f64::from(pack.max_tokens.expect("limited"));
            assert!(room >= needed / 4.0, "{room} for {needed} bytes");
        }
    });
}

//! What is known is not asked again, and what is asked is asked once for all who wait.

use std::time::Duration;

use babelfeed_actors::domain::{Class, Flow, Pair, State, Translation};
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::logic::spans::Numbers;
use babelfeed_actors::messages::{
    AskedTexts, CacheStats, Cancel, Clear, NowError, SaveAll, Submission, TranslateNow,
};
use babelfeed_actors::ports::{ProviderError, TranslationMemory as _};
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, tag, until};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::helpers::{ending, hand_in, hand_in_all, pass, settle, texts, translation};

const SAME: &str = "The same text for everybody.";

/// A caller who waits for a text that long.
async fn ask(handles: &Handles, text: &str, wait: Duration) -> Result<Translation, NowError> {
    let asked = handles.translate_now.send(TranslateNow {
        texts: vec![text].into(),
        source: Some(tag("en")),
        target: tag("es"),
        deadline: wait,
        class: Class::Interactive,
        flow: "requests".into(),
    });
    let mut answer = asked.await.expect("heard")?;
    Ok(answer.remove(0))
}

fn slow(world: &mut World, latency: Duration) -> FakeProvider {
    let provider = FakeProvider::with_latency(latency);
    world.providers[0].1 = provider.clone();
    provider
}

/// Submissions of the same text, each of a client of its own.
fn of_clients(n: usize) -> Vec<Submission> {
    (0..n)
        .map(|number| Submission {
            flow: Flow::from(format!("client {number}").as_str()),
            ..submission(SAME, "es")
        })
        .collect()
}

#[test]
fn fifty_equal_texts_of_clients_in_bulk_and_in_haste_are_one_call_and_none_after_a_restart() {
    let mut life = 0;
    world::run_lives(
        1,
        |world| {
            slow(world, Duration::from_secs(1));
        },
        async |world: &World| {
            life += 1;
            let handles = world.start();
            let bulk = hand_in_all(&handles, of_clients(25));
            let haste = join_all((0..25).map(|_| ask(&handles, SAME, Duration::from_secs(10))));
            let (ids, answers) = futures_util::join!(bulk, haste);
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            assert_eq!(finish(&handles, &ids).await, 25);
            assert_eq!(world.providers[0].1.n_texts(), 1, "life {life}");
            pass(Duration::from_secs(5)).await;
            (life == 2).then_some(())
        },
    );
}

#[test]
fn what_is_known_is_read_by_whoever_asks_whatever_becomes_of_numbers() {
    for numbers in [Numbers::Kept, Numbers::Translated] {
        world::run(1, async |mut world: World| {
            world.config.numbers = numbers;
            let handles = world.start();
            let text = "It drives at 33 km/h through the town.";
            let pair = Pair {
                source: Some(tag("en")),
                target: tag("es"),
            };
            let keyed = handles.known.keyed(&text.into(), &pair);
            let read = || handles.known.read(std::slice::from_ref(&keyed), &pair);
            assert_eq!(read(), None);

            let made = ask(&handles, text, Duration::from_secs(10)).await;

            let known = read().expect("known by now");
            assert_eq!(known[0].text, made.expect("an answer").text, "{numbers:?}");
        });
    }
}

#[test]
fn who_waits_is_answered_when_the_task_manager_falls_over_the_end_of_their_call() {
    world::run(1, async |mut world: World| {
        let latency = Duration::from_secs(1);
        let provider = slow(&mut world, latency);
        let handles = world.start();
        arm("task_manager.ended", 1);

        let begun = Instant::now();
        let answer = ask(&handles, SAME, Duration::from_secs(60)).await;

        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(begun.elapsed(), latency, "nobody waited for the restart");
        pass(Duration::from_secs(30)).await;
        assert!(!is_armed("task_manager.ended"));
        assert_eq!(provider.n_calls(), 1);
    });
}

#[test]
fn a_text_that_was_looked_up_before_is_translated_as_it_was_written() {
    world::run(1, async |world: World| {
        let handles = world.start();
        let text = " It drives at 33 km/h to https://example.org today.\n";
        let pair = Pair {
            source: Some(tag("en")),
            target: tag("es"),
        };
        let keyed = handles.known.keyed(&text.into(), &pair);
        let asked = handles.translate_now.send(TranslateNow {
            texts: AskedTexts::Keyed(vec![keyed]),
            source: pair.source,
            target: pair.target,
            deadline: Duration::from_secs(10),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        let made = asked.await.expect("heard").expect("translations");

        let known = ask(&handles, text, Duration::from_secs(10)).await;
        let known = known.expect("an answer");
        assert!(known.cached && !made[0].cached);
        assert_eq!(known.text, made[0].text);
        assert!(
            known.text.contains(" https://example.org "),
            "{}",
            known.text
        );
    });
}

#[test]
fn a_text_that_is_refused_is_refused_for_all_who_wait_by_one_call() {
    world::run(2, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_secs(1));
        let detail = "not this one".to_owned();
        provider.always(Some(ProviderFault::Error(ProviderError::Rejected {
            detail,
        })));
        let handles = world.start();

        let ids = hand_in_all(&handles, of_clients(50)).await;

        assert_eq!(finish(&handles, &ids).await, 0);
        assert_eq!(ending(&handles, ids[49]).await, "rejected");
        assert_eq!(provider.n_texts(), 1);
    });
}

#[test]
fn a_failure_of_the_lane_is_not_shared() {
    world::run(3, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_secs(1));
        provider.then(ProviderFault::Error(ProviderError::Transient {
            detail: "not now".to_owned(),
            wait: None,
        }));
        let handles = world.start();

        let ids = hand_in_all(&handles, of_clients(50)).await;

        assert_eq!(finish(&handles, &ids).await, 50);
        assert_eq!(provider.n_texts(), 2, "the next who waited led, alone");
    });
}

#[test]
fn who_waits_does_not_sleep_with_a_leader_whose_lane_failed() {
    world::run(7, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_millis(10));
        provider.then(ProviderFault::Error(ProviderError::Transient {
            detail: "not now".to_owned(),
            wait: None,
        }));
        let handles = world.start();
        let ids = hand_in(&handles, [SAME.to_owned()], "es").await;
        until("the call has failed", async || {
            let attempts = find(&handles, ids[0]).await.record.lifecycle.attempts();
            let state = find(&handles, ids[0]).await.record.lifecycle.state();
            (attempts, state) == (1, State::Queued)
        })
        .await;

        let answer = ask(&handles, SAME, Duration::from_millis(100)).await;

        assert!(!answer.expect("in time").cached, "who waited led");
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(provider.n_texts(), 2);
    });
}

#[test]
fn each_who_waits_keeps_a_deadline_of_its_own() {
    world::run(4, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_secs(5));
        world.limit(LaneLimits {
            concurrency: Some(1),
            ..LaneLimits::default()
        });
        let handles = world.start();
        hand_in(&handles, texts(1), "fr").await;
        pass(Duration::from_millis(10)).await;
        let mut clients = of_clients(3);
        for (client, seconds) in clients.iter_mut().zip([2, 7, 60]) {
            client.deadline = Some(Duration::from_secs(seconds));
        }

        let ids = hand_in_all(&handles, clients).await;

        assert_eq!(finish(&handles, &ids).await, 1);
        let mut ends = Vec::new();
        for id in &ids {
            ends.push(ending(&handles, *id).await);
        }
        assert_eq!(ends, ["expired", "expired", "Completed"]);
        settle(&handles).await;
        let packs = provider.packs();
        let n_same = packs.iter().filter(|pack| &*pack.items[0].text == SAME);
        assert_eq!(n_same.count(), 1);
    });
}

#[test]
fn who_waits_leads_when_the_leader_is_cancelled() {
    world::run(5, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_secs(5));
        world.limit(LaneLimits {
            concurrency: Some(1),
            ..LaneLimits::default()
        });
        let handles = world.start();
        hand_in(&handles, texts(1), "fr").await;
        pass(Duration::from_millis(10)).await;
        let ids = hand_in_all(&handles, of_clients(2)).await;
        pass(Duration::from_millis(10)).await;

        let cancelled = handles.cancel.send(Cancel(ids[0])).await.expect("heard");

        assert!(cancelled.is_ok(), "{cancelled:?}");
        assert_eq!(finish(&handles, &ids).await, 1);
        assert!(!translation(&handles, ids[1]).await.cached, "it led");
        assert_eq!(provider.n_texts(), 2);
    });
}

#[test]
fn who_waits_in_haste_raises_the_leader() {
    world::run(6, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_secs(1));
        let handles = world.start();
        hand_in(&handles, texts(5_000), "es").await;
        let low = Submission {
            class: Class::Low,
            ..submission(SAME, "es")
        };
        let ids = hand_in_all(&handles, vec![low]).await;
        pass(Duration::from_millis(50)).await;
        let state = find(&handles, ids[0]).await.record.lifecycle.state();
        assert_ne!(state, State::Completed);
        let begun = Instant::now();

        let answer = ask(&handles, SAME, Duration::from_secs(10))
            .await
            .expect("in time");

        let took = begun.elapsed();
        assert!(took < Duration::from_millis(2_100), "{took:?}");
        assert!(answer.cached, "the call was another's");
        assert_eq!(finish(&handles, &ids).await, 1);
        let packs = provider.packs();
        let sent = packs.iter().flat_map(|pack| &pack.items);
        assert_eq!(sent.filter(|item| &*item.text == SAME).count(), 1);
    });
}

/// How often the cache began to refresh something.
async fn refreshed(handles: &Handles) -> u64 {
    let stats = handles.cache_stats.send(CacheStats).await.expect("heard");
    stats.refreshed
}

/// A world in which a translation is known for 100 seconds.
fn forgetful(world: &mut World) -> FakeProvider {
    world.config.cache_ttl = Duration::from_secs(100);
    slow(world, Duration::from_secs(1))
}

#[test]
fn what_is_asked_for_often_is_made_anew_before_its_time_is_over() {
    world::run(7, async |mut world: World| {
        let provider = forgetful(&mut world);
        let handles = world.start();
        for _ in 0..5 {
            let ids = hand_in(&handles, [SAME.to_owned()], "es").await;
            assert_eq!(finish(&handles, &ids).await, 1);
        }
        pass(Duration::from_secs(85)).await;
        let begun = Instant::now();

        let old = ask(&handles, SAME, Duration::from_secs(10))
            .await
            .expect("known");

        assert!(old.cached && begun.elapsed() < Duration::from_millis(10));
        pass(Duration::from_secs(20)).await;
        assert_eq!(provider.n_calls(), 2);
        assert_eq!(refreshed(&handles).await, 1);
        let new = ask(&handles, SAME, Duration::from_secs(10))
            .await
            .expect("known");
        assert!(new.cached, "its time began anew");
        assert_eq!(provider.n_calls(), 2);
    });
}

#[test]
fn what_is_asked_for_seldom_is_forgotten_when_its_time_is_over() {
    world::run(8, async |mut world: World| {
        let provider = forgetful(&mut world);
        let handles = world.start();
        for (wait, n_calls) in [(0, 1), (85, 1), (30, 2)] {
            pass(Duration::from_secs(wait)).await;
            let answer = ask(&handles, SAME, Duration::from_secs(10)).await;
            assert!(answer.is_ok(), "{answer:?}");
            assert_eq!(provider.n_calls(), n_calls, "after {wait} s more");
        }
        assert_eq!(refreshed(&handles).await, 0);
    });
}

#[test]
fn no_more_than_a_few_translations_are_made_anew_at_a_time() {
    world::run(9, async |mut world: World| {
        let provider = forgetful(&mut world);
        let handles = world.start();
        for _ in 0..5 {
            let ids = hand_in(&handles, texts(100), "es").await;
            assert_eq!(finish(&handles, &ids).await, 100);
        }
        pass(Duration::from_secs(85)).await;
        provider.always(Some(ProviderFault::Hang));

        let ids = hand_in(&handles, texts(100), "es").await;

        assert_eq!(finish(&handles, &ids).await, 100);
        assert_eq!(refreshed(&handles).await, 32);
    });
}

async fn n_durable(world: &World) -> usize {
    world.store.load(usize::MAX).await.expect("a read").len()
}

/// Lets the first save pass, which is due a second after the start whatever comes.
async fn pass_the_first_save() {
    pass(Duration::from_secs(2)).await;
}

#[test]
fn what_is_new_is_durable_a_second_later() {
    world::run(11, async |world: World| {
        let handles = world.start();
        pass_the_first_save().await;
        assert!(ask(&handles, SAME, Duration::from_secs(10)).await.is_ok());
        pass(Duration::from_millis(900)).await;
        assert_eq!(n_durable(&world).await, 0);

        pass(Duration::from_millis(200)).await;

        assert_eq!(n_durable(&world).await, 1);
    });
}

#[test]
fn thousands_are_durable_before_a_second_is_over() {
    const N: usize = 6_000;
    world::run(12, async |mut world: World| {
        slow(&mut world, Duration::from_millis(1));
        let handles = world.start();
        pass_the_first_save().await;
        let begun = Instant::now();

        let ids = hand_in(&handles, texts(N), "es").await;
        until("many are durable", async || {
            n_durable(&world).await >= 4_096
        })
        .await;

        let took = begun.elapsed();
        assert!(took < Duration::from_millis(900), "{took:?}");
        assert_eq!(finish(&handles, &ids).await, N);
        pass(Duration::from_millis(1_100)).await;
        assert_eq!(n_durable(&world).await, N);
    });
}

/// How many are saved in several parts.
const IN_PARTS: usize = 3_000;

/// A system that saves as many, of which nothing is durable until the store is released.
async fn saving_in_parts(world: &mut World) -> Handles {
    slow(world, Duration::from_millis(1));
    let handles = world.start();
    pass_the_first_save().await;
    let ids = hand_in(&handles, texts(IN_PARTS), "es").await;
    assert_eq!(finish(&handles, &ids).await, IN_PARTS);
    world.store.withhold();
    until("it is being saved", async || world.store.n_withheld() > 0).await;
    handles
}

#[test]
fn what_is_cleared_while_it_is_saved_does_not_come_back() {
    world::run(13, async |mut world: World| {
        let handles = saving_in_parts(&mut world).await;

        let clearing = actix_rt::spawn(handles.clear.send(Clear));
        pass(Duration::from_millis(1)).await;
        world.store.release();

        let cleared = clearing.await.expect("no panic").expect("heard");
        assert!(cleared.is_ok(), "{cleared:?}");
        pass(Duration::from_secs(2)).await;
        assert_eq!(n_durable(&world).await, 0);
    });
}

#[test]
fn what_is_being_saved_at_a_stop_is_saved_whole() {
    world::run(14, async |mut world: World| {
        let handles = saving_in_parts(&mut world).await;

        let saving = actix_rt::spawn(handles.save_known.send(SaveAll));
        pass(Duration::from_millis(1)).await;
        world.store.release();

        let saved = saving.await.expect("no panic").expect("heard");
        assert!(saved.is_ok(), "{saved:?}");
        assert_eq!(n_durable(&world).await, IN_PARTS);
    });
}

#[test]
fn what_is_new_while_something_is_saved_is_known_after_a_stop() {
    let mut life = 0;
    world::run_lives(
        10,
        |_| (),
        async |world: &World| {
            life += 1;
            let handles = world.start();
            if life == 2 {
                for text in ["The first text.", "The second text."] {
                    let answer = ask(&handles, text, Duration::from_secs(10)).await;
                    assert!(answer.expect("answered").cached, "{text}");
                }
                return Some(());
            }
            let first = ask(&handles, "The first text.", Duration::from_secs(10)).await;
            assert!(first.is_ok());
            world.store.withhold();
            until("it is being saved", async || world.store.n_withheld() > 0).await;
            let second = ask(&handles, "The second text.", Duration::from_secs(10)).await;
            assert!(second.is_ok());
            let saving = handles.save_known.send(SaveAll);
            let saving = actix_rt::spawn(saving);
            pass(Duration::from_millis(1)).await;
            world.store.release();
            let saved = saving.await.expect("no panic").expect("heard");
            assert!(saved.is_ok(), "{saved:?}");
            None
        },
    );
}

#[test]
fn texts_that_wait_for_an_equal_one_hold_up_nothing_else() {
    world::run(15, async |mut world: World| {
        let provider = slow(&mut world, Duration::from_millis(10));
        provider.then(ProviderFault::Hang);
        world.config.timeout = Duration::from_secs(3_600);
        world.config.max_batch_size = 1;
        let handles = world.start();
        let equal = (0..2_100).map(|_| SAME.to_owned());
        hand_in(&handles, equal.chain(texts(500)), "es").await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(provider.n_texts(), 501);
    });
}

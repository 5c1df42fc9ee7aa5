//! The way of a text through the actors.

use std::time::Duration;

use babelfeed_actors::domain::{Class, State};
use babelfeed_actors::messages::TranslateNow;
use babelfeed_actors::ports::{Ended, TaskStore as _};
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::world::{self, World, find, finish, tag};

use crate::helpers::{hand_in, pass, texts};

#[test]
fn a_text_comes_back_translated_with_its_spans() {
    world::run(1, async |world: World| {
        let handles = world.start();
        let text = "Look at https://example.org/a?b=c @ann #dogs :blobcat: 🎉 now".to_owned();
        let ids = hand_in(&handles, [text], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let record = find(&handles, ids[0]).await.record;
        let Some(Ended::Completed(translation)) = record.ended else {
            panic!("no translation: {record:?}");
        };
        for span in [
            "https://example.org/a?b=c",
            "@ann",
            "#dogs",
            ":blobcat:",
            "🎉",
        ] {
            assert_eq!(translation.text.matches(span).count(), 1, "{span}");
        }
        let states: Vec<State> = record
            .lifecycle
            .history()
            .iter()
            .map(|entry| entry.state)
            .collect();
        assert_eq!(
            states,
            [
                State::Submitted,
                State::Queued,
                State::Processing,
                State::Completed
            ]
        );
        assert_eq!(record.lifecycle.attempts(), 1);
    });
}

#[test]
fn equal_texts_share_one_call() {
    world::run(2, async |world: World| {
        let handles = world.start();
        let provider = world.providers[0].1.clone();
        let same = std::iter::repeat_n("The same text for everybody.".to_owned(), 50);
        let ids = hand_in(&handles, same, "es").await;
        assert_eq!(finish(&handles, &ids).await, 50);
        assert_eq!(provider.n_texts(), 1);
    });
}

#[test]
fn texts_are_packed_and_all_accounted_for() {
    world::run(3, async |world: World| {
        let handles = world.start();
        let provider = world.providers[0].1.clone();
        let ids = hand_in(&handles, texts(1_000), "es").await;
        assert_eq!(finish(&handles, &ids).await, 1_000);
        assert_eq!(provider.n_texts(), 1_000);
        assert!(provider.n_calls() <= 110, "{}", provider.n_calls());
    });
}

#[test]
fn more_than_a_window_of_tasks_is_loaded_from_disk() {
    world::run(4, async |world: World| {
        let handles = world.start();
        let mut ids = Vec::new();
        for start in 0..20 {
            let texts = (0..1_000).map(|n| format!("Text {start} and then {n}."));
            ids.extend(hand_in(&handles, texts, "es").await);
        }
        assert_eq!(finish(&handles, &ids).await, 20_000);
    });
}

#[test]
fn a_task_is_written_down_as_in_a_call_once_that_lasts() {
    world::run(6, async |mut world: World| {
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(1));
        let handles = world.start();
        let n_claimed = async || {
            let claimed = world.store.claimed(None, 9).await;
            claimed.expect("a read").len()
        };
        let ids = hand_in(&handles, texts(1), "es").await;
        while world.providers[0].1.n_calls() == 0 {
            pass(Duration::from_millis(1)).await;
        }
        assert_eq!(n_claimed().await, 0, "it may end before that is written");

        pass(Duration::from_millis(100)).await;

        assert_eq!(n_claimed().await, 1);
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(n_claimed().await, 0);
    });
}

#[test]
fn an_interactive_text_overtakes_bulk_work_and_touches_no_disk() {
    world::run(5, async |mut world: World| {
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(1));
        let handles = world.start();
        let ids = hand_in(&handles, texts(5_000), "es").await;
        world.store.withhold();
        let begun = tokio::time::Instant::now();
        let answer = handles.translate_now.send(TranslateNow {
            texts: vec!["Hello there"].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(10),
            class: Class::Interactive,
            flow: "requests".into(),
        });
        let answer = answer.await.expect("heard").expect("translated");
        assert_eq!(answer.len(), 1);
        assert!(
            begun.elapsed() < Duration::from_millis(2_100),
            "{:?}",
            begun.elapsed()
        );
        world.store.release();
        assert_eq!(finish(&handles, &ids).await, 5_000);
    });
}

#[test]
fn more_long_texts_than_memory_holds_are_all_translated() {
    world::run(41, async |world: World| {
        let words = "A long text of many words. ".repeat(3_700);
        let long = (0..200).map(|n| format!("Number {n}. {words}"));
        let handles = world.start();
        let ids = hand_in(&handles, long, "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);
        assert_eq!(world.providers[0].1.n_texts(), 200);
    });
}

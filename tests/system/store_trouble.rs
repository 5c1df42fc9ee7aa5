//! What the system does while its store does not.

use std::time::Duration;

use babelfeed_actors::domain::State;
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::{Cancel, Closed, Submission, SubmitError};
use babelfeed_actors::ports::{ProviderError, StoreError};
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, submit, tag};

use crate::helpers::{
    assert_legal, assert_out_once, depth, hand_in, hand_in_all, pass, poll, publish, settle, texts,
};
use crate::journal;

fn no_space() -> StoreError {
    StoreError::NoSpace {
        detail: "the disk is full".into(),
    }
}

#[test]
fn no_submit_is_answered_before_it_is_durable() {
    world::run(61, async |world: World| {
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        world.store.withhold();
        let one = vec![submission("One text.", "es")];
        let submitting = submit(&handles, one);
        tokio::pin!(submitting);
        let early = tokio::time::timeout(Duration::from_secs(3_600), &mut submitting).await;
        assert!(early.is_err(), "answered before it was durable");
        assert_eq!(world.providers[0].1.n_calls(), 0);
        world.store.release();
        let admitted = submitting.await.expect("there is room");
        assert_eq!(finish(&handles, &[admitted[0].tasks[0].0]).await, 1);
    });
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    world::run(62, async |world: World| {
        let handles = world.start();
        let wait = Duration::from_secs(7);
        world.store.refuse_intake(Some(StoreError::Full { wait }));
        let refused = submit(&handles, vec![submission("One text.", "es")]).await;
        let error = refused.expect_err("the store is full");
        assert_eq!(error, SubmitError::Store(StoreError::Full { wait }));
        assert_eq!(error.retry_after(), wait);
        world.store.refuse_intake(None);
        let admitted = submit(&handles, vec![submission("One text.", "es")]).await;
        let ids = [admitted.expect("there is room")[0].tasks[0].0];
        assert_eq!(finish(&handles, &ids).await, 1);
    });
}

#[test]
fn an_hour_without_space_loses_nothing_and_begins_nothing() {
    world::run(63, async |mut world: World| {
        journal::listen();
        let outlet = FakeOutlet::default();
        world.outlets = vec![("es", outlet.clone(), "es")];
        let provider = FakeProvider::with_latency(Duration::from_millis(200));
        world.providers[0].1 = provider.clone();
        let handles = world.start();
        let ids = publish(&handles, texts(1_000), "es").await;
        pass(Duration::from_millis(500)).await;

        arm("task_manager.look_for_room", 1);
        world.store.refuse_writes(Some(no_space()));
        pass(Duration::from_secs(10)).await;
        let n_calls = provider.n_calls();
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(provider.n_calls(), n_calls, "something new began");
        let refused = submit(&handles, vec![submission("One more.", "es")]).await;
        assert_eq!(refused, Err(SubmitError::Store(no_space())));
        assert_eq!(depth(&handles).await.closed, Some(Closed::NoRoom));
        assert_eq!(
            journal::count("the store does not write; nothing new begins"),
            1
        );

        world.store.refuse_writes(None);
        assert_eq!(finish(&handles, &ids).await, 1_000);
        settle(&handles).await;
        assert_eq!(provider.n_texts(), 1_000, "no text was called for twice");
        assert_out_once(&outlet, texts(1_000).map(|text| format!("[es] {text}")));
        assert_legal(&find(&handles, ids[0]).await.record);
        // Whether there is room is looked for in intervals.
        pass(Duration::from_secs(120)).await;
        assert_eq!(depth(&handles).await.closed, None, "intake is open again");
        assert!(!is_armed("task_manager.look_for_room"));
        assert_eq!(journal::count("the store writes again"), 1);
    });
}

#[test]
fn an_hour_without_space_is_told_when_it_begins_and_when_it_ends() {
    world::run(66, async |mut world: World| {
        journal::listen();
        let outlets = ["es", "fr", "de"].map(|name| (name, FakeOutlet::default()));
        world.outlets = outlets
            .iter()
            .map(|(name, outlet)| (*name, outlet.clone(), *name))
            .collect();
        world.rules.per_hour = Some(1_000);
        let source = FakeSource::new("news");
        world.sources = vec![("news", source.clone())];
        let handles = world.start();
        for n in 0..20 {
            source.show(format!("Post number {n}."));
        }
        pass(Duration::from_secs(1)).await;

        world.store.refuse_writes(Some(no_space()));
        for n in 20..40 {
            source.show(format!("Post number {n}."));
            pass(Duration::from_secs(180)).await;
        }
        assert_eq!(journal::count("poll failed"), 1);
        world.store.refuse_writes(None);
        settle(&handles).await;
        pass(Duration::from_secs(600)).await;

        for (name, outlet) in outlets {
            let posts = (0..40).map(|n| format!("[{name}] Post number {n}."));
            assert_out_once(&outlet, posts);
        }
        let flood = journal::said_more_often_than(3);
        assert!(flood.is_empty(), "{flood:?}");
    });
}

#[test]
fn a_disk_that_hangs_closes_intake_and_is_told_once() {
    world::run(68, async |mut world: World| {
        journal::listen();
        let provider = FakeProvider::with_latency(Duration::from_secs(1));
        world.providers[0].1 = provider.clone();
        let handles = world.start();
        let ids = hand_in(&handles, texts(30), "es").await;
        pass(Duration::from_millis(500)).await;
        world.store.withhold();
        let one = vec![submission("One text.", "es")];
        let submitting = submit(&handles, one);
        let hanging = async {
            pass(Duration::from_secs(20)).await;
            assert_eq!(depth(&handles).await.closed, None, "it may only be slow");
            pass(Duration::from_secs(20)).await;
            assert_eq!(depth(&handles).await.closed, Some(Closed::NoRoom));
            pass(Duration::from_secs(600)).await;
            world.store.release();
        };
        let (admitted, ()) = futures_util::join!(submitting, hanging);
        let admitted = admitted.expect("there is room");
        assert_eq!(finish(&handles, &ids).await, 30);
        assert_eq!(finish(&handles, &[admitted[0].tasks[0].0]).await, 1);
        pass(Duration::from_secs(120)).await;
        assert_eq!(depth(&handles).await.closed, None, "intake is open again");
        for message in [
            "the store hangs; nothing new begins",
            "the store hangs; nothing new is taken",
            "the store writes again",
        ] {
            assert_eq!(journal::count(message), 1, "{message}");
        }
    });
}

#[test]
fn what_is_unreadable_of_a_source_is_told_once() {
    world::run(67, async |mut world: World| {
        journal::listen();
        let source = FakeSource::new("news");
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", FakeOutlet::default(), "es")];
        let handles = world.start();
        for n in 0..10 {
            source.warn("an entry has no text");
            source.show(format!("Post number {n}."));
            poll(&handles).await;
        }
        assert_eq!(journal::count("part of a source is unreadable"), 1);
        source.show("Post number 10.");
        poll(&handles).await;
        assert_eq!(journal::count("all of a source is readable again"), 1);
    });
}

#[test]
fn a_store_that_cannot_be_read_at_the_start_is_waited_for() {
    world::run(64, async |world: World| {
        world.store.refuse_reads(Some(no_space()));
        let handles = world.start();
        let reads = world.store.clone();
        actix_rt::spawn(async move {
            pass(Duration::from_secs(60)).await;
            reads.refuse_reads(None);
        });
        let begun = tokio::time::Instant::now();
        let admitted = submit(&handles, vec![submission("One text.", "es")]).await;
        assert!(
            begun.elapsed() >= Duration::from_secs(55),
            "mail waits for the start"
        );
        let id = admitted.expect("there is room")[0].tasks[0].0;
        assert_eq!(finish(&handles, &[id]).await, 1);
        assert_eq!(
            find(&handles, id).await.record.lifecycle.state(),
            State::Completed
        );
    });
}

#[test]
fn a_cancel_is_answered_by_its_own_commit_and_by_no_earlier_one() {
    world::run(65, async |mut world: World| {
        let provider = FakeProvider::with_latency(Duration::from_secs(1));
        provider.then(ProviderFault::Error(ProviderError::Transient {
            detail: "no".into(),
            wait: None,
        }));
        world.providers[0].1 = provider;
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        pass(Duration::from_millis(900)).await;
        world.store.withhold();
        pass(Duration::from_millis(150)).await;
        assert_eq!(world.store.n_withheld(), 1, "the way back is being written");
        let cancelling = handles.cancel.send(Cancel(ids[0]));
        let releasing = async {
            pass(Duration::from_secs(1)).await;
            world.store.release();
        };
        let (cancelled, ()) = futures_util::join!(cancelling, releasing);
        let view = cancelled.expect("heard").expect("cancelled");
        assert_eq!(view.record.lifecycle.state(), State::Failed);
    });
}

#[test]
fn tasks_that_ended_and_are_not_written_yet_make_no_room_for_more() {
    world::run(67, async |world: World| {
        world.store.delay_reads(Duration::from_secs(1));
        let handles = world.start();
        pass(Duration::from_secs(10)).await;
        let in_spanish = |text: String| Submission {
            source: Some(tag("es")),
            ..submission(&text, "es")
        };
        let ids = hand_in_all(&handles, texts(10_000).map(in_spanish).collect()).await;
        world.store.withhold();
        let n_reads = world.store.n_reads();
        pass(Duration::from_secs(60)).await;
        let n_pages = world.store.n_reads() - n_reads;
        assert!(n_pages <= 3, "{n_pages} pages");
        world.store.release();
        world.store.delay_reads(Duration::ZERO);
        assert_eq!(finish(&handles, &ids).await, 10_000);
    });
}

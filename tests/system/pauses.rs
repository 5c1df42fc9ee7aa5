//! What a person has paused does nothing in the system that comes after, not even once.

use std::time::Duration;

use babelfeed_actors::domain::{PausedBy, State};
use babelfeed_actors::messages::{Missed, OpenIntake, PauseSource, ResumeSource, Watching};
use babelfeed_actors::ports::{SourceError, StoreError};
use babelfeed_actors::setup::{LaneLimits, Pauses};
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::source::{FakeSource, SourceFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, submit};

use crate::helpers::{
    assert_out_once, hand_in, pass, publish, resume_lane, resume_outlets, settle, texts,
};

#[test]
fn a_source_paused_before_is_not_polled_and_what_it_shows_belongs_to_who_paused_it() {
    for (by, later) in [(PausedBy::Person, 2..4), (PausedBy::Service, 0..4)] {
        world::run(1_601, async |mut world: World| {
            let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
            world.sources = vec![("news", source.clone())];
            world.outlets = vec![("es", outlet.clone(), "es")];
            let show = |numbers: std::ops::Range<usize>| {
                numbers.for_each(|n| source.show(format!("Post number {n}.")));
            };
            show(0..2);
            world.pauses = Pauses {
                sources: vec![("news".into(), by), ("gone".into(), by)],
                ..Pauses::default()
            };
            let handles = world.start();
            pass(Duration::from_secs(3_600)).await;
            assert_eq!(source.n_polls(), 0);
            let views = handles.watching.send(Watching).await.expect("heard");
            let paused: Vec<_> = views.iter().map(|view| view.paused_by).collect();
            assert_eq!(paused, [Some(by)]);

            let resumed = handles.resume_source.send(ResumeSource {
                name: Some("news".into()),
                missed: Missed::Skipped,
            });
            resumed.await.expect("heard").expect("known");
            pass(Duration::from_secs(60)).await;
            show(2..4);
            pass(Duration::from_secs(120)).await;
            settle(&handles).await;
            assert_out_once(
                &outlet,
                later.clone().map(|n| format!("[es] Post number {n}.")),
            );
        });
    }
}

#[test]
fn a_source_that_was_resumed_before_passes_over_what_it_missed_at_its_first_poll_that_ends_well() {
    world::run(1_604, async |mut world: World| {
        let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.pauses.skipping = vec!["news".into(), "gone".into()];
        source.show("Missed.");
        source.fail_next(SourceFault::Error(SourceError::Unreachable {
            detail: "no connection".into(),
        }));
        let handles = world.start();
        let missed = async || {
            let views = handles.watching.send(Watching).await.expect("heard");
            views[0].missed
        };
        pass(Duration::from_secs(10)).await;
        assert_eq!(missed().await, Missed::Skipped, "the poll failed");
        // What the service pauses meanwhile changes nothing of it.
        let pause = PauseSource(None, PausedBy::Service);
        let paused = handles.pause_source.send(pause).await;
        paused.expect("heard").expect("known");
        let resumed = handles.resume_source.send(ResumeSource {
            name: None,
            missed: Missed::Taken,
        });
        resumed.await.expect("heard").expect("known");
        pass(Duration::from_secs(120)).await;
        assert_eq!(missed().await, Missed::Taken);
        assert_eq!(world.store.skipped(), ["news".into()]);
        source.show("New.");
        pass(Duration::from_secs(120)).await;
        settle(&handles).await;
        assert_out_once(&outlet, ["[es] New.".to_owned()]);
    });
}

#[test]
fn what_was_seen_before_a_pause_is_taken_after_it_although_the_queue_was_full() {
    world::run(1_606, async |mut world: World| {
        let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.source_rules.settle = Duration::from_secs(600);
        source.show("Seen before.");
        let handles = world.start();
        pass(Duration::from_secs(300)).await;
        let pause = PauseSource(None, PausedBy::Person);
        let paused = handles.pause_source.send(pause).await;
        paused.expect("heard").expect("known");
        source.show("Missed.");
        pass(Duration::from_secs(600)).await;
        world.store.refuse_intake(Some(StoreError::Full {
            wait: Duration::from_secs(3),
        }));
        let resumed = handles.resume_source.send(ResumeSource {
            name: None,
            missed: Missed::Skipped,
        });
        resumed.await.expect("heard").expect("known");
        pass(Duration::from_secs(10)).await;
        world.store.refuse_intake(None);
        pass(Duration::from_secs(1_200)).await;
        settle(&handles).await;
        assert_out_once(&outlet, ["[es] Seen before.".to_owned()]);
    });
}

#[test]
fn an_outlet_paused_before_sends_nothing_of_what_is_planned() {
    let outlet = FakeOutlet::default();
    let mut n_lives = 0;
    world::run_lives(
        1_602,
        |world| {
            world.outlets = vec![("es", outlet.clone(), "es")];
            world.pauses.outlets = vec!["es".into()];
        },
        async |world| {
            let handles = world.start();
            n_lives += 1;
            if n_lives == 1 {
                let ids = publish(&handles, texts(20), "es").await;
                assert_eq!(finish(&handles, &ids).await, 20);
                pass(Duration::from_secs(60)).await;
                return None;
            }
            pass(Duration::from_secs(600)).await;
            assert_eq!(outlet.n_calls(), 0, "what was planned before");
            resume_outlets(&handles, Some("es".into())).await;
            settle(&handles).await;
            assert_out_once(&outlet, texts(20).map(|text| format!("[es] {text}")));
            Some(())
        },
    );
}

#[test]
fn a_lane_paused_before_grants_nothing_and_who_drained_takes_nothing() {
    world::run(1_603, async |mut world: World| {
        let provider = FakeProvider::new();
        world.providers[0].1 = provider.clone();
        world.pauses = Pauses {
            lanes: vec!["fake".into()],
            is_draining: true,
            ..Pauses::default()
        };
        let handles = world.start();
        assert!(
            submit(&handles, vec![submission("Too late", "es")])
                .await
                .is_err()
        );
        handles.open_intake.send(OpenIntake).await.expect("heard");
        let ids = hand_in(&handles, texts(5), "es").await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(provider.n_calls(), 0);
        resume_lane(&handles, "fake").await;
        assert_eq!(finish(&handles, &ids).await, 5);
    });
}

#[test]
fn a_resumed_lane_whose_limits_are_written_down_goes_on_at_once() {
    let limits = LaneLimits {
        rpm: Some(60.0),
        rpd: Some(1_000.0),
        ..LaneLimits::default()
    };
    world::run(1_605, async |mut world: World| {
        world.providers[0].2 = limits;
        world.pauses.lanes = vec!["fake".into()];
        let handles = world.start();
        let ids = hand_in(&handles, texts(5), "es").await;
        pass(Duration::from_secs(600)).await;
        resume_lane(&handles, "fake").await;
        pass(Duration::from_secs(5)).await;
        for id in &ids {
            let state = find(&handles, *id).await.record.lifecycle.state();
            assert_eq!(state, State::Completed);
        }
    });
}

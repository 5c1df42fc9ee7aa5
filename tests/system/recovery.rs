//! What a process that is killed leaves behind, and what the next one makes of it.

use std::time::Duration;

use babelfeed_actors::domain::{PublicationState, State, TaskId};
use babelfeed_actors::messages::Stop;
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, find, finish};

use crate::helpers::{
    assert_legal, assert_out_once, depth, ending, pass, publish, settle, texts, until_publication,
};

const LIVES: usize = 24;
const TEXTS: usize = 25;

/// Kills the system again and again at random moments, and looks at what came of everything.
fn storm(seed: u64, faults: &[OutletFault]) {
    println!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let outlet = FakeOutlet::default();
    outlet.set_quiet(Duration::from_secs(2));
    outlet.delay(Duration::from_millis(30));
    let provider = FakeProvider::with_latency(Duration::from_millis(300));
    let source = FakeSource::new("news");
    let (mut lives, mut ids, mut expected) = (0, Vec::<TaskId>::new(), Vec::new());
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.sources = vec![("news", source.clone())];
        world.config.max_batch_size = 4;
    };
    world::run_lives(seed, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives > LIVES {
            assert_eq!(finish(&handles, &ids).await, ids.len());
            pass(Duration::from_secs(120)).await;
            settle(&handles).await;
            for &id in &ids {
                let view = find(&handles, id).await;
                assert_legal(&view.record);
                assert!(view.record.lifecycle.attempts() <= LIVES as u32);
                assert_eq!(view.publications[0].state, PublicationState::Published);
            }
            assert_out_once(&outlet, expected.drain(..));
            return Some(());
        }
        if let Some(fault) = faults.get(chance.usize(..=faults.len() * 2)) {
            outlet.fail_next(fault.clone());
        }
        source.show(format!("A post in life {lives}."));
        expected.push(format!("[es] A post in life {lives}."));
        let mine: Vec<String> = texts(TEXTS)
            .map(|text| format!("{lives}: {text}"))
            .collect();
        let span = Duration::from_millis(chance.u64(1..2_500));
        let life = async {
            // Each waits for a death in its call at most twice, or it would be poison.
            if lives % 3 == 1 {
                ids.extend(publish(&handles, mine.clone(), "es").await);
                expected.extend(mine.iter().map(|text| format!("[es] {text}")));
            }
            if lives % 3 == 0 {
                settle(&handles).await;
            }
            std::future::pending::<()>().await;
        };
        // Every third life is long enough to finish.
        let span = if lives % 3 == 0 {
            span + Duration::from_secs(60)
        } else {
            span
        };
        let _ = tokio::time::timeout(span, life).await;
        None
    });
}

#[test]
fn a_storm_of_crashes_loses_nothing_and_doubles_nothing() {
    for seed in 100..106 {
        storm(seed, &[]);
    }
}

#[test]
fn a_storm_of_crashes_over_lost_answers_doubles_nothing() {
    let faults = [OutletFault::StoredAndLost, OutletFault::LostAndSilent];
    for seed in 200..206 {
        storm(seed, &faults);
    }
}

#[test]
fn a_storm_of_crashes_over_panics_doubles_nothing() {
    let faults = [
        OutletFault::Panic,
        OutletFault::StoredAndPanic,
        OutletFault::Late(Duration::from_millis(700)),
    ];
    for seed in 300..306 {
        storm(seed, &faults);
    }
}

#[test]
fn a_text_whose_call_runs_at_three_deaths_is_poison() {
    let provider = FakeProvider::with_latency(Duration::from_secs(30));
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| world.providers[0].1 = provider.clone();
    world::run_lives(401, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            ids = publish(&handles, texts(1), "es").await;
        }
        pass(Duration::from_secs(5)).await;
        if lives <= 3 {
            let state = find(&handles, ids[0]).await.record.lifecycle.state();
            assert_eq!(state, State::Processing, "in life {lives}");
            return None;
        }
        assert_eq!(ending(&handles, ids[0]).await, "poison");
        assert_eq!(provider.n_calls(), 3);
        Some(())
    });
}

#[test]
fn a_stop_returns_the_attempts_of_what_is_in_a_call() {
    let provider = FakeProvider::with_latency(Duration::from_secs(30));
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.config.max_batch_size = 2;
    };
    world::run_lives(402, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            ids = publish(&handles, texts(50), "es").await;
        }
        if lives <= 5 {
            pass(Duration::from_secs(5)).await;
            let stopping = handles.stop.send(Stop(Duration::from_secs(2)));
            stopping.await.expect("heard");
            let depth = depth(&handles).await;
            assert_eq!((depth.queued, depth.processing), (50, 0));
            for &id in &ids {
                assert_eq!(find(&handles, id).await.record.lifecycle.attempts(), 0);
            }
            return None;
        }
        // Five deaths in a call, but each of them announced: nothing of it is poison.
        assert_eq!(finish(&handles, &ids).await, 50);
        Some(())
    });
}

#[test]
fn what_may_be_out_when_the_process_dies_is_read_back_before_it_is_sent_again() {
    let outlet = FakeOutlet::default();
    outlet.set_quiet(Duration::from_secs(10));
    outlet.fail_next(OutletFault::Late(Duration::from_secs(5)));
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| world.outlets = vec![("es", outlet.clone(), "es")];
    world::run_lives(403, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            ids = publish(&handles, texts(1), "es").await;
            pass(Duration::from_secs(2)).await;
            return None;
        }
        pass(Duration::from_secs(5)).await;
        assert_eq!((outlet.n_read_backs(), outlet.out().len()), (0, 0), "quiet");
        until_publication(&handles, ids[0], PublicationState::Published).await;
        assert_eq!((outlet.n_read_backs(), outlet.out().len()), (1, 1));
        Some(())
    });
}

#[test]
fn attempts_are_bounded_although_the_process_dies_between_them() {
    let provider = FakeProvider::with_latency(Duration::from_millis(100));
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| world.providers[0].1 = provider.clone();
    world::run_lives(404, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        // One failure in each life: never three in a row, so each is the text's own.
        provider.then(ProviderFault::Error(ProviderError::Transient {
            detail: "no".into(),
            wait: None,
        }));
        provider.then(ProviderFault::Hang);
        if lives == 1 {
            ids = publish(&handles, texts(1), "es").await;
        }
        pass(Duration::from_millis(450)).await;
        let ended = ending(&handles, ids[0]).await;
        if ended == "attempts" {
            let record = find(&handles, ids[0]).await.record;
            assert_eq!(record.lifecycle.attempts(), world.config.max_attempts);
            assert_legal(&record);
            return Some(());
        }
        assert!(lives < 20, "{ended}");
        None
    });
}

#[test]
fn an_outlet_is_told_after_a_death_what_it_had_published_where_something_is_looked_for() {
    let outlet = FakeOutlet::default();
    let (mut lives, mut before) = (0, Vec::new());
    let prepare = |world: &mut World| world.outlets = vec![("es", outlet.clone(), "es")];
    world::run_lives(31, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            publish(&handles, texts(3), "es").await;
            settle(&handles).await;
            before = outlet.out().iter().map(|out| out.publication).collect();
            outlet.forbid_reading();
            outlet.fail_next(OutletFault::LostAndSilent);
            let ids = publish(&handles, ["One more.".to_owned()], "es").await;
            until_publication(&handles, ids[0], PublicationState::Unknown).await;
            assert!(outlet.remembered().is_empty());
            return None;
        }
        pass(Duration::from_secs(1)).await;
        assert_eq!(outlet.remembered(), before);
        Some(())
    });
}

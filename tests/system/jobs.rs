//! Texts that can wait go in jobs: each is created once, whatever falls or dies meanwhile.

use std::time::Duration;

use babelfeed_actors::domain::{Class, State, TaskId};
use babelfeed_actors::failpoints;
use babelfeed_actors::messages::{Cancel, Stop, Submission};
use babelfeed_actors::ports::{BatchStore as _, ProviderError};
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::batch::{CreateFault, Ending, FakeBatchProvider};
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, until};

use crate::helpers::{assert_legal, depth, ending, hand_in_all, pass, texts, translation};

const TEXTS: usize = 25;

/// A text that can wait.
fn low(text: &str) -> Submission {
    Submission {
        class: Class::Low,
        ..submission(text, "es")
    }
}

async fn hand_in_low(handles: &Handles, n: usize) -> Vec<TaskId> {
    hand_in_all(handles, texts(n).map(|text| low(&text)).collect()).await
}

/// Has the first provider take jobs, which are over at the third look.
fn with_jobs(world: &mut World) -> (FakeBatchProvider, FakeProvider) {
    let batch = FakeBatchProvider::over_after(3);
    join(world, &batch, &FakeProvider::new());
    (batch, world.providers[0].1.clone())
}

/// Has the first provider take jobs of so many texts, which are gathered for hours if need be.
fn with_full_jobs(world: &mut World, most: usize) -> FakeBatchProvider {
    let (batch, _) = with_jobs(world);
    world.config.max_job_size = most;
    world.config.job_timeout = Duration::from_secs(36_000);
    batch
}

fn join(world: &mut World, batch: &FakeBatchProvider, provider: &FakeProvider) {
    world.batch = Some(batch.clone());
    world.providers[0].1 = provider.clone();
    world.config.job_timeout = Duration::from_secs(60);
    world.config.job_poll = Duration::from_secs(10);
}

async fn attempts(handles: &Handles, id: TaskId) -> u32 {
    let record = find(handles, id).await.record;
    assert_legal(&record);
    record.lifecycle.attempts()
}

/// Asserts that nothing is kept of any job.
async fn assert_closed(world: &World) {
    until("every job is closed", async || {
        world.store.jobs().await.is_ok_and(|jobs| jobs.is_empty())
    })
    .await;
}

#[test]
fn texts_that_can_wait_go_in_one_job() {
    world::run(501, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let handles = world.start();
        let mut ids = hand_in_low(&handles, TEXTS).await;
        ids.extend(hand_in_all(&handles, vec![low("See https://example.org/a now")]).await);
        pass(Duration::from_secs(70)).await;
        let depth = depth(&handles).await;
        assert_eq!((depth.queued, depth.processing), (0, 26));

        assert_eq!(finish(&handles, &ids).await, ids.len());

        assert_eq!((batch.sizes(), provider.n_calls()), (vec![26], 0));
        let made = translation(&handles, ids[25]).await;
        assert_eq!(&*made.text, "[es] See https://example.org/a now");
        assert!(!made.cached);
        assert_eq!(attempts(&handles, ids[0]).await, 1);
        assert_closed(&world).await;
        assert_eq!(batch.n_discarded(), 1);
        // What a job brought is known like everything else.
        let again = hand_in_all(&handles, vec![low("See https://example.org/b now")]).await;
        finish(&handles, &again).await;
        assert!(translation(&handles, again[0]).await.cached);
        assert_eq!(batch.n_jobs(), 1);
    });
}

#[test]
fn a_job_is_made_once_although_the_store_panics_when_it_is_written_down() {
    world::run(530, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let places = ["task_manager.plan_job", "batcher.write"];
        for place in places {
            failpoints::arm(place, 2);
        }
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_closed(&world).await;
        assert_eq!((batch.sizes(), provider.n_calls()), (vec![TEXTS], 0));
        for place in places {
            assert!(!failpoints::is_armed(place), "{place}");
        }
    });
}

#[test]
fn what_is_in_a_hurry_goes_in_no_job() {
    world::run(502, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let handles = world.start();
        let hurried = vec![
            submission("Ordinary.", "es"),
            Submission {
                class: Class::High,
                ..submission("Urgent.", "es")
            },
            Submission {
                deadline: Some(Duration::from_secs(3_600)),
                ..low("In an hour.")
            },
        ];
        let ids = hand_in_all(&handles, hurried).await;
        pass(Duration::from_secs(5)).await;
        for &id in &ids {
            assert_eq!(ending(&handles, id).await, "Completed");
        }
        assert_eq!((batch.n_jobs(), provider.n_texts()), (0, 3));
    });
}

#[test]
fn a_full_job_waits_for_nobody() {
    world::run(503, async |mut world| {
        let batch = with_full_jobs(&mut world, 5);
        let handles = world.start();
        let ids = hand_in_low(&handles, 12).await;
        pass(Duration::from_secs(300)).await;
        assert_eq!(batch.sizes(), [5, 5]);
        let mut completed = 0;
        for &id in &ids {
            completed += usize::from(ending(&handles, id).await == "Completed");
        }
        assert_eq!(completed, 10);
    });
}

#[test]
fn a_job_larger_than_what_is_at_hand_waits_for_nobody() {
    world::run(531, async |mut world| {
        let batch = with_full_jobs(&mut world, 2_000);
        let handles = world.start();
        let equal = (0..100).map(|_| low("As often said."));
        let different = texts(2_000).map(|text| low(&text));
        hand_in_all(&handles, equal.chain(different).collect()).await;
        pass(Duration::from_secs(300)).await;
        assert_eq!(batch.sizes(), [2_000]);
    });
}

/// Kills the system after so long, once, and asserts that one job was made of all texts.
fn killed_after(kill: Duration, fault: Option<CreateFault>) {
    let (batch, provider) = (FakeBatchProvider::over_after(3), FakeProvider::new());
    if let Some(fault) = &fault {
        batch.then(fault.clone());
    }
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| join(world, &batch, &provider);
    world::run_lives(504, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            ids = hand_in_low(&handles, TEXTS).await;
            pass(kill).await;
            return None;
        }
        assert_eq!(finish(&handles, &ids).await, TEXTS, "killed after {kill:?}");
        assert_eq!(
            (batch.n_jobs(), provider.n_calls()),
            (1, 0),
            "killed after {kill:?}"
        );
        for &id in &ids {
            assert_eq!(attempts(&handles, id).await, 1, "killed after {kill:?}");
        }
        assert_closed(world).await;
        Some(())
    });
}

#[test]
fn one_job_is_made_wherever_the_process_dies() {
    for seconds in 0..26 {
        killed_after(Duration::from_secs(seconds * 5), None);
    }
    for millis in [59_990, 60_000, 60_001, 60_010, 60_100] {
        killed_after(Duration::from_millis(millis), None);
    }
}

#[test]
fn a_job_whose_creation_nobody_heard_of_is_found_by_the_next_process() {
    for fault in [CreateFault::Silent, CreateFault::Lost, CreateFault::Panic] {
        killed_after(Duration::from_secs(61), Some(fault.clone()));
        killed_after(Duration::from_secs(75), Some(fault));
    }
}

#[test]
fn a_job_whose_creation_nobody_heard_of_is_found_by_this_process() {
    for fault in [CreateFault::Lost, CreateFault::Panic] {
        world::run(505, async |mut world| {
            let (batch, provider) = with_jobs(&mut world);
            batch.then(fault.clone());
            let handles = world.start();
            let ids = hand_in_low(&handles, TEXTS).await;
            assert_eq!(finish(&handles, &ids).await, TEXTS);
            assert_eq!((batch.n_jobs(), provider.n_calls()), (1, 0), "{fault:?}");
            assert_eq!(batch.n_finds(), 1);
        });
    }
}

#[test]
fn falls_make_no_second_job() {
    const PLACES: [&str; 9] = [
        "batcher.started",
        "batcher.handler",
        "batcher.call",
        "batcher.created",
        "batcher.close",
        "task_manager.job_planned",
        "task_manager.job_ended",
        "task_manager.recorded",
        "task_manager.timer",
    ];
    for place in PLACES {
        world::run(506, async |mut world| {
            let (batch, provider) = with_jobs(&mut world);
            let handles = world.start();
            let ids = hand_in_low(&handles, TEXTS).await;
            failpoints::arm(place, 1);
            assert_eq!(finish(&handles, &ids).await, TEXTS, "{place}");
            failpoints::arm(place, 0);
            assert_eq!((batch.n_jobs(), provider.n_calls()), (1, 0), "{place}");
            for &id in &ids {
                assert_eq!(attempts(&handles, id).await, 1, "{place}");
            }
        });
    }
}

#[test]
fn a_fall_while_a_job_is_under_way_leaves_it_to_its_end() {
    world::run(507, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let handles = world.start();
        let mut ids = hand_in_low(&handles, TEXTS).await;
        pass(Duration::from_secs(65)).await;
        failpoints::arm("task_manager.taken_in", 1);
        ids.extend(hand_in_all(&handles, vec![submission("This one falls.", "es")]).await);
        assert_eq!(finish(&handles, &ids).await, ids.len());
        assert_eq!((batch.n_jobs(), provider.n_texts()), (1, 1));
        assert_closed(&world).await;
    });
}

#[test]
fn a_job_with_an_answer_that_the_batcher_panics_over_ends_with_all_others() {
    world::run(525, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        pass(Duration::from_secs(65)).await;
        failpoints::arm("batcher.land", 1);

        assert_eq!(finish(&handles, &ids).await, TEXTS);

        assert!(!failpoints::is_armed("batcher.land"));
        assert_eq!((batch.n_jobs(), provider.n_texts()), (1, 10));
        assert_closed(&world).await;
    });
}

#[test]
fn what_a_job_did_not_bring_goes_by_ordinary_calls() {
    for (end, n_left) in [
        (Ending::Expired(1), 15),
        (Ending::Expired(0), 25),
        (Ending::Failed, 25),
        (Ending::FirstRefused, 10),
        (Ending::FirstTwice, 10),
    ] {
        world::run(508, async |mut world| {
            let (batch, provider) = with_jobs(&mut world);
            batch.end(end.clone());
            let handles = world.start();
            let ids = hand_in_low(&handles, TEXTS).await;
            assert_eq!(finish(&handles, &ids).await, TEXTS);
            assert_eq!((batch.n_jobs(), provider.n_texts()), (1, n_left), "{end:?}");
            let record = find(&handles, ids[24]).await.record;
            let expected = if n_left > 10 { 2 } else { 1 };
            assert_eq!(record.lifecycle.attempts(), expected, "{end:?}");
        });
    }
}

#[test]
fn what_was_cut_off_in_a_job_has_more_room_in_its_call() {
    let room_of_a_text = |end: Ending| {
        world::run(518, async |mut world| {
            let (batch, provider) = with_jobs(&mut world);
            world.limit(LaneLimits {
                tpm: Some(1_000_000.0),
                ..LaneLimits::default()
            });
            batch.end(end);
            let handles = world.start();
            let ids = hand_in_low(&handles, 10).await;
            assert_eq!(finish(&handles, &ids).await, 10);
            assert_eq!(provider.n_calls(), 1);
            let pack = provider.packs().remove(0);
            f64::from(pack.max_tokens.expect("limited")) / pack.items.len() as f64
        })
    };
    let (failed, cut) = (room_of_a_text(Ending::Failed), room_of_a_text(Ending::Cut));
    assert!(cut >= 1.8 * failed, "{cut} {failed}");
}

#[test]
fn a_translation_without_its_spans_is_not_taken_from_a_job() {
    world::run(509, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        batch.end(Ending::Unmarked);
        let handles = world.start();
        let ids = hand_in_all(&handles, vec![low("See https://example.org/a now")]).await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let made = translation(&handles, ids[0]).await;
        assert_eq!(&*made.text, "[es] See https://example.org/a now");
        assert_eq!((batch.n_jobs(), provider.n_texts()), (1, 1));
    });
}

#[test]
fn a_provider_that_takes_no_job_gets_ordinary_calls_for_an_hour() {
    world::run(510, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let detail = "as told".to_owned();
        batch.then(CreateFault::Error(ProviderError::Auth { detail }));
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_eq!((batch.n_jobs(), provider.n_texts()), (0, TEXTS));
        assert_eq!(attempts(&handles, ids[0]).await, 1);
        assert_closed(&world).await;
        pass(Duration::from_secs(3_600)).await;
        let later = hand_in_all(&handles, vec![low("An hour later.")]).await;
        assert_eq!(finish(&handles, &later).await, 1);
        assert_eq!(batch.n_jobs(), 1);
    });
}

#[test]
fn a_provider_that_fails_to_create_a_job_for_an_hour_gets_ordinary_calls() {
    let detail = || "as told".to_owned();
    let overloaded = ProviderError::Transient {
        detail: detail(),
        wait: None,
    };
    for error in [overloaded, ProviderError::Unanswered { detail: detail() }] {
        world::run(516, async |mut world| {
            let (batch, provider) = with_jobs(&mut world);
            for _ in 0..100 {
                batch.then(CreateFault::Error(error.clone()));
            }
            let handles = world.start();
            let ids = hand_in_low(&handles, TEXTS).await;
            pass(Duration::from_secs(3_600)).await;
            assert_eq!(provider.n_texts(), 0, "{error:?}");

            pass(Duration::from_secs(1_200)).await;

            assert_eq!((batch.n_jobs(), provider.n_texts()), (0, TEXTS));
            assert_eq!(finish(&handles, &ids).await, TEXTS);
            assert_eq!(attempts(&handles, ids[0]).await, 1, "{error:?}");
            assert_closed(&world).await;
        });
    }
}

#[test]
fn calls_of_a_job_have_no_more_texts_than_are_digested() {
    world::run(520, async |mut world| {
        let (batch, _) = with_jobs(&mut world);
        world.config.max_batch_size = 8;
        batch.end(Ending::Unmarked);
        let handles = world.start();
        let linked = |n: usize| low(&format!("See https://example.org/{n} now, number {n}"));
        for n in [0, 32] {
            let ids = hand_in_all(&handles, (n..n + 32).map(linked).collect()).await;
            assert_eq!(finish(&handles, &ids).await, 32);
            batch.end(Ending::Well);
        }
        let most = batch.most_in_a_call();
        assert_eq!((most.len(), most[0]), (2, 8));
        assert!(most[1] < 8, "{most:?}");
    });
}

/// Has jobs made by a provider that a person has paused, beside one that makes calls.
fn with_a_paused_lane(world: &mut World) -> (FakeBatchProvider, FakeProvider) {
    let (batch, _) = with_jobs(world);
    let other = FakeProvider::new();
    world
        .providers
        .push(("other", other.clone(), LaneLimits::default()));
    world.pauses.lanes = vec!["fake".into()];
    (batch, other)
}

#[test]
fn a_job_does_not_wait_longer_than_an_hour_for_a_paused_provider() {
    world::run(517, async |mut world| {
        let (batch, other) = with_a_paused_lane(&mut world);
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(other.n_texts(), 0);

        pass(Duration::from_secs(120)).await;

        assert_eq!((batch.n_jobs(), other.n_texts()), (0, TEXTS));
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_eq!(attempts(&handles, ids[0]).await, 1);
        assert_closed(&world).await;
    });
}

#[test]
fn a_job_that_nobody_wants_any_more_does_not_wait_for_its_lane() {
    world::run(519, async |mut world| {
        let (batch, _) = with_a_paused_lane(&mut world);
        let handles = world.start();
        let ids = hand_in_low(&handles, 2).await;
        pass(Duration::from_secs(100)).await;
        assert_eq!(world.store.jobs().await.map(|jobs| jobs.len()), Ok(1));
        for &id in &ids {
            let cancelled = handles.cancel.send(Cancel(id)).await.expect("heard");
            assert!(cancelled.is_ok());
        }
        pass(Duration::from_secs(1)).await;
        assert_eq!(world.store.jobs().await.map(|jobs| jobs.len()), Ok(0));
        assert_eq!(batch.n_jobs(), 0);
    });
}

#[test]
fn failures_of_a_provider_are_waited_out() {
    world::run(511, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let limited = ProviderError::RateLimited {
            wait: Some(Duration::from_secs(30)),
            detail: "too many jobs".to_owned(),
        };
        batch.then(CreateFault::Error(limited));
        for _ in 0..4 {
            batch.then_look(ProviderError::Transient {
                detail: "overloaded".to_owned(),
                wait: None,
            });
        }
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_eq!((batch.n_jobs(), provider.n_calls()), (1, 0));
    });
}

#[test]
fn a_cancelled_text_leaves_its_job_to_the_others() {
    world::run(512, async |mut world| {
        let (batch, _) = with_jobs(&mut world);
        let handles = world.start();
        let ids = hand_in_low(&handles, 3).await;
        let gathered = handles.cancel.send(Cancel(ids[0])).await.expect("heard");
        assert!(gathered.is_ok());
        pass(Duration::from_secs(65)).await;
        let in_a_job = handles.cancel.send(Cancel(ids[1])).await.expect("heard");
        assert!(in_a_job.is_ok());

        assert_eq!(finish(&handles, &ids).await, 1);

        assert_eq!(ending(&handles, ids[0]).await, "cancelled");
        assert_eq!(ending(&handles, ids[1]).await, "cancelled");
        assert_eq!(batch.sizes(), [2]);
    });
}

#[test]
fn a_job_that_nobody_wants_any_more_is_ended() {
    world::run(513, async |mut world| {
        let (batch, _) = with_jobs(&mut world);
        let batch_never_over = FakeBatchProvider::over_after(usize::MAX);
        world.batch = Some(batch_never_over.clone());
        let handles = world.start();
        let ids = hand_in_low(&handles, 2).await;
        pass(Duration::from_secs(100)).await;
        for &id in &ids {
            let cancelled = handles.cancel.send(Cancel(id)).await.expect("heard");
            assert!(cancelled.is_ok());
        }
        assert_closed(&world).await;
        assert_eq!((batch_never_over.n_discarded(), batch.n_jobs()), (1, 0));
    });
}

#[test]
fn a_text_in_a_job_is_not_put_into_another_and_holds_nobody_up() {
    world::run(514, async |mut world| {
        let (batch, provider) = with_jobs(&mut world);
        let handles = world.start();
        let same = || low("The same.");
        let mut ids = hand_in_all(&handles, vec![same(), same()]).await;
        pass(Duration::from_secs(65)).await;
        ids.extend(hand_in_all(&handles, vec![same()]).await);
        let urgent = Submission {
            class: Class::High,
            ..submission("The same.", "es")
        };
        let urgent = hand_in_all(&handles, vec![urgent]).await[0];
        pass(Duration::from_secs(1)).await;
        assert_eq!(ending(&handles, urgent).await, "Completed");

        assert_eq!(finish(&handles, &ids).await, 3);

        assert_eq!((batch.sizes(), provider.n_texts()), (vec![1], 1));
        assert!(!translation(&handles, ids[0]).await.cached);
        assert!(translation(&handles, ids[1]).await.cached);
        assert!(translation(&handles, ids[2]).await.cached);
    });
}

#[test]
fn a_stop_leaves_jobs_to_the_next_process() {
    let (batch, provider) = (FakeBatchProvider::over_after(5), FakeProvider::new());
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| join(world, &batch, &provider);
    world::run_lives(515, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            ids = hand_in_low(&handles, TEXTS).await;
            pass(Duration::from_secs(65)).await;
            let begun = tokio::time::Instant::now();
            handles
                .stop
                .send(Stop(Duration::from_secs(30)))
                .await
                .expect("heard");
            assert!(begun.elapsed() < Duration::from_secs(1));
            let state = find(&handles, ids[0]).await.record.lifecycle.state();
            assert_eq!(state, State::Processing);
            return None;
        }
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_eq!((batch.n_jobs(), provider.n_calls()), (1, 0));
        Some(())
    });
}

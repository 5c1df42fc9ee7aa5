//! A fall of the task manager forgets nothing that is on its way to or from it.

use std::time::Duration;

use babelfeed_actors::domain::TaskId;
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::{Operation, Record, ReportNow, Submission, Submit};
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission};
use futures_util::future::join_all;

use super::{QUEUED, ask, busy_world, falls, translate_now};
use crate::helpers::{assert_legal, assert_out_once, depth, ending, pass, publish, settle, texts};

#[test]
fn mail_behind_the_message_that_made_an_actor_fall_is_answered() {
    world::run(12, async |mut world: World| {
        let (_, outlet, _) = busy_world(&mut world);
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        arm("task_manager.handler", 1);
        arm("metrics.handler", 1);
        let submitting = texts(QUEUED + 1).map(|text| {
            let mut one = submission(&text, "es");
            one.publish = true;
            submit_one(&handles, one)
        });
        let submitting = join_all(submitting.collect::<Vec<_>>());
        handles.record.do_send(Record {
            operation: Operation {
                service: "somebody".into(),
                name: "something",
            },
            took: Duration::ZERO,
            is_error: false,
        });
        let reporting = ask(&handles.report, || ReportNow);
        let (submitted, reported) = futures_util::join!(submitting, reporting);

        assert_eq!(reported, QUEUED);
        let ids: Vec<TaskId> = submitted.into_iter().flatten().collect();
        assert_eq!(ids.len(), QUEUED, "all but the one that caused the fall");
        assert_eq!(finish(&handles, &ids).await, QUEUED);
        settle(&handles).await;
        let expected = texts(QUEUED + 1).skip(1).map(|text| format!("[es] {text}"));
        let post = std::iter::once("[es] A post that was shown.".to_owned());
        assert_out_once(&outlet, expected.chain(post));
    });
}

async fn submit_one(handles: &Handles, submission: Submission) -> Option<TaskId> {
    let message = Submit {
        submissions: vec![submission],
        ..Default::default()
    };
    let answer = handles.submit.send(message).await.ok()?;
    Some(answer.expect("there is room")[0].tasks[0].0)
}

#[test]
fn whoever_waits_for_a_text_gets_it_although_the_task_manager_falls_while_it_is_in_a_call() {
    world::run(13, async |mut world: World| {
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(2));
        let handles = world.start();
        let asking = translate_now(&handles, 5);
        let falling = async {
            pass(Duration::from_secs(1)).await;
            arm("task_manager.handler", 1);
            let broken = submit_one(&handles, submission("Nobody takes this.", "es")).await;
            assert_eq!(broken, None);
        };
        let (answers, ()) = futures_util::join!(asking, falling);
        assert_eq!(answers, vec![Ok(()); 5]);
        pass(Duration::from_secs(10)).await;
        assert_eq!(falls(&handles, "task_manager"), (1, 1));
    });
}

#[test]
fn a_text_in_a_call_expires_in_time_although_the_task_manager_falls_meanwhile() {
    world::run(26, async |mut world: World| {
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(30));
        let handles = world.start();
        let bounded = Submission {
            deadline: Some(Duration::from_secs(10)),
            ..submission("A text that is wanted soon.", "es")
        };
        let id = submit_one(&handles, bounded).await.expect("taken");
        pass(Duration::from_secs(1)).await;
        arm("task_manager.handler", 1);
        let broken = submit_one(&handles, submission("Nobody takes this.", "es")).await;
        assert_eq!(broken, None);

        pass(Duration::from_secs(10)).await;

        assert_eq!(falls(&handles, "task_manager"), (1, 1));
        assert_eq!(ending(&handles, id).await, "expired");
    });
}

#[test]
fn a_fall_before_a_second_call_leaves_the_text_to_its_first() {
    world::run(25, async |mut world: World| {
        let [first, second] =
            [(); 2].map(|()| FakeProvider::with_latency(Duration::from_millis(100)));
        world.providers = vec![
            ("first", first.clone(), LaneLimits::default()),
            ("second", second.clone(), LaneLimits::default()),
        ];
        world.config.max_batch_size = 1;
        world.config.hedge = true;
        let handles = world.start();
        let ids = publish(&handles, texts(200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);
        arm("task_manager.spared", 1);
        first.then(ProviderFault::Delay(Duration::from_secs(1)));
        let ids = publish(&handles, ["A slow one.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        assert!(!is_armed("task_manager.spared"));
        assert_eq!(falls(&handles, "task_manager"), (1, 1));
        let record = find(&handles, ids[0]).await.record;
        assert_legal(&record);
        assert_eq!(record.lifecycle.attempts(), 1);
        assert_eq!((first.n_calls(), second.n_calls()), (201, 0));
    });
}

#[test]
fn a_publication_lost_between_commit_and_publisher_goes_out_all_the_same() {
    world::run(17, async |mut world: World| {
        let outlet = FakeOutlet::default();
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(1));
        let handles = world.start();
        let ids = publish(&handles, texts(30), "es").await;
        pass(Duration::from_millis(900)).await;
        // The first batch after the calls is the one that plans publications.
        arm("task_manager.recorded", 1);
        assert_eq!(finish(&handles, &ids).await, 30);
        settle(&handles).await;
        assert_eq!(falls(&handles, "task_manager").0, 1);
        assert_eq!(falls(&handles, "publisher").0, 0);
        assert_out_once(&outlet, texts(30).map(|text| format!("[es] {text}")));
    });
}

#[test]
fn a_task_that_went_back_into_the_queue_just_before_a_fall_is_not_stranded() {
    world::run(18, async |mut world: World| {
        let fault = ProviderError::Transient {
            detail: "no".into(),
            wait: None,
        };
        let provider = FakeProvider::with_latency(Duration::from_secs(1));
        provider.then(ProviderFault::Error(fault.clone()));
        provider.then(ProviderFault::Error(fault));
        world.providers[0].1 = provider;
        let handles = world.start();
        let mut ids = publish(&handles, texts(1), "es").await;
        pass(Duration::from_millis(50)).await;
        ids.extend(publish(&handles, ["A later text.".to_owned()], "es").await);
        pass(Duration::from_millis(850)).await;
        // The first way back is being written when the second one begins to wait for it.
        world.store.withhold();
        pass(Duration::from_millis(250)).await;
        assert_eq!(world.store.n_withheld(), 1);
        arm("task_manager.find", 1);
        arm("task_manager.handler", 1);
        assert_eq!(
            submit_one(&handles, submission("It falls.", "es")).await,
            None
        );
        pass(Duration::from_secs(5)).await;
        world.store.release();
        let finishing = finish(&handles, &ids);
        let finished = tokio::time::timeout(Duration::from_secs(60), finishing).await;
        assert_eq!(finished, Ok(2));
        assert!(!is_armed("task_manager.find"));
        let depth = depth(&handles).await;
        assert_eq!((depth.queued, depth.processing), (0, 0));
    });
}

#[test]
fn queued_tasks_are_called_for_although_the_store_panics_when_they_are_loaded() {
    let (mut lives, mut ids) = (0, Vec::new());
    let prepare = |world: &mut World| {
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(1));
        // So most of them are still queued when the first life ends.
        world.config.max_batch_size = 1;
        world.config.concurrency = Some(1);
    };
    world::run_lives(30, prepare, async |world: &World| {
        lives += 1;
        if lives == 1 {
            let handles = world.start();
            ids = publish(&handles, texts(10), "es").await;
            return None;
        }
        arm("task_manager.load", 1);
        let handles = world.start();
        let finished = tokio::time::timeout(Duration::from_secs(60), finish(&handles, &ids)).await;
        assert_eq!(finished, Ok(10));
        assert!(!is_armed("task_manager.load"));
        assert_eq!(falls(&handles, "task_manager"), (0, 0));
        Some(())
    });
}

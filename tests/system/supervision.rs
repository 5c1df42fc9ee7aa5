//! What a fall of an actor costs: at most the message that caused it.

mod escalation;
mod publisher;
mod rate_limiter;
mod task_manager;

use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use actix::{Message, Recipient};
use babelfeed_actors::domain::{Class, TaskId};
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::{
    CacheStats, Clear, Depth, FindTask, Lanes, NowError, Outlets, PollNow, ReportNow, SaveAll,
    TranslateNow, Watching,
};
use babelfeed_actors::ports::{OutletError, ProviderError};
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, find, finish, tag, until};
use futures_util::future::join_all;

use crate::helpers::{assert_legal, assert_out_once, pass, publish, settle, texts};

const QUEUED: usize = 100;

/// A world in which every timer of every actor has something to do.
fn busy_world(world: &mut World) -> (FakeProvider, FakeOutlet, FakeSource) {
    let provider = FakeProvider::with_latency(Duration::from_millis(100));
    let limits = LaneLimits {
        rps: Some(5.0),
        rpd: Some(400.0),
        ..LaneLimits::default()
    };
    world.providers = vec![("fake", provider.clone(), limits)];
    let outlet = FakeOutlet::default();
    world.outlets = vec![("es", outlet.clone(), "es")];
    let source = FakeSource::new("news");
    source.show("A post that was shown.");
    world.sources = vec![("news", source.clone())];
    (provider, outlet, source)
}

/// Lets a call and two sendings fail, each in a way that makes somebody set a timer.
fn fail_once(provider: &FakeProvider, outlet: &FakeOutlet) {
    provider.then(ProviderFault::Error(ProviderError::Transient {
        detail: "once".into(),
        wait: None,
    }));
    outlet.fail_next(OutletFault::StoredAndLost);
    outlet.fail_next(OutletFault::Error(OutletError::Busy {
        wait: Some(Duration::from_secs(1)),
        detail: "once".into(),
    }));
}

/// Asks a question so often at once, and counts the answers.
async fn ask<M>(recipient: &Recipient<M>, question: impl Fn() -> M) -> usize
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let asked = (0..QUEUED).map(|_| recipient.send(question()));
    let answers = join_all(asked).await;
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// Asks an actor a hundred questions at once, and counts the answers.
async fn question(handles: &Handles, actor: &str, id: TaskId) -> usize {
    match actor {
        "metrics" => ask(&handles.report, || ReportNow).await,
        "rate_limiter" => ask(&handles.lanes, || Lanes).await,
        "cache" => ask(&handles.cache_stats, || CacheStats).await,
        "publisher" => ask(&handles.outlets, || Outlets).await,
        "task_manager" => ask(&handles.find_task, || FindTask(id)).await,
        "monitor" => ask(&handles.watching, || Watching).await,
        // Translators are only heard through the task manager.
        _ => {
            let answers = translate_now(handles, QUEUED).await;
            answers.iter().filter(|answer| answer.is_ok()).count()
        }
    }
}

async fn translate_now(handles: &Handles, n: usize) -> Vec<Result<(), NowError>> {
    let calls = (0..n).map(|n| {
        handles.translate_now.send(TranslateNow {
            texts: vec![format!("Somebody waits for the text {n}.")].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(120),
            class: Class::Interactive,
            flow: "requests".into(),
        })
    });
    let answers = join_all(calls).await;
    let answers = answers.into_iter();
    answers
        .map(|answer| answer.unwrap_or(Err(NowError::Busy)).map(drop))
        .collect()
}

fn falls(handles: &Handles, actor: &str) -> (u64, u64) {
    let list = handles.falls.list();
    let falls = list.into_iter().find(|falls| falls.name == actor);
    let falls = falls.expect("the actor is on the list");
    (falls.falls, falls.restarts)
}

/// Asserts that an actor fell so often and came back each time, and that no other one fell.
fn assert_fell_alone(handles: &Handles, actor: &str, n_falls: u64, place: &dyn Debug) {
    for other in handles.falls.list() {
        let expected = if other.name == actor { n_falls } else { 0 };
        assert_eq!(
            (other.falls, other.restarts),
            (expected, expected),
            "{place:?} {other:?}"
        );
    }
}

/// Lets an actor fall at a place while the system works, and asserts that nothing is lost.
fn survive(actor: &'static str, places: &[&'static str], n_falls: u64) {
    world::run(11, async |mut world: World| {
        let (provider, outlet, source) = busy_world(&mut world);
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        fail_once(&provider, &outlet);
        for place in places {
            arm(place, 1);
        }
        let ids = publish(&handles, texts(60), "es").await;
        source.show("Another post that was shown.");
        let poll = handles.poll_now.send(PollNow(None));
        let poll = actix_rt::spawn(poll);
        let now = translate_now(&handles, 3);
        let asking = async {
            if n_falls > 0 {
                for _ in 0..120_000 {
                    if falls(&handles, actor).0 > 0 {
                        break;
                    }
                    pass(Duration::from_millis(1)).await;
                }
                assert!(falls(&handles, actor).0 > 0, "never there: {places:?}");
            }
            question(&handles, actor, ids[0]).await
        };
        let (now, answered) = futures_util::join!(now, asking);

        assert_eq!(answered, QUEUED, "{places:?}");
        assert!(now.iter().filter(|answer| answer.is_ok()).count() >= 2);
        let polled = poll.await.expect("the task ended");
        assert!(polled.is_ok() || actor == "monitor");
        assert_eq!(finish(&handles, &ids).await, ids.len(), "{places:?}");
        until("both posts are out", async || {
            outlet
                .texts()
                .iter()
                .filter(|text| text.contains("post"))
                .count()
                == 2
        })
        .await;
        settle(&handles).await;
        let posts = ["A post that was shown.", "Another post that was shown."];
        let expected = texts(60).chain(posts.map(str::to_owned));
        assert_out_once(&outlet, expected.map(|text| format!("[es] {text}")));
        for &id in &ids {
            let record = find(&handles, id).await.record;
            assert_legal(&record);
            // One for the fault of the provider, one for the fall.
            assert!(record.lifecycle.attempts() <= 3, "{record:?}");
        }
        assert_fell_alone(&handles, actor, n_falls, &places);
        for place in places {
            assert!(!is_armed(place), "never there: {place}");
        }
        assert!(provider.n_texts() < 400, "{}", provider.n_texts());
        assert!(world.escalated.borrow().is_empty());
    });
}

#[test]
fn a_fall_of_metrics_costs_figures_alone() {
    survive("metrics", &["metrics.handler"], 1);
    survive("metrics", &["metrics.handler", "metrics.started"], 2);
}

#[test]
fn a_fall_of_the_rate_limiter_costs_a_wait_alone() {
    survive("rate_limiter", &["rate_limiter.handler"], 1);
    survive("rate_limiter", &["rate_limiter.timer"], 1);
    survive(
        "rate_limiter",
        &["rate_limiter.handler", "rate_limiter.started"],
        2,
    );
}

#[test]
fn a_fall_of_the_cache_costs_at_most_a_second_call() {
    survive("cache", &["cache.handler"], 1);
    survive("cache", &["cache.timer"], 1);
    survive("cache", &["cache.handler", "cache.started"], 2);
    survive("cache", &["cache.call"], 0);
}

#[test]
fn a_cache_whose_memory_panics_says_so_and_does_not_fall() {
    world::run(25, async |mut world: World| {
        busy_world(&mut world);
        let handles = world.start();
        publish(&handles, texts(8), "es").await;
        until("they are known", async || {
            let stats = handles.cache_stats.send(CacheStats).await;
            stats.is_ok_and(|stats| stats.entries >= 8)
        })
        .await;
        arm("cache.save_all", 1);
        arm("cache.clear", 1);

        let saved = handles.save_known.send(SaveAll).await.expect("heard");
        let cleared = handles.clear.send(Clear).await.expect("heard");

        assert!(saved.is_err() && cleared.is_err(), "{saved:?} {cleared:?}");
        assert_eq!(falls(&handles, "cache"), (0, 0));
        let cleared = handles.clear.send(Clear).await.expect("heard");
        assert!(cleared.is_ok(), "{cleared:?}");
    });
}

#[test]
fn a_fall_of_a_translator_costs_one_attempt() {
    survive("translator", &["translator.handler"], 1);
    survive(
        "translator",
        &["translator.handler", "translator.started"],
        2,
    );
    survive("translator", &["translator.call"], 0);
}

#[test]
fn a_fall_of_the_publisher_publishes_nothing_twice() {
    survive("publisher", &["publisher.handler"], 1);
    survive("publisher", &["publisher.timer"], 1);
    survive("publisher", &["publisher.sent"], 1);
    survive("publisher", &["publisher.looked_at"], 1);
    survive("publisher", &["publisher.handler", "publisher.started"], 2);
    survive("publisher", &["publisher.call"], 0);
    survive("publisher", &["publisher.publish"], 0);
    survive("publisher", &["publisher.write"], 0);
}

#[test]
fn a_fall_of_the_task_manager_forgets_no_task() {
    for place in [
        "taken_in",
        "looked_up",
        "granted",
        "ended",
        "recorded",
        "timer",
        "called",
        "translate_now",
    ] {
        let place = format!("task_manager.{place}").leak();
        survive("task_manager", &[place], 1);
        survive("task_manager", &[place, "task_manager.started"], 2);
    }
    survive("task_manager", &["task_manager.call"], 0);
}

#[test]
fn a_fall_of_the_monitor_loses_no_post() {
    survive("monitor", &["monitor.handler"], 1);
    survive("monitor", &["monitor.timer"], 1);
    survive("monitor", &["monitor.handler", "monitor.started"], 2);
    survive("monitor", &["monitor.call"], 0);
    survive("monitor", &["monitor.news"], 0);
}

#[test]
fn a_source_that_panics_while_its_news_are_waited_for_is_polled_at_its_time() {
    world::run(21, async |mut world: World| {
        let (_, outlet, source) = busy_world(&mut world);
        arm("monitor.news", 1);
        world.start();
        pass(Duration::from_secs(1)).await;
        assert!(!is_armed("monitor.news"));
        source.show("Another post that was shown.");
        until("both posts are out", async || outlet.texts().len() == 2).await;
    });
}

#[test]
fn an_ended_system_leaves_nothing_behind() {
    world::run(19, async |mut world: World| {
        busy_world(&mut world);
        let handles = world.start();
        let ids = publish(&handles, texts(20), "es").await;
        assert_eq!(finish(&handles, &ids).await, 20);
        settle(&handles).await;
        // Each actor can call the escalation, and so holds it as long as it is there.
        assert!(Rc::strong_count(&world.escalated) > 1);
        handles.actors.end();
        pass(Duration::from_secs(60)).await;
        assert_eq!(Rc::strong_count(&world.escalated), 1);
        assert!(handles.depth.send(Depth).await.is_err());
    });
}

//! What a fall of an actor costs: at most the message that caused it.

use std::fmt::Debug;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, Message, Recipient, Supervised};
use babelfeed_actors::domain::{Class, Post, TaskId, Timestamp};
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::{
    CacheStats, Clear, Depth, FindTask, Lanes, NowError, Operation, Outlets, PollNow, Record,
    ReportNow, SaveAll, TranslateNow, Watching,
};
use babelfeed_actors::ports::{Abilities, OutletError, ProviderError, QuotaLedger as _};
use babelfeed_actors::setup::{Hold, LaneLimits, Lapse, Lapsed, OnDelete};
use babelfeed_actors::supervision::Supervisor;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, tag, until};
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
            texts: vec![format!("Somebody waits for the text {n}.").into()],
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(120),
            class: Class::Interactive,
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

/// Lets a quota be used up although the limiter or its ledger panicked at a place, and asserts
/// that every permit and all that was used is counted right.
fn use_up_a_day(place: &'static str, n_falls: u64) {
    const DAY: usize = 200;
    world::run(20, async |mut world: World| {
        let limits = LaneLimits {
            rpd: Some(DAY as f64),
            ..LaneLimits::default()
        };
        let provider = FakeProvider::with_latency(Duration::from_millis(50));
        world.providers = vec![("fake", provider.clone(), limits)];
        world.config.max_batch_size = 1;
        arm(place, 1);
        let handles = world.start();
        let ids = publish(&handles, texts(60), "es").await;
        let finishing = finish(&handles, &ids);
        let questions = async {
            while is_armed(place) {
                pass(Duration::from_millis(1)).await;
            }
            question(&handles, "rate_limiter", ids[0]).await
        };

        let (finished, answered) = futures_util::join!(finishing, questions);
        settle(&handles).await;
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let n_made = provider.n_calls();
        publish(
            &handles,
            texts(DAY).map(|text| format!("More: {text}")),
            "es",
        )
        .await;
        pass(Duration::from_secs(600)).await;

        assert_eq!((finished, answered, n_made), (60, QUEUED, 60), "{place}");
        let day = lanes[0].windows.iter().find(|window| window.per == "day");
        assert_eq!(day.map(|day| day.used), Some(60.0), "{place}");
        assert_eq!(lanes[0].in_flight, 0, "{place}");
        assert_eq!(provider.n_calls(), DAY, "{place}");
        let entries = world
            .store
            .entries(Timestamp::from_millis(0))
            .await
            .expect("read");
        let entered: f64 = entries.iter().map(|entry| entry.amount).sum();
        assert_eq!(entered, DAY as f64, "{place}");
        assert_fell_alone(&handles, "rate_limiter", n_falls, &place);
        assert!(world.escalated.borrow().is_empty());
    });
}

#[test]
fn a_panic_of_the_ledger_costs_neither_a_permit_nor_quota() {
    survive("rate_limiter", &["rate_limiter.call"], 0);
    use_up_a_day("rate_limiter.call", 0);
    use_up_a_day("rate_limiter.load", 0);
    use_up_a_day("rate_limiter.loaded", 1);
    use_up_a_day("rate_limiter.entered", 1);
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

/// Lets the publisher or what it calls panic at a place, asks it meanwhile, and asserts that
/// nothing else is disturbed.
async fn break_publisher(handles: &Handles, place: &'static str, n_falls: u64) {
    until(place, async || !is_armed(place)).await;
    let answered = ask(&handles.outlets, || Outlets).await;
    assert_eq!(answered, QUEUED, "{place}");
    pass(Duration::from_secs(10)).await;
    assert_fell_alone(handles, "publisher", n_falls, &place);
}

#[test]
fn a_brake_holds_and_opens_again_although_the_ledger_panics() {
    for (place, n_falls) in [
        ("publisher.count", 0),
        ("publisher.begin", 0),
        ("publisher.counted", 1),
    ] {
        world::run(22, async |mut world: World| {
            let (_, outlet, _) = busy_world(&mut world);
            world.sources.clear();
            world.rules.per_hour = Some(5);
            arm(place, 1);
            let handles = world.start();
            let ids = publish(&handles, texts(8), "es").await;
            break_publisher(&handles, place, n_falls).await;
            assert_eq!(finish(&handles, &ids).await, 8, "{place}");
            pass(Duration::from_secs(600)).await;
            assert_eq!(outlet.out().len(), 5, "{place}");
            settle(&handles).await;
            assert_out_once(&outlet, texts(8).map(|text| format!("[es] {text}")));
        });
    }
}

#[test]
fn a_hold_lapses_although_the_publisher_or_its_store_falls_over_what_is_held() {
    for (place, n_falls) in [("publisher.held", 1), ("publisher.lapse", 0)] {
        world::run(23, async |mut world: World| {
            let (_, outlet, _) = busy_world(&mut world);
            world.hold = Hold::Always;
            world.rules.lapse = Some(Lapse {
                after: Duration::from_secs(3_600),
                into: Lapsed::Published,
            });
            arm(place, 1);
            let handles = world.start();
            break_publisher(&handles, place, n_falls).await;
            assert!(outlet.out().is_empty(), "{place}");
            pass(Duration::from_secs(3_700)).await;
            assert_out_once(&outlet, ["[es] A post that was shown.".to_owned()]);
        });
    }
}

#[test]
fn what_is_planned_goes_out_although_the_store_panics_when_it_is_loaded() {
    world::run(26, async |mut world: World| {
        let (_, outlet, _) = busy_world(&mut world);
        world.sources.clear();
        arm("publisher.load", 1);
        let handles = world.start();
        let ids = publish(&handles, texts(8), "es").await;
        break_publisher(&handles, "publisher.load", 0).await;
        assert_eq!(finish(&handles, &ids).await, 8);
        settle(&handles).await;
        assert_out_once(&outlet, texts(8).map(|text| format!("[es] {text}")));
    });
}

#[test]
fn a_deleted_post_is_taken_back_although_the_store_panics_when_it_is_looked_for() {
    world::run(27, async |mut world: World| {
        let (_, outlet, source) = busy_world(&mut world);
        outlet.set_abilities(Abilities {
            deletes: true,
            ..Abilities::default()
        });
        world.rules.on_delete = OnDelete::Delete;
        source.show_post(Post::new("news".into(), "a", "A mistake."));
        let handles = world.start();
        until("both are out", async || outlet.out().len() == 2).await;
        settle(&handles).await;
        arm("publisher.find", 1);
        source.lose_post("a");
        break_publisher(&handles, "publisher.find", 0).await;
        until("it is taken back", async || outlet.out().len() == 1).await;
        assert_out_once(&outlet, ["[es] A post that was shown.".to_owned()]);
    });
}

#[test]
fn a_fall_of_the_publisher_leaves_each_post_as_its_source_has_it() {
    let places = [
        ("publisher.judge", 0),
        ("publisher.looked", 1),
        ("publisher.withdrawn", 1),
        ("publisher.changed", 1),
        ("publisher.edit", 0),
        ("publisher.delete", 0),
    ];
    for (place, n_falls) in places {
        world::run(24, async |mut world: World| {
            let (_, outlet, source) = busy_world(&mut world);
            outlet.set_abilities(Abilities {
                edits: true,
                deletes: true,
                replies: true,
                ..Abilities::default()
            });
            world.rules.on_delete = OnDelete::Delete;
            let show = |id: &str, parent: Option<&str>, text: &str| {
                source.show_post(Post {
                    parent: parent.map(str::to_owned),
                    ..Post::new("news".into(), id, text)
                });
            };
            show("a", None, "A start.");
            show("b", Some("a"), "An answer.");
            show("c", None, "Something else.");
            arm(place, 1);
            let handles = world.start();
            until("all are out", async || outlet.out().len() == 4).await;
            settle(&handles).await;
            show("a", None, "A start without a typo.");
            source.lose_post("c");
            break_publisher(&handles, place, n_falls).await;
            pass(Duration::from_secs(300)).await;
            settle(&handles).await;
            let left = [
                "A post that was shown.",
                "A start without a typo.",
                "An answer.",
            ];
            assert_out_once(&outlet, left.map(|text| format!("[es] {text}")));
        });
    }
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
            task: None,
        });
        let (submitted, reported) = futures_util::join!(submitting, question_metrics(&handles));

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

async fn question_metrics(handles: &Handles) -> usize {
    ask(&handles.report, || ReportNow).await
}

async fn submit_one(
    handles: &Handles,
    submission: babelfeed_actors::messages::Submission,
) -> Option<TaskId> {
    let message = babelfeed_actors::messages::Submit {
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

/// An actor that falls when it is told to.
struct Clumsy;

impl Actor for Clumsy {
    type Context = Context<Self>;
}

impl Supervised for Clumsy {}

#[derive(Message)]
#[rtype(result = "()")]
struct Fall;

impl Handler<Fall> for Clumsy {
    type Result = ();

    fn handle(&mut self, _: Fall, _: &mut Self::Context) {
        panic!("told to fall");
    }
}

fn clumsy(world: &World) -> (Supervisor, Addr<Clumsy>) {
    let escalated = std::rc::Rc::clone(&world.escalated);
    let supervisor = Supervisor {
        clock: std::sync::Arc::clone(&world.clock),
        chance: std::sync::Arc::clone(&world.chance),
        falls: Default::default(),
        actors: Default::default(),
        escalate: std::rc::Rc::new(move |name| escalated.borrow_mut().push(name)),
    };
    let address = supervisor.start("clumsy", |_| Clumsy);
    (supervisor, address)
}

/// Lets an actor fall, and returns how long its restart took.
async fn fall<A>(supervisor: &Supervisor, address: &Addr<A>) -> Duration
where
    A: Actor + Handler<Fall>,
    A::Context: ToEnvelope<A, Fall>,
{
    let restarts = supervisor.falls.list()[0].restarts;
    let begun = tokio::time::Instant::now();
    assert!(address.send(Fall).await.is_err());
    while supervisor.falls.list()[0].restarts == restarts {
        pass(Duration::from_millis(1)).await;
    }
    begun.elapsed()
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
        assert!(std::rc::Rc::strong_count(&world.escalated) > 1);
        handles.actors.end();
        pass(Duration::from_secs(60)).await;
        assert_eq!(std::rc::Rc::strong_count(&world.escalated), 1);
        assert!(handles.depth.send(Depth).await.is_err());
    });
}

#[test]
fn six_falls_within_a_minute_are_escalated() {
    world::run(14, async |world: World| {
        let (supervisor, address) = clumsy(&world);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(fall(&supervisor, &address).await);
        }
        assert!(world.escalated.borrow().is_empty());
        assert!(waits.is_sorted(), "the backoff grows: {waits:?}");
        assert!(waits[4] >= 8 * waits[0], "{waits:?}");
        fall(&supervisor, &address).await;
        assert_eq!(*world.escalated.borrow(), ["clumsy"]);
        let listed = &supervisor.falls.list()[0];
        assert_eq!((listed.falls, listed.restarts), (6, 6));
    });
}

#[test]
fn five_falls_and_then_a_minute_of_health_are_forgiven() {
    world::run(15, async |world: World| {
        let (supervisor, address) = clumsy(&world);
        let mut first = Duration::ZERO;
        for _ in 0..5 {
            first = fall(&supervisor, &address).await;
        }
        pass(Duration::from_secs(61)).await;
        let after_health = fall(&supervisor, &address).await;
        for _ in 0..4 {
            fall(&supervisor, &address).await;
        }
        assert!(world.escalated.borrow().is_empty());
        assert!(after_health < first, "{after_health:?} {first:?}");
    });
}

#[test]
fn a_paused_outlet_stays_paused_when_the_publisher_falls() {
    world::run(16, async |mut world: World| {
        let outlet = FakeOutlet::default();
        world.outlets = vec![("es", outlet.clone(), "es")];
        let handles = world.start();
        let pause = babelfeed_actors::messages::PauseOutlet(None);
        handles
            .pause_outlet
            .send(pause)
            .await
            .expect("heard")
            .expect("known");
        arm("publisher.handler", 1);
        let ids = publish(&handles, texts(3), "es").await;
        assert_eq!(finish(&handles, &ids).await, 3);
        pass(Duration::from_secs(10)).await;
        assert_eq!(falls(&handles, "publisher"), (1, 1));
        assert!(outlet.out().is_empty());
        let resume = babelfeed_actors::messages::ResumeOutlet(None);
        handles
            .resume_outlet
            .send(resume)
            .await
            .expect("heard")
            .expect("known");
        settle(&handles).await;
        assert_eq!(outlet.out().len(), 3);
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
        let depth = handles
            .depth
            .send(Depth)
            .await
            .expect("heard")
            .expect("read");
        assert_eq!((depth.queued, depth.processing), (0, 0));
    });
}

#[test]
fn a_permit_whose_end_is_lost_in_a_fall_is_written_off() {
    world::run(19, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(1),
            ..LaneLimits::default()
        };
        let provider = FakeProvider::with_latency(Duration::from_millis(100));
        world.providers = vec![("fake", provider, limits)];
        let handles = world.start();
        arm("rate_limiter.settle", 1);
        let ids = publish(&handles, texts(50), "es").await;
        let finishing = finish(&handles, &ids);
        let finished = tokio::time::timeout(Duration::from_secs(400), finishing).await;
        assert_eq!(finished, Ok(50));
        assert_eq!(falls(&handles, "rate_limiter"), (1, 1));
    });
}

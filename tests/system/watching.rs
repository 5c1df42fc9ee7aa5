//! How sources are watched: every post is taken, and none twice.

use std::time::Duration;

use babelfeed_actors::domain::{PausedBy, Post, Relation, SourceName};
use babelfeed_actors::messages::{
    Missed, PauseSource, PollNow, ResumeSource, SourceState, SourceView, Watching,
};
use babelfeed_actors::ports::{Abilities, SourceError, StoreError, TaskStore};
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::source::{FakeSource, SourceFault};
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{assert_out_once, depth, pass, poll, publications, settle};
use crate::journal;

fn watched(world: &mut World, backfill: Option<usize>) -> (FakeSource, FakeOutlet) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    world.backfill = backfill;
    (source, outlet)
}

fn show(source: &FakeSource, numbers: std::ops::Range<usize>) {
    for n in numbers {
        source.show(format!("Post number {n}."));
    }
}

fn posts(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|n| format!("[es] Post number {n}."))
}

async fn view(handles: &Handles) -> SourceView {
    let mut views = handles.watching.send(Watching).await.expect("heard");
    views.remove(0)
}

fn resume(missed: Missed) -> ResumeSource {
    ResumeSource { name: None, missed }
}

fn unreachable() -> SourceFault {
    SourceFault::Error(SourceError::Unreachable {
        detail: "no connection".into(),
    })
}

#[test]
fn at_first_sight_as_many_of_the_newest_are_taken_as_was_set() {
    for (backfill, first) in [(Some(0), 1_200), (Some(7), 1_193), (None, 0)] {
        world::run(51, async |mut world: World| {
            let (source, outlet) = watched(&mut world, backfill);
            show(&source, 0..1_200);
            let handles = world.start();
            poll(&handles).await;
            show(&source, 1_200..1_203);
            pass(Duration::from_secs(120)).await;
            settle(&handles).await;
            assert_out_once(&outlet, posts(first..1_203));
            let view = view(&handles).await;
            assert_eq!((view.seen, view.new), (1_203, 1_203 - first as u64));
        });
    }
}

#[test]
fn posts_that_were_not_taken_are_found_again() {
    world::run(52, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        show(&source, 0..700);
        world.store.refuse_intake(Some(StoreError::Full {
            wait: Duration::from_secs(3),
        }));
        let handles = world.start();
        pass(Duration::from_secs(600)).await;
        let cursor = world.store.cursor(SourceName::from("news")).await;
        assert_eq!(cursor, Ok(None), "the cursor moved without the posts");
        assert_eq!(view(&handles).await.state, SourceState::Failing);
        show(&source, 700..710);
        world.store.refuse_intake(None);
        pass(Duration::from_secs(60)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..710));
        assert_eq!(view(&handles).await.state, SourceState::Waiting);
    });
}

#[test]
fn a_post_that_returns_is_taken_once() {
    world::run(53, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        let post = |id: &str| Post::new("news".into(), id, format!("Post number {id}."));
        for id in ["1", "2", "1"] {
            source.show_post(post(id));
        }
        let handles = world.start();
        poll(&handles).await;
        for id in ["2", "3", "1"] {
            source.show_post(post(id));
        }
        poll(&handles).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(1..4));
        let view = view(&handles).await;
        assert_eq!((view.seen, view.new), (6, 3));
    });
}

#[test]
fn a_source_that_fails_is_polled_more_and_more_rarely_until_it_recovers() {
    world::run(54, async |mut world: World| {
        journal::listen();
        let (source, outlet) = watched(&mut world, None);
        show(&source, 0..3);
        for _ in 0..9 {
            source.fail_next(unreachable());
        }
        let handles = world.start();
        pass(Duration::from_secs(360)).await;
        assert!((5..=7).contains(&source.n_polls()), "{}", source.n_polls());
        assert_eq!(view(&handles).await.state, SourceState::Failing);
        pass(Duration::from_secs(1_200)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..3));
        assert_eq!(journal::count("poll failed"), 1);
        assert_eq!(journal::count("a source answers again"), 1);
    });
}

#[test]
fn a_source_that_is_gone_is_never_polled_again_not_even_by_order() {
    world::run(55, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        source.fail_next(SourceFault::Error(SourceError::Gone {
            detail: "410".into(),
        }));
        show(&source, 0..3);
        let handles = world.start();
        pass(Duration::from_secs(3_600)).await;
        poll(&handles).await;
        pass(Duration::from_secs(3_600)).await;
        assert_eq!((source.n_polls(), outlet.out().len()), (1, 0));
        assert_eq!(view(&handles).await.state, SourceState::Ended);
    });
}

#[test]
fn a_paused_source_rests_until_it_is_resumed_or_polled_by_order() {
    world::run(56, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        let handles = world.start();
        poll(&handles).await;
        let pause = handles
            .pause_source
            .send(PauseSource(Some("news".into()), PausedBy::Person));
        pause.await.expect("heard").expect("known");
        let n_polls = source.n_polls();
        show(&source, 0..2);
        pass(Duration::from_secs(3_600)).await;
        assert_eq!((source.n_polls(), outlet.out().len()), (n_polls, 0));
        assert_eq!(view(&handles).await.state, SourceState::Paused);

        poll(&handles).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..2));

        show(&source, 2..4);
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(outlet.out().len(), 2);
        let resume = handles.resume_source.send(resume(Missed::Taken));
        resume.await.expect("heard").expect("known");
        pass(Duration::from_secs(5)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..4));
        let unknown = handles.poll_now.send(PollNow(Some("olds".into())));
        assert!(unknown.await.expect("heard").is_err());
    });
}

#[test]
fn a_source_that_panics_is_polled_again() {
    world::run(57, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        source.fail_next(SourceFault::Panic);
        source.fail_next(SourceFault::Panic);
        show(&source, 0..3);
        let handles = world.start();
        pass(Duration::from_secs(600)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..3));
        let falls = handles.falls.list();
        assert!(falls.iter().all(|falls| falls.falls == 0), "{falls:?}");
    });
}

#[test]
fn an_order_to_poll_is_answered_when_the_posts_are_taken() {
    world::run(58, async |mut world: World| {
        let (source, _) = watched(&mut world, None);
        source.delay(Duration::from_secs(5));
        show(&source, 0..3);
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        poll(&handles).await;
        let depth = depth(&handles).await;
        assert_eq!(depth.queued + depth.processing + depth.completed, 3);
        assert_eq!(source.n_polls(), 1, "the poll under way was waited for");
    });
}

#[test]
fn a_source_with_news_is_polled_before_its_time() {
    world::run(58, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        let handles = world.start();
        poll(&handles).await;
        let n_polls = source.n_polls();
        show(&source, 0..1);
        source.tell_news();
        pass(Duration::from_secs(1)).await;
        assert_eq!(source.n_polls(), n_polls + 1);
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..1));
    });
}

#[test]
fn news_wake_neither_a_paused_source_nor_one_that_fails() {
    world::run(59, async |mut world: World| {
        let (source, _) = watched(&mut world, None);
        let handles = world.start();
        poll(&handles).await;
        handles
            .pause_source
            .send(PauseSource(None, PausedBy::Person))
            .await
            .expect("heard")
            .expect("known");
        let n_polls = source.n_polls();
        source.tell_news();
        pass(Duration::from_secs(1)).await;
        assert_eq!(source.n_polls(), n_polls, "it is paused");
        source.fail_next(unreachable());
        handles
            .resume_source
            .send(resume(Missed::Taken))
            .await
            .expect("heard")
            .expect("known");
        pass(Duration::from_millis(100)).await;
        assert_eq!(source.n_polls(), n_polls + 1, "it was resumed, and failed");
        source.tell_news();
        pass(Duration::from_secs(1)).await;
        assert_eq!(source.n_polls(), n_polls + 1, "it rests");
    });
}

#[test]
fn a_paused_source_has_no_stream_open_until_it_was_resumed_and_polled() {
    world::run(64, async |mut world: World| {
        let (source, _) = watched(&mut world, None);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(1)).await;
        assert!(source.is_open());
        let pause = || {
            let pause = PauseSource(Some("news".into()), PausedBy::Person);
            handles.pause_source.send(pause)
        };
        pause().await.expect("heard").expect("known");
        assert!(!source.is_open(), "it is paused");
        poll(&handles).await;
        pass(Duration::from_secs(3_600)).await;
        assert!(!source.is_open(), "it was polled by order");

        source.delay(Duration::from_secs(5));
        let resumed = handles.resume_source.send(resume(Missed::Taken));
        resumed.await.expect("heard").expect("known");
        pass(Duration::from_secs(4)).await;
        assert!(!source.is_open(), "it is polled first");
        pass(Duration::from_secs(2)).await;
        assert!(source.is_open(), "it was resumed");

        source.tell_news();
        pass(Duration::from_secs(1)).await;
        pause().await.expect("heard").expect("known");
        pass(Duration::from_secs(60)).await;
        assert!(!source.is_open(), "it was paused while it was polled");
    });
}

#[test]
fn what_a_poll_was_charged_counts_although_it_failed() {
    world::run(65, async |mut world: World| {
        let (source, _) = watched(&mut world, None);
        source.fail_next(unreachable());
        source.charge(0.25);
        let handles = world.start();
        pass(Duration::from_millis(100)).await;
        let failed = view(&handles).await;
        assert_eq!(failed.state, SourceState::Failing);
        assert_eq!(failed.cost_usd, 0.25);
        source.charge(0.5);
        pass(Duration::from_secs(120)).await;
        assert_eq!(view(&handles).await.cost_usd, 0.75);
    });
}

#[test]
fn a_server_that_asks_for_no_wait_is_not_asked_more_often_than_was_set() {
    world::run(59, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        show(&source, 0..3);
        for wait in [1, 1, 30_000, 1] {
            source.fail_next(SourceFault::Error(SourceError::Busy {
                wait: Some(Duration::from_millis(wait)),
                detail: "Retry-After: 0".into(),
            }));
        }
        let handles = world.start();
        pass(Duration::from_secs(230)).await;
        assert_eq!(source.n_polls(), 4, "each minute");
        pass(Duration::from_secs(60)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..3));
    });
}

#[test]
fn a_source_that_has_spent_its_money_is_asked_again_when_it_has_more_and_says_why_until_then() {
    world::run(60, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        show(&source, 0..3);
        source.fail_next(SourceFault::Error(SourceError::Spent {
            wait: Duration::from_secs(7 * 3600),
            detail: "nothing is left of the day's money".into(),
        }));
        let handles = world.start();
        pass(Duration::from_secs(7 * 3600 - 10)).await;
        assert_eq!(source.n_polls(), 1);
        let error = view(&handles).await.error;
        assert_eq!(error.as_deref(), Some("nothing is left of the day's money"));
        pass(Duration::from_secs(3600)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..3));
        assert_eq!(view(&handles).await.error, None);
    });
}

#[test]
fn what_came_while_a_person_paused_a_source_is_skipped_unless_asked_for() {
    use PausedBy::{Person, Service};
    let cases = [
        (Person, Missed::Skipped, 4..6),
        (Person, Missed::Taken, 2..6),
        (Service, Missed::Skipped, 2..6),
    ];
    for (by, missed, later) in cases {
        world::run(60, async |mut world: World| {
            let (source, outlet) = watched(&mut world, None);
            show(&source, 0..2);
            let handles = world.start();
            poll(&handles).await;
            let pause = handles.pause_source.send(PauseSource(None, by));
            pause.await.expect("heard").expect("known");
            show(&source, 2..4);
            pass(Duration::from_secs(600)).await;
            source.fail_next(unreachable());
            let resumed = handles.resume_source.send(resume(missed));
            resumed.await.expect("heard").expect("known");
            pass(Duration::from_secs(120)).await;
            show(&source, 4..6);
            pass(Duration::from_secs(120)).await;
            settle(&handles).await;
            assert_out_once(&outlet, posts(0..2).chain(posts(later.clone())));
        });
    }
}

#[test]
fn a_post_is_taken_once_it_has_settled_as_it_was_edited_until_then() {
    world::run(61, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        world.source_rules.settle = Duration::from_secs(30);
        let post = |id: &str, text: &str| Post::new("news".into(), id, text);
        source.show_post(post("a", "A typo."));
        source.show_post(post("b", "Something regretted."));
        source.show_post(post("c", "Something else."));
        let handles = world.start();
        poll(&handles).await;
        let cursor = world.store.cursor(SourceName::from("news")).await;
        assert_eq!(
            cursor,
            Ok(None),
            "what is not taken is read again after a crash"
        );
        pass(Duration::from_secs(20)).await;
        source.show_post(post("a", "No typo."));
        source.lose_post("b");
        poll(&handles).await;
        assert_eq!(world.providers[0].1.n_texts(), 0);
        pass(Duration::from_secs(11)).await;
        settle(&handles).await;
        let expected = ["[es] No typo.", "[es] Something else."].map(str::to_owned);
        assert_out_once(&outlet, expected);
        assert!(source.n_polls() < 8, "{}", source.n_polls());
    });
}

#[test]
fn a_deletion_that_was_read_and_not_taken_is_told_again() {
    world::run(67, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        world.source_rules.settle = Duration::from_secs(600);
        world.rules.on_delete = OnDelete::Delete;
        outlet.set_abilities(Abilities {
            deletes: true,
            ..Abilities::default()
        });
        show(&source, 0..1);
        let handles = world.start();
        pass(Duration::from_secs(800)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..1));
        show(&source, 1..2);
        source.lose_post("1");
        poll(&handles).await;
        source.fail_next(SourceFault::Panic);
        poll(&handles).await;
        pass(Duration::from_secs(1_200)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(1..2));
    });
}

#[test]
fn a_source_is_read_no_further_while_too_much_is_settling() {
    world::run(66, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        world.source_rules.settle = Duration::from_secs(3_600);
        show(&source, 0..10_600);
        let handles = world.start();
        poll(&handles).await;
        let n_polls = source.n_polls();
        pass(Duration::from_secs(3_000)).await;
        assert_eq!(source.n_polls(), n_polls, "what is read waits in memory");
        pass(Duration::from_secs(8_000)).await;
        settle(&handles).await;
        assert_eq!(outlet.out().len(), 10_600);
    });
}

#[test]
fn a_young_post_is_taken_when_it_is_old_enough() {
    world::run(62, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        world.source_rules.min_age = Duration::from_secs(600);
        source.show_post(Post {
            created_at: Some(world.clock.wall()),
            ..Post::new("news".into(), "a", "Post number 0.")
        });
        let handles = world.start();
        pass(Duration::from_secs(590)).await;
        settle(&handles).await;
        assert!(outlet.out().is_empty());
        pass(Duration::from_secs(20)).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..1));
    });
}

/// Has a source show a post that goes on with another.
fn show_related(source: &FakeSource, id: &str, parent: Option<&str>, relation: Relation) {
    source.show_post(Post {
        parent: parent.map(str::to_owned),
        relation,
        ..Post::new("news".into(), id, format!("{id}."))
    });
}

#[test]
fn what_an_author_adds_to_an_answer_of_their_own_is_no_thread_of_theirs() {
    world::run(87, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        let show = |id, parent, relation| show_related(&source, id, parent, relation);
        show("A start", None, Relation::Own);
        show("An answer", None, Relation::Reply);
        show("More of it", Some("An answer"), Relation::Own);
        let handles = world.start();
        poll(&handles).await;
        show("The end of it", Some("More of it"), Relation::Own);
        show("A thread", Some("A start"), Relation::Own);
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A start.", "[es] A thread."]);
    });
}

#[test]
fn what_an_author_adds_to_an_answer_of_before_a_restart_is_no_thread_of_theirs() {
    world::run(88, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        let show = |id, parent, relation| show_related(&source, id, parent, relation);
        show("A start", None, Relation::Own);
        show("An answer", None, Relation::Reply);
        poll(&world.start()).await;
        world.store = world.store.crash();
        show("More of it", Some("An answer"), Relation::Own);
        poll(&world.start()).await;
        world.store = world.store.crash();
        show("The end of it", Some("More of it"), Relation::Own);
        show("A thread", Some("A start"), Relation::Own);
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A start.", "[es] A thread."]);
    });
}

#[test]
fn what_the_filter_refuses_counts_as_seen() {
    world::run(63, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        for relation in [Relation::Reply, Relation::Own] {
            source.show_post(Post {
                relation,
                ..Post::new("news".into(), format!("{relation:?}"), "Post number 0.")
            });
        }
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..1));
        let answer = Post::new("news".into(), "Reply", "Post number 1.");
        source.show_post(answer);
        poll(&handles).await;
        settle(&handles).await;
        assert_out_once(&outlet, posts(0..1));
    });
}

#[test]
fn a_source_that_was_pointed_elsewhere_is_taken_as_at_first_sight() {
    for backfill in [Some(0), Some(2), None] {
        world::run(70, async |mut world: World| {
            let (source, outlet) = watched(&mut world, Some(0));
            world.backfill = backfill;
            show(&source, 0..1);
            let handles = world.start();
            poll(&handles).await;
            source.point_elsewhere();
            for n in 1..701 {
                let text = format!("Post number {n}.");
                source.show_post(Post::new("news".into(), format!("other {n}"), text));
            }
            poll(&handles).await;
            show(&source, 701..702);
            poll(&handles).await;
            settle(&handles).await;
            let newest = backfill.unwrap_or(700);
            let first = newest.min(1);
            let expected = posts(0..first).chain(posts(701 - newest..702));
            assert_out_once(&outlet, expected);
        });
    }
}

#[test]
fn an_edit_of_what_was_never_taken_is_not_published() {
    world::run(71, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        outlet.set_abilities(Abilities {
            edits: true,
            ..Abilities::default()
        });
        let edited = |id: &str, text: &str| Post {
            was_shown: true,
            ..Post::new("news".into(), id, text)
        };
        source.show_post(Post::new("news".into(), "new", "A tpyo."));
        source.show_post(edited("old", "Something of long ago."));
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        source.show_post(edited("new", "A typo."));
        source.show_post(edited("old", "Something of very long ago."));
        source.show_post(Post::new("news".into(), "old", "Something of yore."));
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A typo."]);
        assert_eq!(world.providers[0].1.n_texts(), 2);
    });
}

#[test]
fn what_we_published_is_not_taken_when_it_is_forgotten_either() {
    world::run(72, async |mut world: World| {
        let (source, outlet) = watched(&mut world, None);
        show(&source, 0..1);
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        let own = publications(&handles).await[0].publication.id;
        let entry = Post::new("news".into(), format!("urn:uuid:{own}"), "Post in Spanish.");
        for _ in 0..2 {
            source.show_post(entry.clone());
            poll(&handles).await;
            settle(&handles).await;
            let pruned = world.store.prune(world.clock.wall(), 9).await;
            assert!(pruned.is_ok());
        }
        assert_out_once(&outlet, posts(0..1));
    });
}

#[test]
fn a_source_that_no_outlet_takes_is_left_as_it_is() {
    world::run(73, async |mut world: World| {
        let (source, outlet) = watched(&mut world, Some(0));
        show(&source, 0..1);
        let outlets = world.outlets.clone();
        poll(&world.start()).await;
        world.outlets.clear();
        world.store = world.store.crash();
        show(&source, 1..3);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(600)).await;
        let n_polls = source.n_polls();
        world.outlets = outlets;
        world.store = world.store.crash();
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(n_polls, 1);
        assert_out_once(&outlet, posts(1..3));
    });
}

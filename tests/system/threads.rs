//! How threads arrive: in their order, each post under the one that it answers.

use std::time::Duration;

use babelfeed_actors::domain::{Post, PublicationState, Thread};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{Approve, Outlets, Reject, Review};
use babelfeed_actors::ports::{Abilities, OutletError, PublicationRecord};
use babelfeed_actors::setup::{Hold, Lapse, Lapsed};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, Out, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, pause_outlets, poll, settle, show_answer as show};

fn stage() -> (FakeSource, FakeOutlet) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    outlet.set_abilities(Abilities {
        replies: true,
        ..Abilities::default()
    });
    (source, outlet)
}

fn watched(world: &mut World) -> (FakeSource, FakeOutlet) {
    let (source, outlet) = stage();
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    (source, outlet)
}

async fn held(handles: &Handles) -> Vec<PublicationRecord> {
    let held = handles.review.send(Review { limit: 10 }).await;
    held.expect("heard").expect("read")
}

fn rejected() -> OutletFault {
    OutletFault::Error(OutletError::Rejected {
        detail: "not here".into(),
    })
}

fn find(outlet: &FakeOutlet, text: &str) -> Out {
    let out = outlet.out().into_iter();
    let mut found = out.filter(|out| *out.bytes == *text.as_bytes());
    found
        .next()
        .unwrap_or_else(|| panic!("`{text}` is not out"))
}

fn answer(root: &Out, parent: &Out) -> Option<Thread> {
    Some(Thread {
        root: root.id.clone(),
        parent: parent.id.clone(),
    })
}

#[test]
fn a_post_that_says_it_answers_itself_waits_for_nothing() {
    world::run(701, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", Some("a"), "The first post.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(find(&outlet, "[es] The first post.").thread, None);
    });
}

#[test]
fn each_post_of_a_thread_answers_the_last_part_of_the_one_before() {
    world::run(701, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 40, url: 23 });
        show(
            &source,
            "a",
            None,
            "The first post of a thread. It is in two parts.",
        );
        show(&source, "b", Some("a"), "The second post.");
        show(&source, "c", Some("b"), "The third post.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        let out = outlet.out();
        assert_eq!(out.len(), 4, "{:?}", outlet.texts());
        assert_eq!((out[0].part, out[1].part), (0, 1));
        assert_eq!((&out[0].thread, &out[1].thread), (&None, &None));
        assert_eq!(out[2].thread, answer(&out[0], &out[1]));
        assert_eq!(out[3].thread, answer(&out[0], &out[2]));
    });
}

#[test]
fn what_answers_a_post_waits_for_it_and_holds_up_nothing_else() {
    world::run(702, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.in_order = Duration::ZERO;
        world.config.max_batch_size = 1;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        show(&source, "c", None, "Something else.");
        let handles = world.start();
        pass(Duration::from_secs(20)).await;
        assert_eq!(outlet.texts(), ["[es] Something else."]);
        settle(&handles).await;
        let texts = ["[es] Something else.", "[es] A start.", "[es] An answer."];
        assert_eq!(outlet.texts(), texts);
        let start = find(&outlet, "[es] A start.");
        assert_eq!(outlet.out()[2].thread, answer(&start, &start));
    });
}

#[test]
fn what_answers_a_refused_post_is_held_until_a_person_lets_it_out_alone() {
    world::run(703, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.fail_next(rejected());
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        let held = held(&handles).await;
        assert_eq!((held.len(), outlet.out().len()), (1, 0));
        let why = held[0].why.as_deref();
        assert_eq!(why, Some("the post that it answers was refused"));
        let approve = Approve {
            id: held[0].publication.id,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok(), "{approved:?}");
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An answer."]);
        assert_eq!(outlet.out()[0].thread, None);
    });
}

#[test]
fn what_answers_a_refused_post_lapses_into_standing_alone() {
    world::run(710, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.lapse = Some(Lapse {
            after: Duration::from_secs(3_600),
            into: Lapsed::Published,
        });
        outlet.fail_next(rejected());
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!((held(&handles).await.len(), outlet.out().len()), (1, 0));
        pass(Duration::from_secs(3_700)).await;
        assert_eq!(outlet.texts(), ["[es] An answer."]);
        assert_eq!(outlet.out()[0].thread, None);
    });
}

#[test]
fn what_answers_an_untranslated_post_is_held() {
    world::run(704, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.config.max_batch_size = 1;
        world.config.max_attempts = 1;
        world.providers[0].1.then(ProviderFault::Missing(0));
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        show(&source, "c", Some("b"), "An answer to that.");
        let handles = world.start();
        pass(Duration::from_secs(300)).await;
        let held = held(&handles).await;
        assert_eq!((held.len(), outlet.out().len()), (1, 0), "{held:?}");
        let why = held[0].why.as_deref();
        assert_eq!(why, Some("the post that it answers was not translated"));
    });
}

#[test]
fn what_answers_a_rejected_post_is_held_too() {
    world::run(705, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.hold = Hold::Always;
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(5)).await;
        let waiting = held(&handles).await;
        let (start, answer) = (waiting[0].publication.id, waiting[1].publication.id);
        let approve = Approve {
            id: answer,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert_eq!(approved.map(|it| it.state), Ok(PublicationState::Planned));
        pass(Duration::from_secs(600)).await;
        assert_eq!((held(&handles).await.len(), outlet.out().len()), (1, 0));
        let rejected = handles.reject.send(Reject(start)).await.expect("heard");
        assert!(rejected.is_ok());
        settle(&handles).await;
        let held = held(&handles).await;
        assert_eq!((held.len(), outlet.out().len()), (1, 0));
        assert_eq!(held[0].publication.id, answer);
    });
}

#[test]
fn what_answers_a_held_post_is_told_to_wait_with_it_and_so_is_what_answers_that() {
    world::run(708, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.config.max_batch_size = 1;
        // What lacks its link is held everywhere.
        let says = ProviderFault::Says("Lee ahora.");
        world.providers[0].1.always(Some(says));
        show(&source, "a", None, "Read https://example.org/a now.");
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(held(&handles).await.len(), 1);
        world.providers[0].1.always(None);
        show(&source, "b", Some("a"), "An answer.");
        show(&source, "c", Some("b"), "An answer to that.");
        show(&source, "d", None, "Something else.");
        poll(&handles).await;
        pass(Duration::from_secs(120)).await;
        let view = handles
            .outlets
            .send(Outlets)
            .await
            .expect("heard")
            .remove(0);
        assert_eq!((view.waiting, view.behind_held), (2, 2));
        assert_eq!(outlet.out().len(), 1);
        let approve = Approve {
            id: held(&handles).await[0].publication.id,
            text: Some("Lee https://example.org/a ahora.".into()),
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok(), "{approved:?}");
        settle(&handles).await;
        let view = handles
            .outlets
            .send(Outlets)
            .await
            .expect("heard")
            .remove(0);
        assert_eq!((view.behind_held, outlet.out().len()), (0, 4));
    });
}

#[test]
fn however_many_answer_what_is_held_nothing_else_waits_behind_them() {
    const ANSWERS: usize = 4_500;
    let (source, outlet) = stage();
    let provider = FakeProvider::with_latency(Duration::from_millis(10));
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.config.max_batch_size = 1;
    };
    world::run_lives(717, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            provider.always(Some(ProviderFault::Says("Lee ahora.")));
            show(&source, "a", None, "Read https://example.org/a now.");
            poll(&handles).await;
            pass(Duration::from_secs(60)).await;
            provider.always(None);
            pause_outlets(&handles, None).await;
            for number in 0..ANSWERS {
                let text = format!("Answer {number}.");
                show(&source, &format!("b{number}"), Some("a"), &text);
            }
            show(&source, "c", None, "Something else.");
            poll(&handles).await;
            pass(Duration::from_secs(300)).await;
            return None;
        }
        pass(Duration::from_secs(300)).await;
        assert_eq!(outlet.texts(), ["[es] Something else."]);
        let view = async || {
            handles
                .outlets
                .send(Outlets)
                .await
                .expect("heard")
                .remove(0)
        };
        let waiting = view().await;
        assert_eq!(waiting.behind_held, ANSWERS as u64, "`once` waits for none");
        let approve = Approve {
            id: held(&handles).await[0].publication.id,
            text: Some("Lee https://example.org/a ahora.".into()),
        };
        let approved = handles.approve.send(approve).await;
        assert!(approved.expect("heard").is_ok());
        settle(&handles).await;
        assert_eq!((outlet.out().len(), outlet.n_doubles()), (ANSWERS + 2, 0));
        let start = find(&outlet, "Lee https://example.org/a ahora.");
        let thread = answer(&start, &start);
        assert!(outlet.out()[2..].iter().all(|out| out.thread == thread));
        assert_eq!(view().await.waiting, 0);
        Some(())
    });
}

/// Shows a post that quotes another.
fn quote(source: &FakeSource, id: &str, quoted: &str, text: &str) {
    source.show_post(Post {
        quoted: Some(format!("https://news.example/{quoted}")),
        quoted_post: Some(quoted.to_owned()),
        ..Post::new("news".into(), id, text)
    });
}

/// What a post that is out shows as quoted.
fn quoted_as(out: &Out) -> Option<std::sync::Arc<str>> {
    let attached = out.attached.as_ref();
    attached.and_then(|attached| attached.quoted_as.clone())
}

#[test]
fn a_quoted_post_is_shown_as_what_is_out_of_it_and_waited_for() {
    world::run(709, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_abilities(Abilities {
            quotes: true,
            ..Abilities::default()
        });
        world.rules.in_order = Duration::ZERO;
        world.config.max_batch_size = 1;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", None, "A start.");
        quote(&source, "b", "a", "Look at this.");
        quote(&source, "c", "of somebody", "Look at that.");
        let handles = world.start();
        pass(Duration::from_secs(20)).await;
        assert_eq!(outlet.texts(), ["[es] Look at that."]);
        settle(&handles).await;
        let start = find(&outlet, "[es] A start.");
        assert_eq!(
            quoted_as(&find(&outlet, "[es] Look at this.")),
            Some(start.id)
        );
        assert_eq!(quoted_as(&find(&outlet, "[es] Look at that.")), None);
    });
}

#[test]
fn an_edit_of_a_post_shows_as_quoted_what_the_post_does() {
    world::run(719, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_abilities(Abilities {
            quotes: true,
            edits: true,
            ..Abilities::default()
        });
        show(&source, "a", None, "A start.");
        quote(&source, "b", "a", "Look at this.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        let start = find(&outlet, "[es] A start.");

        quote(&source, "b", "a", "Look at this, please.");
        poll(&handles).await;
        settle(&handles).await;

        let edited = find(&outlet, "[es] Look at this, please.");
        assert_eq!(quoted_as(&edited), Some(start.id));
        assert_eq!(outlet.out().len(), 2);
    });
}

#[test]
fn a_quoted_post_that_is_refused_or_cannot_be_shown_holds_nothing_up() {
    for quotes in [true, false] {
        world::run(717, async |mut world: World| {
            let (source, outlet) = watched(&mut world);
            outlet.set_abilities(Abilities {
                quotes,
                ..Abilities::default()
            });
            if quotes {
                outlet.fail_next(rejected());
            }
            show(&source, "a", None, "A start.");
            quote(&source, "b", "a", "Look at this.");
            let handles = world.start();
            poll(&handles).await;
            settle(&handles).await;
            assert_eq!(held(&handles).await.len(), 0);
            assert_eq!(quoted_as(&find(&outlet, "[es] Look at this.")), None);
        });
    }
}

#[test]
fn a_post_that_answers_what_was_never_taken_stands_alone() {
    world::run(706, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.backfill = Some(0);
        show(&source, "a", None, "Older than the first sight.");
        let handles = world.start();
        poll(&handles).await;
        show(&source, "b", Some("a"), "An answer.");
        show(&source, "c", Some("of somebody"), "Another answer.");
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An answer.", "[es] Another answer."]);
        assert!(outlet.out().iter().all(|out| out.thread.is_none()));
    });
}

#[test]
fn where_nothing_can_answer_a_thread_stands_in_its_order() {
    world::run(707, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_abilities(Abilities::default());
        world.config.max_batch_size = 1;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", None, "A start.");
        show(&source, "b", Some("a"), "An answer.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A start.", "[es] An answer."]);
        assert!(outlet.out().iter().all(|out| out.thread.is_none()));
    });
}

/// Kills the system again and again while threads go out.
fn storm(seed: u64) {
    const LIVES: usize = 20;
    const THREADS: usize = 6;
    let mut chance = fastrand::Rng::with_seed(seed);
    let provider = FakeProvider::with_latency(Duration::from_millis(300));
    let (source, outlet) = stage();
    outlet.set_batch(3);
    outlet.set_quiet(Duration::from_secs(2));
    outlet.delay(Duration::from_millis(40));
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.config.max_batch_size = 2;
    };
    world::run_lives(seed, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives > LIVES {
            poll(&handles).await;
            settle(&handles).await;
            return Some(());
        }
        for thread in 0..THREADS {
            let id = |life: usize| format!("{thread}.{life}");
            let parent = (lives > 1).then(|| id(lives - 1));
            let text = format!("Post {lives} of thread {thread}.");
            show(&source, &id(lives), parent.as_deref(), &text);
        }
        let faults = [OutletFault::StoredAndLost, OutletFault::LostAndSilent];
        if let Some(fault) = faults.get(chance.usize(..4)) {
            outlet.fail_next(fault.clone());
        }
        pass(Duration::from_millis(chance.u64(100..3_000))).await;
        None
    });
    assert_eq!(
        (outlet.out().len(), outlet.n_doubles()),
        (LIVES * THREADS, 0)
    );
    for thread in 0..THREADS {
        let post = |life: usize| find(&outlet, &format!("[es] Post {life} of thread {thread}."));
        for life in 2..=LIVES {
            assert_eq!(post(life).thread, answer(&post(1), &post(life - 1)));
        }
    }
}

#[test]
fn threads_stay_whole_and_single_through_kills() {
    for seed in 710..716 {
        storm(seed);
    }
}

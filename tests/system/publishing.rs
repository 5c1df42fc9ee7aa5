//! How publications go out: once, in order, and each outlet for itself.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Post, PublicationState};
use babelfeed_actors::logic::compose::{Link, Long, Style};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{
    Approve, OutletView, Outlets, PauseOutlet, PublicationError, Reject, RetryPublication, Review,
};
use babelfeed_actors::ports::OutletError;
use babelfeed_actors::setup::Hold;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, finish};

use crate::helpers::{
    assert_out_once, pass, pause_outlets, poll_and_settle, publication, publish, resume_outlets,
    settle, texts, until_publication,
};
use crate::journal;

fn unreachable() -> OutletError {
    OutletError::Unreachable {
        detail: "no connection".into(),
    }
}

fn refused() -> OutletFault {
    OutletFault::Error(OutletError::Auth {
        detail: "who are you".into(),
    })
}

fn with_outlet(world: &mut World) -> FakeOutlet {
    let outlet = FakeOutlet::default();
    world.outlets = vec![("es", outlet.clone(), "es")];
    outlet
}

fn translated(n: usize) -> impl Iterator<Item = String> {
    texts(n).map(|text| format!("[es] {text}"))
}

async fn view(handles: &Handles, name: &str) -> OutletView {
    let views = handles.outlets.send(Outlets).await.expect("heard");
    let view = views.into_iter().find(|view| view.name.as_str() == name);
    view.expect("the outlet is on the list")
}

#[test]
fn publications_go_out_in_the_order_of_their_requests() {
    world::run(31, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.delay(Duration::from_millis(50));
        let handles = world.start();
        pause_outlets(&handles, Some("es".into())).await;
        let ids = publish(&handles, texts(200), "es").await;
        assert_eq!(finish(&handles, &ids).await, 200);
        pass(Duration::from_secs(5)).await;
        assert_eq!(
            (outlet.out().len(), view(&handles, "es").await.state),
            (0, "paused")
        );
        resume_outlets(&handles, None).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated(200).collect::<Vec<_>>());
        let unknown = handles.pause_outlet.send(PauseOutlet(Some("xx".into())));
        assert!(unknown.await.expect("heard").is_err());
    });
}

#[test]
fn the_parts_of_a_publication_are_a_chain() {
    world::run(32, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 60, url: 23 });
        outlet.fail_next(OutletFault::StoredAndLost);
        outlet.fail_next(OutletFault::Error(unreachable()));
        outlet.fail_next(OutletFault::LostAndSilent);
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let long = "One sentence of some length. ".repeat(12).trim().to_owned();
        let ids = publish(&handles, [long.clone()], "es").await;
        settle(&handles).await;
        let record = publication(&handles, ids[0]).await;
        assert_eq!(record.state, PublicationState::Published);
        let out = outlet.out();
        let parts: Vec<usize> = out.iter().map(|out| out.part).collect();
        assert_eq!(
            parts,
            (0..record.publication.parts.len()).collect::<Vec<_>>()
        );
        assert!(parts.len() > 4, "{parts:?}");
        for (part, out) in record.publication.parts.iter().zip(&out) {
            assert_eq!(part.id.as_ref(), Some(&out.id));
            assert_eq!(part.text.as_bytes(), &*out.bytes);
        }
        let words = outlet.texts().join(" ");
        assert_eq!(words.matches("One sentence").count(), 12);
        assert_eq!(outlet.n_doubles(), 0);
    });
}

#[test]
fn nothing_is_sent_before_the_limit_is_known() {
    world::run(33, async |mut world: World| {
        journal::listen();
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 40, url: 23 });
        for _ in 0..5 {
            outlet.fail_next_limit(unreachable());
        }
        let handles = world.start();
        let ids = publish(&handles, ["Word ".repeat(30).trim().to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        pass(Duration::from_secs(10)).await;
        assert_eq!(
            (outlet.n_calls(), view(&handles, "es").await.state),
            (0, "failing")
        );
        settle(&handles).await;
        assert!(outlet.texts().iter().all(|text| text.chars().count() <= 40));
        assert_eq!(outlet.texts().join(" ").matches("Word").count(), 30);
        assert_eq!(journal::count("an outlet does not tell its limit"), 1);
        assert_eq!(journal::count("an outlet answers again"), 1);
    });
}

#[test]
fn what_is_planned_before_the_limit_is_known_is_put_together_as_the_outlet_wants_it() {
    let numbered = |n: usize| format!(" {n}/{n}");
    let cases = [
        (Long::Shorten, false, 1, "…".to_owned()),
        (Long::Thread, true, 5, numbered(5)),
    ];
    for (long, numbers, n_parts, end) in cases {
        world::run(45, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            let limit = Limit::Mastodon { max: 40, url: 23 };
            outlet.set_limit(limit);
            outlet.fail_next_limit(unreachable());
            world.rules.style = Arc::new(Style {
                long,
                numbers,
                ..Style::default()
            });
            let handles = world.start();
            let _ = publish(&handles, ["Word ".repeat(30).trim().to_owned()], "es").await;
            settle(&handles).await;
            let texts = outlet.texts();
            assert_eq!(texts.len(), n_parts, "{texts:?}");
            assert!(texts.iter().all(|text| limit.fits(text)), "{texts:?}");
            assert!(texts[n_parts - 1].ends_with(&end), "{texts:?}");
        });
    }
}

#[test]
fn what_is_put_together_anew_has_all_that_it_had_at_first() {
    let url = "https://example.org/posts/1";
    for (long, n_parts) in [(Long::Thread, 3), (Long::Shorten, 1), (Long::Link, 1)] {
        world::run(47, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            let limit = Limit::Mastodon { max: 120, url: 23 };
            outlet.set_limit(limit);
            outlet.fail_next_limit(unreachable());
            world.rules.style = Arc::new(Style {
                long,
                link: Link::Always,
                attribution: Some("By {author}".into()),
                mark: Some("translated automatically".into()),
                ..Style::default()
            });
            let source = FakeSource::new("news");
            world.sources = vec![("news", source.clone())];
            source.show_post(Post {
                author: Some("ann".into()),
                url: Some(url.into()),
                ..Post::new("news".into(), "1", "Word ".repeat(40).trim())
            });
            let handles = world.start();
            poll_and_settle(&handles).await;
            let texts = outlet.texts();
            assert_eq!(texts.len(), n_parts, "{texts:?}");
            assert!(texts.iter().all(|text| limit.fits(text)), "{texts:?}");
            assert!(texts.iter().all(|text| text.ends_with(url)), "{texts:?}");
            let below = format!("\n\nBy ann\ntranslated automatically\n{url}");
            assert!(texts[0].ends_with(&below), "{texts:?}");
        });
    }
}

#[test]
fn a_limit_that_an_outlet_knows_holds_before_the_outlet_is_asked() {
    world::run(46, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        let limit = Limit::Mastodon { max: 40, url: 23 };
        outlet.set_limit(limit);
        outlet.know_limit();
        outlet.fail_next_limit(unreachable());
        let handles = world.start();
        let ids = publish(&handles, ["Word ".repeat(30).trim().to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let planned = publication(&handles, ids[0]).await;
        let parts = &planned.publication.parts;
        assert_eq!(
            (outlet.n_calls(), planned.state),
            (0, PublicationState::Planned)
        );
        assert!(parts.len() > 1 && parts.iter().all(|part| limit.fits(&part.text)));
        settle(&handles).await;
        assert_eq!(outlet.texts().len(), parts.len());
    });
}

#[test]
fn an_outlet_that_asks_for_no_wait_is_not_called_without_rest() {
    world::run(339, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        for _ in 0..10 {
            outlet.fail_next(OutletFault::Error(OutletError::Busy {
                wait: Some(Duration::from_millis(1)),
                detail: "Retry-After: 0".into(),
            }));
        }
        let handles = world.start();
        let ids = publish(&handles, texts(3), "es").await;
        assert_eq!(finish(&handles, &ids).await, 3);
        pass(Duration::from_secs(60)).await;
        let n_calls = outlet.n_calls();
        assert!((3..9).contains(&n_calls), "{n_calls} calls in a minute");
        settle(&handles).await;
        assert_out_once(&outlet, translated(3));
    });
}

#[test]
fn every_fault_ends_with_each_part_out_once() {
    let faults = [
        OutletFault::Error(unreachable()),
        OutletFault::Error(OutletError::Busy {
            wait: Some(Duration::from_secs(30)),
            detail: "wait".into(),
        }),
        OutletFault::Error(OutletError::Busy {
            wait: None,
            detail: "wait".into(),
        }),
        refused(),
        OutletFault::StoredAndLost,
        OutletFault::LostAndSilent,
        OutletFault::Panic,
        OutletFault::StoredAndPanic,
        OutletFault::Late(Duration::from_secs(20)),
    ];
    for (seed, fault) in (340..).zip(faults) {
        world::run(seed, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            outlet.set_quiet(Duration::from_secs(5));
            outlet.fail_next(fault.clone());
            let handles = world.start();
            let ids = publish(&handles, texts(25), "es").await;
            assert_eq!(finish(&handles, &ids).await, 25);
            settle(&handles).await;
            assert_out_once(&outlet, translated(25));
            let view = view(&handles, "es").await;
            assert_eq!(
                (view.published, view.unknown, view.refused),
                (25, 0, 0),
                "{fault:?}"
            );
            assert_eq!((view.state, view.error), ("ready", None), "{fault:?}");
        });
    }
}

#[test]
fn a_rejected_publication_is_refused_until_a_person_retries_it() {
    world::run(35, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.fail_next(OutletFault::Error(OutletError::Rejected {
            detail: "not here".into(),
        }));
        let handles = world.start();
        let ids = publish(&handles, texts(3), "es").await;
        settle(&handles).await;
        pass(Duration::from_secs(3_600)).await;
        let record = publication(&handles, ids[0]).await;
        assert_eq!(record.state, PublicationState::Refused);
        assert_eq!(record.why.as_deref(), Some("refused: not here"));
        assert_eq!(outlet.texts(), translated(3).skip(1).collect::<Vec<_>>());

        let retry = RetryPublication(record.publication.id);
        handles
            .retry_publication
            .send(retry)
            .await
            .expect("heard")
            .expect("done");
        settle(&handles).await;
        assert_out_once(&outlet, translated(3));
        let again = handles
            .retry_publication
            .send(RetryPublication(record.publication.id));
        let conflict = PublicationError::Conflict(PublicationState::Published);
        assert_eq!(again.await.expect("heard"), Err(conflict));
    });
}

#[test]
fn what_is_refused_before_it_is_sent_is_given_up_and_the_rest_goes_on() {
    world::run(44, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.fail_next_freeze(OutletError::Rejected {
            detail: "its picture is no picture".into(),
        });
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        settle(&handles).await;
        let first = publication(&handles, ids[0]).await;
        assert_eq!(first.state, PublicationState::Refused);
        assert!(first.why.is_some_and(|why| why.contains("no picture")));
        publish(&handles, texts(3).skip(1), "es").await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated(3).skip(1).collect::<Vec<_>>());
    });
}

#[test]
fn an_outlet_that_needs_a_person_is_left_alone_and_says_so_once() {
    world::run(36, async |mut world: World| {
        journal::listen();
        let outlet = with_outlet(&mut world);
        // The first part may be out; its read-back must not wake the outlet up.
        outlet.set_batch(1);
        outlet.set_quiet(Duration::from_secs(60));
        outlet.fail_next(OutletFault::StoredAndLost);
        for _ in 0..4 {
            outlet.fail_next(refused());
        }
        let handles = world.start();
        let ids = publish(&handles, texts(5), "es").await;
        assert_eq!(finish(&handles, &ids).await, 5);
        pass(Duration::from_secs(800)).await;
        assert_eq!(outlet.n_calls(), 2, "it is left alone");
        assert_eq!(outlet.n_read_backs(), 1);
        settle(&handles).await;
        assert_out_once(&outlet, translated(5));
        assert_eq!(journal::count("an outlet takes no posts"), 1);
        assert_eq!(journal::count("an outlet takes posts again"), 1);
    });
}

#[test]
fn an_unknown_fate_is_looked_up_until_it_can_be_told() {
    world::run(37, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_quiet(Duration::from_secs(20));
        outlet.fail_next(OutletFault::StoredAndLost);
        for _ in 0..3 {
            outlet.fail_next_read_back(unreachable());
        }
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        until_publication(&handles, ids[0], PublicationState::Unknown).await;
        pass(Duration::from_secs(19)).await;
        assert_eq!(outlet.n_read_backs(), 0, "within its quiet");
        pass(Duration::from_secs(2)).await;
        assert_eq!(outlet.n_read_backs(), 1);
        assert_eq!(
            view(&handles, "es").await.unknown,
            1,
            "still unknown after a look in vain"
        );
        settle(&handles).await;
        assert_eq!((outlet.n_read_backs(), outlet.out().len()), (4, 1));
        assert_eq!(view(&handles, "es").await.unknown, 0);
    });
}

#[test]
fn a_person_may_send_an_unknown_publication_again_without_its_being_lost() {
    world::run(38, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_quiet(Duration::from_secs(600));
        outlet.fail_next(OutletFault::LostAndSilent);
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        until_publication(&handles, ids[0], PublicationState::Unknown).await;
        pause_outlets(&handles, None).await;
        let id = publication(&handles, ids[0]).await.publication.id;
        let retry = handles.retry_publication.send(RetryPublication(id));
        retry.await.expect("heard").expect("done");
        pass(Duration::from_secs(1_200)).await;
        assert!(outlet.out().is_empty());
        assert_eq!(outlet.n_read_backs(), 0, "a person was faster");
        assert_eq!(view(&handles, "es").await.unknown, 0);
        resume_outlets(&handles, None).await;
        settle(&handles).await;
        assert_out_once(&outlet, translated(1));
        assert_eq!(view(&handles, "es").await.published, 1);
    });
}

#[test]
fn what_is_held_goes_out_by_a_persons_word_alone() {
    world::run(39, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        world.hold = Hold::Always;
        let handles = world.start();
        let ids = publish(&handles, texts(3), "es").await;
        assert_eq!(finish(&handles, &ids).await, 3);
        pass(Duration::from_secs(60)).await;
        let held = handles.review.send(Review { limit: 10 }).await;
        let held = held.expect("heard").expect("read");
        assert_eq!((held.len(), outlet.out().len()), (3, 0));
        let held: Vec<_> = held.iter().map(|held| held.publication.id).collect();
        let approve = |id, text: Option<&str>| Approve {
            id,
            text: text.map(Into::into),
        };
        let approved = handles.approve.send(approve(held[0], None)).await;
        assert!(approved.expect("heard").is_ok());
        let corrected = handles
            .approve
            .send(approve(held[1], Some("Better words.")))
            .await;
        assert!(corrected.expect("heard").is_ok());
        let rejected = handles.reject.send(Reject(held[2])).await;
        assert!(rejected.expect("heard").is_ok());
        settle(&handles).await;
        let first = translated(1).next().expect("a text");
        assert_out_once(&outlet, [first, "Better words.".to_owned()]);
        let again = handles
            .approve
            .send(approve(held[2], None))
            .await
            .expect("heard");
        let conflict = PublicationError::Conflict(PublicationState::Refused);
        assert_eq!(again, Err(conflict));
    });
}

#[test]
fn an_outlet_that_hangs_delays_no_other() {
    world::run(40, async |mut world: World| {
        let (slow, quick) = (FakeOutlet::default(), FakeOutlet::default());
        slow.fail_next(OutletFault::Late(Duration::from_secs(4_000)));
        world.outlets = vec![("slow", slow.clone(), "es"), ("quick", quick.clone(), "es")];
        let handles = world.start();
        let begun = tokio::time::Instant::now();
        let ids = publish(&handles, texts(50), "es").await;
        assert_eq!(finish(&handles, &ids).await, 50);
        pass(Duration::from_secs(10)).await;
        assert_eq!((slow.out().len(), quick.out().len()), (0, 50));
        assert!(begun.elapsed() < Duration::from_secs(20));
        settle(&handles).await;
        assert_out_once(&slow, translated(50));
    });
}

#[test]
fn outlets_that_wait_for_their_lane_take_no_turn_from_others() {
    world::run(41, async |mut world: World| {
        world.config.publishing_concurrency = 1;
        let (busy, quick) = (FakeOutlet::default(), FakeOutlet::default());
        busy.fail_next(OutletFault::Error(OutletError::Busy {
            wait: Some(Duration::from_secs(1_000)),
            detail: "wait".into(),
        }));
        world.outlets = vec![("busy", busy.clone(), "es"), ("quick", quick.clone(), "es")];
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        pass(Duration::from_secs(1)).await;
        // A person resumes the outlet, but its lane is still closed.
        resume_outlets(&handles, None).await;
        pass(Duration::from_secs(1)).await;
        let more = publish(&handles, ["Something more.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &more).await, 1);
        pass(Duration::from_secs(10)).await;
        assert_eq!((busy.out().len(), quick.out().len()), (0, 2));
    });
}

#[test]
fn what_waited_for_its_lane_does_not_go_out_after_a_pause() {
    world::run(47, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        world.rules.per_hour = Some(2);
        outlet.fail_next(OutletFault::Error(OutletError::Busy {
            wait: Some(Duration::from_secs(1_000)),
            detail: "wait".into(),
        }));
        let handles = world.start();
        let ids = publish(&handles, texts(1), "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        pass(Duration::from_secs(1)).await;
        // Now it waits for a permit of its lane, which is closed still.
        resume_outlets(&handles, None).await;
        pass(Duration::from_secs(1)).await;
        pause_outlets(&handles, None).await;
        pass(Duration::from_secs(3_000)).await;
        assert_eq!((outlet.n_calls(), outlet.out().len()), (1, 0));
        let record = publication(&handles, ids[0]).await;
        assert_eq!(record.state, PublicationState::Planned);
        assert_eq!(view(&handles, "es").await.waiting, 1);
        resume_outlets(&handles, None).await;
        let more = publish(&handles, ["Something more.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &more).await, 1);
        pass(Duration::from_secs(5)).await;
        assert_eq!(outlet.out().len(), 2, "what did not begin was not counted");
    });
}

#[test]
fn more_publications_than_memory_holds_all_go_out_in_order() {
    world::run(42, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.delay(Duration::from_millis(500));
        let handles = world.start();
        let mut expected = Vec::new();
        for round in 0..5 {
            let round: Vec<String> = texts(1_000)
                .map(|text| format!("{round}: {text}"))
                .collect();
            expected.extend(round.iter().map(|text| format!("[es] {text}")));
            let _ = publish(&handles, round, "es").await;
        }
        pass(Duration::from_secs(30)).await;
        assert!(outlet.out().len() < 1_000);
        assert!(view(&handles, "es").await.waiting <= 1_500);
        settle(&handles).await;
        assert_eq!(outlet.out().len(), 5_000);
        assert_out_once(&outlet, expected);
    });
}

#[test]
fn a_publication_that_is_planned_while_a_later_one_is_loaded_is_not_forgotten() {
    // What is read is old when it comes, so between the two moments something can be planned.
    for moment in 0..100 {
        world::run(44, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            world.store.delay_reads(Duration::from_millis(100));
            let late = Duration::from_millis(10 * moment);
            world.providers[0].1.then(ProviderFault::Delay(late));
            let handles = world.start();
            let _ = publish(&handles, ["The first text.".to_owned()], "es").await;
            let _ = publish(&handles, ["The second text.".to_owned()], "es").await;
            pass(Duration::from_secs(30)).await;
            let mut out = outlet.texts();
            out.sort_unstable();
            let all = ["[es] The first text.", "[es] The second text."];
            assert_eq!(out, all, "{moment}");
        });
    }
}

#[test]
fn a_publication_older_than_all_in_a_full_memory_is_not_forgotten() {
    world::run(43, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        let handles = world.start();
        // The older requests take longer to translate than the newer ones.
        world.providers[0]
            .1
            .then(babelfeed_actors::testkit::provider::ProviderFault::Delay(
                Duration::from_secs(50),
            ));
        pause_outlets(&handles, None).await;
        let older = publish(&handles, texts(10), "es").await;
        pass(Duration::from_secs(1)).await;
        let newer = texts(3_000).map(|text| format!("Newer: {text}"));
        let newer: Vec<String> = newer.collect();
        let ids = publish(&handles, newer.clone(), "es").await;
        assert_eq!(finish(&handles, &ids).await, 3_000);
        assert_eq!(finish(&handles, &older).await, 10);
        pass(Duration::from_secs(10)).await;
        resume_outlets(&handles, None).await;
        settle(&handles).await;
        let newer = newer.into_iter().map(|text| format!("[es] {text}"));
        assert_out_once(&outlet, translated(10).chain(newer));
        assert_eq!(outlet.texts()[0], translated(1).next().expect("a text"));
    });
}

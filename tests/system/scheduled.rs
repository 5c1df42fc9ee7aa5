//! What an outlet publishes by itself at its time: looked after until it is out, and taken back.

use std::time::Duration;

use babelfeed_actors::domain::{PublicationId, PublicationState};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{Outlets, PublicationError, Reject, Review};
use babelfeed_actors::ports::{Abilities, OutletError};
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, poll, poll_and_settle, publications, settle, show_answer as show};

/// How long after it was handed in the outlet publishes something.
const SCHEDULE: Duration = Duration::from_secs(30 * 60);

fn stage() -> (FakeSource, FakeOutlet) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    outlet.set_abilities(Abilities {
        edits: true,
        deletes: true,
        replies: true,
        ..Abilities::default()
    });
    outlet.set_schedule(Some(SCHEDULE));
    (source, outlet)
}

fn watched(world: &mut World) -> (FakeSource, FakeOutlet) {
    let (source, outlet) = stage();
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    (source, outlet)
}

async fn states(handles: &Handles) -> Vec<PublicationState> {
    let publications = publications(handles).await.into_iter();
    publications.map(|record| record.state).collect()
}

#[test]
fn what_an_outlet_publishes_by_itself_is_out_once_it_is_out() {
    world::run(1001, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(SCHEDULE / 2).await;
        let [record] = &publications(&handles).await[..] else {
            panic!("one is published");
        };
        assert_eq!(record.state, PublicationState::Scheduled);
        let why = record.why.as_deref().unwrap_or_default();
        assert!(why.starts_with("the outlet publishes it at 2"), "{why}");
        assert_eq!(record.publication.parts[0].id, None);
        assert_eq!(outlet.texts(), [""; 0]);
        pass(SCHEDULE).await;
        let [record] = &publications(&handles).await[..] else {
            panic!("one is published");
        };
        assert_eq!(record.state, PublicationState::Published);
        assert_eq!(
            record.publication.parts[0].id.as_ref(),
            Some(&outlet.out()[0].id)
        );
        assert_eq!(outlet.n_calls(), 1);
    });
}

#[test]
fn an_answer_waits_until_what_it_answers_is_really_out() {
    world::run(1002, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text.");
        show(&source, "b", Some("a"), "An answer.");
        let handles = world.start();
        poll(&handles).await;
        pass(SCHEDULE / 2).await;
        assert_eq!(outlet.scheduled(), ["[es] A text."]);
        let outlets = handles.outlets.send(Outlets).await.expect("heard");
        assert_eq!(outlets[0].behind_held, 1, "`once` does not wait for it");
        pass(SCHEDULE).await;
        pass(SCHEDULE).await;
        let out = outlet.out();
        assert_eq!(outlet.texts(), ["[es] A text.", "[es] An answer."]);
        let thread = out[1].thread.as_ref().expect("answers");
        assert_eq!(thread.parent, out[0].id);
    });
}

#[test]
fn the_later_parts_follow_the_first_once_that_is_out() {
    world::run(1003, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        show(&source, "a", None, &"A sentence of a text. ".repeat(3));
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!((outlet.scheduled().len(), outlet.out().len()), (1, 0));
        pass(SCHEDULE + Duration::from_secs(60)).await;
        assert_eq!((outlet.scheduled().len(), outlet.out().len()), (0, 3));
        assert_eq!(states(&handles).await, [PublicationState::Published]);
    });
}

#[test]
fn an_edit_takes_the_place_of_what_is_not_out_yet() {
    world::run(1004, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.fail_next_change(OutletError::Ambiguous {
            detail: "no answer".into(),
        });
        show(&source, "a", None, "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.scheduled(), ["[es] A text without a typo."]);
        pass(SCHEDULE * 2).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!(outlet.n_edits(), 0);
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
    });
}

#[test]
fn an_edit_that_comes_when_it_is_out_changes_it_in_its_place() {
    world::run(1005, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        // Nobody has looked yet whether it is out.
        pass(SCHEDULE + Duration::from_secs(1)).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        show(&source, "a", None, "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!(outlet.n_edits(), 1);
    });
}

#[test]
fn what_is_deleted_at_its_source_is_taken_back_before_it_is_out() {
    world::run(1006, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        show(&source, "a", None, "A text.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        source.lose_post("a");
        poll(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.scheduled(), [""; 0]);
        pass(SCHEDULE * 2).await;
        assert_eq!(outlet.texts(), [""; 0]);
        assert_eq!(states(&handles).await, [PublicationState::Deleted]);
    });
}

#[test]
fn what_a_person_takes_back_there_is_not_sent_again() {
    world::run(1007, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        outlet.take_back_scheduled();
        pass(SCHEDULE * 2).await;
        assert_eq!(states(&handles).await, [PublicationState::Refused]);
        assert_eq!((outlet.out().len(), outlet.n_calls()), (0, 1));
    });
}

#[test]
fn what_a_person_rejects_is_taken_back_before_it_is_out() {
    world::run(1010, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", None, "A text.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let review = handles.review.send(Review { limit: 10 }).await;
        let [record] = &review.expect("heard").expect("listed")[..] else {
            panic!("one can be decided about");
        };
        let reject = async || {
            let rejected = handles.reject.send(Reject(record.publication.id)).await;
            rejected.expect("heard")
        };
        outlet.fail_next_change(OutletError::Unreachable {
            detail: "no answer".into(),
        });
        let error = reject().await.expect_err("it is not given back");
        assert!(matches!(error, PublicationError::Outlet(_)), "{error}");
        assert_eq!(states(&handles).await, [PublicationState::Scheduled]);
        let rejected = reject().await.expect("it is given back");
        assert_eq!(rejected.state, PublicationState::Refused);
        assert_eq!(outlet.scheduled(), [""; 0]);
        pass(SCHEDULE * 2).await;
        assert_eq!(states(&handles).await, [PublicationState::Refused]);
        assert_eq!((outlet.out().len(), outlet.n_calls()), (0, 1));
        let outlets = handles.outlets.send(Outlets).await.expect("heard");
        assert_eq!(outlets[0].scheduled, 0, "nobody looks for it any more");
    });
}

#[test]
fn what_is_out_when_a_person_rejects_it_stays_and_nothing_follows_it() {
    world::run(1011, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let schedule = Duration::from_secs(20 * 60);
        outlet.set_schedule(Some(schedule));
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        show(&source, "a", None, "A text.");
        show(&source, "b", None, &"A sentence of a text. ".repeat(3));
        let handles = world.start();
        poll_and_settle(&handles).await;
        let ids: Vec<PublicationId> = publications(&handles)
            .await
            .iter()
            .map(|record| record.publication.id)
            .collect();
        // Nobody has looked yet whether they are out.
        pass(schedule + Duration::from_secs(5)).await;
        let reject = async |id| handles.reject.send(Reject(id)).await.expect("heard");
        let conflict = PublicationError::Conflict(PublicationState::Published);
        assert_eq!(reject(ids[0]).await, Err(conflict));
        let begun = reject(ids[1]).await.expect("what is left is given up");
        assert!(begun.publication.parts[0].id.is_some());
        pass(schedule).await;
        let expected = [PublicationState::Published, PublicationState::Refused];
        assert_eq!(states(&handles).await, expected);
        assert_eq!(outlet.out().len(), 2);
    });
}

#[test]
fn what_was_lost_on_the_way_is_handed_in_once() {
    for fault in [OutletFault::StoredAndLost, OutletFault::LostAndSilent] {
        world::run(1008, async |mut world: World| {
            let (source, outlet) = watched(&mut world);
            outlet.fail_next(fault.clone());
            show(&source, "a", None, "A text.");
            let handles = world.start();
            poll_and_settle(&handles).await;
            assert_eq!(outlet.scheduled(), ["[es] A text."], "{fault:?}");
            assert_eq!(states(&handles).await, [PublicationState::Scheduled]);
            pass(SCHEDULE * 2).await;
            assert_eq!(outlet.texts(), ["[es] A text."], "{fault:?}");
            assert_eq!(states(&handles).await, [PublicationState::Published]);
        });
    }
}

#[test]
fn after_a_restart_what_is_to_come_out_is_looked_after() {
    let (source, outlet) = stage();
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
    };
    world::run_lives(1009, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            show(&source, "a", None, "A text.");
            show(&source, "b", Some("a"), "An answer.");
            poll(&handles).await;
            pass(Duration::from_secs(60)).await;
            assert_eq!(outlet.scheduled(), ["[es] A text."]);
            return None;
        }
        pass(SCHEDULE * 3).await;
        settle(&handles).await;
        assert_eq!(states(&handles).await, [PublicationState::Published; 2]);
        Some(())
    });
    assert_eq!(outlet.texts(), ["[es] A text.", "[es] An answer."]);
}

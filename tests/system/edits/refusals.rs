//! What stays out, and whose it is, where an outlet refuses an edit.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::PublicationState;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::PollNow;
use babelfeed_actors::ports::{OutletError, PublicationRecord, StoreError};
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::testkit::world::{self, World};

use super::{SENTENCE, ids, refuse_part, rejected, show, states, unreachable, watched};
use crate::helpers::{pass, poll_and_settle, publications, settle};

/// The ids of what is out of a publication.
fn out_of(record: &PublicationRecord) -> Vec<Arc<str>> {
    let parts = record.publication.parts.iter();
    parts.filter_map(|part| part.id.clone()).collect()
}

#[test]
fn an_outlet_that_refuses_an_edit_keeps_what_is_out() {
    world::run(807, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.fail_next_change(unreachable());
        outlet.fail_next_change(rejected());
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        let expected = [PublicationState::Published, PublicationState::Refused];
        assert_eq!(states(&handles).await, expected);
        show(&source, "a", "A third text.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A third text."]);
    });
}

#[test]
fn an_outlet_that_refuses_a_further_part_of_an_edit_keeps_what_is_out_in_one_publication() {
    for n_taken in [0, 1] {
        world::run(817, async |mut world: World| {
            let (source, outlet) = watched(&mut world);
            world.rules.on_delete = OnDelete::Delete;
            outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
            show(&source, "a", SENTENCE);
            let handles = world.start();
            poll_and_settle(&handles).await;
            refuse_part(&outlet, n_taken);
            show(&source, "a", &SENTENCE.repeat(3));
            poll_and_settle(&handles).await;
            let expected = [PublicationState::Published, PublicationState::Refused];
            assert_eq!(states(&handles).await, expected);
            assert_eq!(out_of(&publications(&handles).await[0]), ids(&outlet));
            assert_eq!(out_of(&publications(&handles).await[1]), []);
            source.lose_post("a");
            poll_and_settle(&handles).await;
            pass(Duration::from_secs(60)).await;
            assert_eq!(outlet.out(), []);
        });
    }
}

#[test]
fn an_outlet_that_refuses_a_further_part_before_it_is_sent_keeps_what_is_out_too() {
    world::run(818, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        show(&source, "a", SENTENCE);
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.delay(Duration::from_secs(5));
        show(&source, "a", &SENTENCE.repeat(3));
        handles.poll_now.do_send(PollNow(None));
        world::until("a further part is on its way", async || {
            outlet.n_edits() == 1 && outlet.n_calls() == 2
        })
        .await;
        outlet.fail_next_freeze(rejected());
        settle(&handles).await;
        let expected = [PublicationState::Published, PublicationState::Refused];
        assert_eq!(states(&handles).await, expected);
        assert_eq!(out_of(&publications(&handles).await[0]), ids(&outlet));
        assert_eq!(outlet.out().len(), 2);
    });
}

#[test]
fn what_an_edit_cannot_take_back_belongs_to_it() {
    world::run(819, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        show(&source, "a", &SENTENCE.repeat(2));
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.let_next_change();
        outlet.fail_next_change(rejected());
        show(&source, "a", SENTENCE);
        poll_and_settle(&handles).await;
        assert_eq!((outlet.n_edits(), outlet.out().len()), (1, 2));
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
        assert_eq!(out_of(&publications(&handles).await[1]), ids(&outlet));
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.out(), []);
    });
}

#[test]
fn what_is_out_stays_after_a_refused_edit_although_the_store_could_not_be_read() {
    world::run(812, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text with a typo.");
        let store = world.store.clone();
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.fail_next_change(OutletError::Busy {
            detail: "later".into(),
            wait: Some(Duration::from_secs(100)),
        });
        outlet.fail_next_change(rejected());
        show(&source, "a", "A text without a typo.");
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_secs(50)).await;
        store.refuse_reads(Some(StoreError::Failed {
            detail: "not now".into(),
        }));
        pass(Duration::from_secs(100)).await;
        store.refuse_reads(None);
        settle(&handles).await;
        let expected = [PublicationState::Published, PublicationState::Refused];
        assert_eq!(states(&handles).await, expected);
    });
}

#[test]
fn an_edit_takes_the_place_of_what_is_out_of_a_refused_post() {
    world::run(816, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        refuse_part(&outlet, 2);
        show(&source, "a", &SENTENCE.repeat(3));
        let handles = world.start();
        poll_and_settle(&handles).await;
        let before = outlet.out();
        show(&source, "a", "A short text.");
        poll_and_settle(&handles).await;
        let after = outlet.out();
        assert_eq!(outlet.texts(), ["[es] A short text."]);
        assert_eq!((before.len(), &before[0].id), (2, &after[0].id));
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
    });
}

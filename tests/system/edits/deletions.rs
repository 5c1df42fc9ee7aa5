//! What becomes of posts that are deleted at their source.

use std::time::Duration;

use babelfeed_actors::domain::PublicationState;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::PollNow;
use babelfeed_actors::ports::{StoreError, TaskStore};
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::world::{self, World};

use super::{ALL, SENTENCE, refuse_part, rejected, show, states, unreachable, watched};
use crate::helpers::{pass, poll_and_settle, settle};

#[test]
fn a_deleted_post_is_deleted_where_that_is_wanted() {
    for (on_delete, n_left) in [(OnDelete::Delete, 0), (OnDelete::Leave, 2)] {
        world::run(808, async |mut world: World| {
            let (source, outlet) = watched(&mut world);
            world.rules.on_delete = on_delete;
            outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
            show(&source, "a", "A sentence of a text. A sentence of it.");
            show(&source, "b", "Another text.");
            let handles = world.start();
            poll_and_settle(&handles).await;
            outlet.fail_next_change(unreachable());
            source.lose_post("a");
            source.lose_post("of somebody else");
            poll_and_settle(&handles).await;
            pass(Duration::from_secs(60)).await;
            settle(&handles).await;
            assert_eq!(outlet.out().len(), 1 + n_left, "{:?}", outlet.texts());
        });
    }
}

#[test]
fn what_is_out_of_a_refused_post_is_deleted_with_it() {
    world::run(815, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        refuse_part(&outlet, 2);
        show(&source, "a", &SENTENCE.repeat(3));
        let store = world.store.clone();
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(outlet.out().len(), 2);
        assert_eq!(states(&handles).await, [PublicationState::Refused]);
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.texts(), Vec::<String>::new());
        assert_eq!(states(&handles).await, [PublicationState::Deleted]);
        assert_eq!(store.withdrawn(None, 1).await, Ok(Vec::new()));
    });
}

#[test]
fn a_deletion_that_an_outlet_refuses_is_not_tried_again() {
    world::run(813, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        show(&source, "a", "A text.");
        let store = world.store.clone();
        let handles = world.start();
        poll_and_settle(&handles).await;
        outlet.fail_next_change(rejected());
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(outlet.texts(), ["[es] A text."]);
        assert_eq!(states(&handles).await, [PublicationState::Published]);
        assert_eq!(store.withdrawn(None, 1).await, Ok(Vec::new()));
    });
}

#[test]
fn a_post_that_is_deleted_before_it_is_out_never_comes_out() {
    world::run(809, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", "A text that is regretted.");
        let handles = world.start();
        pass(Duration::from_secs(5)).await;
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        settle(&handles).await;
        assert_eq!((outlet.n_calls(), outlet.out().len()), (0, 0));
        assert_eq!(states(&handles).await, [PublicationState::Deleted]);
    });
}

#[test]
fn a_deleted_post_never_comes_out_although_the_store_could_not_be_asked() {
    world::run(814, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", "A text that is regretted.");
        let store = world.store.clone();
        let handles = world.start();
        pass(Duration::from_secs(5)).await;
        source.lose_post("a");
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_secs(10)).await;
        store.refuse_reads(Some(StoreError::Failed {
            detail: "not now".into(),
        }));
        pass(Duration::from_secs(60)).await;
        store.refuse_reads(None);
        settle(&handles).await;
        assert_eq!((outlet.n_calls(), outlet.out().len()), (0, 0));
        assert_eq!(states(&handles).await, [PublicationState::Deleted]);
    });
}

#[test]
fn an_edit_that_is_deleted_while_it_takes_its_place_changes_nothing() {
    let mut n_met = 0;
    // The store answers slowly, so that between two moments all of them can meet each other.
    for moment in 0..100 {
        world::run(840, async |mut world: World| {
            let (source, outlet) = watched(&mut world);
            world.rules.on_delete = OnDelete::Delete;
            show(&source, "a", "A text with a typo.");
            let store = world.store.clone();
            let handles = world.start();
            poll_and_settle(&handles).await;
            store.delay_reads(Duration::from_millis(100));
            let late = Duration::from_millis(10 * moment);
            world.providers[0].1.then(ProviderFault::Delay(late));
            show(&source, "a", "A text without a typo.");
            handles.poll_now.do_send(PollNow(None));
            pass(Duration::from_millis(200)).await;
            source.lose_post("a");
            handles.poll_now.do_send(PollNow(None));
            pass(Duration::from_secs(60)).await;
            settle(&handles).await;
            assert_eq!(outlet.out(), [], "{moment}");
            let deleted = PublicationState::Deleted;
            assert_eq!(states(&handles).await, [deleted, deleted], "{moment}");
            n_met += usize::from(outlet.n_edits() == 0);
        });
    }
    assert!(n_met > 0);
}

#[test]
fn deleted_posts_that_wait_for_long_hold_up_no_later_one() {
    const STUCK: usize = 1_500;
    world::run(831, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let other = FakeOutlet::default();
        other.set_abilities(ALL);
        world.outlets.push(("other", other.clone(), "es"));
        world.rules.on_delete = OnDelete::Delete;
        world.rules.in_order = Duration::ZERO;
        show(&source, "known", "A text that is known.");
        let store = world.store.clone();
        world.config.timeout = Duration::from_secs(600);
        world.config.concurrency = None;
        let handles = world.start();
        poll_and_settle(&handles).await;
        // What is in a call is waited for.
        let late = ProviderFault::Delay(Duration::from_secs(300));
        world.providers[0].1.always(Some(late));
        for n in 0..STUCK {
            show(&source, &n.to_string(), &format!("Text {n}."));
        }
        show(&source, "last", "A text that is known.");
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_secs(10)).await;
        assert_eq!((outlet.out().len(), other.out().len()), (2, 2));
        assert_eq!(world.providers[0].1.n_texts(), 1 + STUCK);
        (0..STUCK).for_each(|n| source.lose_post(n.to_string()));
        source.lose_post("last");
        let n_before = store.n_reads();
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_millis(500)).await;
        let n_reads = store.n_reads() - n_before;
        assert!(n_reads < 1_100, "{n_reads} reads in one look");
        pass(Duration::from_secs(60)).await;
        assert_eq!((outlet.out().len(), other.out().len()), (1, 1));
        pass(Duration::from_secs(600)).await;
        settle(&handles).await;
        assert_eq!((outlet.n_calls(), other.n_calls()), (2, 2));
        assert_eq!(store.withdrawn(None, 1).await, Ok(Vec::new()));
    });
}

//! What becomes of what is out when its post is edited or deleted at its source.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Lane, Post, PublicationState, State, TaskId};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{
    Adjust, Adjustment, Approve, ChangeError, List, PollNow, PublicationError, Retry,
    RetryPublication, Review,
};
use babelfeed_actors::ports::{
    Abilities, Outdated, OutletError, ProviderError, PublicationRecord, StoreError, TaskStore,
};
use babelfeed_actors::setup::{Hold, OnDelete, OnEdit, OutletRules};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, poll_and_settle, publications, settle, show_answer};

/// Of this each part holds one.
const SENTENCE: &str = "A sentence of a text. ";

const ALL: Abilities = Abilities {
    edits: true,
    deletes: true,
    replies: true,
    media: false,
    quotes: false,
};

fn watched(world: &mut World) -> (FakeSource, FakeOutlet) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    outlet.set_abilities(ALL);
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    (source, outlet)
}

fn show(source: &FakeSource, id: &str, text: &str) {
    source.show_post(Post::new("news".into(), id, text));
}

async fn states(handles: &Handles) -> Vec<PublicationState> {
    let publications = publications(handles).await;
    publications
        .into_iter()
        .map(|record| record.state)
        .collect()
}

fn rejected() -> OutletError {
    OutletError::Rejected {
        detail: "not here".into(),
    }
}

async fn adjust(handles: &Handles, adjustment: Adjustment) {
    let lane = Some(Lane::from("fake"));
    let adjusted = handles.adjust.send(Adjust { lane, adjustment }).await;
    adjusted.expect("heard").expect("known");
}

/// The ids of all that is out, in its order.
fn ids(outlet: &FakeOutlet) -> Vec<Arc<str>> {
    let out = outlet.out().into_iter();
    out.map(|out| out.id).collect()
}

/// The ids of what is out of a publication.
fn out_of(record: &PublicationRecord) -> Vec<Arc<str>> {
    let parts = record.publication.parts.iter();
    parts.filter_map(|part| part.id.clone()).collect()
}

/// Has an outlet refuse a part after so many more that it takes.
fn refuse_part(outlet: &FakeOutlet, n_taken: usize) {
    for _ in 0..n_taken {
        outlet.fail_next(OutletFault::Late(Duration::from_millis(1)));
    }
    outlet.fail_next(OutletFault::Error(rejected()));
}

fn unreachable() -> OutletError {
    OutletError::Unreachable {
        detail: "no connection".into(),
    }
}

#[test]
fn an_edit_changes_what_is_out_in_its_place() {
    world::run(801, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let before = outlet.out();
        show(&source, "a", "A text without a typo.");
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        let after = outlet.out();
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!((before.len(), &before[0].id), (1, &after[0].id));
        assert_eq!(outlet.n_edits(), 1);
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
    });
}

#[test]
fn an_edit_may_take_more_parts_or_fewer() {
    world::run(802, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_limit(Limit::Mastodon { max: 30, url: 23 });
        show(&source, "a", &SENTENCE.repeat(2));
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(outlet.out().len(), 2);
        for n_parts in [4, 1, 3] {
            show(&source, "a", &SENTENCE.repeat(n_parts));
            poll_and_settle(&handles).await;
            assert_eq!(outlet.out().len(), n_parts, "{:?}", outlet.texts());
            let words = outlet.texts().join(" ");
            assert_eq!(words.matches("A sentence").count(), n_parts);
        }
        let published = publications(&handles).await;
        let last = published.last().expect("there are some");
        assert_eq!(last.state, PublicationState::Published);
        for (part, out) in last.publication.parts.iter().zip(outlet.out()) {
            assert_eq!(part.id.as_ref(), Some(&out.id));
        }
    });
}

#[test]
fn where_nothing_can_be_changed_an_edit_costs_nothing() {
    world::run(803, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_abilities(Abilities::default());
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        assert_eq!(world.providers[0].1.n_texts(), 1);
    });
}

#[test]
fn what_is_not_out_for_long_is_taken_back_and_published_anew() {
    world::run(804, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules = OutletRules {
            on_edit: Some(OnEdit::Repost),
            repost_within: Duration::from_secs(600),
            ..OutletRules::default()
        };
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let before = outlet.out();
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_ne!(before[0].id, outlet.out()[0].id);

        pass(Duration::from_secs(700)).await;
        show(&source, "a", "Yet another text.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        let (deleted, published) = (PublicationState::Deleted, PublicationState::Published);
        assert_eq!(states(&handles).await, [deleted, published, deleted]);
    });
}

#[test]
fn an_edit_before_anything_is_out_goes_out_alone() {
    world::run(805, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.hold = Hold::Always;
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        let held = handles.review.send(Review { limit: 10 }).await;
        let held = held.expect("heard").expect("read");
        assert_eq!(held.len(), 2);
        let approve = Approve {
            id: held[1].publication.id,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok());
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
    });
}

#[test]
fn an_edit_waits_for_the_text_that_it_changes() {
    world::run(806, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.config.max_batch_size = 1;
        world.providers[0]
            .1
            .then(ProviderFault::Delay(Duration::from_secs(50)));
        show(&source, "a", "A text with a typo.");
        show(&source, "a", "A text without a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
    });
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
        show(&source, "known", "A text that is known.");
        let store = world.store.clone();
        let handles = world.start();
        poll_and_settle(&handles).await;
        adjust(&handles, Adjustment::Pause).await;
        for n in 0..STUCK {
            show(&source, &n.to_string(), &format!("Text {n}."));
        }
        show(&source, "last", "A text that is known.");
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_secs(10)).await;
        assert_eq!((outlet.out().len(), other.out().len()), (2, 2));
        (0..STUCK).for_each(|n| source.lose_post(n.to_string()));
        source.lose_post("last");
        let n_before = store.n_reads();
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_millis(500)).await;
        let n_reads = store.n_reads() - n_before;
        assert!(n_reads < 1_100, "{n_reads} reads in one look");
        pass(Duration::from_secs(60)).await;
        assert_eq!((outlet.out().len(), other.out().len()), (1, 1));
        adjust(&handles, Adjustment::Resume).await;
        pass(Duration::from_secs(600)).await;
        settle(&handles).await;
        assert_eq!((outlet.n_calls(), other.n_calls()), (2, 2));
        assert_eq!(store.withdrawn(None, 1).await, Ok(Vec::new()));
    });
}

/// Kills the system again and again while posts are edited and deleted.
fn storm(seed: u64) {
    const LIVES: usize = 30;
    const POSTS: usize = 8;
    let mut chance = fastrand::Rng::with_seed(seed);
    let provider = FakeProvider::with_latency(Duration::from_millis(300));
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    outlet.set_abilities(ALL);
    outlet.set_quiet(Duration::from_secs(2));
    outlet.delay(Duration::from_millis(40));
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.rules.on_delete = OnDelete::Delete;
        world.rules.on_edit = Some(if seed.is_multiple_of(2) {
            OnEdit::Edit
        } else {
            OnEdit::Repost
        });
        world.rules.repost_within = Duration::from_secs(1_000_000);
    };
    world::run_lives(seed, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives > LIVES {
            source.lose_post("0");
            poll_and_settle(&handles).await;
            pass(Duration::from_secs(600)).await;
            settle(&handles).await;
            return Some(());
        }
        for post in 0..POSTS {
            if lives == 1 || chance.bool() || lives == LIVES {
                show(
                    &source,
                    &post.to_string(),
                    &format!("Post {post} in life {lives}."),
                );
            }
        }
        let faults = [OutletFault::StoredAndLost, OutletFault::LostAndSilent];
        if let Some(fault) = faults.get(chance.usize(..4)) {
            outlet.fail_next(fault.clone());
        }
        if chance.bool() {
            outlet.fail_next_change(unreachable());
        }
        pass(Duration::from_millis(chance.u64(100..6_000))).await;
        None
    });
    let mut texts = outlet.texts();
    texts.sort();
    let expected = (1..POSTS).map(|post| format!("[es] Post {post} in life {LIVES}."));
    assert_eq!(texts, expected.collect::<Vec<_>>(), "seed {seed}");
}

#[test]
fn every_post_ends_as_it_was_edited_last_through_kills() {
    for seed in 820..828 {
        storm(seed);
    }
}

#[test]
fn an_edit_of_what_was_forgotten_is_not_published_again() {
    world::run(830, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(world.store.prune(world.clock.wall(), 9).await, Ok(1));
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        assert_eq!(world.providers[0].1.n_texts(), 1);
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        assert_eq!(world.store.withdrawn(None, 9).await, Ok(Vec::new()));
    });
}

#[test]
fn an_outlet_that_was_added_later_gets_no_edit_as_a_new_post() {
    world::run(831, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text with a typo.");
        poll_and_settle(&world.start()).await;
        let (later, french) = (FakeOutlet::default(), FakeOutlet::default());
        later.set_abilities(ALL);
        french.set_abilities(ALL);
        world.outlets.push(("later", later.clone(), "es"));
        world.outlets.push(("fr", french.clone(), "fr"));
        world.store = world.store.crash();
        show(&source, "a", "A text without a typo.");
        source.show_post(Post {
            parent: Some("a".to_owned()),
            ..Post::new("news".into(), "b", "An answer.")
        });
        let handles = world.start();
        poll_and_settle(&handles).await;
        let edited = ["[es] A text without a typo.", "[es] An answer."];
        assert_eq!(outlet.texts(), edited);
        assert_eq!(later.texts(), ["[es] An answer."]);
        assert_eq!(french.texts(), ["[fr] An answer."]);
    });
}

/// The tasks of all posts, the oldest first.
async fn tasks(handles: &Handles, state: State) -> Vec<TaskId> {
    let list = List {
        state: Some(state),
        after: None,
        limit: 100,
    };
    let listed = handles.list.send(list).await.expect("heard").expect("read");
    let views = listed.tasks.into_iter();
    views.map(|view| view.record.task.id).collect()
}

#[test]
fn what_was_edited_since_is_not_tried_again() {
    world::run(832, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let ignoring = FakeOutlet::default();
        world.outlets.push(("ignoring", ignoring.clone(), "es"));
        for outlet in [&outlet, &ignoring] {
            outlet.fail_next(OutletFault::Error(rejected()));
        }
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let refused = publications(&handles).await;
        assert_eq!(refused.len(), 2);
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        let edited = tasks(&handles, State::Completed).await[1].request();
        for record in refused {
            let id = record.publication.id;
            let retried = handles.retry_publication.send(RetryPublication(id)).await;
            let retried = retried.expect("heard").map(drop);
            if record.publication.outlet.as_str() == "ignoring" {
                assert_eq!(retried, Ok(()), "nothing else of the post is there");
            } else {
                let edited = PublicationError::Outdated(Outdated::Edited(edited));
                assert_eq!(retried, Err(edited));
            }
        }
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!(ignoring.texts(), ["[es] A text with a typo."]);
    });
}

#[test]
fn a_failed_task_of_what_was_edited_or_deleted_since_is_not_tried_again() {
    world::run(833, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.providers[0]
            .1
            .always(Some(ProviderFault::Error(ProviderError::Rejected {
                detail: "no".into(),
            })));
        for id in ["edited", "deleted"] {
            show(&source, id, &format!("A text that is {id}."));
        }
        let handles = world.start();
        poll_and_settle(&handles).await;
        let failed = tasks(&handles, State::Failed).await;
        assert_eq!(failed.len(), 2);
        world.providers[0].1.always(None);
        show(&source, "edited", "A text without a typo.");
        source.lose_post("deleted");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        let edited = tasks(&handles, State::Completed).await[0].request();
        let expected = [Outdated::Edited(edited), Outdated::Deleted];
        for (id, outdated) in failed.into_iter().zip(expected) {
            let retried = handles.retry.send(Retry(id)).await.expect("heard");
            assert_eq!(retried.err(), Some(ChangeError::Outdated(outdated)));
        }
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
    });
}

#[test]
fn what_stands_at_another_account_is_neither_changed_nor_answered() {
    world::run(834, async |mut world: World| {
        let (source, test) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.place = Some(1);
        show(&source, "edited", "A text with a typo.");
        show(&source, "deleted", "A text.");
        poll_and_settle(&world.start()).await;
        let before = test.out();
        let real = FakeOutlet::default();
        real.set_abilities(ALL);
        world.outlets = vec![("es", real.clone(), "es")];
        world.place = Some(2);
        world.store = world.store.crash();
        show(&source, "edited", "A text without a typo.");
        source.lose_post("deleted");
        show_answer(&source, "answer", Some("edited"), "An answer.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(test.out(), before);
        assert_eq!(
            (real.n_edits(), real.texts()),
            (0, vec!["[es] An answer.".to_owned()])
        );
        assert_eq!(real.out()[0].thread, None);
        show(&source, "answer", "An answer without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!((real.n_edits(), real.texts().len()), (1, 1));
    });
}

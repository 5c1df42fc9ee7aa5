//! What becomes of what is out when its post is edited or deleted at its source.

mod away;
mod deletions;
mod outdated;
mod queued;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Lane, Poll, Post, PublicationState};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{Adjust, Adjustment, Approve, PollNow, Review};
use babelfeed_actors::ports::{Abilities, OutletError};
use babelfeed_actors::setup::{Hold, OnDelete, OnEdit, OutletRules};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, poll, poll_and_settle, publications, settle, show_answer};

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

/// The ids of all that is out, in its order.
fn ids(outlet: &FakeOutlet) -> Vec<Arc<str>> {
    let out = outlet.out().into_iter();
    out.map(|out| out.id).collect()
}

async fn adjust(handles: &Handles, adjustment: Adjustment) {
    let lane = Some(Lane::from("fake"));
    let adjusted = handles.adjust.send(Adjust { lane, adjustment }).await;
    adjusted.expect("heard").expect("known");
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
fn an_edit_leaves_a_poll_whose_post_asks_the_same_as_it_is() {
    world::run(806, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let provider = world.providers[0].1.clone();
        let show = |text: &str, options: [&str; 2]| {
            source.show_post(Post {
                poll: Some(Poll {
                    options: options.map(str::to_owned).to_vec(),
                    is_multiple: false,
                    lasts: Some(Duration::from_secs(7_200)),
                }),
                ..Post::new("news".into(), "a", text)
            });
        };
        let poll = || {
            let out = outlet.out().remove(0);
            let attached = out.attached.expect("something hangs on it");
            attached.poll.clone().expect("a poll")
        };
        show("Are you in?", ["Yes", "No"]);
        provider.then(ProviderFault::Says("¿Vienes? ⟦0⟧ Sí ⟦1⟧ No"));
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(poll().options, ["Sí", "No"]);
        for (text, hours) in [("Are you all in?", 1), ("Are you really in?", 2)] {
            pass(Duration::from_secs(1_800)).await;
            show(text, ["Yes", "No"]);
            provider.then(ProviderFault::Says("¿Venís? ⟦0⟧ Claro ⟦1⟧ Nunca"));
            poll_and_settle(&handles).await;
            assert_eq!(outlet.texts(), ["¿Venís?"]);
            assert_eq!(poll().options, ["Sí", "No"]);
            let left = poll().lasts.expect("is told").as_secs();
            let expected = 7_200 - 1_800 * hours;
            assert!((expected - 120..=expected).contains(&left), "{left}");
        }
        show("Are you in?", ["No", "Perhaps"]);
        provider.then(ProviderFault::Says("¿Venís? ⟦0⟧ Nunca ⟦1⟧ Quizás"));
        poll_and_settle(&handles).await;
        assert_eq!(poll().options, ["Nunca", "Quizás"]);
        assert_eq!(poll().lasts, Some(Duration::from_secs(7_200)));
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
fn what_may_not_go_out_anew_yet_stays_as_it_is_until_then() {
    world::run(807, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules = OutletRules {
            on_edit: Some(OnEdit::Repost),
            per_hour: Some(2),
            ..OutletRules::default()
        };
        show(&source, "a", "A text.");
        show(&source, "b", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        show(&source, "b", "A text without a typo.");
        poll(&handles).await;
        for _ in 0..59 {
            pass(Duration::from_secs(60)).await;
            assert_eq!(outlet.texts(), ["[es] A text.", "[es] A text with a typo."]);
        }
        pass(Duration::from_secs(300)).await;
        let edited = ["[es] A text.", "[es] A text without a typo."];
        assert_eq!(outlet.texts(), edited);
    });
}

#[test]
fn the_edit_of_an_answer_that_a_person_let_out_alone_goes_out_alone() {
    world::run(810, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_edit = Some(OnEdit::Repost);
        outlet.fail_next(OutletFault::Error(rejected()));
        show(&source, "refused", "A text.");
        show_answer(&source, "answer", Some("refused"), "An answer with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let held = handles.review.send(Review { limit: 10 }).await;
        let held = held.expect("heard").expect("read");
        let approve = Approve {
            id: held[0].publication.id,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok());
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An answer with a typo."]);
        show_answer(
            &source,
            "answer",
            Some("refused"),
            "An answer without a typo.",
        );
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An answer without a typo."]);
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
        let handles = world.start();
        handles.poll_now.do_send(PollNow(None));
        pass(Duration::from_secs(5)).await;
        assert_eq!(world.providers[0].1.n_calls(), 1);
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!(world.providers[0].1.n_texts(), 2);
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

//! What becomes of what waits for its translation when its post is edited or deleted.

use std::time::Duration;

use babelfeed_actors::domain::{Post, PublicationState};
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::Adjustment;
use babelfeed_actors::ports::TaskStore;
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use super::{ALL, adjust, show, states, watched};
use crate::helpers::{depth, pass, poll, settle};

/// The texts that were asked of the only provider.
fn asked(world: &World) -> Vec<String> {
    let packs = world.providers[0].1.packs();
    let items = packs.iter().flat_map(|pack| &pack.items);
    items.map(|item| item.text.to_string()).collect()
}

/// Lets the lane grant again what it withheld, and all of it be seen to.
async fn let_go(handles: &Handles) {
    adjust(handles, Adjustment::Resume).await;
    settle(handles).await;
}

/// Shows posts one state after another, each taken before the next, while no call is made.
async fn show_while_nothing_is_called(handles: &Handles, source: &FakeSource, texts: &[&str]) {
    adjust(handles, Adjustment::Pause).await;
    for text in texts {
        show(source, "a", text);
        poll(handles).await;
    }
}

#[test]
fn of_what_is_edited_before_its_turn_the_last_text_alone_is_translated() {
    world::run(860, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let handles = world.start();
        let texts = ["A first text.", "A second text.", "The last text."];
        show_while_nothing_is_called(&handles, &source, &texts).await;
        let_go(&handles).await;
        assert_eq!(asked(&world), ["The last text."]);
        assert_eq!(outlet.texts(), ["[es] The last text."]);
        assert_eq!(outlet.n_edits(), 0, "it is published as the first");
        let backlog = depth(&handles).await;
        assert_eq!((backlog.failed, backlog.outdated), (2, 2));
        show(&source, "a", "An edit of it.");
        poll(&handles).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An edit of it."]);
        assert_eq!(outlet.n_edits(), 1);
    });
}

#[test]
fn an_edit_of_an_edit_before_its_turn_changes_what_is_out() {
    world::run(861, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text that is out.");
        let handles = world.start();
        poll(&handles).await;
        settle(&handles).await;
        show_while_nothing_is_called(&handles, &source, &["An edit.", "The last edit."]).await;
        let_go(&handles).await;
        assert_eq!(asked(&world), ["A text that is out.", "The last edit."]);
        assert_eq!(outlet.texts(), ["[es] The last edit."]);
        assert_eq!(outlet.n_edits(), 1);
        let expected = [PublicationState::Deleted, PublicationState::Published];
        assert_eq!(states(&handles).await, expected);
    });
}

#[test]
fn what_is_deleted_before_its_turn_is_not_translated() {
    world::run(862, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        let handles = world.start();
        show_while_nothing_is_called(&handles, &source, &["A text.", "An edit of it."]).await;
        show(&source, "b", "A text that stays.");
        source.lose_post("a");
        poll(&handles).await;
        let_go(&handles).await;
        assert_eq!(asked(&world), ["A text that stays."]);
        assert_eq!(outlet.texts(), ["[es] A text that stays."]);
        world::until("the deletion is seen to", async || {
            world.store.withdrawn(None, 1).await == Ok(Vec::new())
        })
        .await;
    });
}

#[test]
fn what_an_outlet_would_publish_all_the_same_is_translated() {
    world::run(863, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        let stubborn = FakeOutlet::default();
        world.outlets.push(("stubborn", stubborn.clone(), "es"));
        let handles = world.start();
        show(&source, "b", "A text that is deleted.");
        show_while_nothing_is_called(&handles, &source, &["A text.", "An edit of it."]).await;
        source.lose_post("b");
        poll(&handles).await;
        let_go(&handles).await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(outlet.texts(), ["[es] An edit of it."]);
        let mut texts = stubborn.texts();
        texts.sort();
        assert_eq!(texts, ["[es] A text that is deleted.", "[es] A text."]);
        assert_eq!(depth(&handles).await.outdated, 0);
    });
}

#[test]
fn who_waits_for_the_same_text_as_an_outdated_post_gets_it() {
    world::run(864, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let handles = world.start();
        adjust(&handles, Adjustment::Pause).await;
        show(&source, "a", "A text that both show.");
        poll(&handles).await;
        show(&source, "b", "A text that both show.");
        show(&source, "a", "An edit of it.");
        poll(&handles).await;
        let_go(&handles).await;
        let mut texts = outlet.texts();
        texts.sort();
        assert_eq!(
            texts,
            ["[es] A text that both show.", "[es] An edit of it."]
        );
        assert_eq!(asked(&world).len(), 2);
    });
}

#[test]
fn an_answer_to_what_was_edited_before_its_turn_stands_under_the_edit() {
    world::run(865, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        outlet.set_abilities(ALL);
        let handles = world.start();
        show_while_nothing_is_called(&handles, &source, &["A text."]).await;
        source.show_post(Post {
            parent: Some("a".to_owned()),
            ..Post::new("news".into(), "b", "An answer.")
        });
        show(&source, "a", "An edit of it.");
        poll(&handles).await;
        let_go(&handles).await;
        assert_eq!(outlet.texts(), ["[es] An edit of it.", "[es] An answer."]);
        let out = outlet.out();
        let thread = out[1].thread.as_ref().expect("an answer");
        assert_eq!(thread.parent, out[0].id);
    });
}

#[test]
fn what_a_fall_left_uncancelled_ends_as_it_was_edited_last() {
    world::run(866, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let handles = world.start();
        arm("task_manager.outdated", 1);
        show_while_nothing_is_called(&handles, &source, &["A text.", "An edit of it."]).await;
        let_go(&handles).await;
        assert!(!is_armed("task_manager.outdated"));
        assert_eq!(asked(&world).len(), 2);
        assert_eq!(outlet.texts(), ["[es] An edit of it."]);
    });
}

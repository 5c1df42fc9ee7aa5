//! A fall of the publisher or a panic of its store leaves nothing undone.

use std::time::Duration;

use babelfeed_actors::domain::Post;
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::Outlets;
use babelfeed_actors::ports::Abilities;
use babelfeed_actors::setup::{Hold, Lapse, Lapsed, OnDelete};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::world::{self, World, finish, until};

use super::{QUEUED, ask, assert_fell_alone, busy_world, falls};
use crate::helpers::{
    assert_out_once, pass, pause_outlets, publish, resume_outlets, settle, texts,
};

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
fn what_an_outlet_publishes_by_itself_is_looked_after_although_the_publisher_falls() {
    for (place, n_falls) in [("publisher.looked_at", 1), ("publisher.unschedule", 0)] {
        world::run(29, async |mut world: World| {
            let (_, outlet, source) = busy_world(&mut world);
            outlet.set_abilities(Abilities {
                deletes: true,
                ..Abilities::default()
            });
            outlet.set_schedule(Some(Duration::from_secs(1_800)));
            world.rules.on_delete = OnDelete::Delete;
            source.show_post(Post::new("news".into(), "a", "A mistake."));
            let handles = world.start();
            until("both are scheduled", async || outlet.scheduled().len() == 2).await;
            settle(&handles).await;
            pass(Duration::from_secs(10)).await;
            arm(place, 1);
            source.lose_post("a");
            break_publisher(&handles, place, n_falls).await;
            until("it is taken back", async || outlet.scheduled().len() < 2).await;
            assert!(outlet.out().is_empty(), "{place}");
            pass(Duration::from_secs(3_600)).await;
            assert_out_once(&outlet, ["[es] A post that was shown.".to_owned()]);
            let outlets = handles.outlets.send(Outlets).await.expect("heard");
            assert_eq!(
                (outlets[0].published, outlets[0].scheduled),
                (1, 0),
                "{place}"
            );
        });
    }
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
fn a_paused_outlet_stays_paused_when_the_publisher_falls() {
    world::run(16, async |mut world: World| {
        let outlet = FakeOutlet::default();
        world.outlets = vec![("es", outlet.clone(), "es")];
        let handles = world.start();
        pause_outlets(&handles, None).await;
        arm("publisher.handler", 1);
        let ids = publish(&handles, texts(3), "es").await;
        assert_eq!(finish(&handles, &ids).await, 3);
        pass(Duration::from_secs(10)).await;
        assert_eq!(falls(&handles, "publisher"), (1, 1));
        assert!(outlet.out().is_empty());
        resume_outlets(&handles, None).await;
        settle(&handles).await;
        assert_eq!(outlet.out().len(), 3);
    });
}

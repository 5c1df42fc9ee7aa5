//! What becomes of an outlet that does not say whether it takes what it is sent.

use std::time::Duration;

use babelfeed_actors::domain::PublicationState;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::messages::{
    Approve, OutletView, Outlets, PublicationError, Reject, RetryPublication, Review,
};
use babelfeed_actors::ports::{PublicationRecord, TaskStore};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::world::{self, World, finish, until};

use crate::helpers::{
    assert_out_once, pass, pause_outlets, publication, publish, resume_outlets, settle, texts,
    until_publication,
};
use crate::journal;

const NIGHT: Duration = Duration::from_secs(8 * 3_600);

fn with_outlet(world: &mut World) -> FakeOutlet {
    let outlet = FakeOutlet::default();
    world.outlets = vec![("es", outlet.clone(), "es")];
    outlet
}

fn translated(n: usize) -> Vec<String> {
    texts(n).map(|text| format!("[es] {text}")).collect()
}

async fn view(handles: &Handles) -> OutletView {
    let mut views = handles.outlets.send(Outlets).await.expect("heard");
    views.remove(0)
}

/// What stands in a state at the outlet, as the store has it.
async fn standing(world: &World, state: PublicationState) -> Vec<PublicationRecord> {
    let found = world
        .store
        .publications_in("es".into(), state, None, 10_000);
    found.await.expect("read")
}

#[test]
fn a_night_of_errors_leaves_few_unknown_and_all_go_out_in_order_when_it_is_over() {
    world::run(701, async |mut world: World| {
        journal::listen();
        let outlet = with_outlet(&mut world);
        outlet.set_batch(1);
        outlet.set_quiet(Duration::from_secs(30));
        outlet.fall_silent("");
        let handles = world.start();
        let ids = publish(&handles, texts(50), "es").await;
        assert_eq!(finish(&handles, &ids).await, 50);
        let begun = tokio::time::Instant::now();
        let mut most_unknown = 0;
        while begun.elapsed() < NIGHT {
            pass(Duration::from_secs(300)).await;
            let view = view(&handles).await;
            assert_eq!(view.state, "failing");
            most_unknown = most_unknown.max(view.unknown);
            assert!(
                view.error
                    .is_some_and(|error| error.contains("perhaps sent"))
            );
        }
        assert!(most_unknown <= 12, "{most_unknown}");
        assert!(outlet.n_calls() <= 120, "{}", outlet.n_calls());
        assert_eq!(journal::count("an outlet takes no posts"), 1);
        assert_eq!(journal::count("an outlet takes posts again"), 0);
        outlet.speak();
        settle(&handles).await;
        assert_out_once(&outlet, translated(50));
        assert_eq!(view(&handles).await.state, "ready");
        assert_eq!(journal::count("an outlet takes posts again"), 1);
    });
}

#[test]
fn an_outlet_that_cannot_be_read_back_is_left_alone_for_longer_and_longer() {
    world::run(702, async |mut world: World| {
        journal::listen();
        let outlet = with_outlet(&mut world);
        outlet.set_batch(1);
        outlet.forbid_reading();
        outlet.fall_silent("");
        let handles = world.start();
        let ids = publish(&handles, texts(50), "es").await;
        assert_eq!(finish(&handles, &ids).await, 50);
        pass(NIGHT).await;
        assert_eq!(view(&handles).await.state, "failing");
        let unknown = standing(&world, PublicationState::Unknown).await;
        assert!(unknown.len() <= 25, "{}", unknown.len());
        let planned = standing(&world, PublicationState::Planned).await;
        assert_eq!(planned.len(), 50 - unknown.len());
        assert_eq!(journal::count("an outlet takes no posts"), 1);
        outlet.speak();
        let is_rest_out = async || outlet.out().len() == planned.len();
        until("the rest is out", is_rest_out).await;
        pass(Duration::from_secs(1)).await;
        assert_eq!(view(&handles).await.state, "ready");
        // What nobody could know waited for a person, who has looked.
        for record in &unknown {
            let retry = RetryPublication(record.publication.id);
            let retried = handles.retry_publication.send(retry).await;
            retried.expect("heard").expect("done");
        }
        settle(&handles).await;
        assert_out_once(&outlet, translated(50));
        assert_eq!(view(&handles).await.unknown, 0);
    });
}

#[test]
fn after_a_batch_that_may_be_out_one_goes_at_a_time_until_one_is() {
    world::run(703, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_batch(20);
        outlet.set_quiet(Duration::from_secs(30));
        outlet.fall_silent("");
        let handles = world.start();
        let ids = publish(&handles, texts(50), "es").await;
        assert_eq!(finish(&handles, &ids).await, 50);
        pass(Duration::from_secs(600)).await;
        assert!(view(&handles).await.unknown <= 1);
        outlet.speak();
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated(50));
    });
}

#[test]
fn a_post_over_which_an_outlet_fails_again_and_again_holds_up_no_other_for_ever() {
    world::run(704, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_batch(1);
        outlet.set_quiet(Duration::from_secs(30));
        outlet.fall_silent("number 0");
        let handles = world.start();
        let ids = publish(&handles, texts(20), "es").await;
        assert_eq!(finish(&handles, &ids).await, 20);
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(outlet.out().len(), 19);
        outlet.speak();
        until("the last one is out", async || outlet.out().len() == 20).await;
        assert_out_once(&outlet, translated(20));
    });
}

#[test]
fn however_many_are_unknown_at_a_start_each_is_looked_for() {
    let outlet = FakeOutlet::default();
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.outlets = vec![("es", outlet.clone(), "es")];
    };
    world::run_lives(705, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            outlet.set_batch(1_200);
            outlet.set_quiet(Duration::from_secs(600));
            pause_outlets(&handles, None).await;
            let ids = publish(&handles, texts(1_200), "es").await;
            assert_eq!(finish(&handles, &ids).await, 1_200);
            outlet.fall_silent("");
            resume_outlets(&handles, None).await;
            pass(Duration::from_secs(60)).await;
            let unknown = standing(world, PublicationState::Unknown).await;
            assert!(unknown.len() >= 1_000, "{}", unknown.len());
            outlet.speak();
            return None;
        }
        settle(&handles).await;
        assert_out_once(&outlet, translated(1_200));
        Some(())
    });
}

#[test]
fn what_may_be_out_is_listed_and_closed_by_what_a_person_says() {
    world::run(706, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_batch(1);
        outlet.forbid_reading();
        outlet.fall_silent("number");
        let handles = world.start();
        let ids = publish(&handles, texts(2), "es").await;
        assert_eq!(finish(&handles, &ids).await, 2);
        pass(Duration::from_secs(60)).await;
        let listed = handles.review.send(Review { limit: 10 }).await;
        let listed = listed.expect("heard").expect("read");
        let states: Vec<PublicationState> = listed.iter().map(|record| record.state).collect();
        assert_eq!(states, [PublicationState::Unknown; 2]);
        let [out, not_out] = [0, 1].map(|at| listed[at].publication.id);
        let approve = |text: Option<&str>| Approve {
            id: out,
            text: text.map(Into::into),
        };
        let refused = handles.approve.send(approve(Some("Other words."))).await;
        assert!(matches!(
            refused.expect("heard"),
            Err(PublicationError::Unfit(_))
        ));
        let approved = handles.approve.send(approve(None)).await;
        let approved = approved.expect("heard").expect("done");
        assert_eq!(approved.state, PublicationState::Published);
        let rejected = handles.reject.send(Reject(not_out)).await;
        let rejected = rejected.expect("heard").expect("done");
        assert_eq!(rejected.state, PublicationState::Refused);

        outlet.speak();
        let n_read_backs = outlet.n_read_backs();
        pass(NIGHT).await;
        settle(&handles).await;

        assert_eq!(
            (outlet.n_read_backs(), outlet.out().len()),
            (n_read_backs, 0)
        );
        assert_eq!(view(&handles).await.unknown, 0);
        let left = handles.review.send(Review { limit: 10 }).await;
        assert!(left.expect("heard").expect("read").is_empty());
    });
}

#[test]
fn what_follows_a_part_that_may_be_out_is_not_sent_without_its_id() {
    world::run(707, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.forbid_reading();
        outlet.set_limit(Limit::Characters { max: 40 });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        outlet.fall_silent("");
        let long = "One sentence of some length. ".repeat(3);
        let ids = publish(&handles, [long.trim().to_owned()], "es").await;
        until_publication(&handles, ids[0], PublicationState::Unknown).await;
        let id = publication(&handles, ids[0]).await.publication.id;
        let approved = handles.approve.send(Approve { id, text: None }).await;
        assert!(matches!(
            approved.expect("heard"),
            Err(PublicationError::Unfit(_))
        ));
        let record = publication(&handles, ids[0]).await;
        assert_eq!(record.state, PublicationState::Unknown);
    });
}

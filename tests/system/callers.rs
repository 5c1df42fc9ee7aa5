//! What becomes of those who wait for texts with an open connection.

use std::time::Duration;

use actix::dev::RecipientRequest;
use babelfeed_actors::domain::Class;
use babelfeed_actors::messages::TranslateNow;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::world::{self, World, tag};

use crate::helpers::pass;

/// A provider that makes one call of one text at a time, each for a second.
fn one_by_one(world: &mut World) -> FakeProvider {
    let provider = FakeProvider::with_latency(Duration::from_secs(1));
    world.providers[0].1 = provider.clone();
    world.config.concurrency = Some(1);
    world.config.max_batch_size = 1;
    provider
}

/// Asks for a text; whoever drops this has left.
fn ask(handles: &Handles, text: &str) -> RecipientRequest<TranslateNow> {
    handles.translate_now.send(TranslateNow {
        texts: vec![text].into(),
        source: Some(tag("en")),
        target: tag("es"),
        deadline: Duration::from_secs(60),
        class: Class::Interactive,
        flow: "requests".into(),
    })
}

#[test]
fn a_caller_who_has_left_costs_no_call_that_is_not_yet_made() {
    world::run(1, async |mut world: World| {
        let provider = one_by_one(&mut world);
        let handles = world.start();
        let first = ask(&handles, "The first text is in a call.");
        let left = ask(&handles, "Somebody has left this text.");
        let last = ask(&handles, "Somebody waits for this text.");
        pass(Duration::from_millis(100)).await;

        drop(left);

        for waiting in [first, last] {
            assert!(waiting.await.expect("heard").is_ok());
        }
        pass(Duration::from_secs(60)).await;
        assert_eq!(provider.n_calls(), 2);
    });
}

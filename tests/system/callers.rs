//! What becomes of those who wait for texts with an open connection.

use std::time::Duration;

use actix::dev::RecipientRequest;
use babelfeed_actors::domain::Class;
use babelfeed_actors::messages::{NowError, Stop, TranslateNow};
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, tag};

use tokio::time::timeout;

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

#[test]
fn a_stop_refuses_at_once_who_waits_for_a_call_that_is_not_made_any_more() {
    world::run(2, async |mut world: World| {
        one_by_one(&mut world);
        let handles = world.start();
        let in_call = ask(&handles, "This text is in a call.");
        let same = ask(&handles, "This text is in a call.");
        let queued = ask(&handles, "This text is in none.");
        pass(Duration::from_millis(100)).await;

        let _stopping = handles.stop.send(Stop(Duration::from_secs(30)));

        let refused = timeout(Duration::from_millis(1), queued).await;
        let refused = refused.expect("at once").expect("heard");
        assert_eq!(refused, Err(NowError::Busy));
        for waiting in [in_call, same] {
            assert!(waiting.await.expect("heard").is_ok());
        }
    });
}

#[test]
fn who_waits_for_a_call_that_fails_during_a_stop_is_refused_when_it_has_failed() {
    world::run(3, async |mut world: World| {
        let provider = one_by_one(&mut world);
        for _ in 0..2 {
            provider.then(ProviderFault::Error(ProviderError::Transient {
                detail: "not now".to_owned(),
                wait: None,
            }));
        }
        let handles = world.start();
        let in_call = ask(&handles, "This text is in a call.");
        pass(Duration::from_millis(100)).await;

        let _stopping = handles.stop.send(Stop(Duration::from_secs(30)));

        let refused = timeout(Duration::from_secs(1), in_call).await;
        let refused = refused.expect("when the call has failed").expect("heard");
        assert_eq!(refused, Err(NowError::Busy));
        assert_eq!(provider.n_calls(), 1);
    });
}

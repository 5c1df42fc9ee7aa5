//! A fall of the rate limiter or of its ledger costs neither a permit nor quota.

use std::time::Duration;

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::messages::Lanes;
use babelfeed_actors::ports::QuotaLedger as _;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::world::{self, World, finish};

use super::{QUEUED, assert_fell_alone, falls, question, survive};
use crate::helpers::{pass, publish, settle, texts};

/// Lets a quota be used up although the limiter or its ledger panicked at a place, and asserts
/// that every permit and all that was used is counted right.
fn use_up_a_day(place: &'static str, n_falls: u64) {
    const DAY: usize = 200;
    world::run(20, async |mut world: World| {
        let limits = LaneLimits {
            rpd: Some(DAY as f64),
            ..LaneLimits::default()
        };
        let provider = FakeProvider::with_latency(Duration::from_millis(50));
        world.providers = vec![("fake", provider.clone(), limits)];
        world.config.max_batch_size = 1;
        arm(place, 1);
        let handles = world.start();
        let ids = publish(&handles, texts(60), "es").await;
        let finishing = finish(&handles, &ids);
        let questions = async {
            while is_armed(place) {
                pass(Duration::from_millis(1)).await;
            }
            question(&handles, "rate_limiter", ids[0]).await
        };

        let (finished, answered) = futures_util::join!(finishing, questions);
        settle(&handles).await;
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let n_made = provider.n_calls();
        publish(
            &handles,
            texts(DAY).map(|text| format!("More: {text}")),
            "es",
        )
        .await;
        pass(Duration::from_secs(600)).await;

        assert_eq!((finished, answered, n_made), (60, QUEUED, 60), "{place}");
        let day = lanes[0].windows.iter().find(|window| window.per == "day");
        assert_eq!(day.map(|day| day.used), Some(60.0), "{place}");
        assert_eq!(lanes[0].in_flight, 0, "{place}");
        assert_eq!(provider.n_calls(), DAY, "{place}");
        let entries = world
            .store
            .entries(Timestamp::from_millis(0))
            .await
            .expect("read");
        let entered: f64 = entries.iter().map(|entry| entry.amount).sum();
        assert_eq!(entered, DAY as f64, "{place}");
        assert_fell_alone(&handles, "rate_limiter", n_falls, &place);
        assert!(world.escalated.borrow().is_empty());
    });
}

#[test]
fn a_panic_of_the_ledger_costs_neither_a_permit_nor_quota() {
    survive("rate_limiter", &["rate_limiter.call"], 0);
    use_up_a_day("rate_limiter.call", 0);
    use_up_a_day("rate_limiter.load", 0);
    use_up_a_day("rate_limiter.loaded", 1);
    use_up_a_day("rate_limiter.entered", 1);
}

#[test]
fn a_permit_whose_end_is_lost_in_a_fall_is_written_off() {
    world::run(19, async |mut world: World| {
        let limits = LaneLimits {
            concurrency: Some(1),
            ..LaneLimits::default()
        };
        let provider = FakeProvider::with_latency(Duration::from_millis(100));
        world.providers = vec![("fake", provider, limits)];
        let handles = world.start();
        arm("rate_limiter.settle", 1);
        let ids = publish(&handles, texts(50), "es").await;
        let finishing = finish(&handles, &ids);
        let finished = tokio::time::timeout(Duration::from_secs(400), finishing).await;
        assert_eq!(finished, Ok(50));
        assert_eq!(falls(&handles, "rate_limiter"), (1, 1));
    });
}

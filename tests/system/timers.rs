//! A lane that waits has one timer, and does nothing between two of its turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use babelfeed_actors::domain::{Moment, Timestamp};
use babelfeed_actors::ports::{Clock, ProviderError};
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, finish};

use crate::helpers::{hand_in, pass, resume_lane, texts};

/// So often nobody reads a clock who does anything else between.
const ENDLESS: usize = 100_000;

/// A clock that counts how often it is read, as all do who have something to do.
struct Counting {
    clock: Arc<dyn Clock>,
    n_read: AtomicUsize,
}

impl Clock for Counting {
    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn now(&self) -> Moment {
        let n_read = self.n_read.fetch_add(1, Ordering::Relaxed);
        assert!(n_read < ENDLESS, "the clock is read without end");
        self.clock.now()
    }
}

fn counted(world: &mut World) -> Arc<Counting> {
    let counting = Arc::new(Counting {
        clock: Arc::clone(&world.clock),
        n_read: AtomicUsize::new(0),
    });
    world.clock = Arc::clone(&counting) as Arc<dyn Clock>;
    counting
}

impl Counting {
    async fn read_within(&self, time: Duration) -> usize {
        let before = self.n_read.load(Ordering::Relaxed);
        pass(time).await;
        self.n_read.load(Ordering::Relaxed) - before
    }
}

#[test]
fn a_lane_whose_calls_in_flight_are_full_rests_until_one_ends() {
    world::run(1_901, async |mut world: World| {
        let limits = LaneLimits {
            rps: Some(1.0),
            rpm: Some(60.0),
            concurrency: Some(1),
            ..LaneLimits::default()
        };
        let provider = FakeProvider::with_latency(Duration::from_secs(5));
        world.providers = vec![("fake", provider, limits)];
        world.config.max_batch_size = 1;
        let clock = counted(&mut world);
        let handles = world.start();
        let ids = hand_in(&handles, texts(100), "es").await;
        pass(Duration::from_secs(30)).await;

        let n_read = clock.read_within(Duration::from_secs(60)).await;

        assert!(n_read < 12 * 100, "{n_read} for twelve calls");
        assert_eq!(finish(&handles, &ids).await, 100);
    });
}

#[test]
fn a_timer_whose_place_an_earlier_one_took_is_followed_by_none() {
    world::run(1_902, async |mut world: World| {
        let limits = LaneLimits {
            rpm: Some(60.0),
            ..LaneLimits::default()
        };
        let (provider, other) = (FakeProvider::new(), FakeProvider::new());
        world.providers = vec![("fake", provider.clone(), limits), ("other", other, limits)];
        // Of two providers in one lane, one waits still when the other is served.
        world.lanes = vec!["fake", "fake"];
        world.config.max_batch_size = 1;
        let clock = counted(&mut world);
        let handles = world.start();
        hand_in(&handles, texts(2_000), "es").await;
        pass(Duration::from_secs(120)).await;
        let before = clock.read_within(Duration::from_secs(60)).await;
        for _ in 0..20 {
            provider.then(ProviderFault::Error(ProviderError::QuotaExhausted {
                wait: Some(Duration::from_secs(600)),
                detail: "no more today".to_owned(),
            }));
            pass(Duration::from_secs(5)).await;
            resume_lane(&handles, "fake").await;
            pass(Duration::from_secs(5)).await;
        }
        pass(Duration::from_secs(700)).await;

        let after = clock.read_within(Duration::from_secs(60)).await;

        assert!(after <= before * 3 / 2, "{after} instead of {before}");
    });
}

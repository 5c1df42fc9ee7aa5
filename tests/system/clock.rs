//! What a clock that is wrong for a while does to what goes by the day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use babelfeed_actors::domain::{Class, Moment, Timestamp};
use babelfeed_actors::messages::Submission;
use babelfeed_actors::ports::Clock;
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::batch::FakeBatchProvider;
use babelfeed_actors::testkit::provider::FakeProvider;
use babelfeed_actors::testkit::world::{self, World, finish, submission};

use crate::helpers::{ending, hand_in, hand_in_all, pass, texts};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

/// A clock whose wall time goes ahead of the world's by so many seconds.
struct Leaping {
    clock: Arc<dyn Clock>,
    ahead: AtomicU64,
}

impl Leaping {
    fn of(world: &mut World) -> Arc<Self> {
        let leaping = Arc::new(Self {
            clock: Arc::clone(&world.clock),
            ahead: AtomicU64::new(0),
        });
        world.clock = leaping.clone();
        leaping
    }

    fn set_ahead(&self, seconds: u64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Leaping {
    fn wall(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.clock.wall().plus(Duration::from_secs(ahead))
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// A provider that takes fifty calls a day, of one text each, and the clock that it goes by.
fn limited(world: &mut World) -> (FakeProvider, Arc<Leaping>) {
    world.config.max_batch_size = 1;
    world.limit(LaneLimits {
        rpd: Some(50.0),
        ..LaneLimits::default()
    });
    (world.providers[0].1.clone(), Leaping::of(world))
}

/// Hands in more than a day's calls, and lets them be used; answers how many were made.
async fn use_up(handles: &Handles, provider: &FakeProvider) -> usize {
    hand_in(handles, texts(200), "es").await;
    pass(Duration::from_secs(600)).await;
    provider.n_calls()
}

/// Holds that no more is called for this day, and as much as on each on the next.
async fn assert_nothing_was_freed(provider: &FakeProvider, n_calls: usize) {
    pass(Duration::from_secs(3_600)).await;
    assert_eq!(provider.n_calls(), n_calls);
    pass(Duration::from_secs(DAY)).await;
    let n_calls = provider.n_calls();
    assert!((90..=100).contains(&n_calls), "{n_calls} on two days");
}

#[test]
fn a_clock_that_is_wrong_for_minutes_frees_nothing_of_a_day_and_forgets_none() {
    world::run(1_701, async |mut world: World| {
        let (provider, clock) = limited(&mut world);
        let handles = world.start();
        let n_calls = use_up(&handles, &provider).await;
        assert!((45..=50).contains(&n_calls), "{n_calls}");
        clock.set_ahead(YEAR);
        pass(Duration::from_secs(300)).await;
        hand_in(&handles, ["A text that comes meanwhile.".to_owned()], "es").await;
        pass(Duration::from_secs(300)).await;
        clock.set_ahead(0);
        assert_nothing_was_freed(&provider, n_calls).await;
    });
}

#[test]
fn a_start_while_the_clock_is_wrong_knows_what_was_used_of_the_day() {
    world::run(1_702, async |mut world: World| {
        let (provider, clock) = limited(&mut world);
        let n_calls = use_up(&world.start(), &provider).await;
        world.store = world.store.crash();
        clock.set_ahead(YEAR);
        let _handles = world.start();
        pass(Duration::from_secs(300)).await;
        clock.set_ahead(0);
        assert_nothing_was_freed(&provider, n_calls).await;
    });
}

#[test]
fn a_clock_that_stays_ahead_is_believed_soon() {
    world::run(1_703, async |mut world: World| {
        let (provider, clock) = limited(&mut world);
        let handles = world.start();
        use_up(&handles, &provider).await;
        // As after the machine has slept.
        clock.set_ahead(2 * DAY);
        pass(Duration::from_secs(1_900)).await;
        let n_calls = provider.n_calls();
        assert!((90..=100).contains(&n_calls), "{n_calls}");
    });
}

#[test]
fn a_clock_that_is_set_back_does_not_hold_a_text_that_waits_for_company() {
    world::run(1_705, async |mut world: World| {
        // Room for what one call may need; it needs less, and the next permit comes early.
        world.limit(LaneLimits {
            tpm: Some(1_000.0),
            ..LaneLimits::default()
        });
        let provider = FakeProvider::with_latency(Duration::from_secs(5));
        world.providers[0].1 = provider.clone();
        let clock = Leaping::of(&mut world);
        clock.set_ahead(YEAR);
        let handles = world.start();
        let mut ids = hand_in(&handles, texts(1), "es").await;
        pass(Duration::from_secs(1)).await;
        ids.extend(hand_in(&handles, ["The second text.".to_owned()], "es").await);
        pass(Duration::from_secs(5)).await;
        assert_eq!(provider.n_calls(), 2, "the second was permitted early");
        ids.extend(hand_in(&handles, ["The third text.".to_owned()], "es").await);
        pass(Duration::from_millis(10)).await;
        clock.set_ahead(0);

        let finishing = tokio::time::timeout(Duration::from_secs(300), finish(&handles, &ids));

        assert_eq!(finishing.await, Ok(3));
    });
}

#[test]
fn a_clock_that_is_wrong_for_minutes_lets_no_deadline_pass() {
    world::run(1_706, async |mut world: World| {
        let (provider, clock) = limited(&mut world);
        let handles = world.start();
        use_up(&handles, &provider).await;
        let urgent = |text: &str| Submission {
            deadline: Some(Duration::from_secs(3_600)),
            class: Class::High,
            ..submission(text, "es")
        };
        let ids = hand_in_all(&handles, vec![urgent("It has an hour.")]).await;
        pass(Duration::from_secs(1)).await;

        clock.set_ahead(YEAR);
        pass(Duration::from_secs(300)).await;
        hand_in_all(&handles, vec![urgent("It comes meanwhile.")]).await;
        pass(Duration::from_secs(300)).await;
        clock.set_ahead(0);
        pass(Duration::from_secs(60)).await;

        assert_ne!(ending(&handles, ids[0]).await, "expired");
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(ending(&handles, ids[0]).await, "expired");
    });
}

#[test]
fn a_clock_that_is_wrong_for_minutes_gives_no_job_up() {
    world::run(1_704, async |mut world: World| {
        let batch = FakeBatchProvider::over_after(60);
        world.batch = Some(batch.clone());
        world.config.job_timeout = Duration::from_secs(60);
        world.config.job_poll = Duration::from_secs(10);
        let clock = Leaping::of(&mut world);
        let handles = world.start();
        let low = |text: String| Submission {
            class: Class::Low,
            ..submission(&text, "es")
        };
        let ids = hand_in_all(&handles, texts(25).map(low).collect()).await;
        pass(Duration::from_secs(120)).await;
        assert_eq!(batch.n_jobs(), 1);

        clock.set_ahead(4 * DAY);
        pass(Duration::from_secs(300)).await;
        clock.set_ahead(0);

        assert_eq!(finish(&handles, &ids).await, ids.len());
        let n_calls = world.providers[0].1.n_calls();
        assert_eq!((batch.n_jobs(), n_calls), (1, 0), "what is paid twice");
    });
}

//! What an earlier life of the process learned of a lane's limits.

use std::time::Duration;

use babelfeed_actors::domain::{KnownBy, LearnedLimit, Timestamp, Unit};
use babelfeed_actors::failpoints::arm;
use babelfeed_actors::messages::Lanes;
use babelfeed_actors::ports::{LearnedLimits, QuotaChange, QuotaLedger as _};
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{hand_in, pass, texts};

const ACCOUNT: u64 = 7;
const MINUTE: usize = 30;

/// Lets a lane of that account run for most of a minute after a start that finds a limit learned;
/// answers how many calls were made, and how the limit is shown.
fn run(account: u64, place: Option<&'static str>) -> (usize, Vec<(&'static str, bool)>) {
    let mut seen = (0, Vec::new());
    world::run(31, async |mut world: World| {
        let an_hour_ago = world.clock.wall().as_millis() - 3_600_000;
        let limit = LearnedLimit {
            unit: Unit::Requests,
            per: Duration::from_secs(60),
            limit: MINUTE as f64,
            known_by: KnownBy::Headers,
            at: Timestamp::from_millis(an_hour_ago),
            set: None,
        };
        let learned = QuotaChange {
            learned: vec![LearnedLimits {
                lane: "fake".into(),
                account: ACCOUNT,
                limits: vec![limit],
            }],
            ..QuotaChange::default()
        };
        world.store.enter(learned).await.expect("a write");
        world.account = account;
        world.config.max_batch_size = 1;
        if let Some(place) = place {
            arm(place, 1);
        }
        let handles = world.start();
        hand_in(&handles, texts(200), "es").await;
        pass(Duration::from_secs(50)).await;
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let lane = lanes.iter().find(|lane| lane.name.as_str() == "fake");
        let windows = lane.expect("a lane").windows.iter();
        let windows = windows.map(|window| (window.known_by, window.is_remembered));
        seen = (world.providers[0].1.n_calls(), windows.collect());
    });
    seen
}

#[test]
fn what_an_earlier_life_learned_is_kept_to() {
    for place in [None, Some("rate_limiter.load"), Some("rate_limiter.loaded")] {
        let (n_calls, shown) = run(ACCOUNT, place);
        assert_eq!(n_calls, MINUTE, "{place:?}");
        assert_eq!(shown, [("headers", true)], "{place:?}");
    }
}

#[test]
fn what_was_learned_of_another_account_is_not_believed() {
    let (n_calls, shown) = run(ACCOUNT + 1, None);
    assert_eq!(n_calls, 200);
    assert_eq!(shown, []);
}

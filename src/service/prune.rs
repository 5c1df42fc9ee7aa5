//! Forgets tasks that ended long ago, so that the store does not grow for ever.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::logic::steady::Steady;
use babelfeed_actors::ports::Clock;
use log::{info, warn};
use tokio::time::sleep;

use crate::stores::SqliteStore;

/// How long after a start is looked for the first time.
const SOON: Duration = Duration::from_secs(10);
/// How often is looked for what can be forgotten.
const EVERY: Duration = Duration::from_secs(600);
/// The most tasks that are forgotten by one commit, so that others do not wait for long.
const PAGE: usize = 500;
/// How long others have the writer for themselves between two pages.
const REST: Duration = Duration::from_millis(50);

/// Forgets, soon after a start and then now and again, what ended longer ago than `keep`; a wall
/// clock that is far ahead is not believed for a while.
pub(super) async fn prune_every(store: SqliteStore, clock: Arc<dyn Clock>, keep: Duration) {
    let steady = begun(&store, &*clock);
    sleep(SOON).await;
    loop {
        prune(&store, clock.steadied(&steady).wall, keep).await;
        sleep(EVERY).await;
    }
}

/// Wall time that goes on from the newest of the tasks that the store was opened with: a date that
/// is wrong from the start on would else forget for good what nobody has fetched yet.
pub(super) fn begun(store: &SqliteStore, clock: &dyn Clock) -> Steady {
    let steady = Steady::default();
    match store.newest_at_opening() {
        Some(newest) => steady.begin_at(newest, clock.now()),
        None => {
            clock.steadied(&steady);
        }
    }
    steady
}

/// Forgets all that ended longer ago than `keep`; what is cut short goes on with the next call.
pub(super) async fn prune(store: &SqliteStore, now: Timestamp, keep: Duration) {
    let before = earlier(now, keep);
    let mut n_forgotten = 0;
    loop {
        match store.prune(before, PAGE).await {
            Ok(n_page) => {
                n_forgotten += n_page;
                if n_page < PAGE {
                    break;
                }
            }
            Err(error) => {
                warn!(cause:% = error; "old tasks were not forgotten");
                break;
            }
        }
        sleep(REST).await;
    }
    if n_forgotten > 0 {
        info!(tasks = n_forgotten; "old tasks forgotten");
    }
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(by))
}

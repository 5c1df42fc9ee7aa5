//! Tells an outlet after a start what it published before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Seat;
use crate::domain::{Publication, PublicationId, PublicationState, Timestamp};
use crate::ports::{StoreError, TaskStore};

/// So many of the latest are told: what was posted shortly before something that is looked for is
/// among them.
const LATEST: usize = 200;
/// How far is looked back for them, each time farther; at last all of it is looked at.
const SPANS: [Option<Duration>; 4] = [hours(1), hours(24), hours(24 * 30), None];
/// How many publications are read at a time.
const PAGE: usize = 500;

const fn hours(hours: u64) -> Option<Duration> {
    Some(Duration::from_secs(hours * 3_600))
}

/// Tells an outlet the latest that is out there.
pub(super) async fn remind(
    store: &dyn TaskStore,
    seat: &Seat,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut latest = VecDeque::new();
    for span in SPANS {
        latest = latest_since(store, seat, span.map(|span| first_id(now, span))).await?;
        if latest.len() == LATEST {
            break;
        }
    }
    seat.outlet.remember(latest.make_contiguous());
    Ok(())
}

async fn latest_since(
    store: &dyn TaskStore,
    seat: &Seat,
    mut after: Option<PublicationId>,
) -> Result<VecDeque<Arc<Publication>>, StoreError> {
    let mut latest = VecDeque::with_capacity(LATEST);
    loop {
        let state = PublicationState::Published;
        let page = store
            .publications_in(seat.name.clone(), state, after, PAGE)
            .await?;
        let n_page = page.len();
        for record in page {
            after = Some(record.publication.id);
            if latest.len() == LATEST {
                latest.pop_front();
            }
            latest.push_back(record.publication);
        }
        if n_page < PAGE {
            return Ok(latest);
        }
    }
}

/// What all ids come behind that were given since so long before now.
fn first_id(now: Timestamp, span: Duration) -> PublicationId {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let since = now.as_millis().saturating_sub(span).max(0);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&since.to_be_bytes()[2..]);
    PublicationId::from_bytes(bytes)
}

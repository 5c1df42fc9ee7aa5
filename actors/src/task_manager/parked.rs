//! Which queued tasks wait for an outlet that is not there any more.

use crate::domain::{Bucket, Origin};
use crate::ports::{Portion, StoreError, TaskStore};

use super::plan::OutletRoute;

/// Buckets by whether their tasks are worth a translation. Parked are those of posts in languages
/// in which no outlet takes their source: they stay Queued until a start with one that does.
pub(super) async fn park(
    store: &dyn TaskStore,
    outlets: &[OutletRoute],
    buckets: Vec<Bucket>,
) -> Result<(Vec<Bucket>, Vec<Bucket>), StoreError> {
    let (mut wanted, mut parked) = (Vec::new(), Vec::new());
    for bucket in buckets {
        let (target, flow) = (&bucket.pair.target, bucket.flow.as_str());
        let takes = |outlet: &OutletRoute| outlet.language == *target && outlet.takes(flow);
        if !outlets.iter().any(takes) && is_of_posts(store, &bucket).await? {
            parked.push(bucket);
        } else {
            wanted.push(bucket);
        }
    }
    Ok((wanted, parked))
}

/// Whether the tasks of a bucket are of posts, which nobody waits for but outlets.
async fn is_of_posts(store: &dyn TaskStore, bucket: &Bucket) -> Result<bool, StoreError> {
    let first = store
        .ready(bucket.clone(), None, Portion::of_tasks(1))
        .await?;
    Ok(first.first().is_some_and(|first| {
        let is_post = matches!(first.task.request.origin, Origin::Post { .. });
        first.publish && is_post
    }))
}

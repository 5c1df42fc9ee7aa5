//! Keeps a poll as it stands where its post was edited.

use std::sync::Arc;

use crate::domain::{Poll, Publication, TaskId, Timestamp};
use crate::ports::{PublicationRecord, StoreError, TaskStore};

/// An edit with the poll of what it takes the place of, where its post still asks the same: other
/// words for the choices would end the vote, and the poll closes when it was to close.
pub(super) async fn with_standing_poll(
    store: &dyn TaskStore,
    mut record: PublicationRecord,
    earlier: &PublicationRecord,
    at: Timestamp,
) -> Result<PublicationRecord, StoreError> {
    let (Some(standing), Some(own)) = (
        poll_of(&earlier.publication),
        poll_of(&record.publication).cloned(),
    ) else {
        return Ok(record);
    };
    let before = asked(store, earlier.publication.id.task()).await?;
    let now = asked(store, record.publication.id.task()).await?;
    let (Some(before), Some(now)) = (before, now) else {
        return Ok(record);
    };
    if (&before.options, before.is_multiple) != (&now.options, now.is_multiple) {
        return Ok(record);
    }
    let passed = before.lasts.zip(standing.lasts).map(|(whole, left)| {
        let until_then = whole.saturating_sub(left);
        until_then + at.since(earlier.at)
    });
    let left = own.lasts.zip(passed);
    let poll = Poll {
        options: standing.options.clone(),
        lasts: left
            .map(|(lasts, passed)| lasts.saturating_sub(passed))
            .or(own.lasts),
        ..own
    };
    let publication = Arc::make_mut(&mut record.publication);
    if let Some(attached) = &mut publication.attached {
        Arc::make_mut(attached).poll = Some(poll);
    }
    Ok(record)
}

fn poll_of(publication: &Publication) -> Option<&Poll> {
    publication.attached.as_ref()?.poll.as_ref()
}

/// The poll of a task's post, in the words of its author.
async fn asked(store: &dyn TaskStore, id: TaskId) -> Result<Option<Poll>, StoreError> {
    let record = store.task(id).await?;
    let attached = record.and_then(|record| record.task.request.attached.clone());
    Ok(attached.and_then(|attached| attached.poll.clone()))
}

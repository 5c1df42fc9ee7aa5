//! Finds what became of posts while an outlet that still publishes them was not there.

use std::sync::Arc;

use super::Seat;
use super::standing::{Verdict, is_begun};
use crate::domain::{Publication, REQUESTS, SourceName, Timestamp};
use crate::ports::{Ended, Errand, PublicationRecord, StoreError, TaskStore};
use crate::setup::OnEdit;

/// What an outlet does about edits and deletions, and from when on it hears of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    since: Timestamp,
    edits: bool,
    deletions: bool,
}

impl Hearing {
    /// That of an outlet in a system that began then.
    pub(super) fn of(seat: &Seat, since: Timestamp) -> Self {
        Self {
            since,
            edits: seat.on_edit != OnEdit::Leave,
            deletions: seat.minds_deletions,
        }
    }

    /// Whether something may have become of the post of a publication that its outlet would have
    /// kept it back for: the post was taken by a system before this one, in which the outlet may
    /// have been missing.
    pub(super) fn may_lack(self, record: &PublicationRecord) -> bool {
        let publication = &record.publication;
        (self.edits || self.deletions)
            && record.errand == Errand::Publish
            && !is_begun(publication)
            && *publication.source != *REQUESTS
            && publication.id.task().request().minted_at() < self.since
    }
}

/// What keeps a publication back that its outlet may not have heard of, if anything does.
pub(super) async fn unheard(
    store: &dyn TaskStore,
    record: &PublicationRecord,
    hearing: Hearing,
) -> Result<Option<Verdict>, StoreError> {
    if !hearing.may_lack(record) {
        return Ok(None);
    }
    let publication = &record.publication;
    let source = SourceName::from(&*publication.source);
    let post = Arc::clone(&publication.post);
    if hearing.deletions && store.is_gone(source, post).await? {
        return Ok(Some(Verdict::Gone));
    }
    if hearing.edits && !record.is_decided && is_edited_elsewhere(store, publication).await? {
        return Ok(Some(Verdict::EditedElsewhere));
    }
    Ok(None)
}

/// Whether the post of a publication was edited since, and none of its edits was to come to the
/// same outlet.
async fn is_edited_elsewhere(
    store: &dyn TaskStore,
    publication: &Publication,
) -> Result<bool, StoreError> {
    let (source, post) = (
        SourceName::from(&*publication.source),
        Arc::clone(&publication.post),
    );
    let own = publication.id.task().request();
    let newest = store.request_of_post(source, post).await?;
    let mut next = newest;
    while let Some(request) = next.filter(|request| *request != own) {
        let tasks = store.request(request).await?;
        next = tasks.first().and_then(|first| first.task.request.revises);
        for edit in tasks {
            if edit.task.target != publication.language {
                continue;
            }
            // What is not translated yet may still come, and what was not leaves what it was to
            // change.
            let Some(Ended::Completed(_)) = edit.ended else {
                return Ok(false);
            };
            let there = store.publications_of(edit.task.id).await?;
            let mut there = there.iter();
            if there.any(|it| it.publication.outlet == publication.outlet) {
                return Ok(false);
            }
        }
    }
    Ok(newest.is_some_and(|newest| newest != own))
}

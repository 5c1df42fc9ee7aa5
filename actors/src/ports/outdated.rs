//! Tells whether what a person wants tried again was edited or deleted at its source since.

use std::sync::Arc;

use super::store::{Ended, StoreError, TaskStore};
use crate::domain::{Language, OutletName, RequestId, SourceName, TaskId};

/// What became of a post since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outdated {
    /// It is published as it was edited, or will be.
    #[error("its post was edited since, and is request {0} now")]
    Edited(RequestId),
    /// It was deleted.
    #[error("its post was deleted at its source since")]
    Deleted,
}

/// What became of a post since a task of it was made, in the task's language; if an outlet is told,
/// there.
pub async fn outdated(
    store: &dyn TaskStore,
    (source, post): (SourceName, Arc<str>),
    (task, language): (TaskId, &Language),
    outlet: Option<&OutletName>,
) -> Result<Option<Outdated>, StoreError> {
    if store.is_gone(source.clone(), Arc::clone(&post)).await? {
        return Ok(Some(Outdated::Deleted));
    }
    let mut next = store.request_of_post(source, post).await?;
    while let Some(request) = next.filter(|request| *request != task.request()) {
        let tasks = store.request(request).await?;
        next = tasks.first().and_then(|first| first.task.request.revises);
        for edited in tasks {
            if edited.task.target != *language {
                continue;
            }
            let stands = match (&edited.ended, outlet) {
                (Some(Ended::Failed(_)), _) => false,
                (None, _) | (_, None) => true,
                (Some(Ended::Completed(_)), Some(outlet)) => {
                    let there = store.publications_of(edited.task.id).await?;
                    there.iter().any(|it| it.publication.outlet == *outlet)
                }
            };
            if stands {
                return Ok(Some(Outdated::Edited(request)));
            }
        }
    }
    Ok(None)
}

//! Puts a text together anew that was planned before its outlet's limit was known, or before that
//! has shrunk.

use std::sync::Arc;

use super::teach::origin;
use crate::domain::{Part, Publication};
use crate::logic::compose::{Origin, Style};
use crate::logic::fit::{Limit, room};
use crate::ports::{Ended, PublicationRecord, StoreRemedy, TaskRecord, TaskStore};
use crate::supervision::unless_panicked;

/// Puts a publication together as it would be planned now, unless it fits or something of it is
/// out. What a person wrote is taken for the text.
pub(super) async fn refit(
    record: &mut PublicationRecord,
    limit: Limit,
    style: &Style,
    store: &dyn TaskStore,
) {
    let publication = &record.publication;
    let limit = room(limit, publication.attached.as_deref());
    let is_begun = publication.parts.iter().any(|part| part.id.is_some());
    if is_begun || publication.parts.iter().all(|it| limit.fits(&it.text)) {
        return;
    }
    let task = task_of(store, record).await;
    let parts: Vec<&str> = publication.parts.iter().map(|part| &*part.text).collect();
    let origin = origin_of(task.as_ref(), publication);
    let text = task.as_ref().map(translated).unwrap_or_default();
    // What cannot be split is left to the outlet to refuse.
    if let Ok(parts) = style.compose_anew(&parts, text, limit, origin) {
        let parts = parts.into_iter().map(Part::new).collect();
        Arc::make_mut(&mut record.publication).parts = parts;
    }
}

/// The task of a publication, however often it takes to read it; none where it was forgotten.
async fn task_of(store: &dyn TaskStore, record: &PublicationRecord) -> Option<TaskRecord> {
    loop {
        match unless_panicked(store.task(record.publication.id.task())).await {
            Ok(task) => return task,
            Err(error) => {
                let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// The translation alone, without the words that hang on it.
fn translated(task: &TaskRecord) -> &str {
    match &task.ended {
        Some(Ended::Completed(translation)) => task.task.request.body(&translation.text),
        Some(Ended::Failed(_)) | None => "",
    }
}

/// Where the text of a publication comes from, as far as that is known.
pub(super) fn origin_of<'a>(
    task: Option<&'a TaskRecord>,
    publication: &'a Publication,
) -> Origin<'a> {
    let Some(task) = task else {
        return Origin {
            source: &publication.source,
            url: publication.url.as_deref(),
            ..Origin::default()
        };
    };
    // What passed through as it is has no provider.
    let is_translated = match &task.ended {
        Some(Ended::Completed(translation)) => !translation.provider.as_str().is_empty(),
        Some(Ended::Failed(_)) | None => true,
    };
    Origin {
        is_translated,
        ..origin(&task.task, publication)
    }
}

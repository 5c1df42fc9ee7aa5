//! Learns from what a person put in the place of a translation.

use std::sync::Arc;

use crate::domain::{Correction, ProviderName, Publication, Task, Translation, Usage};
use crate::logic::compose::{Origin, Style};
use crate::logic::glossary::substitutions;
use crate::logic::known::Edition;
use crate::ports::{Ended, KnownKey, StoreError, TaskRecord, TaskStore};

/// Whom known translations that a person made are named after.
const PERSON: &str = "person";

/// The most corrections that are looked at.
const CORRECTIONS: usize = 10_000;

/// Lets an edition learn from all that people have corrected.
pub(super) async fn recall(store: &dyn TaskStore, edition: &Edition) -> Result<(), StoreError> {
    edition.learn(&store.corrections(CORRECTIONS).await?);
    Ok(())
}

/// What a person put in the place of what, in the translation of a task.
pub(super) fn corrections(
    style: &Style,
    record: &TaskRecord,
    publication: &Publication,
    text: &str,
) -> Vec<Correction> {
    let Some(Ended::Completed(translation)) = &record.ended else {
        return Vec::new();
    };
    let task = &record.task;
    let corrected = style.bare(text, origin(task, publication));
    let substitutions = substitutions(
        task.request.body(&translation.text),
        &corrected,
        &task.target,
    )
    .into_iter();
    substitutions
        .map(|(old, new)| Correction {
            pair: task.pair(),
            old: old.into(),
            new: new.into(),
            text: task.request.body(&task.request.text).into(),
        })
        .collect()
}

/// The text that a person gave as the translation of a task, with its key; none where it lacks
/// something that every translation must have.
pub(super) fn lesson(
    edition: &Edition,
    style: &Style,
    task: &Task,
    publication: &Publication,
    text: &str,
) -> Option<(KnownKey, Arc<Translation>)> {
    let request = &task.request;
    let original = edition.protect(&request.text);
    let text = &*style.bare(text, origin(task, publication));
    // The words that hang on it were not asked for, so they stay as they were translated.
    let joined = match &publication.attached {
        Some(attached) => style.unhung(attached).join(text),
        None => text.to_owned(),
    };
    let translation = Translation {
        text: original.set_aside(&joined)?.into(),
        provider: ProviderName::from(PERSON),
        model: "".into(),
        cached: false,
        usage: Usage::default(),
    };
    let context = request.context.as_deref();
    let key = edition.key(&original.skeleton, context, &task.pair());
    Some((key, Arc::new(translation)))
}

/// Where the text of a task comes from.
pub(super) fn origin<'a>(task: &'a Task, publication: &'a Publication) -> Origin<'a> {
    Origin {
        source: &publication.source,
        author: task.request.author.as_deref(),
        url: task.request.url.as_deref(),
        is_translated: true,
    }
}

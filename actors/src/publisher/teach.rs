//! Makes known what a person put in the place of a translation.

use std::sync::Arc;

use crate::domain::{ProviderName, Publication, Task, Translation, Usage};
use crate::logic::compose::{Origin, Style};
use crate::logic::known::Edition;
use crate::ports::KnownKey;

/// Whom known translations that a person made are named after.
const PERSON: &str = "person";

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
    let origin = Origin {
        source: &publication.source,
        author: request.author.as_deref(),
        url: request.url.as_deref(),
        is_translated: true,
    };
    let text = &*style.bare(text, origin);
    // The words that hang on it were not asked for, so they stay as they were translated.
    let joined = match &publication.attached {
        Some(attached) => attached.join(text),
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

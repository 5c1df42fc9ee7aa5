//! What of a translation is published, where, and in which parts.

use std::sync::Arc;

use crate::domain::{
    Language, Origin, OutletName, Part, Publication, PublicationState, REQUESTS, Task, Timestamp,
};
use crate::logic::fit::{Limit, fit};
use crate::setup::{Hold, OutletLimits};

/// An outlet as the task manager sees it: values, no actor.
#[derive(Clone, Debug)]
pub struct OutletRoute {
    /// Its name.
    pub name: OutletName,
    /// The language that it receives.
    pub language: Language,
    /// The sources that it takes, `requests` among them; none: all.
    pub from: Option<Vec<Arc<str>>>,
    /// What waits for a person.
    pub hold: Hold,
    /// Whether an edit of a post does anything there.
    pub takes_edits: bool,
}

/// A publication to be written down, with its state and the reason for it.
pub(super) type Planned = (Arc<Publication>, PublicationState, Option<Arc<str>>);

impl OutletRoute {
    /// Whether it takes what comes from this source, or from [`REQUESTS`].
    pub fn takes(&self, source: &str) -> bool {
        self.from
            .as_ref()
            .is_none_or(|from| from.iter().any(|name| **name == *source))
    }
}

/// The publications of a task's translation, one for each outlet that wants it; where the
/// translation comes with a doubt, outlets that want it so hold it.
pub(super) fn plan(
    routes: &[OutletRoute],
    limits: &OutletLimits,
    task: &Task,
    (text, doubt): (&str, Option<&Arc<str>>),
    at: Timestamp,
) -> Vec<Planned> {
    let (source, post) = origin(task);
    let (text, attached) = match &task.request.attached {
        None => (text, None),
        Some(attached) => {
            let (text, attached) = attached.split(text);
            (text, Some(Arc::new(attached)))
        }
    };
    let wanting = routes
        .iter()
        .filter(|route| route.language == task.target && route.takes(&source))
        .filter(|route| route.takes_edits || task.request.revises.is_none());
    wanting
        .zip(1..=u8::MAX)
        .map(|(route, number)| {
            let limit = limits.borrow().get(&route.name).copied();
            let (parts, unfit) = parts(text, limit.unwrap_or(Limit::Unbounded));
            let publication = Publication {
                id: task.id.publication(number),
                outlet: route.name.clone(),
                source: Arc::clone(&source),
                post: Arc::clone(&post),
                language: task.target.clone(),
                url: task.request.url.clone(),
                parts,
                attached: attached.clone(),
                thread: None,
                revises: task.request.revises,
                created_at: at,
            };
            let (state, why) = match (unfit, route.hold, doubt) {
                (Some(why), ..) => (PublicationState::Held, Some(why)),
                (None, Hold::Always, _) => (PublicationState::Held, Some("held by setting".into())),
                (None, Hold::Doubtful, Some(doubt)) => {
                    (PublicationState::Held, Some(Arc::clone(doubt)))
                }
                (None, Hold::Never | Hold::Doubtful, _) => (PublicationState::Planned, None),
            };
            (Arc::new(publication), state, why)
        })
        .collect()
}

/// The source and the post that a publication names.
fn origin(task: &Task) -> (Arc<str>, Arc<str>) {
    match &task.request.origin {
        Origin::Post { source, post } => (source.as_str().into(), Arc::clone(post)),
        Origin::Client { key } => {
            let id = || task.request.id.to_string().into();
            (REQUESTS.into(), key.clone().unwrap_or_else(id))
        }
    }
}

/// The parts of a text, and why it does not fit, where something in it cannot be split.
fn parts(text: &str, limit: Limit) -> (Vec<Part>, Option<Arc<str>>) {
    match fit(text, limit) {
        Ok(parts) => (parts.into_iter().map(Part::new).collect(), None),
        Err(error) => (vec![Part::new(text)], Some(error.to_string().into())),
    }
}

//! What of a translation is published, where, and in which parts.

use std::sync::Arc;

use crate::domain::{
    Language, Origin, OutletName, Part, Publication, PublicationState, REQUESTS, Task, Timestamp,
    Translation,
};
use crate::logic::checks::{Fault, Gravity};
use crate::logic::compose::{self, Style};
use crate::logic::fit::{Limit, room};
use crate::setup::{Hold, OutletLimits, Same};

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
    /// What becomes of posts that are in its language already.
    pub same: Same,
    /// How texts are put together.
    pub style: Arc<Style>,
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

    /// Whether it would keep a translation with such a fault for a person.
    pub(super) fn keeps(&self, task: &Task, fault: &Fault) -> bool {
        let keeps = self.hold != Hold::Never || fault.check.gravity() == Gravity::Torn;
        keeps && self.wants(task, &origin(task).0)
    }

    fn wants(&self, task: &Task, source: &str) -> bool {
        let is_wanted = self.takes_edits || task.request.revises.is_none();
        is_wanted && self.language == task.target && self.takes(source)
    }
}

/// What a translation that is published is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing<'a> {
    /// It is as it was wanted.
    Sound,
    /// It is the text itself, which was in the language already.
    Same,
    /// It has a fault.
    Doubtful(&'a Fault),
}

/// The publications of a task's translation, one for each outlet that wants it.
///
/// What has a fault is held where the outlet wants it so, and everywhere where it is no
/// translation, or lacks something that a person can put back.
pub(super) fn plan(
    routes: &[OutletRoute],
    limits: &OutletLimits,
    task: &Task,
    (translation, standing): (&Translation, Standing<'_>),
    at: Timestamp,
) -> Vec<Planned> {
    let (source, post) = origin(task);
    let is_same = matches!(standing, Standing::Same);
    let (text, attached) = match &task.request.attached {
        None => (&*translation.text, None),
        Some(attached) => {
            let (text, attached) = attached.split(&translation.text);
            (text, Some(Arc::new(attached)))
        }
    };
    let back = compose::Origin {
        source: &source,
        author: task.request.author.as_deref(),
        url: task.request.url.as_deref(),
        // What passes through as it is has no provider.
        is_translated: !is_same && !translation.provider.as_str().is_empty(),
    };
    let wanting = routes.iter().filter(|route| route.wants(task, &source));
    wanting
        .zip(1..=u8::MAX)
        .filter(|(route, _)| !(is_same && route.same == Same::Skip))
        .map(|(route, number)| {
            let limit = limits.borrow().get(&route.name).copied();
            let limit = room(limit.unwrap_or(Limit::Unbounded), attached.as_deref());
            let (parts, unfit) = parts(text, limit, &route.style, back);
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
            let doubt = match standing {
                Standing::Doubtful(fault) => Some(fault),
                Standing::Sound | Standing::Same => None,
            };
            let held = doubt
                .filter(|fault| route.hold != Hold::Never || fault.check.gravity() > Gravity::Mild);
            let held = held.map(|fault| Arc::clone(&fault.why));
            let (state, why) = match (unfit.or(held), route.hold) {
                (Some(why), _) => (PublicationState::Held, Some(why)),
                (None, Hold::Always) => (PublicationState::Held, Some("held by setting".into())),
                (None, Hold::Never | Hold::Doubtful) => (PublicationState::Planned, None),
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
fn parts(
    text: &str,
    limit: Limit,
    style: &Style,
    back: compose::Origin<'_>,
) -> (Vec<Part>, Option<Arc<str>>) {
    match style.compose(text, limit, back) {
        Ok(parts) => (parts.into_iter().map(Part::new).collect(), None),
        Err(error) => (vec![Part::new(text)], Some(error.to_string().into())),
    }
}

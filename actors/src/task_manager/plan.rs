//! What of a translation is published, where, and in which parts.

use std::sync::Arc;

use crate::domain::{
    Attached, Language, Origin, OutletName, Part, Publication, PublicationState, REQUESTS, Task,
    Timestamp, Translation,
};
use crate::logic::checks::{Fault, Gravity};
use crate::logic::compose::{self, Style};
use crate::logic::fit::{Limit, room, tears_warning};
use crate::logic::hashtags::{Hashtags, Translated};
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
    /// Whether nothing of a post that was deleted goes out there.
    pub minds_deletions: bool,
    /// Whether it publishes media, also where there is no text.
    pub takes_media: bool,
    /// What becomes of posts that are in its language already.
    pub same: Same,
    /// How texts are put together.
    pub style: Arc<Style>,
}

/// Why a publication is held whose warning would be cut where that loses more than words.
const TORN_WARNING: &str = "its warning is too long to stand above the text with all that is in it";

/// Why nothing goes out where words alone are published.
const NO_WORDS: &str =
    "passed over: the post is media without words, which this outlet cannot show";

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
        self.keeps_any(fault) && self.is_wanted_for(task)
    }

    /// Whether it keeps translations with such a fault for a person, of whatever it takes.
    pub(super) fn keeps_any(&self, fault: &Fault) -> bool {
        self.hold != Hold::Never || fault.check.gravity() == Gravity::Torn
    }

    /// Whether the translation of a task is published there.
    pub(super) fn is_wanted_for(&self, task: &Task) -> bool {
        self.wants(task, source(task))
    }

    /// Whether it publishes translations of the hashtags of a task.
    pub(super) fn translates_hashtags_of(&self, task: &Task) -> bool {
        self.style.hashtags != Hashtags::Keep && self.is_wanted_for(task)
    }

    fn wants(&self, task: &Task, source: &str) -> bool {
        let is_wanted = self.takes_edits || task.request.revises.is_none();
        is_wanted && self.language == task.target && self.takes(source)
    }
}

/// A translation that is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// It, with the words that hang on it.
    pub(super) translation: &'a Translation,
    /// The same in fewer words, without them.
    pub(super) short: Option<&'a str>,
    /// Its hashtags with their translations.
    pub(super) tags: &'a Translated,
    /// What it is worth.
    pub(super) standing: Standing<'a>,
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
    text: Text<'_>,
    at: Timestamp,
) -> Vec<Planned> {
    let (source, post): (Arc<str>, _) = (source(task).into(), post(task));
    let Text {
        translation,
        short,
        tags,
        standing,
    } = text;
    let is_same = matches!(standing, Standing::Same);
    let (text, attached) = split(task, &translation.text);
    let is_wordless = task.request.body(&task.request.text).trim().is_empty();
    let back = back(task, &source, (translation, is_same));
    let wanting = routes.iter().filter(|route| route.wants(task, &source));
    wanting
        .zip(1..=u8::MAX)
        .filter(|(route, _)| !(is_same && route.same == Same::Skip))
        .map(|(route, number)| {
            let limit = limits.borrow().get(&route.name).copied();
            let limit = limit.unwrap_or(Limit::Unbounded);
            let style = &route.style;
            let attached = attached.as_ref().map(|it| style.hung(it, limit));
            let is_torn = tears_warning(limit, attached.as_deref());
            let limit = room(limit, attached.as_deref());
            let in_one = |text: &str| style.in_one(&style.tagged(text, tags), limit, back);
            let text = best(text, short, limit, in_one);
            let (parts, unfit) = parts((text, tags), limit, style, back);
            let unfit = unfit.or_else(|| is_torn.then(|| TORN_WARNING.into()));
            let publication = Publication {
                id: task.id.publication(number),
                outlet: route.name.clone(),
                source: Arc::clone(&source),
                post: Arc::clone(&post),
                language: task.target.clone(),
                url: task.request.url.clone(),
                parts,
                attached,
                thread: None,
                revises: task.request.revises,
                place: None,
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
                _ if is_wordless && !route.takes_media => {
                    (PublicationState::Refused, Some(NO_WORDS.into()))
                }
                (Some(why), _) => (PublicationState::Held, Some(why)),
                (None, Hold::Always) => (PublicationState::Held, Some("held by setting".into())),
                (None, Hold::Never | Hold::Doubtful) => (PublicationState::Planned, None),
            };
            (Arc::new(publication), state, why)
        })
        .collect()
}

/// The source that a publication names.
fn source(task: &Task) -> &str {
    match &task.request.origin {
        Origin::Post { source, .. } => source.as_str(),
        Origin::Client { .. } => REQUESTS,
    }
}

/// The post that a publication names.
fn post(task: &Task) -> Arc<str> {
    match &task.request.origin {
        Origin::Post { post, .. } => Arc::clone(post),
        Origin::Client { key: Some(key) } => Arc::clone(key),
        Origin::Client { key: None } => task.request.id.to_string().into(),
    }
}

/// Where the translation of a task comes from.
pub(super) fn back_of<'a>(task: &'a Task, translation: &Translation) -> compose::Origin<'a> {
    back(task, source(task), (translation, false))
}

/// The text alone, and what hangs on it in its words.
pub(super) fn split<'a>(task: &Task, text: &'a str) -> (&'a str, Option<Arc<Attached>>) {
    match &task.request.attached {
        None => (text, None),
        Some(attached) => {
            let (text, attached) = attached.split(text);
            (text, Some(Arc::new(attached)))
        }
    }
}

/// Where the text of a task comes from.
fn back<'a>(
    task: &'a Task,
    source: &'a str,
    (translation, is_same): (&Translation, bool),
) -> compose::Origin<'a> {
    compose::Origin {
        source,
        author: task.request.author.as_deref(),
        url: task.request.url.as_deref(),
        // What passes through as it is has no provider.
        is_translated: !is_same && !translation.provider.as_str().is_empty(),
    }
}

/// The text where it fits as one post, or else the shorter one where that is of use.
fn best<'a>(
    text: &'a str,
    short: Option<&'a str>,
    limit: Limit,
    post: impl Fn(&str) -> String,
) -> &'a str {
    let is_shorter =
        |short: &&str| !limit.fits(&post(text)) && limit.measure(short) < limit.measure(text);
    short.filter(is_shorter).unwrap_or(text)
}

/// The parts of a text, and why it does not fit, where something in it cannot be split.
fn parts(
    (text, tags): (&str, &Translated),
    limit: Limit,
    style: &Style,
    back: compose::Origin<'_>,
) -> (Vec<Part>, Option<Arc<str>>) {
    match style.compose_tagged(text, tags, limit, back) {
        Ok(parts) => (parts.into_iter().map(Part::new).collect(), None),
        // As it would be published if it fitted: a person may let it out.
        Err(error) => {
            let whole = style.in_one(&style.tagged(text, tags), limit, back);
            (vec![Part::new(whole)], Some(error.to_string().into()))
        }
    }
}

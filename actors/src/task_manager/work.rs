//! One text on its way through the task manager: of a task, or of a caller who waits.

use std::sync::Arc;

use super::Config;
use super::doubt::Doubt;
use super::plan::OutletRoute;
use super::tighten::Tight;
use crate::domain::{Bucket, Failure, Position, TaskId};
use crate::logic::estimate::Weight;
use crate::logic::hashtags::{hashtags, with_words};
use crate::logic::routing::Routes;
use crate::logic::spans::Protected;
use crate::messages::{AwaitedText, Leadership, NowCall};
use crate::ports::{KnownKey, TaskRecord, Token};

/// An answer that was cut off gets at most so many times twice the room.
const DOUBLINGS: u8 = 6;

/// One text on its way.
#[derive(Debug)]
pub(super) struct Work {
    /// Its number: the fencing token of its claim, once it is in a call.
    pub(super) number: Token,
    /// Whose text it is.
    pub(super) subject: Subject,
    /// The bucket that it stands in; its class may have been raised.
    pub(super) bucket: Bucket,
    /// Its place there.
    pub(super) position: Position,
    /// The text with its spans set aside, and behind it the words of its hashtags where they are
    /// to be translated.
    pub(super) text: Arc<Protected>,
    /// Those hashtags.
    pub(super) tags: Vec<Box<str>>,
    /// What the text belongs to.
    pub(super) context: Option<Arc<str>>,
    /// What it is known by.
    pub(super) key: KnownKey,
    /// The duty to translate it, when it leads.
    pub(super) leadership: Option<Leadership>,
    /// The most texts that may go in a call with it.
    pub(super) pack_limit: usize,
    /// What it weighs in a call.
    weight: Weight,
    /// How often its answer was cut off, so that it needs twice the room each time.
    doublings: u8,
    /// The providers that refused it, with the reason of the last.
    pub(super) refused_by: Routes,
    pub(super) refusal: Option<Failure>,
    /// The providers that failed it, and come after all others.
    pub(super) avoids: Routes,
    /// The providers that have failed it at any time.
    pub(super) tried: Routes,
    /// What it was translated to, not as it was wanted.
    pub(super) doubt: Option<Doubt>,
    /// What it is asked for again in fewer words with, when it has a translation.
    pub(super) tight: Option<Box<Tight>>,
    /// Calls made for a caller's text, without those given back; a task's are in its lifecycle.
    pub(super) attempts: u32,
    /// How often an attempt was given back because its lane failed.
    pub(super) refunds: u32,
}

/// Whose text it is.
#[derive(Debug)]
pub(super) enum Subject {
    /// A task's.
    Task(Box<Live>),
    /// A waiting caller's.
    Now {
        /// The caller.
        call: Arc<NowCall>,
        /// Which of the caller's texts.
        index: usize,
    },
}

/// A task in memory.
#[derive(Debug)]
pub(super) struct Live {
    /// The task as it stands; its token is the one that the store has, or will have when all
    /// that was handed to it is written.
    pub(super) record: TaskRecord,
    /// The bucket whose window it counts in.
    pub(super) home: Bucket,
}

/// The hashtags of a task's text, if an outlet publishes their translations.
fn wanted_tags(record: &TaskRecord, outlets: &[OutletRoute]) -> Vec<Box<str>> {
    let task = &record.task;
    let is_wanted = record.publish && outlets.iter().any(|it| it.translates_hashtags_of(task));
    if is_wanted {
        hashtags(task.request.body(&task.request.text))
    } else {
        Vec::new()
    }
}

impl Work {
    /// The work of a task that waits in the queue.
    pub(super) fn of_task(
        number: Token,
        record: TaskRecord,
        bucket: Bucket,
        config: &Config,
    ) -> Self {
        let (task, edition) = (&record.task, &config.edition);
        let request = &task.request;
        let position = Position::new(request.deadline, task.id);
        let tags = wanted_tags(&record, &config.outlets);
        let text = Arc::new(match &tags[..] {
            [] => edition.protect(&request.text),
            tags => edition.protect(&with_words(&request.text, tags).into()),
        });
        let context = request.context.clone();
        let key = edition.key(&text.skeleton, context.as_deref(), &bucket.pair);
        let weight = Weight::of(&text.skeleton, context.as_deref());
        Self {
            number,
            bucket: bucket.clone(),
            position,
            text,
            tags,
            context,
            key,
            leadership: None,
            pack_limit: usize::MAX,
            weight,
            doublings: 0,
            refused_by: Routes::default(),
            refusal: None,
            avoids: Routes::default(),
            tried: Routes::default(),
            doubt: None,
            tight: None,
            attempts: 0,
            refunds: 0,
            subject: Subject::Task(Box::new(Live {
                record,
                home: bucket,
            })),
        }
    }

    /// The work of one text of a waiting caller; `id` only gives it a place.
    pub(super) fn of_caller(number: Token, call: &Arc<NowCall>, index: usize, id: TaskId) -> Self {
        let text = Arc::clone(&call.texts[index]);
        let weight = Weight::of(&text.skeleton, None);
        Self {
            number,
            bucket: Bucket {
                class: call.class,
                flow: call.flow.clone(),
                pair: call.pair.clone(),
            },
            position: Position::new(Some(call.due), id),
            key: call.keys[index],
            text,
            tags: Vec::new(),
            context: None,
            leadership: None,
            pack_limit: usize::MAX,
            weight,
            doublings: 0,
            refused_by: Routes::default(),
            refusal: None,
            avoids: Routes::default(),
            tried: Routes::default(),
            doubt: None,
            tight: None,
            attempts: 0,
            refunds: 0,
            subject: Subject::Now {
                call: Arc::clone(call),
                index,
            },
        }
    }

    /// Makes it a question for the same text in fewer words, alone in its call.
    pub(super) fn ask_for(&mut self, text: Arc<Protected>, key: KnownKey, tight: Tight) {
        self.weight = Weight::of(&text.skeleton, self.context.as_deref());
        (self.text, self.key, self.tight) = (text, key, Some(Box::new(tight)));
        (self.leadership, self.doubt, self.doublings) = (None, None, 0);
        (self.pack_limit, self.avoids) = (1, Routes::default());
    }

    /// Notes that its answer was cut off, so that it gets more room.
    pub(super) fn was_cut(&mut self) {
        self.doublings = (self.doublings + 1).min(DOUBLINGS);
    }

    /// Notes that a provider failed it, so that others come first.
    pub(super) const fn fail_at(&mut self, route: usize) {
        self.avoids = self.avoids.with(route);
        self.tried = self.tried.with(route);
    }

    /// What it weighs in its next call, room for its answer included.
    pub(super) const fn weight(&self) -> Weight {
        self.weight.with_room(self.doublings)
    }

    /// What it weighs by its text alone.
    pub(super) const fn bare_weight(&self) -> Weight {
        self.weight
    }

    /// The task, if it is a task's.
    pub(super) fn task_id(&self) -> Option<TaskId> {
        match &self.subject {
            Subject::Task(live) => Some(live.record.task.id),
            Subject::Now { .. } => None,
        }
    }

    /// The caller's text, if it is a caller's.
    pub(super) fn awaited(&self) -> Option<AwaitedText> {
        match &self.subject {
            Subject::Task(_) => None,
            Subject::Now { call, index } => Some(AwaitedText::new(call, *index)),
        }
    }

    /// Whether nobody wants it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.subject {
            Subject::Task(_) => false,
            Subject::Now { call, index } => !call.wants(*index),
        }
    }
}

/// Where a task stands in the queue: its bucket, and its place there.
pub(super) fn stand_of(record: &TaskRecord) -> (Bucket, Position) {
    let request = &record.task.request;
    let bucket = Bucket {
        class: request.class,
        flow: request.flow.clone(),
        pair: record.task.pair(),
    };
    (bucket, Position::new(request.deadline, record.task.id))
}

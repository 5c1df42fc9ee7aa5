//! Asks once more for a translation that is too long for an outlet, with what it may measure.

use std::sync::Arc;

use log::debug;

use super::lookup::Made;
use super::outcome::Finished;
use super::plan::{back_of, split};
use super::work::{Subject, Work};
use super::{Intake, TaskManagerActor};
use crate::domain::{Budget, State, Translation};
use crate::logic::budget::budget;
use crate::logic::fit::room;
use crate::logic::known::Quality;
use crate::logic::lifecycle::Step;
use crate::logic::spans::Protected;

/// A text that has its translation, and is asked for again in fewer words.
#[derive(Debug)]
pub(super) struct Tight {
    /// What it may measure.
    pub(super) budget: Budget,
    /// The translation that it has.
    finished: Finished,
}

impl TaskManagerActor {
    /// Asks for a translation with the exact budget, where an outlet would have to split or cut it
    /// and a language model can be asked; gives the work back where nothing is to be gained.
    pub(super) fn tightened(
        &mut self,
        mut work: Work,
        finished: Finished,
    ) -> Option<(Work, Finished)> {
        let Some((budget, text)) = self.budget(&work, &finished) else {
            return Some((work, finished));
        };
        let edition = &self.config.edition;
        let text = Arc::new(edition.protect(&text));
        let pair = &work.bucket.pair;
        let wanted = format!("{budget:?}");
        let key = edition.key(&text.skeleton, Some(&wanted), pair);
        let refused_by = work.refused_by;
        for (route, provider) in self.config.routes.iter().enumerate() {
            if provider.quality != Quality::Model {
                work.refused_by = work.refused_by.with(route);
            }
        }
        if !text.has_words() || self.queue_for(&mut work).is_none() {
            work.refused_by = refused_by;
            return Some((work, finished));
        }
        debug!(number = work.number, most = budget.most, had = budget.had; "a translation is asked for in fewer words");
        work.ask_for(text, key, Tight { budget, finished });
        let is_processing = match &work.subject {
            Subject::Task(live) => live.record.lifecycle.state() == State::Processing,
            Subject::Now { .. } => false,
        };
        let why = format!(
            "too long: {} characters where {} fit",
            budget.had, budget.most
        );
        let step = Step::Again {
            why: why.into(),
            refund: false,
        };
        // One that was known has not left the queue.
        if !is_processing || self.step_back(&mut work, step) {
            self.look_up(vec![work]);
        }
        None
    }

    /// Ends a text that was asked for in fewer words, with what came of it.
    pub(super) fn end_tight(
        &mut self,
        mut work: Work,
        tight: Tight,
        short: Option<&Translation>,
        made: Made,
    ) {
        let mut finished = tight.finished;
        let short = short.and_then(|short| {
            if made == Made::ByCall {
                finished.translation.usage = finished.translation.usage.plus(short.usage);
            }
            work.text.restore(&short.text).ok()
        });
        work.doubt = None;
        finished.short = short.map(Arc::from);
        self.complete_task(work, finished);
    }

    /// The budget of the outlet with the least room, of those that a shorter text would serve, and
    /// the text that is asked for: the words beside it are as long as they like.
    fn budget(&self, work: &Work, finished: &Finished) -> Option<(Budget, Arc<str>)> {
        let Subject::Task(live) = &work.subject else {
            return None;
        };
        let record = &live.record;
        if !record.publish || !finished.is_sound() || self.intake == Intake::Stopping {
            return None;
        }
        let mut routes = self.config.routes.iter();
        if !routes.any(|route| route.quality == Quality::Model) {
            return None;
        }
        let (task, translation) = (&record.task, &finished.translation);
        let (text, attached) = split(task, &translation.text);
        let back = back_of(task, translation);
        let bare = || without_spans(&work.text, text);
        let limits = self.config.limits.borrow();
        let wanting = self
            .config
            .outlets
            .iter()
            .filter(|it| it.is_wanted_for(task));
        let budgets = wanting.filter_map(|route| {
            let limit = *limits.get(&route.name)?;
            let attached = attached.as_ref().map(|it| route.style.hung(it, limit));
            let limit = room(limit, attached.as_deref());
            let post = || {
                let text = route.style.tagged(text, &finished.tags);
                route.style.in_one(&text, limit, back)
            };
            budget(post, bare, limit, route.style.long)
        });
        let budget = budgets.min_by_key(|budget| budget.most)?;
        let request = &task.request;
        Some((budget, request.body(&request.text).into()))
    }
}

/// A translation without the protected spans of its text.
fn without_spans(source: &Protected, translated: &str) -> String {
    let mut bare = translated.to_owned();
    for span in &source.spans {
        if let Some(at) = bare.find(&*span.text) {
            bare.replace_range(at..at + span.text.len(), "");
        }
    }
    bare
}

//! What follows when a translation came back whole, but not as it was wanted.

use std::sync::Arc;

use log::debug;

use super::TaskManagerActor;
use super::lookup::Made;
use super::work::{Subject, Work};
use crate::domain::{Failure, FailureKind, Guide, ProviderName, Translation};
use crate::logic::checks::{Fault, Gravity};
use crate::logic::known::Quality;
use crate::logic::lifecycle::Step;
use crate::messages::{Insert, Record};

/// The best translation of a text that was not as it was wanted.
#[derive(Debug)]
pub(super) struct Doubt {
    /// What is wrong with it.
    pub(super) fault: Fault,
    translation: Arc<Translation>,
    /// What was wrong with the latest one.
    remark: Arc<str>,
    /// Who made translations like that, each once.
    made_by: Vec<ProviderName>,
}

impl Doubt {
    /// A doubt about a translation.
    pub(super) fn new(fault: Fault, translation: Arc<Translation>) -> Self {
        Self {
            remark: Arc::clone(&fault.why),
            fault,
            translation,
            made_by: Vec::new(),
        }
    }

    /// Whether protected spans are missing in it.
    pub(super) const fn is_torn(&self) -> bool {
        matches!(self.gravity(), Gravity::Torn)
    }

    const fn gravity(&self) -> Gravity {
        self.fault.check.gravity()
    }

    /// The same after an earlier one: of both translations the better is kept.
    fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else {
            return self;
        };
        let (made_by, remark) = (earlier.made_by, self.remark);
        let better = if earlier.fault.check.gravity() < self.fault.check.gravity() {
            (earlier.fault, earlier.translation)
        } else {
            (self.fault, self.translation)
        };
        let (fault, translation) = better;
        Self {
            fault,
            translation,
            remark,
            made_by,
        }
    }
}

impl TaskManagerActor {
    /// The guide for a pack: a text that came back doubtful goes alone, with what was wrong.
    pub(super) fn guide(&self, pack: &[Work]) -> Option<Arc<Guide>> {
        let guide = self.config.edition.guide(&pack.first()?.bucket.pair);
        let with = |make: &dyn Fn(Guide) -> Guide| {
            let guide = guide.as_deref().cloned().unwrap_or_default();
            Some(Arc::new(make(guide)))
        };
        match pack {
            [alone] if let Some(tight) = &alone.tight => with(&|guide| Guide {
                budget: Some(tight.budget),
                ..guide
            }),
            [alone] if let Some(doubt) = &alone.doubt => with(&|guide| Guide {
                remark: Some(Arc::clone(&doubt.remark)),
                ..guide
            }),
            _ => guide,
        }
    }

    /// A text came back otherwise than it was wanted: it is asked for once more, alone and with
    /// the reason, then of another provider; when nobody else is left it is accepted.
    pub(super) fn doubtful(&mut self, mut work: Work, route: usize, n_items: usize, doubt: Doubt) {
        let provider = &self.config.routes[route];
        let (name, quality) = (provider.name.clone(), provider.quality);
        debug!(provider:% = name, number = work.number, why = &*doubt.remark; "a translation is doubtful");
        self.count_fault(&doubt.fault);
        let why = Arc::clone(&doubt.remark);
        let mut doubt = doubt.after(work.doubt.take());
        let is_first = !doubt.made_by.contains(&name);
        if is_first {
            doubt.made_by.push(name);
        }
        if self.is_out_of_attempts(&work) {
            self.accept(work, doubt);
            return;
        }
        // An engine makes the same of the same text, whatever it is told.
        let asks_again = is_first && quality == Quality::Model;
        if !asks_again {
            work.refused_by = work.refused_by.with(route);
            work.refusal = Some(Failure {
                kind: FailureKind::Checks,
                detail: Arc::clone(&why),
            });
        }
        if self.queue_for(&mut work).is_none() {
            self.accept(work, doubt);
            return;
        }
        let step = Step::Again {
            why,
            refund: n_items > 1,
        };
        work.pack_limit = 1;
        work.doubt = Some(doubt);
        self.go_again(work, step);
    }

    /// Takes a doubtful translation, because nothing better can be had; outlets may hold it. What
    /// is no translation is taken only where it is kept for a person, and fails its text else.
    pub(super) fn accept(&mut self, mut work: Work, doubt: Doubt) {
        let is_mild = doubt.gravity() == Gravity::Mild;
        if !is_mild && !self.is_kept_for_a_person(&work, &doubt.fault) {
            let failure = Failure {
                kind: FailureKind::Checks,
                detail: doubt.fault.why,
            };
            self.give_up(work, failure);
            return;
        }
        debug!(number = work.number, why = &*doubt.fault.why; "a doubtful translation is accepted");
        let translation = Arc::clone(&doubt.translation);
        // What only a person may let out is known to nobody: the next who waits asks again.
        let is_known = is_mild && !self.is_kept_anywhere(&work, &doubt.fault);
        if let Some(leadership) = work.leadership.take().filter(|_| is_known) {
            let told = Insert(vec![(leadership, Ok(Arc::clone(&translation)))]);
            self.peers.insert.do_send(told);
        }
        work.doubt = Some(doubt);
        self.complete(work, &translation, Made::ByCall);
    }

    /// Whether an outlet that wants a text would keep its translation for a person.
    fn is_kept_for_a_person(&self, work: &Work, fault: &Fault) -> bool {
        let Subject::Task(live) = &work.subject else {
            return false;
        };
        let mut outlets = self.config.outlets.iter();
        live.record.publish && outlets.any(|route| route.keeps(&live.record.task, fault))
    }

    /// Whether an outlet in a text's language keeps such translations for a person, whoever wants
    /// them: a text that is known goes out there unseen.
    fn is_kept_anywhere(&self, work: &Work, fault: &Fault) -> bool {
        let target = &work.bucket.pair.target;
        let mut outlets = self.config.outlets.iter();
        outlets.any(|route| route.language == *target && route.keeps_any(fault))
    }

    /// Counts a translation that failed a check.
    pub(super) fn count_fault(&self, fault: &Fault) {
        self.peers.record.do_send(Record::of_fault(fault));
    }
}

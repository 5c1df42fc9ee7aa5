//! What follows when a translation came back whole, but not as it was wanted.

use std::sync::Arc;

use log::debug;

use super::TaskManagerActor;
use super::lookup::Made;
use super::work::Work;
use crate::domain::{Failure, FailureKind, Guide, ProviderName, Translation};
use crate::logic::known::Quality;
use crate::logic::lifecycle::Step;
use crate::messages::{Insert, Operation, Record};

/// The last translation of a text that was not as it was wanted.
#[derive(Debug)]
pub(super) struct Doubt {
    /// What is wrong with it.
    pub(super) why: Arc<str>,
    translation: Arc<Translation>,
    /// Who made translations like that, each once.
    made_by: Vec<ProviderName>,
}

impl Doubt {
    /// A doubt about a translation.
    pub(super) fn new(why: Arc<str>, translation: Arc<Translation>) -> Self {
        Self {
            why,
            translation,
            made_by: Vec::new(),
        }
    }
}

impl TaskManagerActor {
    /// The guide for a pack: a text that came back doubtful goes alone, with what was wrong.
    pub(super) fn guide(&self, pack: &[Work]) -> Option<Arc<Guide>> {
        let guide = self.config.edition.guide(&pack.first()?.bucket.pair);
        match pack {
            [alone] if let Some(doubt) = &alone.doubt => Some(Arc::new(Guide {
                remark: Some(Arc::clone(&doubt.why)),
                ..guide.map(|guide| Guide::clone(guide)).unwrap_or_default()
            })),
            _ => guide.map(Arc::clone),
        }
    }

    /// A text came back otherwise than it was wanted: it is asked for once more, alone and with
    /// the reason, then of another provider; when nobody else is left it is accepted.
    pub(super) fn doubtful(&mut self, mut work: Work, route: usize, n_items: usize, doubt: Doubt) {
        let provider = &self.config.routes[route];
        let (name, quality) = (provider.name.clone(), provider.quality);
        debug!(provider:% = name, number = work.number, why = &*doubt.why; "a translation is doubtful");
        self.count_doubt();
        let earlier = work.doubt.take().map(|doubt| doubt.made_by);
        let mut made_by = earlier.unwrap_or_default();
        let is_first = !made_by.contains(&name);
        if is_first {
            made_by.push(name.clone());
        }
        let doubt = Doubt { made_by, ..doubt };
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
                detail: Arc::clone(&doubt.why),
            });
        }
        if self.queue_for(&mut work).is_none() {
            self.accept(work, doubt);
            return;
        }
        let step = Step::Again {
            why: Arc::clone(&doubt.why),
            refund: n_items > 1,
        };
        work.pack_limit = 1;
        work.doubt = Some(doubt);
        self.go_again(work, step);
    }

    /// Takes a doubtful translation, because nothing better can be had; outlets may hold it.
    pub(super) fn accept(&mut self, mut work: Work, doubt: Doubt) {
        debug!(number = work.number, why = &*doubt.why; "a doubtful translation is accepted");
        let translation = Arc::clone(&doubt.translation);
        if let Some(leadership) = work.leadership.take() {
            let told = Insert(vec![(leadership, Ok(Arc::clone(&translation)))]);
            self.peers.insert.do_send(told);
        }
        work.doubt = Some(doubt);
        self.complete(work, &translation, Made::ByCall);
    }

    fn count_doubt(&self) {
        self.peers.record.do_send(Record {
            operation: Operation {
                service: Arc::clone(&self.glossary_service),
                name: "missed",
            },
            took: std::time::Duration::ZERO,
            is_error: true,
            task: None,
        });
    }
}

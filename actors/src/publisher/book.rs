//! What is being sent or read back; it stands outside the actor, and outlives its fall.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{OutletName, PublicationId};

/// The registry of what is under way; used on one thread alone, so its lock is never waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    outlets: HashSet<OutletName>,
    publications: HashSet<PublicationId>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a publication is under way.
    pub(super) fn holds(&self, id: PublicationId) -> bool {
        self.lock().publications.contains(&id)
    }

    /// Notes a batch at an outlet, until the guard is dropped; none while another is under way.
    pub(super) fn begin(&self, outlet: &OutletName, ids: Vec<PublicationId>) -> Option<UnderWay> {
        let mut entries = self.lock();
        if !entries.outlets.insert(outlet.clone()) {
            return None;
        }
        entries.publications.extend(ids.iter().copied());
        Some(UnderWay {
            book: self.clone(),
            outlet: Some(outlet.clone()),
            ids,
        })
    }

    /// Notes one publication that is read back, until the guard is dropped; none while it is
    /// under way already.
    pub(super) fn look(&self, id: PublicationId) -> Option<UnderWay> {
        let is_new = self.lock().publications.insert(id);
        is_new.then(|| UnderWay {
            book: self.clone(),
            outlet: None,
            ids: vec![id],
        })
    }
}

/// Something under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    book: Book,
    outlet: Option<OutletName>,
    ids: Vec<PublicationId>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut entries = self.book.lock();
        if let Some(outlet) = &self.outlet {
            entries.outlets.remove(outlet);
        }
        for id in &self.ids {
            entries.publications.remove(id);
        }
    }
}

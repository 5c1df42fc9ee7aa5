//! What an outlet published lately, to be told from what is looked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::Dispatch;

use super::part;

/// The most published ids that are remembered.
const MAX_KNOWN: usize = 1000;

/// Which part each published id belongs to, for platforms that are read back by their texts.
#[derive(Default)]
pub(super) struct Known {
    /// (id, key), the oldest first.
    entries: RefCell<VecDeque<(Arc<str>, Arc<str>)>>,
}

impl Known {
    /// Notes that the part of that key is out under that id.
    pub(super) fn note(&self, id: &Arc<str>, key: &Arc<str>) {
        let mut entries = self.entries.borrow_mut();
        let is_noted = |(known, owner): &(Arc<str>, Arc<str>)| known == id && owner == key;
        if entries.iter().any(is_noted) {
            return;
        }
        if entries.len() >= MAX_KNOWN {
            entries.pop_front();
        }
        entries.push_back((Arc::clone(id), Arc::clone(key)));
    }

    /// Notes all that is out of publications.
    pub(super) fn note_all(&self, publications: &[Arc<Publication>]) {
        for publication in publications {
            for (part, it) in publication.parts.iter().enumerate() {
                let Some(id) = &it.id else { continue };
                let dispatch = Dispatch {
                    publication: Arc::clone(publication),
                    part,
                };
                self.note(id, &part::key(&dispatch).into());
            }
        }
    }

    /// Whether an id is known to be another part's.
    pub(super) fn is_anothers(&self, id: &str, key: &str) -> bool {
        let entries = self.entries.borrow();
        let mut entries = entries.iter();
        entries.any(|(known, owner)| &**known == id && &**owner != key)
    }
}

//! What became of the parts that were frozen here, for platforms that cannot be read back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use babelfeed_actors::ports::{Dispatch, Frozen, OutletError, Published, ReadBack};
use serde::Serialize;

use super::part;

/// The most parts that are remembered.
const MAX_KNOWN: usize = 1000;

/// What one outlet remembers of its parts while it lives.
///
/// Only one outlet publishes to a platform at a time, so a part that was frozen here, and not
/// handed over since, is proved not to be out. What an earlier process sent is not known here.
#[derive(Default)]
pub(super) struct Ledger {
    entries: RefCell<VecDeque<(Arc<str>, Fate)>>,
}

enum Fate {
    /// Nothing of it has left.
    Kept,
    /// It left, or is just leaving.
    Left,
    /// It is out.
    Out(Published),
}

impl Ledger {
    /// Freezes a part as the JSON of a message.
    pub(super) fn freeze(
        &self,
        dispatch: Dispatch,
        message: &impl Serialize,
    ) -> Result<Frozen, OutletError> {
        let bytes = part::json(message)?;
        let key = Arc::from(part::key(&dispatch));
        if !self.knows(&key) {
            self.note(&key, Fate::Kept);
        }
        Ok(Frozen {
            dispatch,
            bytes: bytes.into(),
            key,
            mark: 0,
        })
    }

    /// Sends parts one after another, and remembers what became of them.
    pub(super) async fn send(
        &self,
        parts: &[Frozen],
        send: impl AsyncFn(&Frozen) -> Result<Published, OutletError>,
    ) -> Vec<Result<Published, OutletError>> {
        let send = async |part: &Frozen| {
            self.note(&part.key, Fate::Left);
            let answer = send(part).await;
            self.note_answer(&part.key, &answer);
            answer
        };
        part::send_each(parts, send).await
    }

    fn note_answer(&self, key: &Arc<str>, answer: &Result<Published, OutletError>) {
        match answer {
            Ok(published) => self.note(key, Fate::Out(published.clone())),
            Err(OutletError::Ambiguous { .. }) => (),
            Err(_) => self.note(key, Fate::Kept),
        }
    }

    /// What is known of a part.
    ///
    /// # Errors
    /// When it may be out, or not.
    pub(super) fn read_back(&self, part: &Frozen) -> Result<ReadBack, OutletError> {
        let entries = self.entries.borrow();
        let known = entries.iter().find(|(key, _)| *key == part.key);
        match known.map(|(_, fate)| fate) {
            Some(Fate::Out(published)) => Ok(ReadBack::Found(published.clone())),
            Some(Fate::Kept) => Ok(ReadBack::Absent),
            Some(Fate::Left) | None => Err(OutletError::Ambiguous {
                detail:
                    "this platform cannot be read back, so a person must look whether it is out"
                        .to_owned(),
            }),
        }
    }

    fn knows(&self, key: &str) -> bool {
        let entries = self.entries.borrow();
        entries.iter().any(|(known, _)| &**known == key)
    }

    fn note(&self, key: &Arc<str>, fate: Fate) {
        let mut entries = self.entries.borrow_mut();
        entries.retain(|(known, _)| known != key);
        if entries.len() >= MAX_KNOWN {
            entries.pop_front();
        }
        entries.push_back((Arc::clone(key), fate));
    }
}

//! How often media could not be had, so that a publication does not wait for them for ever.

use std::cell::RefCell;
use std::collections::HashMap;

use babelfeed_actors::domain::PublicationId;

/// How often a file that cannot be had now is waited for.
const MAX_FAILURES: u32 = 3;
/// The most publications whose failures are remembered.
const MAX_REMEMBERED: usize = 1000;

/// The failures of publications that are not frozen yet.
#[derive(Default)]
pub(super) struct Failures(RefCell<HashMap<PublicationId, u32>>);

impl Failures {
    /// Counts that something could not be had now, and answers whether another attempt is worth it.
    pub(super) fn waits(&self, publication: PublicationId) -> bool {
        let mut failures = self.0.borrow_mut();
        if failures.len() >= MAX_REMEMBERED {
            failures.clear();
        }
        let n_failures = failures.entry(publication).or_default();
        *n_failures += 1;
        *n_failures <= MAX_FAILURES
    }

    /// Notes that a publication waits no more.
    pub(super) fn forget(&self, publication: PublicationId) {
        self.0.borrow_mut().remove(&publication);
    }
}

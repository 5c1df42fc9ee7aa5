//! How often media did not get any further, so that a publication does not wait for them for ever.

use std::cell::RefCell;
use std::collections::HashMap;

use babelfeed_actors::domain::PublicationId;

/// The most publications whose failures are remembered.
const MAX_REMEMBERED: usize = 1000;

/// The failures of publications that are not frozen yet.
pub(super) struct Failures {
    /// How many of each are waited for.
    most: u32,
    counts: RefCell<HashMap<PublicationId, u32>>,
}

impl Failures {
    /// How often a file that cannot be had now is waited for.
    pub(super) const OF_DOWNLOADS: u32 = 3;

    /// None so far; so many of each publication are worth another attempt.
    pub(super) fn up_to(most: u32) -> Self {
        Self {
            most,
            counts: RefCell::default(),
        }
    }

    /// Counts that something did not get any further, and answers whether another attempt is worth it.
    pub(super) fn waits(&self, publication: PublicationId) -> bool {
        let mut failures = self.counts.borrow_mut();
        if failures.len() >= MAX_REMEMBERED {
            failures.clear();
        }
        let n_failures = failures.entry(publication).or_default();
        *n_failures += 1;
        *n_failures <= self.most
    }

    /// Notes that a publication waits no more.
    pub(super) fn forget(&self, publication: PublicationId) {
        self.counts.borrow_mut().remove(&publication);
    }
}

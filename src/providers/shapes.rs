//! The shapes that the calls of jobs were sent in, since what refuses them comes hours later.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The shape of the calls of each job that was created here and is not discarded.
#[derive(Debug)]
pub(super) struct Shapes<S>(RefCell<HashMap<Arc<str>, S>>);

impl<S> Default for Shapes<S> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<S: Copy> Shapes<S> {
    /// Keeps the shape of a job that was just created.
    pub(super) fn keep(&self, remote: &Arc<str>, sent: S) {
        self.0.borrow_mut().insert(Arc::clone(remote), sent);
    }

    /// The shape of a job's calls; none of a job that another process created.
    pub(super) fn of(&self, remote: &str) -> Option<S> {
        self.0.borrow().get(remote).copied()
    }

    /// Lets go of a job that is discarded.
    pub(super) fn forget(&self, remote: &str) {
        self.0.borrow_mut().remove(remote);
    }
}

//! Restarts an actor in place after it stops or panics; its address stays valid.

use std::sync::{Arc, Mutex};

/// How often each actor fell and was restarted, for whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Falls(Arc<Mutex<Vec<(&'static str, u64, u64)>>>);

impl Falls {
    /// (actor, falls, restarts), in the order in which the actors were started.
    pub fn list(&self) -> Vec<(&'static str, u64, u64)> {
        self.0.lock().map(|falls| falls.clone()).unwrap_or_default()
    }
}

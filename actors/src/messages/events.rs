//! What happens, for whoever listens: control, and tests.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::domain::{PublicationId, PublicationState, State, TaskId, Timestamp};

/// Something that happened to a task or a publication.
#[derive(Clone, Debug)]
pub enum Event {
    /// A task entered a state.
    Task {
        /// The task.
        id: TaskId,
        /// The state.
        state: State,
        /// When.
        at: Timestamp,
        /// Why, where it is not the ordinary course.
        why: Option<Arc<str>>,
    },
    /// A publication entered a state.
    Publication {
        /// The publication.
        id: PublicationId,
        /// The state.
        state: PublicationState,
        /// When.
        at: Timestamp,
        /// Why, where it is not the ordinary course.
        why: Option<Arc<str>>,
    },
}

/// Where events are told; a listener that falls behind by more than the bound loses the oldest.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Events {
    /// A bus that keeps so many events for the slowest listener.
    pub fn new(bound: usize) -> Self {
        Self(broadcast::Sender::new(bound))
    }

    /// Tells an event; costs next to nothing while nobody listens.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // An error means that the last listener has just left.
            let _ = self.0.send(event());
        }
    }

    /// Hears what happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

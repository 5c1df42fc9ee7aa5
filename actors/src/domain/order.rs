//! Where a task stands in the queue: its bucket, and its place inside it.

use super::{Class, Flow, Pair, TaskId, Timestamp};

/// Queued tasks that are alike in who may serve them and in who pays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Their class.
    pub class: Class,
    /// Their flow.
    pub flow: Flow,
    /// Their languages.
    pub pair: Pair,
}

/// A task's place inside its bucket: the earliest deadline first, then the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The deadline; the end of time where there is none.
    pub due: Timestamp,
    /// The task.
    pub id: TaskId,
}

impl Position {
    /// The place of a task with that deadline.
    pub fn new(deadline: Option<Timestamp>, id: TaskId) -> Self {
        Self {
            due: deadline.unwrap_or(Timestamp::from_millis(i64::MAX)),
            id,
        }
    }
}

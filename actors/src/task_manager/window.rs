//! The window of each bucket: which queued tasks stand in memory, and which on disk alone.
//!
//! Of each bucket every Queued task up to a cursor is in memory or in a call, and every task
//! behind it is on disk alone; without a cursor all of them are in memory.

use std::collections::HashMap;

use crate::domain::{Bucket, Position};

/// The most tasks in memory, all buckets together, as far as each gets its least.
const IN_MEMORY: usize = 16_384;
/// The least that a bucket's window holds.
const LEAST: usize = 64;
/// The most that a bucket's window holds.
const MOST: usize = 8_192;

/// The windows of all buckets.
#[derive(Debug, Default)]
pub(super) struct Windows {
    buckets: HashMap<Bucket, Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// The last place that is in memory; none when nothing is on disk alone.
    cursor: Option<Position>,
    /// The last place that ever was in memory.
    last: Option<Position>,
    in_memory: usize,
    is_loading: bool,
    /// The first of the tasks that were left on disk since the window began to load.
    left: Option<Position>,
}

/// What becomes of a task that wants a place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It gets one.
    Yes,
    /// It stays on disk, and is loaded when its turn is near.
    OnDisk,
}

/// What is to be loaded from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bucket: Bucket,
    pub(super) after: Option<Position>,
    pub(super) limit: usize,
}

impl Windows {
    fn size(&self) -> usize {
        (IN_MEMORY / self.buckets.len().max(1)).clamp(LEAST, MOST)
    }

    /// Notes a bucket that has tasks on disk, none of them in memory.
    pub(super) fn discover(&mut self, bucket: Bucket) {
        let window = self.buckets.entry(bucket).or_default();
        window.cursor = Some(first_place());
        window.last = Some(first_place());
    }

    /// Whether a task that has become Queued gets a place in memory; counts it if so.
    pub(super) fn admit(&mut self, bucket: &Bucket, position: Position) -> Room {
        let size = self.size();
        let window = match self.buckets.get_mut(bucket) {
            Some(window) => window,
            None => self.buckets.entry(bucket.clone()).or_default(),
        };
        let is_behind = window.cursor.is_some_and(|cursor| position > cursor);
        if is_behind {
            window.leave_on_disk(position);
            return Room::OnDisk;
        }
        if window.cursor.is_none() && window.in_memory >= size && Some(position) > window.last {
            window.cursor = window.last;
            window.leave_on_disk(position);
            return Room::OnDisk;
        }
        window.in_memory += 1;
        window.last = window.last.max(Some(position));
        Room::Yes
    }

    /// Counts a task that left memory.
    pub(super) fn leave(&mut self, bucket: &Bucket) {
        let Some(window) = self.buckets.get_mut(bucket) else {
            return;
        };
        window.in_memory = window.in_memory.saturating_sub(1);
        if window.in_memory == 0 && window.cursor.is_none() && !window.is_loading {
            self.buckets.remove(bucket);
        }
    }

    /// What is worth loading now; each is noted as being loaded.
    pub(super) fn loads(&mut self) -> Vec<Load> {
        let size = self.size();
        self.buckets
            .iter_mut()
            .filter(|(_, window)| {
                window.cursor.is_some() && !window.is_loading && window.in_memory <= size / 2
            })
            .map(|(bucket, window)| {
                window.is_loading = true;
                window.left = None;
                Load {
                    bucket: bucket.clone(),
                    after: window.cursor.filter(|cursor| *cursor != first_place()),
                    limit: size - window.in_memory,
                }
            })
            .collect()
    }

    /// Notes the places that a load brought, and tells how many of them get one in memory.
    ///
    /// What was left on disk meanwhile may be missing among them, so that nothing from there on
    /// counts as loaded.
    pub(super) fn loaded(&mut self, load: &Load, places: &[Position]) -> usize {
        let Some(window) = self.buckets.get_mut(&load.bucket) else {
            return places.len();
        };
        window.is_loading = false;
        let n_taken = match window.left {
            Some(left) => places.partition_point(|place| *place < left),
            None => places.len(),
        };
        if let Some(last) = places[..n_taken].last() {
            window.cursor = Some(*last);
            window.last = window.last.max(Some(*last));
        }
        if places.len() < load.limit && window.left.is_none() {
            window.cursor = None;
            if window.in_memory == 0 && places.is_empty() {
                self.buckets.remove(&load.bucket);
            }
        }
        n_taken
    }

    /// Notes that a load failed, so that it is tried again.
    pub(super) fn not_loaded(&mut self, load: &Load) {
        if let Some(window) = self.buckets.get_mut(&load.bucket) {
            window.is_loading = false;
        }
    }

    /// Counts a task that was in a call when everything else in memory was lost.
    pub(super) fn adopt(&mut self, bucket: &Bucket) {
        let window = self.buckets.entry(bucket.clone()).or_default();
        window.in_memory += 1;
    }

    /// Counts a loaded task as being in memory.
    pub(super) fn hold(&mut self, bucket: &Bucket) {
        if let Some(window) = self.buckets.get_mut(bucket) {
            window.in_memory += 1;
        }
    }
}

impl Window {
    fn leave_on_disk(&mut self, position: Position) {
        self.left = Some(self.left.map_or(position, |left| left.min(position)));
    }
}

/// A place before all others.
fn first_place() -> Position {
    Position {
        due: crate::domain::Timestamp::from_millis(i64::MIN),
        id: crate::domain::TaskId::from_bytes([0; 16]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Class, IdMint, Pair, Timestamp};

    fn bucket() -> Bucket {
        Bucket {
            class: Class::Normal,
            flow: "f".into(),
            pair: Pair {
                source: None,
                target: "es".parse().expect("a tag"),
            },
        }
    }

    #[derive(Clone, Debug)]
    enum Move {
        Admit(u64),
        Take,
        BeginLoad,
        EndLoad,
    }

    fn moves() -> impl Strategy<Value = Move> {
        prop_oneof![
            4 => (0_u64..1_000).prop_map(Move::Admit),
            3 => Just(Move::Take),
            2 => Just(Move::BeginLoad),
            2 => Just(Move::EndLoad),
        ]
    }

    proptest! {
        /// Whatever happens, every task is taken in the end, and none twice.
        #[test]
        fn no_task_is_forgotten_on_disk(
            moves in prop::collection::vec(moves(), 0..400),
            has_restarted in any::<bool>(),
        ) {
            let mut windows = Windows::default();
            windows.buckets.insert(bucket(), Window::default());
            if has_restarted {
                windows.discover(bucket());
            }
            let mut mint = IdMint::default();
            let (mut disk, mut memory, mut taken) = (BTreeSet::new(), BTreeSet::new(), 0);
            let mut loading: Option<(Load, Vec<Position>)> = None;
            let total = moves.iter().filter(|m| matches!(m, Move::Admit(_))).count();
            let settle = std::iter::repeat_n([Move::EndLoad, Move::BeginLoad, Move::EndLoad, Move::Take], 2_000);
            for step in moves.into_iter().chain(settle.flatten()) {
                match step {
                    Move::Admit(due) => {
                        let id = mint.next(Timestamp::from_millis(1), 0).task(1);
                        let position = Position::new(Some(Timestamp::from_millis(due as i64)), id);
                        disk.insert(position);
                        if windows.admit(&bucket(), position) == Room::Yes {
                            prop_assert!(memory.insert(position));
                        }
                    }
                    Move::Take => {
                        if let Some(position) = memory.pop_first() {
                            prop_assert!(disk.remove(&position));
                            taken += 1;
                            windows.leave(&bucket());
                        }
                    }
                    Move::BeginLoad => {
                        if loading.is_none() && let Some(mut load) = windows.loads().pop() {
                            // A small page, so that several are needed.
                            load.limit = 5;
                            let found = disk.iter().filter(|p| Some(**p) > load.after);
                            let found = found.take(load.limit).copied().collect();
                            loading = Some((load, found));
                        }
                    }
                    Move::EndLoad => {
                        if let Some((load, found)) = loading.take() {
                            let n_taken = windows.loaded(&load, &found);
                            for position in found.into_iter().take(n_taken) {
                                if memory.insert(position) {
                                    windows.hold(&bucket());
                                }
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(taken, total);
            prop_assert!(disk.is_empty() && memory.is_empty());
        }
    }
}

//! The window of each bucket: which queued tasks stand in memory, and which on disk alone.
//!
//! Both tasks and the bytes of their texts are bounded; one task of each bucket is always let in.
//! It is filled up with what soon has its turn, beside what has it already or cannot have it yet.
//! Of each bucket every Queued task up to a cursor is in memory or in a call, and every task
//! behind it is on disk, most of them there alone; without a cursor all of them are in memory.
//! A task before the cursor gets a place as long as the window has not twice its bound; then the
//! cursor goes back to it, and what is behind it in memory will be read a second time.

use std::collections::BTreeSet;

use foldhash::HashMap;

use crate::domain::{Bucket, Position};
use crate::ports::Portion;

/// The most tasks in memory, all buckets together, as far as each gets its least.
const IN_MEMORY: usize = 16_384;
/// The least that a bucket's window holds.
const LEAST: usize = 64;
/// The most that a bucket's window holds.
const MOST: usize = 8_192;
/// The fewest that are to be at hand in a bucket's window, within its bound, beside those that are
/// busy. A load takes less time than calls need for half of them; many more leave the processor's
/// cache before their turn.
const AT_HAND: usize = 1_024;
/// A load is worth it where one of so many equal parts of a window is free.
const PARTS: usize = 8;
/// The most bytes of texts in memory, all buckets together, as far as each gets its least.
const IN_BYTES: usize = 16 << 20;
/// The least bytes of a bucket's window: a long text, or a few.
const LEAST_BYTES: usize = 128 << 10;

/// The windows of all buckets.
#[derive(Debug)]
pub(super) struct Windows {
    buckets: HashMap<Bucket, Window>,
    /// The most in memory, as far as each bucket gets its least.
    most: Portion,
    /// How many of a bucket's tasks are to wait in memory for their turn.
    at_hand: usize,
    /// How many in memory do not, of all buckets: they are in calls or jobs, wait for some
    /// providers alone or behind an equal text, or back off. A caller's texts count as well.
    n_busy: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            buckets: HashMap::default(),
            most: Portion {
                tasks: IN_MEMORY,
                bytes: IN_BYTES,
            },
            at_hand: AT_HAND,
            n_busy: 0,
        }
    }
}

#[derive(Debug, Default)]
struct Window {
    /// The last place that is in memory; none when nothing is on disk alone.
    cursor: Option<Position>,
    /// The last place that ever was in memory.
    last: Option<Position>,
    in_memory: Portion,
    is_loading: bool,
    /// The first of the tasks that were left on disk since the window began to load.
    left: Option<Position>,
    /// Tasks behind the cursor that were in memory and have ended; the store may still have them
    /// in the queue when they are read again.
    ended: BTreeSet<Position>,
}

/// What becomes of a task that wants a place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It gets one.
    Yes,
    /// It stays on disk, and is loaded when its turn is near.
    OnDisk,
}

/// What of a load gets a place in memory.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// How many of the tasks, in order.
    pub(super) n_tasks: usize,
    /// Those among them that have ended meanwhile.
    pub(super) ended: BTreeSet<Position>,
}

/// What is to be loaded from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) bucket: Bucket,
    pub(super) after: Option<Position>,
    pub(super) limit: Portion,
}

impl Windows {
    /// Notes how many tasks calls can take at once, and how many in memory are busy.
    pub(super) fn note_demand(&mut self, in_calls: usize, n_busy: usize) {
        self.at_hand = in_calls.saturating_mul(2).clamp(AT_HAND, MOST);
        self.n_busy = n_busy;
    }

    /// The bound of a window.
    fn bound(&self) -> Portion {
        let n_buckets = self.buckets.len().max(1);
        Portion {
            tasks: (self.most.tasks / n_buckets).clamp(LEAST, MOST),
            bytes: (self.most.bytes / n_buckets).max(LEAST_BYTES),
        }
    }

    /// What a window of that bound is filled up to.
    fn size_within(&self, bound: Portion) -> Portion {
        let wanted = self.at_hand.saturating_add(self.n_busy);
        Portion {
            tasks: bound.tasks.min(wanted),
            ..bound
        }
    }

    /// Notes a bucket that has tasks on disk, none of them in memory.
    pub(super) fn discover(&mut self, bucket: Bucket) {
        let window = self.buckets.entry(bucket).or_default();
        window.cursor = Some(first_place());
        window.last = Some(first_place());
    }

    /// Whether a task that has become Queued gets a place in memory; counts it if so.
    pub(super) fn admit(&mut self, bucket: &Bucket, position: Position, bytes: usize) -> Room {
        let bound = self.bound();
        let size = self.size_within(bound);
        let window = match self.buckets.get_mut(bucket) {
            Some(window) => window,
            None => self.buckets.entry(bucket.clone()).or_default(),
        };
        if window.is_behind(position) {
            // It may be one that had ended, and was given another try.
            window.ended.remove(&position);
            window.leave_on_disk(position);
            return Room::OnDisk;
        }
        let twice = Portion {
            tasks: 2 * bound.tasks,
            bytes: 2 * bound.bytes,
        };
        if window.in_memory.reaches(twice) {
            // It comes back from disk in its turn, and what is behind it a second time.
            window.cursor = Some(before(position));
            window.leave_on_disk(position);
            return Room::OnDisk;
        }
        if window.cursor.is_none() && window.in_memory.reaches(size) && Some(position) > window.last
        {
            // What was in a call at a fall has no place that is known here.
            window.cursor = Some(window.last.unwrap_or(first_place()));
            window.leave_on_disk(position);
            return Room::OnDisk;
        }
        window.in_memory.add(bytes);
        window.last = window.last.max(Some(position));
        Room::Yes
    }

    /// Counts a task that left memory, because it has ended.
    pub(super) fn leave(&mut self, bucket: &Bucket, position: Position, bytes: usize) {
        let Some(window) = self.buckets.get_mut(bucket) else {
            return;
        };
        if window.is_behind(position) {
            window.ended.insert(position);
        }
        window.in_memory = Portion {
            tasks: window.in_memory.tasks.saturating_sub(1),
            bytes: window.in_memory.bytes.saturating_sub(bytes),
        };
        if window.in_memory.tasks == 0 && window.cursor.is_none() && !window.is_loading {
            self.buckets.remove(bucket);
        }
    }

    /// What is worth loading now; each is noted as being loaded.
    pub(super) fn loads(&mut self) -> Vec<Load> {
        let size = self.size_within(self.bound());
        let (at_hand, n_busy) = (self.at_hand, self.n_busy);
        let loads = self
            .buckets
            .iter_mut()
            .filter(|(_, window)| {
                let low = window.low(size, at_hand, n_busy);
                window.cursor.is_some() && !window.is_loading && !window.in_memory.reaches(low)
            })
            .map(|(bucket, window)| {
                window.is_loading = true;
                window.left = None;
                Load {
                    bucket: bucket.clone(),
                    after: window.cursor.filter(|cursor| *cursor != first_place()),
                    limit: Portion {
                        tasks: size.tasks - window.in_memory.tasks,
                        bytes: size.bytes - window.in_memory.bytes,
                    },
                }
            });
        let mut loads: Vec<Load> = loads.collect();
        loads.sort_by(|a, b| a.bucket.cmp(&b.bucket));
        loads
    }

    /// Notes the places that a load brought, with so many bytes, and tells which of them get one in
    /// memory, as far as they have none.
    ///
    /// What was left on disk meanwhile may be missing among them, so that nothing from there on
    /// counts as loaded.
    pub(super) fn loaded(&mut self, load: &Load, places: &[Position], bytes: usize) -> Taken {
        let Some(window) = self.buckets.get_mut(&load.bucket) else {
            return Taken {
                n_tasks: places.len(),
                ..Taken::default()
            };
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
        let ended = window.forget_ended();
        let tasks = places.len();
        let is_all = !Portion { tasks, bytes }.reaches(load.limit);
        if is_all && window.left.is_none() {
            window.cursor = None;
            window.ended.clear();
            if window.in_memory.tasks == 0 && places.is_empty() {
                self.buckets.remove(&load.bucket);
            }
        }
        Taken {
            n_tasks: n_taken,
            ended,
        }
    }

    /// Notes that a load failed, so that it is tried again.
    pub(super) fn not_loaded(&mut self, load: &Load) {
        if let Some(window) = self.buckets.get_mut(&load.bucket) {
            window.is_loading = false;
        }
    }

    /// Counts a task that was in a call when everything else in memory was lost.
    pub(super) fn adopt(&mut self, bucket: &Bucket, bytes: usize) {
        let window = self.buckets.entry(bucket.clone()).or_default();
        window.in_memory.add(bytes);
    }

    /// Counts a loaded task as being in memory.
    pub(super) fn hold(&mut self, bucket: &Bucket, bytes: usize) {
        if let Some(window) = self.buckets.get_mut(bucket) {
            window.in_memory.add(bytes);
        }
    }
}

impl Window {
    fn is_behind(&self, position: Position) -> bool {
        self.cursor.is_some_and(|cursor| position > cursor)
    }

    /// Forgets the ended tasks that the cursor has passed, and tells them.
    fn forget_ended(&mut self) -> BTreeSet<Position> {
        let Some(cursor) = self.cursor else {
            return BTreeSet::new();
        };
        let mut passed = std::mem::take(&mut self.ended);
        self.ended = passed.split_off(&cursor);
        if self.ended.remove(&cursor) {
            passed.insert(cursor);
        }
        passed
    }

    /// What it has at least where nothing is loaded.
    fn low(&self, size: Portion, at_hand: usize, n_busy: usize) -> Portion {
        let Portion { tasks, bytes } = self.in_memory;
        let n_busy = n_busy.min(tasks);
        // Of the bytes as large a part is taken for busy as of the tasks.
        let bytes_busy = bytes / tasks.max(1) * n_busy;
        Portion {
            tasks: low_mark(size.tasks, n_busy, at_hand),
            bytes: low_mark(size.bytes, bytes_busy, size.bytes),
        }
    }

    fn leave_on_disk(&mut self, position: Position) {
        self.left = Some(self.left.map_or(position, |left| left.min(position)));
    }
}

/// Where half is left of what is to be at hand beside the busy, but never so near the size that a
/// load is not worth it.
fn low_mark(size: usize, busy: usize, at_hand: usize) -> usize {
    let wanted = at_hand.min(size.saturating_sub(busy));
    size - (wanted / 2).max(size / PARTS)
}

/// A place before all others.
fn first_place() -> Position {
    Position {
        due: crate::domain::Timestamp::from_millis(i64::MIN),
        id: crate::domain::TaskId::from_bytes([0; 16]),
    }
}

/// The place right before another.
fn before(position: Position) -> Position {
    let mut id = *position.id.as_bytes();
    for byte in id.iter_mut().rev() {
        let (lower, borrows) = byte.overflowing_sub(1);
        *byte = lower;
        if !borrows {
            break;
        }
    }
    Position {
        due: position.due,
        id: crate::domain::TaskId::from_bytes(id),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        /// A task that is due then, with a text of so many KiB.
        Admit(u64, usize),
        /// So many are busy.
        Busy(usize),
        Take,
        Commit,
        BeginLoad,
        EndLoad,
    }

    fn moves() -> impl Strategy<Value = Move> {
        prop_oneof![
            8 => (0_u64..1_000, 0..100_usize).prop_map(|(due, size)| Move::Admit(due, size)),
            1 => (0..80_usize).prop_map(Move::Busy),
            3 => Just(Move::Take),
            1 => Just(Move::Commit),
            2 => Just(Move::BeginLoad),
            2 => Just(Move::EndLoad),
        ]
    }

    #[test]
    fn what_was_in_a_call_at_a_fall_leaves_no_later_task_behind_on_disk() {
        let mut windows = Windows::default();
        for _ in 0..2 {
            windows.adopt(&bucket(), IN_BYTES);
        }
        let id = IdMint::default().next(Timestamp::from_millis(1), 0).task(1);
        let position = Position::new(None, id);
        assert_eq!(windows.admit(&bucket(), position, 1), Room::OnDisk);
        for _ in 0..2 {
            windows.leave(&bucket(), position, IN_BYTES);
        }
        assert_eq!(windows.loads().len(), 1);
    }

    #[test]
    fn what_is_not_to_be_at_hand_stays_on_disk() {
        let (mut windows, mut mint) = (Windows::default(), IdMint::default());
        let admitted = std::iter::repeat_with(|| {
            let id = mint.next(Timestamp::from_millis(1), 0).task(1);
            windows.admit(&bucket(), Position::new(None, id), 1)
        });
        let n_admitted = admitted.take_while(|room| *room == Room::Yes).count();
        assert_eq!(n_admitted, AT_HAND);
    }

    /// The limits of what is loaded where as many tasks of so many bytes are in memory as are to
    /// be at hand, and so many are busy.
    fn limits(bytes: usize, n_busy: usize) -> Vec<Portion> {
        let mut windows = Windows::default();
        windows.discover(bucket());
        for _ in 0..AT_HAND {
            windows.hold(&bucket(), bytes);
        }
        windows.note_demand(1, n_busy);
        windows.loads().into_iter().map(|it| it.limit).collect()
    }

    #[test]
    fn nothing_is_loaded_while_half_of_what_is_to_be_at_hand_is_left() {
        assert_eq!(limits(1, AT_HAND / 2), []);
    }

    #[test]
    fn as_many_are_loaded_as_are_missing_at_hand() {
        let missing = Portion {
            tasks: AT_HAND / 2 + 1,
            bytes: IN_BYTES - AT_HAND,
        };
        assert_eq!(limits(1, AT_HAND / 2 + 1), [missing]);
    }

    #[test]
    fn large_texts_that_are_busy_keep_nothing_out() {
        let missing = Portion {
            tasks: AT_HAND,
            bytes: IN_BYTES - AT_HAND * (10 << 10),
        };
        assert_eq!(limits(10 << 10, AT_HAND), [missing]);
    }

    #[test]
    fn few_free_places_are_not_worth_a_load() {
        assert_eq!(limits(15 << 10, AT_HAND), []);
    }

    #[test]
    fn what_calls_can_take_is_at_hand_within_bounds() {
        for (in_calls, at_hand) in [(1, AT_HAND), (1_000, 2_000), (usize::MAX, MOST)] {
            let mut windows = Windows::default();
            windows.note_demand(in_calls, 0);
            assert_eq!(windows.size_within(windows.bound()).tasks, at_hand);
            windows.note_demand(in_calls, usize::MAX);
            assert_eq!(windows.size_within(windows.bound()).tasks, MOST);
        }
    }

    proptest! {
        /// Whatever happens, every task is taken in the end, and none twice.
        #[test]
        fn no_task_is_forgotten_on_disk(
            moves in prop::collection::vec(moves(), 0..800),
            has_restarted in any::<bool>(),
        ) {
            let most = Portion { tasks: LEAST, bytes: 1 << 20 };
            let mut windows = Windows { most, at_hand: 16, ..Windows::default() };
            windows.buckets.insert(bucket(), Window::default());
            if has_restarted {
                windows.discover(bucket());
            }
            let mut mint = IdMint::default();
            let (mut disk, mut memory, mut taken) = (BTreeMap::new(), BTreeMap::new(), 0);
            let mut unwritten = Vec::new();
            let mut loading: Option<(Load, Vec<(Position, usize)>)> = None;
            let total = moves.iter().filter(|m| matches!(m, Move::Admit(..))).count();
            let settle = std::iter::repeat_n([Move::EndLoad, Move::BeginLoad, Move::EndLoad, Move::Take, Move::Commit], 2_000);
            for step in moves.into_iter().chain(settle.flatten()) {
                match step {
                    Move::Admit(due, kib) => {
                        let bytes = kib << 10;
                        let id = mint.next(Timestamp::from_millis(1), 0).task(1);
                        let position = Position::new(Some(Timestamp::from_millis(due as i64)), id);
                        disk.insert(position, bytes);
                        if windows.admit(&bucket(), position, bytes) == Room::Yes {
                            prop_assert_eq!(memory.insert(position, bytes), None);
                        }
                    }
                    Move::Busy(n_busy) => windows.n_busy = n_busy,
                    Move::Take => {
                        if let Some((position, bytes)) = memory.pop_first() {
                            // The store hears of it later.
                            unwritten.push(position);
                            taken += 1;
                            windows.leave(&bucket(), position, bytes);
                        }
                    }
                    Move::Commit => {
                        for position in unwritten.drain(..) {
                            prop_assert!(disk.remove(&position).is_some());
                        }
                    }
                    Move::BeginLoad => {
                        if loading.is_none() && let Some(mut load) = windows.loads().pop() {
                            // A small page, so that several are needed.
                            load.limit.tasks = 5;
                            let mut read = Portion::default();
                            let behind = disk.iter().filter(|(place, _)| Some(**place) > load.after);
                            let fits = behind.take_while(|(_, bytes)| {
                                let fits = !read.reaches(load.limit);
                                read.add(**bytes);
                                fits
                            });
                            let found = fits.map(|(place, bytes)| (*place, *bytes)).collect();
                            loading = Some((load, found));
                        }
                    }
                    Move::EndLoad => {
                        if let Some((load, found)) = loading.take() {
                            let places: Vec<Position> = found.iter().map(|(it, _)| *it).collect();
                            let bytes = found.iter().map(|(_, bytes)| bytes).sum();
                            let Taken { n_tasks, ended } = windows.loaded(&load, &places, bytes);
                            for (position, bytes) in found.into_iter().take(n_tasks) {
                                let is_new = !memory.contains_key(&position);
                                if !ended.contains(&position) && is_new {
                                    memory.insert(position, bytes);
                                    windows.hold(&bucket(), bytes);
                                }
                            }
                        }
                    }
                }
                prop_assert!(memory.len() <= 2 * LEAST, "{}", memory.len());
                let bytes: usize = memory.values().sum();
                prop_assert!(bytes < (2 << 20) + (100 << 10), "{}", bytes);
            }
            prop_assert_eq!(taken, total);
            prop_assert!(disk.is_empty() && memory.is_empty());
        }
    }
}

//! The translations known in memory: bounded, read from any thread.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::known::is_due;
use crate::domain::{Timestamp, Translation};

/// The key of a known translation.
type Key = [u8; 16];

/// What an entry takes beside its text, in bytes.
const ENTRY_BYTES: u64 = 160;
/// The most evictions that are remembered until somebody asks for them.
const EVICTIONS: usize = 20_000;

/// The whole room of a shelf, of which each entry weighs its share.
const ROOM: u64 = 1_000_000_000;

type Known = Cache<Key, Entry, Shares, RandomState, Notes>;

/// Translations by key, bounded by entries and bytes, each known for a time.
///
/// Any thread reads; one writes.
#[derive(Debug)]
pub struct Shelf {
    known: Known,
    /// How many bytes the entries take; to sum them up anew would be to visit each.
    bytes: AtomicU64,
    evicted: Mutex<Vec<Key>>,
    ttl: Duration,
    hits: AtomicU64,
}

#[derive(Clone, Debug)]
struct Entry {
    translation: Arc<Translation>,
    at: Timestamp,
    /// How often it was asked for since it was made, or since it was last asked for anew.
    asked: Arc<AtomicU32>,
}

/// What is known under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// A translation that is good.
    Good(Arc<Translation>),
    /// A translation that is good, and worth being made anew before its time is over.
    Due(Arc<Translation>),
    /// Its time is over; it is known no more.
    Old,
    /// None.
    Nothing,
}

impl Shelf {
    /// A shelf that holds so many entries and bytes at most, each for so long.
    pub fn new(max_entries: u64, max_bytes: u64, ttl: Duration) -> Self {
        let shares = Shares {
            entries: max_entries.max(1) as f64,
            bytes: max_bytes.max(1) as f64,
        };
        Self {
            known: build(max_entries, shares),
            bytes: AtomicU64::new(0),
            evicted: Mutex::default(),
            ttl,
            hits: AtomicU64::new(0),
        }
    }

    /// What is known under a key; counts a hit where it is good.
    pub fn take(&self, key: &Key, now: Timestamp) -> Kept {
        let Some(entry) = self.known.get(key) else {
            return Kept::Nothing;
        };
        let age = now.since(entry.at);
        if age >= self.ttl {
            self.remove(key);
            return Kept::Old;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        let n_asked = entry.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if is_due(age, self.ttl, n_asked) {
            Kept::Due(entry.translation)
        } else {
            Kept::Good(entry.translation)
        }
    }

    /// The translations under all of these keys, where each is good and none is due; counts a
    /// hit for each then, and nothing otherwise.
    pub fn take_all(&self, keys: &[Key], now: Timestamp) -> Option<Vec<Arc<Translation>>> {
        let good = |key: &Key| {
            let entry = self.known.get(key)?;
            let age = now.since(entry.at);
            let n_asked = entry.asked.load(Ordering::Relaxed) + 1;
            (age < self.ttl && !is_due(age, self.ttl, n_asked)).then_some(entry)
        };
        let entries: Vec<Entry> = keys.iter().map(good).collect::<Option<_>>()?;
        self.hits.fetch_add(keys.len() as u64, Ordering::Relaxed);
        let taken = entries.into_iter().map(|entry| {
            entry.asked.fetch_add(1, Ordering::Relaxed);
            entry.translation
        });
        Some(taken.collect())
    }

    /// Lets a translation be asked for as often again before it is due again.
    pub fn put_off(&self, key: &Key) {
        if let Some(entry) = self.known.get(key) {
            entry.asked.store(0, Ordering::Relaxed);
        }
    }

    /// Keeps a translation that was made at that time; one that nearly no other would have room
    /// beside counts as evicted at once.
    pub fn insert(&self, key: Key, translation: Arc<Translation>, at: Timestamp) {
        let entry = Entry {
            translation,
            at,
            asked: Arc::default(),
        };
        self.bytes.fetch_add(size_of(&entry), Ordering::Relaxed);
        let mut gone = Gone::default();
        self.known.insert_with_lifecycle(key, entry, &mut gone);
        self.bytes.fetch_sub(gone.bytes, Ordering::Relaxed);
        // What another takes the place of is gone as well, under a key that is there.
        gone.keys
            .retain(|gone| *gone != key || !self.contains(&key));
        gone.keys.dedup();
        if !gone.keys.is_empty() {
            let mut evicted = self.evicted.lock().unwrap_or_else(PoisonError::into_inner);
            let n_more = EVICTIONS.saturating_sub(evicted.len());
            evicted.extend(gone.keys.into_iter().take(n_more));
        }
    }

    fn remove(&self, key: &Key) {
        if let Some((_, entry)) = self.known.remove(key) {
            self.bytes.fetch_sub(size_of(&entry), Ordering::Relaxed);
        }
    }

    /// Whether something is kept under a key, good or old.
    pub fn contains(&self, key: &Key) -> bool {
        self.known.contains_key(key)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.known.clear();
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// The keys that were evicted for want of room since the last time; of very many
    /// only the oldest.
    pub fn take_evicted(&self) -> Vec<Key> {
        std::mem::take(&mut *self.evicted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often a good translation was found.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many entries there are, and how many bytes they take.
    pub fn size(&self) -> (u64, u64) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (self.known.len() as u64, bytes)
    }
}

fn size_of(entry: &Entry) -> u64 {
    entry.translation.text.len() as u64 + ENTRY_BYTES
}

/// What an entry weighs: the larger of its shares of all entries and of all bytes.
#[derive(Clone, Copy, Debug)]
struct Shares {
    entries: f64,
    bytes: f64,
}

impl Weighter<Key, Entry> for Shares {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        let share = (1.0 / self.entries).max(size_of(entry) as f64 / self.bytes);
        (share * ROOM as f64).ceil() as u64
    }
}

/// What an insertion drove out.
#[derive(Debug, Default)]
struct Gone {
    keys: Vec<Key>,
    bytes: u64,
}

/// Notes what insertions drive out.
#[derive(Clone, Copy, Debug)]
struct Notes;

impl Lifecycle<Key, Entry> for Notes {
    type RequestState = Gone;

    fn on_evict(&self, gone: &mut Gone, key: Key, entry: Entry) {
        gone.keys.push(key);
        gone.bytes += size_of(&entry);
    }
}

/// A cache of one part: several would each have a share of the room, which one large entry may
/// exceed, and who writes holds a lock for less than a microsecond.
fn build(max_entries: u64, shares: Shares) -> Known {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(usize::try_from(max_entries).unwrap_or(usize::MAX).max(1))
        .weight_capacity(ROOM)
        .build()
        .expect("everything that options must have is there");
    Cache::with_options(options, shares, RandomState::default(), Notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn translation(text: &str) -> Arc<Translation> {
        Arc::new(Translation {
            text: text.into(),
            provider: "p".into(),
            model: "m".into(),
            cached: false,
            usage: Default::default(),
        })
    }

    fn shelf() -> Shelf {
        Shelf::new(100, 1 << 20, Duration::from_secs(100))
    }

    #[test]
    fn a_translation_is_known_until_its_time_is_over() {
        let shelf = shelf();
        shelf.insert([1; 16], translation("uno"), at(0));
        assert_eq!(shelf.take(&[1; 16], at(99)), Kept::Good(translation("uno")));
        assert_eq!(shelf.take(&[1; 16], at(100)), Kept::Old);
        assert_eq!(shelf.take(&[1; 16], at(100)), Kept::Nothing);
        assert_eq!(shelf.hits(), 1);
    }

    #[test]
    fn all_are_taken_or_none_and_none_that_is_due() {
        let shelf = shelf();
        shelf.insert([1; 16], translation("uno"), at(0));
        assert_eq!(shelf.take_all(&[[1; 16], [2; 16]], at(1)), None);
        assert_eq!(shelf.hits(), 0, "what was not taken is no hit");
        shelf.insert([2; 16], translation("dos"), at(0));
        let both = Some(vec![translation("uno"), translation("dos")]);
        for _ in 0..3 {
            assert_eq!(shelf.take_all(&[[1; 16], [2; 16]], at(90)), both);
        }
        assert_eq!(shelf.take_all(&[[1; 16], [2; 16]], at(90)), None, "due");
        assert_eq!(shelf.take(&[1; 16], at(90)), Kept::Due(translation("uno")));
        shelf.put_off(&[1; 16]);
        assert_eq!(shelf.take(&[1; 16], at(90)), Kept::Good(translation("uno")));
    }

    #[test]
    fn what_has_no_room_is_evicted_and_told() {
        let shelf = Shelf::new(10, 1 << 20, Duration::from_secs(100));
        for number in 0..200 {
            shelf.insert([number; 16], translation("x"), at(0));
        }
        let (entries, bytes) = shelf.size();
        assert!((1..=10).contains(&entries), "{entries}");
        assert_eq!(bytes, entries * (1 + ENTRY_BYTES));
        let evicted = shelf.take_evicted();
        assert_eq!(evicted.len() as u64 + entries, 200);
        assert!(evicted.iter().all(|key| !shelf.contains(key)));
        assert!(shelf.take_evicted().is_empty());
    }

    #[test]
    fn bytes_are_those_of_what_is_there() {
        let shelf = shelf();
        let n_bytes = |texts: &[&str]| {
            let bytes = texts.iter().map(|text| text.len() as u64 + ENTRY_BYTES);
            (texts.len() as u64, bytes.sum())
        };
        shelf.insert([1; 16], translation("uno"), at(0));
        shelf.insert([2; 16], translation("dos"), at(0));
        shelf.insert([2; 16], translation("dos otra vez"), at(50));
        assert_eq!(shelf.size(), n_bytes(&["uno", "dos otra vez"]));

        assert_eq!(shelf.take(&[1; 16], at(120)), Kept::Old);
        assert_eq!(shelf.size(), n_bytes(&["dos otra vez"]));

        shelf.clear();
        assert_eq!(shelf.size(), n_bytes(&[]));

        shelf.insert([3; 16], translation("tres"), at(130));
        shelf.insert([3; 16], translation(&"x".repeat(1 << 20)), at(130));
        assert_eq!(shelf.size(), n_bytes(&[]), "it would need all the room");
        assert_eq!(shelf.take_evicted(), [[3; 16]]);
    }
}

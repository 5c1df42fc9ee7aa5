//! Identities of lines that tell none: what they say, and how often it was said before.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::{HashMap, HashMapExt as _};
use sha2::{Digest, Sha256};

use super::cursor::Place;

/// How often each line stands before a place in a file.
#[derive(Debug)]
pub(super) struct Counts {
    generation: u64,
    offset: u64,
    lines: HashMap<u64, u32>,
}

/// What was counted up to the end of the last poll, so that a file that grows is not read from its
/// start each time.
pub(super) type Memory = Arc<Mutex<Option<Counts>>>;

impl Counts {
    /// Before the first line of a file.
    pub(super) fn begin(place: &Place) -> Self {
        Self {
            generation: place.generation,
            offset: 0,
            lines: HashMap::new(),
        }
    }

    /// What is remembered, if it ends at that place.
    pub(super) fn recall(memory: &Memory, place: &Place) -> Option<Self> {
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |counts: &Counts| {
            (counts.generation, counts.offset) == (place.generation, place.offset)
        };
        memory.take_if(|counts| is_there(counts))
    }

    /// Remembers what was counted up to that place.
    pub(super) fn keep(mut self, memory: &Memory, place: &Place) {
        self.offset = place.offset;
        *memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// Counts a line, and answers its identity: the same wherever in the file it stands.
    pub(super) fn note(&mut self, line: &[u8]) -> String {
        let hash = hash(line);
        let n_before = self.lines.entry(hash).or_insert(0);
        let id = format!("{:016x}-{hash:016x}-{n_before}", self.generation);
        *n_before += 1;
        id
    }
}

/// A hash of what a line says.
pub(super) fn hash(line: &[u8]) -> u64 {
    let digest = Sha256::digest(line.trim_ascii());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

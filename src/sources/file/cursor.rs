//! How far a file was read, so that the same file is known again.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use babelfeed_actors::ports::Cursor;
use sha2::{Digest, Sha256};

/// The most bytes of a file's beginning that tell it from another.
const HEAD: u64 = 1024;
/// The most bytes before the place that was reached, which tell it from another.
const TAIL: u64 = 256;
/// The first byte of a cursor of this shape.
const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 * 4 + 1;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file's inode.
    pub(super) inode: u64,
    /// The bytes that were read.
    pub(super) offset: u64,
    /// Tells one life of the file from the next; part of the identity of lines without an id.
    pub(super) generation: u64,
    /// Whether the place lies inside a line that is too long and is being skipped.
    pub(super) is_skipping: bool,
}

/// A place with a fingerprint of what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The place.
    pub(super) place: Place,
    fingerprint: [u8; 8],
}

impl Place {
    /// The beginning of a file that was never read.
    pub(super) fn first(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            offset: 0,
            generation: metadata.ino(),
            is_skipping: false,
        }
    }

    /// The beginning of what took this one's place; the same each time it is asked for.
    pub(super) fn successor(&self, metadata: &Metadata) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.generation.to_be_bytes());
        hash.update(metadata.ino().to_be_bytes());
        Self {
            generation: u64::from_be_bytes(first_eight(hash)),
            ..Self::first(metadata)
        }
    }

    /// Takes the fingerprint of the file before this place.
    pub(super) fn mark(self, file: &File) -> io::Result<Mark> {
        let fingerprint = fingerprint(file, self.offset)?;
        Ok(Mark {
            place: self,
            fingerprint,
        })
    }
}

impl Mark {
    /// Whether this file still holds what was read, whatever its inode is now.
    pub(super) fn fits(&self, file: &File) -> io::Result<bool> {
        if file.metadata()?.len() < self.place.offset {
            return Ok(false);
        }
        Ok(fingerprint(file, self.place.offset)? == self.fingerprint)
    }

    /// The mark as the store keeps it.
    pub(super) fn to_cursor(self) -> Cursor {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend(self.place.inode.to_be_bytes());
        bytes.extend(self.place.offset.to_be_bytes());
        bytes.extend(self.place.generation.to_be_bytes());
        bytes.extend(self.fingerprint);
        bytes.push(u8::from(self.place.is_skipping));
        Cursor(bytes)
    }

    /// The mark that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let bytes: &[u8; LENGTH] = cursor.0.as_slice().try_into().ok()?;
        let word = |at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        (bytes[0] == VERSION).then_some(())?;
        Some(Self {
            place: Place {
                inode: word(1)?,
                offset: word(9)?,
                generation: word(17)?,
                is_skipping: bytes[33] == 1,
            },
            fingerprint: word(25)?.to_be_bytes(),
        })
    }
}

fn fingerprint(file: &File, offset: u64) -> io::Result<[u8; 8]> {
    let mut hash = Sha256::new();
    hash.update(read_at(file, 0, offset.min(HEAD))?);
    let tail = offset.min(TAIL);
    hash.update(read_at(file, offset - tail, tail)?);
    Ok(first_eight(hash))
}

fn read_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn first_eight(hash: Sha256) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.finalize()[..8]);
    bytes
}

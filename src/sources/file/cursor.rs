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
const VERSION: u8 = 2;
const LENGTH: usize = 1 + 8 * 4 + 1 + 8;
/// The same of the shape before, which did not tell when the file was written to.
const OLD_VERSION: u8 = 1;
const OLD_LENGTH: usize = LENGTH - 8;

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
    /// When the file was written to last, in nanoseconds since 1970; none where that was not kept.
    pub(super) written_at: Option<i64>,
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

    /// The same place in another file, which begins alike.
    pub(super) fn in_file(self, metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            ..self
        }
    }

    /// Takes the fingerprint of the file before this place.
    pub(super) fn mark(self, file: &File) -> io::Result<Mark> {
        let fingerprint = fingerprint(file, self.offset)?;
        Ok(Mark {
            place: self,
            fingerprint,
            written_at: Some(written_at(&file.metadata()?)),
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
        bytes.extend(self.written_at.unwrap_or(i64::MAX).to_be_bytes());
        Cursor(bytes)
    }

    /// The mark that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let bytes = cursor.0.as_slice();
        let is_known = match *bytes.first()? {
            VERSION => bytes.len() == LENGTH,
            OLD_VERSION => bytes.len() == OLD_LENGTH,
            _ => false,
        };
        is_known.then_some(())?;
        let word = |at: usize| {
            let word = bytes.get(at..at + 8)?;
            word.try_into().map(u64::from_be_bytes).ok()
        };
        Some(Self {
            place: Place {
                inode: word(1)?,
                offset: word(9)?,
                generation: word(17)?,
                is_skipping: bytes[33] == 1,
            },
            fingerprint: word(25)?.to_be_bytes(),
            written_at: word(OLD_LENGTH).map(u64::cast_signed),
        })
    }
}

/// When a file was written to last, in nanoseconds since 1970.
pub(super) fn written_at(metadata: &Metadata) -> i64 {
    let nanos = metadata.mtime().saturating_mul(1_000_000_000);
    nanos.saturating_add(metadata.mtime_nsec())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_kept_whole_and_one_of_the_shape_before_is_still_known() {
        let mark = Mark {
            place: Place {
                inode: 7,
                offset: 9,
                generation: 11,
                is_skipping: true,
            },
            fingerprint: *b"12345678",
            written_at: Some(13),
        };
        let kept = mark.to_cursor();
        assert_eq!(Mark::from_cursor(&kept), Some(mark));
        let mut old = kept.0.clone();
        old[0] = OLD_VERSION;
        assert_eq!(Mark::from_cursor(&Cursor(old.clone())), None);
        old.truncate(OLD_LENGTH);
        let expected = Mark {
            written_at: None,
            ..mark
        };
        assert_eq!(Mark::from_cursor(&Cursor(old)), Some(expected));
    }
}

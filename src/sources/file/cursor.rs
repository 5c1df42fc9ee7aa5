//! How far a file was read, so that the same file is known again.

use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, Seek as _};
use std::os::unix::fs::{FileExt, MetadataExt};

use babelfeed_actors::ports::Cursor;
use sha2::{Digest, Sha256};

use super::count::hash;

/// The most bytes of a file's beginning that tell it from another.
const HEAD: u64 = 1024;
/// The most bytes before the place that was reached, which tell it from another.
const TAIL: u64 = 256;
/// The most bytes before that place of which whole lines are remembered.
const REMEMBERED: u64 = 4096;
/// The most lines that are remembered.
const MAX_LINES: usize = 16;
/// The first byte of a cursor of this shape.
const VERSION: u8 = 3;
/// The same of the shape before, which remembered no lines.
const VERSION_2: u8 = 2;
pub(super) const LENGTH: usize = 1 + 8 * 4 + 1 + 8;
/// The same of the shape before that, which did not tell when the file was written to.
const VERSION_1: u8 = 1;
const LENGTH_1: usize = LENGTH - 8;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The place.
    pub(super) place: Place,
    fingerprint: [u8; 8],
    /// When the file was written to last, in nanoseconds since 1970; none where that was not kept.
    pub(super) written_at: Option<i64>,
    /// Hashes of the last lines before the place; none where those were not kept, and lines were
    /// known by where they stood.
    lines: Option<Vec<u64>>,
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

    /// The beginning of the same file, which was saved anew.
    pub(super) fn again(&self, metadata: &Metadata) -> Self {
        Self {
            generation: self.generation,
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
            lines: Some(last_lines(file, self.offset)?),
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

    /// Whether most of the last lines that were read stand somewhere in this file, as in one that
    /// was saved anew with changes.
    pub(super) fn is_most_in(&self, mut file: &File) -> io::Result<bool> {
        let lines = self.lines.as_deref().unwrap_or_default();
        if lines.is_empty() {
            return Ok(false);
        }
        let mut missing = lines.to_vec();
        let mut line = Vec::new();
        file.rewind()?;
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        while missing.len() * 2 >= lines.len() {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(false);
            }
            let hash = hash(&line);
            if let Some(found) = missing.iter().position(|it| *it == hash) {
                missing.swap_remove(found);
            }
        }
        Ok(true)
    }

    /// Whether lines before the place are not known by what they say.
    pub(super) const fn is_of_places(&self) -> bool {
        self.lines.is_none()
    }

    /// The mark as the store keeps it.
    pub(super) fn to_cursor(&self) -> Cursor {
        let lines = self.lines.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(LENGTH + lines.len() * 8);
        bytes.push(VERSION);
        bytes.extend(self.place.inode.to_be_bytes());
        bytes.extend(self.place.offset.to_be_bytes());
        bytes.extend(self.place.generation.to_be_bytes());
        bytes.extend(self.fingerprint);
        bytes.push(u8::from(self.place.is_skipping));
        bytes.extend(self.written_at.unwrap_or(i64::MAX).to_be_bytes());
        bytes.extend(lines.iter().flat_map(|line| line.to_be_bytes()));
        Cursor(bytes)
    }

    /// The mark that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let bytes = cursor.0.as_slice();
        let is_known = match *bytes.first()? {
            VERSION => bytes.len() >= LENGTH && (bytes.len() - LENGTH).is_multiple_of(8),
            VERSION_2 => bytes.len() == LENGTH,
            VERSION_1 => bytes.len() == LENGTH_1,
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
            written_at: word(LENGTH_1).map(u64::cast_signed),
            lines: (bytes[0] == VERSION)
                .then(|| (LENGTH..bytes.len()).step_by(8).filter_map(word).collect()),
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

/// Hashes of the last whole lines before an offset.
fn last_lines(file: &File, offset: u64) -> io::Result<Vec<u64>> {
    let length = offset.min(REMEMBERED);
    let bytes = read_at(file, offset - length, length)?;
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if length < offset {
        // What it begins with is cut off.
        lines.remove(0);
    }
    let said = lines
        .iter()
        .rev()
        .filter(|line| !line.trim_ascii().is_empty());
    Ok(said.take(MAX_LINES).map(|line| hash(line)).collect())
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
    fn a_mark_is_kept_whole_and_those_of_the_shapes_before_are_still_known() {
        let mark = Mark {
            place: Place {
                inode: 7,
                offset: 9,
                generation: 11,
                is_skipping: true,
            },
            fingerprint: *b"12345678",
            written_at: Some(13),
            lines: Some(vec![17, 19]),
        };
        let kept = mark.to_cursor();
        assert_eq!(Mark::from_cursor(&kept).as_ref(), Some(&mark));
        let mut old = kept.0.clone();
        old[0] = VERSION_2;
        assert_eq!(Mark::from_cursor(&Cursor(old.clone())), None);
        old.truncate(LENGTH);
        let second = Mark {
            lines: None,
            ..mark
        };
        let read = Mark::from_cursor(&Cursor(old.clone()));
        assert_eq!(read.as_ref(), Some(&second));
        old[0] = VERSION_1;
        old.truncate(LENGTH_1);
        let first = Mark {
            written_at: None,
            ..second
        };
        assert_eq!(Mark::from_cursor(&Cursor(old)), Some(first));
    }
}

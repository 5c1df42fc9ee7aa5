//! Room on the disk that is kept back, so that work in flight can end when space runs out.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::{info, warn};

/// How often at most it is tried to take the room back.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// A file that is deleted first when space runs out.
pub(super) struct Ballast {
    path: PathBuf,
    size: u64,
    room: Room,
    tried_at: Option<Instant>,
    /// Whether it was said that it could not be taken.
    is_missed: bool,
}

/// How the room that is kept back stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It has not been taken yet, for which a start does not wait.
    NotYet,
    /// It is kept back.
    Kept,
    /// It was given up, or could not be taken, and new work has to wait until it is there.
    GivenUp,
}

impl Ballast {
    /// The room as an earlier start left it; a size of 0 means to keep nothing back.
    pub(super) fn new(path: PathBuf, size: u64) -> Self {
        let mut ballast = Self {
            path,
            size,
            room: Room::NotYet,
            tried_at: None,
            is_missed: false,
        };
        if size == 0 {
            ballast.remove();
        } else if fs::metadata(&ballast.path).is_ok_and(|found| found.len() == size) {
            ballast.room = Room::Kept;
        }
        ballast
    }

    /// Whether there is no such room for work in flight, so that new work has to wait for it.
    pub(super) fn is_gone(&self) -> bool {
        self.size > 0 && self.room == Room::GivenUp
    }

    /// Whether there is room to be taken when there is time for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.size > 0 && self.room != Room::Kept
    }

    /// Gives the room up; tells whether there was any. What was not taken yet is not to be had
    /// on a full disk.
    pub(super) fn release(&mut self) -> bool {
        if std::mem::replace(&mut self.room, Room::GivenUp) != Room::Kept {
            return false;
        }
        self.tried_at = Some(Instant::now());
        warn!(path:% = self.path.display(); "disk full, ballast given up");
        self.remove()
    }

    /// Takes the room if there is enough of it, at most once in five seconds; new work waits while
    /// there is not, also after a start on a full disk.
    pub(super) fn restore(&mut self) {
        let is_too_early = self.tried_at.is_some_and(|at| at.elapsed() < TRY_EVERY);
        if !self.is_wanted() || is_too_early {
            return;
        }
        self.tried_at = Some(Instant::now());
        match self.write() {
            Ok(()) => {
                self.room = Room::Kept;
                self.is_missed = false;
                info!(path:% = self.path.display(); "ballast taken");
            }
            Err(error) => {
                self.room = Room::GivenUp;
                // Said once, and again only after it was taken.
                if !std::mem::replace(&mut self.is_missed, true) {
                    let free = self.size.saturating_mul(2);
                    warn!(
                        path:% = self.path.display(), wanted_bytes = free, cause:% = error;
                        "ballast not taken, no new work until there is room for it"
                    );
                }
                self.remove();
            }
        }
    }

    /// Writes twice the size and keeps half, so that giving it up and taking it back
    /// do not follow each other at once.
    fn write(&self) -> io::Result<()> {
        let block = [0x5a; 64 * 1024];
        let mut file = File::create(&self.path)?;
        let mut left = self.size.saturating_mul(2);
        while left > 0 {
            let length = left.min(block.len() as u64);
            file.write_all(&block[..usize::try_from(length).unwrap_or(block.len())])?;
            left -= length;
        }
        file.sync_data()?;
        file.set_len(self.size)
    }

    fn remove(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_taken_when_there_is_time_and_no_start_waits_for_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("ballast");
        let mut ballast = Ballast::new(path.clone(), 8 * 1_024);
        assert!(!path.exists() && ballast.is_wanted() && !ballast.is_gone());
        ballast.restore();
        assert_eq!(fs::metadata(&path).unwrap().len(), 8 * 1_024);
        assert!(!ballast.is_wanted());
        assert!(ballast.release() && ballast.is_gone() && !path.exists());
    }

    #[test]
    fn room_that_a_start_could_not_take_is_gone_until_it_is_taken() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("not-yet").join("ballast");
        let mut ballast = Ballast::new(path.clone(), 8 * 1_024);
        ballast.restore();
        assert!(ballast.is_gone() && ballast.is_wanted());
        assert!(!ballast.release());

        fs::create_dir(path.parent().unwrap()).unwrap();
        ballast.tried_at = None;
        ballast.restore();
        assert!(!ballast.is_gone() && !ballast.is_wanted());
    }

    #[test]
    fn a_disk_that_is_full_before_the_room_was_taken_has_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut ballast = Ballast::new(folder.path().join("ballast"), 8 * 1_024);
        assert!(!ballast.release() && ballast.is_gone());
        let mut none = Ballast::new(folder.path().join("ballast"), 0);
        assert!(!none.release() && !none.is_gone());
    }
}

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
    is_there: bool,
    tried_at: Option<Instant>,
}

impl Ballast {
    /// Takes the room, if there is enough; a size of 0 means to keep nothing back.
    pub(super) fn new(path: PathBuf, size: u64) -> Self {
        let mut ballast = Self {
            path,
            size,
            is_there: false,
            tried_at: None,
        };
        if size == 0 {
            ballast.remove();
        } else if fs::metadata(&ballast.path).is_ok_and(|found| found.len() == size) {
            ballast.is_there = true;
        } else {
            ballast.restore();
        }
        ballast
    }

    /// Whether the room was given up and new work has to wait until it is back.
    pub(super) const fn is_gone(&self) -> bool {
        self.size > 0 && !self.is_there
    }

    /// Gives the room up; tells whether there was any.
    pub(super) fn release(&mut self) -> bool {
        if !self.is_there {
            return false;
        }
        self.is_there = false;
        self.tried_at = Some(Instant::now());
        warn!(path:% = self.path.display(); "disk full, ballast given up");
        self.remove()
    }

    /// Takes the room back if there is enough of it again, at most once in five seconds.
    pub(super) fn restore(&mut self) {
        let is_too_early = self.tried_at.is_some_and(|at| at.elapsed() < TRY_EVERY);
        if !self.is_gone() || is_too_early {
            return;
        }
        self.tried_at = Some(Instant::now());
        match self.write() {
            Ok(()) => {
                self.is_there = true;
                info!(path:% = self.path.display(); "ballast taken");
            }
            Err(error) => {
                warn!(path:% = self.path.display(), cause:% = error; "ballast not taken");
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

//! The lock of the data folder: one process at a time works in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use log::warn;

/// The lock of a data folder; given back when it is dropped, or when the process ends.
#[derive(Debug)]
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Locks the folder, which is made if it is not there.
    ///
    /// # Errors
    /// When another process holds it, which is named, or the folder cannot be used.
    pub(super) fn acquire(data_dir: &Path) -> anyhow::Result<Self> {
        let shown = data_dir.display();
        fs::create_dir_all(data_dir).with_context(|| format!("cannot make {shown}"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(data_dir.join("lock"))
            .with_context(|| format!("cannot open the lock in {shown}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever holds it is refused all the same when its number cannot be read.
                let _ = file.read_to_string(&mut holder);
                let holder = Some(holder.trim()).filter(|it| !it.is_empty());
                bail!(
                    "{shown} is in use by process {}, expected to work in it alone",
                    holder.unwrap_or("unknown")
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {shown}"));
            }
        }
        let noted = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            // It is held all the same, and only a second process hears less.
            warn!(path = shown.to_string().as_str(), cause:% = error; "the lock does not name this process");
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("data");
        let first = DataLock::acquire(&data_dir).expect("free");
        let refused = DataLock::acquire(&data_dir).expect_err("held").to_string();
        let pid = std::process::id().to_string();
        assert!(refused.contains(&format!("process {pid}")), "{refused}");
        drop(first);
        DataLock::acquire(&data_dir).expect("free again");
    }
}

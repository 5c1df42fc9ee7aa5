//! What can go wrong inside the store, before it is told to a caller.

use std::fmt;

use babelfeed_actors::ports::StoreError;
use rusqlite::{ErrorCode, ffi};

/// Something went wrong with the database or with what stands in it.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// A row does not say what a row of its kind says.
    Damaged(&'static str),
    /// A task is to be kept in a state that no row is ever in.
    Unkept,
}

impl Fault {
    /// Whether the disk, a quota of it, or what the settings leave of it, is full.
    ///
    /// SQLite tells a full quota (`EDQUOT`), as ZFS, btrfs and NFS have it, only as a write that
    /// failed. Any other such failure counts as this as well: no new work is taken, and giving the
    /// ballast up for it costs one try.
    pub(super) fn is_no_space(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.sqlite_error().is_some_and(|error| {
            error.code == ErrorCode::DiskFull
                || matches!(
                    error.extended_code,
                    ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE
                )
        })
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<&Fault> for StoreError {
    fn from(fault: &Fault) -> Self {
        let detail = fault.to_string();
        if fault.is_no_space() {
            Self::NoSpace { detail }
        } else {
            Self::Failed { detail }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Damaged(wanted) => write!(f, "a row is damaged, expected {wanted}"),
            Self::Unkept => f.write_str("a task is kept Queued, Processing, Completed or Failed"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_quota_is_a_full_disk_and_a_read_that_fails_is_not() {
        for (code, is_no_space) in [
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_IOERR_WRITE, true),
            (ffi::SQLITE_IOERR_SHMSIZE, true),
            (ffi::SQLITE_IOERR_READ, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_CORRUPT, false),
        ] {
            let error = ffi::Error::new(code);
            let fault = Fault::from(rusqlite::Error::SqliteFailure(error, None));
            assert_eq!(fault.is_no_space(), is_no_space, "{error}");
            let told = matches!(StoreError::from(&fault), StoreError::NoSpace { .. });
            assert_eq!(told, is_no_space, "{error}");
        }
    }
}

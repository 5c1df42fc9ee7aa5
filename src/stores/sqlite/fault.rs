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
    /// Whether the disk, or what the settings leave of it, is full.
    pub(super) fn is_no_space(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.sqlite_error().is_some_and(|error| {
            error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE
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

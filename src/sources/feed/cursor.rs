//! What a feed said of its version, so that an unchanged one need not be read again.

use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};

/// The version of a feed that was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The `ETag`, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// The `Last-Modified`, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<String>,
    /// The file's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileVersion>,
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileVersion {
    /// The inode.
    pub(super) inode: u64,
    /// The length in bytes.
    pub(super) length: u64,
    /// The time of the last change, in whole seconds.
    pub(super) seconds: i64,
    /// The rest of that time, in nanoseconds.
    pub(super) nanos: i64,
}

impl Seen {
    /// The version as the store keeps it.
    pub(super) fn to_cursor(&self) -> Cursor {
        // A struct of texts and numbers is always JSON; an empty cursor reads all again.
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The version that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice(&cursor.0).ok()
    }
}

//! How far the accounts of a source were read.

use std::collections::BTreeMap;

use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 at which X's ids begin.
const EPOCH: u64 = 1_288_834_974_657;

/// Every account by its name in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) accounts: BTreeMap<String, Account>,
    /// The number of the last event of the stream that was shown.
    #[serde(default)]
    pub(super) told: u64,
}

/// How far one account was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Its id: looking it up costs.
    pub(super) id: String,
    /// The newest post that was read; 1 where there was none yet.
    pub(super) since: u64,
}

impl Seen {
    /// The place as the store keeps it.
    pub(super) fn to_cursor(&self) -> Cursor {
        // Texts and numbers are always JSON.
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The place that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice(&cursor.0).ok()
    }
}

/// When the post of that id was posted, in milliseconds since 1970.
pub(super) const fn millis_of(id: u64) -> u64 {
    (id >> 22).saturating_add(EPOCH)
}

/// An id that lies so many milliseconds before another.
pub(super) const fn before(id: u64, millis: u64) -> u64 {
    id.saturating_sub(millis << 22)
}

//! How far an account or a feed was read: a point in time, and what was seen since somewhat before it.

use std::collections::{BTreeMap, BTreeSet};

use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};

use crate::atproto::PostPlace;

/// How far back each poll looks again, in milliseconds: posts may bear a time before the one at
/// which they come, and then stand below what was seen already.
pub(super) const OVERLAP: i64 = 24 * 3_600_000;

/// What was read of an account, or of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// When the newest post was published that was seen, in milliseconds since 1970.
    pub(super) newest: i64,
    /// What was seen since the beginning of the overlap: ids, and when they were published.
    pub(super) posts: BTreeMap<String, i64>,
    /// How far the stream was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<u64>,
}

impl Seen {
    pub(super) fn of(cursor: Option<&Cursor>) -> Option<Self> {
        serde_json::from_slice(&cursor?.0).ok()
    }

    pub(super) fn to_cursor(&self) -> Cursor {
        // A struct of texts and numbers is always JSON; an empty cursor reads all again.
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Nothing published before is looked at again.
    pub(super) fn since(&self) -> i64 {
        self.newest.saturating_sub(OVERLAP)
    }

    /// Whether a post was seen.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.posts.contains_key(id)
    }

    /// Notes a post, and says whether it is new.
    pub(super) fn note(&mut self, id: &str, at: i64) -> bool {
        self.newest = self.newest.max(at);
        self.posts.insert(id.to_owned(), at).is_none()
    }

    /// The records that were seen since the beginning of the overlap, by rising keys; no reposts.
    pub(super) fn records(&self) -> impl Iterator<Item = &str> {
        let since = self.since();
        let records = self.posts.iter().filter(move |(_, at)| **at >= since);
        records
            .map(|(id, _)| id.as_str())
            .filter(|id| PostPlace::of_uri(id).is_some())
    }

    /// Forgets what is old and not present.
    pub(super) fn forget_all_but(&mut self, present: &BTreeSet<String>) {
        let since = self.since();
        self.posts
            .retain(|id, at| *at >= since || present.contains(id));
    }

    /// Forgets what will not be looked at again.
    pub(super) fn forget_old(&mut self) {
        let since = self.since();
        self.posts.retain(|_, at| *at >= since);
    }
}

//! What an account's posts look like on the wire.

use serde::Deserialize;
use serde_json::Value;

/// A page of a feed, the newest first where it is that of an account.
#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    pub(super) cursor: Option<String>,
    #[serde(default)]
    pub(super) feed: Vec<Entry>,
}

/// A place in a feed.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) post: View,
    /// Why it stands there, if it is not its author's own doing.
    pub(super) reason: Option<Reason>,
}

/// A post as it is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    pub(super) uri: String,
    pub(super) author: Author,
    pub(super) record: Value,
    /// What hangs on it, with addresses.
    #[serde(default)]
    pub(super) embed: Value,
    #[serde(default)]
    pub(super) indexed_at: String,
}

/// Who wrote a post.
#[derive(Debug, Deserialize)]
pub(super) struct Author {
    pub(super) handle: String,
    /// What it says of itself, and others of it.
    #[serde(default)]
    pub(super) labels: Vec<Label>,
}

/// What somebody is called.
#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) val: String,
}

/// Why a post stands in a feed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reason {
    #[serde(rename = "$type")]
    pub(super) kind: String,
    pub(super) uri: Option<String>,
    #[serde(default)]
    pub(super) indexed_at: String,
}

/// A page of records.
#[derive(Debug, Deserialize)]
pub(super) struct Records {
    pub(super) cursor: Option<String>,
    #[serde(default)]
    pub(super) records: Vec<Record>,
}

/// A record as its server keeps it.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) uri: String,
    pub(super) value: Value,
}

/// What a handle stands for.
#[derive(Debug, Deserialize)]
pub(super) struct Resolved {
    pub(super) did: String,
}

/// A post's record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostRecord {
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) langs: Vec<String>,
    #[serde(default)]
    pub(super) facets: Vec<Facet>,
    pub(super) reply: Option<Reply>,
    #[serde(default)]
    pub(super) embed: Value,
    #[serde(default)]
    pub(super) labels: Value,
    /// What made it, where that says so.
    pub(super) via: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Facet {
    pub(super) index: Index,
    #[serde(default)]
    pub(super) features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) byte_start: usize,
    pub(super) byte_end: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Feature {
    /// Where a link leads; other features have none.
    pub(super) uri: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) root: Reference,
    pub(super) parent: Reference,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) uri: String,
}

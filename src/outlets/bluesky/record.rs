//! A post as a record of `app.bsky.feed.post`, and what else goes over the wire.

use std::collections::BTreeMap;

use babelfeed_actors::domain::{Publication, Timestamp};
use babelfeed_actors::logic::fit::{self, Displayed, FacetKind};
use babelfeed_actors::ports::OutletError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::atproto::{POSTS, PostPlace};

/// The permanent names of accounts by their handles, in lower case.
pub(super) type Accounts = BTreeMap<String, String>;

/// A handle that was resolved.
#[derive(Debug, Deserialize)]
pub(super) struct Resolved {
    pub(super) did: String,
}

/// A post.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Post {
    #[serde(rename = "$type")]
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) created_at: String,
    pub(super) langs: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) facets: Vec<Facet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) embed: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<Value>,
    /// Which publication it is, so that a source that reads this account passes it over.
    #[serde(default)]
    pub(super) via: String,
}

/// A place in a text that leads somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Facet {
    index: Index,
    features: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    byte_start: usize,
    byte_end: usize,
}

/// What a post answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) root: Reference,
    pub(super) parent: Reference,
}

/// A record in one version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) uri: String,
    pub(super) cid: String,
}

/// The writing of a post under a key; it changes nothing where the same stands there already,
/// and is refused where something else does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Put {
    pub(super) repo: String,
    pub(super) collection: String,
    pub(super) rkey: String,
    /// Always null: the post is new.
    pub(super) swap_record: Option<String>,
    pub(super) record: Post,
}

/// A record that stands.
#[derive(Debug, Deserialize)]
pub(super) struct Standing {
    pub(super) uri: String,
    pub(super) cid: String,
    #[serde(default)]
    pub(super) value: Value,
}

/// A file that was uploaded.
#[derive(Debug, Deserialize)]
pub(super) struct Uploaded {
    /// What stands for it in a record, to be copied as it is.
    pub(super) blob: Value,
}

impl Post {
    /// A post with what is displayed, its mentions of these accounts alive.
    pub(super) fn new(
        displayed: &Displayed,
        accounts: &Accounts,
        publication: &Publication,
        at: Timestamp,
    ) -> Self {
        let facets = displayed.facets.iter();
        Self {
            kind: POSTS.to_owned(),
            text: displayed.text.clone(),
            created_at: at.to_string(),
            langs: vec![publication.language.as_str().to_owned()],
            facets: facets.filter_map(|it| Facet::of(it, accounts)).collect(),
            reply: None,
            embed: None,
            labels: None,
            via: format!("babelfeed {}", publication.id),
        }
    }
}

impl Facet {
    fn of(facet: &fit::Facet, accounts: &Accounts) -> Option<Self> {
        let feature = match &facet.kind {
            FacetKind::Link(uri) => json!({"$type": "app.bsky.richtext.facet#link", "uri": uri}),
            FacetKind::Tag(tag) => json!({"$type": "app.bsky.richtext.facet#tag", "tag": tag}),
            // Who is not known stays plain text, which alerts nobody.
            FacetKind::Mention(handle) => {
                let did = accounts.get(&handle.to_lowercase())?;
                json!({"$type": "app.bsky.richtext.facet#mention", "did": did})
            }
        };
        Some(Self {
            index: Index {
                byte_start: facet.range.start,
                byte_end: facet.range.end,
            },
            features: vec![feature],
        })
    }
}

/// The label that covers media until somebody asks for them.
pub(super) fn sensitive() -> Value {
    json!({
        "$type": "com.atproto.label.defs#selfLabels",
        "values": [{"val": "graphic-media"}],
    })
}

impl Reference {
    /// The record that an id of ours names.
    pub(super) fn of_id(id: &str) -> Result<Self, OutletError> {
        let named = id.split_once(' ');
        let named = named.filter(|(uri, _)| PostPlace::of_uri(uri).is_some());
        let (uri, cid) = named.ok_or_else(|| OutletError::Rejected {
            detail: format!("`{id}` names no post, expected its address and its cid"),
        })?;
        Ok(Self {
            uri: uri.to_owned(),
            cid: cid.to_owned(),
        })
    }

    /// The id by which others know the record.
    pub(super) fn to_id(&self) -> String {
        format!("{} {}", self.uri, self.cid)
    }

    /// Where the post stands; none where the address is none of a post.
    pub(super) fn place(&self) -> Option<PostPlace> {
        PostPlace::of_uri(&self.uri)
    }
}

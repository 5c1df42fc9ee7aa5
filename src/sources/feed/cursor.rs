//! What a feed said of its version, and which items it showed then.

use babelfeed_actors::domain::Post;
use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most items that are remembered, the newest.
const MAX_ITEMS: usize = 100;

/// The version of a feed that was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Its newest items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) items: Vec<Item>,
}

/// What is remembered of an item: its identity, and what stays where a feed gives it another, both
/// as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item(u32, u32);

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
    /// Remembers the items that a feed shows, the oldest first. Where all of them bear ids that it
    /// did not show before, and some are the same nevertheless, those and all before them are
    /// marked as shown; answers how many.
    pub(super) fn note(&mut self, posts: &mut [Post]) -> usize {
        if posts.is_empty() {
            return 0;
        }
        let items: Vec<Item> = posts.iter().map(Item::of).collect();
        let knows_id = |item: &Item| self.items.iter().any(|it| it.0 == item.0);
        let is_same = |item: &Item| self.items.iter().any(|it| it.1 == item.1);
        let last_same = items.iter().rposition(is_same);
        let n_renamed = match last_same {
            Some(last) if !items.iter().any(knows_id) => last + 1,
            _ => 0,
        };
        for post in &mut posts[..n_renamed] {
            post.was_shown = true;
        }
        self.items = items[items.len().saturating_sub(MAX_ITEMS)..].to_vec();
        n_renamed
    }

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

impl Item {
    fn of(post: &Post) -> Self {
        // Words change with whoever writes the feed anew; the date of an item does not.
        let stays = match post.created_at {
            Some(at) => hash(&at.as_millis().to_string()),
            None => hash(&post.text),
        };
        Self(hash(&post.id), stays)
    }
}

fn hash(text: &str) -> u32 {
    let digest = Sha256::digest(text);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::domain::Timestamp;

    use super::*;

    /// Items by what their ids begin with, each of its own hour.
    fn items(ids: &str, hours: std::ops::Range<i64>) -> Vec<Post> {
        let items = hours.map(|hour| Post {
            created_at: Some(Timestamp::from_millis(hour * 3_600_000)),
            ..Post::new("news".into(), format!("{ids}{hour}"), "Text")
        });
        items.collect()
    }

    fn n_shown(posts: &[Post]) -> usize {
        posts.iter().filter(|post| post.was_shown).count()
    }

    #[test]
    fn items_that_got_other_ids_all_at_once_were_shown() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(&mut items("http://a/", 0..300)), 0);
        let mut seen = Seen::from_cursor(&seen.to_cursor()).expect("is read");
        let mut renamed = items("https://a/", 0..302);
        assert_eq!(seen.note(&mut renamed), 300);
        assert_eq!(n_shown(&renamed), 300);
        assert!(!renamed[300].was_shown && !renamed[301].was_shown);
        let mut next = items("https://a/", 3..304);
        assert_eq!((seen.note(&mut next), n_shown(&next)), (0, 0));
    }

    #[test]
    fn new_items_are_new_however_many_came() {
        let mut seen = Seen::default();
        let mut undated = |texts: &[&str], ids: &str| {
            let posts = texts.iter().enumerate();
            let posts = posts.map(|(n, text)| Post::new("news".into(), format!("{ids}{n}"), *text));
            let mut posts: Vec<Post> = posts.collect();
            seen.note(&mut posts);
            n_shown(&posts)
        };
        assert_eq!(undated(&["One", "Two"], "a"), 0);
        assert_eq!(undated(&["Three", "Four"], "b"), 0, "nothing is the same");
        assert_eq!(undated(&[], "b"), 0);
        assert_eq!(undated(&["Four", "Five"], "c"), 1);
    }
}

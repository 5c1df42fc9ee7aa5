//! What a feed said of its version, and which items it showed then.

use std::collections::BTreeSet;

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

/// What is remembered of an item, as hashes: its identity, its date, or its words where it has none,
/// and its words; of these 0 where they are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item(u32, u32, #[serde(default)] u32);

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
    ///
    /// Where half of them come again by their dates, of which there are several, they are the same
    /// whatever their words are, since these change with whoever writes the feed anew. A date alone
    /// proves nothing: many feeds tell days.
    pub(super) fn note(&mut self, posts: &mut [Post]) -> usize {
        if posts.is_empty() {
            return 0;
        }
        let items: Vec<Item> = posts.iter().map(Item::of).collect();
        let knows_id = |item: &Item| self.items.iter().any(|it| it.0 == item.0);
        let n_renamed = match items.iter().any(knows_id) {
            true => 0,
            false => self.n_renamed(&items),
        };
        for post in &mut posts[..n_renamed] {
            post.was_shown = true;
        }
        self.items = items[items.len().saturating_sub(MAX_ITEMS)..].to_vec();
        n_renamed
    }

    /// How many of items with other ids were shown before.
    fn n_renamed(&self, items: &[Item]) -> usize {
        // Each known item is found once, since several may be of one day.
        let mut left: Vec<u32> = self.items.iter().map(|it| it.1).collect();
        let mut dates = BTreeSet::new();
        let mut end = 0;
        for (place, item) in items.iter().enumerate() {
            if let Some(found) = left.iter().position(|date| *date == item.1) {
                dates.insert(left.swap_remove(found));
                end = place + 1;
            }
        }
        let n_found = self.items.len() - left.len();
        if dates.len() > 1 && n_found * 2 >= self.items.len() {
            return end;
        }
        let is_same = |item: &Item| {
            let mut known = self.items.iter();
            item.2 != 0 && known.any(|it| (it.1, it.2) == (item.1, item.2))
        };
        items.iter().rposition(is_same).map_or(0, |last| last + 1)
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
        let words = match post.text.as_str() {
            "" => 0,
            text => hash(text),
        };
        let date = post.created_at.map(|at| hash(&at.as_millis().to_string()));
        Self(hash(&post.id), date.unwrap_or(words), words)
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
    fn items_of_the_same_days_are_new_unless_half_of_them_come_again() {
        let day = |ids: &str, day: i64, words: &str| Post {
            created_at: Some(Timestamp::from_millis(day * 86_400_000)),
            ..Post::new("news".into(), ids, words)
        };
        let n_shown_after = |before: &[Post], mut after: Vec<Post>| {
            let mut seen = Seen::default();
            seen.note(&mut before.to_vec());
            seen.note(&mut after);
            n_shown(&after)
        };
        let one = [day("a", 1, "One")];
        assert_eq!(n_shown_after(&one, vec![day("b", 1, "Two")]), 0);
        assert_eq!(n_shown_after(&one, vec![day("b", 1, "One")]), 1, "renamed");
        let renamed = vec![day("b", 1, "One"), day("c", 1, "Two")];
        assert_eq!(n_shown_after(&one, renamed), 1);
        let many = [1, 1, 2, 3].map(|at| day(&at.to_string(), at, "Text"));
        let turned_over = [3, 3, 3, 4].map(|at| day(&format!("b{at}"), at, "Other"));
        assert_eq!(n_shown_after(&many, turned_over.to_vec()), 0);
        let rewritten = [1, 2, 3, 3].map(|at| day(&format!("b{at}"), at, "Other"));
        assert_eq!(n_shown_after(&many, rewritten.to_vec()), 3);
    }

    #[test]
    fn what_an_earlier_version_remembered_is_read() {
        let kept = Cursor(br#"{"items":[[1,2]]}"#.to_vec());
        let seen = Seen::from_cursor(&kept).expect("is read");
        assert_eq!(seen.items, [Item(1, 2, 0)]);
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

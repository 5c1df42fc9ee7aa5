//! Which of an author's posts go on in a conversation with somebody else.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use crate::domain::{Post, Relation};

/// The most posts of a source of which it is known: they are written down with each poll.
const MOST: usize = 250;
/// What a place begins with that bears such posts; no source's own begins so.
const HEAD: &[u8; 4] = b"\0to:";
/// The bytes of one post.
const BYTES: usize = size_of::<Mark>();

/// A short hash of a post's id.
type Mark = u64;

/// The posts of a source that answer somebody else, as far as they came lately.
///
/// Some networks tell of a post only whom the post right before it is by, so what an author adds to
/// an answer of their own seems to be a thread of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Talks {
    posts: VecDeque<Mark>,
}

impl Talks {
    /// What was kept with a source's place, and the place itself.
    pub fn read(kept: &[u8]) -> (Self, &[u8]) {
        let parted = || {
            let (n_posts, rest) = kept.strip_prefix(HEAD)?.split_first_chunk::<2>()?;
            let n_bytes = usize::from(u16::from_be_bytes(*n_posts)) * BYTES;
            rest.split_at_checked(n_bytes)
        };
        let Some((posts, place)) = parted() else {
            return (Self::default(), kept);
        };
        let posts = posts.as_chunks::<BYTES>().0.iter();
        let posts = posts.map(|bytes| Mark::from_be_bytes(*bytes));
        let posts = posts.collect();
        (Self { posts }, place)
    }

    /// A source's place with this, as it is kept; without any such posts as it is.
    pub fn write(&self, place: &[u8]) -> Vec<u8> {
        if self.posts.is_empty() {
            return place.to_vec();
        }
        let n_posts = u16::try_from(self.posts.len()).unwrap_or(u16::MAX);
        let posts = self.posts.iter().take(usize::from(n_posts));
        let mut kept = HEAD.to_vec();
        kept.extend(n_posts.to_be_bytes());
        kept.extend(posts.flat_map(|post| post.to_be_bytes()));
        kept.extend(place);
        kept
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// Takes a post for an answer to somebody else that goes on with such an answer; posts come in
    /// the order in which they were written.
    pub fn tell_apart(&mut self, post: &mut Post) {
        let parent = post.parent.as_deref();
        if parent.is_some_and(|parent| self.posts.contains(&mark(parent))) {
            post.relation = Relation::Reply;
        }
        let own = mark(&post.id);
        if post.relation != Relation::Reply || self.posts.contains(&own) {
            return;
        }
        if self.posts.len() == MOST {
            self.posts.pop_front();
        }
        self.posts.push_back(own);
    }
}

fn mark(id: &str) -> Mark {
    let hash = Sha256::digest(id);
    let bytes = hash.iter().take(BYTES);
    bytes.fold(0, |mark, byte| (mark << 8) | Mark::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: &str, parent: Option<&str>, relation: Relation) -> Post {
        Post {
            parent: parent.map(str::to_owned),
            relation,
            ..Post::new("news".into(), id, "A text.")
        }
    }

    #[test]
    fn what_goes_on_with_an_answer_to_somebody_is_one() {
        let mut talks = Talks::default();
        let mut told = |id: &str, parent: Option<&str>, relation| {
            let mut post = post(id, parent, relation);
            talks.tell_apart(&mut post);
            post.relation
        };
        assert_eq!(told("own", None, Relation::Own), Relation::Own);
        assert_eq!(told("thread", Some("own"), Relation::Own), Relation::Own);
        assert_eq!(told("answer", None, Relation::Reply), Relation::Reply);
        assert_eq!(told("more", Some("answer"), Relation::Own), Relation::Reply);
        assert_eq!(
            told("still", Some("more"), Relation::Quote),
            Relation::Reply
        );
        assert_eq!(told("other", Some("thread"), Relation::Own), Relation::Own);
    }

    #[test]
    fn only_so_many_answers_are_remembered() {
        let mut talks = Talks::default();
        for number in 0..2 * MOST {
            talks.tell_apart(&mut post(&number.to_string(), None, Relation::Reply));
        }
        assert_eq!(talks.posts.len(), MOST);
        let kept = talks.write(b"place");
        assert_eq!(Talks::read(&kept), (talks, &b"place"[..]));
    }

    #[test]
    fn a_place_without_answers_or_of_before_is_read_as_it_is() {
        for place in [&b"place"[..], b"", b"\0to:", b"\0to:\0\x02too short"] {
            assert_eq!(Talks::read(place), (Talks::default(), place));
            assert_eq!(Talks::default().write(place), place);
        }
    }
}

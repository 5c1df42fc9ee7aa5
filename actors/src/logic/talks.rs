//! Which of an author's posts go on in a conversation with somebody else.

use std::collections::VecDeque;

use crate::domain::{Post, Relation};

/// The most posts of a source of which it is known.
const MOST: usize = 1_000;

/// The posts of a source that answer somebody else, as far as they came lately.
///
/// Some networks tell of a post only whom the post right before it is by, so what an author adds to
/// an answer of their own seems to be a thread of theirs.
#[derive(Debug, Default)]
pub struct Talks {
    ids: VecDeque<Box<str>>,
}

impl Talks {
    /// Takes a post for an answer to somebody else that goes on with such an answer; posts come in
    /// the order in which they were written.
    pub fn tell_apart(&mut self, post: &mut Post) {
        let parent = post.parent.as_deref();
        let goes_on = parent.is_some_and(|parent| self.ids.iter().any(|id| **id == *parent));
        if goes_on {
            post.relation = Relation::Reply;
        }
        if post.relation != Relation::Reply {
            return;
        }
        if self.ids.len() == MOST {
            self.ids.pop_front();
        }
        self.ids.push_back(post.id.as_str().into());
    }
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
        assert_eq!(talks.ids.len(), MOST);
    }
}

//! Which posts that a source shows are publications of ours.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::{OutletName, Post, Publication, PublicationState};
use crate::logic::x_text::composed;
use crate::ports::{Outlet, StoreError, TaskStore};

/// In which states something may be out whose id is not known, in the order in which they follow
/// one another: what moves on while they are read is found in one of them.
const OPEN: [PublicationState; 3] = [
    PublicationState::Sending,
    PublicationState::Unknown,
    PublicationState::Scheduled,
];
/// The most publications of an outlet that are looked at in each of these states.
const MOST: usize = 1_000;

/// Tells posts of others from publications of ours.
pub(super) struct Ours<'a> {
    store: &'a dyn TaskStore,
    /// The outlets that publish where the source reads.
    outlets: &'a [(OutletName, Rc<dyn Outlet>)],
}

/// What may be out without a known id.
struct Open {
    publication: Arc<Publication>,
    /// The words of a part of it.
    words: String,
    /// Who published it, where that is known.
    author: Option<String>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(
        store: &'a dyn TaskStore,
        outlets: &'a [(OutletName, Rc<dyn Outlet>)],
    ) -> Self {
        Self { store, outlets }
    }

    /// The posts that are not publications of ours, and those that are: a feed outlet names them by
    /// their ids, others in what the source reads of them, and some networks know no such names.
    pub(super) async fn part(
        &self,
        posts: Vec<Post>,
    ) -> Result<(Vec<Post>, Vec<Post>), StoreError> {
        let mut others = Vec::with_capacity(posts.len());
        let mut our_own = Vec::new();
        let open = match posts.is_empty() {
            true => Vec::new(),
            // Read before ids are asked for: what is out by then has its id in the store.
            false => self.open().await?,
        };
        let out = self.out(&posts).await?;
        for post in posts {
            let is_known = out.contains(post.id.as_str());
            let is_open = || open.iter().any(|open| open.may_be(&post));
            if is_known || self.is_named(&post).await? || is_open() {
                our_own.push(post);
            } else {
                others.push(post);
            }
        }
        Ok((others, our_own))
    }

    async fn is_named(&self, post: &Post) -> Result<bool, StoreError> {
        let by_id = || post.id.strip_prefix("urn:uuid:")?.parse().ok();
        match post.publication.or_else(by_id) {
            Some(id) => Ok(self.store.publication(id).await?.is_some()),
            None => Ok(false),
        }
    }

    /// The ids of those posts that are known to be out, read at once.
    async fn out(&self, posts: &[Post]) -> Result<HashSet<Arc<str>>, StoreError> {
        if self.outlets.is_empty() || posts.is_empty() {
            return Ok(HashSet::new());
        }
        let outlets = self.outlets.iter().map(|it| it.0.clone()).collect();
        let ids = posts.iter().map(|post| post.id.as_str().into()).collect();
        let out = self.store.published_among(outlets, ids).await?;
        Ok(out.into_iter().collect())
    }

    async fn open(&self) -> Result<Vec<Open>, StoreError> {
        let mut open = Vec::new();
        for (name, outlet) in self.outlets {
            for state in OPEN {
                let found = self.store.publications_in(name.clone(), state, None, MOST);
                for record in found.await? {
                    let publication = record.publication;
                    let unproved = publication.parts.iter().filter(|part| part.id.is_none());
                    open.extend(unproved.map(|part| Open {
                        publication: Arc::clone(&publication),
                        words: words(&part.text),
                        author: outlet.author(),
                    }));
                }
            }
        }
        open.retain(|open| !open.words.is_empty());
        Ok(open)
    }
}

impl Open {
    /// Whether a post may be it: one of the same author that says the same, and is not the one
    /// that it was made of.
    fn may_be(&self, post: &Post) -> bool {
        let origin = (&*self.publication.source, &*self.publication.post);
        let authors = self.author.as_ref().zip(post.author.as_ref());
        origin != (post.source.as_str(), post.id.as_str())
            && authors.is_none_or(|(ours, its)| ours.eq_ignore_ascii_case(its))
            && says_the_same(&post.text, &self.words)
    }
}

/// Whether a post has those words, and hardly any others, like a warning or a link beside them.
fn says_the_same(post: &str, open: &str) -> bool {
    let post = words(post);
    post.contains(open) && post.len() <= open.len() * 2
}

/// The letters and digits of a text: all else may be changed by the place where it is published.
fn words(text: &str) -> String {
    let text = text.replace("https://", "").replace("http://", "");
    composed(&text)
        .chars()
        .filter(|char| char.is_alphanumeric())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_known_by_its_words_however_they_are_set() {
        let same = |post: &str, open: &str| says_the_same(post, &words(open));
        let open = "Hola, mundo: https://a.example/b/";
        assert!(same(
            "Hola, mundo:\n\na.example/b https://t.example/1",
            open
        ));
        assert!(same("Hola,  mundo: https://a.example/b", open));
        assert!(same("Ojo. Hola, mundo: https://a.example/b", open));
        assert!(!same("Hola", open));
        assert!(!same("He said: no.", "no"));
    }
}

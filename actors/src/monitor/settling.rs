//! Posts that a source showed, and that are taken only when they are old enough.

use std::collections::VecDeque;
use std::time::Duration;

use super::poll::Taken;
use crate::domain::{Moment, Post};
use crate::ports::{Clock, Cursor};
use crate::setup::SourceRules;

/// No more pages are read while so many posts wait, those that were seen or deleted among them.
const MOST: usize = 10_000;

/// Pages whose posts are not all old enough, in the order in which they were read.
///
/// A cursor moves in the store only with what was taken; here stands how far was read. What waits
/// here and is lost is read again.
#[derive(Default)]
pub(super) struct Settling(VecDeque<Page>);

struct Page {
    taken: Taken,
    due: Moment,
}

impl Settling {
    /// How far the source was read, if anything waits.
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find_map(|page| page.taken.cursor.as_ref())
    }

    /// When the first page is old enough.
    pub(super) fn due(&self) -> Option<Moment> {
        self.0.front().map(|page| page.due)
    }

    /// Whether no more should be read.
    pub(super) fn is_full(&self) -> bool {
        let n_posts = self.0.iter().map(|Page { taken, .. }| {
            let Taken {
                posts, seen, gone, ..
            } = taken;
            posts.len() + seen.len() + gone.len()
        });
        n_posts.sum::<usize>() >= MOST
    }

    /// Adds a page. A post that waits already is replaced by what was made of it, and what was
    /// deleted waits no more. A page without posts becomes a part of the last one, because a source
    /// may be polled many times before anything is old enough.
    pub(super) fn add(&mut self, mut taken: Taken, rules: &SourceRules, clock: &dyn Clock) {
        taken.posts.retain(|post| !self.replace(post));
        for page in &mut self.0 {
            page.taken
                .posts
                .retain(|post| !taken.gone.contains(&post.id));
        }
        if let Some(last) = self.0.back_mut().filter(|_| taken.posts.is_empty()) {
            last.taken.seen.extend(taken.seen);
            last.taken.gone.extend(taken.gone);
            last.taken.cursor = taken.cursor.or(last.taken.cursor.take());
            return;
        }
        let wait = taken
            .posts
            .iter()
            .map(|post| wait(post, rules, clock))
            .max();
        let due = clock.now().plus(wait.unwrap_or_default());
        self.0.push_back(Page { taken, due });
    }

    fn replace(&mut self, post: &Post) -> bool {
        let waiting = self.0.iter_mut().flat_map(|page| &mut page.taken.posts);
        let mut same = waiting.filter(|waiting| waiting.id == post.id);
        let Some(earlier) = same.next() else {
            return false;
        };
        let was_shown = earlier.was_shown;
        earlier.clone_from(post);
        // What is new stays so, although it comes again as an edit.
        earlier.was_shown = was_shown;
        true
    }

    /// Puts a page that was old enough, and was not taken in, back to where it stood.
    pub(super) fn put_back(&mut self, taken: Taken, now: Moment) {
        self.0.push_front(Page { taken, due: now });
    }

    /// Takes the first page out, if it is old enough.
    pub(super) fn take_settled(&mut self, now: Moment) -> Option<Taken> {
        self.0.front().filter(|page| page.due <= now)?;
        self.0.pop_front().map(|page| page.taken)
    }
}

/// How long it is until a post that was shown now is old enough.
fn wait(post: &Post, rules: &SourceRules, clock: &dyn Clock) -> Duration {
    // Who tells no time was published now; nobody was published in the future.
    let age = post.created_at.map(|at| clock.wall().since(at));
    let young = rules.min_age.saturating_sub(age.unwrap_or_default());
    rules.settle.max(young)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    /// A clock that stands still.
    struct Still;

    impl Clock for Still {
        fn wall(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn now(&self) -> Moment {
            Moment::default()
        }
    }

    fn page(ids: &[String], gone: &[String], cursor: u64) -> Taken {
        let post = |id: &String| Post::new("news".into(), id.as_str(), "A text.");
        Taken {
            posts: ids.iter().map(post).collect(),
            gone: gone.to_vec(),
            cursor: Some(Cursor(cursor.to_be_bytes().to_vec())),
            ..Taken::default()
        }
    }

    fn day() -> SourceRules {
        SourceRules {
            settle: Duration::from_secs(86_400),
            ..SourceRules::default()
        }
    }

    #[test]
    fn polls_that_show_nothing_new_take_no_memory() {
        let mut settling = Settling::default();
        settling.add(page(&["a".to_owned()], &[], 0), &day(), &Still);
        for poll in 1..=1_000 {
            settling.add(page(&[], &[], poll), &day(), &Still);
        }
        assert_eq!(settling.0.len(), 1);
        let expected = Cursor(1_000_u64.to_be_bytes().to_vec());
        assert_eq!(settling.cursor(), Some(&expected));
        assert_eq!(settling.due(), Some(Moment::default().plus(day().settle)));
    }

    #[test]
    fn what_was_deleted_counts_until_it_is_handed_in() {
        let ids: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let mut settling = Settling::default();
        settling.add(page(&["a".to_owned()], &[], 0), &day(), &Still);
        settling.add(page(&[], &ids[1..], 1), &day(), &Still);
        assert!(settling.is_full());
        let later = Moment::default().plus(day().settle);
        let taken = settling.take_settled(later).expect("it is old enough");
        assert_eq!((taken.posts.len(), taken.gone.len()), (1, MOST - 1));
        assert!(!settling.is_full());
    }
}

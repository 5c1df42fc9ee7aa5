//! What X charges for reading: a post once a day, whatever became of what read it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::post::Shown;
use super::prices::Prices;

const DAY: u64 = 86_400_000;
/// Less than anything costs.
const LEAST: f64 = 1e-9;

/// How long the day of that time still lasts.
pub const fn left_of_day(now: u64) -> Duration {
    Duration::from_millis(DAY - now % DAY)
}

/// The posts that an app was charged for today, by the calendar of UTC.
#[derive(Default)]
pub struct Paid {
    day: Cell<u64>,
    posts: RefCell<HashSet<u64>>,
}

/// What one source or outlet was charged.
pub struct Bill {
    prices: Prices,
    paid: Rc<Paid>,
    usd: Cell<f64>,
    today: Cell<Spent>,
}

/// What was charged on one day, by the calendar of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    day: u64,
    usd: f64,
}

impl Paid {
    /// Notes a post, and says whether it is charged for.
    fn note(&self, post: u64, now: u64) -> bool {
        let mut posts = self.posts.borrow_mut();
        if self.day.replace(now / DAY) != now / DAY {
            posts.clear();
        }
        posts.insert(post)
    }
}

impl Bill {
    /// A bill of one of the app that paid for these.
    pub const fn new(prices: Prices, paid: Rc<Paid>) -> Self {
        Self {
            prices,
            paid,
            usd: Cell::new(0.0),
            today: Cell::new(Spent { day: 0, usd: 0.0 }),
        }
    }

    /// What a post of that author costs where the account that reads is `own`.
    pub fn price(&self, author: Option<&str>, own: Option<&str>) -> f64 {
        if own.is_some() && author == own {
            self.prices.owned_read
        } else {
            self.prices.post_read
        }
    }

    /// Adds a post that was read at that time, in milliseconds since 1970.
    pub fn add_post(&self, post: &Shown, own: Option<&str>, now: u64) {
        if self.paid.note(post.number(), now) {
            self.add(self.price(post.author_id.as_deref(), own), now);
        }
    }

    /// The same of a post of the account that reads.
    pub fn add_own_post(&self, post: &Shown, now: u64) {
        if self.paid.note(post.number(), now) {
            self.add(self.prices.owned_read, now);
        }
    }

    /// Adds the account that reads, which was looked up at that time.
    pub fn add_own_user(&self, now: u64) {
        self.add(self.prices.owned_read, now);
    }

    /// Adds an account that was looked up at that time.
    pub fn add_user(&self, now: u64) {
        self.add(self.prices.user_read, now);
    }

    /// Notes what an earlier process read at that time.
    pub fn remember(&self, posts: impl IntoIterator<Item = u64>, at: u64, now: u64) {
        if at / DAY == now / DAY {
            for post in posts {
                self.paid.note(post, now);
            }
        }
    }

    /// Notes what an earlier process was charged.
    pub fn remember_spent(&self, spent: Spent, now: u64) {
        let today = self.spent(now);
        if spent.day == today.day && spent.usd > today.usd {
            self.today.set(spent);
        }
    }

    /// What was charged on the day of that time.
    pub fn spent(&self, now: u64) -> Spent {
        let today = self.today.get();
        match today.day == now / DAY {
            true => today,
            false => Spent {
                day: now / DAY,
                usd: 0.0,
            },
        }
    }

    /// How many posts are within such a budget of the day; none where nothing more is.
    pub fn affordable(&self, usd_per_day: f64, now: u64) -> Option<usize> {
        let left = usd_per_day - self.spent(now).usd;
        let price = self.prices.post_read.max(self.prices.owned_read);
        // A float becomes the nearest whole number there is.
        (left > LEAST).then(|| ((left + LEAST) / price) as usize)
    }

    /// What was charged since this was asked last, in US dollars.
    pub fn take(&self) -> f64 {
        self.usd.take()
    }

    fn add(&self, usd: f64, now: u64) {
        self.usd.set(self.usd.get() + usd);
        let spent = self.spent(now);
        self.today.set(Spent {
            usd: spent.usd + usd,
            ..spent
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_charged_once_a_day_whichever_source_of_the_app_reads_it() {
        let paid = Rc::new(Paid::default());
        let bill = || Bill::new(Prices::default(), Rc::clone(&paid));
        let (one, other) = (bill(), bill());
        let post: Shown = serde_json::from_str(r#"{"id":"7","author_id":"1"}"#).expect("a post");
        one.add_post(&post, None, DAY + 1);
        other.add_post(&post, None, 2 * DAY - 1);
        assert_eq!((one.take(), other.take()), (0.005, 0.0));
        other.add_post(&post, Some("1"), 2 * DAY);
        assert_eq!((one.take(), other.take(), other.take()), (0.0, 0.001, 0.0));
    }

    #[test]
    fn what_an_earlier_process_paid_for_today_is_not_charged_again() {
        let bill = Bill::new(Prices::default(), Rc::default());
        let post = |id: u64| -> Shown {
            serde_json::from_str(&format!(r#"{{"id":"{id}"}}"#)).expect("a post")
        };
        bill.remember([7], 2 * DAY, 2 * DAY + 1);
        bill.remember([8], DAY, 2 * DAY + 1);
        bill.add_post(&post(7), None, 2 * DAY + 1);
        assert_eq!(bill.take(), 0.0);
        bill.add_post(&post(8), None, 2 * DAY + 1);
        assert_eq!(bill.take(), 0.005);
    }

    #[test]
    fn what_is_within_a_budget_is_told_for_the_day_also_by_the_next_process() {
        let bill = || Bill::new(Prices::default(), Rc::default());
        let (first, next) = (bill(), bill());
        first.add_user(DAY + 1);
        assert_eq!(first.affordable(0.025, DAY + 2), Some(3));
        assert_eq!(first.affordable(0.01, DAY + 2), None);
        next.remember_spent(first.spent(DAY + 2), DAY + 3);
        assert_eq!(next.affordable(0.01, DAY + 4), None);
        assert_eq!(next.affordable(0.01, 2 * DAY), Some(2));
        assert_eq!(left_of_day(2 * DAY - 5), Duration::from_millis(5));
    }
}

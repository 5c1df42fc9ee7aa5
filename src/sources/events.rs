//! What a stream has told, until what a poll has shown of it was taken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use babelfeed_actors::domain::SourceName;
use log::warn;
use tokio::sync::Notify;

/// The most events that wait.
const MAX_WAITING: usize = 1_000;

/// The events of one stream.
pub(super) struct Events<T> {
    waiting: RefCell<VecDeque<Told<T>>>,
    n_events: Cell<u64>,
    /// Whether it is known where events count on from.
    is_settled: Cell<bool>,
    news: Notify,
}

/// An event that was not taken yet.
#[derive(Clone, Debug)]
pub(super) struct Told<T> {
    /// Rises with each event.
    pub(super) number: u64,
    /// What was told.
    pub(super) what: T,
}

impl<T> Default for Events<T> {
    fn default() -> Self {
        Self {
            waiting: RefCell::default(),
            n_events: Cell::new(0),
            is_settled: Cell::new(false),
            news: Notify::new(),
        }
    }
}

impl<T: Clone> Events<T> {
    /// Waits until something is new.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Says that a poll is worth making.
    pub(super) fn announce(&self) {
        self.news.notify_one();
    }

    /// Adds an event; whoever adds makes room before, where there is none.
    pub(super) fn tell(&self, what: T) {
        let number = self.n_events.get() + 1;
        self.n_events.set(number);
        self.waiting.borrow_mut().push_back(Told { number, what });
        self.announce();
    }

    /// Adds an event of that source; where there is no room, the oldest makes it.
    pub(super) fn tell_or_forget(&self, source: &SourceName, what: T) {
        if self.is_full() {
            warn!(source:% = source; "more was changed than waits for a poll, and the oldest change is forgotten");
            self.waiting.borrow_mut().pop_front();
        }
        self.tell(what);
    }

    /// Forgets what was taken, as that says.
    pub(super) fn retain(&self, is_kept: impl Fn(&T) -> bool) {
        self.waiting.borrow_mut().retain(|told| is_kept(&told.what));
    }

    /// Whether no more may wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.borrow().len() >= MAX_WAITING
    }

    /// Makes room for all that may wait.
    pub(super) fn forget_all(&self) {
        self.waiting.borrow_mut().clear();
    }

    /// What was not taken yet.
    pub(super) fn waiting(&self) -> Vec<Told<T>> {
        self.waiting.borrow().iter().cloned().collect()
    }

    /// What was told after a number. The first time, the number is that of an earlier process, and
    /// events count on from there.
    pub(super) fn waiting_after(&self, number: u64) -> Vec<Told<T>> {
        let mut waiting = self.waiting.borrow_mut();
        if !self.is_settled.replace(true) {
            self.n_events.set(self.n_events.get() + number);
            for told in waiting.iter_mut() {
                told.number += number;
            }
        }
        let after = waiting.iter().filter(|told| told.number > number);
        after.cloned().collect()
    }

    /// Forgets what was told up to a number, because it was taken.
    pub(super) fn forget(&self, number: u64) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|told| told.number > number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_count_on_from_an_earlier_process_and_wait_until_they_were_taken() {
        let events = Events::default();
        let numbers = |after| -> Vec<u64> {
            let waiting = events.waiting_after(after);
            waiting.iter().map(|it| it.number).collect()
        };
        events.tell("before the first poll");
        assert_eq!(numbers(7), [8]);
        events.tell("after it");
        assert_eq!(numbers(8), [9]);
        assert_eq!(numbers(7), [8, 9]);
        events.forget(8);
        assert_eq!(numbers(7), [9]);
    }

    #[test]
    fn where_there_is_no_room_the_oldest_makes_it() {
        let events = Events::default();
        for number in 0..=MAX_WAITING {
            events.tell_or_forget(&"news".into(), number);
        }
        assert!(events.is_full());
        events.retain(|number| *number < 3);
        let kept: Vec<usize> = events.waiting().iter().map(|it| it.what).collect();
        assert_eq!(kept, [1, 2]);
    }
}

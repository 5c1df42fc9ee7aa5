//! What a stream has told, until a poll has shown it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use babelfeed_actors::domain::SourceName;
use log::warn;
use tokio::sync::Notify;

/// The most events that wait for a poll.
const MAX_WAITING: usize = 1_000;

/// The events of one stream.
pub(super) struct Events<T> {
    waiting: RefCell<VecDeque<Told<T>>>,
    n_events: Cell<u64>,
    /// Whether it is known where events count on from.
    is_settled: Cell<bool>,
    news: Notify,
}

/// An event that no poll has shown yet.
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

    /// What no poll has shown yet.
    pub(super) fn waiting(&self) -> Vec<Told<T>> {
        self.waiting.borrow().iter().cloned().collect()
    }

    /// Forgets what was told up to a number, because it was taken. The first time, the number is
    /// that of an earlier process, and events count on from there.
    pub(super) fn settle(&self, number: u64) {
        let mut waiting = self.waiting.borrow_mut();
        if self.is_settled.replace(true) {
            waiting.retain(|told| told.number > number);
            return;
        }
        self.n_events.set(self.n_events.get() + number);
        for told in waiting.iter_mut() {
            told.number += number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_count_on_from_an_earlier_process_and_wait_until_they_were_taken() {
        let events = Events::default();
        let numbers = || -> Vec<u64> { events.waiting().iter().map(|it| it.number).collect() };
        events.tell("before the first poll");
        events.settle(7);
        events.tell("after it");
        assert_eq!(numbers(), [8, 9]);
        events.settle(8);
        assert_eq!(numbers(), [9]);
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

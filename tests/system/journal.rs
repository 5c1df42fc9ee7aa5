//! What is said in the log on the thread of a test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Listens on this thread from now on.
pub(crate) fn listen() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Journal).expect("no other logger is set in this program");
        log::set_max_level(LevelFilter::Info);
    });
    SAID.with_borrow_mut(Vec::clear);
}

/// How often a message was said on this thread.
pub(crate) fn count(message: &str) -> usize {
    SAID.with_borrow(|said| said.iter().filter(|line| *line == message).count())
}

/// The messages that were said more often than that on this thread, each with how often.
pub(crate) fn said_more_often_than(limit: usize) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    SAID.with_borrow(|said| {
        for line in said {
            *counts.entry(line.clone()).or_insert(0) += 1;
        }
    });
    counts.into_iter().filter(|(_, n)| *n > limit).collect()
}

struct Journal;

impl Log for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        SAID.with_borrow_mut(|said| said.push(line));
    }

    fn flush(&self) {}
}

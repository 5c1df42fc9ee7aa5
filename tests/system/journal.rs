//! What is said in the log on the thread of a test.

use std::cell::RefCell;
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

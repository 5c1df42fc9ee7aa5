//! Reads the stream of the token's account, to know at once when a poll is worth making.
//!
//! A stream replays nothing, so each time it opens it counts as news itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::SourceName;
use babelfeed_actors::ports::SourceError;
use log::{info, warn};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::MastodonConfig;
use super::api::Api;
use super::wire::Status;
use crate::http::Incoming;
use crate::http::reopening::Reopening;

/// The longest silence of a stream that lives: Mastodon sends a comment every quarter of a minute.
const SILENCE: Duration = Duration::from_secs(90);
/// The longest wait before a stream is opened again.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The most changes that wait for a poll.
const MAX_WAITING: usize = 1_000;
/// The most bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// A stream; nothing is opened before somebody waits for news.
pub(super) struct Stream {
    shared: Rc<Shared>,
    api: Rc<Api>,
    reading: RefCell<Option<Reading>>,
    /// Whether it is known where events count on from.
    is_settled: Cell<bool>,
}

/// What the stream told, until a poll has shown it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Rises with each event.
    pub(super) number: u64,
    pub(super) what: Event,
}

/// What happened to a status.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// It was deleted; this was its id.
    Deleted(String),
    /// It was edited.
    Edited(Box<Status>),
}

struct Shared {
    name: SourceName,
    account: RefCell<Option<String>>,
    waiting: RefCell<VecDeque<Told>>,
    n_events: Cell<u64>,
    news: Notify,
}

struct Reading(JoinHandle<()>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    pub(super) fn new(config: &MastodonConfig, api: Rc<Api>) -> Self {
        Self {
            shared: Rc::new(Shared {
                name: config.name.clone(),
                account: RefCell::new(None),
                waiting: RefCell::default(),
                n_events: Cell::new(0),
                news: Notify::new(),
            }),
            api,
            reading: RefCell::new(None),
            is_settled: Cell::new(false),
        }
    }

    /// Says whose statuses count.
    pub(super) fn follow(&self, account: &str) {
        *self.shared.account.borrow_mut() = Some(account.to_owned());
    }

    /// Waits until something is new; opens the stream where that was not done.
    pub(super) async fn news(&self) {
        self.reading.borrow_mut().get_or_insert_with(|| {
            let reading = read_on(Rc::clone(&self.shared), Rc::clone(&self.api));
            Reading(actix_rt::spawn(reading))
        });
        self.shared.news.notified().await;
    }

    /// The changes that no poll has shown yet.
    pub(super) fn waiting(&self) -> Vec<Told> {
        self.shared.waiting.borrow().iter().cloned().collect()
    }

    /// Forgets the changes up to a number, because they were taken. The first time, the number is
    /// that of an earlier process, and events count on from there.
    pub(super) fn settle(&self, number: u64) {
        let shared = &self.shared;
        let mut waiting = shared.waiting.borrow_mut();
        if self.is_settled.replace(true) {
            waiting.retain(|told| told.number > number);
            return;
        }
        shared.n_events.set(shared.n_events.get() + number);
        for told in waiting.iter_mut() {
            told.number += number;
        }
    }
}

/// Opens the stream again and again, until it is ended with its source.
async fn read_on(shared: Rc<Shared>, api: Rc<Api>) {
    let (mut reopening, mut is_failing) = (Reopening::new(LONGEST_WAIT), false);
    loop {
        let (lived, failure) = match api.open_stream().await {
            Ok(incoming) => {
                if is_failing {
                    info!(source:% = shared.name; "a stream is open again");
                }
                is_failing = false;
                shared.news.notify_one();
                let begun = Instant::now();
                let failure = read(&shared, incoming).await;
                (begun.elapsed(), failure)
            }
            Err(error) => (Duration::ZERO, error),
        };
        if !is_failing {
            warn!(source:% = shared.name, cause:% = failure; "a stream is not open; the source is polled as usual");
        }
        is_failing = true;
        sleep(reopening.wait_after(lived)).await;
    }
}

/// Reads a stream until it breaks, and says why.
async fn read(shared: &Shared, mut incoming: Incoming) -> SourceError {
    let unreachable = |detail: String| SourceError::Unreachable { detail };
    let mut lines = Lines::default();
    loop {
        match incoming.next(SILENCE).await {
            Ok(Some(piece)) => {
                for (event, payload) in lines.push(&piece) {
                    shared.hear(&event, &payload);
                }
            }
            Ok(None) => return unreachable("the stream has ended".to_owned()),
            Err(error) => return unreachable(error.to_string()),
        }
    }
}

impl Shared {
    fn hear(&self, event: &str, payload: &str) {
        match event {
            "update" if self.own(payload).is_some() => self.news.notify_one(),
            "status.update" => {
                if let Some(status) = self.own(payload) {
                    self.tell(Event::Edited(Box::new(status)));
                }
            }
            "delete" => self.tell(Event::Deleted(payload.trim().to_owned())),
            _ => {}
        }
    }

    /// The status of an event, if it is one of the account that is watched.
    fn own(&self, payload: &str) -> Option<Status> {
        let status: Status = serde_json::from_str(payload).ok()?;
        (Some(&status.account.id) == self.account.borrow().as_ref()).then_some(status)
    }

    fn tell(&self, what: Event) {
        let number = self.n_events.get() + 1;
        self.n_events.set(number);
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MAX_WAITING {
            warn!(source:% = self.name; "more was changed than waits for a poll, and the oldest change is forgotten");
            waiting.pop_front();
        }
        waiting.push_back(Told { number, what });
        self.news.notify_one();
    }
}

/// Puts server-sent events together from pieces.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    event: String,
    payload: String,
}

impl Lines {
    /// The events that a piece completes: (name, payload).
    fn push(&mut self, piece: &[u8]) -> Vec<(String, String)> {
        let mut events = Vec::new();
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            events.extend(self.read(line.trim_end_matches(['\r', '\n'])));
        }
        if self.rest.len() > MAX_EVENT {
            self.rest.clear();
        }
        events
    }

    fn read(&mut self, line: &str) -> Option<(String, String)> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let payload = std::mem::take(&mut self.payload);
            return (!event.is_empty()).then_some((event, payload));
        }
        let (field, value) = line.split_once(':')?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event = value.to_owned(),
            "data" if self.payload.len() + value.len() <= MAX_EVENT => {
                if !self.payload.is_empty() {
                    self.payload.push('\n');
                }
                self.payload.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_whatever_the_pieces_are() {
        let text = ":)\n:thump\nevent: update\ndata: {\"a\":\ndata: 1}\n\n\nevent: delete\r\ndata: 7\r\n\r\n";
        let expected = [
            ("update".to_owned(), "{\"a\":\n1}".to_owned()),
            ("delete".to_owned(), "7".to_owned()),
        ];
        for size in [1, 3, 1000] {
            let mut lines = Lines::default();
            let pieces = text.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| lines.push(piece)).collect();
            assert_eq!(events, expected);
        }
    }
}

//! Reads the stream of the token's account, to know at once when a poll is worth making.
//!
//! A stream replays nothing, so each time it opens it counts as news itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::SourceName;
use babelfeed_actors::ports::SourceError;
use log::warn;

use super::MastodonConfig;
use super::api::Api;
use super::wire::Status;
use crate::http::Incoming;
use crate::http::reopening::Reopening;
use crate::sources::events::{Events, Told};
use crate::sources::reading::{Reading, read_on};

/// The longest silence of a stream that lives: Mastodon sends a comment every quarter of a minute.
const SILENCE: Duration = Duration::from_secs(90);
/// The longest wait before a stream is opened again.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The most bytes of one event.
const MAX_EVENT: usize = 1 << 20;

/// A stream; nothing is opened before somebody waits for news.
pub(super) struct Stream {
    shared: Rc<Shared>,
    api: Rc<Api>,
    reading: RefCell<Option<Reading>>,
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
    events: Events<Event>,
}

impl Stream {
    pub(super) fn new(config: &MastodonConfig, api: Rc<Api>) -> Self {
        Self {
            shared: Rc::new(Shared {
                name: config.name.clone(),
                account: RefCell::new(None),
                events: Events::default(),
            }),
            api,
            reading: RefCell::new(None),
        }
    }

    /// Says whose statuses count.
    pub(super) fn follow(&self, account: &str) {
        *self.shared.account.borrow_mut() = Some(account.to_owned());
    }

    /// Waits until something is new; opens the stream where that was not done.
    pub(super) async fn news(&self) {
        self.reading.borrow_mut().get_or_insert_with(|| {
            let reading = read_all(Rc::clone(&self.shared), Rc::clone(&self.api));
            Reading::begin(reading)
        });
        self.shared.events.news().await;
    }

    /// The changes that no poll has shown yet.
    pub(super) fn waiting(&self) -> Vec<Told<Event>> {
        self.shared.events.waiting()
    }

    /// Forgets the changes up to a number, as [`Events::settle`] does.
    pub(super) fn settle(&self, number: u64) {
        self.shared.events.settle(number);
    }
}

/// Reads one stream after the other.
async fn read_all(shared: Rc<Shared>, api: Rc<Api>) {
    let mut reopening = Reopening::new(LONGEST_WAIT);
    let read = async |incoming| {
        shared.events.announce();
        read(&shared, incoming).await
    };
    let wait = |lived, _: &SourceError| reopening.wait_after(lived);
    read_on(&shared.name, async || api.open_stream().await, read, wait).await;
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
            "update" if self.own(payload).is_some() => self.events.announce(),
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

    fn tell(&self, event: Event) {
        if self.events.is_full() {
            warn!(source:% = self.name; "more was changed than waits for a poll, and the oldest change is forgotten");
            self.events.forget_oldest();
        }
        self.events.tell(event);
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

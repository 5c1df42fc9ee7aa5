//! Reads the stream of the token's account, to know at once when a poll is worth making.
//!
//! A stream replays nothing, so each time it opens it counts as news itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::SourceName;
use babelfeed_actors::ports::SourceError;

use super::MastodonConfig;
use super::api::Api;
use super::wire::Status;
use crate::http::Incoming;
use crate::http::reopening::Reopening;
use crate::sources::events::{Events, Told};
use crate::sources::lines::Lines;
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

    /// Closes the stream until somebody waits for news again.
    pub(super) fn rest(&self) {
        self.reading.take();
    }

    /// The changes after a number, as [`Events::waiting_after`] says.
    pub(super) fn waiting_after(&self, number: u64) -> Vec<Told<Event>> {
        self.shared.events.waiting_after(number)
    }

    /// Forgets the changes up to a number, because they were taken.
    pub(super) fn forget(&self, number: u64) {
        self.shared.events.forget(number);
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
    let mut lines = Lines::new(MAX_EVENT);
    let mut assembly = Assembly::default();
    loop {
        let piece = match incoming.next(SILENCE).await {
            Ok(Some(piece)) => piece,
            Ok(None) => return unreachable("the stream has ended".to_owned()),
            Err(error) => return unreachable(error.to_string()),
        };
        let cut = match lines.push(&piece) {
            Ok(cut) => cut,
            Err(error) => return unreachable(error.to_string()),
        };
        for line in cut {
            if let Some((event, payload)) = assembly.read(&String::from_utf8_lossy(&line)) {
                shared.hear(&event, &payload);
            }
        }
    }
}

impl Shared {
    fn hear(&self, event: &str, payload: &str) {
        match event {
            "update" if self.own(payload).is_some() => self.events.announce(),
            "status.update" => {
                if let Some(status) = self.own(payload) {
                    let edited = Event::Edited(Box::new(status));
                    self.events.tell_or_forget(&self.name, edited);
                }
            }
            "delete" => {
                let deleted = Event::Deleted(payload.trim().to_owned());
                self.events.tell_or_forget(&self.name, deleted);
            }
            _ => {}
        }
    }

    /// The status of an event, if it is one of the account that is watched.
    fn own(&self, payload: &str) -> Option<Status> {
        let status: Status = serde_json::from_str(payload).ok()?;
        (Some(&status.account.id) == self.account.borrow().as_ref()).then_some(status)
    }
}

/// Puts server-sent events together from lines.
#[derive(Default)]
struct Assembly {
    event: String,
    payload: String,
}

impl Assembly {
    /// The event that a line completes: (name, payload).
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
    fn events_are_put_together_from_their_lines() {
        let text =
            ":)\n:thump\nevent: update\ndata: {\"a\":\ndata: 1}\n\n\nevent: delete\ndata: 7\n\n";
        let mut assembly = Assembly::default();
        let events: Vec<_> = text.lines().filter_map(|it| assembly.read(it)).collect();
        let expected = [
            ("update".to_owned(), "{\"a\":\n1}".to_owned()),
            ("delete".to_owned(), "7".to_owned()),
        ];
        assert_eq!(events, expected);
    }
}

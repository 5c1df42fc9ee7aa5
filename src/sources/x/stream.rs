//! X's filtered stream, by which posts come within seconds.
//!
//! An app has one connection, which all of its sources share: each has rules that bear its name,
//! and X says with each post whose rules it matches. The stream tells posts out of order, some
//! twice, and replays none. So each opening makes a poll ask for what may have been missed, and
//! so does whatever cannot be kept here.

mod rules;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::SourceName;
use log::warn;
use serde::Deserialize;
use serde_json::Value;
use tokio::select;
use tokio::sync::Notify;

use super::read::now;
use super::wire;
use crate::http::Incoming;
use crate::http::reopening::STEADY;
use crate::sources::events::{self, Events};
use crate::sources::lines::Lines;
use crate::sources::reading::{Reading, read_on};
use crate::x::bill::Bill;
use crate::x::post::{Includes, Shown};
use crate::x::{Api, Question};

/// The longest silence of a stream that lives: X sends a blank line every 20 seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// The most bytes of one line.
const MAX_LINE: usize = 1 << 20;
const STREAM: &str = "/2/tweets/search/stream";

/// The stream of an app; nothing is opened before a source waits for news.
pub(super) struct Stream {
    shared: Rc<Shared>,
    reading: RefCell<Option<Reading>>,
}

/// What a source hears of the stream, until this is dropped.
pub(super) struct Listener {
    stream: Rc<Stream>,
    member: Rc<Member>,
}

/// A post that the stream told; none where something may have been missed before.
pub(super) type Told = events::Told<Option<Rc<Line>>>;

/// A line of the stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) data: Option<Shown>,
    pub(super) includes: Includes,
    matching_rules: Vec<Match>,
    errors: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Match {
    tag: String,
}

struct Shared {
    api: Rc<Api>,
    members: RefCell<Vec<Rc<Member>>>,
    /// Whether the rules that stand are those of the members that listen.
    has_rules: Cell<bool>,
    /// Told when they are not any more.
    changed: Notify,
}

/// A source that reads the stream.
struct Member {
    name: SourceName,
    /// What is to be streamed for it.
    rules: Vec<String>,
    bill: Rc<Bill>,
    events: Events<Option<Rc<Line>>>,
    /// Whether it wants to hear anything.
    listens: Cell<bool>,
    /// Whether its posts come.
    is_heard: Cell<bool>,
}

/// Why a stream is not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Failure {
    /// The connection is gone.
    #[error("{0}")]
    Broken(String),
    /// X does not stream.
    #[error("{0}")]
    Refused(String),
    /// X wants to be left alone.
    #[error("{0}")]
    Busy(String),
}

/// How often each kind of failure came in a row.
#[derive(Debug, Default)]
struct Failures {
    broken: u32,
    refused: u32,
    busy: u32,
}

impl Stream {
    pub(super) fn new(api: Rc<Api>) -> Self {
        Self {
            shared: Rc::new(Shared {
                api,
                members: RefCell::default(),
                has_rules: Cell::new(false),
                changed: Notify::new(),
            }),
            reading: RefCell::new(None),
        }
    }

    /// Lets a source hear what its rules match, once it waits for news.
    pub(super) fn join(
        self: Rc<Self>,
        name: &SourceName,
        rules: Vec<String>,
        bill: Rc<Bill>,
    ) -> Listener {
        let member = Rc::new(Member {
            name: name.clone(),
            rules,
            bill,
            events: Events::default(),
            listens: Cell::new(false),
            is_heard: Cell::new(false),
        });
        self.shared.members.borrow_mut().push(Rc::clone(&member));
        Listener {
            stream: self,
            member,
        }
    }

    /// Reads the stream as long as anybody listens.
    fn follow_members(&self) {
        self.shared.has_rules.set(false);
        if self.shared.listening().is_empty() {
            self.reading.take();
            return;
        }
        let mut reading = self.reading.borrow_mut();
        if reading.is_some() {
            self.shared.changed.notify_one();
        } else {
            *reading = Some(Reading::begin(read_all(Rc::clone(&self.shared))));
        }
    }
}

impl Listener {
    /// Waits until something is new; opens the stream where that was not done.
    pub(super) async fn news(&self) {
        if !self.member.listens.replace(true) {
            self.stream.follow_members();
        }
        self.member.events.news().await;
    }

    /// Hears nothing more until somebody waits for news again.
    pub(super) fn rest(&self) {
        self.member.is_heard.set(false);
        if self.member.listens.replace(false) {
            self.stream.follow_members();
        }
    }

    /// What was told after a number, as [`Events::waiting_after`] says.
    pub(super) fn waiting_after(&self, number: u64) -> Vec<Told> {
        self.member.events.waiting_after(number)
    }

    /// Whether nothing can have come that is not in what waits.
    pub(super) fn is_whole(&self, waiting: &[Told]) -> bool {
        self.member.is_heard.get() && waiting.iter().all(|told| told.what.is_some())
    }

    /// Forgets what was told up to a number, because it was taken.
    pub(super) fn forget(&self, number: u64) {
        self.member.events.forget(number);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.rest();
        let mut members = self.stream.shared.members.borrow_mut();
        members.retain(|it| !Rc::ptr_eq(it, &self.member));
    }
}

/// Reads one stream after the other.
async fn read_all(shared: Rc<Shared>) {
    let mut failures = Failures::default();
    let read = async |incoming| {
        shared.begin_to_hear();
        let failure = shared.read(incoming).await;
        for member in shared.members.borrow().iter() {
            member.is_heard.set(false);
        }
        failure
    };
    let wait = |lived, failure: &Failure| {
        // Each opening brings about a poll, so one that ends at once counts as a failure.
        if lived >= STEADY {
            failures = Failures::default();
        }
        failures.wait(failure)
    };
    let Some(first) = shared.listening().first().map(|it| it.name.clone()) else {
        return;
    };
    read_on(&first, async || shared.open().await, read, wait).await;
}

impl Failures {
    /// How long to wait after one more failure, as X asks for.
    fn wait(&mut self, failure: &Failure) -> Duration {
        let doubled = |first: u64, n: u32, most: u64| {
            let seconds = first.saturating_mul(1 << n.min(16));
            Duration::from_secs(seconds.min(most))
        };
        let (wait, count) = match failure {
            Failure::Broken(_) => {
                let wait = Duration::from_millis(250 * u64::from(self.broken.min(64)));
                (wait, &mut self.broken)
            }
            Failure::Refused(_) => (doubled(5, self.refused, 320), &mut self.refused),
            Failure::Busy(_) => (doubled(60, self.busy, 960), &mut self.busy),
        };
        *count += 1;
        wait
    }
}

impl Shared {
    fn listening(&self) -> Vec<Rc<Member>> {
        let members = self.members.borrow();
        let listening = members.iter().filter(|it| it.listens.get());
        listening.cloned().collect()
    }

    async fn open(&self) -> Result<Incoming, Failure> {
        self.settle_rules().await?;
        let spelling = self.api.spelling();
        let query = [
            (spelling.parameter(), spelling.all_fields()),
            ("expansions", spelling.expansions()),
            ("media.fields", wire::MEDIA_FIELDS),
            ("poll.fields", wire::POLL_FIELDS),
        ];
        let opened = self.api.open(Question::get(STREAM, &query)).await;
        let incoming = opened.map_err(|error| Failure::Broken(error.to_string()))?;
        let said = format!("wanted a stream, got HTTP status {}", incoming.status);
        match incoming.status {
            200..=299 => Ok(incoming),
            429 => Err(Failure::Busy(said)),
            // There are no rules any more.
            409 => {
                self.has_rules.set(false);
                Err(Failure::Refused(said))
            }
            _ => Err(Failure::Refused(said)),
        }
    }

    /// Notes whose posts come from now on; they are to ask for what came before.
    fn begin_to_hear(&self) {
        if !self.has_rules.get() {
            return;
        }
        for member in self.listening() {
            if !member.is_heard.replace(true) {
                member.tell(None);
            }
        }
    }

    /// Reads a stream until it breaks, and says why.
    async fn read(&self, mut incoming: Incoming) -> Failure {
        let mut lines = Lines::new(MAX_LINE);
        loop {
            let piece = select! {
                piece = incoming.next(SILENCE) => piece,
                () = self.changed.notified() => {
                    if let Err(failure) = self.settle_rules().await {
                        return failure;
                    }
                    self.begin_to_hear();
                    continue;
                }
            };
            let piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => return Failure::Broken("the stream has ended".to_owned()),
                Err(error) => return Failure::Broken(error.to_string()),
            };
            let cut = match lines.push(&piece) {
                Ok(cut) => cut,
                Err(error) => return Failure::Broken(error.to_string()),
            };
            for line in cut {
                if let Some(failure) = self.hear(line.trim_ascii()) {
                    return failure;
                }
            }
        }
    }

    /// Takes one line; blank ones say that the stream lives.
    fn hear(&self, line: &[u8]) -> Option<Failure> {
        if line.is_empty() {
            return None;
        }
        match serde_json::from_slice::<Line>(line) {
            Ok(line) if line.data.is_some() => self.deliver(&Rc::new(line)),
            Ok(line) => {
                let error = line.errors.first();
                let title = error.and_then(|error| error["title"].as_str());
                let title = title.unwrap_or("the stream says something else than posts");
                return Some(Failure::Broken(title.to_owned()));
            }
            Err(error) => {
                warn!(cause:% = error; "a line of a stream is unreadable, the accounts are asked");
                for member in self.listening() {
                    member.tell(None);
                }
            }
        }
        None
    }

    /// Tells a post to those whose rules it matches; to all, where it matches none that is known.
    fn deliver(&self, line: &Rc<Line>) {
        let members = self.listening();
        let matches = |member: &&Rc<Member>| {
            let mut matching = line.matching_rules.iter();
            matching.any(|rule| rules::is_of(&rule.tag, &member.name))
        };
        let mut matching: Vec<&Rc<Member>> = members.iter().filter(matches).collect();
        if matching.is_empty() {
            matching = members.iter().collect();
        }
        for member in matching {
            if let Some(post) = &line.data {
                member.bill.add_post(post, None, now());
            }
            member.tell(Some(Rc::clone(line)));
        }
    }
}

impl Member {
    fn tell(&self, post: Option<Rc<Line>>) {
        if self.events.is_full() {
            // What is forgotten here is asked for.
            self.events.forget_all();
            self.events.tell(None);
        } else {
            self.events.tell(post);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_as_long_as_x_asks_for() {
        let mut failures = Failures::default();
        let mut waits = |failure: fn(String) -> Failure, n: usize| -> Vec<u64> {
            let failure = failure(String::new());
            let waits = (0..n).map(|_| failures.wait(&failure).as_millis() as u64);
            waits.collect()
        };
        assert_eq!(waits(Failure::Broken, 3), [0, 250, 500]);
        assert_eq!(waits(Failure::Broken, 100).last(), Some(&16_000));
        assert_eq!(waits(Failure::Refused, 3), [5_000, 10_000, 20_000]);
        assert_eq!(waits(Failure::Refused, 20).last(), Some(&320_000));
        assert_eq!(waits(Failure::Busy, 2), [60_000, 120_000]);
    }
}

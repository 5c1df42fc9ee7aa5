//! Reads X's filtered stream, so that posts come as they are made and polls need not ask for them.
//!
//! A stream replays nothing, so each time it opens the accounts are asked once for what came
//! meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::SourceName;
use log::warn;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire;
use crate::http::Incoming;
use crate::http::reopening::STEADY;
use crate::sources::events::{self, Events};
use crate::sources::reading::{Reading, read_on};
use crate::x::answer::{Refusal, refusal};
use crate::x::post::{Includes, Shown};
use crate::x::{Api, Content, Question};

/// The longest silence of a stream that lives: X sends a blank line every 20 seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// The most bytes of one line.
const MAX_LINE: usize = 1 << 20;
const RULES: &str = "/2/tweets/search/stream/rules";
const STREAM: &str = "/2/tweets/search/stream";

/// A stream; nothing is opened before somebody waits for news.
pub(super) struct Stream {
    shared: Rc<Shared>,
    reading: RefCell<Option<Reading>>,
    /// Up to which number it is counted what posts cost.
    counted: Cell<u64>,
}

/// A post that the stream told; none where something may have been missed before.
pub(super) type Told = events::Told<Option<Rc<Line>>>;

/// A line of the stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) data: Option<Shown>,
    pub(super) includes: Includes,
    errors: Vec<Value>,
}

struct Shared {
    name: SourceName,
    api: Rc<Api>,
    /// What is to be streamed.
    rules: Vec<String>,
    has_rules: Cell<bool>,
    is_open: Cell<bool>,
    events: Events<Option<Rc<Line>>>,
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

#[derive(Default, Deserialize)]
struct Rules {
    #[serde(default)]
    data: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    value: String,
    #[serde(default)]
    tag: String,
}

impl Stream {
    pub(super) fn new(name: &SourceName, api: Rc<Api>, rules: Vec<String>) -> Self {
        Self {
            shared: Rc::new(Shared {
                name: name.clone(),
                api,
                rules,
                has_rules: Cell::new(false),
                is_open: Cell::new(false),
                events: Events::default(),
            }),
            reading: RefCell::new(None),
            counted: Cell::new(0),
        }
    }

    /// Waits until something is new; opens the stream where that was not done.
    pub(super) async fn news(&self) {
        self.reading
            .borrow_mut()
            .get_or_insert_with(|| Reading::begin(read_all(Rc::clone(&self.shared))));
        self.shared.events.news().await;
    }

    /// What no poll has shown yet.
    pub(super) fn waiting(&self) -> Vec<Told> {
        self.shared.events.waiting()
    }

    /// Whether nothing can have come that is not in what waits.
    pub(super) fn is_whole(&self, waiting: &[Told]) -> bool {
        self.shared.is_open.get() && waiting.iter().all(|told| told.what.is_some())
    }

    /// Forgets what was told up to a number, as [`Events::settle`] does.
    pub(super) fn settle(&self, number: u64) {
        self.shared.events.settle(number);
    }

    /// Whether what a post costs is to be counted, which is done once.
    pub(super) fn counts(&self, told: &Told) -> bool {
        let is_new = told.number > self.counted.get();
        self.counted.set(self.counted.get().max(told.number));
        is_new
    }
}

/// Reads one stream after the other.
async fn read_all(shared: Rc<Shared>) {
    let mut failures = Failures::default();
    let read = async |incoming| {
        shared.is_open.set(true);
        shared.tell(None);
        let failure = shared.read(incoming).await;
        shared.is_open.set(false);
        failure
    };
    let wait = |lived, failure: &Failure| {
        // Each opening brings about a poll, so one that ends at once counts as a failure.
        if lived >= STEADY {
            failures = Failures::default();
        }
        failures.wait(failure)
    };
    read_on(&shared.name, async || shared.open().await, read, wait).await;
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
    async fn open(&self) -> Result<Incoming, Failure> {
        if !self.has_rules.get() {
            self.set_rules().await?;
            self.has_rules.set(true);
        }
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

    /// Makes the rules of this source what they are to be; those of others stay.
    async fn set_rules(&self) -> Result<(), Failure> {
        let standing: Rules = self.ask(Question::get(RULES, &[])).await?;
        let tag = format!("babelfeed {}", self.name);
        let (ours, _): (Vec<Rule>, Vec<Rule>) =
            standing.data.into_iter().partition(|rule| rule.tag == tag);
        let stands = |value: &&String| ours.iter().any(|rule| rule.value == **value);
        let missing = self.rules.iter().filter(|value| !stands(value));
        let missing: Vec<Value> = missing
            .map(|value| json!({"value": value, "tag": tag}))
            .collect();
        let spent = ours.iter().filter(|rule| !self.rules.contains(&rule.value));
        let spent: Vec<&str> = spent.map(|rule| rule.id.as_str()).collect();
        if !spent.is_empty() {
            self.change_rules(&json!({"delete": {"ids": spent}}))
                .await?;
        }
        if !missing.is_empty() {
            self.change_rules(&json!({"add": missing})).await?;
        }
        Ok(())
    }

    async fn change_rules(&self, change: &Value) -> Result<(), Failure> {
        let body = Content::Json(Bytes::from(change.to_string()));
        self.ask::<Value>(Question::post(RULES, body))
            .await
            .map(drop)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        question: Question<'_>,
    ) -> Result<T, Failure> {
        let answer = self.api.call(question).await;
        let response = answer.map_err(|error| Failure::Broken(error.to_string()))?;
        if response.is_success() {
            let read = serde_json::from_slice(&response.body);
            return read.map_err(|error| Failure::Refused(format!("unreadable rules: {error}")));
        }
        let (refusal, detail) = refusal(&response, |text| self.api.without_secrets(text));
        Err(match refusal {
            Refusal::Busy(_) => Failure::Busy(detail),
            _ => Failure::Refused(detail),
        })
    }

    /// Reads a stream until it breaks, and says why.
    async fn read(&self, mut incoming: Incoming) -> Failure {
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let piece = match incoming.next(SILENCE).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Failure::Broken("the stream has ended".to_owned()),
                Err(error) => return Failure::Broken(error.to_string()),
            };
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if let Some(failure) = self.hear(line.trim_ascii()) {
                    return failure;
                }
            }
            if rest.len() > MAX_LINE {
                return Failure::Broken("a line is too long".to_owned());
            }
        }
    }

    /// Takes one line; blank ones say that the stream lives.
    fn hear(&self, line: &[u8]) -> Option<Failure> {
        if line.is_empty() {
            return None;
        }
        match serde_json::from_slice::<Line>(line) {
            Ok(line) if line.data.is_some() => self.tell(Some(Rc::new(line))),
            Ok(line) => {
                let error = line.errors.first();
                let title = error.and_then(|error| error["title"].as_str());
                let title = title.unwrap_or("the stream says something else than posts");
                return Some(Failure::Broken(title.to_owned()));
            }
            Err(error) => {
                warn!(source:% = self.name, cause:% = error; "a line of a stream is unreadable, the accounts are asked");
                self.tell(None);
            }
        }
        None
    }

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

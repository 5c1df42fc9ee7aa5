//! What the server publishes by itself at its time, by its own clock.

use std::time::SystemTime;

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Node, Posted, failure, found};
use crate::simulators::server::{Answer, Request};

/// A time must be so far ahead.
const SOONEST: Duration = Duration::minutes(5);
/// The most that wait, in all and for one day.
const MAX: usize = 300;
const MAX_OF_A_DAY: usize = 25;

/// What waits for its time.
#[derive(Clone, Debug)]
pub struct Scheduled {
    pub id: String,
    pub at: DateTime<Utc>,
    pub status: Posted,
}

impl Node {
    /// Publishes what is due; each gets an id that has nothing to do with the one it waited under.
    pub(super) fn publish_due(&mut self) {
        let now = self.now();
        let is_due = |it: &mut Scheduled| it.at <= now;
        let mut due: Vec<Scheduled> = self.scheduled.extract_if(.., is_due).collect();
        due.sort_by_key(|it| it.at);
        for Scheduled { mut status, .. } in due {
            let stands = |id: &String| self.statuses.iter().any(|it| it.id == *id);
            // What it answers may be gone by now, and then it answers nothing.
            if !status.in_reply_to_id.as_ref().is_none_or(stands) {
                status.in_reply_to_id = None;
                status.in_reply_to_account_id = None;
            }
            self.store(status);
        }
    }

    /// When a request wants to be published, if that is ahead; what is past is published at once.
    pub(super) fn wanted_time(&self, request: &Request) -> Option<DateTime<Utc>> {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let at = body.get("scheduled_at")?.as_str()?;
        let at = DateTime::parse_from_rfc3339(at).ok()?.to_utc();
        (at > self.now()).then_some(at)
    }

    /// Keeps a status for its time.
    pub(super) fn schedule(
        &mut self,
        key: Option<String>,
        at: DateTime<Utc>,
        request: &Request,
    ) -> Answer {
        if let Some(refusal) = self.refusal_of_time(at) {
            return refusal;
        }
        let status = match self.draft(request, None) {
            Ok(status) => status,
            Err(refusal) => return refusal,
        };
        self.n_scheduled += 1;
        let id = self.n_scheduled.to_string();
        if let Some(key) = key {
            self.kept.insert(key, (id.clone(), SystemTime::now()));
        }
        self.scheduled.push(Scheduled { id, at, status });
        self.scheduled
            .last()
            .map_or_else(not_there, |it| found(&shown(it)))
    }

    /// What a repeated request is answered whose first one was scheduled under that id.
    pub(super) fn scheduled_again(&self, id: &str) -> Answer {
        let same = self.scheduled.iter().find(|it| it.id == id);
        same.map_or_else(not_there, |it| found(&shown(it)))
    }

    fn refusal_of_time(&self, at: DateTime<Utc>) -> Option<Answer> {
        let refuse = |text: &str| failure(422, &format!("Validation failed: {text}"));
        if at <= self.now() + SOONEST {
            return Some(refuse(
                "Scheduled at The scheduled date must be in the future",
            ));
        }
        let of_day = self.scheduled.iter();
        let of_day = of_day.filter(|it| it.at.date_naive() == at.date_naive());
        if of_day.count() >= MAX_OF_A_DAY {
            return Some(refuse(
                "You have exceeded the limit of 25 scheduled posts for today",
            ));
        }
        (self.scheduled.len() >= MAX)
            .then(|| refuse("You have exceeded the limit of 300 scheduled posts"))
    }

    /// Below `/api/v1/scheduled_statuses`: the list in pages, the newest first, or one of them.
    pub(super) fn read_scheduled(&self, rest: &str, request: &Request) -> Answer {
        if let Some(id) = rest.strip_prefix('/') {
            return self.scheduled_again(id);
        }
        let query = |name: &str| request.query.get(name);
        let number = |id: &String| id.parse::<u64>().unwrap_or_default();
        let limit = query("limit").and_then(|it| it.parse().ok());
        let limit = limit.unwrap_or(20_usize).min(40);
        let is_below = |it: &&Scheduled| match query("max_id") {
            Some(max) => number(&it.id) < number(max),
            None => true,
        };
        let page = self.scheduled.iter().rev().filter(is_below).take(limit);
        found(&Value::Array(page.map(shown).collect()))
    }

    pub(super) fn reschedule(&mut self, id: &str, at: DateTime<Utc>) -> Answer {
        if at <= self.now() + SOONEST {
            return failure(422, "Validation failed: The scheduled date is too soon");
        }
        let same = self.scheduled.iter_mut().find(|it| it.id == id);
        same.map_or_else(not_there, |it| {
            it.at = at;
            found(&shown(it))
        })
    }

    pub(super) fn unschedule(&mut self, id: &str) -> Answer {
        let is_it = |it: &mut Scheduled| it.id == id;
        let Some(gone) = self.scheduled.extract_if(.., is_it).next() else {
            return not_there();
        };
        self.detach(&gone.status.media);
        found(&json!({}))
    }

    fn now(&self) -> DateTime<Utc> {
        self.time(SystemTime::now())
    }
}

fn not_there() -> Answer {
    failure(404, "Record not found")
}

fn shown(scheduled: &Scheduled) -> Value {
    let status = &scheduled.status;
    json!({
        "id": scheduled.id,
        "scheduled_at": scheduled.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "params": {
            "text": status.text,
            "spoiler_text": status.warning,
            "media_ids": status.media,
            "sensitive": status.is_sensitive,
            "visibility": status.visibility,
            "language": status.language,
            "in_reply_to_id": status.in_reply_to_id.as_ref().and_then(|id| id.parse::<u64>().ok()),
            "poll": status.poll,
            "scheduled_at": null,
            "idempotency": null,
            "application_id": 1,
        },
        "media_attachments": [],
    })
}

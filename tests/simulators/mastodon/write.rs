//! What is posted, changed and deleted.

use std::collections::HashSet;
use std::time::SystemTime;

use serde_json::Value;

use super::{
    ACCOUNT, KEY_LIFE, Keys, MAX_OPTION, MAX_OPTIONS, Node, Posted, failure, found, strings, text,
};
use crate::simulators::faults::befall;
use crate::simulators::server::{Answer, Reply, Request};

impl Node {
    pub(super) fn post(&mut self, request: &Request) -> Reply {
        befall(self.faults.pop_front(), || self.create(request))
    }

    fn create(&mut self, request: &Request) -> Answer {
        let key = request.headers.get("idempotency-key").cloned();
        let at = self.wanted_time(request).filter(|_| self.has_schedule);
        if let Some(id) = key.as_ref().and_then(|key| self.kept_id(key)) {
            if at.is_some() {
                return self.scheduled_again(&id);
            }
            return match self.statuses.iter().find(|status| status.id == id) {
                Some(status) => found(&self.shown(status)),
                None => failure(404, "Record not found"),
            };
        }
        if let Some(at) = at {
            return self.schedule(key, at, request);
        }
        let mut status = match self.draft(request, None) {
            Ok(status) => status,
            Err(refusal) => return refusal,
        };
        status.key = key;
        let id = self.store(status);
        let status = self.statuses.iter().find(|it| it.id == id);
        found(&self.shown(status.expect("was stored")))
    }

    /// The status that a request describes, if it is one that may stand; `own` is the id of the
    /// status that it changes.
    pub(super) fn draft(&mut self, request: &Request, own: Option<&str>) -> Result<Posted, Answer> {
        let body = serde_json::from_slice::<Value>(&request.body)
            .map_err(|_| failure(400, "Bad Request"))?;
        let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let text = field("status").unwrap_or_default();
        let warning = field("spoiler_text").filter(|it| !it.is_empty());
        let media = strings(&body["media_ids"]);
        if text.trim().is_empty() && media.is_empty() {
            return Err(failure(422, "Validation failed: Text can't be blank"));
        }
        let measured = text::length(&text) + warning.as_deref().map_or(0, text::length);
        if measured > self.max_characters {
            let max = self.max_characters;
            let text = format!("Validation failed: Text character limit of {max} exceeded");
            return Err(failure(422, &text));
        }
        let parent = field("in_reply_to_id");
        let stands = |id: &String| self.statuses.iter().any(|status| status.id == *id);
        if parent.as_ref().is_some_and(|id| !stands(id)) {
            return Err(failure(
                404,
                "The post you are trying to reply to does not appear to exist.",
            ));
        }
        let quoted = field("quoted_status_id").filter(|_| self.api_version >= 7);
        if quoted.as_ref().is_some_and(|id| !stands(id)) {
            return Err(failure(404, "Record not found"));
        }
        let poll = body.get("poll").filter(|poll| !poll.is_null()).cloned();
        if let Some(refusal) = poll.as_ref().and_then(poll_refusal) {
            return Err(refusal);
        }
        if poll.is_some() && !media.is_empty() {
            return Err(failure(
                422,
                "Validation failed: Cannot attach media to a poll",
            ));
        }
        self.attach(&media, own)?;
        Ok(Posted {
            text,
            warning,
            media,
            poll,
            quoted,
            language: field("language"),
            visibility: field("visibility"),
            in_reply_to_account_id: parent.as_ref().map(|_| ACCOUNT.to_owned()),
            in_reply_to_id: parent,
            is_sensitive: body["sensitive"].as_bool().unwrap_or_default(),
            ..Posted::default()
        })
    }

    pub(super) fn change(&mut self, id: &str, request: &Request) -> Answer {
        if self.statuses.iter().all(|it| it.id != id) {
            return failure(404, "Record not found");
        }
        let draft = match self.draft(request, Some(id)) {
            Ok(draft) => draft,
            Err(refusal) => return refusal,
        };
        let Some(status) = self.statuses.iter_mut().find(|it| it.id == id) else {
            return failure(404, "Record not found");
        };
        let is_changed = (&status.text, &status.warning, &status.media)
            != (&draft.text, &draft.warning, &draft.media);
        status.text = draft.text;
        status.warning = draft.warning;
        status.media = draft.media;
        status.language = draft.language;
        status.is_sensitive = draft.is_sensitive;
        // Other choices end the vote, and a change without a poll takes it away.
        let question = |poll: &Option<Value>| {
            let poll = poll.as_ref();
            poll.map(|poll| (poll["options"].clone(), poll["multiple"].clone()))
        };
        if question(&status.poll) != question(&draft.poll) {
            status.n_votes = 0;
        }
        status.poll = draft.poll;
        status.n_edits += u32::from(is_changed);
        let status = status.clone();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.describe(&body["media_attributes"]);
        found(&self.shown(&status))
    }

    pub(super) fn delete(&mut self, id: &str) -> Answer {
        let Some(status) = self.statuses.iter().find(|it| it.id == id) else {
            return failure(404, "Record not found");
        };
        let answer = found(&self.shown(status));
        self.remove(id);
        answer
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.statuses.retain(|status| status.id != id);
        self.say(&format!("event: delete\ndata: {id}\n\n"));
    }

    pub(super) fn rewrite(&mut self, id: &str, text: &str) {
        let Some(status) = self.statuses.iter_mut().find(|it| it.id == id) else {
            return;
        };
        status.text = text.to_owned();
        status.n_edits += 1;
        let mut status = status.clone();
        if self.renews_edited {
            self.statuses.retain(|it| it.id != id);
            status.first_id.get_or_insert_with(|| id.to_owned());
            status.id = self.next_id();
            self.statuses.push(status.clone());
        }
        let status = self.shown(&status);
        self.say(&format!("event: status.update\ndata: {status}\n\n"));
    }

    fn next_id(&mut self) -> String {
        let id = 112_000_000_000_000_000_u64 + self.n_posted;
        self.n_posted += 1;
        id.to_string()
    }

    fn kept_id(&self, key: &str) -> Option<String> {
        let (id, at) = self.kept.get(key)?;
        let age = SystemTime::now().duration_since(*at).unwrap_or_default();
        (self.keys == Keys::Kept && age < KEY_LIFE).then(|| id.clone())
    }

    pub(super) fn store(&mut self, status: Posted) -> String {
        let id = self.next_id();
        let at = SystemTime::now();
        if let Some(key) = &status.key {
            self.kept.insert(key.clone(), (id.clone(), at));
        }
        let status = Posted {
            id: id.clone(),
            at: Some(at),
            ..status
        };
        let shown = self.shown(&status);
        self.statuses.push(status);
        self.say(&format!("event: update\ndata: {shown}\n\n"));
        id
    }
}

fn poll_refusal(poll: &Value) -> Option<Answer> {
    let options = strings(&poll["options"]);
    let is_long = |option: &String| option.chars().count() > MAX_OPTION;
    if options.len() < 2 || options.len() > MAX_OPTIONS || options.iter().any(is_long) {
        return Some(failure(422, "Validation failed: Choices are wrong"));
    }
    let texts: HashSet<&str> = options.iter().map(|option| option.trim()).collect();
    if texts.len() < options.len() || texts.contains("") {
        return Some(failure(
            422,
            "Validation failed: Choices contain duplicates",
        ));
    }
    let lasts = poll["expires_in"].as_u64().unwrap_or_default();
    (!(300..=2_629_746).contains(&lasts))
        .then(|| failure(422, "Validation failed: Expiration is wrong"))
}

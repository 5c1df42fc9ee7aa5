//! The filtered stream: its rules, its one connection, and the posts that it tells.

use std::sync::{Arc, Mutex, mpsc};

use serde_json::{Value, json};

use super::answers::{found, invalid, not_permitted, problem};
use super::caller::Caller;
use super::{Node, Stored, X};
use crate::simulators::server::{Answer, Reply, Request};

/// What every program with the app's token shares.
#[derive(Default)]
pub(super) struct Streams {
    open: Vec<mpsc::Sender<String>>,
    rules: Vec<Rule>,
    n_rules: usize,
    n_doubles: usize,
}

#[derive(Clone)]
struct Rule {
    id: String,
    value: String,
    tag: String,
}

impl X {
    /// The values of the rules that stand, in their order.
    pub fn rules(&self) -> Vec<String> {
        let node = self.node();
        node.streams
            .rules
            .iter()
            .map(|it| it.value.clone())
            .collect()
    }

    /// How often a rule was to stand that stood already.
    pub fn n_doubled_rules(&self) -> usize {
        self.node().streams.n_doubles
    }

    /// A rule of another program, or of an earlier run.
    pub fn add_rule(&self, value: &str, tag: &str) {
        self.node().streams.add(value, tag);
    }

    /// How many streams are open.
    pub fn n_streams(&self) -> usize {
        self.node().streams.open.len()
    }

    /// Closes all streams.
    pub fn close_streams(&self) {
        self.node().streams.open.clear();
    }

    /// Says a line in every stream.
    pub fn say_in_stream(&self, line: &str) {
        self.node().streams.say(line);
    }
}

impl Streams {
    fn add(&mut self, value: &str, tag: &str) {
        self.n_rules += 1;
        self.rules.push(Rule {
            id: format!("rule-{}", self.n_rules),
            value: value.to_owned(),
            tag: tag.to_owned(),
        });
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.open.retain(|stream| stream.send(line.clone()).is_ok());
    }
}

impl Node {
    pub(super) fn stream(&mut self, caller: &Caller) -> Reply {
        if !matches!(caller, Caller::App) {
            return not_permitted().into();
        }
        if self.streams.rules.is_empty() {
            return problem(409, "RuleConfigurationIssue", "no rules", "about:blank").into();
        }
        // Whoever is gone is noticed when it is spoken to.
        self.streams.say("");
        if !self.streams.open.is_empty() {
            let kind = "https://api.x.com/2/problems/streaming-connection";
            return problem(429, "ConnectionException", "TooManyConnections", kind).into();
        }
        let (sender, pieces) = mpsc::channel();
        self.streams.open.push(sender);
        self.streams.say("");
        let head = Answer::new(200, "application/json", "");
        Reply::Pieces(head, Arc::new(Mutex::new(pieces)))
    }

    pub(super) fn shown_rules(&self) -> Answer {
        let shown = |it: &Rule| json!({"id": it.id, "value": it.value, "tag": it.tag});
        let rules: Vec<Value> = self.streams.rules.iter().map(shown).collect();
        let mut body = json!({"meta": {"sent": "2026-11-21T12:00:00.000Z"}});
        if !rules.is_empty() {
            body["data"] = json!(rules);
        }
        found(&body)
    }

    pub(super) fn change_rules(&mut self, request: &Request) -> Answer {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return invalid("not JSON");
        };
        for id in body["delete"]["ids"].as_array().into_iter().flatten() {
            self.streams.rules.retain(|it| Some(&*it.id) != id.as_str());
        }
        let mut doubles = Vec::new();
        for rule in body["add"].as_array().into_iter().flatten() {
            let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
            let (value, tag) = (text("value"), text("tag"));
            if value.is_empty() || value.len() > 1_024 {
                return invalid("a rule is empty or too long");
            }
            // Whatever it is called, a rule stands once.
            if self.streams.rules.iter().any(|it| it.value == value) {
                let kind = "https://api.twitter.com/2/problems/duplicate-rules";
                doubles.push(json!({"value": value, "title": "DuplicateRule", "type": kind}));
                continue;
            }
            self.streams.add(&value, &tag);
        }
        self.streams.n_doubles += doubles.len();
        let body = json!({"meta": {}, "errors": doubles}).to_string();
        Answer::new(201, "application/json", body)
    }

    /// Tells a post in the stream, if a rule wants it, and bills it.
    pub(super) fn tell(&mut self, post: &Stored) {
        let name = self.members.iter().find(|(id, _)| *id == post.author);
        let Some(name) = name.map(|(_, name)| format!("from:{name}")) else {
            return;
        };
        let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == ':';
        let wants = |rule: &&Rule| {
            let mut words = rule.value.split(|it: char| !is_word(it));
            words.any(|word| word == name)
                && !(rule.value.contains("-is:reply") && post.parent.is_some())
                && !(rule.value.contains("-is:retweet") && post.reposted.is_some())
        };
        let rules: Vec<Value> = self
            .streams
            .rules
            .iter()
            .filter(wants)
            .map(|it| json!({"id": it.id, "tag": it.tag}))
            .collect();
        if rules.is_empty() || self.streams.open.is_empty() {
            return;
        }
        self.bill_read(post);
        let fields = "created_at,lang,author_id,entities,referenced_tweets,attachments,\
            in_reply_to_user_id,conversation_id,note_tweet,possibly_sensitive";
        let expansions = "attachments.media_keys,referenced_tweets.id,attachments.poll_ids";
        let line = json!({
            "data": self.shown(post, fields),
            "includes": self.includes(std::slice::from_ref(post), fields, expansions),
            "matching_rules": rules,
        });
        self.streams.say(&line.to_string());
    }
}

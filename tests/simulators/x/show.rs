//! How X shows a post: fields as they were asked for, addresses made short, long texts cut.

use std::time::{Duration, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::count::{links, weight};
use super::{Names, Node, Stored, millis_of};

impl Node {
    pub(super) fn includes(&self, posts: &[Stored], fields: &str, expansions: &str) -> Value {
        let mut includes = serde_json::Map::new();
        if expansions.contains("attachments.media_keys") {
            let keys = posts.iter().flat_map(|post| &post.media);
            let media: Vec<Value> = keys
                .filter_map(|key| Some(self.uploads.get(key)?.shown(key)))
                .collect();
            includes.insert("media".into(), json!(media));
        }
        if expansions.contains("attachments.poll_ids") {
            let polls = posts.iter().filter(|post| !post.options.is_empty());
            let polls: Vec<Value> = polls
                .map(|post| {
                    let options = post.options.iter().map(|it| json!({"label": it}));
                    let options: Vec<Value> = options.collect();
                    json!({"id": format!("p{}", post.id), "options": options, "duration_minutes": 60})
                })
                .collect();
            includes.insert("polls".into(), json!(polls));
        }
        let (expansion, name) = match self.names {
            Names::Tweets => ("referenced_tweets.id", "tweets"),
            Names::Posts => ("referenced_posts", "posts"),
        };
        if expansions.contains(expansion) {
            let ids = posts
                .iter()
                .flat_map(|it| [it.parent, it.quoted, it.reposted]);
            let ids: Vec<u64> = ids.flatten().collect();
            let referred = self.posts.iter().filter(|post| ids.contains(&post.id));
            let referred: Vec<Value> = referred.map(|post| self.shown(post, fields)).collect();
            includes.insert(name.into(), json!(referred));
        }
        Value::Object(includes)
    }

    pub(super) fn shown(&self, post: &Stored, fields: &str) -> Value {
        let (text, urls) = self.shown_text(post);
        let (references, note, versions) = match self.names {
            Names::Tweets => ("referenced_tweets", "note_tweet", "edit_history_tweet_ids"),
            Names::Posts => ("referenced_posts", "note_post", "edit_history_post_ids"),
        };
        let history = post.versions.iter().chain([&post.id]);
        let history: Vec<String> = history.map(u64::to_string).collect();
        let mut shown = json!({"id": post.id.to_string(), "text": text});
        shown[versions] = json!(history);
        let wants = |name: &str| fields.split(',').any(|field| field.trim() == name);
        let mut add = |name: &str, value: Value| {
            if wants(name) && !value.is_null() {
                shown[name] = value;
            }
        };
        let at = DateTime::<Utc>::from(UNIX_EPOCH + Duration::from_millis(millis_of(post.id)));
        add(
            "created_at",
            json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        );
        add("lang", json!(post.lang));
        add("author_id", json!(post.author));
        add("possibly_sensitive", json!(false));
        let parent = post
            .parent
            .and_then(|id| self.posts.iter().find(|it| it.id == id));
        add(
            "in_reply_to_user_id",
            parent.map_or(Value::Null, |parent| json!(parent.author)),
        );
        let kinds = [
            ("replied_to", post.parent),
            (
                "quoted",
                post.quoted.or_else(|| quoted_by_address(&post.text)),
            ),
            ("retweeted", post.reposted),
        ];
        let refers: Vec<Value> = kinds
            .iter()
            .filter_map(|(kind, id)| Some(json!({"type": kind, "id": (*id)?.to_string()})))
            .collect();
        if !refers.is_empty() {
            add(references, json!(refers));
        }
        if !post.media.is_empty() {
            add("attachments", json!({"media_keys": post.media}));
        }
        if !post.options.is_empty() {
            add(
                "attachments",
                json!({"poll_ids": [format!("p{}", post.id)]}),
            );
        }
        if weight(&post.text) > 280 {
            let whole = json!({"text": text, "entities": {"urls": urls}});
            add(note, whole);
            let cut: String = text.chars().take(270).collect();
            shown["text"] = json!(format!("{cut}…"));
        } else if !urls.is_empty() {
            add("entities", json!({"urls": urls}));
        }
        shown
    }

    /// The text as it is shown, and where its short addresses stand.
    pub(super) fn shown_text(&self, post: &Stored) -> (String, Vec<Value>) {
        if let Some(id) = post.reposted {
            let other = self.posts.iter().find(|it| it.id == id).expect("is there");
            let (_, name) = self
                .members
                .iter()
                .find(|it| it.0 == other.author)
                .expect("a member");
            let cut: String = other.text.chars().take(20).collect();
            return (format!("RT @{name}: {cut}…"), Vec::new());
        }
        let mut shown = String::new();
        let mut urls = Vec::new();
        let mut short = |shown: &mut String, expanded: String, key: Option<&String>| {
            let url = format!("https://t.co/{:010x}{}", post.id, urls.len());
            let start = shown.chars().count();
            let end = start + url.chars().count();
            shown.push_str(&url);
            let mut entity =
                json!({"start": start, "end": end, "url": url, "expanded_url": expanded});
            if let Some(key) = key {
                entity["media_key"] = json!(key);
            }
            urls.push(entity);
        };
        let mut done = 0;
        for (start, end) in links(&post.text) {
            shown.push_str(&escaped(&post.text[done..start]));
            let link = &post.text[start..end];
            let has_scheme = link.starts_with("http");
            let link = if has_scheme {
                link.to_owned()
            } else {
                format!("http://{link}")
            };
            short(&mut shown, link, None);
            done = end;
        }
        shown.push_str(&escaped(&post.text[done..]));
        if let Some(quoted) = post.quoted {
            shown.push(' ');
            short(
                &mut shown,
                format!("https://twitter.com/someone/status/{quoted}"),
                None,
            );
        }
        if let Some(key) = post.media.first() {
            shown.push(' ');
            let place = format!("https://x.com/someone/status/{}/photo/1", post.id);
            short(&mut shown, place, Some(key));
        }
        (shown, urls)
    }
}

/// The post that a text ends with the address of, which is taken for quoted.
fn quoted_by_address(text: &str) -> Option<u64> {
    let (_, last) = text.rsplit_once(char::is_whitespace)?;
    let (host, id) = last.split_once("/status/")?;
    host.starts_with("https://x.com/")
        .then(|| id.parse().ok())
        .flatten()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

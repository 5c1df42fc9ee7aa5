//! What the account posts and deletes.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::answers::{forbidden, found, invalid, missing, not_permitted, problem};
use super::caller::{Caller, may};
use super::count::composed;
use super::media::Upload;
use super::{
    ACCOUNT, DOUBLE, EPOCH, Node, Stored, USERNAME, WINDOW, has_link, millis, seconds, weight,
};
use crate::simulators::faults::befall;
use crate::simulators::server::{Answer, Reply, Request};

impl Node {
    pub(super) fn post(&mut self, request: &Request, caller: &Caller) -> Reply {
        if !may(caller, "tweet.write") {
            return not_permitted().into();
        }
        befall(self.faults.pop_front(), || self.create(request))
    }

    fn create(&mut self, request: &Request) -> Answer {
        if self.is_suspended {
            return forbidden(
                "Your account is suspended and is not permitted to access this feature.",
            );
        }
        if !self.count_post() {
            return problem(429, "Too Many Requests", "Too Many Requests", "about:blank");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return invalid("not JSON");
        };
        let text = composed(body["text"].as_str().unwrap_or_default());
        let ids = |list: &Value| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(|id| id.as_str().map(str::to_owned))
                .collect()
        };
        let media = ids(&body["media"]["media_ids"]);
        let options = ids(&body["poll"]["options"]);
        if text.trim().is_empty() && media.is_empty() {
            return invalid("text is missing");
        }
        if weight(&text) > self.max_weight {
            return forbidden("Your Post text is too long.");
        }
        if let Some(refusal) = self.refuse_media(&media, &options) {
            return refusal;
        }
        if self.is_double(&text) {
            return forbidden("You are not allowed to create a Tweet with duplicate content.");
        }
        let parent = body["reply"]["in_reply_to_tweet_id"].as_str();
        let parent = match parent.map(|id| self.parent(id)) {
            None => None,
            Some(Ok(parent)) => Some(parent),
            Some(Err(refusal)) => return refusal,
        };
        let quoted = body["quote_tweet_id"].as_str();
        if quoted.is_some() && !self.may_quote {
            return forbidden("You are not permitted to perform this action.");
        }
        let stands = |id: u64| self.posts.iter().any(|it| it.id == id && !it.is_deleted);
        let quoted = quoted.map(|id| id.parse().ok().filter(|id| stands(*id)));
        let Some(quoted) = quoted.map_or(Some(None), |id| id.map(Some)) else {
            return invalid("quote_tweet_id is invalid");
        };
        let price = if has_link(&text) { 0.20 } else { 0.015 };
        let id = self.store(Stored {
            author: ACCOUNT.to_owned(),
            text,
            parent,
            media,
            options,
            quoted,
            lang: "und".to_owned(),
            ..Stored::default()
        });
        self.bill("post", price);
        let post = self.posts.last().expect("was stored");
        let body = json!({"data": {
            "id": id.to_string(),
            "text": self.shown_text(post).0,
            "edit_history_tweet_ids": [id.to_string()],
        }});
        Answer::new(201, "application/json; charset=utf-8", body.to_string())
    }

    /// Whether one more post is within the limit.
    fn count_post(&mut self) -> bool {
        let window = seconds(self.now()) / WINDOW;
        if self.window.0 != window {
            self.window = (window, 0);
        }
        let is_within = self.window.1 < self.post_limit;
        self.window.1 += u64::from(is_within);
        is_within
    }

    fn refuse_media(&self, media: &[String], options: &[String]) -> Option<Answer> {
        let is_poll = !options.is_empty();
        let fits = (2..=4).contains(&options.len())
            && options
                .iter()
                .all(|it| (1..=25).contains(&it.chars().count()));
        let texts: HashSet<&str> = options.iter().map(|it| it.trim()).collect();
        let fits = fits && texts.len() == options.len() && !texts.contains("");
        if is_poll && (!fits || !media.is_empty()) {
            return Some(invalid("the poll is not valid"));
        }
        let is_ready = |id: &String| self.uploads.get(id).is_some_and(Upload::is_ready);
        if !media.iter().all(is_ready) || media.len() > 4 {
            return Some(invalid("Your media IDs are invalid."));
        }
        let is_alone = |id: &String| self.uploads[id].category != "tweet_image";
        if media.len() > 1 && media.iter().any(is_alone) {
            return Some(invalid("more than one film"));
        }
        None
    }

    fn is_double(&self, text: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        let is_young = |post: &Stored| {
            let at = post.at.unwrap_or(UNIX_EPOCH);
            SystemTime::now().duration_since(at).unwrap_or_default() < DOUBLE
        };
        let own = self.posts.iter().filter(|post| post.author == ACCOUNT);
        own.filter(|post| is_young(post))
            .any(|post| post.text == text)
    }

    /// The post that may be answered.
    fn parent(&self, id: &str) -> Result<u64, Answer> {
        let parent = self.posts.iter().find(|post| post.id.to_string() == id);
        let parent = parent.filter(|post| !post.is_deleted).ok_or_else(|| {
            forbidden("You attempted to reply to a Tweet that is deleted or not visible to you.")
        })?;
        let is_summoned = parent.text.contains(&format!("@{USERNAME}"));
        if parent.author == ACCOUNT || is_summoned {
            Ok(parent.id)
        } else {
            Err(forbidden(
                "Reply to this conversation is not allowed because you have not been mentioned or \
                 otherwise engaged by the author of the post you are replying to.",
            ))
        }
    }

    pub(super) fn delete(&mut self, id: &str, caller: &Caller) -> Answer {
        if !may(caller, "tweet.write") {
            return not_permitted();
        }
        let own = self.posts.iter_mut().filter(|post| post.author == ACCOUNT);
        let mut standing = own.filter(|post| !post.is_deleted);
        match standing.find(|post| post.id.to_string() == id) {
            None => missing(),
            Some(post) => {
                post.is_deleted = true;
                self.bill("delete", 0.010);
                found(&json!({"data": {"deleted": true}}))
            }
        }
    }

    pub(super) fn store(&mut self, mut post: Stored) -> u64 {
        let at = self.now();
        self.serial += 1;
        post.id = (millis(at) - EPOCH) << 22 | self.serial;
        post.at = Some(at);
        let id = post.id;
        self.tell(&post);
        self.posts.push(post);
        id
    }
}

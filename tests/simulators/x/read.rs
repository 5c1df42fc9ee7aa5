//! Accounts, their timelines, and what is found among their posts.

use chrono::DateTime;
use serde_json::{Value, json};

use super::answers::{found, invalid, missing, not_permitted, parameter};
use super::caller::{Caller, may};
use super::{ACCOUNT, Names, Node, Stored, USERNAME, millis, millis_of};
use crate::simulators::server::{Answer, Request};

impl Node {
    pub(super) fn me(&mut self, caller: &Caller) -> Answer {
        if !may(caller, "users.read") {
            return not_permitted();
        }
        self.bill("owned", 0.001);
        found(&json!({"data": {"id": ACCOUNT, "name": "Bot", "username": USERNAME}}))
    }

    pub(super) fn member(&mut self, username: &str, request: &Request) -> Answer {
        let Some(id) = self.id_of(username) else {
            return missing();
        };
        self.bill("user", 0.010);
        let mut user = json!({"id": id, "name": username, "username": username});
        let fields = parameter(request, "user.fields").unwrap_or_default();
        if fields.contains("public_metrics") {
            let posts = self.posts.iter();
            let n_posts = posts.filter(|it| it.author == id && !it.is_deleted).count();
            user["public_metrics"] = json!({"followers_count": 7, "tweet_count": n_posts});
        }
        found(&json!({"data": user}))
    }

    pub(super) fn id_of(&self, username: &str) -> Option<String> {
        let mut members = self.members.iter();
        let member = members.find(|(_, name)| name.eq_ignore_ascii_case(username));
        member.map(|(id, _)| id.clone())
    }

    pub(super) fn timeline(&mut self, id: &str, request: &Request) -> Answer {
        if !self.members.iter().any(|(member, _)| member == id) {
            return missing();
        }
        let excluded = parameter(request, "exclude").unwrap_or_default();
        let is_excluded = |post: &Stored| {
            excluded.contains("retweets") && post.reposted.is_some()
                || excluded.contains("replies") && post.parent.is_some()
        };
        let posts = self.posts.iter();
        let posts = posts.filter(|it| it.author == id && !is_excluded(it));
        let ids: Vec<u64> = posts.map(|post| post.id).collect();
        self.page(ids, request)
    }

    pub(super) fn search(&mut self, request: &Request) -> Answer {
        let query = parameter(request, "query").unwrap_or_default();
        if query.is_empty() || query.len() > 512 {
            return invalid("query is missing or too long");
        }
        if let Some(since) = parameter(request, "since_id")
            && let Ok(since) = since.parse::<u64>()
            && millis_of(since) + 7 * 86_400_000 < millis(self.now())
        {
            return invalid("'since_id' must be a tweet id created after [seven days ago]");
        }
        let wanted: Vec<String> = query
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':')
            .filter_map(|word| word.strip_prefix("from:"))
            .filter_map(|name| self.id_of(name))
            .collect();
        let no_reposts = query.contains("-is:retweet");
        let no_replies = query.contains("-is:reply");
        let posts = self.posts.iter().filter(|post| {
            let is_left_out = post.is_late
                || no_reposts && post.reposted.is_some()
                || no_replies && post.parent.is_some();
            wanted.contains(&post.author) && !is_left_out
        });
        let ids: Vec<u64> = posts.map(|post| post.id).collect();
        self.page(ids, request)
    }

    /// A page of these posts, the newest first, billed.
    fn page(&mut self, ids: Vec<u64>, request: &Request) -> Answer {
        let (param, other) = match self.names {
            Names::Tweets => ("tweet.fields", "post.fields"),
            Names::Posts => ("post.fields", "tweet.fields"),
        };
        if parameter(request, other).is_some() {
            return invalid("one of the parameters is not known");
        }
        let number = |name: &str| parameter(request, name).and_then(|it| it.parse::<u64>().ok());
        let most = number("max_results").unwrap_or(10);
        if !(5..=100).contains(&most) {
            return invalid("max_results is not between 5 and 100");
        }
        let most = self.page.min(most as usize);
        let start = parameter(request, "start_time");
        let start = start.and_then(|it| DateTime::parse_from_rfc3339(&it).ok());
        let token = parameter(request, "pagination_token").or(parameter(request, "next_token"));
        // A token names the last post of the page before, so what is new meanwhile shifts nothing.
        let below = token.and_then(|it| it.strip_prefix("below-")?.parse::<u64>().ok());
        let mut chosen: Vec<Stored> = self
            .posts
            .iter()
            .filter(|post| ids.contains(&post.id) && !post.is_deleted)
            .filter(|post| number("since_id").is_none_or(|since| post.id > since))
            .filter(|post| below.is_none_or(|below| post.id < below))
            .filter(|post| {
                start.is_none_or(|start| millis_of(post.id) as i64 >= start.timestamp_millis())
            })
            .cloned()
            .collect();
        chosen.sort_by_key(|post| std::cmp::Reverse(post.id));
        let has_more = chosen.len() > most;
        chosen.truncate(most);
        if chosen.is_empty() {
            return found(&json!({"meta": {"result_count": 0}}));
        }
        for post in &chosen {
            self.bill_read(post);
        }
        let fields = parameter(request, param).unwrap_or_default();
        let expansions = parameter(request, "expansions").unwrap_or_default();
        let shown: Vec<Value> = chosen.iter().map(|it| self.shown(it, &fields)).collect();
        let oldest = chosen.last().map_or(0, |post| post.id);
        let mut meta = json!({
            "result_count": chosen.len(),
            "newest_id": chosen[0].id.to_string(),
            "oldest_id": oldest.to_string(),
        });
        if has_more {
            meta["next_token"] = json!(format!("below-{oldest}"));
        }
        found(&json!({
            "data": shown,
            "includes": self.includes(&chosen, &fields, &expansions),
            "meta": meta,
        }))
    }
}

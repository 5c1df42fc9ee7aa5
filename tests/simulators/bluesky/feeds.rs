//! Feeds of many authors, as the simulated view shows them: one by a program's rules, and one of a list.

use serde_json::{Value, json};

use super::{
    Bluesky, DID, HANDLE, Node, POSTS, asked, cid_of, found, millis, now, refusal, written,
};
use crate::simulators::server::{Answer, Request};

/// The feeds, by the addresses under which people read them.
pub const FEED: &str = "https://bsky.app/profile/ana.simulated.test/feed/boats";
pub const LIST: &str = "https://bsky.app/profile/ana.simulated.test/lists/sailors";

/// What the feeds show, the first on top; both show the same.
#[derive(Default)]
pub(super) struct Feeds {
    entries: Vec<Entry>,
    n_entries: u64,
    /// The places of pages that have nothing to see.
    hidden: Vec<usize>,
    /// Whether a page that has nothing below it names a next one all the same.
    is_endless: bool,
}

struct Entry {
    uri: String,
    shown: Value,
}

impl Bluesky {
    /// Lets somebody write a post, which the feeds show at that place from the top; returns its
    /// address.
    pub fn feature(&self, author: &str, record: &Value, place: usize) -> String {
        self.feature_as(author, record, place, |_| {})
    }

    /// The same with something more told of it.
    pub fn feature_as(
        &self,
        author: &str,
        record: &Value,
        place: usize,
        shape: impl FnOnce(&mut Value),
    ) -> String {
        let mut node = self.node();
        let feeds = &mut node.feeds;
        feeds.n_entries += 1;
        let uri = format!("at://did:plc:{author}/{POSTS}/3k{:011}", feeds.n_entries);
        let at = millis(&record["createdAt"]).map_or(now(), |at| at.min(now()));
        let handle = format!("{author}.test");
        let did = format!("did:plc:{author}");
        let mut shown = json!({"post": {
            "uri": uri, "cid": cid_of(uri.as_bytes()), "record": record, "indexedAt": written(at),
            "author": {"did": did, "handle": handle, "labels": []}, "labels": [],
        }});
        shape(&mut shown);
        let entry = Entry {
            uri: uri.clone(),
            shown,
        };
        feeds.entries.insert(place.min(feeds.entries.len()), entry);
        uri
    }

    /// Takes a post out of the feeds.
    pub fn unfeature(&self, uri: &str) {
        self.node().feeds.entries.retain(|it| it.uri != uri);
    }

    /// Moves a post to that place from the top.
    pub fn move_to(&self, uri: &str, place: usize) {
        let entries = &mut self.node().feeds.entries;
        let from = entries.iter().position(|it| it.uri == uri);
        let entry = entries.remove(from.expect("is shown"));
        entries.insert(place, entry);
    }

    /// Hides all that stands on a page, as the view does with what nobody may see.
    pub fn hide_page(&self, number: usize) {
        self.node().feeds.hidden.push(number);
    }

    /// Lets the last page name another.
    pub fn never_end(&self) {
        self.node().feeds.is_endless = true;
    }
}

impl Node {
    /// A page of a feed; it is asked for by the address of its declaration, never by a handle.
    pub(super) fn feed_of_many(&self, parameter: &str, request: &Request) -> Answer {
        let asked = |name: &str| asked(request, name);
        let known = match parameter {
            "feed" => format!("at://{DID}/app.bsky.feed.generator/boats"),
            _ => format!("at://{DID}/app.bsky.graph.list/sailors"),
        };
        if asked(parameter) != known {
            return refusal(400, "UnknownFeed", "could not find feed");
        }
        let limit = asked("limit").parse().unwrap_or(50_usize).min(100);
        let from: usize = asked("cursor").parse().unwrap_or(0);
        let feeds = &self.feeds;
        let page = feeds.entries.iter().skip(from).take(limit);
        let mut page: Vec<&Value> = page.map(|it| &it.shown).collect();
        if feeds.hidden.contains(&(from / limit)) {
            page.clear();
        }
        let mut answer = json!({"feed": page});
        let next = from + limit;
        if next < feeds.entries.len() || feeds.is_endless {
            answer["cursor"] = json!(next.to_string());
        }
        found(&answer)
    }
}

/// What makes an entry a repost by the account.
pub fn reposted(shown: &mut Value) {
    shown["reason"] = json!({
        "$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": DID, "handle": HANDLE},
        "uri": format!("at://{DID}/app.bsky.feed.repost/3k"), "indexedAt": written(now()),
    });
}

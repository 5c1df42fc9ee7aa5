//! The pages of an account's statuses, the newest first on each of them.

use serde_json::Value;

use super::access::{Access, is_visible};
use super::{ACCOUNT, Node, Posted, found};
use crate::simulators::server::{Answer, Request};

impl Node {
    /// Below `max_id`; the newest above `since_id`; or just above `min_id`, without gaps.
    pub(super) fn page(&self, request: &Request, access: Access) -> Answer {
        let query = |name: &str| request.query.get(name).filter(|_| self.has_pages);
        let limit = query("limit").and_then(|it| it.parse().ok());
        let limit = match self.has_pages {
            true => limit.unwrap_or(20_usize).min(40),
            false => usize::MAX,
        };
        let is_set = |name: &str| request.query.get(name).is_some_and(|it| it == "true");
        let is_wanted = |status: &&Posted| {
            let is_reply = status
                .in_reply_to_account_id
                .as_ref()
                .is_some_and(|id| id != ACCOUNT);
            is_visible(status, access)
                && !(is_set("exclude_reblogs") && status.reblog.is_some())
                && !(is_set("exclude_replies") && is_reply)
        };
        let mut within: Vec<&Posted> = self
            .statuses
            .iter()
            .filter(is_wanted)
            .filter(|it| query("max_id").is_none_or(|max| is_below(&it.id, max)))
            .filter(|it| query("since_id").is_none_or(|since| is_below(since, &it.id)))
            .filter(|it| query("min_id").is_none_or(|min| is_below(min, &it.id)))
            .collect();
        if query("min_id").is_some() {
            within.truncate(limit);
        }
        let page: Vec<&Posted> = within.into_iter().rev().take(limit).collect();
        let shown: Vec<Value> = page.iter().map(|status| self.shown(status)).collect();
        let answer = found(&Value::Array(shown));
        match (page.first(), page.last()) {
            (Some(newest), Some(oldest)) if self.has_pages => {
                let here = format!(
                    "http://{}{}",
                    request.headers.get("host").map_or("", String::as_str),
                    request.path
                );
                let link = format!(
                    "<{here}?limit={limit}&max_id={}>; rel=\"next\", <{here}?limit={limit}&min_id={}>; rel=\"prev\"",
                    oldest.id, newest.id
                );
                answer.with("Link", link)
            }
            _ => answer,
        }
    }
}

/// Ids are numbers of any length.
fn is_below(one: &str, other: &str) -> bool {
    (one.len(), one) < (other.len(), other)
}

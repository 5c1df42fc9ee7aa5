//! What X answers, and what it says of limits beside it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Node, WINDOW, seconds};
use crate::simulators::forms::decoded;
use crate::simulators::server::{Answer, Reply, Request};

impl Node {
    pub(super) fn with_headers(&self, request: &Request, reply: Reply) -> Reply {
        let now = DateTime::<Utc>::from(self.now());
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let is_post = request.method == "POST" && request.path == "/2/tweets";
        let used = if is_post { self.window.1 } else { 1 };
        let limit = if is_post { self.post_limit } else { 900 };
        let reset = (seconds(self.now()) / WINDOW + 1) * WINDOW;
        let dress = |answer: Answer| {
            let has = |name: &str| {
                let mut names = answer.headers.iter();
                names.any(|(known, _)| known.eq_ignore_ascii_case(name))
            };
            let is_told = has("x-rate-limit-remaining");
            let has_date = has("date");
            let mut answer = answer;
            if !has_date {
                answer = answer.with("Date", date.clone());
            }
            if !is_told {
                answer = answer
                    .with("x-rate-limit-limit", limit.to_string())
                    .with(
                        "x-rate-limit-remaining",
                        limit.saturating_sub(used).to_string(),
                    )
                    .with("x-rate-limit-reset", reset.to_string());
            }
            answer
        };
        match reply {
            Reply::Answer(answer) => Reply::Answer(dress(answer)),
            Reply::Half(answer) => Reply::Half(dress(answer)),
            other => other,
        }
    }
}

pub(super) fn found(body: &Value) -> Answer {
    Answer::new(200, "application/json; charset=utf-8", body.to_string())
}

pub(super) fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Answer {
    let body = json!({"title": title, "detail": detail, "type": kind, "status": status});
    Answer::new(status, "application/problem+json", body.to_string())
}

pub(super) fn unauthorized() -> Answer {
    problem(401, "Unauthorized", "Unauthorized", "about:blank")
}

pub(super) fn forbidden(detail: &str) -> Answer {
    problem(403, "Forbidden", detail, "about:blank")
}

pub(super) fn not_permitted() -> Answer {
    forbidden(
        "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.",
    )
}

pub(super) fn depleted() -> Answer {
    let detail = "Your enrolled account [1] does not have any credits to fulfill this request.";
    let kind = "https://api.twitter.com/2/problems/credits";
    problem(402, "CreditsDepleted", detail, kind)
}

pub(super) fn missing() -> Answer {
    let kind = "https://api.twitter.com/2/problems/resource-not-found";
    problem(404, "Not Found Error", "Could not find it.", kind)
}

pub(super) fn invalid(message: &str) -> Answer {
    let body = json!({
        "errors": [{"parameters": {}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    });
    Answer::new(400, "application/problem+json", body.to_string())
}

/// What is answered to an unknown route: nothing at all.
pub(super) fn unknown() -> Answer {
    Answer {
        status: 404,
        ..Answer::default()
    }
}

/// A parameter of the query, decoded.
pub(super) fn parameter(request: &Request, name: &str) -> Option<String> {
    request.query.get(name).map(|value| decoded(value))
}

//! What a refusal of X means.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike as _, TimeZone as _, Utc};
use serde::Deserialize;

use crate::http::{Response, hints};

/// The most characters of an answer that a failure repeats.
const MAX_DETAIL: usize = 200;
/// Added to a time of renewal, so that one does not come a moment early.
const MARGIN: Duration = Duration::from_secs(1);
/// How often X counts the posts of a day anew.
const SLICE: Duration = Duration::from_secs(30 * 60);
/// The windows that X counts in.
const WINDOWS: [&str; 3] = ["x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour"];

/// Why X did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credential is not accepted, or the account is suspended or not allowed to.
    Credential,
    /// Nothing is left to pay with.
    Unpaid,
    /// The account has such a post already.
    Duplicate,
    /// This, and nothing else, is refused.
    Rejected,
    /// What was named is not there.
    Missing,
    /// It is asked to wait so long, where it says how long.
    Busy(Option<Duration>),
    /// It may or may not have been done.
    Unclear,
}

/// A refusal as X writes it, in one of its several forms.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    errors: Vec<Single>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Single {
    message: String,
    detail: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Why X did not do it, with what it said; `hide` takes our credentials out.
pub fn refusal(response: &Response, hide: impl Fn(&str) -> String) -> (Refusal, String) {
    let problem: Problem = serde_json::from_slice(&response.body).unwrap_or_default();
    let said = said(&problem, response);
    let class = class(response, &problem, &said.to_lowercase());
    let said: String = said.chars().take(MAX_DETAIL).collect();
    let detail = format!("HTTP status {}: {said}", response.status);
    (class, hide(&detail))
}

fn said(problem: &Problem, response: &Response) -> String {
    let errors = problem
        .errors
        .iter()
        .flat_map(|it| [it.message.as_str(), it.detail.as_str()]);
    let words: Vec<&str> = [problem.title.as_str(), &problem.detail, &problem.reason]
        .into_iter()
        .chain(errors)
        .filter(|words| !words.is_empty())
        .collect();
    if words.is_empty() {
        String::from_utf8_lossy(&response.body).trim().to_owned()
    } else {
        words.join(": ")
    }
}

fn class(response: &Response, problem: &Problem, said: &str) -> Refusal {
    // The host of a type is one of two, so only its end counts.
    let has_type = |name: &str| {
        let kinds = problem.errors.iter().map(|it| it.kind.as_str());
        let mut kinds = kinds.chain([problem.kind.as_str()]);
        kinds.any(|kind| kind.trim_end_matches('/').ends_with(name))
    };
    if has_type("/usage-capped") || said.contains("usagecapexceeded") {
        return Refusal::Busy(Some(until_next_month(response)));
    }
    if has_type("/credits") || said.contains("creditsdepleted") {
        return Refusal::Unpaid;
    }
    match response.status {
        401 => Refusal::Credential,
        402 => Refusal::Unpaid,
        403 if has_type("/client-forbidden") => Refusal::Credential,
        403 => forbidden(response, said),
        404 | 410 => Refusal::Missing,
        429 => Refusal::Busy(until_reset(response).or_else(|| hints::from_headers(response))),
        408 | 500..=599 => Refusal::Unclear,
        _ => Refusal::Rejected,
    }
}

/// Which of its many meanings a 403 has; only its words tell.
fn forbidden(response: &Response, said: &str) -> Refusal {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["duplicate content"]) {
        return Refusal::Duplicate;
    }
    if says(&["daily limit", "update limit"]) {
        let wait = until_reset(response).unwrap_or(SLICE);
        return Refusal::Busy(Some(wait));
    }
    let is_account_closed = says(&["your account"]) && says(&["suspended", "locked"]);
    let is_app_closed = says(&[
        "client-not-enrolled",
        "app permission",
        "not configured with the appropriate",
    ]);
    if is_account_closed || is_app_closed {
        return Refusal::Credential;
    }
    Refusal::Rejected
}

/// How long until the last of the spent windows is new again; none if none is spent.
fn until_reset(response: &Response) -> Option<Duration> {
    let now = hints::server_time(response.header("date"));
    WINDOWS
        .iter()
        .filter(|name| response.header(format!("{name}-remaining")) == Some("0"))
        .filter_map(|name| {
            let reset = response.header(format!("{name}-reset"))?;
            // One that has passed by the server's own clock is new again at once.
            Some(hints::unix_seconds(reset, now).unwrap_or_default() + MARGIN)
        })
        .max()
}

/// How long until the month ends, by the server's clock.
fn until_next_month(response: &Response) -> Duration {
    let now = hints::server_time(response.header("date"));
    let date = DateTime::<Utc>::from(now);
    let (year, month) = match date.month() {
        12 => (date.year() + 1, 1),
        month => (date.year(), month + 1),
    };
    let next = Utc.with_ymd_and_hms(year, month, 1, 0, 0, 0).single();
    let next = next.map(SystemTime::from);
    next.and_then(|next| next.duration_since(now).ok())
        .unwrap_or(hints::MAX_WAIT)
}

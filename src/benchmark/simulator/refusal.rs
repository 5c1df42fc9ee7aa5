//! What each dialect says when it refuses, and what its headers say of limits.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use serde_json::json;

use super::admission::{Left, Limit, Per, Refused, Unit};
use super::plan::{Dialect, Hint, Telling};

/// An answer that is no translation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status code.
    pub(super) status: u16,
    /// Lines of headers, each with its end.
    pub(super) headers: String,
    /// The body.
    pub(super) body: String,
}

impl Refusal {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: String::new(),
            body: body.into(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        push(&mut self.headers, name, value);
        self
    }
}

/// Returns the refusal of a call that is over a limit.
pub(super) fn over_limit(dialect: Dialect, telling: Telling, refused: &Refused) -> Refusal {
    let Some(wait) = refused.wait else {
        return too_large(dialect, refused);
    };
    let tells_in_headers = matches!(telling, Telling::Dialect | Telling::Headers);
    let tells_in_bodies = matches!(telling, Telling::Dialect | Telling::Bodies);
    let body = match (dialect, tells_in_bodies) {
        (Dialect::Silent, _) | (_, false) => plain_body(dialect),
        (Dialect::OpenAi | Dialect::Groq, true) => chat_body(refused.limit, &words(refused, wait)),
        (Dialect::Anthropic, true) => anthropic_body(refused.limit),
        (Dialect::Gemini, true) => gemini_body(refused.limit, wait),
    };
    let refusal = Refusal::new(429, body);
    match dialect {
        Dialect::OpenAi | Dialect::Groq | Dialect::Anthropic if tells_in_headers => {
            refusal.with("retry-after", &whole_seconds(wait).to_string())
        }
        _ => refusal,
    }
}

/// Returns the refusal of a call that no waiting would help.
fn too_large(dialect: Dialect, refused: &Refused) -> Refusal {
    let limit = refused.limit.most;
    let message = format!(
        "Request too large for model `simulated`: Limit {limit}, Requested {}, please reduce your message size and try again.",
        refused.requested
    );
    match dialect {
        // Groq asks to wait all the same.
        Dialect::Groq => {
            Refusal::new(413, chat_body(refused.limit, &message)).with("retry-after", "2")
        }
        Dialect::Anthropic => Refusal::new(
            413,
            json!({"type": "error", "error": {"type": "request_too_large", "message": message}})
                .to_string(),
        ),
        Dialect::Gemini => gemini_error(400, "INVALID_ARGUMENT", &message),
        Dialect::OpenAi | Dialect::Silent => Refusal::new(429, chat_body(refused.limit, &message)),
    }
}

/// Returns how long a hint asks to wait as it is written: formats in whole seconds round up.
pub(super) fn written_wait(hint: Hint, wait: Duration, now: SystemTime) -> Duration {
    match hint {
        Hint::Seconds => Duration::from_secs(whole_seconds(wait)),
        Hint::Date => date(wait, now).duration_since(now).unwrap_or(wait),
        _ => wait,
    }
}

/// A date has whole seconds, so the next one is the first that is late enough.
fn date(wait: Duration, now: SystemTime) -> SystemTime {
    let late_enough = now + wait + Duration::from_millis(999);
    let since_1970 = late_enough.duration_since(SystemTime::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.unwrap_or_default().as_secs())
}

/// Returns a refusal that has nothing to do with a limit, with exactly this hint.
pub(super) fn hinting(dialect: Dialect, hint: Hint, wait: Duration, now: SystemTime) -> Refusal {
    let plain = || Refusal::new(429, plain_body(dialect));
    let limit = Limit::new(Unit::Requests, Per::Minute, 600);
    match hint {
        Hint::Seconds => plain().with("retry-after", &whole_seconds(wait).to_string()),
        Hint::Fraction => plain().with("retry-after", &format!("{:.3}", wait.as_secs_f64())),
        Hint::Date => plain().with("retry-after", &httpdate::fmt_http_date(date(wait, now))),
        Hint::Milliseconds => plain().with("retry-after-ms", &wait.as_millis().to_string()),
        Hint::GoDuration => plain()
            .with("x-ratelimit-limit-requests", "600")
            .with("x-ratelimit-remaining-requests", "0")
            .with("x-ratelimit-reset-requests", &go_duration(wait)),
        Hint::Message => {
            let refused = Refused {
                limit,
                used: 600,
                requested: 1,
                wait: Some(wait),
            };
            Refusal::new(429, chat_body(limit, &words(&refused, wait)))
        }
        Hint::RetryInfo => Refusal::new(429, gemini_body(limit, wait)),
        Hint::Timestamp => plain()
            .with("anthropic-ratelimit-requests-limit", "600")
            .with("anthropic-ratelimit-requests-remaining", "0")
            .with("anthropic-ratelimit-requests-reset", &timestamp(wait)),
        Hint::Absent => plain(),
    }
}

/// Returns one of the errors of a server, some of them without JSON.
pub(super) fn server_error(dialect: Dialect, rng: &mut Rng) -> Refusal {
    const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head></html>";
    match (dialect, rng.u8(..3)) {
        (_, 0) => Refusal::new(502, PAGE).with("content-type", "text/html"),
        (Dialect::Anthropic, 1) => Refusal::new(
            529,
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
                .to_string(),
        ),
        (Dialect::Gemini, 1) => gemini_error(503, "UNAVAILABLE", "The model is overloaded."),
        (_, 1) => Refusal::new(503, ""),
        _ => Refusal::new(500, json!({"error": {"message": "internal error"}}).to_string()),
    }
}

/// Returns what a provider says that is gone behind its front.
pub(super) fn unavailable() -> Refusal {
    Refusal::new(503, "<html><body>no server is available</body></html>")
        .with("content-type", "text/html")
}

/// Writes the headers that an answer bears about limits.
pub(super) fn write_limits(
    dialect: Dialect,
    telling: Telling,
    left: impl Iterator<Item = Left>,
    headers: &mut String,
) {
    if !matches!(telling, Telling::Dialect | Telling::Headers) {
        return;
    }
    for left in left {
        match dialect {
            Dialect::OpenAi => write_chat_limit(&left, Per::Minute, headers),
            Dialect::Groq => write_chat_limit(&left, Per::Day, headers),
            Dialect::Anthropic if left.limit.per == Per::Minute => {
                write_anthropic_limit(&left, headers);
            }
            Dialect::Anthropic | Dialect::Gemini | Dialect::Silent => {}
        }
    }
}

/// OpenAI names a minute's requests so, Groq a day's.
fn write_chat_limit(left: &Left, per_of_requests: Per, headers: &mut String) {
    let name = match (left.limit.unit, left.limit.per) {
        (Unit::Requests, per) if per == per_of_requests => "requests",
        (Unit::Tokens, Per::Minute) => "tokens",
        _ => return,
    };
    for (what, value) in [
        ("limit", left.limit.most.to_string()),
        ("remaining", left.remaining.to_string()),
        ("reset", go_duration(left.full_after)),
    ] {
        push(headers, &format!("x-ratelimit-{what}-{name}"), &value);
    }
}

fn write_anthropic_limit(left: &Left, headers: &mut String) {
    let name = match left.limit.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
        Unit::TokensIn => "input-tokens",
        Unit::TokensOut => "output-tokens",
    };
    for (what, value) in [
        ("limit", left.limit.most.to_string()),
        ("remaining", left.remaining.to_string()),
        ("reset", timestamp(left.full_after)),
    ] {
        push(
            headers,
            &format!("anthropic-ratelimit-{name}-{what}"),
            &value,
        );
    }
}

fn push(headers: &mut String, name: &str, value: &str) {
    write!(headers, "{name}: {value}\r\n").expect("a string can always be written to");
}

/// The body of a refusal that says nothing of a limit.
fn plain_body(dialect: Dialect) -> String {
    match dialect {
        Dialect::Silent => String::new(),
        Dialect::Gemini => json!({"error": {
            "code": 429, "status": "RESOURCE_EXHAUSTED",
            "message": "Resource has been exhausted (e.g. check quota).",
        }})
        .to_string(),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Number of requests has exceeded your rate limit"},
        })
        .to_string(),
        Dialect::OpenAi | Dialect::Groq => json!({"error": {
            "message": "Rate limit reached", "type": "requests", "param": null, "code": "rate_limit_exceeded",
        }})
        .to_string(),
    }
}

fn chat_body(limit: Limit, message: &str) -> String {
    let kind = match limit.unit {
        Unit::Requests => "requests",
        _ => "tokens",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": "rate_limit_exceeded"}})
        .to_string()
}

/// The words of OpenAI and Groq.
fn words(refused: &Refused, wait: Duration) -> String {
    let (what, letter) = match refused.limit.unit {
        Unit::Requests => ("requests", "R"),
        Unit::Tokens => ("tokens", "T"),
        Unit::TokensIn => ("input tokens", "IT"),
        Unit::TokensOut => ("output tokens", "OT"),
    };
    let (per, last) = match refused.limit.per {
        Per::Second => ("second", "S"),
        Per::Minute => ("minute", "M"),
        Per::Day => ("day", "D"),
    };
    format!(
        "Rate limit reached for model `simulated` in organization `org_1` service tier `on_demand` on {what} per {per} ({letter}P{last}): Limit {}, Used {}, Requested {}. Please try again in {}. Need more tokens?",
        refused.limit.most,
        refused.used,
        refused.requested,
        go_duration(wait)
    )
}

fn anthropic_body(limit: Limit) -> String {
    let what = match limit.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
        Unit::TokensIn => "input tokens",
        Unit::TokensOut => "output tokens",
    };
    let message = format!(
        "This request would exceed your organization's rate limit of {} {what} per minute",
        limit.most
    );
    json!({
        "type": "error",
        "error": {"type": "rate_limit_error", "message": message},
        "request_id": "req_1",
    })
    .to_string()
}

fn gemini_body(limit: Limit, wait: Duration) -> String {
    let (metric, quota) = match (limit.unit, limit.per) {
        (Unit::Requests, Per::Day) => (
            "generate_content_free_tier_requests",
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        ),
        (Unit::Requests, _) => (
            "generate_content_free_tier_requests",
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        ),
        _ => (
            "generate_content_paid_tier_input_token_count",
            "GenerateContentPaidTierInputTokensPerModelPerMinute",
        ),
    };
    let metric = format!("generativelanguage.googleapis.com/{metric}");
    // The daily quota lies: its wait is that of a minute.
    let wait = match limit.per {
        Per::Day => "22s".to_owned(),
        _ => format!("{:.9}s", wait.as_secs_f64()),
    };
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: {metric}, limit: {}, model: simulated\nPlease retry in {wait}.",
        limit.most
    );
    json!({"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
            "quotaMetric": metric, "quotaId": quota, "quotaValue": limit.most.to_string(),
            "quotaDimensions": {"location": "global", "model": "simulated"},
        }]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait},
    ]}})
    .to_string()
}

fn gemini_error(status: u16, name: &str, message: &str) -> Refusal {
    let body = json!({"error": {"code": status, "message": message, "status": name}});
    Refusal::new(status, body.to_string())
}

/// Returns the seconds to wait, never too few.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}

fn timestamp(wait: Duration) -> String {
    let at = chrono::Utc::now() + chrono::TimeDelta::from_std(wait).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Returns a time as Go writes it.
pub(super) fn go_duration(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1_000.0;
    if milliseconds < 1_000.0 {
        return format!("{}ms", milliseconds.ceil());
    }
    let (hours, rest) = (time.as_secs() / 3_600, time.as_secs() % 3_600);
    let seconds = (rest % 60) as f64 + f64::from(time.subsec_millis()) / 1_000.0;
    match (hours, rest / 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(unit: Unit, per: Per, wait: Option<Duration>) -> Refused {
        Refused {
            limit: Limit::new(unit, per, 60_000),
            used: 59_900,
            requested: 700,
            wait,
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (milliseconds, expected) in [
            (370, "370ms"),
            (7_660, "7.66s"),
            (179_560, "2m59.56s"),
            (360_000, "6m0s"),
            (5_011_000, "1h23m31s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn what_a_provider_tells_stands_where_it_tells_it() {
        let refused = refused(
            Unit::Tokens,
            Per::Minute,
            Some(Duration::from_millis(1_500)),
        );
        let said = |telling| over_limit(Dialect::Groq, telling, &refused);

        assert!(said(Telling::Headers).headers.contains("retry-after: 2"));
        assert!(!said(Telling::Headers).body.contains("60000"));
        let body = said(Telling::Bodies);
        assert!(body.headers.is_empty());
        assert!(body.body.contains(
            "on tokens per minute (TPM): Limit 60000, Used 59900, Requested 700. Please try again in 1.5s."
        ));
        let nothing = said(Telling::Nothing);
        assert!(nothing.headers.is_empty() && !nothing.body.contains("60000"));
    }

    #[test]
    fn a_silent_provider_says_nothing_at_all() {
        let refused = refused(Unit::Tokens, Per::Minute, Some(Duration::from_secs(1)));

        let said = over_limit(Dialect::Silent, Telling::Dialect, &refused);

        assert_eq!(
            (said.status, said.headers, said.body),
            (429, String::new(), String::new())
        );
    }

    #[test]
    fn a_day_of_gemini_lies_about_its_wait() {
        let refused = refused(Unit::Requests, Per::Day, Some(Duration::from_secs(40_000)));

        let said = over_limit(Dialect::Gemini, Telling::Dialect, &refused);

        assert!(said.body.contains("PerDay") && said.body.contains(r#""retryDelay":"22s""#));
    }

    #[test]
    fn what_exceeds_a_whole_window_is_too_large_for_groq_and_still_bears_a_wait() {
        let said = over_limit(
            Dialect::Groq,
            Telling::Dialect,
            &refused(Unit::Tokens, Per::Minute, None),
        );

        assert_eq!(said.status, 413);
        assert!(said.headers.contains("retry-after"));
    }

    #[test]
    fn groq_names_a_days_requests_and_openai_a_minutes() {
        let left = [Per::Minute, Per::Day].map(|per| Left {
            limit: Limit::new(Unit::Requests, per, per.seconds() as u64),
            remaining: 5,
            full_after: Duration::from_secs(1),
        });
        let headers = |dialect| {
            let mut headers = String::new();
            write_limits(dialect, Telling::Dialect, left.into_iter(), &mut headers);
            headers
        };

        assert!(headers(Dialect::OpenAi).contains("x-ratelimit-limit-requests: 60\r\n"));
        assert!(headers(Dialect::Groq).contains("x-ratelimit-limit-requests: 86400\r\n"));
        assert!(
            headers(Dialect::Anthropic).contains("anthropic-ratelimit-requests-remaining: 5\r\n")
        );
        assert_eq!(headers(Dialect::Gemini), "");
        assert_eq!(headers(Dialect::Silent), "");
    }

    #[test]
    fn every_hint_but_none_says_how_long() {
        let wait = Duration::from_millis(1_500);
        for (hint, expected) in [
            (Hint::Seconds, "retry-after: 2\r\n"),
            (Hint::Fraction, "retry-after: 1.500\r\n"),
            (Hint::Date, " GMT\r\n"),
            (Hint::Milliseconds, "retry-after-ms: 1500\r\n"),
            (Hint::GoDuration, "x-ratelimit-reset-requests: 1.5s\r\n"),
            (Hint::Message, "try again in 1.5s."),
            (Hint::RetryInfo, r#""retryDelay":"1.500000000s""#),
            (Hint::Timestamp, "anthropic-ratelimit-requests-reset: "),
        ] {
            let said = hinting(Dialect::OpenAi, hint, wait, SystemTime::now());
            let said = said.headers + &said.body;
            assert!(said.contains(expected), "{hint:?}: {said}");
        }
        let silent = hinting(Dialect::OpenAi, Hint::Absent, wait, SystemTime::now());
        assert_eq!(silent.headers, "");
    }

    #[test]
    fn a_wait_counts_as_it_is_written() {
        let wait = Duration::from_millis(1_500);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(7_200);
        let written = |hint| written_wait(hint, wait, now).as_millis();

        // From 7.2 s on, 1.5 s end at 8.7 s, and the next whole second is the ninth.
        assert_eq!(written(Hint::Date), 1_800);
        assert_eq!(written(Hint::Seconds), 2_000);
        assert_eq!(written(Hint::Fraction), 1_500);
        let said = hinting(Dialect::OpenAi, Hint::Date, wait, now).headers;
        assert!(said.contains("00:00:09 GMT"), "{said}");
    }
}

//! What a server says about time: when it is, and how long to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;

use crate::http::Response;

/// How long the server asks to wait in `Retry-After`: seconds, or a date by its own clock.
///
/// See RFC 9110, section 10.2.3.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header("retry-after")?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now(response)).unwrap_or_default())
}

/// How long until `header` says that a limit is renewed: RFC 3339, or seconds since 1970.
///
/// Mastodon writes the first, GoToSocial the second.
pub fn until_reset(response: &Response, header: &str) -> Option<Duration> {
    let value = response.header(header)?.trim();
    let until = match value.parse::<f64>() {
        Ok(seconds) => UNIX_EPOCH + Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => DateTime::parse_from_rfc3339(value).ok()?.into(),
    };
    Some(until.duration_since(now(response)).unwrap_or_default())
}

/// How far the server's clock is ahead of ours, in milliseconds; 0 where it does not tell.
pub fn clock_lead(response: &Response) -> i64 {
    let Some(theirs) = date(response) else {
        return 0;
    };
    match theirs.duration_since(SystemTime::now()) {
        Ok(ahead) => i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
        Err(behind) => -i64::try_from(behind.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// How long the answer stays fresh by `Cache-Control: max-age`.
pub fn max_age(response: &Response) -> Option<Duration> {
    response
        .header("cache-control")?
        .split(',')
        .filter_map(|directive| directive.trim().strip_prefix("max-age="))
        .find_map(|seconds| seconds.trim_matches('"').parse().ok())
        .map(Duration::from_secs)
}

/// The server's clock where it shows it, else ours.
fn now(response: &Response) -> SystemTime {
    date(response).unwrap_or_else(SystemTime::now)
}

fn date(response: &Response) -> Option<SystemTime> {
    httpdate::parse_http_date(response.header("date")?).ok()
}

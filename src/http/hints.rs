//! How long a server asks to wait, in every form in which servers say it.
//!
//! Forms: `Retry-After` (RFC 9110) as seconds, as a fraction and as a date; `retry-after-ms`;
//! Go durations (`2m59.56s`); protobuf durations (`45.811974541s`); RFC 3339; unix seconds;
//! and the texts of error messages (`try again in 1.98s`, `resets at: 2026-11-21 12:05:00 UTC`). A wait is rounded up to whole
//! milliseconds, at least one, at most 31 days; what is negative or no number is no hint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::Timestamp;

use super::Response;

/// The longest wait that is believed.
pub const MAX_WAIT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The wait that the headers of an answer ask for, the most exact form first.
pub fn from_headers(response: &Response) -> Option<Duration> {
    let now = server_time(response.header("date"));
    response
        .header("retry-after-ms")
        .and_then(millis)
        .or_else(|| {
            response
                .header("retry-after")
                .and_then(|it| retry_after(it, now))
        })
        .or_else(|| spent_window(response))
}

/// How long until the limit that an answer's `X-RateLimit-Reset` tells is renewed: Mastodon writes
/// RFC 3339, GoToSocial unix seconds. A second is added, so that one does not come too early.
pub fn until_reset(response: &Response) -> Option<Duration> {
    let now = server_time(response.header("date"));
    let wait = point_in_time(response.header("x-ratelimit-reset")?, now)?;
    Some(wait + Duration::from_secs(1))
}

/// The wait that a refusal asks for, in its headers or else in its message.
pub fn asked_for(response: &Response, message: &str) -> Option<Duration> {
    let now = || server_time(response.header("date"));
    from_headers(response)
        .or_else(|| in_text(message))
        .or_else(|| reset_in_text(message, now()))
}

/// The longest reset of a window of requests that is a wait: a longer one is a day's.
const LONGEST_RESET: Duration = Duration::from_secs(60);

/// When the spent windows of an answer are new again, as OpenAI and Groq tell.
///
/// A window of requests tells a wait only where it is spent and new within a minute: at Groq it is
/// the day's, and its reset is when all of that is free again.
fn spent_window(response: &Response) -> Option<Duration> {
    let reset = |unit: &str| {
        let remaining = response.header(format!("x-ratelimit-remaining-{unit}"))?;
        let reset = response.header(format!("x-ratelimit-reset-{unit}"))?;
        (remaining == "0").then(|| duration(reset)).flatten()
    };
    let requests = reset("requests").filter(|reset| *reset <= LONGEST_RESET);
    reset("tokens").max(requests)
}

/// The time at the server by its `Date`, so that a wrong clock here or there does no harm.
pub fn server_time(date: Option<&str>) -> SystemTime {
    date.and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(SystemTime::now)
}

/// A `Retry-After`: seconds, with a fraction where a server writes one, or a date.
pub fn retry_after(text: &str, server_now: SystemTime) -> Option<Duration> {
    seconds(text).or_else(|| {
        let at = httpdate::parse_http_date(text.trim()).ok()?;
        bounded(at.duration_since(server_now).ok()?)
    })
}

/// A `retry-after-ms`: milliseconds.
pub fn millis(text: &str) -> Option<Duration> {
    from_seconds(number(text)? / 1_000.0)
}

/// A number of seconds, like `2` or `64.57`.
pub fn seconds(text: &str) -> Option<Duration> {
    from_seconds(number(text)?)
}

/// A point in time as RFC 3339, like `2026-11-21T12:05:00.000000Z`.
pub fn rfc3339(text: &str, server_now: SystemTime) -> Option<Duration> {
    let at = u64::try_from(Timestamp::parse(text.trim())?.as_millis()).ok()?;
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(at))?;
    bounded(at.duration_since(server_now).ok()?)
}

/// A point in time as unix seconds, like `1795262700`.
pub fn unix_seconds(text: &str, server_now: SystemTime) -> Option<Duration> {
    let at = Duration::try_from_secs_f64(number(text)?).ok()?;
    let at = UNIX_EPOCH.checked_add(at)?;
    bounded(at.duration_since(server_now).ok()?)
}

/// A point in time, as RFC 3339 or as unix seconds: servers of one kind write one or the other.
pub fn point_in_time(text: &str, server_now: SystemTime) -> Option<Duration> {
    rfc3339(text, server_now).or_else(|| unix_seconds(text, server_now))
}

/// A duration as Go and protobuf write it, like `2m59.56s`, `370ms`, `22s`, or bare seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Some(wait) = seconds(rest) {
        return Some(wait);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !is_numeric(letter))?;
        let amount = number(&rest[..end])?;
        let (unit, length) = unit_of(&rest[end..])?;
        total += amount * unit;
        rest = &rest[end + length..];
    }
    (!text.trim().is_empty())
        .then(|| from_seconds(total))
        .flatten()
}

/// The wait that a message names, like `please try again in 9m38.016s.` or `retry in 22.1s`.
pub fn in_text(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    ["try again in ", "retry in ", "retry after ", "wait "]
        .iter()
        .find_map(|phrase| {
            let start = lower.find(phrase)? + phrase.len();
            let rest = &lower[start..];
            let end = rest
                .find(|letter: char| !is_numeric(letter) && !"hmsµun".contains(letter))
                .unwrap_or(rest.len());
            let named = rest[..end].trim_end_matches('.');
            let spelled = rest[end..].trim_start();
            match named.bytes().all(|byte| is_numeric(byte.into())) {
                true if spelled.starts_with("minute") => from_seconds(number(named)? * 60.0),
                true if spelled.starts_with("hour") => from_seconds(number(named)? * 3_600.0),
                true if spelled.starts_with("ms") || spelled.starts_with("milli") => millis(named),
                _ => duration(named),
            }
        })
}

/// The point in time that a message names as LiteLLM does: `resets at: 2026-11-21 12:05:00 UTC`.
pub fn reset_in_text(text: &str, server_now: SystemTime) -> Option<Duration> {
    let (_, rest) = text.split_once("resets at: ")?;
    let mut words = rest.split_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let is_utc = words.next().is_some_and(|zone| zone.starts_with("UTC"));
    is_utc
        .then(|| rfc3339(&format!("{date}T{time}Z"), server_now))
        .flatten()
}

const fn is_numeric(letter: char) -> bool {
    letter.is_ascii_digit() || letter == '.'
}

/// How many seconds the unit at the start of a text is, and how many bytes its name has.
fn unit_of(text: &str) -> Option<(f64, usize)> {
    const UNITS: [(&str, f64); 7] = [
        ("ms", 1e-3),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ns", 1e-9),
        ("h", 3_600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    let unit = UNITS.iter().find(|(name, _)| text.starts_with(name))?;
    Some((unit.1, unit.0.len()))
}

/// A plain decimal number: what else a float may look like, as `inf` or `1e9`, is none.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.chars().all(is_numeric) && text.contains(|it: char| it.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    let longest = MAX_WAIT.as_secs_f64();
    bounded(Duration::try_from_secs_f64(seconds.min(longest)).ok()?)
}

fn bounded(wait: Duration) -> Option<Duration> {
    let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
    Some(Duration::from_millis(u64::try_from(millis).ok()?).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        server_time(Some(text))
    }

    fn ms(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn every_form_of_a_duration_is_read() {
        for (text, wait) in [
            ("7.66s", ms(7_660)),
            ("2m59.56s", ms(179_560)),
            ("1h2m3s", ms(3_723_000)),
            ("1h23m31s", ms(5_011_000)),
            ("6m0s", ms(360_000)),
            ("250ms", ms(250)),
            ("370ms", ms(370)),
            ("22s", ms(22_000)),
            ("45.811974541s", ms(45_812)),
            ("0.01s", ms(10)),
            ("1.984999999s", ms(1_985)),
            ("2", ms(2_000)),
            ("0s", ms(1)),
            ("", None),
            ("soon", None),
            ("-5s", None),
            ("5 parsecs", None),
            ("inf", None),
            ("NaN", None),
            (".", None),
            ("1.2.3s", None),
            ("99999999h", Some(MAX_WAIT)),
        ] {
            assert_eq!(duration(text), wait, "{text}");
        }
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = at("Sat, 21 Nov 2026 11:59:30 GMT");
        for (text, wait) in [
            ("2", ms(2_000)),
            (" 1.5 ", ms(1_500)),
            ("Sat, 21 Nov 2026 12:00:00 GMT", ms(30_000)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", None),
            ("Sat, 21 Nov 2099 12:00:00 GMT", Some(MAX_WAIT)),
            ("-3", None),
            ("later", None),
            ("1e99", None),
        ] {
            assert_eq!(retry_after(text, now), wait, "{text}");
        }
        assert_eq!(millis("1500"), ms(1_500));
        assert_eq!(millis("1.2"), ms(2));
        assert_eq!(seconds("64.57"), ms(64_570));
        assert_eq!(seconds("99999999999999999999999"), Some(MAX_WAIT));
    }

    #[test]
    fn points_in_time_count_from_the_servers_clock() {
        let now = at("Sat, 21 Nov 2026 12:04:00 GMT");
        assert_eq!(rfc3339("2026-11-21T12:05:00Z", now), ms(60_000));
        assert_eq!(rfc3339("2026-11-21T12:05:00.000000Z", now), ms(60_000));
        assert_eq!(rfc3339("2026-11-21T12:03:00Z", now), None);
        assert_eq!(unix_seconds("1795262700", now), ms(60_000));
        assert_eq!(unix_seconds("1705420800", now), None);
        assert_eq!(unix_seconds("soon", now), None);
    }

    #[test]
    fn every_source_of_hints_is_read_in_its_own_form() {
        let now = at("Sat, 21 Nov 2026 12:04:00 GMT");
        type Form = fn(&str, SystemTime) -> Option<Duration>;
        let relative: Form = |text, _| duration(text);
        let whole: Form = |text, _| seconds(text);
        for (source, form, text, wait) in [
            ("RFC 9110 seconds", retry_after as Form, "2", ms(2_000)),
            ("RFC 9110, a fraction", retry_after, "0.0004", ms(1)),
            ("RFC 9110, ten minutes", retry_after, "600", ms(600_000)),
            (
                "RFC 9110 date",
                retry_after,
                "Sat, 21 Nov 2026 12:05:00 GMT",
                ms(60_000),
            ),
            (
                "RFC 9110 date of RFC 850",
                retry_after,
                "Saturday, 21-Nov-26 12:05:00 GMT",
                ms(60_000),
            ),
            (
                "OpenAI, Azure: retry-after-ms",
                |text, _| millis(text),
                "1500",
                ms(1_500),
            ),
            ("Groq, OpenAI: reset", relative, "2m59.56s", ms(179_560)),
            ("Groq, OpenAI: reset", relative, "7.66s", ms(7_660)),
            ("Groq, OpenAI: reset", relative, "370ms", ms(370)),
            ("Groq, OpenAI: reset", relative, "1h23m31s", ms(5_011_000)),
            ("Groq, OpenAI: reset", relative, "6m0s", ms(360_000)),
            ("Gemini: retryDelay", relative, "45.811974541s", ms(45_812)),
            ("Gemini: retryDelay", relative, "0.01s", ms(10)),
            (
                "Anthropic: reset",
                point_in_time,
                "2026-11-21T12:05:00Z",
                ms(60_000),
            ),
            ("X: reset", point_in_time, "1795262700", ms(60_000)),
            (
                "X: a reset that has been",
                point_in_time,
                "1705420800",
                None,
            ),
            (
                "Mastodon: reset",
                point_in_time,
                "2026-11-21T12:05:00.000000Z",
                ms(60_000),
            ),
            (
                "Mastodon: reset",
                point_in_time,
                "2026-11-21T12:04:00.000400Z",
                ms(1),
            ),
            ("GoToSocial: reset", point_in_time, "1795262700", ms(60_000)),
            ("Bluesky: reset", point_in_time, "1795262700", ms(60_000)),
            ("Telegram: retry_after", whole, "35", ms(35_000)),
            ("Discord: retry_after", whole, "64.57", ms(64_570)),
            ("Discord: reset after", whole, "0.3001", ms(301)),
            ("Discord: reset", point_in_time, "1795262640.5", ms(500)),
            (
                "LiteLLM: in the message",
                reset_in_text,
                "Limit resets at: 2026-11-21 12:05:00 UTC",
                ms(60_000),
            ),
            (
                "LiteLLM: another zone",
                reset_in_text,
                "Limit resets at: 2026-11-21 12:05:00 CET",
                None,
            ),
            ("a year", retry_after, "31536000", Some(MAX_WAIT)),
            ("a year", relative, "8760h", Some(MAX_WAIT)),
            ("a year", point_in_time, "1826798700", Some(MAX_WAIT)),
            (
                "a year",
                point_in_time,
                "2027-11-21T12:05:00Z",
                Some(MAX_WAIT),
            ),
            ("negative", retry_after, "-1", None),
            ("negative", relative, "-7.66s", None),
            ("negative", point_in_time, "-1795262700", None),
            ("no number", retry_after, "NaN", None),
            ("no number", whole, "inf", None),
            ("no number", point_in_time, "tomorrow", None),
        ] {
            assert_eq!(form(text, now), wait, "{source}: {text}");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_by_ninety_seconds_changes_no_wait() {
        // The server's clock is early or late, and its absolute hints are so by as much.
        for (date, until, reset) in [
            (
                "Sat, 21 Nov 2026 12:02:30 GMT",
                "Sat, 21 Nov 2026 12:03:30 GMT",
                "2026-11-21T12:03:30Z",
            ),
            (
                "Sat, 21 Nov 2026 12:05:30 GMT",
                "Sat, 21 Nov 2026 12:06:30 GMT",
                "2026-11-21T12:06:30Z",
            ),
        ] {
            assert_eq!(retry_after(until, at(date)), ms(60_000));
            assert_eq!(point_in_time(reset, at(date)), ms(60_000));
        }
    }

    #[test]
    fn messages_name_waits() {
        for (text, wait) in [
            ("Used 30, Requested 1. Please try again in 2s.", ms(2_000)),
            ("Please try again in 1.984999999s. Need more?", ms(1_985)),
            (
                "Please try again in 9m38.016s. Need more tokens?",
                ms(578_016),
            ),
            ("Please retry in 22.1s.", ms(22_100)),
            ("Try again in 370ms", ms(370)),
            ("try again in 5 minutes", ms(300_000)),
            ("please try again in 20 seconds", ms(20_000)),
            ("please try again later", None),
            ("Slowdown: 80 per 1 minute", None),
        ] {
            assert_eq!(in_text(text), wait, "{text}");
        }
    }
}

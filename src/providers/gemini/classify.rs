//! What an error of the Gemini API means.

use std::time::{Duration, SystemTime};

use babelfeed_actors::ports::ProviderError;
use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday,
};
use serde_json::Value;

use crate::providers::hints;
use crate::providers::refusal::Refusal;

/// The error that this answer is; `now` is the server's time.
pub(super) fn error_of(refusal: &Refusal<'_>, now: SystemTime) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    match refusal.status {
        // A wrong key is a 400, and so is an account that may not use the free tier.
        400 if has_reason(&body.details, "API_KEY_INVALID") => ProviderError::Auth { detail },
        400 if body.mentions(&["api key", "location is not supported", "enable billing"]) => {
            ProviderError::Auth { detail }
        }
        400 | 500 if body.mentions(&["token count", "exceeds the maximum number of tokens"]) => {
            ProviderError::TooLarge { detail }
        }
        429 => limited(refusal, now),
        _ => refusal.by_status(),
    }
}

/// A 429, told apart by the quota it names: the RetryInfo beside a quota of a day is wrong.
fn limited(refusal: &Refusal<'_>, now: SystemTime) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    if body.mentions(&["prepayment"]) {
        return ProviderError::Billing { detail };
    }
    let quotas: Vec<&Value> = violations(&body.details).collect();
    let is_not_offered = |quota: &&Value| quota.get("quotaValue").is_some_and(|it| it == "0");
    if quotas.iter().any(is_not_offered) {
        return ProviderError::Billing { detail };
    }
    let is_of_a_day = |quota: &&Value| {
        let id = quota.get("quotaId").and_then(Value::as_str);
        id.is_some_and(|id| id.contains("PerDay"))
    };
    if quotas.iter().any(is_of_a_day) {
        return ProviderError::QuotaExhausted {
            wait: until_pacific_midnight(now),
            detail,
        };
    }
    if body.mentions(&["spend cap", "spending cap", "spend limit", "spending limit"]) {
        return ProviderError::QuotaExhausted { wait: None, detail };
    }
    ProviderError::RateLimited {
        wait: retry_info(&body.details)
            .or(refusal.wait)
            .or_else(|| hints::in_text(&body.message)),
        detail,
    }
}

fn has_reason(details: &[Value], reason: &str) -> bool {
    details
        .iter()
        .any(|detail| detail.get("reason").is_some_and(|it| it == reason))
}

fn violations(details: &[Value]) -> impl Iterator<Item = &Value> {
    details
        .iter()
        .filter_map(|detail| detail.get("violations").and_then(Value::as_array))
        .flatten()
}

fn retry_info(details: &[Value]) -> Option<Duration> {
    details
        .iter()
        .find_map(|detail| detail.get("retryDelay"))
        .and_then(Value::as_str)
        .and_then(hints::duration)
}

/// How long it is until midnight in Los Angeles, when the quotas of a day begin anew.
fn until_pacific_midnight(now: SystemTime) -> Option<Duration> {
    let now = DateTime::<Utc>::from(now).naive_utc();
    let local = now.checked_add_signed(pacific_offset(now))?;
    let midnight = local
        .date()
        .checked_add_days(Days::new(1))?
        .and_time(NaiveTime::MIN);
    // Clocks change at two in the morning, so the offset of midnight may differ from now's.
    let offset = pacific_offset(midnight.checked_sub_signed(pacific_offset(now))?);
    let wait = midnight
        .checked_sub_signed(offset)?
        .signed_duration_since(now);
    hints::seconds(&(wait.num_seconds() + 1).to_string())
}

/// What Los Angeles adds to universal time: summer time is in force from the second Sunday of
/// March to the first of November, since the Energy Policy Act of 2005.
fn pacific_offset(utc: NaiveDateTime) -> TimeDelta {
    let sunday =
        |month, week| NaiveDate::from_weekday_of_month_opt(utc.year(), month, Weekday::Sun, week);
    let start = sunday(3, 2).and_then(|day| day.and_hms_opt(10, 0, 0));
    let end = sunday(11, 1).and_then(|day| day.and_hms_opt(9, 0, 0));
    let is_summer = start.is_some_and(|start| start <= utc) && end.is_some_and(|end| utc < end);
    TimeDelta::hours(if is_summer { -7 } else { -8 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::wire::ErrorBody;

    const DAY: &str = r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\nPlease retry in 22.1s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier"},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"250"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22s"}]}}"#;

    fn error(status: u16, body: &str) -> ProviderError {
        let refusal = Refusal {
            status,
            body: ErrorBody::parse(body.as_bytes()),
            wait: None,
            secret: None,
        };
        error_of(
            &refusal,
            hints::server_time(Some("Sat, 21 Nov 2026 12:00:00 GMT")),
        )
    }

    fn name(status: u16, body: &str) -> String {
        let shown = format!("{:?}", error(status, body));
        shown.split(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_quota_of_a_day_waits_for_midnight_whatever_retry_info_says() {
        let wait = Some(Duration::from_secs(20 * 60 * 60 + 1));
        let found = error(429, DAY);
        assert!(
            matches!(found, ProviderError::QuotaExhausted { wait: it, .. } if it == wait),
            "{found:?}"
        );
    }

    #[test]
    fn a_quota_of_a_minute_waits_as_retry_info_says() {
        let minute = DAY.replace("PerDayPerProject", "PerMinutePerProject");
        let found = error(429, &minute);
        let wait = Some(Duration::from_secs(22));
        assert!(
            matches!(found, ProviderError::RateLimited { wait: it, .. } if it == wait),
            "{found:?}"
        );
    }

    #[test]
    fn errors_are_told_apart() {
        let not_offered = DAY.replace("\"250\"", "\"0\"");
        for (status, body, expected) in [
            (429, not_offered.as_str(), "Billing"),
            (
                429,
                r#"{"error":{"message":"Your prepayment credits are depleted."}}"#,
                "Billing",
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"Resource exhausted. Please try again later."}}"#,
                "RateLimited",
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"Project spend cap reached."}}"#,
                "QuotaExhausted",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                "Auth",
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]"#,
                "Auth",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"User location is not supported for the API use."}}"#,
                "Auth",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}"#,
                "TooLarge",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"Invalid JSON payload"}}"#,
                "Invalid",
            ),
            (403, r#"{"error":{"code":403,"message":"leaked"}}"#, "Auth"),
            (
                404,
                r#"{"error":{"code":404,"message":"models/x is not found"}}"#,
                "Auth",
            ),
            (502, "<html>502</html>", "Transient"),
            (
                503,
                r#"[{"error":{"code":503,"message":"overloaded"}}]"#,
                "Transient",
            ),
        ] {
            assert_eq!(name(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn midnight_in_los_angeles_knows_summer_time() {
        for (now, hours) in [
            ("Sat, 21 Nov 2026 07:00:00 GMT", 1),
            ("Sat, 21 Nov 2026 08:00:00 GMT", 24),
            ("Sat, 04 Jul 2026 06:00:00 GMT", 1),
            // The night before the clocks go forward, and the day on which they did.
            ("Sun, 08 Mar 2026 07:00:00 GMT", 1),
            ("Sun, 08 Mar 2026 09:00:00 GMT", 22),
            ("Sun, 08 Mar 2026 11:00:00 GMT", 20),
            // The day on which they go back has 25 hours.
            ("Sun, 01 Nov 2026 07:00:00 GMT", 25),
        ] {
            let wait = until_pacific_midnight(hints::server_time(Some(now)));
            assert_eq!(wait, Some(Duration::from_secs(hours * 3_600 + 1)), "{now}");
        }
    }
}

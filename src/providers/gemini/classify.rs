//! What an error of the Gemini API means.

use std::time::{Duration, SystemTime};

use babelfeed_actors::ports::ProviderError;
use serde_json::Value;

use super::quotas::{self, Quota, until_pacific_midnight};
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
    let quotas: Vec<Quota> = quotas::violated(body).collect();
    if quotas.iter().any(Quota::is_not_offered) {
        return ProviderError::Billing { detail };
    }
    if quotas.iter().any(Quota::is_of_a_day) {
        return ProviderError::QuotaExhausted {
            wait: until_pacific_midnight(now),
            detail,
        };
    }
    if body.mentions(&["spend cap", "spending cap", "spend limit", "spending limit"]) {
        return ProviderError::QuotaExhausted { wait: None, detail };
    }
    ProviderError::RateLimited {
        wait: retry_info(&body.details).or(refusal.wait),
        detail,
    }
}

fn has_reason(details: &[Value], reason: &str) -> bool {
    details
        .iter()
        .any(|detail| detail.get("reason").is_some_and(|it| it == reason))
}

fn retry_info(details: &[Value]) -> Option<Duration> {
    details
        .iter()
        .find_map(|detail| detail.get("retryDelay"))
        .and_then(Value::as_str)
        .and_then(hints::duration)
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
}

//! What an error of the messages API means.

use babelfeed_actors::ports::ProviderError;
use serde_json::Value;

use crate::providers::refusal::Refusal;
use crate::providers::wire::ErrorBody;

/// Codes of a 429 that no waiting ends: a person set the limit, or pays for more.
const SPENT: [&str; 2] = [
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
];

/// The words by which a 400 says that there is no money left, or may none be spent.
const SPENT_WORDS: [&str; 4] = [
    "spend limit",
    "spending limit",
    "usage limits",
    "credit balance",
];

/// The words by which a call is said to be longer than the model holds.
const TOO_LONG_WORDS: [&str; 3] = [
    "prompt is too long",
    "context window",
    "maximum context length",
];

/// Reads the body of an error; this API's code stands one level deeper than others'.
pub(super) fn error_body(body: &[u8]) -> ErrorBody {
    let mut error = ErrorBody::parse(body);
    let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if let Some(code) = value["error"]["details"]["error_code"].as_str() {
        error.code = code.to_lowercase();
    }
    error
}

/// The status that an error of this type has, for where it stands in a success.
pub(super) fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// The error that this answer is.
pub(super) fn error_of(refusal: &Refusal<'_>) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    if body.is_any(&SPENT) || body.is_any(&["billing_error"]) {
        return ProviderError::Billing { detail };
    }
    match refusal.status {
        400 if body.mentions(&SPENT_WORDS) => ProviderError::Billing { detail },
        400 if body.mentions(&TOO_LONG_WORDS) => ProviderError::TooLarge { detail },
        _ => refusal.by_status(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(status: u16, body: &str) -> String {
        let error = error_of(&Refusal {
            status,
            body: error_body(body.as_bytes()),
            wait: Some(Duration::from_secs(2)),
            secret: None,
        });
        let shown = format!("{error:?}");
        shown.split(' ').next().unwrap_or_default().to_owned()
    }

    fn body(kind: &str, message: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
        )
    }

    #[test]
    fn errors_are_told_apart() {
        for (status, kind, message, expected) in [
            (
                400,
                "invalid_request_error",
                "messages: required",
                "Invalid",
            ),
            (
                400,
                "invalid_request_error",
                "You have reached your specified API usage limits.",
                "Billing",
            ),
            (
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the API.",
                "Billing",
            ),
            (
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
                "TooLarge",
            ),
            (401, "authentication_error", "invalid x-api-key", "Auth"),
            (402, "billing_error", "x", "Billing"),
            (403, "permission_error", "x", "Auth"),
            (404, "not_found_error", "model: m", "Auth"),
            (409, "conflict_error", "x", "Transient"),
            (413, "request_too_large", "x", "TooLarge"),
            (429, "rate_limit_error", "x", "RateLimited"),
            (500, "api_error", "Internal server error", "Transient"),
            (504, "timeout_error", "x", "Transient"),
            (529, "overloaded_error", "Overloaded", "Transient"),
        ] {
            assert_eq!(name(status, &body(kind, message)), expected, "{message}");
            assert_eq!(status_of(kind), status);
        }
        assert_eq!(
            name(413, "<html>Request Entity Too Large</html>"),
            "TooLarge"
        );
    }

    #[test]
    fn a_spend_limit_is_told_from_growing_too_fast() {
        for (code, expected) in [
            ("ramp_limit_exceeded", "RateLimited"),
            ("enforced_spend_limit_reached", "Billing"),
            ("contract_spend_limit_reached", "Billing"),
        ] {
            let body = format!(
                r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"x","details":{{"error_code":"{code}"}}}}}}"#
            );
            assert_eq!(name(429, &body), expected, "{code}");
        }
    }
}

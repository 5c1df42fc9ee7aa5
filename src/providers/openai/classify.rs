//! What an error of a chat-completion server means.

use babelfeed_actors::ports::ProviderError;

use crate::providers::hints;
use crate::providers::refusal::Refusal;
use crate::providers::wire::ErrorBody;

/// Types and codes that mean that there is no money left, as OpenAI and Groq write them.
const NO_CREDIT: [&str; 5] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
];

/// Types and codes of OpenAI, llama.cpp and others for a call that the model cannot hold.
const TOO_LONG: [&str; 3] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "request_too_large",
];

/// The words by which vLLM and others say the same.
const TOO_LONG_WORDS: [&str; 4] = [
    "maximum context length",
    "context length exceeded",
    "context size",
    "reduce your message size",
];

/// The fields that bound an answer.
pub(super) const BOUNDS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// How it is said of such a field that it may not be so much, because of the model or of what the
/// question leaves of its context: by OpenAI and vLLM, by Groq, by DeepSeek and DashScope, by
/// others.
const TOO_MUCH_WORDS: [&str; 6] = [
    "too large",
    "at most",
    "less than or equal",
    "range of",
    "above maximum",
    "must be between",
];

const REJECTED: [&str; 4] = [
    "content_filter",
    "content_policy_violation",
    "moderation",
    "moderation_blocked",
];

/// Whether this error is an answer that was cut at its bound: OpenAI says so where the thoughts of
/// a reasoning model left no room for a word.
pub(super) fn is_cut(status: u16, body: &ErrorBody) -> bool {
    status == 400 && body.mentions(&["model output limit was reached"])
}

/// Whether a call was more than the model can hold, or its answer was allowed more than that.
pub(super) fn is_too_large(body: &ErrorBody) -> bool {
    body.is_any(&TOO_LONG)
        || body.mentions(&TOO_LONG_WORDS)
        || body.is_about(&BOUNDS) && body.mentions(&TOO_MUCH_WORDS)
}

/// The error that this answer is.
pub(super) fn error_of(refusal: Refusal<'_>) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    if body.is_any(&NO_CREDIT) {
        return ProviderError::Billing { detail };
    }
    match refusal.status {
        400 | 422 if body.is_any(&["json_validate_failed"]) => refusal.transient(),
        400 | 422 | 500 if is_too_large(body) => ProviderError::TooLarge { detail },
        400 | 403 if body.is_any(&REJECTED) => ProviderError::Rejected { detail },
        400 if body.is_any(&["invalid_api_key", "model_not_found"]) => {
            ProviderError::Auth { detail }
        }
        // A call above a whole window, for which waiting is in vain: OpenAI says so in the words of
        // a 429, Groq by a 413, and either with Retry-After.
        429 | 500 if body.mentions(&["request too large"]) => ProviderError::TooLarge { detail },
        429 => limited(&refusal),
        _ => refusal.by_status(),
    }
}

/// A 429: the text names the window, since no header does.
fn limited(refusal: &Refusal<'_>) -> ProviderError {
    let detail = refusal.detail();
    let said = hints::in_text(&refusal.body.message);
    if refusal.body.mentions(&["(tpd)", "(rpd)", "per day"]) {
        return ProviderError::QuotaExhausted {
            wait: said.max(refusal.wait),
            detail,
        };
    }
    ProviderError::RateLimited {
        wait: refusal.wait.or(said),
        detail,
    }
}

/// How servers refuse the bound of an answer, with the field that they name beside their words.
#[cfg(test)]
pub(super) const TOO_MUCH: [(&str, &str); 6] = [
    (
        "",
        "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 65536 tokens and your request has 57546 input tokens (8192 > 65536 - 57546).",
    ),
    (
        "max_tokens",
        "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.",
    ),
    (
        "max_completion_tokens",
        "`max_completion_tokens` must be less than or equal to `32768`, the maximum value for `max_completion_tokens` is less than the `context_window` for this model",
    ),
    (
        "",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    ),
    (
        "",
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
    ),
    (
        "max_tokens",
        "The parameter max_tokens specified in the request is not valid: integer above maximum value, expected a value <= 32768, but got 64000 instead.",
    ),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::Secret;

    fn error(status: u16, body: &str) -> ProviderError {
        error_of(Refusal {
            status,
            body: ErrorBody::parse(body.as_bytes()),
            wait: Some(Duration::from_secs(2)),
            secret: Some(&Secret::new("sk-1")),
        })
    }

    fn name(status: u16, body: &str) -> String {
        let shown = format!("{:?}", error(status, body));
        shown.split(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn errors_are_told_apart_whatever_their_shape() {
        for (status, body, expected) in [
            (
                401,
                r#"{"error":{"message":"x","code":"invalid_api_key"}}"#,
                "Auth",
            ),
            (403, r#"{"error":{"message":"region"}}"#, "Auth"),
            (
                403,
                r#"{"error":{"message":"flagged","code":"moderation"}}"#,
                "Rejected",
            ),
            (
                404,
                r#"{"error":{"message":"model \"x\" not found, try pulling it first"}}"#,
                "Auth",
            ),
            (
                400,
                r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#,
                "TooLarge",
            ),
            (
                400,
                r#"{"error":{"message":"n","type":"exceed_context_size_error","code":400}}"#,
                "TooLarge",
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 9 tokens","code":400}"#,
                "TooLarge",
            ),
            (
                400,
                r#"{"error":{"message":"x","code":"json_validate_failed","failed_generation":"{"}}"#,
                "Transient",
            ),
            (
                400,
                r#"{"error":{"message":"x","code":"content_policy_violation"}}"#,
                "Rejected",
            ),
            (400, r#"{"error":"nonsense"}"#, "Invalid"),
            (
                413,
                r#"{"error":{"message":"Limit 6000, Requested 6791, please reduce your message size","type":"tokens","code":"rate_limit_exceeded"}}"#,
                "TooLarge",
            ),
            (
                429,
                r#"{"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 36278. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
                "TooLarge",
            ),
            (422, "", "Invalid"),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                "Billing",
            ),
            (
                429,
                r#"{"error":{"message":"x","type":"insufficient_quota","code":"credit_balance_exhausted"}}"#,
                "Billing",
            ),
            (402, "", "Billing"),
            (
                498,
                r#"{"error":{"message":"x","code":"capacity_exceeded"}}"#,
                "Transient",
            ),
            (
                503,
                r#"{"error":{"message":"server busy, please try again.","type":"api_error"}}"#,
                "Transient",
            ),
            (502, "<html>bad gateway</html>", "Transient"),
        ] {
            assert_eq!(name(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_bound_of_the_answer_above_what_is_left_makes_a_call_too_large() {
        for (param, message) in TOO_MUCH {
            let body = format!(
                r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":"{param}"}}}}"#
            );
            assert_eq!(name(400, &body), "TooLarge", "{message}");
        }
        let body = r#"{"error":{"message":"temperature may be at most 1","param":"temperature"}}"#;
        assert_eq!(name(400, body), "Invalid");
    }

    #[test]
    fn a_window_of_a_day_is_told_from_one_of_a_minute() {
        let message = |window: &str| {
            format!(
                r#"{{"error":{{"message":"Rate limit reached on tokens per {window}: Limit 1, Used 1, Requested 1. Please try again in 9m38.016s.","code":"rate_limit_exceeded"}}}}"#
            )
        };
        let day = error(429, &message("day (TPD)"));
        let minute = error(429, &message("minute (TPM)"));

        let long = Some(Duration::from_millis(578_016));
        assert!(matches!(day, ProviderError::QuotaExhausted { wait, .. } if wait == long));
        let short = Some(Duration::from_secs(2));
        assert!(matches!(minute, ProviderError::RateLimited { wait, .. } if wait == short));
    }

    #[test]
    fn a_credential_that_is_echoed_is_hidden() {
        let shown = error(
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-1."}}"#,
        );
        assert_eq!(
            shown.to_string(),
            "credential refused: status 401: Incorrect API key provided: ***."
        );
    }
}

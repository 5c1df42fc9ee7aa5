//! What an error of DeepL means.

use std::time::Duration;

use babelfeed_actors::ports::ProviderError;

use crate::http::Response;
use crate::providers::refusal::Refusal;
use crate::providers::wire::ErrorBody;

/// The quota of a billing period is used up.
pub(super) const QUOTA: u16 = 456;

/// The error that this answer is; `reset` is when the quota comes back, where that is known.
pub(super) fn error_of(refusal: &Refusal<'_>, reset: Option<Duration>) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    let names_language = body.mentions(&["target_lang", "source_lang"]);
    match refusal.status {
        QUOTA => ProviderError::QuotaExhausted {
            wait: reset,
            detail,
        },
        // Here 529 means too many requests, like 429.
        429 | 529 => refusal.rate_limited(),
        400 if names_language && body.mentions(&["not supported", "unsupported"]) => {
            ProviderError::Unsupported { detail }
        }
        _ if body.mentions(&["glossary"]) && matches!(refusal.status, 400 | 404) => {
            refusal.transient()
        }
        _ => refusal.by_status(),
    }
}

/// Whether an answer refuses the glossary of its call, which may have been deleted.
pub(super) fn is_about_glossary(response: &Response) -> bool {
    matches!(response.status, 400 | 404) && ErrorBody::parse(&response.body).mentions(&["glossary"])
}

/// What to add to a refused credential: each of the two hosts has keys of its own.
pub(super) fn hint_of_host(base_url: &str, key: &str) -> Option<&'static str> {
    let host = base_url.split_once("://").map_or(base_url, |it| it.1);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    match (host, key.ends_with(":fx")) {
        ("api.deepl.com", true) => {
            Some("a key that ends in `:fx` wants https://api-free.deepl.com")
        }
        ("api-free.deepl.com", false) => {
            Some("a key that does not end in `:fx` wants https://api.deepl.com")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        for (status, message, expected) in [
            (400, "Value for 'target_lang' not supported.", "Unsupported"),
            (400, "Value for 'source_lang' not supported.", "Unsupported"),
            (400, "Bad request. Reason: missing text", "Invalid"),
            (404, "Glossary not found", "Transient"),
            (403, "", "Auth"),
            (404, "Not found", "Auth"),
            (413, "", "TooLarge"),
            (414, "", "TooLarge"),
            (429, "", "RateLimited"),
            (529, "Too many requests", "RateLimited"),
            (456, "Quota Exceeded", "QuotaExhausted"),
            (500, "", "Transient"),
            (503, "Resource temporarily unavailable", "Transient"),
            (504, "", "Transient"),
        ] {
            let body = match message {
                "" => String::new(),
                message => serde_json::json!({"message": message}).to_string(),
            };
            let refusal = Refusal {
                status,
                body: ErrorBody::parse(body.as_bytes()),
                wait: None,
                secret: None,
            };
            let error = error_of(&refusal, None);
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        }
    }

    #[test]
    fn a_key_of_the_other_host_is_told() {
        for (base_url, key, is_told) in [
            ("https://api.deepl.com", "a:fx", true),
            ("https://api-free.deepl.com/", "a", true),
            ("https://api-free.deepl.com", "a:fx", false),
            ("https://api.deepl.com:443", "a", false),
            ("http://127.0.0.1:1/deepl", "a:fx", false),
        ] {
            assert_eq!(hint_of_host(base_url, key).is_some(), is_told, "{base_url}");
        }
    }
}

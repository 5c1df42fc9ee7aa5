//! Whether a request is signed rightly, found out without anything of ours.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::{CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET};
use crate::simulators::forms::decoded;
use crate::simulators::server::Request;

/// The fields of an `Authorization: OAuth`.
pub(super) fn fields(authorization: &str) -> Option<HashMap<String, String>> {
    let fields = authorization.strip_prefix("OAuth ")?.split(", ");
    fields
        .map(|field| {
            let (name, value) = field.split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            Some((decoded(name), decoded(value)))
        })
        .collect()
}

/// Whether the signature is that of the account, over what is asked.
pub(super) fn is_right(request: &Request, fields: &HashMap<String, String>) -> bool {
    let has = |name: &str, value: &str| fields.get(name).is_some_and(|it| it == value);
    if !has("oauth_consumer_key", CONSUMER_KEY)
        || !has("oauth_token", TOKEN)
        || !has("oauth_signature_method", "HMAC-SHA1")
    {
        return false;
    }
    let signed = fields.iter().filter(|(name, _)| *name != "oauth_signature");
    let asked = request.query.iter();
    let mut pairs: Vec<(String, String)> = signed
        .map(|(name, value)| (encoded(name), encoded(value)))
        .chain(asked.map(|(name, value)| (encoded(&decoded(name)), encoded(&decoded(value)))))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}={b}")).collect();
    let host = request.headers.get("host").cloned().unwrap_or_default();
    let base = format!(
        "{}&{}&{}",
        request.method,
        encoded(&format!("http://{host}{}", request.path)),
        encoded(&pairs.join("&"))
    );
    let key = format!("{}&{}", encoded(CONSUMER_SECRET), encoded(TOKEN_SECRET));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let expected = STANDARD.encode(hmac::sign(&key, base.as_bytes()));
    fields.get("oauth_signature") == Some(&expected)
}

/// The fields of a form.
pub(super) fn form(body: &[u8]) -> HashMap<String, String> {
    let body = String::from_utf8_lossy(body).into_owned();
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

//! What proves that a message comes from whoever knows the secret.

use ring::hmac::{Algorithm, Key, sign};

/// The HMAC of a message, as hex.
pub fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> String {
    let tag = sign(&Key::new(algorithm, secret), message);
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

//! Reads bodies that are JSON.

use serde::Deserialize;

/// The value that a body holds.
///
/// Once the whole is known to be text, which is found out many bytes at once, its strings need
/// not be looked at one by one.
///
/// # Errors
/// When it holds no such value.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        // What is passed over may be anything.
        Err(_) => serde_json::from_slice(body),
    }
}

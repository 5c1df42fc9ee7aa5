//! The identity of a feed's item: its guid or id, else its link, else a hash of what it says.

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::logic::hex::hex;
use sha2::{Digest, Sha256};

/// The identity of an item, opaque and compared exactly.
pub(super) fn identity(
    id: &str,
    link: Option<&str>,
    title: &str,
    at: Option<Timestamp>,
    body: &str,
) -> String {
    if !id.is_empty() {
        return id.to_owned();
    }
    if let Some(link) = link {
        return link.to_owned();
    }
    let at = at.map(|at| at.as_millis().to_string()).unwrap_or_default();
    let mut hash = Sha256::new();
    for piece in [title, &at, body] {
        hash.update((piece.len() as u64).to_be_bytes());
        hash.update(piece);
    }
    format!("hash:{}", hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_goes_before_the_link_and_the_link_before_the_hash() {
        let at = Some(Timestamp::from_millis(5));
        assert_eq!(identity("7", Some("https://a"), "t", at, "b"), "7");
        assert_eq!(identity("", Some("https://a"), "t", at, "b"), "https://a");
        let hashed = identity("", None, "t", at, "b");
        assert_eq!(hashed, identity("", None, "t", at, "b"));
        assert_ne!(hashed, identity("", None, "t", None, "b"));
        assert_ne!(hashed, identity("", None, "tb", at, ""));
    }
}

//! What is kept of subscriptions, so that a start goes on with them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use babelfeed_actors::logic::hex::hex;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::disk::replace_private;

/// What is agreed with a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The end of our address, which nobody can guess.
    pub(super) id: String,
    /// What deliveries are signed with.
    pub(super) secret: String,
    /// The hub's address.
    pub(super) hub: String,
    /// The feed as the hub knows it.
    pub(super) topic: String,
    /// In seconds since 1970.
    pub(super) leased_until: u64,
    /// In seconds.
    pub(super) lease: u64,
}

impl Kept {
    /// An agreement that is still to be made.
    pub(super) fn new(hub: &str, topic: &str) -> Self {
        Self {
            id: random(16),
            secret: random(32),
            hub: hub.to_owned(),
            topic: topic.to_owned(),
            leased_until: 0,
            lease: 0,
        }
    }
}

/// So many bytes that nobody can guess, as hex.
fn random(n_bytes: usize) -> String {
    let mut bytes = vec![0; n_bytes];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system gives random bytes, or TLS would not work either");
    hex(&bytes)
}

/// What was kept, by source; nothing, if there is no such file.
pub(super) fn load(file: &Path) -> io::Result<BTreeMap<String, Kept>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Keeps all of them, in a file that is exchanged as a whole and only its owner reads.
pub(super) fn save(file: &Path, kept: &BTreeMap<String, Kept>) -> io::Result<()> {
    replace_private(file, &serde_json::to_vec_pretty(kept)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_only_by_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("websub.json");
        assert_eq!(load(&file).expect("reads"), BTreeMap::new());
        let one = Kept::new("https://hub.example/", "https://a.example/feed");
        let two = Kept::new("https://hub.example/", "https://a.example/feed");
        assert!(one.id != two.id && one.secret != two.secret);
        let kept = BTreeMap::from([("one".to_owned(), one), ("two".to_owned(), two)]);
        save(&file, &kept).expect("saves");
        assert_eq!(load(&file).expect("reads"), kept);
        let mode = fs::metadata(&file).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("websub.json");
        fs::write(&file, "{torn").expect("written");
        load(&file).expect_err("is torn");
    }
}

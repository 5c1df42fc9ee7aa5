//! Names the accounts that count us, so that what was learned of one is not believed of another.

use sha2::{Digest as _, Sha256};

use super::{OutletSettings, ProviderSettings, Secret};

impl ProviderSettings {
    /// Names the account: another address, model or credential is another one.
    pub fn account(&self) -> u64 {
        let model = self.model.as_deref().unwrap_or_default();
        let api_key = self.api_key.as_ref().map_or("", Secret::expose);
        let kind = format!("{:?}", self.kind);
        name(&[&kind, &self.base_url, model, api_key])
    }
}

impl OutletSettings {
    /// Names the account, as far as the settings do without its credentials.
    pub fn account(&self) -> u64 {
        name(&[&format!("{:?}", self.kind)])
    }
}

/// A number of such parts, from which none of them can be read.
fn name(parts: &[&str]) -> u64 {
    let hash = Sha256::digest(parts.join("\n"));
    hash.iter()
        .take(8)
        .fold(0, |name, byte| name << 8 | u64::from(*byte))
}

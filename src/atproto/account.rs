//! Accounts: by their permanent names, or by handles that may change.

use std::fmt;

/// The most bytes of a permanent name.
const MAX_DID: usize = 2048;
/// The most bytes of a handle, as of any name of a host.
const MAX_HANDLE: usize = 253;
/// The most bytes between two dots of a handle.
pub(super) const MAX_LABEL: usize = 63;

/// An account, by either of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By the name that it has for ever.
    Did(Did),
    /// By the name that people see.
    Handle(Handle),
}

/// A permanent name, like `did:plc:ewvi7nxzyoun6zhxrhs64oiz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Did(String);

/// A handle, like `news.example.org`, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle(String);

impl Account {
    /// The account of that name; none where it is no name of one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("did:") {
            Did::parse(text).map(Self::Did)
        } else {
            Handle::parse(text).map(Self::Handle)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Did(did) => did.as_str(),
            Self::Handle(handle) => handle.as_str(),
        }
    }
}

impl Did {
    /// The permanent name; none where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (method, name) = text.strip_prefix("did:")?.split_once(':')?;
        let is_method = !method.is_empty() && method.bytes().all(|it| it.is_ascii_lowercase());
        let is_inside =
            |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'%' | b'-');
        let is_name = name.bytes().all(is_inside) && !name.is_empty();
        let is_ended = !name.ends_with([':', '%']);
        (is_method && is_name && is_ended && text.len() <= MAX_DID).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Handle {
    /// The handle; none where it is not one. An `@` before it belongs to a text, not to it.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, last) = text.rsplit_once('.')?;
        let is_host = text.len() <= MAX_HANDLE && text.split('.').all(is_label);
        let is_named = last.starts_with(|first: char| first.is_ascii_alphabetic());
        (is_host && is_named).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The handle.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether that may stand between two dots of a name of a host.
pub(super) fn is_label(label: &str) -> bool {
    let is_inside = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(is_inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_a_handle_or_for_ever() {
        for handle in ["ana.bsky.social", "a-1.test", "8.cn", "xn--ls8h.test"] {
            let account = Account::parse(handle).expect(handle);
            assert!(matches!(account, Account::Handle(_)), "{handle}");
        }
        for did in [
            "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
            "did:web:localhost%3A1234",
            "did:key:zQ3sh._:-",
        ] {
            let account = Account::parse(did).expect(did);
            assert!(matches!(account, Account::Did(_)), "{did}");
        }
    }

    #[test]
    fn what_is_neither_names_no_account() {
        let too_long = format!("{}.test", "a".repeat(64));
        for text in [
            "",
            "ana",
            "@ana.test",
            "ana@example.org",
            "ana.test.",
            ".ana.test",
            "a..test",
            "-ana.test",
            "ana-.test",
            "an_a.test",
            "ana.1test",
            "127.0.0.1",
            "aña.test",
            &too_long,
            "did:",
            "did:plc",
            "did:plc:",
            "did:PLC:abc",
            "did:plc:abc:",
            "did:plc:abc%",
            "did:plc:a/b",
            "DID:plc:abc",
        ] {
            assert_eq!(Account::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_handle_is_the_same_in_any_case() {
        let one = Handle::parse("Ana.BSKY.Social").expect("a handle");
        assert_eq!(one.as_str(), "ana.bsky.social");
    }
}

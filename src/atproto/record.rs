//! Addresses of records, and the names that they are made of.

use std::fmt;

use super::account::{Account, MAX_LABEL, is_label};

/// Where posts stand in an account's repository.
pub const POSTS: &str = "app.bsky.feed.post";

/// The most bytes of an address.
const MAX_URI: usize = 8192;
/// The most bytes of a collection's name.
const MAX_NSID: usize = 317;
/// The most bytes of a key.
const MAX_KEY: usize = 512;

/// A collection's name, like `app.bsky.feed.post`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsid(String);

/// The key of a record in its collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKey(String);

/// The address of an account, of a collection of it, or of a record in that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtUri {
    /// Whose it is.
    pub account: Account,
    /// The collection, and the record's key in it.
    pub path: Option<(Nsid, Option<RecordKey>)>,
}

/// Where a post stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostPlace {
    /// Whose it is.
    pub account: Account,
    /// Its key.
    pub key: RecordKey,
}

impl Nsid {
    /// The name: two or more labels of a host, the last first, then a word; none where it is not.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, word) = text.rsplit_once('.')?;
        let is_host = host.contains('.') && host.split('.').all(is_label);
        let is_led = |it: &str| it.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_word = word.len() <= MAX_LABEL && word.bytes().all(|it| it.is_ascii_alphanumeric());
        let is_it = is_host && is_led(host) && is_word && is_led(word);
        (is_it && text.len() <= MAX_NSID).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RecordKey {
    /// The key; none where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_inside =
            |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'~' | b'.' | b':' | b'-');
        let is_key = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(is_inside);
        (is_key && !matches!(text, "." | "..")).then(|| Self(text.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AtUri {
    /// The address; none where it is not one. It has neither a query nor a fragment.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_URI {
            return None;
        }
        let mut pieces = text.strip_prefix("at://")?.split('/');
        let account = Account::parse(pieces.next()?)?;
        let path = match (pieces.next(), pieces.next()) {
            (None, _) => None,
            (Some(collection), None) => Some((Nsid::parse(collection)?, None)),
            (Some(collection), Some(key)) => {
                Some((Nsid::parse(collection)?, Some(RecordKey::parse(key)?)))
            }
        };
        pieces.next().is_none().then_some(Self { account, path })
    }
}

impl PostPlace {
    /// The place of the post that has this address; none where it is none of a post.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let uri = AtUri::parse(uri)?;
        let (collection, key) = uri.path?;
        let is_post = collection.as_str() == POSTS;
        Some(Self {
            account: uri.account,
            key: key.filter(|_| is_post)?,
        })
    }

    /// The place of the post that people read under this address.
    pub fn of_url(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://bsky.app/profile/")?;
        let mut pieces = rest.split(['?', '#']).next()?.split('/');
        let (account, kind, key) = (pieces.next()?, pieces.next()?, pieces.next()?);
        let is_post = kind == "post" && pieces.next().is_none();
        Some(Self {
            account: Account::parse(account)?,
            key: RecordKey::parse(key).filter(|_| is_post)?,
        })
    }

    /// The address under which people read it.
    pub fn url(&self) -> String {
        let (account, key) = (&self.account, self.key.as_str());
        format!("https://bsky.app/profile/{account}/post/{key}")
    }
}

impl fmt::Display for PostPlace {
    /// Its address in the network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at://{}/{POSTS}/{}", self.account, self.key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_a_host_turned_round_with_a_word_behind_it() {
        for name in [
            POSTS,
            "com.example.fooBarV2",
            "net.users.bob.ping",
            "a-0.b-1.c",
            "com.8th.x",
        ] {
            assert!(Nsid::parse(name).is_some(), "{name}");
        }
        let too_long = format!("com.example.{}", "o".repeat(64));
        for name in [
            "",
            "com.example",
            "com.example.foo*",
            "com.example.3word",
            "com.example.foo-bar",
            "3com.example.foo",
            "com..foo",
            "com.-b.foo",
            "com.example.foo.",
            ".com.example.foo",
            "com.exa💩mple.thing",
            &too_long,
        ] {
            assert_eq!(Nsid::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_post_is_known_by_either_form_of_its_address() {
        let uri = "at://did:plc:x/app.bsky.feed.post/3n2t2gu4w2222";
        let url = "https://bsky.app/profile/did:plc:x/post/3n2t2gu4w2222";
        let place = PostPlace::of_uri(uri).expect("a place");
        assert_eq!((place.to_string().as_str(), &*place.url()), (uri, url));
        for url in [url, &format!("{url}?ref=1"), &format!("{url}#top")] {
            assert_eq!(PostPlace::of_url(url).as_ref(), Some(&place), "{url}");
        }
    }

    #[test]
    fn what_is_no_post_has_no_place_of_one() {
        for address in [
            "https://bsky.app/profile/did:plc:x",
            "https://bsky.app/profile/did:plc:x/post/a b",
            "https://bsky.app/profile/did:plc:x/feed/whats-hot",
            "https://bsky.app/profile/did:plc:x/post/3k/likes",
            "https://example.org/profile/x.test/post/y",
        ] {
            assert_eq!(PostPlace::of_url(address), None, "{address}");
        }
        for address in [
            "at://did:plc:x",
            "at://did:plc:x/app.bsky.feed.post",
            "at://did:plc:x/app.bsky.feed.like/3n2t2gu4w2222",
            "at://did:plc:x/app.bsky.feed.post/3k/more",
        ] {
            assert_eq!(PostPlace::of_uri(address), None, "{address}");
        }
    }
}

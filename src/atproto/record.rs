//! Addresses of records, and the names that they are made of.

use std::fmt;

use super::account::{Account, Did, MAX_LABEL, is_label};

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

/// Where a feed of many authors' posts is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedAddress {
    /// Whose it is.
    pub account: Account,
    /// What puts it together.
    pub kind: FeedKind,
    /// Its key.
    pub key: RecordKey,
}

/// What puts a feed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// A program, by rules of its own.
    Custom,
    /// A list of accounts, of which it shows what they write.
    List,
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

impl FeedAddress {
    /// The place of a feed by its address in the network, or by that under which people read it.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((account, kind, key)) = pieces_of_url(text) {
            let kind = FeedKind::ALL.into_iter().find(|it| it.in_url() == kind)?;
            return Some(Self { account, kind, key });
        }
        let uri = AtUri::parse(text)?;
        let (collection, key) = uri.path?;
        let mut kinds = FeedKind::ALL.into_iter();
        Some(Self {
            account: uri.account,
            kind: kinds.find(|it| it.collection() == collection.as_str())?,
            key: key?,
        })
    }

    /// Its address in the network, once the permanent name of its account is known.
    pub fn uri(&self, did: &Did) -> String {
        let (collection, key) = (self.kind.collection(), self.key.as_str());
        format!("at://{did}/{collection}/{key}")
    }
}

impl FeedKind {
    const ALL: [Self; 2] = [Self::Custom, Self::List];

    /// Where such feeds are declared in an account's repository.
    pub(crate) const fn collection(self) -> &'static str {
        match self {
            Self::Custom => "app.bsky.feed.generator",
            Self::List => "app.bsky.graph.list",
        }
    }

    /// What stands for it in the addresses that people read.
    const fn in_url(self) -> &'static str {
        match self {
            Self::Custom => "feed",
            Self::List => "lists",
        }
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
        let (account, kind, key) = pieces_of_url(url)?;
        let is_post = kind == "post";
        Some(Self {
            account,
            key: Some(key).filter(|_| is_post)?,
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

/// Whose it is, what it is and its key, of what people read under this address.
fn pieces_of_url(url: &str) -> Option<(Account, &str, RecordKey)> {
    let rest = url.strip_prefix("https://bsky.app/profile/")?;
    let mut pieces = rest.split(['?', '#']).next()?.split('/');
    let (account, kind, key) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let is_whole = pieces.next().is_none();
    let account = Account::parse(account).filter(|_| is_whole)?;
    Some((account, kind, RecordKey::parse(key)?))
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
    fn a_feed_is_known_by_either_form_of_its_address() {
        let did = Did::parse("did:plc:x").expect("a name");
        for (url, uri) in [
            (
                "https://bsky.app/profile/ana.test/feed/boats?ref=1",
                "at://did:plc:x/app.bsky.feed.generator/boats",
            ),
            (
                "https://bsky.app/profile/ana.test/lists/3k",
                "at://did:plc:x/app.bsky.graph.list/3k",
            ),
        ] {
            let by_url = FeedAddress::parse(url).expect("a place");
            assert_eq!(by_url.account.as_str(), "ana.test");
            assert_eq!(by_url.uri(&did), uri);
            let by_uri = FeedAddress::parse(uri).expect("a place");
            assert_eq!(by_uri.uri(&did), uri);
            assert_eq!((by_uri.kind, by_uri.key), (by_url.kind, by_url.key));
        }
        for address in [
            "https://bsky.app/profile/ana.test/post/3k",
            "https://bsky.app/profile/ana.test/feed",
            "https://bsky.app/profile/ana.test/feed/boats/likes",
            "at://did:plc:x/app.bsky.feed.generator",
            "at://did:plc:x/app.bsky.feed.post/3k",
            "boats",
        ] {
            assert_eq!(FeedAddress::parse(address), None, "{address}");
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

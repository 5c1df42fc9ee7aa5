//! What sources and outlets on X are told.

use std::time::Duration;

use config::Value;

use super::reader::{Section, address, amount, choice, duration, flag, text, texts, whole};
use crate::outlets::x::Quotes;
use crate::secret::Secret;
use crate::sources::x::Extent;
use crate::x::oauth1::Keys;
use crate::x::post::Spelling;
use crate::x::prices::Prices;

/// Where X is, and as whom it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct XAccess {
    /// Where its routes begin, without a slash at the end.
    pub base_url: String,
    /// As whom it is called.
    pub credential: XCredential,
    /// How it names the fields of posts.
    pub spelling: Spelling,
    /// What it charges.
    pub prices: Prices,
}

/// As whom X is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XCredential {
    /// An account, by the four keys of OAuth 1.0a.
    Keys(Keys),
    /// An account, by OAuth 2.
    Renewed {
        /// The app.
        client_id: Secret,
        /// Its secret; none for a public app.
        client_secret: Option<Secret>,
        /// The refresh token that a person has made.
        refresh_token: Secret,
    },
    /// An app alone, which reads.
    App(Secret),
}

/// An account on X that publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct XOutletSettings {
    /// Where X is, and as whom it is called.
    pub access: XAccess,
    /// The account that the credential must belong to, where it is told.
    pub account: Option<String>,
    /// The most that a post may weigh.
    pub max: usize,
    /// How long after an ambiguous answer a post may still appear.
    pub quiet: Duration,
    /// What becomes of the posts that are quoted.
    pub quotes: Quotes,
}

/// Accounts on X that are read.
#[derive(Clone, Debug, PartialEq)]
pub struct XSourceSettings {
    /// Where X is, and as whom it is called.
    pub access: XAccess,
    /// The accounts, at least one.
    pub accounts: Vec<String>,
    /// Whether answers are read, those in the accounts' own threads among them.
    pub threads: bool,
    /// The most that reading may cost a day, in US dollars.
    pub usd_per_day: Option<f64>,
    /// Whether the filtered stream of the app is read.
    pub streams: bool,
    /// How much is read at first sight; no setting, but what a process is for.
    pub extent: Extent,
}

/// The keys of a source on X.
pub(super) const SOURCE: [&str; 12] = [
    "base_url",
    "consumer_key_env",
    "consumer_secret_env",
    "token_env",
    "token_secret_env",
    "bearer_env",
    "fields",
    "prices",
    "accounts",
    "usd_per_day",
    "threads",
    "stream",
];

/// The keys of an outlet on X.
pub(super) const OUTLET: [&str; 14] = [
    "base_url",
    "consumer_key_env",
    "consumer_secret_env",
    "token_env",
    "token_secret_env",
    "client_id_env",
    "client_secret_env",
    "refresh_token_env",
    "fields",
    "prices",
    "account",
    "max",
    "quiet",
    "quotes",
];

/// What costs at a source on X.
const SOURCE_PRICES: [&str; 3] = ["post_read", "owned_read", "user_read"];

/// What costs at an outlet on X.
const OUTLET_PRICES: [&str; 5] = [
    "post",
    "post_with_url",
    "media_metadata",
    "owned_read",
    "delete",
];

/// The four keys of OAuth 1.0a.
const KEYS: [&str; 4] = [
    "consumer_key_env",
    "consumer_secret_env",
    "token_env",
    "token_secret_env",
];

/// The most that a post of an account that pays for long ones may weigh.
const LONGEST: u32 = 25_000;

/// Reads a source on X.
pub(super) fn read_source(section: &Section<'_>) -> Option<XSourceSettings> {
    let credential = if section.has("bearer_env") {
        refuse_keys(section, "stands beside `bearer_env`, expected one kind");
        section
            .required_secret("bearer_env", "\"X_BEARER\"")
            .map(XCredential::App)
    } else {
        read_keys(section)
    };
    let accounts = section.required("accounts", "[\"news_es\"]", accounts);
    let threads = section.read("threads", true, flag);
    let streams = section.read("stream", false, flag);
    if streams && !section.has("bearer_env") {
        section.mistake(
            "stream",
            "is true, expected `bearer_env` as well: only an app has a stream".to_owned(),
        );
    }
    Some(XSourceSettings {
        access: read_access(section, credential, &SOURCE_PRICES)?,
        accounts: accounts?,
        threads,
        usd_per_day: section
            .optional("usd_per_day", amount)
            .filter(|usd| *usd > 0.0),
        streams,
        extent: Extent::Whole,
    })
}

/// Names of accounts, at least one.
fn accounts(value: &Value) -> Result<Vec<String>, String> {
    let names = texts(value)?;
    let is_name = |name: &String| {
        let name = name.trim_start_matches('@');
        let is_word = name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
        is_word && (1..=15).contains(&name.len())
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(format!(
            "`{name}` is no name of an account, expected letters, digits and `_`, at most 15"
        )),
        None if names.is_empty() => Err("is empty, expected names of accounts".to_owned()),
        None => Ok(names),
    }
}

/// Reads an outlet on X.
pub(super) fn read_outlet(section: &Section<'_>) -> Option<XOutletSettings> {
    let credential = read_account(section);
    let account = section
        .optional("account", text)
        .filter(|it| !it.is_empty());
    let max = section.read("max", 280, whole(1));
    if max > LONGEST {
        section.mistake("max", format!("is {max}, expected at most {LONGEST}"));
    }
    let quotes = [
        ("never", Quotes::Never),
        ("link", Quotes::Linked),
        ("quote", Quotes::Shown),
    ];
    let quiet = section.read("quiet", Duration::from_secs(180), duration(Duration::ZERO));
    Some(XOutletSettings {
        access: read_access(section, credential, &OUTLET_PRICES)?,
        account,
        max: max as usize,
        quiet,
        quotes: section.read("quotes", Quotes::Never, choice(&quotes)),
    })
}

fn read_access(
    section: &Section<'_>,
    credential: Option<XCredential>,
    prices: &[&str],
) -> Option<XAccess> {
    let base_url = section.read("base_url", "https://api.x.com".to_owned(), address);
    let spellings = [("tweet", Spelling::Tweet), ("post", Spelling::Post)];
    let spelling = section.read("fields", Spelling::Tweet, choice(&spellings));
    let prices = read_prices(section, prices);
    Some(XAccess {
        base_url: base_url.trim_end_matches('/').to_owned(),
        credential: credential?,
        spelling,
        prices,
    })
}

/// The credential of an account: keys, or a refresh token.
fn read_account(section: &Section<'_>) -> Option<XCredential> {
    let is_renewed = section.has("refresh_token_env") || section.has("client_id_env");
    if is_renewed {
        refuse_keys(
            section,
            "stands beside `refresh_token_env`, expected one kind",
        );
        let client_id = section.required_secret("client_id_env", "\"X_CLIENT_ID\"");
        let refresh_token = section.required_secret("refresh_token_env", "\"X_REFRESH_TOKEN\"");
        return Some(XCredential::Renewed {
            client_secret: section.secret_in_variable("client_secret_env"),
            client_id: client_id?,
            refresh_token: refresh_token?,
        });
    }
    section.refuse("client_secret_env", "belongs to `refresh_token_env`");
    read_keys(section)
}

/// Notes each of the four keys that is written.
fn refuse_keys(section: &Section<'_>, why: &str) {
    for key in KEYS {
        section.refuse(key, why);
    }
}

fn read_keys(section: &Section<'_>) -> Option<XCredential> {
    let consumer_key = section.required_secret("consumer_key_env", "\"X_CONSUMER_KEY\"");
    let consumer_secret = section.required_secret("consumer_secret_env", "\"X_CONSUMER_SECRET\"");
    let token = section.required_secret("token_env", "\"X_TOKEN\"");
    let token_secret = section.required_secret("token_secret_env", "\"X_TOKEN_SECRET\"");
    Some(XCredential::Keys(Keys {
        consumer_key: consumer_key?,
        consumer_secret: consumer_secret?,
        token: token?,
        token_secret: token_secret?,
    }))
}

fn read_prices(section: &Section<'_>, keys: &[&str]) -> Prices {
    let known = Prices::default();
    let prices = section.section("prices", keys);
    let price = |key, usual| prices.read(key, usual, amount);
    Prices {
        post: price("post", known.post),
        post_with_url: price("post_with_url", known.post_with_url),
        media_metadata: price("media_metadata", known.media_metadata),
        post_read: price("post_read", known.post_read),
        owned_read: price("owned_read", known.owned_read),
        user_read: price("user_read", known.user_read),
        delete: price("delete", known.delete),
    }
}

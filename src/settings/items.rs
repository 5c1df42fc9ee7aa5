//! The named things: sources, providers and outlets, with what each kind must be told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{
    Audience, DayReset, Lane, Language, OutletName, ProviderName, REQUESTS, SourceName,
};
use babelfeed_actors::logic::compose::{Link, Long, Style};
use babelfeed_actors::logic::filter::{Filter, Pattern, PatternError};
use babelfeed_actors::logic::policy::{Mentions, is_mention};
use babelfeed_actors::logic::routing::{MOST_ROUTES, Pairs};
use babelfeed_actors::setup::{
    Hold, LaneLimits, Lapse, Lapsed, OnDelete, OnEdit, OutletRules, Same, SourceRules,
};
use config::{Value, ValueKind};

use super::chats;
use super::reader::{
    Section, address, amount, choice, duration, flag, language, shown, socket_address, some_text,
    text, texts, whole,
};
use super::x::{self, XOutletSettings, XSourceSettings};
use crate::secret::Secret;

/// `[[source]]`: something that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSettings {
    /// Its name.
    pub name: SourceName,
    /// What it is.
    pub kind: SourceKind,
    /// How often it is polled.
    pub every: Duration,
    /// Whether the server may lengthen that.
    pub respect_hints: bool,
    /// The language of what does not tell its own.
    pub language: Option<Language>,
    /// How many of the posts that are there at first sight are taken; none: all.
    pub backfill: Option<usize>,
    /// Which posts are taken, and when.
    pub rules: SourceRules,
}

/// What a source is.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// An RSS, Atom or JSON feed.
    Feed(FeedPlace),
    /// A file that grows line by line.
    File(PathBuf),
    /// Accounts on X.
    X(Box<XSourceSettings>),
    /// An account of a server that speaks Mastodon's API.
    Mastodon {
        /// The server, without a slash at the end.
        base_url: String,
        /// The account that is watched.
        account: String,
        /// The token of whoever reads; none reads what everybody may read.
        token: Option<Secret>,
        /// Whether the token's own stream is read.
        streams: bool,
    },
    /// An account of Bluesky.
    Bluesky {
        /// Its handle or its permanent name.
        account: String,
        /// The network's view, or the server that keeps it; without a slash at the end.
        base_url: String,
        /// Where a stream of the network is heard; none: the account is only polled.
        jetstream: Option<String>,
    },
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedPlace {
    /// On the web.
    Url(String),
    /// On the web, where its hub is to tell of news.
    Hub(String),
    /// On this machine.
    Path(PathBuf),
}

impl SourceKind {
    /// Its name in the settings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Feed(_) => "feed",
            Self::File(_) => "file",
            Self::X(_) => "x",
            Self::Mastodon { .. } => "mastodon",
            Self::Bluesky { .. } => "bluesky",
        }
    }
}

/// `[[provider]]`: something that translates.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// Its name.
    pub name: ProviderName,
    /// What it is.
    pub kind: ProviderKind,
    /// Where its routes begin, without a slash at the end.
    pub base_url: String,
    /// The model; none where the kind has none.
    pub model: Option<String>,
    /// The credential; none for a server that asks for none.
    pub api_key: Option<Secret>,
    /// Whoever counts us: named after the first provider of this address, credential and model.
    pub lane: Lane,
    /// The limits that are known.
    pub limits: LaneLimits,
    /// US dollars per million tokens, in and out.
    pub price: (f64, f64),
    /// Who comes first: the lowest.
    pub order: u32,
    /// Whether texts of low priority without a deadline go by its batch interface.
    pub batch: bool,
    /// Its part of the texts where shares decide.
    pub share: f64,
    /// The pairs of languages that it is asked for; none: all.
    pub pairs: Option<Vec<Pairs>>,
}

/// What a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Whatever speaks OpenAI's chat completions.
    OpenAi,
    /// Google's Gemini.
    Gemini,
    /// Anthropic's Claude.
    Anthropic,
    /// DeepL.
    DeepL,
    /// A LibreTranslate server.
    LibreTranslate,
    /// An Apertium server.
    Apertium,
}

impl ProviderKind {
    const NAMES: [(&'static str, Self); 6] = [
        ("openai", Self::OpenAi),
        ("gemini", Self::Gemini),
        ("anthropic", Self::Anthropic),
        ("deepl", Self::DeepL),
        ("libretranslate", Self::LibreTranslate),
        ("apertium", Self::Apertium),
    ];

    /// Its name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
            Self::DeepL => "deepl",
            Self::LibreTranslate => "libretranslate",
            Self::Apertium => "apertium",
        }
    }

    /// Whether it has a batch interface.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::OpenAi | Self::Gemini)
    }

    /// Whether it is a language model, which has a name and counts tokens.
    pub const fn is_language_model(self) -> bool {
        matches!(self, Self::OpenAi | Self::Gemini | Self::Anthropic)
    }
}

/// `[[outlet]]`: something that publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutletSettings {
    /// Its name.
    pub name: OutletName,
    /// What it is.
    pub kind: OutletKind,
    /// The language that it receives.
    pub language: Language,
    /// The sources that it takes, `requests` among them; none: all.
    pub from: Option<Vec<Arc<str>>>,
    /// What waits for a person.
    pub hold: Hold,
    /// The limits of its account.
    pub limits: LaneLimits,
    /// What becomes of what is published there.
    pub rules: OutletRules,
}

/// What an outlet is.
#[derive(Clone, Debug, PartialEq)]
pub enum OutletKind {
    /// A file of JSON lines.
    File {
        /// The file.
        path: PathBuf,
    },
    /// An Atom feed in a file.
    Feed {
        /// The file.
        path: PathBuf,
        /// What the feed is called.
        title: String,
    },
    /// An account of a Mastodon server.
    Mastodon {
        /// The server, without a slash at the end.
        base_url: String,
        /// The account's token.
        token: Secret,
        /// Who sees what is published; none leaves it to the account.
        visibility: Option<Visibility>,
        /// The account that the token must belong to, where it is told.
        account: Option<String>,
    },
    /// An account of Bluesky.
    Bluesky {
        /// Where it logs in, without a slash at the end.
        base_url: String,
        /// Its handle or its permanent name.
        account: String,
        /// A password for apps.
        password: Secret,
    },
    /// An account on X.
    X(Box<XOutletSettings>),
    /// A chat on Telegram.
    Telegram {
        /// The server, without a slash at the end.
        base_url: String,
        /// The bot's token.
        token: Secret,
        /// `@channel`, or the chat's number.
        chat: String,
        /// The topic of a group that has some.
        topic: Option<u32>,
        /// Whether links show what they lead to.
        preview: bool,
    },
    /// A webhook of a channel on Discord.
    Discord {
        /// Its address, which is its credential.
        url: Secret,
    },
    /// An incoming webhook of a channel on Slack.
    Slack {
        /// Its address, which is its credential.
        url: Secret,
    },
    /// A program that takes what is published.
    Webhook {
        /// Its address, which may bear a credential.
        url: Secret,
        /// What bodies are signed with.
        secret: Option<Secret>,
        /// Whether it drops what it has, so that what may have arrived can be sent again.
        drops_repeats: bool,
    },
}

/// Who sees what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Everybody, outside the public timelines.
    Unlisted,
    /// Followers.
    Private,
    /// Whoever is mentioned.
    Direct,
}

impl OutletKind {
    /// Its name in the settings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Feed { .. } => "feed",
            Self::Mastodon { .. } => "mastodon",
            Self::Bluesky { .. } => "bluesky",
            Self::X(_) => "x",
            Self::Telegram { .. } => "telegram",
            Self::Discord { .. } => "discord",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
        }
    }
}

impl KindOfOutlet {
    /// The most publications that begin within an hour, where nothing is said; 0: no such bound.
    const fn usual_per_hour(self) -> u32 {
        match self {
            Self::File | Self::Feed | Self::Webhook => 0,
            _ => 300,
        }
    }

    /// What becomes of mentions, where nothing is said: nobody is alerted by a file or a program.
    const fn usual_mentions(self) -> Mentioned {
        match self {
            Self::File | Self::Feed | Self::Webhook => Mentioned::Keep,
            _ => Mentioned::Plain,
        }
    }
}

impl Visibility {
    const NAMES: [(&'static str, Self); 4] = [
        ("public", Self::Public),
        ("unlisted", Self::Unlisted),
        ("private", Self::Private),
        ("direct", Self::Direct),
    ];
}

/// Where accounts of Bluesky log in, unless they have a server of their own.
const BLUESKY: &str = "https://bsky.social";

/// Where posts on Bluesky are read by anybody.
const BLUESKY_VIEW: &str = "https://public.api.bsky.app";

/// The keys of every source, and of every outlet.
const SOURCE: [&str; 16] = [
    "name",
    "kind",
    "every",
    "respect_hints",
    "language",
    "backfill",
    "settle",
    "min_age",
    "replies",
    "reposts",
    "quotes",
    "audience",
    "languages",
    "words",
    "patterns",
    "not_from",
];
const OUTLET: [&str; 21] = [
    "name",
    "kind",
    "language",
    "from",
    "hold",
    "limits",
    "on_edit",
    "repost_within",
    "on_delete",
    "same",
    "per_hour",
    "hold_for",
    "lapse",
    "long",
    "numbers",
    "link",
    "link_for",
    "attribution",
    "mark",
    "mentions",
    "mention_map",
];

#[derive(Clone, Copy)]
enum KindOfSource {
    Feed,
    File,
    X,
    Mastodon,
    Bluesky,
}

#[derive(Clone, Copy)]
enum Mentioned {
    Plain,
    Map,
    Keep,
}

#[derive(Clone, Copy)]
enum KindOfOutlet {
    File,
    Feed,
    Mastodon,
    Bluesky,
    X,
    Telegram,
    Discord,
    Slack,
    Webhook,
}

/// Reads every source.
pub(super) fn read_sources(top: &Section<'_>) -> Vec<SourceSettings> {
    let mut names = BTreeSet::new();
    let sections = top.list("source");
    sections
        .iter()
        .filter_map(|section| read_source(section, &mut names))
        .collect()
}

fn read_source(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<SourceSettings> {
    let name = read_name(section, names);
    if name.as_deref() == Some(REQUESTS) {
        section.mistake(
            "name",
            "`requests` stands for what clients hand in, expected another name".to_owned(),
        );
    }
    let kinds = [
        ("feed", KindOfSource::Feed),
        ("file", KindOfSource::File),
        ("mastodon", KindOfSource::Mastodon),
        ("bluesky", KindOfSource::Bluesky),
        ("x", KindOfSource::X),
    ];
    let kind = section.required("kind", "\"feed\"", choice(&kinds))?;
    let (more, default_backfill): (&[&str], _) = match kind {
        KindOfSource::Feed => (&["url", "path", "websub"], Some(0)),
        KindOfSource::File => (&["path"], None),
        KindOfSource::X => (&x::SOURCE, Some(0)),
        KindOfSource::Mastodon => (&["base_url", "account", "token_env", "stream"], Some(0)),
        KindOfSource::Bluesky => (&["account", "base_url", "jetstream"], Some(0)),
    };
    section.refuse_unknown(&[&SOURCE[..], more].concat());
    let place = match kind {
        KindOfSource::Feed => read_feed_place(section).map(SourceKind::Feed),
        KindOfSource::File => required_path(section).map(SourceKind::File),
        KindOfSource::X => x::read_source(section).map(|it| SourceKind::X(Box::new(it))),
        KindOfSource::Mastodon => read_mastodon_account(section),
        KindOfSource::Bluesky => read_bluesky_source(section),
    };
    let every = section.read(
        "every",
        Duration::from_secs(300),
        duration(Duration::from_secs(1)),
    );
    let respect_hints = section.read("respect_hints", false, flag);
    let language = section.optional("language", language);
    let backfill = section.read("backfill", default_backfill, backfill);
    let rules = read_source_rules(section);
    Some(SourceSettings {
        name: SourceName::from(name?.as_str()),
        kind: place?,
        every,
        respect_hints,
        language,
        backfill,
        rules,
    })
}

fn read_source_rules(section: &Section<'_>) -> SourceRules {
    let wait = |key| section.read(key, Duration::ZERO, duration(Duration::ZERO));
    SourceRules {
        filter: read_filter(section),
        settle: wait("settle"),
        min_age: wait("min_age"),
    }
}

fn read_filter(section: &Section<'_>) -> Filter {
    let usual = Filter::default();
    let words = section.section("words", &["include", "exclude"]);
    let found = section.section("patterns", &["include", "exclude"]);
    let both = |key| {
        let mut both = words.read(key, Vec::new(), patterns(Pattern::word));
        both.extend(found.read(key, Vec::new(), patterns(Pattern::new)));
        both
    };
    Filter {
        replies: section.read("replies", usual.replies, flag),
        reposts: section.read("reposts", usual.reposts, flag),
        quotes: section.read("quotes", usual.quotes, flag),
        audiences: section.read("audience", usual.audiences, audiences),
        languages: section.read("languages", usual.languages, languages),
        include: both("include"),
        exclude: both("exclude"),
        not_from: section.read("not_from", usual.not_from, texts),
    }
}

fn patterns(
    make: impl Fn(&str) -> Result<Pattern, PatternError>,
) -> impl Fn(&Value) -> Result<Vec<Pattern>, String> {
    move |value| {
        let written = texts(value)?;
        let made = written.iter().map(|written| {
            make(written).map_err(|error| format!("`{written}` cannot be looked for: {error}"))
        });
        made.collect()
    }
}

fn audiences(value: &Value) -> Result<Vec<Audience>, String> {
    const NAMES: [(&str, Audience); 4] = [
        ("public", Audience::Public),
        ("unlisted", Audience::Unlisted),
        ("followers", Audience::Followers),
        ("direct", Audience::Direct),
    ];
    let written = texts(value)?;
    let named = written.iter().map(|written| {
        let named = NAMES.iter().find(|(name, _)| name == written);
        named.map(|(_, audience)| *audience).ok_or_else(|| {
            format!("`{written}` is no audience, expected \"public\", \"unlisted\", \"followers\" or \"direct\"")
        })
    });
    named.collect()
}

fn languages(value: &Value) -> Result<Vec<Language>, String> {
    let written = texts(value)?;
    let tags = written.iter().map(|written| written.parse::<Language>());
    tags.collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn read_feed_place(section: &Section<'_>) -> Option<FeedPlace> {
    let has_hub = section.read("websub", false, flag);
    if has_hub && section.has("path") {
        section.mistake(
            "websub",
            "is true, expected false: a file has no hub".to_owned(),
        );
    }
    match (section.has("url"), section.has("path")) {
        (true, true) => {
            section.mistake(
                "path",
                "stands beside `url`, expected one of them".to_owned(),
            );
            None
        }
        (false, true) => required_path(section).map(FeedPlace::Path),
        _ => section
            .required(
                "url",
                "\"https://example.org/feed.xml\" (or `path`)",
                address,
            )
            .map(match has_hub {
                true => FeedPlace::Hub,
                false => FeedPlace::Url,
            }),
    }
}

fn read_mastodon_account(section: &Section<'_>) -> Option<SourceKind> {
    let base_url = section.required("base_url", "\"https://mastodon.example\"", address);
    let account = section.required("account", "\"news@mastodon.example\"", some_text);
    let token = section.secret_in_variable("token_env");
    let streams = section.read("stream", false, flag);
    if streams && !section.has("token_env") {
        section.mistake(
            "stream",
            "is true, expected `token_env` as well: only accounts have a stream".to_owned(),
        );
    }
    Some(SourceKind::Mastodon {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        account: account?,
        token,
        streams,
    })
}

fn read_bluesky_source(section: &Section<'_>) -> Option<SourceKind> {
    let account = section.required("account", "\"news.example.org\"", some_text);
    let base_url = section.read("base_url", BLUESKY_VIEW.to_owned(), address);
    let jetstream = section.optional("jetstream", socket_address);
    Some(SourceKind::Bluesky {
        account: account?,
        base_url: base_url.trim_end_matches('/').to_owned(),
        jetstream: jetstream.map(|it| it.trim_end_matches('/').to_owned()),
    })
}

fn backfill(value: &Value) -> Result<Option<usize>, String> {
    match &value.kind {
        ValueKind::String(text) if text == "all" => Ok(None),
        _ => whole(0)(value)
            .map(|number| Some(number as usize))
            .map_err(|_| format!("{} is neither a number of posts nor \"all\"", shown(value))),
    }
}

/// Reads every provider.
pub(super) fn read_providers(top: &Section<'_>) -> Vec<ProviderSettings> {
    let mut names = BTreeSet::new();
    let mut providers: Vec<ProviderSettings> = Vec::new();
    for (index, section) in top.list("provider").iter().enumerate() {
        let place = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if let Some(mut provider) = read_provider(section, place, &mut names) {
            let shares = |other: &&ProviderSettings| {
                other.base_url == provider.base_url
                    && other.api_key == provider.api_key
                    && other.model == provider.model
            };
            if let Some(first) = providers.iter_mut().find(|it| shares(&&**it)) {
                provider.lane = first.lane.clone();
                share_limits(section, first, &mut provider);
            }
            providers.push(provider);
        }
        if index == MOST_ROUTES {
            let most = format!("is one too many, expected at most {MOST_ROUTES} providers");
            section.mistake("name", most);
        }
    }
    providers
}

/// Gives two providers of one account and model the limits that one of them names: it is counted
/// once, so there cannot be two.
fn share_limits(
    section: &Section<'_>,
    first: &mut ProviderSettings,
    second: &mut ProviderSettings,
) {
    let names_any = |limits: LaneLimits| {
        let none = LaneLimits {
            day: limits.day,
            ..LaneLimits::default()
        };
        limits != none
    };
    if names_any(second.limits) && names_any(first.limits) && second.limits != first.limits {
        section.mistake(
            "limits",
            format!(
                "differ from those of `{}`, which has the same address, credential and model, \
                 expected them in one place",
                first.name
            ),
        );
    }
    if !names_any(first.limits) {
        first.limits = second.limits;
    }
    second.limits = first.limits;
}

fn read_provider(
    section: &Section<'_>,
    place: u32,
    names: &mut BTreeSet<String>,
) -> Option<ProviderSettings> {
    let name = read_name(section, names);
    let kind = section.required("kind", "\"openai\"", choice(&ProviderKind::NAMES))?;
    section.refuse_unknown(&[
        "name",
        "kind",
        "base_url",
        "model",
        "api_key_env",
        "api_key_file",
        "limits",
        "price",
        "order",
        "batch",
        "share",
        "pairs",
    ]);
    let base_url = section.required("base_url", "\"https://api.example.org/v1\"", address);
    let model = if kind.is_language_model() {
        section.required("model", "\"llama-3.3-70b-versatile\"", some_text)
    } else {
        section.refuse(
            "model",
            "belongs to language models, which this kind is not",
        );
        None
    };
    if kind.is_language_model() && model.is_none() {
        return None;
    }
    if section.has("api_key_env") && section.has("api_key_file") {
        section.mistake(
            "api_key_file",
            "stands beside `api_key_env`, expected one of them".to_owned(),
        );
    }
    let api_key = section
        .secret_in_variable("api_key_env")
        .or_else(|| section.secret_in_file("api_key_file"));
    let day = match kind {
        ProviderKind::Gemini => DayReset::Pacific,
        _ => DayReset::Rolling,
    };
    let limits = read_limits(section, day);
    let price = section.section("price", &["input", "output"]);
    let price = (
        price.read("input", 0.0, amount),
        price.read("output", 0.0, amount),
    );
    let order = section.read("order", place, whole(0));
    let batch = section.read("batch", false, flag);
    if batch && !kind.has_batches() {
        section.mistake(
            "batch",
            "is true, expected false: this kind has no batch interface".to_owned(),
        );
    }
    let share = section.read("share", 1.0, amount);
    let pairs = section.optional("pairs", pairs);
    let name = name?;
    Some(ProviderSettings {
        lane: Lane::from(name.as_str()),
        name: ProviderName::from(name.as_str()),
        kind,
        base_url: base_url?.trim_end_matches('/').to_owned(),
        model,
        api_key,
        limits,
        price,
        order,
        batch,
        share,
        pairs,
    })
}

/// Pairs of languages, at least one.
fn pairs(value: &Value) -> Result<Vec<Pairs>, String> {
    let written = texts(value)?;
    if written.is_empty() {
        return Err("is empty, expected pairs of languages like \"en-es\"".to_owned());
    }
    let pairs = written.iter().map(|pairs| pairs.parse::<Pairs>());
    pairs
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

const DAYS: [(&str, DayReset); 3] = [
    ("rolling", DayReset::Rolling),
    ("utc", DayReset::Utc),
    ("pacific", DayReset::Pacific),
];

/// The limits of a lane; 0 is the same as left out. `day` is when a day's quota of this kind
/// is there again, where the settings do not say it.
fn read_limits(section: &Section<'_>, day: DayReset) -> LaneLimits {
    let limits = section.section(
        "limits",
        &[
            "rps",
            "rpm",
            "rpd",
            "tps",
            "tpm",
            "itpm",
            "otpm",
            "tpd",
            "concurrency",
            "usd_per_day",
            "usd_per_month",
            "day_resets",
        ],
    );
    let limit = |key| limits.optional(key, amount).filter(|limit| *limit > 0.0);
    LaneLimits {
        rps: limit("rps"),
        rpm: limit("rpm"),
        rpd: limit("rpd"),
        tps: limit("tps"),
        tpm: limit("tpm"),
        itpm: limit("itpm"),
        otpm: limit("otpm"),
        tpd: limit("tpd"),
        day: limits.optional("day_resets", choice(&DAYS)).unwrap_or(day),
        concurrency: limits
            .optional("concurrency", whole(0))
            .filter(|limit| *limit > 0)
            .map(|limit| limit as usize),
        usd_per_day: limit("usd_per_day"),
        usd_per_month: limit("usd_per_month"),
    }
}

/// Reads every outlet.
pub(super) fn read_outlets(top: &Section<'_>) -> Vec<OutletSettings> {
    let mut names = BTreeSet::new();
    let sources: Vec<String> = top
        .list("source")
        .iter()
        .filter_map(|source| source.peek("name"))
        .collect();
    let sections = top.list("outlet");
    sections
        .iter()
        .filter_map(|section| read_outlet(section, &sources, &mut names))
        .collect()
}

fn read_outlet(
    section: &Section<'_>,
    sources: &[String],
    names: &mut BTreeSet<String>,
) -> Option<OutletSettings> {
    let name = read_name(section, names);
    let kinds = [
        ("file", KindOfOutlet::File),
        ("feed", KindOfOutlet::Feed),
        ("mastodon", KindOfOutlet::Mastodon),
        ("bluesky", KindOfOutlet::Bluesky),
        ("x", KindOfOutlet::X),
        ("telegram", KindOfOutlet::Telegram),
        ("discord", KindOfOutlet::Discord),
        ("slack", KindOfOutlet::Slack),
        ("webhook", KindOfOutlet::Webhook),
    ];
    let kind = section.required("kind", "\"file\"", choice(&kinds));
    let language = section.required("language", "\"es\"", language);
    let kind = kind?;
    let more: &[&str] = match kind {
        KindOfOutlet::File => &["path"],
        KindOfOutlet::Feed => &["path", "title"],
        KindOfOutlet::Mastodon => &["base_url", "token_env", "visibility", "account"],
        KindOfOutlet::Bluesky => &["base_url", "account", "password_env"],
        KindOfOutlet::X => &x::OUTLET,
        KindOfOutlet::Telegram => &["base_url", "token_env", "chat", "topic", "preview"],
        KindOfOutlet::Discord | KindOfOutlet::Slack => &["url_env"],
        KindOfOutlet::Webhook => &["url", "url_env", "secret_env", "drops_repeats"],
    };
    section.refuse_unknown(&[&OUTLET[..], more].concat());
    let adapter = match kind {
        KindOfOutlet::File => required_path(section).map(|path| OutletKind::File { path }),
        KindOfOutlet::Feed => required_path(section).map(|path| OutletKind::Feed {
            path,
            title: section.read("title", name.clone().unwrap_or_default(), some_text),
        }),
        KindOfOutlet::Mastodon => read_mastodon(section),
        KindOfOutlet::Bluesky => read_bluesky(section),
        KindOfOutlet::X => x::read_outlet(section).map(|it| OutletKind::X(Box::new(it))),
        KindOfOutlet::Telegram => chats::read_telegram(section),
        KindOfOutlet::Discord => chats::read_discord(section),
        KindOfOutlet::Slack => chats::read_slack(section),
        KindOfOutlet::Webhook => chats::read_webhook(section),
    };
    let from = read_from(section, sources);
    let holds = [
        ("never", Hold::Never),
        ("doubtful", Hold::Doubtful),
        ("always", Hold::Always),
    ];
    let hold = section.read("hold", Hold::Never, choice(&holds));
    let limits = read_limits(section, DayReset::Rolling);
    let rules = read_rules(section, sources, kind);
    let kind = adapter?;
    Some(OutletSettings {
        name: OutletName::from(name?.as_str()),
        limits: chats::paced(&kind, limits),
        kind,
        language: language?,
        from,
        hold,
        rules,
    })
}

fn read_mastodon(section: &Section<'_>) -> Option<OutletKind> {
    let base_url = section.required("base_url", "\"https://mastodon.example\"", address);
    let is_named = section.required("token_env", "\"MASTODON_TOKEN\"", some_text);
    let token = is_named.and_then(|_| section.secret_in_variable("token_env"));
    let visibility = section.optional("visibility", choice(&Visibility::NAMES));
    let account = section
        .optional("account", text)
        .filter(|it| !it.is_empty());
    Some(OutletKind::Mastodon {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        token: token?,
        visibility,
        account,
    })
}

fn read_rules(section: &Section<'_>, sources: &[String], kind: KindOfOutlet) -> OutletRules {
    let edits = [
        ("edit", OnEdit::Edit),
        ("leave", OnEdit::Leave),
        ("repost", OnEdit::Repost),
    ];
    let deletions = [("delete", OnDelete::Delete), ("leave", OnDelete::Leave)];
    let sames = [("publish", Same::Publish), ("skip", Same::Skip)];
    let usual = OutletRules::default();
    let per_hour = kind.usual_per_hour();
    OutletRules {
        on_edit: section.optional("on_edit", choice(&edits)),
        repost_within: section.read(
            "repost_within",
            usual.repost_within,
            duration(Duration::ZERO),
        ),
        on_delete: section.read("on_delete", usual.on_delete, choice(&deletions)),
        same: section.read("same", usual.same, choice(&sames)),
        per_hour: Some(section.read("per_hour", per_hour, whole(0))).filter(|most| *most > 0),
        lapse: read_lapse(section),
        style: Arc::new(read_style(section, sources, kind)),
    }
}

fn read_lapse(section: &Section<'_>) -> Option<Lapse> {
    let words = [("publish", Lapsed::Published), ("reject", Lapsed::Rejected)];
    let into = section.read("lapse", Lapsed::default(), choice(&words));
    let after = section.read("hold_for", Duration::ZERO, duration(Duration::ZERO));
    (!after.is_zero()).then_some(Lapse { after, into })
}

fn read_style(section: &Section<'_>, sources: &[String], kind: KindOfOutlet) -> Style {
    let longs = [
        ("thread", Long::Thread),
        ("shorten", Long::Shorten),
        ("link", Long::Link),
    ];
    let line = |key| {
        let line = section.optional(key, text).filter(|line| !line.is_empty());
        line.map(Into::into)
    };
    Style {
        long: section.read("long", Long::default(), choice(&longs)),
        numbers: section.read("numbers", false, flag),
        link: read_link(section, sources),
        attribution: line("attribution"),
        mark: line("mark"),
        mentions: read_mentions(section, kind.usual_mentions()),
    }
}

fn read_mentions(section: &Section<'_>, usual: Mentioned) -> Mentions {
    let words = [
        ("plain", Mentioned::Plain),
        ("map", Mentioned::Map),
        ("keep", Mentioned::Keep),
    ];
    let wanted = section.read("mentions", usual, choice(&words));
    if !matches!(wanted, Mentioned::Map) {
        section.refuse("mention_map", "belongs to `mentions = \"map\"`");
    }
    match wanted {
        Mentioned::Plain => Mentions::Plain,
        Mentioned::Keep => Mentions::Alive,
        Mentioned::Map => {
            let example = "{ \"@ana@social.example\" = \"@ana.bsky.social\" }";
            let accounts = section.required("mention_map", example, accounts);
            Mentions::Mapped(Arc::new(accounts.unwrap_or_default()))
        }
    }
}

/// Accounts, with what they are called elsewhere.
fn accounts(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let ValueKind::Table(table) = &value.kind else {
        return Err(format!("{} is no table", shown(value)));
    };
    let named = table.iter().map(|(name, there)| {
        let there = text(there)?;
        for it in [name, &there] {
            if !is_mention(it) {
                return Err(format!("`{it}` is no mention, expected one like `@ana`"));
            }
        }
        Ok((name.clone(), there))
    });
    named.collect()
}

fn read_link(section: &Section<'_>, sources: &[String]) -> Link {
    #[derive(Clone, Copy)]
    enum Where {
        Never,
        First,
        Always,
        Sources,
    }
    let words = [
        ("never", Where::Never),
        ("first", Where::First),
        ("always", Where::Always),
        ("source", Where::Sources),
    ];
    let wanted = section.read("link", Where::Never, choice(&words));
    let linked = section.optional("link_for", texts).unwrap_or_default();
    if !matches!(wanted, Where::Sources) {
        section.refuse("link_for", "belongs to `link = \"source\"`");
    }
    for name in linked.iter().filter(|name| !sources.contains(name)) {
        let wrong = format!("`{name}` is no source, expected the name of one");
        section.mistake("link_for", wrong);
    }
    match wanted {
        Where::Never => Link::Never,
        Where::First => Link::First,
        Where::Always => Link::Always,
        Where::Sources => Link::Sources(linked.iter().map(|name| name.as_str().into()).collect()),
    }
}

fn read_bluesky(section: &Section<'_>) -> Option<OutletKind> {
    let base_url = section.read("base_url", BLUESKY.to_owned(), address);
    let account = section.required("account", "\"news.example.org\"", some_text);
    let is_named = section.required("password_env", "\"BLUESKY_PASSWORD\"", some_text);
    let password = is_named.and_then(|_| section.secret_in_variable("password_env"));
    Some(OutletKind::Bluesky {
        base_url: base_url.trim_end_matches('/').to_owned(),
        account: account?,
        password: password?,
    })
}

fn read_from(section: &Section<'_>, sources: &[String]) -> Option<Vec<Arc<str>>> {
    let from = section.optional("from", texts)?;
    for name in &from {
        if name != REQUESTS && !sources.contains(name) {
            section.mistake(
                "from",
                format!("`{name}` is no source, expected the name of one, or `requests`"),
            );
        }
    }
    Some(from.iter().map(|name| name.as_str().into()).collect())
}

fn required_path(section: &Section<'_>) -> Option<PathBuf> {
    section.required("path", "\"data/out/es.jsonl\"", some_text)?;
    section.path_at("path")
}

fn read_name(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<String> {
    let name = section.required("name", "\"news\"", |value| {
        let name = some_text(value)?;
        let is_word = name.len() <= 64
            && !name
                .chars()
                .any(|it| it.is_whitespace() || it.is_control() || matches!(it, '"' | '=' | '/'));
        if is_word {
            Ok(name)
        } else {
            Err(format!(
                "{} is no name, expected one word of at most 64 bytes, without quotes, `=` and `/`",
                shown(value)
            ))
        }
    })?;
    if !names.insert(name.clone()) {
        section.mistake(
            "name",
            "is the name of an earlier one, expected another".to_owned(),
        );
    }
    Some(name)
}

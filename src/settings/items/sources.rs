//! `[[source]]`: what is watched, and what each kind must be told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use babelfeed_actors::domain::{Audience, Language, REQUESTS, SourceName};
use babelfeed_actors::logic::filter::{Filter, Pattern, PatternError};
use babelfeed_actors::setup::SourceRules;
use config::{Value, ValueKind};

use super::{bluesky_account, read_name, required_path};
use crate::atproto::FeedAddress;
use crate::secret::Secret;
use crate::settings::reader::{
    Section, address, choice, duration, flag, language, shown, socket_address, some_text, texts,
    whole,
};
use crate::settings::x::{self, XSourceSettings};
use crate::sources::bluesky::Subject;
use crate::sources::x::Extent;

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
    /// An account of Bluesky, or a feed there.
    Bluesky {
        /// Which it is.
        subject: Subject,
        /// The network's view, or the server that keeps the account; without a slash at the end.
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

    /// What it reads, in words that stay the same as long as it does.
    pub fn subject(&self) -> String {
        match self {
            Self::Feed(FeedPlace::Path(path)) | Self::File(path) => path.display().to_string(),
            Self::Feed(FeedPlace::Url(url) | FeedPlace::Hub(url)) => without_scheme(url),
            // How far it was read is kept for each account.
            Self::X(_) => String::new(),
            Self::Mastodon {
                base_url, account, ..
            } => {
                let account = account.trim_start_matches('@').to_lowercase();
                format!("{account} {}", without_scheme(base_url).to_lowercase())
            }
            // Posts have the same ids whichever server shows them.
            Self::Bluesky {
                subject: Subject::Account(account),
                ..
            } => account.to_string(),
            Self::Bluesky {
                subject: Subject::Feed(feed),
                ..
            } => {
                let (kind, key) = (feed.kind.collection(), feed.key.as_str());
                format!("{} {kind} {key}", feed.account)
            }
        }
    }

    pub(in crate::settings) fn only_look(&mut self) {
        if let Self::X(x) = self {
            x.extent = Extent::Look;
        }
    }

    pub(in crate::settings) fn close_stream(&mut self) {
        match self {
            Self::Feed(_) | Self::File(_) => {}
            Self::X(x) => x.streams = false,
            Self::Mastodon { streams, .. } => *streams = false,
            Self::Bluesky { jetstream, .. } => *jetstream = None,
        }
    }
}

/// An address that stays the same where a server turns to `https`.
pub(in crate::settings) fn without_scheme(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare.trim_end_matches('/').to_owned()
}

/// Where posts on Bluesky are read by anybody.
const BLUESKY_VIEW: &str = "https://public.api.bsky.app";

/// The keys of every source.
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

#[derive(Clone, Copy)]
enum KindOfSource {
    Feed,
    File,
    X,
    Mastodon,
    Bluesky,
}

/// Reads every source.
pub(in crate::settings) fn read_sources(top: &Section<'_>) -> Vec<SourceSettings> {
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
        KindOfSource::Bluesky => (&["account", "feed", "base_url", "jetstream"], Some(0)),
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
    let subject = read_subject(section);
    let base_url = section.read("base_url", BLUESKY_VIEW.to_owned(), address);
    let jetstream = section.optional("jetstream", socket_address);
    Some(SourceKind::Bluesky {
        subject: subject?,
        base_url: base_url.trim_end_matches('/').to_owned(),
        jetstream: jetstream.map(|it| it.trim_end_matches('/').to_owned()),
    })
}

fn read_subject(section: &Section<'_>) -> Option<Subject> {
    if !section.has("feed") {
        let account = section.required(
            "account",
            "\"news.example.org\" (or `feed`)",
            bluesky_account,
        );
        return account.map(Subject::Account);
    }
    section.refuse("account", "stands beside `feed`, expected one of them");
    section.refuse(
        "jetstream",
        "tells of an account, expected none beside `feed`",
    );
    section.optional("feed", bluesky_feed).map(Subject::Feed)
}

fn bluesky_feed(value: &Value) -> Result<FeedAddress, String> {
    let address = some_text(value)?;
    FeedAddress::parse(&address).ok_or_else(|| {
        format!(
            "`{address}` is no feed, expected one like \
             `https://bsky.app/profile/ana.example.org/feed/boats` or `…/lists/…`, or its `at://`"
        )
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

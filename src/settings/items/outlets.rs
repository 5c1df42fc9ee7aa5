//! `[[outlet]]`: where is published, and what each kind must be told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{DayReset, Language, OutletName, REQUESTS};
use babelfeed_actors::logic::compose::{Link, Long, Quoted, Style};
use babelfeed_actors::logic::hashtags::Hashtags;
use babelfeed_actors::logic::policy::{Mentions, is_mention};
use babelfeed_actors::setup::{
    Hold, LaneLimits, Lapse, Lapsed, OnDelete, OnEdit, OutletRules, Same,
};
use config::{Value, ValueKind};

use super::{bluesky_account, read_limits, read_name, required_path};
use crate::atproto::{Account, Handle};
use crate::outlets::bluesky::MAX_LANGUAGES;
use crate::outlets::x::Quotes;
use crate::secret::Secret;
use crate::settings::chats;
use crate::settings::pace::paced;
use crate::settings::reader::{
    Section, address, choice, duration, flag, language, shown, some_text, text, texts, whole,
};
use crate::settings::x::{self, XOutletSettings};

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
        /// How long after it is ready the server publishes a post; none: at once.
        schedule: Option<Duration>,
        /// How long after an answer that tells nothing a post may still come out.
        quiet: Duration,
    },
    /// An account of Bluesky.
    Bluesky {
        /// Where it logs in, without a slash at the end.
        base_url: String,
        /// Its handle or its permanent name.
        account: Account,
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

/// The shortest time after which a server of Mastodon's publishes: five minutes by its clock, and
/// what a request takes.
const SOONEST: Duration = Duration::from_secs(6 * 60);
/// How long a server of Mastodon's may take for a post, where nothing is said.
const QUIET: Duration = Duration::from_secs(30);
/// What waits longer for earlier posts is forgotten rather than in order.
const LONGEST_IN_LINE: Duration = Duration::from_secs(24 * 60 * 60);
/// Where accounts of Bluesky log in, unless they have a server of their own.
const BLUESKY: &str = "https://bsky.social";

/// The most parts of one text, where nothing is said.
const MAX_PARTS: u32 = 25;

/// The keys of every outlet.
const OUTLET: [&str; 24] = [
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
    "in_order",
    "hold_for",
    "lapse",
    "long",
    "numbers",
    "max_parts",
    "link",
    "link_for",
    "attribution",
    "mark",
    "mentions",
    "mention_map",
    "hashtags",
];

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

/// Reads every outlet.
pub(in crate::settings) fn read_outlets(top: &Section<'_>) -> Vec<OutletSettings> {
    let mut names = BTreeSet::new();
    let sources: Vec<String> = top
        .list("source")
        .iter()
        .filter_map(|source| source.peek("name"))
        .collect();
    let sections = top.list("outlet");
    let outlets = sections.iter().filter_map(|section| {
        let outlet = read_outlet(section, &sources, &mut names)?;
        Some((section, outlet))
    });
    let outlets: Vec<(&Section<'_>, OutletSettings)> = outlets.collect();
    refuse_shared_keys(&outlets);
    outlets.into_iter().map(|(_, outlet)| outlet).collect()
}

/// Refuses two languages on one account of Bluesky where there are so many that both of a post may
/// get the same key.
fn refuse_shared_keys(outlets: &[(&Section<'_>, OutletSettings)]) {
    let languages = outlets.iter().map(|(_, outlet)| &outlet.language);
    if languages.collect::<BTreeSet<_>>().len() <= MAX_LANGUAGES {
        return;
    }
    for (place, (section, outlet)) in outlets.iter().enumerate() {
        let OutletKind::Bluesky { account, .. } = &outlet.kind else {
            continue;
        };
        let is_shared = outlets[..place].iter().any(|(_, earlier)| {
            let is_same =
                matches!(&earlier.kind, OutletKind::Bluesky { account: it, .. } if it == account);
            is_same && earlier.language != outlet.language
        });
        if is_shared {
            section.mistake(
                "account",
                format!(
                    "is that of an earlier outlet of another language, expected one of its own \
                     where outlets have more than {MAX_LANGUAGES} languages"
                ),
            );
        }
    }
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
        KindOfOutlet::Mastodon => &[
            "base_url",
            "token_env",
            "visibility",
            "account",
            "schedule",
            "quiet",
        ],
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
    let mut style = read_style(section, sources, kind);
    if let Some(OutletKind::X(x)) = &adapter
        && x.quotes == Quotes::Never
    {
        style.quoted = Quoted::LeftOut;
    }
    let rules = read_rules(section, kind, style);
    let kind = adapter?;
    Some(OutletSettings {
        name: OutletName::from(name?.as_str()),
        limits: paced(&kind, limits),
        kind,
        language: language?,
        from,
        hold,
        rules,
    })
}

fn read_mastodon(section: &Section<'_>) -> Option<OutletKind> {
    let base_url = section.required("base_url", "\"https://mastodon.example\"", address);
    let token = section.required_secret("token_env", "\"MASTODON_TOKEN\"");
    let visibility = section.optional("visibility", choice(&Visibility::NAMES));
    let account = section
        .optional("account", text)
        .filter(|it| !it.is_empty());
    Some(OutletKind::Mastodon {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        token: token?,
        visibility,
        account,
        schedule: section.optional("schedule", duration(SOONEST)),
        quiet: section.read("quiet", QUIET, duration(Duration::ZERO)),
    })
}

fn read_rules(section: &Section<'_>, kind: KindOfOutlet, style: Style) -> OutletRules {
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
        in_order: section.read("in_order", usual.in_order, wait_in_line),
        lapse: read_lapse(section),
        style: Arc::new(style),
    }
}

/// How long what is ready waits for what was taken before it.
fn wait_in_line(value: &Value) -> Result<Duration, String> {
    let wait = duration(Duration::ZERO)(value)?;
    if wait > LONGEST_IN_LINE {
        return Err(format!(
            "{} is too long, expected at most a day",
            shown(value)
        ));
    }
    Ok(wait)
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
    let tags = [
        ("keep", Hashtags::Keep),
        ("translate", Hashtags::Translate),
        ("both", Hashtags::Both),
    ];
    let line = |key| {
        let line = section.optional(key, text).filter(|line| !line.is_empty());
        line.map(Into::into)
    };
    Style {
        long: section.read("long", Long::default(), choice(&longs)),
        numbers: section.read("numbers", false, flag),
        max_parts: Some(section.read("max_parts", MAX_PARTS, whole(0)) as usize)
            .filter(|most| *most > 0),
        link: read_link(section, sources),
        attribution: line("attribution"),
        mark: line("mark"),
        mentions: read_mentions(section, kind),
        hashtags: section.read("hashtags", Hashtags::default(), choice(&tags)),
        quoted: Quoted::default(),
    }
}

fn read_mentions(section: &Section<'_>, kind: KindOfOutlet) -> Mentions {
    let words = [
        ("plain", Mentioned::Plain),
        ("map", Mentioned::Map),
        ("keep", Mentioned::Keep),
    ];
    let wanted = section.read("mentions", kind.usual_mentions(), choice(&words));
    if !matches!(wanted, Mentioned::Map) {
        section.refuse("mention_map", "belongs to `mentions = \"map\"`");
    }
    match wanted {
        Mentioned::Plain => Mentions::Plain,
        Mentioned::Keep => Mentions::Alive,
        Mentioned::Map => {
            let example = "{ \"@ana@social.example\" = \"@ana.bsky.social\" }";
            let accounts = section.required("mention_map", example, |map| accounts(map, kind));
            Mentions::Mapped(Arc::new(accounts.unwrap_or_default()))
        }
    }
}

/// Accounts, with what they are called where this outlet publishes.
fn accounts(value: &Value, kind: KindOfOutlet) -> Result<BTreeMap<String, String>, String> {
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
        let is_handle = Handle::parse(there.trim_start_matches('@')).is_some();
        if matches!(kind, KindOfOutlet::Bluesky) && !is_handle {
            return Err(format!(
                "`{there}` is no account of Bluesky, expected one like `@ana.bsky.social`"
            ));
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
    let account = section.required("account", "\"news.example.org\"", bluesky_account);
    let password = section.required_secret("password_env", "\"BLUESKY_PASSWORD\"");
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

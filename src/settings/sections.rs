//! The plain sections: their keys, their defaults and what each may be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::logic::checks::Checks;
use babelfeed_actors::logic::glossary::Glossary;
use babelfeed_actors::logic::routing::By;
use babelfeed_actors::logic::spans::Numbers;
use config::Value;

use super::reader::{Section, address, choice, duration, flag, kind, size, text, whole};
use super::{Mode, glossary, is_socket_path};
use crate::cli::options::GlobalOptions;
use crate::secret::Secret;

/// `[service]`: the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Where everything of the service lies.
    pub data_dir: PathBuf,
    /// Where it is heard.
    pub socket: PathBuf,
    /// How the log is written.
    pub log_format: LogFormat,
    /// How often the metrics are told.
    pub metrics_every: Duration,
    /// How long calls in flight get when it stops.
    pub drain_timeout: Duration,
    /// Whether the metrics are told and kept in a file at all.
    pub monitoring: bool,
    /// The operation that is followed in the log: (service, operation).
    pub follow: Option<(String, String)>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// `[http]`: control over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where it listens; none: not at all.
    pub listen: Option<SocketAddr>,
    /// What every caller must bear; there whenever `listen` is.
    pub token: Option<Secret>,
    /// How the world reaches `listen`, without a slash at the end; there whenever a source has a
    /// hub.
    pub public_url: Option<String>,
}

/// `[store]`: where tasks are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// In what.
    pub kind: StoreKind,
    /// In which file.
    pub path: PathBuf,
    /// How long a task is kept after it has ended.
    pub keep: Duration,
}

/// In what tasks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file of this machine.
    Sqlite,
}

/// `[cache]`: where translations are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// In what.
    pub kind: CacheKind,
    /// The most translations.
    pub max_entries: u64,
    /// The most bytes.
    pub max_bytes: u64,
    /// How long a translation is known.
    pub ttl: Duration,
    /// The texts that are translated beforehand.
    pub warm_file: Option<PathBuf>,
}

/// In what translations are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// This process and its store.
    Embedded,
}

/// `[translation]`: how texts are translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslationSettings {
    /// Calls in flight, all lanes together; none: as many as the lanes allow.
    pub concurrency: Option<usize>,
    /// Connections to each provider.
    pub connections: usize,
    /// Translator actors; none: one for every two cores.
    pub translators: Option<usize>,
    /// Calls made for one task before it fails.
    pub max_attempts: u32,
    /// How long one call may take, body included.
    pub timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a resolved name is believed.
    pub dns_ttl: Duration,
    /// The terms and the tone wanted; empty without a file.
    pub glossary: Arc<Glossary>,
    /// What becomes of numbers with units and prices.
    pub numbers: Numbers,
}

/// `[batching]`: how texts share calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchingSettings {
    /// The most texts in one call.
    pub max_batch_size: usize,
    /// How long bulk work waits for company when its lane is short of permits.
    pub batch_timeout: Duration,
    /// The most texts in one job of a batch interface.
    pub max_job_size: usize,
    /// How long texts are gathered for a job that is not full.
    pub job_timeout: Duration,
    /// How often a job is looked at.
    pub job_poll: Duration,
}

/// `[routing]`: which provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingSettings {
    /// Which first.
    pub by: By,
    /// Whether a slow call is made a second time elsewhere.
    pub hedge: bool,
}

/// `[publishing]`: how translations are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishingSettings {
    /// Outlets that are sent to at once.
    pub concurrency: usize,
    /// The most bytes of a medium that is downloaded to be attached.
    pub max_media: usize,
    /// Whether media may come from this machine and from private networks.
    pub media_from_private: bool,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

impl ServiceSettings {
    pub(super) fn read(top: &Section<'_>, options: &GlobalOptions) -> Self {
        let section = top.section(
            "service",
            &[
                "data_dir",
                "socket",
                "log_format",
                "metrics_every",
                "drain_timeout",
                "monitoring",
                "follow",
            ],
        );
        let data_dir = section
            .path_at("data_dir")
            .unwrap_or_else(|| section.path("data"));
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let second = Duration::from_secs(1);
        Self {
            socket: read_socket(&section, &data_dir, options),
            log_format: section.read("log_format", LogFormat::Text, choice(&formats)),
            metrics_every: section.read("metrics_every", 60 * second, duration(100 * MILLISECOND)),
            drain_timeout: section.read("drain_timeout", 30 * second, duration(Duration::ZERO)),
            monitoring: section.read("monitoring", true, flag),
            follow: section.optional("follow", read_follow).flatten(),
            data_dir,
        }
    }
}

/// An operation to be followed; empty for none.
fn read_follow(value: &Value) -> Result<Option<(String, String)>, String> {
    let written = text(value)?;
    if written.is_empty() {
        return Ok(None);
    }
    match written.split_once('/') {
        Some((service, operation)) if !service.is_empty() && !operation.is_empty() => {
            Ok(Some((service.to_owned(), operation.to_owned())))
        }
        _ => Err(format!(
            "`{written}` names no operation, expected something like \"groq/translate\""
        )),
    }
}

fn read_socket(section: &Section<'_>, data_dir: &Path, options: &GlobalOptions) -> PathBuf {
    let socket = options
        .socket
        .clone()
        .or_else(|| section.path_at("socket"))
        .unwrap_or_else(|| data_dir.join("babelfeed.sock"));
    if !is_socket_path(&socket) {
        section.mistake(
            "socket",
            format!(
                "{} has {} bytes, expected a path of at most 107",
                socket.display(),
                socket.as_os_str().len()
            ),
        );
    }
    socket
}

impl HttpSettings {
    pub(super) fn read(top: &Section<'_>) -> Self {
        let section = top.section("http", &["listen", "token_env", "public_url"]);
        let listen = section
            .optional("listen", |value| match text(value)?.as_str() {
                "" => Ok(None),
                written => written.parse().map(Some).map_err(|_| {
                    format!("`{written}` is no address, expected something like \"127.0.0.1:8080\"")
                }),
            })
            .flatten();
        let token = section.secret_in_variable("token_env");
        let is_named = section.has("token_env") && section.peek("token_env").as_deref() != Some("");
        if listen.is_some() && !is_named {
            section.mistake(
                "token_env",
                "is missing, expected the name of a variable, because `listen` is set".to_owned(),
            );
        }
        let public_url = section
            .optional("public_url", |value| match text(value)?.as_str() {
                "" => Ok(None),
                _ => address(value).map(Some),
            })
            .flatten();
        let mut sources = top.list("source").into_iter();
        if sources.any(|source| source.is_on("websub"))
            && (public_url.is_none() || listen.is_none())
        {
            section.mistake(
                "public_url",
                "stands not beside `listen`, expected both, because a source has `websub = true`"
                    .to_owned(),
            );
        }
        Self {
            listen,
            token,
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        }
    }
}

impl StoreSettings {
    pub(super) fn read(top: &Section<'_>, data_dir: &Path) -> Self {
        let section = top.section("store", &["kind", "path", "keep", "url_env", "pool"]);
        let kinds = [("sqlite", StoreKind::Sqlite)];
        let kind = section.optional("kind", kind(&kinds, &["postgres"]));
        // With the kind refused, the keys that belong to it are no mistakes of their own.
        if kind.is_some() || !section.has("kind") {
            for key in ["url_env", "pool"] {
                section.refuse(key, "belongs to the kind `postgres`");
            }
        }
        Self {
            kind: kind.unwrap_or(StoreKind::Sqlite),
            path: section
                .path_at("path")
                .unwrap_or_else(|| data_dir.join("babelfeed.db")),
            keep: section.read("keep", 720 * HOUR, duration(HOUR)),
        }
    }
}

impl CacheSettings {
    pub(super) fn read(top: &Section<'_>, mode: Mode) -> Self {
        let section = top.section(
            "cache",
            &[
                "kind",
                "max_entries",
                "max_bytes",
                "ttl",
                "warm_file",
                "url_env",
            ],
        );
        let kinds = [("embedded", CacheKind::Embedded)];
        let kind = section.optional("kind", kind(&kinds, &["redis"]));
        if kind.is_some() || !section.has("kind") {
            section.refuse("url_env", "belongs to the kind `redis`");
        }
        let (_, _, entries) = mode.defaults();
        Self {
            kind: kind.unwrap_or(CacheKind::Embedded),
            max_entries: section.read("max_entries", entries, whole(0)).into(),
            max_bytes: section.read("max_bytes", 64 << 20, size),
            ttl: section.read(
                "ttl",
                Duration::from_secs(168 * 3_600),
                duration(MILLISECOND),
            ),
            warm_file: section.path_at("warm_file"),
        }
    }
}

impl TranslationSettings {
    pub(super) fn read(top: &Section<'_>, mode: Mode) -> Self {
        let section = top.section(
            "translation",
            &[
                "concurrency",
                "connections",
                "translators",
                "max_attempts",
                "timeout",
                "keep_alive",
                "dns_ttl",
                "glossary",
                "keep_numbers",
            ],
        );
        let (concurrency, connections, _) = mode.defaults();
        let minute = Duration::from_secs(60);
        Self {
            concurrency: positive(section.read("concurrency", concurrency, whole(0))),
            connections: section.read("connections", connections, whole(1)) as usize,
            translators: positive(section.read("translators", 0, whole(0))),
            max_attempts: section.read("max_attempts", 5, whole(1)),
            timeout: section.read("timeout", minute, duration(MILLISECOND)),
            keep_alive: section.read("keep_alive", minute, duration(MILLISECOND)),
            dns_ttl: section.read("dns_ttl", 5 * minute, duration(Duration::ZERO)),
            glossary: read_glossary(&section),
            numbers: if section.read("keep_numbers", false, flag) {
                Numbers::Kept
            } else {
                Numbers::Translated
            },
        }
    }
}

/// What the file of the glossary says; whatever is wrong with it is noted with its own lines.
fn read_glossary(section: &Section<'_>) -> Arc<Glossary> {
    let Some(path) = section.path_at("glossary") else {
        return Arc::default();
    };
    match glossary::load(&path) {
        Ok(glossary) => Arc::new(glossary),
        Err(glossary::LoadError::Unreadable(error)) => {
            section.mistake(
                "glossary",
                format!("cannot read {}: {error}", path.display()),
            );
            Arc::default()
        }
        Err(glossary::LoadError::Mistaken(mistakes)) => {
            section.note(mistakes);
            Arc::default()
        }
    }
}

impl BatchingSettings {
    pub(super) fn read(top: &Section<'_>) -> Self {
        let section = top.section(
            "batching",
            &[
                "max_batch_size",
                "batch_timeout",
                "max_job_size",
                "job_timeout",
                "job_poll",
            ],
        );
        let minute = Duration::from_secs(60);
        Self {
            max_batch_size: section.read("max_batch_size", 10, whole(1)) as usize,
            batch_timeout: section.read(
                "batch_timeout",
                50 * MILLISECOND,
                duration(Duration::ZERO),
            ),
            max_job_size: section.read("max_job_size", 1_000, whole(1)) as usize,
            job_timeout: section.read("job_timeout", 5 * minute, duration(Duration::ZERO)),
            job_poll: section.read("job_poll", minute, duration(100 * MILLISECOND)),
        }
    }
}

impl RoutingSettings {
    pub(super) fn read(top: &Section<'_>) -> Self {
        let section = top.section("routing", &["by", "hedge"]);
        let routes = [
            ("order", By::Order),
            ("price", By::Price),
            ("speed", By::Speed),
            ("share", By::Share),
        ];
        Self {
            by: section.read("by", By::Order, choice(&routes)),
            hedge: section.read("hedge", false, flag),
        }
    }
}

/// `[checks]`: what a translation must pass.
pub(super) fn read_checks(top: &Section<'_>) -> Checks {
    let section = top.section("checks", &["language", "echo", "length", "notes"]);
    Checks {
        language: section.read("language", true, flag),
        echo: section.read("echo", true, flag),
        length: section.read("length", true, flag),
        notes: section.read("notes", true, flag),
    }
}

impl PublishingSettings {
    pub(super) fn read(top: &Section<'_>) -> Self {
        let section = top.section(
            "publishing",
            &["concurrency", "max_media", "media_from_private"],
        );
        Self {
            concurrency: section.read("concurrency", 5, whole(1)) as usize,
            max_media: section.read("max_media", 16 << 20, size) as usize,
            media_from_private: section.read("media_from_private", false, flag),
        }
    }
}

fn positive(number: u32) -> Option<usize> {
    (number > 0).then_some(number as usize)
}

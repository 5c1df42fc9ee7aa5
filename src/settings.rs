//! What `Settings.toml`, the environment and the command line say, read once and typed.

mod accounts;
mod chats;
mod glossary;
mod items;
mod mistakes;
mod networks;
mod pace;
mod reader;
mod sections;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod x;

pub use items::{
    FeedPlace, OutletKind, OutletSettings, ProviderKind, ProviderSettings, SourceKind,
    SourceSettings, Visibility,
};
pub use mistakes::{Mistake, Mistakes};
pub use sections::{
    BatchingSettings, CacheKind, CacheSettings, HttpSettings, LogFormat, PublishingSettings,
    RoutingSettings, ServiceSettings, StoreKind, StoreSettings, TranslationSettings,
};
pub use units::parse_duration;
pub use x::{XAccess, XCredential, XOutletSettings, XSourceSettings};

use std::path::{Path, PathBuf};

use babelfeed_actors::logic::checks::Checks;

use crate::cli::options::GlobalOptions;
use crate::secret::Secret;
use reader::{Reader, choice};
use sections::read_checks;
use tree::{Environment, Tree};

/// The most bytes that the path of a Unix domain socket may have, as the system keeps it.
const MAX_SOCKET_PATH: usize = 107;

/// The keys at the top, most of which are sections.
const TOP: [&str; 13] = [
    "mode",
    "service",
    "http",
    "store",
    "cache",
    "translation",
    "batching",
    "routing",
    "checks",
    "publishing",
    "source",
    "provider",
    "outlet",
];

/// All settings, each known to make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The file that was read; none where the defaults are built in.
    pub file: Option<PathBuf>,
    /// What chose three of the defaults.
    pub mode: Mode,
    /// The process.
    pub service: ServiceSettings,
    /// Control over TCP.
    pub http: HttpSettings,
    /// Where tasks are kept.
    pub store: StoreSettings,
    /// Where translations are known.
    pub cache: CacheSettings,
    /// How texts are translated.
    pub translation: TranslationSettings,
    /// How texts share calls.
    pub batching: BatchingSettings,
    /// Which provider is asked.
    pub routing: RoutingSettings,
    /// What a translation must pass.
    pub checks: Checks,
    /// How translations are published.
    pub publishing: PublishingSettings,
    /// What is watched; names are unique.
    pub sources: Vec<SourceSettings>,
    /// What translates; names are unique.
    pub providers: Vec<ProviderSettings>,
    /// Where is published; names are unique.
    pub outlets: Vec<OutletSettings>,
}

/// What the defaults are chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Many calls at once.
    Speed,
    /// Neither.
    #[default]
    Balanced,
    /// Little memory.
    Memory,
}

impl Mode {
    /// The modes with their names.
    const NAMES: [(&'static str, Self); 3] = [
        ("speed", Self::Speed),
        ("balanced", Self::Balanced),
        ("memory", Self::Memory),
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Balanced => "balanced",
            Self::Memory => "memory",
        }
    }

    /// Calls in flight, connections, translations known.
    pub(self) const fn defaults(self) -> (u32, u32, u32) {
        match self {
            Self::Speed => (20, 200, 20_000),
            Self::Balanced => (10, 100, 10_000),
            Self::Memory => (5, 50, 500),
        }
    }
}

impl Settings {
    /// Reads the settings file, the environment and the options.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub fn load(options: &GlobalOptions) -> Result<Self, Mistakes> {
        let environment = environment();
        let tree = Tree::load(options, &environment)?;
        Self::read(&tree, options, &environment)
    }

    /// Leaves of the sources what polls alone: no stream is opened, and no hub is to call, since a
    /// process that soon ends would keep both from one that stays.
    pub fn only_poll(&mut self) {
        self.http.public_url = None;
        for source in &mut self.sources {
            source.kind.close_stream();
        }
    }

    /// Lets the sources that charge for what they show be looked at alone, and not read as far back
    /// as is wanted.
    pub fn only_look(&mut self) {
        for source in &mut self.sources {
            source.kind.only_look();
        }
    }

    fn read(
        tree: &Tree,
        options: &GlobalOptions,
        environment: &Environment,
    ) -> Result<Self, Mistakes> {
        let reader = Reader::new(tree, environment);
        let settings = {
            let top = reader.top(&TOP);
            let mode = top.read("mode", Mode::default(), choice(&Mode::NAMES));
            let service = ServiceSettings::read(&top, options);
            Self {
                file: tree.file.clone(),
                mode,
                http: HttpSettings::read(&top),
                store: StoreSettings::read(&top, &service.data_dir),
                cache: CacheSettings::read(&top, mode),
                translation: TranslationSettings::read(&top, mode),
                batching: BatchingSettings::read(&top),
                routing: RoutingSettings::read(&top),
                checks: read_checks(&top),
                publishing: PublishingSettings::read(&top),
                sources: items::read_sources(&top),
                providers: items::read_providers(&top),
                outlets: items::read_outlets(&top),
                service,
            }
        };
        reader.finish()?;
        Ok(settings)
    }
}

/// Where the socket of the service is that these options mean; reads no more than that.
///
/// # Errors
/// When the settings cannot be read, or say nothing sensible of the service.
pub fn socket_path(options: &GlobalOptions) -> Result<PathBuf, Mistakes> {
    let environment = environment();
    let tree = Tree::load(options, &environment)?;
    let reader = Reader::new(&tree, &environment);
    let service = ServiceSettings::read(&reader.top(&TOP), options);
    reader.finish()?;
    Ok(service.socket)
}

/// Every variable whose name and value are text.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Whether a socket can have that path.
fn is_socket_path(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_SOCKET_PATH
}

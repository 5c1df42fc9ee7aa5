//! Makes the adapters that the settings name, and hands them over as the system wants them.

mod outlets;
mod providers;
mod sources;

use std::rc::Rc;
use std::sync::Arc;

use actix_rt::{Arbiter, ArbiterHandle};
use anyhow::Context as _;
use babelfeed_actors::logic::checks::Checks;
use babelfeed_actors::ports::Clock;
use babelfeed_actors::setup::{Pauses, Setup, SystemConfig};
use log::warn;

use super::counted::Counts;
use super::world::SystemChance;
use crate::http::{HttpConfig, Uri};
use crate::settings::{Settings, XAccess, XCredential};
use crate::sources::websub::Callbacks;
use crate::sources::x::Apps;
use crate::stores::SqliteStore;
use crate::x::{ApiConfig, Identity, Renewal};
pub(super) use outlets::outlet;
use outlets::outlet_setup;
pub(super) use providers::provider;
use providers::{provider_setup, tell_of_shared_lanes};
pub(super) use sources::source;
use sources::source_setup;

/// A system that can be started, with the threads of its translators.
pub(super) struct Prepared {
    /// What the system is made of.
    pub(super) setup: Setup,
    /// The threads.
    pub(super) arbiters: Vec<Arbiter>,
    /// What is asked of each provider, in the order of the settings.
    pub(super) counts: Vec<Arc<Counts>>,
    /// Where hubs tell of news, where that is wanted.
    pub(super) callbacks: Option<Callbacks>,
    /// What the system writes through.
    pub(super) store: SqliteStore,
}

/// Makes everything that these settings name; nothing is read, called or written yet.
///
/// # Errors
/// When an address cannot be one.
pub(super) fn prepare(
    settings: &Settings,
    store: &SqliteStore,
    clock: &Arc<dyn Clock>,
    escalate: Rc<dyn Fn(&'static str)>,
) -> anyhow::Result<Prepared> {
    warn_of_idle(settings);
    tell_of_shared_lanes(settings);
    let n_arbiters = settings
        .translation
        .translators
        .unwrap_or_else(n_translators);
    let counts: Vec<Arc<Counts>> = settings.providers.iter().map(|_| Arc::default()).collect();
    let callbacks = callbacks(settings);
    let sources = settings.sources.iter();
    let apps = Apps::default();
    let http = http_config(settings);
    let sources = sources.map(|it| source_setup(it, http.clone(), callbacks.as_ref(), &apps));
    let providers = settings.providers.iter().zip(&counts);
    let providers = providers.map(|(it, counts)| provider_setup(it, settings, n_arbiters, counts));
    let outlets = settings.outlets.iter().map(|it| outlet_setup(it, settings));
    let (sources, providers, outlets) = (
        sources.collect::<anyhow::Result<_>>()?,
        providers.collect::<anyhow::Result<_>>()?,
        outlets.collect::<anyhow::Result<_>>()?,
    );
    // One translator lives on this arbiter, for texts that somebody waits for.
    let arbiters: Vec<Arbiter> = (1..n_arbiters).map(|_| Arbiter::new()).collect();
    let store = store.for_system();
    let setup = Setup {
        clock: Arc::clone(clock),
        chance: Arc::new(SystemChance),
        store: Rc::new(store.clone()),
        memory: Rc::new(store.clone()),
        ledger: Rc::new(store.clone()),
        quotas: Vec::new(),
        pauses: Pauses::default(),
        sources,
        providers,
        outlets,
        arbiters: arbiters
            .iter()
            .map(Arbiter::handle)
            .collect::<Vec<ArbiterHandle>>(),
        config: config(settings),
        escalate,
    };
    Ok(Prepared {
        setup,
        arbiters,
        counts,
        callbacks,
        store,
    })
}

/// Where hubs tell of news, where the settings name a public address.
fn callbacks(settings: &Settings) -> Option<Callbacks> {
    let public_url = settings.http.public_url.as_deref()?;
    let file = settings.service.data_dir.join("websub.json");
    Some(Callbacks::new(public_url, file))
}

/// How many translators there are where the settings name no number: one for every two cores.
///
/// A call that is made on another thread than the actors' costs several messages between the two
/// and as many wake-ups, and the other cores have the store and the sockets to serve.
fn n_translators() -> usize {
    std::thread::available_parallelism().map_or(1, |n_cores| n_cores.get().div_ceil(2))
}

fn config(settings: &Settings) -> SystemConfig {
    SystemConfig {
        by: settings.routing.by,
        hedge: settings.routing.hedge,
        concurrency: settings.translation.concurrency,
        max_attempts: settings.translation.max_attempts,
        timeout: settings.translation.timeout,
        max_batch_size: settings.batching.max_batch_size,
        batch_timeout: settings.batching.batch_timeout,
        max_job_size: settings.batching.max_job_size,
        job_timeout: settings.batching.job_timeout,
        job_poll: settings.batching.job_poll,
        cache_entries: settings.cache.max_entries,
        cache_bytes: settings.cache.max_bytes,
        cache_ttl: settings.cache.ttl,
        publishing_concurrency: settings.publishing.concurrency,
        glossary: Arc::clone(&settings.translation.glossary),
        numbers: settings.translation.numbers,
        checks: settings.checks,
    }
}

fn http_config(settings: &Settings) -> HttpConfig {
    HttpConfig {
        keep_alive: settings.translation.keep_alive,
        dns_ttl: settings.translation.dns_ttl,
        ..HttpConfig::default()
    }
}

/// Says in the log what is written in the settings and makes no difference in this build.
pub(super) fn warn_of_idle(settings: &Settings) {
    for key in idle(settings) {
        warn!(key = key; "setting makes no difference in this build");
    }
}

/// What is written in the settings and makes no difference in this build.
pub(super) fn idle(settings: &Settings) -> Vec<&'static str> {
    [(
        "outlet.hold = \"doubtful\"",
        settings.translation.glossary.is_empty()
            && settings.checks == Checks::NONE
            && settings
                .outlets
                .iter()
                .any(|it| it.hold == babelfeed_actors::setup::Hold::Doubtful),
    )]
    .into_iter()
    .filter_map(|(key, is_idle)| is_idle.then_some(key))
    .collect()
}

/// Where and as whom X is called.
fn x_api(access: &XAccess, settings: &Settings) -> ApiConfig {
    let identity = match &access.credential {
        XCredential::Keys(keys) => Identity::Keys(keys.clone()),
        XCredential::App(token) => Identity::App(token.clone()),
        XCredential::Renewed {
            client_id,
            client_secret,
            refresh_token,
        } => Identity::Renewed(Renewal {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            refresh_token: refresh_token.clone(),
            folder: settings.service.data_dir.clone(),
        }),
    };
    ApiConfig {
        base_url: access.base_url.clone(),
        identity,
        spelling: access.spelling,
        http: http_config(settings),
        timeout: settings.translation.timeout,
    }
}

fn uri(text: &str, name: &str) -> anyhow::Result<Uri> {
    text.parse()
        .with_context(|| format!("the address of `{name}` cannot be called"))
}

#[cfg(test)]
mod tests {
    use super::providers::provider_connections;
    use super::*;
    use crate::cli::options::GlobalOptions;

    fn settings(routing: &str) -> Settings {
        let provider = |name: &str, price: f64| {
            format!(
                "[[provider]]\nname = \"{name}\"\nkind = \"libretranslate\"\n\
                 base_url = \"http://{name}.example\"\nprice = {{ input = {price} }}\n"
            )
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Settings.toml");
        let text = [
            routing,
            &provider("dear", 3.0),
            &provider("cheap", 0.5),
            &provider("middle", 1.0),
        ]
        .concat();
        std::fs::write(&file, text).expect("written");
        let options = GlobalOptions {
            settings: Some(file),
            ..GlobalOptions::default()
        };
        Settings::load(&options).expect("valid")
    }

    #[test]
    fn what_makes_no_difference_is_named() {
        assert_eq!(idle(&settings("")), Vec::<&str>::new());
        let text = "[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\n\
                    language = \"es\"\nhold = \"doubtful\"\n";
        assert_eq!(idle(&settings(text)), Vec::<&str>::new());
        let unchecked = "[checks]\nlanguage = false\necho = false\nlength = false\nnotes = false\n";
        let text = format!("{unchecked}{text}");
        assert_eq!(idle(&settings(&text)), ["outlet.hold = \"doubtful\""]);
    }

    #[test]
    fn connections_are_divided_over_the_translators() {
        let settings = settings("");
        assert_eq!(provider_connections(&settings, 3), 33);
        assert_eq!(provider_connections(&settings, 101), 1);
        assert_eq!(provider_connections(&settings, 1), 100);
    }
}

//! The composition root: puts settings, adapters, actors and control together.

mod build;
mod check;
mod counted;
mod forecast;
mod live;
mod lock;
mod once;
mod prune;
mod rehearsal;
mod reload;
mod run;
pub(crate) mod signals;
#[cfg(test)]
mod tests;
mod warm;
mod watchdog;
mod world;

pub use check::check;
pub use once::once;
pub use run::run;
pub use world::{SystemChance, SystemClock};

use babelfeed_actors::ports::StoreError;
use babelfeed_actors::setup::Setup;
use babelfeed_actors::system::Handles;
use log::error;

use crate::cli::options::{Exit, ExitError, GlobalOptions};
use crate::settings::{Settings, StoreSettings};
use crate::stores::{SqliteConfig, SqliteStore};

/// Starts the actors, and tells where they are heard.
pub type Start = fn(Setup) -> Handles;

/// The settings, or the error that ends the program with the code for bad ones.
fn load(options: &GlobalOptions) -> Result<Settings, ExitError> {
    Settings::load(options).map_err(|mistakes| ExitError::usage(mistakes.to_string()))
}

/// Opens the store, whose folder is made if it is not there.
fn open_store(settings: &StoreSettings) -> anyhow::Result<SqliteStore> {
    if let Some(folder) = settings.path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let config = SqliteConfig {
        on_fall: fallen,
        ..SqliteConfig::new(&settings.path)
    };
    SqliteStore::open(&config)
}

/// Closes the store; what was acknowledged is durable whatever comes of it.
async fn close_store(store: &SqliteStore) {
    if let Err(cause) = store.close().await {
        let cause: StoreError = cause;
        error!(cause:% = cause; "store not closed in order");
    }
}

/// Ends the process because one of its parts fell too often.
fn escalate(actor: &'static str) {
    error!(actor = actor; "fell too often, the process ends");
    std::process::exit(Exit::Internal.code().into());
}

/// Ends the process because a thread of the store fell: nothing can be written or read any more.
fn fallen(thread: &'static str) {
    error!(thread = thread; "fell, the process ends");
    std::process::exit(Exit::Internal.code().into());
}

/// Ends the process because an arbiter does not turn.
fn bite(arbiter: &str) {
    error!(arbiter = arbiter; "does not turn, the process ends");
    std::process::exit(Exit::Internal.code().into());
}

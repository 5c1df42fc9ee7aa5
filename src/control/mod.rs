//! The local socket and its TCP twin: what people and programs ask of the running service.

mod app;
mod body;
mod busy_poll;
mod cache;
mod callbacks;
mod client;
mod events;
mod figures;
mod gather;
mod health;
mod lines;
mod operations;
mod problem;
mod publications;
mod requests;
mod server;
mod socket;
mod status;
mod submission;
mod tasks;
#[cfg(test)]
mod tests;
mod translate;
mod waiters;
pub mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_rt::ArbiterHandle;
use babelfeed_actors::domain::{Lane, Language, Moment, ProviderName, REQUESTS};
use babelfeed_actors::ports::Clock;
use babelfeed_actors::system::Handles;
use tokio::sync::{mpsc, oneshot};

pub use figures::metrics;
pub use server::{Running, serve};

use crate::sources::websub::Callbacks;
use crate::telemetry::process::Process;

/// What control needs to answer.
pub struct Control {
    /// The actors.
    pub handles: Handles,
    /// Where translations of requests may be published.
    pub outlets: Vec<OutletRoute>,
    /// The providers, with the lane of each; those of one account and model share one.
    pub lanes: Vec<(ProviderName, Lane)>,
    /// Where orders go that are not the actors' business.
    pub commands: mpsc::Sender<Command>,
    /// The program's version.
    pub version: &'static str,
    /// When the service started.
    pub started: Moment,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What memory and processor time are used.
    pub process: Process,
    /// What a client must bear on TCP.
    pub token: Option<BearerToken>,
    /// Where hubs tell of news; none: no hub is expected.
    pub callbacks: Option<Callbacks>,
    /// Hears of each thread that serves, so that somebody can look after it.
    pub watch: Arc<dyn Fn(ArbiterHandle) + Send + Sync>,
}

/// What decides whether an outlet takes the translation of a request.
#[derive(Clone, Debug)]
pub struct OutletRoute {
    /// The language that it receives.
    pub language: Language,
    /// The sources that it takes, `requests` among them; none: all.
    pub from: Option<Vec<Arc<str>>>,
}

impl OutletRoute {
    /// Whether the outlet receives translations of requests into that language.
    pub fn takes(&self, target: &Language) -> bool {
        let is_open = |from: &Vec<Arc<str>>| from.iter().any(|name| &**name == REQUESTS);
        &self.language == target && self.from.as_ref().is_none_or(is_open)
    }
}

/// An order to the service itself.
#[derive(Debug)]
pub enum Command {
    /// Read the settings again; answered with why they do not come into force, if so.
    Reload(oneshot::Sender<Result<(), NotReloaded>>),
    /// Keep what a person has paused now for the next start; answered with why it was not kept, if
    /// so.
    KeepPauses(oneshot::Sender<Result<(), String>>),
    /// Stop; answered when the order was understood, before anything ends.
    Stop(oneshot::Sender<()>),
}

/// Why the settings that were read again do not come into force, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReloaded {
    /// Something is wrong with them, or forbids it.
    Refused(String),
    /// A part of the service did not say in time what is paused in it.
    Unanswered(String),
}

/// The secret that a client on TCP must know.
#[derive(Clone)]
pub struct BearerToken(Arc<str>);

impl BearerToken {
    /// The secret; none for an empty text.
    pub fn new(secret: &str) -> Option<Self> {
        (!secret.is_empty()).then(|| Self(secret.into()))
    }

    /// The secret itself.
    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(hidden)")
    }
}

/// Where control is served.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The path of the Unix socket, at most 107 bytes.
    pub socket: PathBuf,
    /// The TCP address, if any.
    pub tcp: Option<SocketAddr>,
    /// The threads that serve each of the two.
    pub workers: usize,
}

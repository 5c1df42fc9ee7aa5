//! What the metrics hear.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::logic::checks::Fault;

/// Tells that something was done; every actor says it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Record {
    /// Which operation of which service.
    pub operation: Operation,
    /// How long it took.
    pub took: Duration,
    /// Whether it went wrong.
    pub is_error: bool,
}

impl Record {
    /// Tells that a translation failed a check.
    pub fn of_fault(fault: &Fault) -> Self {
        Self {
            operation: Operation {
                service: fault.check.service().into(),
                name: "missed",
            },
            took: Duration::ZERO,
            is_error: true,
        }
    }
}

/// One operation of one service; the services are the names in the settings, `cache`, `store`,
/// `system`, and the checks, so there are never more than the settings name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// The service.
    pub service: Arc<str>,
    /// What it did.
    pub name: &'static str,
}

/// Follows one operation in the log from now on; none follows no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Follow(pub Option<(String, String)>);

/// Asks for the figures now.
#[derive(Message)]
#[rtype(result = "Report")]
pub struct ReportNow;

/// The figures since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// One line for each service, by name.
    pub services: Vec<ServiceReport>,
    /// How long calls took, of all services but those of [`INSIDE`] together.
    pub outside: Quantiles,
}

/// The services whose calls leave no process but the store's disk: known translations, commits,
/// whole tasks.
pub const INSIDE: [&str; 3] = ["cache", "store", "system"];

/// The figures of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceReport {
    /// The service.
    pub name: Arc<str>,
    /// How often it was called.
    pub calls: u64,
    /// How many of the calls went wrong.
    pub errors: u64,
    /// Calls a second, over the last minute.
    pub rate: f64,
    /// How long the calls took.
    pub took: Quantiles,
}

/// How long calls took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantiles {
    /// Half of them took at most so long.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

//! The actor system of babelfeed: nouns, rules, ports, messages, supervision and the actors.

pub mod batcher;
pub mod cache;
pub mod domain;
pub mod failpoints;
pub mod logic;
pub mod messages;
pub mod metrics;
pub mod monitor;
pub mod ports;
pub mod publisher;
pub mod rate_limiter;
pub mod setup;
pub mod supervision;
pub mod system;
pub mod task_manager;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod translator;

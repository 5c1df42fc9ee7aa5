//! The actor system of babelfeed: nouns, rules, ports, messages, supervision and the actors.

pub mod cache;
pub mod domain;
pub mod failpoints;
pub mod logic;
pub mod messages;
pub mod ports;
pub mod rate_limiter;
pub mod setup;
pub mod supervision;
pub mod system;
#[cfg(feature = "testkit")]
pub mod testkit;

//! The actor system of babelfeed: nouns, rules, ports, messages, supervision and the actors.

pub mod domain;
pub mod logic;
pub mod messages;
pub mod ports;
pub mod setup;
pub mod supervision;
pub mod system;
#[cfg(feature = "testkit")]
pub mod testkit;

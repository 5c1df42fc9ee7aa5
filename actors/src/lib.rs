//! The actor system of babelfeed: nouns, rules, ports, messages, supervision and the actors.

pub mod domain;
pub mod logic;
pub mod ports;
#[cfg(feature = "testkit")]
pub mod testkit;

//! The service around the actors: settings, HTTP, files, databases, the socket, the command line.

pub mod cli;
pub mod control;
pub mod http;
pub mod outlets;
pub mod providers;
pub mod sources;
pub mod stores;
pub mod telemetry;

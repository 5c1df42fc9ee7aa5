//! The service around the actors: settings, HTTP, files, databases, the socket, the command line.

pub mod benchmark;
pub mod http;
pub mod outlets;
pub mod providers;
pub mod sources;
pub mod stores;

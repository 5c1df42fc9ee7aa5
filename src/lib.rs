//! The service around the actors: settings, HTTP, files, databases, the socket, the command line.

pub mod atproto;
pub mod benchmark;
pub mod cli;
pub mod control;
pub mod disk;
pub mod html;
pub mod http;
pub mod outlets;
pub mod providers;
pub mod secret;
pub mod service;
pub mod settings;
pub mod sources;
pub mod stores;
pub mod telemetry;
pub mod x;

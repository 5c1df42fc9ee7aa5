//! The built program, driven through its socket and its command line.

#![allow(unreachable_pub)]

mod apertium;
mod bluesky;
mod bluesky_network;
mod chats;
mod checks;
mod commands;
mod crashes;
mod echoes;
mod falls;
mod feeds;
mod fit;
mod forecast;
mod harness;
mod held;
mod http;
mod jobs;
mod known;
mod languages;
mod litellm;
mod outlets;
mod patient;
mod providers;
mod quotas;
mod refusals;
mod reload;
mod series;
mod settings;
mod snac;
mod stopping;
mod submitting;
mod sync;
mod tour;
mod websub;
mod x;

#[path = "../simulators/mod.rs"]
mod simulators;

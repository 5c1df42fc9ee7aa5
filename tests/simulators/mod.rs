//! Simulated providers and platforms: they import nothing of our adapters, and count for themselves.
#![allow(dead_code, unreachable_pub)]

pub mod batch;
pub mod bluesky;
pub mod bluesky_network;
pub mod client;
mod clusters;
pub mod discord;
pub mod faults;
pub mod files;
pub mod forms;
pub mod hashes;
pub mod jetstream;
pub mod litellm;
pub mod mastodon;
pub mod nginx;
pub mod pds;
pub mod process;
pub mod provider;
pub mod resetting;
pub mod server;
pub mod slack;
pub mod snac;
pub mod telegram;
pub mod wait;
pub mod web;
pub mod webhook;
pub mod websub;
pub mod x;

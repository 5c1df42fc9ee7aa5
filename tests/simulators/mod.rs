//! Simulated providers and platforms: they import nothing of our adapters, and count for themselves.
#![allow(dead_code, unreachable_pub)]

pub mod mastodon;
pub mod provider;
pub mod web;

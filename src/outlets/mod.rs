//! Where translations are published: files, feeds, accounts.

pub mod bluesky;
pub mod discord;
mod disk;
mod exchange;
mod failures;
mod fallback;
pub mod feed;
pub mod file;
mod known;
mod ledger;
pub mod mastodon;
mod part;
pub mod slack;
pub mod telegram;
pub mod webhook;
mod words;
pub mod x;

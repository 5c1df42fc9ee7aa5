//! Where translations are published: files, feeds, accounts.

pub mod bluesky;
pub mod discord;
mod disk;
mod exchange;
pub mod feed;
pub mod file;
mod ledger;
pub mod mastodon;
pub mod slack;
pub mod telegram;
pub mod webhook;
mod words;
pub mod x;

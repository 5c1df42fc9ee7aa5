//! Where translations are published: files, feeds, accounts.

pub mod bluesky;
mod disk;
pub mod feed;
pub mod file;
pub mod mastodon;
pub mod x;

//! Where translations are published: files, feeds, accounts.

mod disk;
pub mod feed;
pub mod file;
pub mod mastodon;

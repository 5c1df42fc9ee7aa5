//! What shows posts: files that grow, feeds, and accounts.

pub mod anchored;
pub mod bluesky;
pub mod feed;
pub mod file;
pub mod mastodon;
pub mod websub;
pub mod x;

mod events;
mod lines;
mod reading;

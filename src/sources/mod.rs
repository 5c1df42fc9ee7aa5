//! What shows posts: files that grow, and feeds.

pub mod feed;
pub mod file;

//! The stores: what keeps tasks, publications and known translations.

mod sqlite;

pub use sqlite::{Config as SqliteConfig, SqliteStore};

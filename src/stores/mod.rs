//! Adapters: stores.

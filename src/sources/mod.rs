//! Adapters: sources.

//! Adapters: providers.

//! Adapters: outlets.

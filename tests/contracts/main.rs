//! One contract per port, passed by its fake and by every adapter.

#[path = "../simulators/mod.rs"]
mod simulators;

mod outlet;
mod provider;
mod source;
mod store;

//! One contract per port, passed by its fake and by every adapter.

mod batch;
mod outlet;
mod provider;
mod source;
mod store;

#[path = "../simulators/mod.rs"]
mod simulators;

//! Fakes of every port and a virtual world, for tests alone.

pub mod batch;
pub mod outlet;
pub mod provider;
pub mod source;
pub mod store;
pub mod world;

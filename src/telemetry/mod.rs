//! What the service tells of itself.

pub mod log;
pub mod metrics;
pub mod process;

//! The contract of the outlet port.

//! The contract of the source port.

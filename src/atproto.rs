//! What atproto calls things, as strictly as <https://atproto.com/specs> has it.
//!
//! What arrives from the network, from settings and from our own store is read by these rules
//! before anything is asked or written with it.

mod account;
mod record;
mod tid;
mod value;

#[cfg(test)]
mod tests;

pub use account::{Account, Did, Handle};
pub use record::{AtUri, FeedAddress, FeedKind, Nsid, POSTS, PostPlace, RecordKey};
pub use tid::Tid;
pub use value::{LanguageTag, datetime};

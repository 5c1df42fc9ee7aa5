//! Who has a source rest.

/// Why a source is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// A person wants none of its posts.
    Person,
    /// The service takes nothing in now; nothing is missed.
    Service,
}

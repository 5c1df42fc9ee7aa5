//! What of a text must not be translated, and how it comes back.

use std::sync::Arc;

/// A text whose protected spans are replaced by placeholders.
#[derive(Clone, Debug)]
pub struct Protected {
    /// The text with placeholders.
    pub skeleton: Arc<str>,
}

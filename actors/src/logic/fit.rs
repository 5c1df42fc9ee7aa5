//! How long a text is where it is published, and how it is split where it is too long.

/// The most that one part may measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Anything fits.
    Unbounded,
    /// Grapheme clusters as Mastodon counts them.
    Mastodon {
        /// The most that warning and text measure together.
        max: usize,
        /// What each URL with a scheme counts as.
        url: usize,
    },
}

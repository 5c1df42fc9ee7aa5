//! What X charges, as far as it is told.

/// US dollars for each of the things that X charges for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// A post without an address in it.
    pub post: f64,
    /// A post with an address in it, be it a bare domain.
    pub post_with_url: f64,
    /// The words that say what a picture shows.
    pub media_metadata: f64,
    /// A post of somebody else that is read.
    pub post_read: f64,
    /// A post of one's own that is read.
    pub owned_read: f64,
    /// An account that is looked up.
    pub user_read: f64,
    /// A post that is deleted.
    pub delete: f64,
}

impl Default for Prices {
    /// Pay-per-use as of the summer of 2026.
    fn default() -> Self {
        Self {
            post: 0.015,
            post_with_url: 0.20,
            media_metadata: 0.005,
            post_read: 0.005,
            owned_read: 0.001,
            user_read: 0.010,
            delete: 0.010,
        }
    }
}

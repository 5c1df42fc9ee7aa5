//! What X charges, as far as it is told.

use babelfeed_actors::logic::x_text::{EntityKind, entities};

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
    /// A post of one's own that is read, and one's own account.
    pub owned_read: f64,
    /// An account that is looked up.
    pub user_read: f64,
    /// A post that is deleted.
    pub delete: f64,
}

impl Prices {
    /// What a post with that text costs: X bills what it makes a link of.
    pub fn of_post(&self, text: &str) -> f64 {
        let mut entities = entities(text).into_iter();
        if entities.any(|entity| entity.kind == EntityKind::Url) {
            self.post_with_url
        } else {
            self.post
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Prices;

    #[test]
    fn what_becomes_a_link_is_billed_as_one() {
        let prices = Prices::default();
        for (text, price) in [
            ("no link, node.js and 1.2.3.4", 0.015),
            ("see https://example.com/a", 0.20),
            ("a bare example.com", 0.20),
            ("a lost blank: the end.So it goes", 0.20),
        ] {
            assert_eq!(prices.of_post(text), price, "{text}");
        }
    }
}

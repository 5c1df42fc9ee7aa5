//! Puts the translations of hashtags into a text, or behind it.

use std::borrow::Cow;

use super::{Origin, Style, Unfit};
use crate::logic::fit::Limit;
use crate::logic::hashtags::{Hashtags, Translated};

impl Style {
    /// The same of a text whose hashtags were translated; where both are wanted, as many stand
    /// behind it as make no more parts of it.
    ///
    /// # Errors
    /// As [`Self::compose`].
    pub fn compose_tagged(
        &self,
        text: &str,
        tags: &Translated,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let alone = self.compose(&self.tagged(text, tags), limit, origin)?;
        if self.hashtags != Hashtags::Both {
            return Ok(alone);
        }
        let longer = tags.behind(text).filter_map(|longer| {
            let parts = self.compose(&longer, limit, origin).ok()?;
            (parts.len() == alone.len()).then_some(parts)
        });
        Ok(longer.into_iter().next().unwrap_or(alone))
    }

    /// The text with translations in the places of its hashtags, where those are wanted.
    pub fn tagged<'a>(&self, text: &'a str, tags: &Translated) -> Cow<'a, str> {
        match self.hashtags {
            Hashtags::Translate => tags.in_place(text),
            Hashtags::Keep | Hashtags::Both => Cow::Borrowed(text),
        }
    }
}

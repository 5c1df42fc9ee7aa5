//! Puts together what an outlet publishes of a text: its parts, with what stands below them, all
//! of them within the limit.

mod anew;
mod prepare;
mod shorten;
mod tags;
mod tail;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;

use super::fit::{Limit, TooLong};
use super::hashtags::Hashtags;
use super::links::leads_to;
use super::policy::Mentions;
use shorten::{linked, shorten};
use tail::with_tail;

/// How an outlet wants texts put together; by default just the text, in as many parts as it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What becomes of a text that is too long for one part.
    pub long: Long,
    /// Whether the parts of a thread bear numbers, like `2/5`.
    pub numbers: bool,
    /// The most parts that go out of one text.
    pub max_parts: Option<usize>,
    /// Where the address of the original stands.
    pub link: Link,
    /// A line that says whose text it is; `{author}`, `{source}` and `{url}` are filled in.
    pub attribution: Option<Arc<str>>,
    /// A line that says that a machine translated it.
    pub mark: Option<Arc<str>>,
    /// What becomes of the mentions in texts, and of authors in the attribution.
    pub mentions: Mentions,
    /// What becomes of the hashtags in texts.
    pub hashtags: Hashtags,
    /// What becomes of the addresses of what posts quote.
    pub quoted: Quoted,
}

/// What becomes of a text that is too long for one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Long {
    /// It goes out in several parts.
    #[default]
    Thread,
    /// Its beginning goes out.
    Shorten,
    /// Its beginning goes out, with the address of the original.
    Link,
}

/// Where the address of the original stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nowhere.
    #[default]
    Never,
    /// In the first part.
    First,
    /// In each part.
    Always,
    /// In the first part, for these sources alone.
    Sources(Vec<Arc<str>>),
}

/// What becomes of the address of what a post quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoted {
    /// It stands behind the text, where the outlet has no other place for it.
    #[default]
    Kept,
    /// It is left out, and takes no room.
    LeftOut,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The name of its source.
    pub source: &'a str,
    /// Who wrote it, where that is known.
    pub author: Option<&'a str>,
    /// Where people read it, where that is known.
    pub url: Option<&'a str>,
    /// Whether a machine translated it.
    pub is_translated: bool,
}

/// Why a text cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Something in it has room in no part.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It would take too many parts, and nothing leads to the whole of it.
    #[error("it takes {n_parts} parts, wanted at most {most}, and has no address to go on behind")]
    TooMany {
        /// How many it takes.
        n_parts: usize,
        /// How many go out of one text.
        most: usize,
    },
}

impl Style {
    /// The parts that are published of a text.
    ///
    /// One that takes more parts than go out of a text is cut, with the address of the original
    /// below it.
    ///
    /// # Errors
    /// When something that cannot be split is longer than the limit leaves room for, or when it
    /// takes too many parts and has no address.
    pub fn compose(
        &self,
        text: &str,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let text = &*self.prepared(text, limit);
        let first = self.tail(text, limit, origin);
        let whole = with_tail(text.trim(), &first);
        if limit.fits(&whole) {
            return Ok(vec![whole]);
        }
        let parts = match self.long {
            Long::Shorten => {
                let short = shorten(text, limit, &first)?;
                let url = self.wanted_link(origin);
                match url.filter(|url| !leads_to(&short, url)) {
                    // It stood in what was cut off.
                    Some(url) => {
                        let begin = text.split(url).next().unwrap_or(text);
                        vec![linked(begin, limit, &first, origin)?]
                    }
                    None => vec![short],
                }
            }
            Long::Link if origin.url.is_some() => vec![linked(text, limit, &first, origin)?],
            // Without an address nothing would lead to what is cut off.
            Long::Thread | Long::Link => self.thread(text, limit, &first, origin)?,
        };
        match parts.iter().find(|part| !limit.fits(part)) {
            Some(part) => Err(TooLong::whole(part, limit).into()),
            None => Ok(parts),
        }
    }

    /// The text as one part, with what stands below it, however long that is.
    pub fn in_one(&self, text: &str, limit: Limit, origin: Origin<'_>) -> String {
        let text = self.prepared(text, limit);
        with_tail(text.trim(), &self.tail(&text, limit, origin))
    }
}

//! One text to be translated into several languages.

use std::sync::Arc;

use super::{Attached, Class, Flow, Language, RequestId, SourceName, Timestamp, attached};

/// One text to be translated, from a post or from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its identity.
    pub id: RequestId,
    /// Where it comes from.
    pub origin: Origin,
    /// The text, as it came; behind it the words of what is attached, joined by
    /// [`Attached::join`].
    pub text: Arc<str>,
    /// The text's language, where it is known.
    pub source: Option<Language>,
    /// Who pays for it in fairness.
    pub flow: Flow,
    /// How urgent it is.
    pub class: Class,
    /// What the text belongs to, for the translator's understanding.
    pub context: Option<Arc<str>>,
    /// Where people read the original.
    pub url: Option<Arc<str>>,
    /// Who wrote it, where that is known.
    pub author: Option<Arc<str>>,
    /// What hangs on the text, in its own language.
    pub attached: Option<Arc<Attached>>,
    /// The request that its post was taken in as before it was edited.
    pub revises: Option<RequestId>,
    /// When it was accepted, by wall clock.
    pub accepted_at: Timestamp,
    /// By when it must be Completed; else its tasks fail as `expired`.
    pub deadline: Option<Timestamp>,
}

impl Request {
    /// How many bytes there are to be translated and to be understood with it.
    pub fn size(&self) -> usize {
        self.text.len() + self.context.as_ref().map_or(0, |context| context.len())
    }

    /// The text alone, of its own or of a translation, without the words that hang on it.
    pub fn body<'a>(&self, joined: &'a str) -> &'a str {
        match self.attached {
            Some(_) => attached::body(joined),
            // Its author may have written what separates elsewhere.
            None => joined,
        }
    }
}

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A post of a source.
    Post {
        /// The source.
        source: SourceName,
        /// The id that the source gave it.
        post: Arc<str>,
    },
    /// A client, with the key it may have given.
    Client {
        /// The client's own id of the request, global.
        key: Option<Arc<str>>,
    },
}

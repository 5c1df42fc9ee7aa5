//! What a source showed.

use super::{Language, SourceName, Timestamp};

/// A post as its source showed it; (source, id) is its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The source that showed it.
    pub source: SourceName,
    /// The id that the source gave it, opaque and compared exactly.
    pub id: String,
    /// Its text, without markup.
    pub text: String,
    /// Its language, where the source or the settings tell.
    pub language: Option<Language>,
    /// Where people read it.
    pub url: Option<String>,
    /// What is attached to it.
    pub media: Vec<Media>,
    /// The warning that hides its text until asked for.
    pub warning: Option<String>,
    /// The id of the post it answers in its own thread.
    pub parent: Option<String>,
    /// When it was published, as the source says.
    pub created_at: Option<Timestamp>,
}

/// Something attached to a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where it can be fetched.
    pub url: String,
    /// Its MIME type, where the source tells.
    pub mime: Option<String>,
    /// What it shows, in words.
    pub alt: Option<String>,
}

//! What a source showed.

use std::time::Duration;

use super::{Language, PublicationId, SourceName, Timestamp};

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
    /// Whether its media are hidden until asked for.
    pub is_sensitive: bool,
    /// The question it puts to its readers.
    pub poll: Option<Poll>,
    /// The id of the post it answers in its own thread.
    pub parent: Option<String>,
    /// Where people read the post that it quotes.
    pub quoted: Option<String>,
    /// The id of the post that it quotes, as this source would give it.
    pub quoted_post: Option<String>,
    /// Who wrote it, as the source names its authors.
    pub author: Option<String>,
    /// Whether its author asks not to be carried elsewhere, as far as the source tells.
    pub has_opted_out: bool,
    /// How it stands to the posts of others.
    pub relation: Relation,
    /// Who may read it.
    pub audience: Audience,
    /// When it was published, as the source says.
    pub created_at: Option<Timestamp>,
    /// The publication that it says it is; it is passed over where that is one of ours.
    pub publication: Option<PublicationId>,
    /// Whether its source showed it before, be it under another id: it is taken as an edit of what
    /// was taken under its id, or not at all.
    pub was_shown: bool,
}

impl Post {
    /// A post with a text and nothing else.
    pub fn new(source: SourceName, id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            source,
            id: id.into(),
            text: text.into(),
            language: None,
            url: None,
            media: Vec::new(),
            warning: None,
            is_sensitive: false,
            poll: None,
            parent: None,
            quoted: None,
            quoted_post: None,
            author: None,
            has_opted_out: false,
            relation: Relation::default(),
            audience: Audience::default(),
            created_at: None,
            publication: None,
            was_shown: false,
        }
    }

    /// Whether there is anything to publish: words, or media.
    pub fn shows_something(&self) -> bool {
        !self.text.trim().is_empty() || !self.media.is_empty()
    }
}

/// How a post stands to the posts of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Relation {
    /// By itself, or in a thread of its author's own.
    #[default]
    Own,
    /// An answer to somebody else.
    Reply,
    /// Somebody else's post, shown again.
    Repost,
    /// Says something about somebody else's post, which it shows.
    Quote,
}

/// Who may read a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody.
    #[default]
    Public,
    /// Everybody, outside the public timelines.
    Unlisted,
    /// Those who follow its author.
    Followers,
    /// Those whom it mentions.
    Direct,
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

/// A question to the readers of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What can be chosen, in order.
    pub options: Vec<String>,
    /// Whether several may be chosen.
    pub is_multiple: bool,
    /// How long it is open from the time of its post, where the source tells.
    pub lasts: Option<Duration>,
}

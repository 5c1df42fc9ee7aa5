//! What hangs on a text: a warning, media, a poll, and the posts it belongs to.

use std::sync::Arc;

use super::{Media, Poll, Post};

/// The character that stands alone on a line between a text and the words that hang on it.
pub const SEPARATOR: char = '\u{1e}';

/// What a post has beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The warning that hides the text until asked for.
    pub warning: Option<Arc<str>>,
    /// Whether the media are hidden until asked for.
    pub is_sensitive: bool,
    /// What is attached, in order.
    pub media: Vec<Media>,
    /// The question to the readers.
    pub poll: Option<Poll>,
    /// The id of the post that this one answers in its own thread, as its source gave it.
    pub parent: Option<Arc<str>>,
    /// Where people read the post that is quoted.
    pub quoted: Option<Arc<str>>,
    /// The id of the post that is quoted, as its source gave it.
    pub quoted_post: Option<Arc<str>>,
    /// The id that the outlet gave to what was published there of the post that is quoted, once
    /// that is known.
    pub quoted_as: Option<Arc<str>>,
}

impl Attached {
    /// What hangs on a post; none where nothing does.
    pub fn of(post: &Post) -> Option<Self> {
        // What a broken source says of a post itself, it would wait for in vain.
        let other = |id: &Option<String>| {
            let id = id.as_deref().filter(|id| *id != post.id);
            id.map(Arc::from)
        };
        let attached = Self {
            warning: post.warning.as_deref().map(Into::into),
            is_sensitive: post.is_sensitive,
            media: post.media.clone(),
            poll: post.poll.clone(),
            parent: other(&post.parent),
            quoted: post.quoted.as_deref().map(Into::into),
            quoted_post: other(&post.quoted_post),
            quoted_as: None,
        };
        (attached != Self::default()).then_some(attached)
    }

    /// The words that hang on the text and want translation, in a fixed order: the warning, what
    /// media show, what a poll offers.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let alts = self.media.iter().filter_map(|media| media.alt.as_deref());
        let options = self.poll.iter().flat_map(|poll| &poll.options);
        let words = self.warning.as_deref().into_iter().chain(alts);
        words
            .chain(options.map(String::as_str))
            .filter(|words| has_words(words))
    }

    /// The same with other words: those of the warning, of the media and of the poll.
    #[must_use]
    pub fn with_words(&self, words: impl Fn(&str) -> String) -> Self {
        let mut attached = self.clone();
        if let Some(warning) = &mut attached.warning {
            *warning = words(warning).into();
        }
        let alts = attached.media.iter_mut().filter_map(|it| it.alt.as_mut());
        let options = attached.poll.iter_mut().flat_map(|it| &mut it.options);
        for old in alts.chain(options) {
            *old = words(old);
        }
        attached
    }

    /// The text and all words that hang on it as one text, to be translated together.
    ///
    /// A separator inside of them becomes a space, so that only those between them are left.
    pub fn join(&self, text: &str) -> String {
        let plain = |text: &str| text.replace(SEPARATOR, " ");
        let mut joined = plain(text);
        for words in self.words() {
            joined.push('\n');
            joined.push(SEPARATOR);
            joined.push('\n');
            joined.push_str(&plain(words.trim()));
        }
        joined
    }

    /// The text alone and what hangs on it, in the words of `joined`: of what [`Self::join`]
    /// made, or of its translation. Words that are missing there stay as they are.
    pub fn split<'a>(&self, joined: &'a str) -> (&'a str, Self) {
        let mut pieces = joined.split(SEPARATOR).map(str::trim);
        let text = pieces.next().unwrap_or_default();
        let mut next = |words: &mut dyn FnMut(&str), old: &str| {
            if has_words(old)
                && let Some(new) = pieces.next()
            {
                words(new);
            }
        };
        let mut attached = self.clone();
        if let Some(warning) = &mut attached.warning {
            let old = Arc::clone(warning);
            next(&mut |new| *warning = new.into(), &old);
        }
        for alt in attached.media.iter_mut().filter_map(|it| it.alt.as_mut()) {
            let old = alt.clone();
            next(&mut |new| *alt = new.to_owned(), &old);
        }
        for option in attached.poll.iter_mut().flat_map(|it| &mut it.options) {
            let old = option.clone();
            next(&mut |new| *option = new.to_owned(), &old);
        }
        (text, attached)
    }
}

/// Whether there is anything in a text that could be translated.
fn has_words(text: &str) -> bool {
    !text.trim().is_empty()
}

/// The text alone, without the words that hang on it.
pub(super) fn body(joined: &str) -> &str {
    match joined.split_once(SEPARATOR) {
        Some((text, _)) => text.trim_end(),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> Attached {
        let media = |alt: Option<&str>| Media {
            url: "https://example.org/a.png".to_owned(),
            mime: None,
            alt: alt.map(str::to_owned),
        };
        Attached {
            warning: Some("Loud".into()),
            media: vec![media(Some("A boat")), media(None), media(Some("  "))],
            poll: Some(Poll {
                options: vec!["Yes".to_owned(), "No".to_owned()],
                is_multiple: false,
                lasts: None,
            }),
            ..Attached::default()
        }
    }

    #[test]
    fn what_is_joined_is_split_into_the_same() {
        let attached = attached();
        let joined = attached.join("Text\nof two lines");
        assert_eq!(joined.matches(SEPARATOR).count(), 4);
        assert_eq!(attached.split(&joined), ("Text\nof two lines", attached));
        assert_eq!(body(&joined), "Text\nof two lines");
    }

    #[test]
    fn a_translation_brings_every_word_in_its_place() {
        let attached = attached();
        let (text, translated) =
            attached.split("Texto\n\u{1e}\nAlto\n\u{1e}\nUn barco\n\u{1e}\nSí\n\u{1e}\nNo");
        assert_eq!(text, "Texto");
        let words: Vec<&str> = translated.words().collect();
        assert_eq!(words, ["Alto", "Un barco", "Sí", "No"]);
    }

    #[test]
    fn a_separator_of_the_author_separates_nothing() {
        let attached = attached();
        let joined = attached.join("One\u{1e}two");
        assert_eq!(attached.split(&joined).0, "One two");
    }
}

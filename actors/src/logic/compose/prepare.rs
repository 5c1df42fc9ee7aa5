//! Makes of words what a network is to read.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Quoted, Style};
use crate::domain::Attached;
use crate::logic::fit::{Limit, taken};
use crate::logic::links::with_links_apart;
use crate::logic::policy::{Mentions, with_mentions, without_mentions};

impl Style {
    /// What hangs on a text, as far as it is wanted; its words alert no more people than the text
    /// does.
    pub fn hung(&self, attached: &Arc<Attached>, limit: Limit) -> Arc<Attached> {
        let wanted = |words: &str| with_mentions(words, &self.mentions, limit).into_owned();
        let mut hung = match self.mentions {
            Mentions::Alive => Arc::clone(attached),
            Mentions::Plain | Mentions::Mapped(_) => Arc::new(attached.with_words(wanted)),
        };
        if self.quoted == Quoted::LeftOut && hung.quoted.is_some() {
            Arc::make_mut(&mut hung).quoted = None;
        }
        hung
    }

    /// What hangs on a text, the mentions in its words as they were.
    pub fn unhung(&self, attached: &Attached) -> Attached {
        attached.with_words(|words| without_mentions(words, &self.mentions).into_owned())
    }

    /// The text as the network is to read it: without what it refuses anywhere, its mentions as
    /// they are wanted, its addresses apart.
    pub(super) fn prepared<'a>(&self, text: &'a str, limit: Limit) -> Cow<'a, str> {
        let text = and_then(taken(text, limit), |text| {
            with_mentions(text, &self.mentions, limit)
        });
        and_then(text, |text| with_links_apart(text, limit))
    }
}

/// What becomes of a text that is borrowed or not.
fn and_then<'a>(text: Cow<'a, str>, then: impl Fn(&str) -> Cow<'_, str>) -> Cow<'a, str> {
    match then(&text) {
        Cow::Owned(new) => Cow::Owned(new),
        Cow::Borrowed(same) if same.len() == text.len() => text,
        Cow::Borrowed(other) => Cow::Owned(other.to_owned()),
    }
}

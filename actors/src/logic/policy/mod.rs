//! What becomes of mentions and hashtags where a translation is published.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::fit::Limit;
use super::spans::{Scan, SpanKind};

/// What stands behind the `@` of a mention that is to alert nobody; people do not see it.
const APART: char = '\u{200b}';

/// What becomes of mentions at an outlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mentions {
    /// They read as they did, and alert nobody.
    #[default]
    Plain,
    /// Those of known accounts become the account's name there, and alert it; others are plain.
    Mapped(Arc<BTreeMap<String, String>>),
    /// They stay as they are.
    Alive,
}

/// What becomes of hashtags at an outlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hashtags {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are in the language of the outlet, where that is known.
    Translate,
    /// The translated one stands behind the one that was.
    Both,
}

impl Limit {
    /// Whether the network that counts so alerts whom a text mentions.
    ///
    /// Discord is told beside the text whom to alert, and elsewhere nobody is.
    const fn alerts(&self) -> bool {
        matches!(
            self,
            Self::X { .. } | Self::Mastodon { .. } | Self::Bluesky { .. } | Self::Telegram { .. }
        )
    }
}

/// The text with its mentions as the outlet of that limit wants them.
pub fn with_mentions<'a>(text: &'a str, limit: Limit, mentions: &Mentions) -> Cow<'a, str> {
    if *mentions == Mentions::Alive || !limit.alerts() {
        return Cow::Borrowed(text);
    }
    replaced(text, SpanKind::Mention, |mention| {
        let known = match mentions {
            Mentions::Mapped(accounts) => accounts.get(mention),
            Mentions::Plain | Mentions::Alive => None,
        };
        match known {
            Some(account) => account.clone(),
            None => plain(mention),
        }
    })
}

/// A mention that nobody is alerted by: no network reads on behind the blank without width.
fn plain(mention: &str) -> String {
    let mut plain = String::with_capacity(mention.len() + 2 * APART.len_utf8());
    for character in mention.chars() {
        plain.push(character);
        if character == '@' {
            plain.push(APART);
        }
    }
    plain
}

/// The text with its hashtags as the outlet wants them; `translated` knows each by its words,
/// without its sign. A tag that is not known stays.
pub fn with_hashtags<'a>(
    text: &'a str,
    hashtags: Hashtags,
    translated: &BTreeMap<String, String>,
) -> Cow<'a, str> {
    if hashtags == Hashtags::Keep || translated.is_empty() {
        return Cow::Borrowed(text);
    }
    replaced(text, SpanKind::Hashtag, |tag| {
        let words = tag.trim_start_matches(['#', '＃']);
        match translated.get(words).and_then(|words| tag_of(words)) {
            Some(other) if other != tag && hashtags == Hashtags::Both => format!("{tag} {other}"),
            Some(other) => other,
            None => tag.to_owned(),
        }
    })
}

/// The words that a hashtag is composed of, as they are translated: `#MachineLearning` is
/// `Machine Learning`.
pub fn words_of(tag: &str) -> String {
    let tag = tag.trim_start_matches(['#', '＃']);
    let mut words = String::with_capacity(tag.len() + 8);
    let mut characters = tag.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(character) = characters.next() {
        let next = characters.peek();
        let begins = character.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(char::is_uppercase)
                    && next.is_some_and(|next| next.is_lowercase()));
        if begins && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push(if character == '_' { ' ' } else { character });
        before = Some(character);
    }
    words.trim().to_owned()
}

/// The hashtag of these words, the first letter of each in capitals where there are several;
/// none where they make no tag.
pub fn tag_of(words: &str) -> Option<String> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let words: Vec<&str> = words
        .split(|character| !is_part(character) && !is_mark(character))
        .filter(|word| !word.is_empty())
        .collect();
    let mut tag = String::from("#");
    for word in &words {
        let mut characters = word.chars();
        match characters.next() {
            Some(first) if words.len() > 1 => {
                tag.extend(first.to_uppercase());
                tag.push_str(characters.as_str());
            }
            _ => tag.push_str(word),
        }
    }
    let is_whole = |found: super::spans::Found| {
        found.kind == SpanKind::Hashtag && found.start == 0 && found.end == tag.len()
    };
    Scan::through_code(&tag)
        .next()
        .is_some_and(is_whole)
        .then_some(tag)
}

/// Whether it is a mark that belongs to the letter before it, of scripts that write vowels so.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}'
        | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{981}'..='\u{1cff}' | '\u{200c}'..='\u{200d}')
        && !character.is_whitespace()
}

/// The text with each span of that kind replaced.
fn replaced(text: &str, kind: SpanKind, replace: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut written = String::new();
    let mut copied = 0;
    for found in Scan::through_code(text).filter(|found| found.kind == kind) {
        written.push_str(&text[copied..found.start]);
        written.push_str(&replace(&text[found.start..found.end]));
        copied = found.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    written.push_str(&text[copied..]);
    Cow::Owned(written)
}

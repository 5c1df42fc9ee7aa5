//! What becomes of mentions where a translation is published.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::spans::{Found, Scan, SpanKind};

/// What stands behind the `@` of a mention that is to alert nobody; people do not see it.
const APART: char = '\u{200b}';

/// What becomes of mentions at an outlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mentions {
    /// They read as they did, and alert nobody.
    Plain,
    /// Those of known accounts become the account's name there, and alert it; others are plain.
    Mapped(Arc<BTreeMap<String, String>>),
    /// They stay as they are.
    #[default]
    Alive,
}

/// The text with its mentions as an outlet wants them; what went through it once stays.
pub fn with_mentions<'a>(text: &'a str, mentions: &Mentions) -> Cow<'a, str> {
    match mentions {
        Mentions::Alive => Cow::Borrowed(text),
        Mentions::Plain => replaced(text, plain),
        Mentions::Mapped(accounts) => replaced(text, |mention| {
            let is_there = || accounts.values().any(|account| account == mention);
            match accounts.get(mention) {
                Some(account) => account.clone(),
                None if is_there() => mention.to_owned(),
                None => plain(mention),
            }
        }),
    }
}

/// The text with its mentions as they were before, where they are known.
pub fn without_mentions<'a>(text: &'a str, mentions: &Mentions) -> Cow<'a, str> {
    let alive = || text.replace(&format!("@{APART}"), "@");
    match mentions {
        Mentions::Alive => Cow::Borrowed(text),
        Mentions::Plain => Cow::Owned(alive()),
        Mentions::Mapped(accounts) => {
            let before = |mention: &str| {
                let known = accounts.iter().find(|(_, account)| *account == mention);
                known.map_or(mention, |(before, _)| before).to_owned()
            };
            Cow::Owned(replaced(&alive(), before).into_owned())
        }
    }
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

/// Whether a text is a mention and nothing else.
pub fn is_mention(text: &str) -> bool {
    let is_whole = |found: Found| {
        found.kind == SpanKind::Mention && found.start == 0 && found.end == text.len()
    };
    Scan::through_code(text).next().is_some_and(is_whole)
}

/// The text with each mention replaced.
fn replaced(text: &str, replace: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut written = String::new();
    let mut copied = 0;
    for found in Scan::through_code(text).filter(|found| found.kind == SpanKind::Mention) {
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

//! Puts together for one limit what was put together for another.

use std::borrow::Cow;

use super::{Link, Origin, Style, Unfit};
use crate::logic::fit::Limit;
use crate::logic::hashtags::{Hashtags, Translated};

impl Style {
    /// The parts that are published of a text, by the parts that it had for another limit; `text`
    /// is the text alone, by which hashtags behind it are told from its own. Where a person has
    /// left out the lines below it, they stay out.
    ///
    /// # Errors
    /// As [`Self::compose`].
    pub fn compose_anew(
        &self,
        parts: &[&str],
        text: &str,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let n_parts = parts.len();
        let bodies = (1..).zip(parts).map(|(place, part)| {
            let body = self.without_tail(part, place, limit, origin);
            let body = body.unwrap_or(part);
            self.without_number(body, place, n_parts)
        });
        let body = bodies.collect::<Vec<_>>().join("\n");
        let first = parts.first().copied().unwrap_or_default();
        let style = match self.without_tail(first, 1, limit, origin) {
            None if !self.tail(first, limit, origin).is_empty() => Cow::Owned(Self {
                link: Link::Never,
                attribution: None,
                mark: None,
                ..self.clone()
            }),
            _ => Cow::Borrowed(self),
        };
        // As it was put together for any limit, or for one like this.
        let mut written = [Limit::Unbounded, limit].into_iter();
        let behind = written.find_map(|limit| {
            let written = self.prepared(text.trim(), limit);
            body.strip_prefix(&*written).map(str::trim)
        });
        let is_tags = |behind: &&str| behind.split_whitespace().all(|it| it.starts_with('#'));
        let has_tags = self.hashtags == Hashtags::Both && !text.trim().is_empty();
        match behind.filter(|_| has_tags) {
            Some(behind) if is_tags(&behind) => {
                let tags = Translated::alone(behind.split_whitespace());
                style.compose_tagged(text, &tags, limit, origin)
            }
            _ => style.compose(&body, limit, origin),
        }
    }

    /// A part without the lines below it; none where it has none.
    fn without_tail<'a>(
        &self,
        part: &'a str,
        place: usize,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Option<&'a str> {
        let url = origin.url.unwrap_or_default();
        let linked = |tail: &str| format!("{tail}\n{url}").trim().to_owned();
        let tails_for = |limit: Limit| {
            let (with_url, without) = (self.tail("", limit, origin), self.tail(url, limit, origin));
            [linked(&with_url), linked(&without), with_url, without]
        };
        let tails = match place {
            // As they were put together for any limit, or for one like this.
            1 => [tails_for(Limit::Unbounded), tails_for(limit)].concat(),
            _ => vec![url.to_owned()],
        };
        tails
            .iter()
            .filter(|tail| !tail.is_empty())
            .find_map(|tail| {
                let body = part.strip_suffix(tail.as_str())?;
                body.strip_suffix("\n\n")
                    .or(body.is_empty().then_some(body))
            })
    }

    /// A part without its number in a thread.
    fn without_number<'a>(&self, body: &'a str, place: usize, n_parts: usize) -> &'a str {
        let number = format!(" {place}/{n_parts}");
        let is_numbered = self.numbers && n_parts > 1;
        let bare = body.strip_suffix(&number).filter(|_| is_numbered);
        bare.unwrap_or(body)
    }
}

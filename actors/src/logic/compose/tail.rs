//! Puts below a text whose it is, that a machine translated it, and where it stands.

use std::borrow::Cow;

use super::{Link, Origin, Style};
use crate::logic::fit::{Limit, taken};
use crate::logic::links::leads_to;
use crate::logic::policy::{with_mentions, without_mentions};

impl Style {
    /// The text of a person without the lines that are put below it anyway, its mentions as they
    /// were.
    pub fn bare<'a>(&self, text: &'a str, origin: Origin<'_>) -> Cow<'a, str> {
        let mut text = text.trim();
        for line in self.tail("", Limit::Unbounded, origin).lines().rev() {
            text = text.strip_suffix(line).unwrap_or(text).trim_end();
        }
        without_mentions(text, &self.mentions)
    }

    /// The lines below the first part.
    pub(super) fn tail(&self, text: &str, limit: Limit, origin: Origin<'_>) -> String {
        let mut lines: Vec<String> = Vec::new();
        let attribution = self.attribution.as_deref();
        lines.extend(attribution.map(|template| self.fill(template, limit, origin)));
        let mark = self.mark.as_deref().filter(|_| origin.is_translated);
        lines.extend(mark.map(str::to_owned));
        let is_there =
            |url: &&str| leads_to(text, url) || lines.iter().any(|line| leads_to(line, url));
        let url = self.wanted_link(origin).filter(|url| !is_there(url));
        lines.extend(url.map(str::to_owned));
        lines.retain(|line| !line.trim().is_empty());
        taken(&lines.join("\n"), limit).into_owned()
    }

    /// The address of the original, where it is wanted in the first part.
    pub(super) fn wanted_link<'a>(&self, origin: Origin<'a>) -> Option<&'a str> {
        let is_wanted = match &self.link {
            Link::Never => false,
            Link::First | Link::Always => true,
            Link::Sources(sources) => sources.iter().any(|source| **source == *origin.source),
        };
        origin.url.filter(|_| is_wanted)
    }

    /// An attribution with what stands for its names.
    fn fill(&self, template: &str, limit: Limit, origin: Origin<'_>) -> String {
        let author = origin.author.unwrap_or(origin.source);
        let filled = template
            .replace("{author}", &with_mentions(author, &self.mentions, limit))
            .replace("{source}", origin.source)
            .replace("{url}", origin.url.unwrap_or_default());
        filled.trim().to_owned()
    }
}

/// A text with lines below it.
pub(super) fn with_tail(body: &str, tail: &str) -> String {
    match body {
        "" => tail.to_owned(),
        body => [body, &below(tail)].concat(),
    }
}

/// What lines take below a text.
pub(super) fn below(tail: &str) -> String {
    match tail {
        "" => String::new(),
        tail => format!("\n\n{tail}"),
    }
}

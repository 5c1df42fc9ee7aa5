//! Finding the hub that a feed names: in headers, in Atom's links, or in JSON.

use serde::Deserialize;
use url::Url;

/// A hub, and the feed as it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hub {
    /// The hub's address.
    pub(crate) hub: String,
    /// The feed's own address.
    pub(crate) topic: String,
}

/// What is found of links on the way.
#[derive(Debug, Default)]
struct Links {
    hub: Option<String>,
    own: Option<String>,
}

#[derive(Deserialize)]
struct JsonFeed {
    feed_url: Option<String>,
    #[serde(default)]
    hubs: Vec<JsonHub>,
}

#[derive(Deserialize)]
struct JsonHub {
    url: String,
}

/// The hub that a feed names: its headers go before its body.
pub(crate) fn hub<'a>(
    headers: impl Iterator<Item = &'a str>,
    body: &[u8],
    address: &str,
) -> Option<Hub> {
    let mut links = Links::default();
    for header in headers {
        links.read_header(header);
    }
    if links.hub.is_none() {
        links = Links::of_body(body);
    }
    let base = Url::parse(address).ok()?;
    let resolved = |link: &str| {
        let url = base.join(link.trim()).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| url.to_string())
    };
    let hub = resolved(links.hub.as_deref()?)?;
    let own = links.own.as_deref().and_then(resolved);
    let topic = own.unwrap_or_else(|| address.to_owned());
    Some(Hub { hub, topic })
}

impl Links {
    fn of_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('{')
        {
            return match serde_json::from_str::<JsonFeed>(&text) {
                Ok(feed) => Self {
                    hub: feed.hubs.into_iter().next().map(|hub| hub.url),
                    own: feed.feed_url,
                },
                Err(_) => Self::default(),
            };
        }
        let mut links = Self::default();
        // Links of items are none of the feed.
        let end = ["<item", "<entry"].iter().filter_map(|it| text.find(it));
        let head = &text[..end.min().unwrap_or(text.len())];
        // Behind them the feed may go on.
        let tail_begin = ["</item>", "</entry>"]
            .iter()
            .filter_map(|it| text.rfind(it));
        let tail = &text[tail_begin.max().unwrap_or(text.len())..];
        for tag in [head, tail].into_iter().flat_map(tags) {
            let local = tag.split(|it: char| it.is_whitespace() || it == '/').next();
            let local = local.and_then(|name| name.rsplit(':').next());
            if local != Some("link") {
                continue;
            }
            if let (Some(rel), Some(href)) = (attribute(tag, "rel"), attribute(tag, "href")) {
                links.note(&rel, href);
            }
        }
        links
    }

    /// Reads a `Link` header (RFC 8288), which may name several.
    fn read_header(&mut self, header: &str) {
        let mut rest = header;
        while let Some((_, link)) = rest.split_once('<') {
            let Some((target, parameters)) = link.split_once('>') else {
                return;
            };
            let end = end_of_link(parameters);
            for parameter in pieces(&parameters[..end]) {
                let Some((name, value)) = parameter.split_once('=') else {
                    continue;
                };
                if name.trim().eq_ignore_ascii_case("rel") {
                    self.note(value.trim().trim_matches('"'), target.to_owned());
                }
            }
            rest = &parameters[end..];
        }
    }

    /// Notes the first link of each kind.
    fn note(&mut self, rel: &str, target: String) {
        for rel in rel.split_whitespace() {
            let place = match rel.to_ascii_lowercase().as_str() {
                "hub" => &mut self.hub,
                "self" => &mut self.own,
                _ => continue,
            };
            place.get_or_insert_with(|| target.clone());
        }
    }
}

/// Where the parameters of a link end: at a comma that stands in no quotes.
fn end_of_link(parameters: &str) -> usize {
    let mut is_quoted = false;
    for (at, char) in parameters.char_indices() {
        match char {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => return at,
            _ => (),
        }
    }
    parameters.len()
}

/// Parameters, apart at semicolons that stand in no quotes.
fn pieces(parameters: &str) -> Vec<&str> {
    let mut is_quoted = false;
    parameters
        .split(|char| {
            is_quoted ^= char == '"';
            char == ';' && !is_quoted
        })
        .collect()
}

/// What stands in the opening tags of a document.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split('<')
        .skip(1)
        .filter_map(|tag| Some(tag.split_once('>')?.0))
}

/// An attribute of a tag, without its entities.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        if before.split_whitespace().last() == Some(name) {
            return Some(value.replace("&amp;", "&"));
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = "https://a.example/feed.xml";

    fn found(headers: &[&str], body: &str) -> Option<(String, String)> {
        let hub = hub(headers.iter().copied(), body.as_bytes(), FEED)?;
        Some((hub.hub, hub.topic))
    }

    fn both(hub: &str, topic: &str) -> Option<(String, String)> {
        Some((hub.to_owned(), topic.to_owned()))
    }

    #[test]
    fn headers_name_a_hub_in_every_spelling() {
        let expected = both("https://hub.example/", "https://a.example/own");
        for headers in [
            &[
                "<https://hub.example/>; rel=\"hub\"",
                "<https://a.example/own>; rel=self",
            ][..],
            &["<https://hub.example/>;title=\"a, b; c\";rel=hub, </own>; rel=\"me self\""],
            &[
                "<https://x.example/>; rel=next,<https://hub.example/> ; REL = \"hub\", <own>;rel=self",
            ],
        ] {
            assert_eq!(found(headers, ""), expected, "{headers:?}");
        }
        let alone = both("https://hub.example/", FEED);
        assert_eq!(found(&["<https://hub.example/>; rel=hub"], ""), alone);
    }

    #[test]
    fn a_body_names_a_hub_in_atom_rss_and_json() {
        let expected = both("https://hub.example/?a=1&b=2", "https://a.example/own");
        for body in [
            "<feed><link href='https://hub.example/?a=1&amp;b=2' rel='hub'/><link rel=\"self\" href=\"/own\"/><entry><link rel=\"hub\" href=\"https://no.example/\"/></entry></feed>",
            "<rss><channel><atom:link rel=\"self\" type=\"x\" href=\"https://a.example/own\"/><atom:link rel=\"hub\" href=\"https://hub.example/?a=1&amp;b=2\"/><item/></channel></rss>",
            "<feed><entry><id>1</id></entry><link rel=\"hub\" href=\"https://hub.example/?a=1&amp;b=2\"/><link rel=\"self\" href=\"/own\"/></feed>",
            "{\"version\":\"https://jsonfeed.org/version/1.1\",\"feed_url\":\"/own\",\"hubs\":[{\"type\":\"WebSub\",\"url\":\"https://hub.example/?a=1&b=2\"}]}",
        ] {
            assert_eq!(found(&[], body), expected, "{body}");
        }
    }

    #[test]
    fn headers_go_before_the_body() {
        let body = "<feed><link rel=\"hub\" href=\"https://body.example/\"/></feed>";
        let named = found(&["<https://head.example/>; rel=hub"], body);
        assert_eq!(named, both("https://head.example/", FEED));
    }

    #[test]
    fn what_is_no_hub_is_none() {
        for body in [
            "",
            "<feed><link rel=\"hub\"/><link href=\"https://x.example/\"/></feed>",
            "<feed><link rel=\"hub\" href=\"ftp://x.example/\"/></feed>",
            "<feed><linked rel=\"hub\" href=\"https://x.example/\"/></feed>",
            "{\"hubs\": 7}",
        ] {
            assert_eq!(
                found(&["<https://x.example/>; rel=next", "nonsense <"], body),
                None
            );
        }
    }
}

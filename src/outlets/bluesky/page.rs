//! What a web page says of itself, for the card that stands for a link to it.

use std::time::Duration;

use actix_web::web::Bytes;

use crate::html::{Links, to_text};
use crate::http::{Call, HttpClient, HttpConfig, Method, Reach, Uri};

/// The most redirects that are followed.
const MAX_REDIRECTS: u8 = 5;
/// The most bytes of a page.
const MAX_PAGE: usize = 2_000_000;
/// How much of a page is looked through: what it says of itself stands at its beginning.
const MAX_HEAD: usize = 256 * 1024;
/// How long a page may take; a card is worth no longer wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most characters of a title, and of a description.
const MAX_TITLE: usize = 300;
const MAX_DESCRIPTION: usize = 1000;

/// Reads pages; bound to its arbiter, like the client it holds.
pub(super) struct Pages {
    client: HttpClient,
}

/// What a page says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) description: String,
    /// The address of a picture, as it is written there.
    pub(super) picture: Option<String>,
}

impl Pages {
    pub(super) fn new(config: &HttpConfig, reach: Reach) -> Self {
        let client = HttpClient::new(&HttpConfig {
            redirects: MAX_REDIRECTS,
            reach,
            ..config.clone()
        });
        Self { client }
    }

    /// What the page of that address says of itself; none where it says nothing, or is none.
    pub(super) async fn read(&self, address: &str) -> Option<Page> {
        let url = url::Url::parse(address).ok()?;
        let url: Uri = url[..url::Position::AfterQuery].parse().ok()?;
        let call = Call {
            method: Method::GET,
            url: &url,
            headers: &[("accept", "text/html, application/xhtml+xml")],
            body: Bytes::new(),
            timeout: PATIENCE,
            max_body: MAX_PAGE,
        };
        let response = self.client.call(call).await.ok()?;
        let kind = response.header("content-type").unwrap_or_default();
        let is_page = response.is_success() && kind.contains("html");
        let head = &response.body[..response.body.len().min(MAX_HEAD)];
        let page = is_page.then(|| Page::of(&String::from_utf8_lossy(head)))?;
        let base = url::Url::parse(&response.url.to_string()).ok()?;
        let picture = page.picture.as_deref().and_then(|it| base.join(it).ok());
        (!page.title.is_empty()).then_some(Page {
            picture: picture.map(String::from),
            ..page
        })
    }
}

impl Page {
    fn of(html: &str) -> Self {
        let mut page = Self::default();
        let mut plain_description = String::new();
        for tag in tags(html, "meta") {
            let Some(content) = attribute(tag, "content") else {
                continue;
            };
            let name = attribute(tag, "property").or_else(|| attribute(tag, "name"));
            match name.as_deref() {
                Some("og:title") => page.title = cut(&content, MAX_TITLE),
                Some("og:description") => page.description = cut(&content, MAX_DESCRIPTION),
                Some("description") => plain_description = cut(&content, MAX_DESCRIPTION),
                Some("og:image") => page.picture = page.picture.or(Some(content)),
                _ => {}
            }
        }
        if page.title.is_empty() {
            page.title = cut(&title(html).unwrap_or_default(), MAX_TITLE);
        }
        if page.description.is_empty() {
            page.description = plain_description;
        }
        page
    }
}

/// What stands between `<name` and `>`, for each such tag.
fn tags<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let name = name.to_owned();
    html.split('<').filter_map(move |piece| {
        let start = piece.get(..name.len())?;
        let rest = &piece[name.len()..];
        let is_it = start.eq_ignore_ascii_case(&name)
            && rest.starts_with(|it: char| it.is_ascii_whitespace() || it == '>' || it == '/');
        is_it.then(|| rest.rsplit_once('>').map_or(rest, |(tag, _)| tag))
    })
}

/// The value of an attribute, its entities decoded.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let at = from + lower[from..].find(name)?;
        from = at + name.len();
        let is_whole = lower[..at].ends_with(|it: char| it.is_ascii_whitespace());
        let rest = tag[from..].trim_start();
        let Some(value) = rest.strip_prefix('=').filter(|_| is_whole) else {
            continue;
        };
        let value = value.trim_start();
        let written = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split(quote).next()?,
            _ => value.split_ascii_whitespace().next()?,
        };
        return Some(decoded(written));
    }
}

fn title(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(decoded(&html[start..end]))
}

fn decoded(text: &str) -> String {
    match text.contains('&') {
        true => to_text(&text.replace('<', "&lt;"), Links::Shown),
        false => text.to_owned(),
    }
}

fn cut(text: &str, max: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(max) {
        Some((at, _)) => line[..at].to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_is() {
        let page = Page::of(
            "<!doctype html><HEAD><title>Old &amp; plain</title>\
             <meta content='A &quot;fine&quot; day' data-content=x property=\"og:title\">\
             <META NAME=description CONTENT=\"Sun\n and  wind\"/>\
             <meta property=og:image content=/a.png></HEAD><body>a < b",
        );
        let expected = Page {
            title: "A \"fine\" day".to_owned(),
            description: "Sun and wind".to_owned(),
            picture: Some("/a.png".to_owned()),
        };
        assert_eq!(page, expected);
    }

    #[test]
    fn a_page_without_marks_has_its_title() {
        let page = Page::of("<html><Title lang=de>Grüße &amp; Küsse\n</Title><p>x");
        assert_eq!(page.title, "Grüße & Küsse");
        assert_eq!(Page::of("<title>never ended"), Page::default());
        assert_eq!(Page::of("<meta content"), Page::default());
    }
}

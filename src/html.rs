//! HTML as plain text that keeps its paragraphs and its links.

use std::panic::{AssertUnwindSafe, catch_unwind};

use html2text::config;
use html2text::render::{TaggedLineElement, TextDecorator};

/// Wide enough that no line is wrapped.
const WIDTH: usize = 1 << 24;
/// The most bytes of one HTML text that are read; the rest is cut.
const MAX_HTML: usize = 1 << 20;
/// The deepest nesting that is rendered; what is deeper is read without its markup.
const MAX_DEPTH: usize = 200;
/// What ends a link's address in the middle when a page shows it shortened.
const ELLIPSES: [&str; 2] = ["…", "..."];
/// The class of the paragraph that stands for a quote where quotes are not known.
const QUOTE_INSTEAD: &str = "quote-inline";

/// Whether an address is shown beside the text that links to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// `text (address)`, or the address alone where the text is the address.
    Beside,
    /// The address where the text shows it, the text alone elsewhere.
    Shown,
}

/// The text of HTML: paragraphs with a blank line between them, `<br>` as a newline, entities
/// decoded, nothing wrapped, images left out.
pub fn to_text(html: &str, links: Links) -> String {
    to_text_with(html, links, &|_, _| None)
}

/// The same, with a link's text replaced where `name` has another for its address and its text.
pub fn to_text_with(html: &str, links: Links, name: &Name<'_>) -> String {
    let html = within(html, MAX_HTML);
    let rendered = if depth(html) > MAX_DEPTH {
        None
    } else {
        // One page on which the renderer stumbles must not take a whole feed with it.
        catch_unwind(AssertUnwindSafe(|| render(html, links, name)))
            .ok()
            .flatten()
    };
    tidy(&rendered.unwrap_or_else(|| without_tags(html)))
}

/// HTML without the paragraph that servers of the fediverse put before a post for those who cannot
/// show what it quotes.
pub fn without_quote(html: &str) -> String {
    let Some(class) = html.find(QUOTE_INSTEAD) else {
        return html.to_owned();
    };
    // In a text, and not in a tag, it is a word like others.
    let start = html[..class].rfind('<');
    let Some(start) = start.filter(|start| !html[*start..class].contains('>')) else {
        return html.to_owned();
    };
    let name: String = html[start + 1..]
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let end = format!("</{name}>");
    match html[class..].find(&end) {
        Some(at) if matches!(name.as_str(), "p" | "span") => {
            format!("{}{}", &html[..start], &html[class + at + end.len()..])
        }
        _ => html.to_owned(),
    }
}

/// What a link is called, by its address and its text.
type Name<'n> = dyn Fn(&str, &str) -> Option<String> + 'n;

fn render(html: &str, links: Links, name: &Name<'_>) -> Option<String> {
    let lines = config::with_decorator(Plain::default())
        .raw_mode(true)
        .allow_width_overflow()
        // A stroke through each letter would tear words, tags and addresses.
        .unicode_strikeout(false)
        .lines_from_read(html.as_bytes(), WIDTH)
        .ok()?;
    let mut writer = Writer::new(links, name);
    for line in &lines {
        for element in line.iter() {
            if let TaggedLineElement::Str(piece) = element {
                writer.push(&piece.s, piece.tag.iter().flatten().next_back());
            }
        }
        writer.end_line();
    }
    Some(writer.finish())
}

/// Joins pieces of text, and puts addresses where links end.
struct Writer<'n> {
    links: Links,
    name: &'n Name<'n>,
    text: String,
    link: Option<(Link, usize)>,
}

/// A link of the page; the number tells it from another one to the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    number: usize,
    address: String,
}

impl<'n> Writer<'n> {
    fn new(links: Links, name: &'n Name<'n>) -> Self {
        Self {
            links,
            name,
            text: String::new(),
            link: None,
        }
    }

    fn push(&mut self, piece: &str, link: Option<&Link>) {
        if self.link.as_ref().map(|(link, _)| link) != link {
            self.close_link();
            self.link = link.map(|link| (link.clone(), self.text.len()));
        }
        self.text.push_str(piece);
    }

    fn end_line(&mut self) {
        self.text.push('\n');
    }

    fn finish(mut self) -> String {
        self.close_link();
        self.text
    }

    fn close_link(&mut self) {
        let Some((link, start)) = self.link.take() else {
            return;
        };
        let shown = self.text[start..].trim_end();
        let end = start + shown.len();
        let shown = shown.trim_start();
        if let Some(name) = (self.name)(&link.address, shown) {
            let begin = end - shown.len();
            self.text.replace_range(begin..end, &name);
            return;
        }
        if shown.is_empty() || !is_web_address(&link.address) {
            return;
        }
        if is_shown_as(&link.address, shown) {
            let begin = end - shown.len();
            self.text.replace_range(begin..end, &link.address);
        } else if self.links == Links::Beside {
            self.text.insert_str(end, &format!(" ({})", link.address));
        }
    }
}

/// Whether a text is the address, or a shortened form of it.
fn is_shown_as(address: &str, shown: &str) -> bool {
    let (address, shown) = (bare(address), bare(shown));
    if address == shown {
        return true;
    }
    ELLIPSES
        .iter()
        .filter_map(|ellipsis| shown.strip_suffix(ellipsis))
        .any(|start| start.contains('.') && address.starts_with(start))
}

fn is_web_address(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}

fn bare(address: &str) -> &str {
    let address = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address);
    let address = address.strip_prefix("www.").unwrap_or(address);
    address.strip_suffix('/').unwrap_or(address)
}

/// Trims lines, and leaves at most one blank line between paragraphs.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut n_blank = 0;
    for line in text
        .lines()
        .map(|line| line.trim_matches([' ', '\t', '\r']))
    {
        if line.is_empty() {
            n_blank += 1;
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if n_blank > 0 { "\n\n" } else { "\n" });
        }
        tidied.push_str(line);
        n_blank = 0;
    }
    tidied
}

/// An upper bound of how deep elements are nested.
fn depth(html: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        match tag.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(first) if first.is_ascii_alphabetic() && !is_single(tag) => depth += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether a tag needs no end: void elements, and those that the next of their kind ends.
fn is_single(tag: &str) -> bool {
    const SINGLE: [&str; 16] = [
        "area", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "p",
        "source", "track", "wbr",
    ];
    let end = tag.find(|char: char| !char.is_ascii_alphanumeric());
    let name = &tag[..end.unwrap_or(tag.len())];
    SINGLE
        .iter()
        .any(|single| name.eq_ignore_ascii_case(single))
        || tag.split('>').next().is_some_and(|tag| tag.ends_with('/'))
}

fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for (number, piece) in html.split('<').enumerate() {
        let shown = match piece.split_once('>') {
            Some((_, shown)) if number > 0 => shown,
            None if number > 0 => "",
            _ => piece,
        };
        text.push_str(shown);
    }
    text
}

fn within(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Decorates nothing, and remembers which text links where.
#[derive(Clone, Debug, Default)]
struct Plain {
    n_links: std::rc::Rc<std::cell::Cell<usize>>,
}

type Nothing = (String, Option<Link>);

impl TextDecorator for Plain {
    type Annotation = Option<Link>;

    fn decorate_link_start(&mut self, url: &str) -> (String, Self::Annotation) {
        let number = self.n_links.get();
        self.n_links.set(number + 1);
        let address = url.trim().to_owned();
        (String::new(), Some(Link { number, address }))
    }

    fn decorate_link_end(&mut self) -> String {
        String::new()
    }

    fn decorate_em_start(&self) -> Nothing {
        Nothing::default()
    }

    fn decorate_em_end(&self) -> String {
        String::new()
    }

    fn decorate_strong_start(&self) -> Nothing {
        Nothing::default()
    }

    fn decorate_strong_end(&self) -> String {
        String::new()
    }

    fn decorate_strikeout_start(&self) -> Nothing {
        Nothing::default()
    }

    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }

    fn decorate_code_start(&self) -> Nothing {
        Nothing::default()
    }

    fn decorate_code_end(&self) -> String {
        String::new()
    }

    fn decorate_preformat_first(&self) -> Self::Annotation {
        None
    }

    fn decorate_preformat_cont(&self) -> Self::Annotation {
        None
    }

    fn decorate_image(&mut self, _: &str, _: &str) -> Nothing {
        Nothing::default()
    }

    fn header_prefix(&self, _: usize) -> String {
        String::new()
    }

    fn quote_prefix(&self) -> String {
        "> ".into()
    }

    fn unordered_item_prefix(&self) -> String {
        "• ".into()
    }

    fn ordered_item_prefix(&self, number: i64) -> String {
        format!("{number}. ")
    }

    fn decorate_superscript_start(&self) -> Nothing {
        Nothing::default()
    }

    fn decorate_superscript_end(&self) -> String {
        String::new()
    }

    fn make_subblock_decorator(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_breaks_and_entities_become_plain_text() {
        let html = "<p>One &amp; two&nbsp;&eacute; <b>bold</b><br>next</p>\n<p>Two<script>x()</script></p>";
        assert_eq!(
            to_text(html, Links::Beside),
            "One & two\u{a0}é bold\nnext\n\nTwo"
        );
    }

    #[test]
    fn a_long_paragraph_is_not_wrapped() {
        let words = "word ".repeat(2000);
        assert_eq!(
            to_text(&format!("<p>{words}</p>"), Links::Beside),
            words.trim()
        );
    }

    #[test]
    fn a_link_keeps_its_address_beside_its_text() {
        let html = r#"See <a href="https://a.org/x?a=1&amp;b=2">the <b>page</b></a>, or <a href="https://b.org/">https://b.org</a>."#;
        assert_eq!(
            to_text(html, Links::Beside),
            "See the page (https://a.org/x?a=1&b=2), or https://b.org/."
        );
        assert_eq!(
            to_text(html, Links::Shown),
            "See the page, or https://b.org/."
        );
    }

    #[test]
    fn a_shortened_address_is_shown_in_full() {
        let html = r#"<p>a <a href="https://example.org/long/path/to"><span class="invisible">https://</span><span class="ellipsis">example.org/long</span><span class="invisible">/path/to</span></a> b <a href="https://example.org/long/path">example.org/lo…</a></p>"#;
        assert_eq!(
            to_text(html, Links::Beside),
            "a https://example.org/long/path/to b https://example.org/long/path"
        );
    }

    #[test]
    fn a_link_is_called_by_the_name_that_it_has() {
        let html = r#"<p>Hi <a href="https://b.org/@ana">@<span>ana</span></a>, <a href="https://b.org/x">x</a></p>"#;
        let name = |address: &str, shown: &str| {
            (address == "https://b.org/@ana").then(|| format!("{shown}@b.org"))
        };
        assert_eq!(to_text_with(html, Links::Shown, &name), "Hi @ana@b.org, x");
    }

    #[test]
    fn links_and_images_that_show_nothing_leave_nothing() {
        let html = r##"<p><a href="https://a.org"><img src="i.png" alt="a cat"></a>text <a href="#note">1</a></p>"##;
        assert_eq!(to_text(html, Links::Beside), "text 1");
    }

    #[test]
    fn what_is_struck_out_keeps_its_letters() {
        let html = "<p>Price: <del>$99</del> $49, <s>sold <b>out</b></s> <strike>@ana</strike></p>";
        let text = to_text(html, Links::Beside);
        assert_eq!(text, "Price: $99 $49, sold out @ana");
    }

    #[test]
    fn lists_tables_and_quotes_stay_readable() {
        let html = "<ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table>";
        assert_eq!(to_text(html, Links::Beside), "• one\n• two\n\na\nb");
    }

    #[test]
    fn a_tower_of_elements_is_read_in_time() {
        for tag in ["div", "blockquote", "b", "table><tr><td", "ul><li"] {
            let html = format!("{}deep", format!("<{tag}>").repeat(20_000));
            assert_eq!(to_text(&html, Links::Beside), "deep", "{tag}");
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(to_text("3 < 4 and 5 > 4", Links::Beside), "3 < 4 and 5 > 4");
    }
}

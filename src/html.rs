//! HTML as plain text that keeps its paragraphs and its links.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use html2text::render::{TaggedLineElement, TextDecorator};
use html2text::{Handle, RcDom, config};
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::TendrilSink;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{Tracer, TreeBuilderOpts};
use html5ever::{ParseOpts, parse_document};

/// Wide enough that no line is wrapped.
const WIDTH: usize = 1 << 24;
/// The most bytes of one HTML text that are read; the rest is cut.
const MAX_HTML: usize = 1 << 20;
/// The most elements that may be open at once; what is deeper is read without its markup, because
/// with each of them the parser takes longer for every tag.
const MAX_OPEN: usize = 200;
/// How many bytes are parsed before the open elements are counted anew.
const PIECE: usize = 256;
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
    // One page on which the renderer stumbles must not take a whole feed with it.
    let rendered = catch_unwind(AssertUnwindSafe(|| render(html, links, name)))
        .ok()
        .flatten();
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

/// The text of HTML that is not nested too deeply.
fn render(html: &str, links: Links, name: &Name<'_>) -> Option<String> {
    let document = document(html)?;
    let config = config::with_decorator(Plain::default())
        .raw_mode(true)
        .allow_width_overflow()
        // A stroke through each letter would tear words, tags and addresses.
        .unicode_strikeout(false);
    let tree = config.dom_to_render_tree(&document).ok()?;
    let lines = config.render_to_lines(tree, WIDTH).ok()?;
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

/// The document, unless too many of its elements are open at once.
///
/// Only the parser knows how many: of tags alone it cannot be told, since some close others, some
/// close nothing, and some stand in comments.
fn document(html: &str) -> Option<RcDom> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(RcDom::default(), options);
    let mut rest = html;
    while !rest.is_empty() {
        let piece = within(rest, PIECE);
        rest = &rest[piece.len()..];
        parser.process(piece.into());
        let open = Open::default();
        parser.tokenizer.sink.trace_handles(&open);
        if open.elements.get() > MAX_OPEN {
            return None;
        }
    }
    Some(parser.finish())
}

/// Counts what is open, and the formatting that each paragraph opens again.
#[derive(Debug, Default)]
struct Open {
    elements: Cell<usize>,
}

impl Tracer for Open {
    type Handle = Handle;

    fn trace_handle(&self, _: &Handle) {
        self.elements.set(self.elements.get() + 1);
    }
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

/// The words of HTML alone, each on a line of its own where a tag stands between them that does not
/// stand within words.
fn without_tags(html: &str) -> String {
    let queue = BufferQueue::default();
    queue.push_back(html.into());
    let tokenizer = Tokenizer::new(Words::default(), TokenizerOpts::default());
    // It stops nowhere, since no script is ever handed to it.
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.text.into_inner()
}

/// Gathers what is not markup.
#[derive(Debug, Default)]
struct Words {
    text: RefCell<String>,
    /// Whether a script or a style sheet is being read.
    is_code: Cell<bool>,
}

impl TokenSink for Words {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(words) if !self.is_code.get() => {
                self.text.borrow_mut().push_str(&words);
            }
            Token::TagToken(tag) => {
                if !INLINE.contains(&&*tag.name) {
                    self.text.borrow_mut().push('\n');
                }
                self.is_code.set(is_code(&tag));
                if self.is_code.get() {
                    return TokenSinkResult::RawData(RawKind::Rawtext);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// The elements that may stand within a word.
const INLINE: [&str; 17] = [
    "a", "abbr", "b", "code", "del", "em", "font", "i", "ins", "mark", "s", "small", "span",
    "strong", "sub", "sup", "u",
];

/// Whether a script or a style sheet begins with the tag.
fn is_code(tag: &Tag) -> bool {
    tag.kind == TagKind::StartTag && matches!(&*tag.name, "script" | "style")
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
    fn a_tower_is_one_whatever_seems_to_close_its_elements() {
        for piece in [
            "<div></p>",
            "<div/>",
            "<div><!--</div>-->",
            "<div title='</div>'>",
            "<li><dd>",
            "<svg><td>",
            "<template>",
        ] {
            let html = format!("{}deep", piece.repeat(20_000));
            assert_eq!(to_text(&html, Links::Beside), "deep", "{piece}");
        }
    }

    #[test]
    fn what_is_valid_without_end_tags_is_no_tower() {
        let table = format!("<table>{}</table>", "<tr><td>a &amp; b".repeat(300));
        assert_eq!(
            to_text(&table, Links::Beside),
            vec!["a & b"; 300].join("\n")
        );
        let list = format!("<ul>{}</ul>", "<li>one".repeat(300));
        assert_eq!(to_text(&list, Links::Beside), vec!["• one"; 300].join("\n"));
    }

    #[test]
    fn of_a_tower_the_words_are_kept() {
        let words = "<p>One &amp; one</p><p>T<b>w</b>o</p><script>if (a<b) x('</p>')</script>";
        let html = format!("{}{words}", "<div>".repeat(300));
        assert_eq!(to_text(&html, Links::Beside), "One & one\n\nTwo");
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(to_text("3 < 4 and 5 > 4", Links::Beside), "3 < 4 and 5 > 4");
    }
}

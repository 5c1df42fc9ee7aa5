//! How such a server measures a text, and how it shows it.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::super::clusters::clusters;

/// The pieces that its rule of addresses is made of: a path takes whatever is no blank and no
/// bracket, whatever script it belongs to, and a query even blanks beyond ASCII.
const PATH: &str = r"[^\s<>()?]";
const PATH_END: &str = r#"[^\s()?!*"'「」<>;:=,.$%\[\]~&|@]"#;
const QUERY: &str = r"[a-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@^\x{a0}-\x{10ffff}]";
const QUERY_END: &str = r"[a-z0-9_&=#/\-\x{a0}-\x{10ffff}]";

/// What it makes a link of: the second group, behind what may stand before one.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let pair = format!(r"\((?:{PATH}+|{PATH}*\({PATH}+\){PATH}*)\)");
    let path = format!(r"(?:{PATH}*(?:{pair}{PATH}*)*(?:{PATH_END}|{pair})|{PATH}+/)");
    let host = r"https?://[\w-]+(?:\.[\w-]+)+(?::\d+)?";
    let rule = format!(r"(?i)(^|[^a-z0-9@＠$#＃])({host}(?:/{path}*)?(?:\?{QUERY}*{QUERY_END})?)");
    Regex::new(&rule).expect("a pattern")
});

/// An account of another server: behind what may stand before it, its name alone.
static FAR_ACCOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let rule = r"(?i)(^|[^=/\w])(@[a-z0-9_]+(?:[a-z0-9_.-]*[a-z0-9_])?)@\w+(?:[.-]+\w+)*";
    Regex::new(rule).expect("a pattern")
});

/// The length by the server's own rule: in grapheme clusters, an address counts as 23,
/// `@user@host` as `@user`.
pub(super) fn length(text: &str) -> usize {
    let stand_in = format!("${{1}}{}", "x".repeat(23));
    let counted = ADDRESS.replace_all(text, stand_in);
    let counted = FAR_ACCOUNT.replace_all(&counted, "${1}${2}");
    clusters(&counted)
}

/// Where a text leads, as the server makes links of it.
pub(super) fn links(text: &str) -> Vec<String> {
    let found = ADDRESS.captures_iter(text);
    found.map(|it| it[2].to_owned()).collect()
}

/// The text as such servers show it: paragraphs, breaks, links cut into spans, mentions.
pub(super) fn html(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|part| !part.trim().is_empty());
    paragraphs
        .map(|paragraph| {
            let lines: Vec<String> = paragraph.lines().map(line).collect();
            format!("<p>{}</p>", lines.join("<br />"))
        })
        .collect()
}

fn line(line: &str) -> String {
    let mut shown = String::new();
    let mut copied = 0;
    for found in ADDRESS.captures_iter(line) {
        let address = found.get(2).expect("a group that always matches");
        shown.push_str(&words(&line[copied..address.start()]));
        shown.push_str(&link(address.as_str()));
        copied = address.end();
    }
    shown.push_str(&words(&line[copied..]));
    shown
}

fn words(words: &str) -> String {
    let words: Vec<String> = words.split(' ').map(word).collect();
    words.join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn link(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let cut = rest.char_indices().nth(30).map_or(rest.len(), |(at, _)| at);
    let (shown, hidden) = rest.split_at(cut);
    let class = if hidden.is_empty() { "" } else { "ellipsis" };
    let [address, shown, hidden] = [address, shown, hidden].map(escaped);
    format!(
        "<a href=\"{address}\" target=\"_blank\" rel=\"nofollow noopener\"><span class=\"invisible\">{scheme}://</span><span class=\"{class}\">{shown}</span><span class=\"invisible\">{hidden}</span></a>"
    )
}

fn word(word: &str) -> String {
    let escaped = escaped(word);
    if let Some((user, rest)) = escaped.strip_prefix('@').and_then(|it| it.split_once('@')) {
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "-.".contains(char)));
        let (host, rest) = rest.split_at(end.unwrap_or(rest.len()));
        return format!(
            "<span class=\"h-card\"><a href=\"https://{host}/@{user}\" class=\"u-url mention\">@<span>{user}</span></a></span>{rest}"
        );
    }
    if let Some(tag) = escaped.strip_prefix('#').filter(|tag| !tag.is_empty()) {
        return format!(
            "<a href=\"https://simulated.example/tags/{tag}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
        );
    }
    escaped
}

/// Whom a text mentions, as the server lists them.
pub(super) fn mentions(text: &str) -> Vec<Value> {
    let mention = |word: &str| {
        let (user, rest) = word.strip_prefix('@')?.split_once('@')?;
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "-.".contains(char)));
        let host = &rest[..end.unwrap_or(rest.len())];
        Some(json!({
            "id": "8",
            "username": user,
            "acct": format!("{user}@{host}"),
            "url": format!("https://{host}/@{user}"),
        }))
    };
    text.split_whitespace().filter_map(mention).collect()
}

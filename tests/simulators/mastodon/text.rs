//! How such a server measures a text, and how it shows it.

use serde_json::{Value, json};

/// The length by the server's own rule: an address counts as 23, `@user@host` as `@user`.
///
/// Clusters are approximated: joiners, marks and variation selectors count nothing.
pub(super) fn length(text: &str) -> usize {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            let space = word.chars().count() - bare.chars().count();
            if bare.starts_with("http://") || bare.starts_with("https://") {
                return 23 + space;
            }
            match bare.strip_prefix('@').and_then(|it| it.split_once('@')) {
                Some((user, _)) => 1 + user.chars().count() + space,
                None => bare.chars().filter(|char| !joins(*char)).count() + space,
            }
        })
        .sum()
}

fn joins(char: char) -> bool {
    matches!(char, '\u{200d}' | '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// The text as such servers show it: paragraphs, breaks, addresses cut into spans, mentions.
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
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let escaped = word
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    if let Some(rest) = escaped.strip_prefix("https://") {
        let cut = rest.char_indices().nth(30).map_or(rest.len(), |(at, _)| at);
        let (shown, hidden) = rest.split_at(cut);
        let class = if hidden.is_empty() { "" } else { "ellipsis" };
        return format!(
            "<a href=\"{escaped}\" target=\"_blank\" rel=\"nofollow noopener\"><span class=\"invisible\">https://</span><span class=\"{class}\">{shown}</span><span class=\"invisible\">{hidden}</span></a>"
        );
    }
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

//! What a line of a file says.

use babelfeed_actors::domain::{Language, Post, Timestamp};
use serde::Deserialize;

use super::FileConfig;

/// How the lines of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each is a JSON object.
    Json,
    /// Each is a text, or a JSON object if it begins with `{`.
    Plain,
}

/// What became of a line.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The post, if the line holds one; its id is empty if the line tells none.
    pub(super) post: Option<Post>,
    /// What is wrong with the line.
    pub(super) warning: Option<String>,
}

#[derive(Deserialize)]
struct JsonLine {
    id: Option<Id>,
    text: String,
    language: Option<String>,
    url: Option<String>,
    created_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

impl Shape {
    /// The shape that the file's name tells.
    pub(super) fn of(config: &FileConfig) -> Self {
        let extension = config.path.extension().and_then(|name| name.to_str());
        match extension {
            Some("jsonl" | "ndjson") => Self::Json,
            _ => Self::Plain,
        }
    }

    /// Reads a line without its newline.
    pub(super) fn read(self, config: &FileConfig, bytes: &[u8]) -> Read {
        let Ok(line) = std::str::from_utf8(bytes) else {
            return Read::warning("is not UTF-8");
        };
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            return Read::default();
        }
        if self == Self::Json || line.starts_with('{') {
            return read_json(config, line);
        }
        Read {
            post: Some(post(config, String::new(), line.to_owned())),
            warning: None,
        }
    }
}

impl Read {
    fn warning(text: impl Into<String>) -> Self {
        Self {
            post: None,
            warning: Some(text.into()),
        }
    }
}

fn read_json(config: &FileConfig, line: &str) -> Read {
    let json: JsonLine = match serde_json::from_str(line) {
        Ok(json) => json,
        Err(error) => {
            return Read::warning(format!(
                "is no JSON object like {{\"id\": …, \"text\": …}}: {error}"
            ));
        }
    };
    if json.text.trim().is_empty() {
        return Read::warning("has no text");
    }
    let mut warning = None;
    let id = json.id.map(Id::into_text).unwrap_or_default();
    let mut post = post(config, id, json.text);
    post.url = json.url.filter(|url| !url.is_empty());
    if let Some(tag) = json.language {
        match tag.parse::<Language>() {
            Ok(language) => post.language = Some(language),
            Err(error) => warning = Some(error.to_string()),
        }
    }
    if let Some(time) = json.created_at {
        post.created_at = Timestamp::parse(&time);
        if post.created_at.is_none() {
            warning = Some(format!(
                "`{time}` is no time, expected something like `2026-11-21T12:05:00Z`"
            ));
        }
    }
    Read {
        post: Some(post),
        warning,
    }
}

fn post(config: &FileConfig, id: String, text: String) -> Post {
    Post {
        language: config.language.clone(),
        ..Post::new(config.name.clone(), id, text)
    }
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

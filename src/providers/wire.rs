//! The error bodies of providers, whatever their shape, as one type.

use serde_json::Value;

/// What an error body says.
///
/// Shapes: `error` as an object or a text; no `error` but the same fields flat; `code` as a
/// number, a text or null; the whole wrapped in a list; and bodies that are no JSON at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// What a person reads; never empty when built from a body that is not.
    pub(super) message: String,
    /// The `type`, in lowercase.
    pub(super) kind: String,
    /// The `code`, in lowercase, whether number or text.
    pub(super) code: String,
    /// The field that is complained about.
    pub(super) param: String,
    /// Google's `details`.
    pub(super) details: Vec<Value>,
}

impl ErrorBody {
    /// Reads the body of an answer that is an error.
    pub(super) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|value| Self::from_value(&value))
            .unwrap_or_else(|| Self {
                message: one_line(&readable(&String::from_utf8_lossy(body))),
                ..Self::default()
            })
    }

    /// Reads a body whose status says success and whose content may not.
    pub(super) fn inside(value: &Value) -> Option<Self> {
        let has_error = value.get("error").is_some_and(|error| !error.is_null());
        has_error.then(|| Self::from_value(value)).flatten()
    }

    fn from_value(value: &Value) -> Option<Self> {
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        let error = value.get("error").unwrap_or(value);
        if let Some(message) = error.as_str() {
            return Some(Self {
                message: one_line(message),
                ..Self::default()
            });
        }
        let field = |name: &str| error.get(name).map(plain).unwrap_or_default();
        let message = ["message", "explanation", "detail"]
            .into_iter()
            .map(field)
            .find(|message| !message.is_empty())?;
        Some(Self {
            message: one_line(&message),
            kind: field("type").to_lowercase(),
            code: field("code").to_lowercase(),
            param: field("param"),
            details: error
                .get("details")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        })
    }

    /// Whether the message has one of these words, all in lowercase.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// Whether one of these fields is complained about.
    pub(super) fn is_about(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.param.starts_with(field)) || self.mentions(fields)
    }

    /// Whether code or type is one of these.
    pub(super) fn is_any(&self, names: &[&str]) -> bool {
        names.contains(&self.code.as_str()) || names.contains(&self.kind.as_str())
    }
}

/// A scalar as text; nothing for what is no scalar.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A page of HTML without its tags.
fn readable(body: &str) -> String {
    if !body.trim_start().starts_with('<') {
        return body.to_owned();
    }
    let mut text = String::new();
    let mut is_tag = false;
    for letter in body.chars().take(4_096) {
        match letter {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            _ if !is_tag => text.push(letter),
            _ => {}
        }
    }
    text
}

/// The beginning of a text, on one line, for a person to read.
pub(super) fn excerpt(text: &str) -> String {
    one_line(text).chars().take(300).collect()
}

/// A text on one line; waits and reasons stand at the end of long messages.
fn one_line(text: &str) -> String {
    let words = text
        .split_whitespace()
        .take(400)
        .collect::<Vec<_>>()
        .join(" ");
    words.chars().take(4_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_body_is_read() {
        for (body, message, kind, code) in [
            (
                r#"{"error":{"message":"m","type":"T","param":null,"code":null}}"#,
                "m",
                "t",
                "",
            ),
            (
                r#"{"error":{"message":"m","type":"t","code":"c"}}"#,
                "m",
                "t",
                "c",
            ),
            (
                r#"{"error":{"code":400,"message":"m","type":"t"}}"#,
                "m",
                "t",
                "400",
            ),
            (
                r#"{"object":"error","message":"m","type":"t","param":null,"code":400}"#,
                "m",
                "t",
                "400",
            ),
            (r#"{"error":"m"}"#, "m", "", ""),
            (
                r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#,
                "m",
                "",
                "503",
            ),
            (
                r#"{"status":"error","code":400,"message":"m","explanation":"e"}"#,
                "m",
                "",
                "400",
            ),
            (
                "<html><h1>502 Bad\n Gateway</h1></html>",
                "502 Bad Gateway",
                "",
                "",
            ),
            ("upstream gone", "upstream gone", "", ""),
            ("", "", "", ""),
        ] {
            let error = ErrorBody::parse(body.as_bytes());
            assert_eq!(
                (&*error.message, &*error.kind, &*error.code),
                (message, kind, code),
                "{body}"
            );
        }
    }

    #[test]
    fn an_error_inside_a_success_is_seen() {
        let value = serde_json::json!({"error": {"message": "overloaded", "code": 502}});
        assert!(ErrorBody::inside(&value).is_some());
        assert!(ErrorBody::inside(&serde_json::json!({"error": null, "choices": []})).is_none());
    }
}

//! Questions and answers as each dialect writes them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::admission::Cost;
use super::plan::Dialect;

/// What a call asks for.
pub(super) struct Question {
    /// The content of the last message of the user.
    pub(super) content: String,
    /// The most tokens that the answer may have, where the call says so.
    pub(super) max_tokens: Option<u64>,
}

/// The texts of a call.
#[derive(Deserialize)]
pub(super) struct Content<'a> {
    /// The language wanted.
    #[serde(borrow, default)]
    pub(super) target: Cow<'a, str>,
    /// The texts.
    #[serde(borrow)]
    pub(super) items: Vec<Item<'a>>,
}

/// One text, there or back.
#[derive(Serialize, Deserialize)]
pub(super) struct Item<'a> {
    /// What it is matched by.
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    /// The words.
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// By itself.
    Stop,
    /// At its limit of tokens.
    Length,
}

/// Why a call was not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misunderstood {
    /// It is no JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Nobody asks anything.
    #[error("expected a message of the user")]
    NoUserMessage,
}

/// Returns the path on which a dialect is spoken.
pub(super) const fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi | Dialect::Groq | Dialect::Silent => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
        Dialect::Gemini => "/v1beta/models/simulated:generateContent",
    }
}

/// Returns what a body asks for.
pub(super) fn question(dialect: Dialect, body: &[u8]) -> Result<Question, Misunderstood> {
    match dialect {
        Dialect::Gemini => gemini_question(body),
        _ => chat_question(body),
    }
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    messages: Vec<ChatMessage<'a>>,
    max_completion_tokens: Option<u64>,
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

fn chat_question(body: &[u8]) -> Result<Question, Misunderstood> {
    let completion: Completion<'_> = serde_json::from_slice(body)?;
    let message = completion
        .messages
        .iter()
        .rev()
        .find(|message| message.role == "user")
        .ok_or(Misunderstood::NoUserMessage)?;
    let content = message.content.get();
    let content = match content.starts_with('[') {
        true => joined(serde_json::from_str(content)?),
        false => serde_json::from_str(content)?,
    };
    Ok(Question {
        content,
        max_tokens: completion.max_completion_tokens.or(completion.max_tokens),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateContent {
    contents: Vec<GeminiContent>,
    #[serde(default)]
    generation_config: GenerationConfig,
}

#[derive(Deserialize)]
struct GeminiContent {
    #[serde(default)]
    role: Option<String>,
    parts: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: Option<u64>,
}

fn gemini_question(body: &[u8]) -> Result<Question, Misunderstood> {
    let asked: GenerateContent = serde_json::from_slice(body)?;
    let last = asked
        .contents
        .into_iter()
        .rev()
        .find(|content| content.role.as_deref().is_none_or(|role| role == "user"))
        .ok_or(Misunderstood::NoUserMessage)?;
    Ok(Question {
        content: joined(last.parts),
        max_tokens: asked.generation_config.max_output_tokens,
    })
}

fn joined(parts: Vec<Part>) -> String {
    parts.into_iter().map(|part| part.text).collect()
}

/// Writes the body of an answer with this content.
pub(super) fn write_answer(
    dialect: Dialect,
    content: &str,
    finish: Finish,
    used: Cost,
    body: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let Cost {
        tokens_in,
        tokens_out,
    } = used;
    let n_tokens = tokens_in + tokens_out;
    let is_whole = finish == Finish::Stop;
    let (before, after) = match dialect {
        Dialect::Anthropic => (
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"simulated","content":[{"type":"text","text":"#,
            format!(
                r#"}}],"stop_reason":"{}","usage":{{"input_tokens":{tokens_in},"output_tokens":{tokens_out},"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}}}"#,
                if is_whole { "end_turn" } else { "max_tokens" }
            ),
        ),
        Dialect::Gemini => (
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"#,
            format!(
                r#"}}]}},"finishReason":"{}","index":0}}],"usageMetadata":{{"promptTokenCount":{tokens_in},"candidatesTokenCount":{tokens_out},"totalTokenCount":{n_tokens}}},"modelVersion":"simulated","responseId":"r1"}}"#,
                if is_whole { "STOP" } else { "MAX_TOKENS" }
            ),
        ),
        Dialect::OpenAi | Dialect::Groq | Dialect::Silent => (
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"simulated","choices":[{"index":0,"message":{"role":"assistant","content":"#,
            format!(
                r#"}},"finish_reason":"{}"}}],"usage":{{"prompt_tokens":{tokens_in},"completion_tokens":{tokens_out},"total_tokens":{n_tokens}}}}}"#,
                if is_whole { "stop" } else { "length" }
            ),
        ),
    };
    body.clear();
    body.extend_from_slice(before.as_bytes());
    serde_json::to_writer(&mut *body, content)?;
    body.extend_from_slice(after.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str = r#"{"target":"es","items":[{"id":"a","text":"one \"x\""}]}"#;

    #[test]
    fn the_last_message_of_the_user_is_read_in_every_dialect() {
        let messages = serde_json::json!([
            {"role": "user", "content": "an older message"},
            {"role": "user", "content": CONTENT},
        ]);
        let parts = serde_json::json!([{"type": "text", "text": CONTENT}]);
        for (dialect, body, max_tokens) in [
            (
                Dialect::OpenAi,
                serde_json::json!({"messages": messages, "max_completion_tokens": 9}),
                Some(9),
            ),
            (
                Dialect::Anthropic,
                serde_json::json!({"messages": [{"role": "user", "content": parts}], "max_tokens": 8}),
                Some(8),
            ),
            (
                Dialect::Gemini,
                serde_json::json!({
                    "contents": [{"role": "user", "parts": [{"text": CONTENT}]}],
                    "generationConfig": {"maxOutputTokens": 7},
                }),
                Some(7),
            ),
            (
                Dialect::Groq,
                serde_json::json!({"messages": messages}),
                None,
            ),
        ] {
            let question = question(dialect, body.to_string().as_bytes()).unwrap();

            assert_eq!(question.content, CONTENT, "{dialect:?}");
            assert_eq!(question.max_tokens, max_tokens, "{dialect:?}");
        }
    }

    #[test]
    fn every_dialect_answers_with_json_that_holds_the_content_and_its_tokens() {
        let used = Cost {
            tokens_in: 11,
            tokens_out: 5,
        };
        for (dialect, content, tokens) in [
            (
                Dialect::OpenAi,
                "/choices/0/message/content",
                "/usage/completion_tokens",
            ),
            (
                Dialect::Anthropic,
                "/content/0/text",
                "/usage/output_tokens",
            ),
            (
                Dialect::Gemini,
                "/candidates/0/content/parts/0/text",
                "/usageMetadata/candidatesTokenCount",
            ),
        ] {
            let mut body = Vec::new();

            write_answer(dialect, CONTENT, Finish::Length, used, &mut body).unwrap();

            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(answer.pointer(content).unwrap(), CONTENT);
            assert_eq!(answer.pointer(tokens).unwrap(), 5);
        }
    }

    #[test]
    fn a_call_without_a_question_is_misunderstood() {
        for dialect in [Dialect::OpenAi, Dialect::Gemini] {
            assert!(question(dialect, b"{}").is_err());
        }
        assert!(question(Dialect::OpenAi, br#"{"messages":[]}"#).is_err());
    }
}

//! The body of a call, in the shape that the server takes.

use std::sync::LazyLock;

use babelfeed_actors::ports::Pack;
use serde::Serialize;
use serde_json::value::RawValue;

use super::AnthropicConfig;
use crate::providers::prompt::{self, Family};
use crate::providers::wire::ErrorBody;

/// Which of the optional fields a server takes; it only ever becomes plainer.
///
/// No `temperature`, `top_p` or `top_k` is ever sent: since 2026-10-21 each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    is_current: bool,
    has_schema: bool,
    has_effort: bool,
}

impl Shape {
    pub(super) fn new(config: &AnthropicConfig) -> Self {
        Self {
            is_current: true,
            has_schema: true,
            has_effort: config.effort.is_some(),
        }
    }

    /// Whether the newest version of the API is spoken.
    pub(super) const fn is_current(self) -> bool {
        self.is_current
    }

    /// The shape without what this error is about, if it is about the form of the call.
    pub(super) fn without_what_is_refused(
        mut self,
        status: u16,
        error: &ErrorBody,
    ) -> Option<Self> {
        if !matches!(status, 400 | 422) {
            return None;
        }
        // `output_config` is named in complaints about both of its fields.
        let field = if error.mentions(&["anthropic-version", "anthropic_version"]) {
            &mut self.is_current
        } else if error.mentions(&["effort"]) {
            &mut self.has_effort
        } else if error.mentions(&["output_config", "output_format", "json_schema"]) {
            if !self.has_schema {
                &mut self.has_effort
            } else {
                &mut self.has_schema
            }
        } else {
            return None;
        };
        std::mem::take(field).then_some(self)
    }
}

/// The JSON of a call.
pub(super) fn body(config: &AnthropicConfig, shape: Shape, pack: &Pack) -> Vec<u8> {
    let question = prompt::question(pack);
    let effort = config.effort.as_deref().filter(|_| shape.has_effort);
    let format = shape.has_schema.then_some(&**FORMAT);
    let body = Body {
        model: &config.model,
        max_tokens: config
            .max_tokens
            .unwrap_or_else(|| prompt::answer_tokens(pack)),
        system: Family::Anthropic.system_json(),
        messages: [Message {
            role: "user",
            content: &question,
        }],
        output_config: (format.is_some() || effort.is_some())
            .then_some(OutputConfig { format, effort }),
    };
    serde_json::to_vec(&body).expect("texts and numbers always become JSON")
}

static FORMAT: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    let format = serde_json::json!({"type": "json_schema", "schema": prompt::schema()});
    RawValue::from_string(format.to_string()).expect("a JSON value shows as JSON")
});

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    system: &'a RawValue,
    messages: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusing(message: &str) -> ErrorBody {
        ErrorBody {
            message: message.to_owned(),
            ..ErrorBody::default()
        }
    }

    #[test]
    fn what_is_refused_is_left_out_step_by_step() {
        let mut shape = Shape::new(&AnthropicConfig::new("http://h", "m"));
        for message in [
            "anthropic-version: \"2026-10-21\" is not a valid version",
            "output_config: Extra inputs are not permitted",
            "output_config: Extra inputs are not permitted",
        ] {
            shape = shape
                .without_what_is_refused(400, &refusing(message))
                .expect(message);
        }
        let again = refusing("output_config: Extra inputs are not permitted");
        assert_eq!(shape.without_what_is_refused(400, &again), None);
    }

    #[test]
    fn what_is_not_about_the_form_changes_nothing() {
        let shape = Shape::new(&AnthropicConfig::new("http://h", "m"));
        for (status, message) in [
            (500, "output_config"),
            (400, "messages: at least one message is required"),
            (429, "effort"),
        ] {
            assert_eq!(
                shape.without_what_is_refused(status, &refusing(message)),
                None
            );
        }
    }
}

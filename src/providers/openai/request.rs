//! The body of a call, in the shape that the server takes.

use babelfeed_actors::ports::Pack;
use serde_json::{Value, json};

use super::{OpenAiConfig, Structure};
use crate::providers::prompt;
use crate::providers::wire::ErrorBody;

/// Which of the optional fields a server takes; it only ever becomes plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    structure: Structure,
    limit: Limit,
    has_temperature: bool,
    has_effort: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Completion,
    Legacy,
    Absent,
}

impl Shape {
    pub(super) fn new(config: &OpenAiConfig) -> Self {
        Self {
            structure: config.structure,
            limit: Limit::Completion,
            has_temperature: config.temperature.is_some(),
            has_effort: config.reasoning_effort.is_some(),
        }
    }

    /// The shape without the field that this error is about, if it is about one.
    pub(super) fn without_what_is_refused(
        mut self,
        status: u16,
        error: &ErrorBody,
    ) -> Option<Self> {
        // Groq's `json_validate_failed` is about the model's answer, not about the form.
        if !matches!(status, 400 | 422 | 501) || error.is_any(&["json_validate_failed"]) {
            return None;
        }
        let is_about = |fields: &[&str]| {
            fields.iter().any(|field| error.param.starts_with(field)) || error.mentions(fields)
        };
        if is_about(&["temperature"]) && self.has_temperature {
            self.has_temperature = false;
        } else if is_about(&["reasoning_effort", "reasoning effort"]) && self.has_effort {
            self.has_effort = false;
        } else if is_about(&["max_completion_tokens", "max_tokens"]) && self.limit != Limit::Absent
        {
            self.limit = match self.limit {
                Limit::Completion => Limit::Legacy,
                _ => Limit::Absent,
            };
        } else if is_about(&[
            "response_format",
            "response format",
            "json_schema",
            "json_object",
        ]) {
            self.structure = match self.structure {
                Structure::Schema => Structure::Object,
                Structure::Object => Structure::Prompt,
                Structure::Prompt => return None,
            };
        } else {
            return None;
        }
        Some(self)
    }
}

/// The JSON of a call.
pub(super) fn body(config: &OpenAiConfig, shape: Shape, pack: &Pack) -> Vec<u8> {
    let mut body = json!({
        "model": config.model,
        "messages": [
            {"role": "system", "content": prompt::SYSTEM},
            {"role": "user", "content": prompt::question(pack)},
        ],
        "stream": false,
    });
    let max_tokens = config
        .max_tokens
        .unwrap_or_else(|| prompt::answer_tokens(pack));
    match shape.limit {
        Limit::Completion => body["max_completion_tokens"] = max_tokens.into(),
        Limit::Legacy => body["max_tokens"] = max_tokens.into(),
        Limit::Absent => {}
    }
    if let Some(temperature) = config.temperature.filter(|_| shape.has_temperature) {
        body["temperature"] = temperature.into();
    }
    if let Some(effort) = config
        .reasoning_effort
        .as_ref()
        .filter(|_| shape.has_effort)
    {
        body["reasoning_effort"] = effort.as_str().into();
    }
    if let Some(format) = response_format(shape.structure) {
        body["response_format"] = format;
    }
    body.to_string().into_bytes()
}

fn response_format(structure: Structure) -> Option<Value> {
    match structure {
        Structure::Schema => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": "translation", "strict": true, "schema": prompt::schema()},
        })),
        Structure::Object => Some(json!({"type": "json_object"})),
        Structure::Prompt => None,
    }
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
    fn a_refused_field_is_left_out_step_by_step() {
        let mut config = OpenAiConfig::new("http://h", "m");
        config.reasoning_effort = Some("none".to_owned());
        let mut shape = Shape::new(&config);
        for message in [
            "Unsupported value: 'temperature' does not support 0.2 with this model",
            "unknown field reasoning_effort",
            "Unsupported parameter: 'max_completion_tokens'",
            "Unsupported parameter: 'max_tokens'",
            "This model does not support response format `json_schema`",
            "response_format is not supported",
        ] {
            shape = shape
                .without_what_is_refused(400, &refusing(message))
                .expect(message);
        }
        let format = refusing("response_format is not supported");
        assert_eq!(shape.without_what_is_refused(400, &format), None);
    }

    #[test]
    fn what_is_not_about_the_form_changes_nothing() {
        let shape = Shape::new(&OpenAiConfig::new("http://h", "m"));
        let about_format = refusing("response_format is not supported");
        assert_eq!(shape.without_what_is_refused(500, &about_format), None);
        assert_eq!(
            shape.without_what_is_refused(400, &refusing("bad request")),
            None
        );
        let mut invalid = refusing("Failed to validate JSON for json_schema");
        invalid.code = "json_validate_failed".to_owned();
        assert_eq!(shape.without_what_is_refused(400, &invalid), None);
    }
}

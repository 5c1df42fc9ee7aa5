//! The body of a call, in the shape that the server takes.

use std::sync::LazyLock;

use babelfeed_actors::ports::Pack;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::classify::{BOUNDS, is_too_large};
use super::house::House;
use super::{OpenAiConfig, Structure};
use crate::providers::prompt::{self, Family};
use crate::providers::wire::ErrorBody;

/// Which of the optional fields a server takes; it only ever becomes plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    structure: Structure,
    limit: Limit,
    has_temperature: bool,
    effort: Effort,
    declines_thoughts: bool,
}

/// How the server is told how long to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// As the settings say.
    Settings,
    /// As its house and the model want it: the first of these; not at all where there is none.
    House(&'static [&'static str]),
}

impl Effort {
    /// What is tried where this is refused; none where nothing is said.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Settings => Some(Self::House(&[])),
            Self::House([_, rest @ ..]) => Some(Self::House(rest)),
            Self::House([]) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Completion,
    Legacy,
    Absent,
}

impl Shape {
    pub(super) fn new(config: &OpenAiConfig, house: House) -> Self {
        let model = config.model.as_str();
        let effort = match config.reasoning_effort {
            Some(_) => Effort::Settings,
            None => Effort::House(house.efforts(model)),
        };
        Self {
            structure: config.structure,
            limit: Limit::Completion,
            has_temperature: config.temperature.is_some() && house.takes_temperature(model),
            effort,
            declines_thoughts: house.shows_thoughts(model),
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
        if is_too_large(error) {
            // The field is known, and its value was too much for this call.
            return None;
        }
        let is_about = |fields: &[&str]| error.is_about(fields);
        if is_about(&["temperature"]) && self.has_temperature {
            self.has_temperature = false;
        } else if is_about(&["include_reasoning"]) && self.declines_thoughts {
            self.declines_thoughts = false;
        } else if is_about(&["reasoning_effort", "reasoning effort"])
            && let Some(effort) = self.effort.next()
        {
            self.effort = effort;
        } else if is_about(&BOUNDS) && self.limit != Limit::Absent {
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

/// The bytes that what is neither prompt nor question takes at most, mostly the form of the answer.
const REST: usize = 1_024;

/// The JSON of a call.
pub(super) fn body(config: &OpenAiConfig, shape: Shape, pack: &Pack) -> Vec<u8> {
    let question = prompt::question(pack);
    let max_tokens = prompt::most_tokens(pack, config.max_tokens);
    let body = Body {
        model: &config.model,
        messages: (
            Message {
                role: "system",
                content: Family::OpenAi.system_json(),
            },
            Message {
                role: "user",
                content: &question,
            },
        ),
        stream: false,
        max_completion_tokens: (shape.limit == Limit::Completion).then_some(max_tokens),
        max_tokens: (shape.limit == Limit::Legacy).then_some(max_tokens),
        temperature: config.temperature.filter(|_| shape.has_temperature),
        reasoning_effort: match shape.effort {
            Effort::Settings => config.reasoning_effort.as_deref(),
            Effort::House(efforts) => efforts.first().copied(),
        },
        include_reasoning: shape.declines_thoughts.then_some(false),
        response_format: match shape.structure {
            Structure::Schema => Some(&SCHEMA_FORMAT),
            Structure::Object => Some(&OBJECT_FORMAT),
            Structure::Prompt => None,
        },
    };
    let system = Family::OpenAi.system_json().get();
    let mut json = Vec::with_capacity(system.len() + 2 * question.len() + REST);
    serde_json::to_writer(&mut json, &body).expect("texts and numbers always become JSON");
    json
}

static SCHEMA_FORMAT: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    raw(&json!({
        "type": "json_schema",
        "json_schema": {"name": "translation", "strict": true, "schema": prompt::schema()},
    }))
});

static OBJECT_FORMAT: LazyLock<Box<RawValue>> =
    LazyLock::new(|| raw(&json!({"type": "json_object"})));

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a JSON value shows as JSON")
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: (Message<&'a RawValue>, Message<&'a str>),
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_reasoning: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Message<C> {
    role: &'static str,
    content: C,
}

#[cfg(test)]
mod tests {
    use super::super::classify::TOO_MUCH;
    use super::*;
    use babelfeed_actors::domain::Pair;

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
        let mut shape = Shape::new(&config, House::Unknown);
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
    fn a_bound_that_is_too_much_for_one_call_stays_in_the_next() {
        let shape = Shape::new(&OpenAiConfig::new("http://h", "m"), House::Unknown);
        for (param, message) in TOO_MUCH {
            let mut error = refusing(message);
            error.param = param.to_owned();
            assert_eq!(
                shape.without_what_is_refused(400, &error),
                None,
                "{message}"
            );
        }
        let temperature = refusing("temperature may be at most 0.1");
        assert!(shape.without_what_is_refused(400, &temperature).is_some());
    }

    fn sent(house: House, model: &str) -> Value {
        let config = OpenAiConfig::new("http://h", model);
        sent_in(Shape::new(&config, house), &config)
    }

    fn sent_in(shape: Shape, config: &OpenAiConfig) -> Value {
        let pack = Pack {
            pair: Pair {
                source: None,
                target: "es".parse().expect("a tag"),
            },
            items: Vec::new(),
            max_tokens: Some(77),
            guide: None,
        };
        let body = body(config, shape, &pack);
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn each_house_is_told_how_to_think_and_no_other() {
        let openai = sent(House::OpenAi, "gpt-5.4");
        assert_eq!(openai["reasoning_effort"], "none");
        assert_eq!(openai["temperature"], Value::Null);
        assert_eq!(openai["max_completion_tokens"], 77);
        let groq = sent(House::Groq, "openai/gpt-oss-20b");
        assert_eq!(groq["reasoning_effort"], "low");
        assert_eq!(groq["include_reasoning"], false);
        let ollama = sent(House::Ollama, "qwen3");
        assert_eq!(ollama["reasoning_effort"], "none");
        let unknown = sent(House::Unknown, "gpt-5.4");
        assert_eq!(unknown["temperature"], 0.2);
        assert_eq!(unknown.get("reasoning_effort"), None);
        assert_eq!(unknown.get("include_reasoning"), None);
    }

    #[test]
    fn a_model_that_cannot_do_without_thoughts_thinks_little_or_as_it_likes() {
        let config = OpenAiConfig::new("http://h", "gpt-5.2-pro");
        let mut shape = Shape::new(&config, House::OpenAi);
        for (refused, next) in [("none", Value::from("low")), ("low", Value::Null)] {
            let mut error = refusing(&format!(
                "Unsupported value: 'reasoning_effort' does not support '{refused}' with this model. Supported values are: 'medium', 'high', and 'xhigh'."
            ));
            error.param = "reasoning_effort".to_owned();
            shape = shape
                .without_what_is_refused(400, &error)
                .expect("a plainer shape");
            assert_eq!(sent_in(shape, &config)["reasoning_effort"], next);
        }
        let error = refusing("Unsupported parameter: 'reasoning_effort'");
        assert_eq!(shape.without_what_is_refused(400, &error), None);
    }

    #[test]
    fn what_is_not_about_the_form_changes_nothing() {
        let shape = Shape::new(&OpenAiConfig::new("http://h", "m"), House::Unknown);
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

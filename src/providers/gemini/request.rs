//! The body of a call, in the shape that the model takes.

use babelfeed_actors::ports::Pack;
use serde_json::{Value, json};

use super::GeminiConfig;
use crate::providers::prompt::{self, Family};
use crate::providers::wire::ErrorBody;

/// News is blocked at the default thresholds, so every category is switched off.
const CATEGORIES: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// The room for thoughts of a model that cannot do without, or does not: they count as output, and
/// Google limits what is sent alone.
const THINKING_ROOM: u32 = 4_096;

/// Which of the optional fields a model takes; it only ever becomes plainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    thinking: Thinking,
    has_schema: bool,
    has_safety: bool,
}

/// How a model is told how long to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    /// Not at all.
    Off,
    /// Little, where it cannot do without.
    Low,
    /// As it likes, where it takes no word about it.
    Free,
}

/// What a model has made so far of a budget of no thoughts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ZeroBudget {
    /// No call with it was answered yet.
    #[default]
    Unanswered,
    /// It takes it, and did not think.
    Kept,
    /// It takes it, and thought all the same, as some models do where a text is hard.
    Exceeded,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            thinking: Thinking::Off,
            has_schema: true,
            has_safety: true,
        }
    }
}

impl Shape {
    /// The room for thoughts beside an answer.
    pub(super) const fn room(self, zero_budget: ZeroBudget) -> u32 {
        match (self.thinking, zero_budget) {
            (Thinking::Off, ZeroBudget::Unanswered | ZeroBudget::Kept) => 0,
            (Thinking::Off, ZeroBudget::Exceeded) | (Thinking::Low | Thinking::Free, _) => {
                THINKING_ROOM
            }
        }
    }

    /// Whether the model is given a budget of no thoughts.
    pub(super) fn has_zero_budget(self) -> bool {
        self.thinking == Thinking::Off
    }

    /// The shape that lets a model think a little, where this error may mean that it cannot do
    /// without: some models say no more of it than that an argument is invalid.
    pub(super) fn thinking_if_it_must(self, status: u16, error: &ErrorBody) -> Option<Self> {
        let names_a_field = |detail: &Value| detail.get("fieldViolations").is_some();
        let names_nothing = error.mentions(&["request contains an invalid argument"])
            && !error.details.iter().any(names_a_field);
        (status == 400 && names_nothing && self.has_zero_budget()).then_some(Self {
            thinking: Thinking::Low,
            ..self
        })
    }

    /// The shape without the field that this error is about, if it is about one.
    pub(super) fn without_what_is_refused(
        mut self,
        status: u16,
        error: &ErrorBody,
    ) -> Option<Self> {
        if status != 400 {
            return None;
        }
        if error.mentions(&["thinking", "budget"]) {
            self.thinking = match self.thinking {
                Thinking::Off => Thinking::Low,
                Thinking::Low => Thinking::Free,
                Thinking::Free => return None,
            };
            return Some(self);
        }
        let field = if error.mentions(&["schema"]) {
            &mut self.has_schema
        } else if error.mentions(&["safety"]) {
            &mut self.has_safety
        } else {
            return None;
        };
        std::mem::take(field).then_some(self)
    }
}

/// The JSON of a call with so much room for thoughts; `token` continues an answer.
pub(super) fn body(
    config: &GeminiConfig,
    shape: Shape,
    room: u32,
    pack: &Pack,
    token: Option<&str>,
) -> Vec<u8> {
    let mut body = json!({
        "systemInstruction": {"parts": [{"text": Family::Gemini.system()}]},
        "contents": [{"role": "user", "parts": [{"text": prompt::question(pack)}]}],
        "generationConfig": generation(config, shape, room, pack),
    });
    if shape.has_safety {
        let off = |category: &&str| json!({"category": category, "threshold": "OFF"});
        body["safetySettings"] = CATEGORIES.iter().map(off).collect();
    }
    if let Some(token) = token {
        body["continuationToken"] = token.into();
    }
    body.to_string().into_bytes()
}

fn generation(config: &GeminiConfig, shape: Shape, room: u32, pack: &Pack) -> Value {
    let wanted = prompt::most_tokens(pack, config.max_tokens);
    let most = config.max_tokens.unwrap_or(u32::MAX);
    let mut generation = json!({
        "candidateCount": 1,
        "maxOutputTokens": wanted.saturating_add(room).min(most),
        "responseMimeType": "application/json",
    });
    if let Some(temperature) = config.temperature {
        generation["temperature"] = temperature.into();
    }
    if shape.has_schema {
        generation["responseJsonSchema"] = prompt::schema();
    }
    match shape.thinking {
        Thinking::Off => generation["thinkingConfig"] = json!({"thinkingBudget": 0}),
        Thinking::Low => generation["thinkingConfig"] = json!({"thinkingLevel": "LOW"}),
        Thinking::Free => {}
    }
    generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_field_is_left_out_step_by_step() {
        let error = |message: &str| ErrorBody {
            message: message.to_owned(),
            ..ErrorBody::default()
        };
        let thinking = error("Budget 0 is invalid. This model only works in thinking mode.");
        let schema = error("Unknown name \"responseJsonSchema\"");

        let plainer = Shape::default()
            .without_what_is_refused(400, &thinking)
            .expect("plainer");
        assert!(plainer.thinking == Thinking::Low && plainer.has_schema);
        let free = plainer
            .without_what_is_refused(400, &thinking)
            .expect("plainer");
        assert_eq!(free.without_what_is_refused(400, &thinking), None);
        assert!(plainer.without_what_is_refused(400, &schema).is_some());
        assert_eq!(
            Shape::default().without_what_is_refused(503, &thinking),
            None
        );
        assert_eq!(
            Shape::default().without_what_is_refused(400, &error("no")),
            None
        );
    }

    #[test]
    fn an_error_that_names_nothing_may_be_about_the_budget_of_no_thoughts_alone() {
        let nameless = ErrorBody {
            message: "Request contains an invalid argument.".to_owned(),
            ..ErrorBody::default()
        };
        let named = ErrorBody {
            details: vec![json!({"fieldViolations": [{"field": "contents"}]})],
            ..nameless.clone()
        };
        let shape = Shape::default();

        let thinking = shape.thinking_if_it_must(400, &nameless).expect("a shape");
        assert_eq!(thinking.thinking, Thinking::Low);
        assert_eq!(thinking.thinking_if_it_must(400, &nameless), None);
        assert_eq!(shape.thinking_if_it_must(400, &named), None);
        assert_eq!(shape.thinking_if_it_must(503, &nameless), None);
        assert_eq!(shape.without_what_is_refused(400, &nameless), None);
    }
}

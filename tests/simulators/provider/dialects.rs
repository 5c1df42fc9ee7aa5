//! How each kind of provider reads a call and words an answer.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use serde_json::{Value, json};

use super::faults::Fault;
use super::{anthropic, deepl};

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Gemini,
    Anthropic,
    DeepL,
    LibreTranslate,
    Apertium,
}

/// What Gemini says of a call that it does not take and does not want to talk about.
pub const NAMELESS: &str = "Request contains an invalid argument.";

/// What a call asks for.
pub struct Question {
    /// The whole body, as JSON whatever it was.
    pub body: Value,
    pub target: String,
    /// Ids and texts; where the dialect has no ids, their places.
    pub items: Vec<(String, String)>,
    /// What the answer of a language model has beside, or instead.
    pub additions: Value,
    /// How many tokens are thought before an answer, where that is told.
    pub thoughts: Option<u64>,
}

impl Dialect {
    pub const ALL: [Self; 6] = [
        Self::OpenAi,
        Self::Gemini,
        Self::Anthropic,
        Self::DeepL,
        Self::LibreTranslate,
        Self::Apertium,
    ];

    pub fn prefix(self) -> &'static str {
        match self {
            Self::OpenAi => "openai/v1",
            Self::Gemini => "gemini/v1beta",
            Self::Anthropic => "anthropic",
            Self::DeepL => "deepl",
            Self::LibreTranslate => "libretranslate",
            Self::Apertium => "apertium",
        }
    }

    pub fn of_path(path: &str) -> Option<Self> {
        let dialect = Self::ALL
            .into_iter()
            .find(|dialect| path.starts_with(&format!("/{}/", dialect.prefix())))?;
        let route = &path[dialect.prefix().len() + 1..];
        let is_known = match dialect {
            Self::OpenAi => route == "/chat/completions",
            Self::Gemini => route.starts_with("/models/") && route.ends_with(":generateContent"),
            Self::Anthropic => route == "/v1/messages",
            Self::DeepL => {
                matches!(route, "/v2/translate" | "/v2/usage")
                    || route.starts_with("/v2/glossaries")
            }
            Self::LibreTranslate => route == "/translate",
            Self::Apertium => route == "/translate" || route == "/listPairs",
        };
        is_known.then_some(dialect)
    }

    pub fn question(self, body: &[u8]) -> Option<Question> {
        match self {
            Self::OpenAi => {
                let body: Value = serde_json::from_slice(body).ok()?;
                let content = body["messages"].as_array()?.last()?["content"].as_str()?;
                model_question(content, body.clone())
            }
            Self::Gemini => {
                let body: Value = serde_json::from_slice(body).ok()?;
                let content = body["contents"].as_array()?.last()?["parts"][0]["text"].as_str()?;
                model_question(content, body.clone())
            }
            Self::Anthropic => anthropic::question(body),
            Self::DeepL => deepl::question(body),
            Self::LibreTranslate => {
                let body: Value = serde_json::from_slice(body).ok()?;
                let texts = body["q"].as_array()?.iter().enumerate();
                Some(Question {
                    target: body["target"].as_str()?.to_owned(),
                    items: texts
                        .map(|(place, text)| Some((place.to_string(), text.as_str()?.to_owned())))
                        .collect::<Option<_>>()?,
                    body,
                    additions: Value::Null,
                    thoughts: None,
                })
            }
            Self::Apertium => apertium_question(body),
        }
    }

    /// What the API refuses of a call before it answers it, whatever else goes wrong.
    pub fn objection(
        self,
        headers: &HeaderMap,
        n_bytes: usize,
        question: &Question,
        account: &deepl::Account,
    ) -> Option<HttpResponse> {
        match self {
            Self::Anthropic => anthropic::objection(headers, &question.body),
            Self::DeepL => deepl::objection(headers, n_bytes, question, account),
            Self::LibreTranslate => libretranslate_objection(&question.body),
            _ => None,
        }
    }

    /// The answer to a question, bent by what goes wrong.
    pub fn answer(
        self,
        question: Question,
        fault: Option<Fault>,
        account: &deepl::Account,
    ) -> HttpResponse {
        if fault == Some(Fault::Malformed) {
            return HttpResponse::Ok()
                .content_type("application/json")
                .body("{\"choices\":[{\"message\"");
        }
        let items = bent(&question, fault.as_ref());
        match self {
            Self::OpenAi => openai_answer(&question, &items, fault.as_ref()),
            Self::Gemini => gemini_answer(&question, &items, fault.as_ref()),
            Self::Anthropic => anthropic::answer(&question, &items, fault.as_ref()),
            Self::DeepL => deepl::answer(&question, &items, account),
            Self::LibreTranslate => {
                let texts: Vec<&str> = items.iter().map(|(_, text)| text.as_str()).collect();
                HttpResponse::Ok().json(json!({"translatedText": texts}))
            }
            Self::Apertium => apertium_answer(&question, &items),
        }
    }

    /// The answer that is an error; none where the dialect has none for this fault.
    pub fn refusal(self, fault: &Fault) -> Option<HttpResponse> {
        if *fault == Fault::HtmlGateway {
            return Some(HttpResponse::BadGateway().content_type("text/html").body(
                "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
            ));
        }
        match self {
            Self::OpenAi => openai_refusal(fault),
            Self::Gemini => gemini_refusal(fault),
            Self::Anthropic => anthropic::refusal(fault),
            Self::DeepL => deepl::refusal(fault),
            Self::LibreTranslate => libretranslate_refusal(fault),
            Self::Apertium => apertium_refusal(fault),
        }
    }

    /// An error in the dialect's own shape.
    pub fn error(self, status: u16, message: &str, kind: &str) -> HttpResponse {
        let body = match self {
            Self::OpenAi => {
                json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})
            }
            Self::Gemini => {
                json!({"error": {"code": status, "message": message, "status": kind, "details": []}})
            }
            Self::Anthropic => return anthropic::error(status, kind, message),
            Self::DeepL => return deepl::error(status, message),
            Self::LibreTranslate => json!({"error": message}),
            Self::Apertium => {
                json!({"status": "error", "code": status, "message": "Error", "explanation": message})
            }
        };
        HttpResponse::build(StatusCode::from_u16(status).expect("a status")).json(body)
    }
}

pub fn apertium_pairs() -> Value {
    json!({
        "responseData": [
            {"sourceLanguage": "eng", "targetLanguage": "spa"},
            {"sourceLanguage": "eng", "targetLanguage": "cat"},
        ],
        "responseDetails": null,
        "responseStatus": 200,
    })
}

pub fn model_question(content: &str, body: Value) -> Option<Question> {
    let asked: Value = serde_json::from_str(content).ok()?;
    let items = asked["items"].as_array()?.iter();
    let field = |item: &Value, name: &str| Some(item[name].as_str()?.to_owned());
    Some(Question {
        target: asked["target"].as_str()?.to_owned(),
        items: items
            .map(|item| Some((field(item, "id")?, field(item, "text")?)))
            .collect::<Option<_>>()?,
        body,
        additions: Value::Null,
        thoughts: None,
    })
}

fn apertium_question(body: &[u8]) -> Option<Question> {
    let fields: Vec<(String, String)> = web_form(body);
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    Some(Question {
        target: field("langpair")?,
        items: vec![("0".to_owned(), field("q")?)],
        body: fields
            .iter()
            .cloned()
            .map(|(name, value)| (name, Value::from(value)))
            .collect(),
        additions: Value::Null,
        thoughts: None,
    })
}

fn web_form(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// The translations, with what goes wrong among them.
fn bent(question: &Question, fault: Option<&Fault>) -> Vec<(String, String)> {
    let target = question.target.as_str();
    let mut items: Vec<(String, String)> = question
        .items
        .iter()
        .map(|(id, text)| (id.clone(), format!("[{target}] {text}")))
        .collect();
    match fault {
        Some(Fault::Missing) => {
            items.remove(0);
        }
        Some(Fault::Doubled) => {
            let (id, text) = items[0].clone();
            items.push((id, format!("{text} again")));
        }
        Some(Fault::Unknown) => items.push(("unknown".to_owned(), "something else".to_owned())),
        Some(Fault::Reordered) => items.reverse(),
        Some(Fault::Echo) => items.clone_from(&question.items),
        Some(Fault::Says(said)) => {
            for (_, text) in &mut items {
                *text = (*said).to_owned();
            }
        }
        Some(Fault::Merged) if items.len() > 1 => {
            let (_, second) = items.remove(1);
            items[0].1.push_str(&format!(" {second}"));
        }
        _ => {}
    }
    items
}

fn items_json(items: &[(String, String)]) -> String {
    let items: Vec<Value> = items
        .iter()
        .map(|(id, text)| json!({"id": id, "text": text}))
        .collect();
    json!({"items": items}).to_string()
}

/// The text that a model says, with what goes wrong in it.
pub fn model_text(items: &[(String, String)], fault: Option<&Fault>) -> String {
    let text = items_json(items);
    match fault {
        Some(Fault::Fenced) => format!("Here {{you}} are:\n```json\n{text}\n```\nAnything else?"),
        Some(Fault::Truncated) => text[..text.rfind("\"text\"").expect("an item")].to_owned(),
        _ => text,
    }
}

/// A success with what the server adds to it.
fn with_additions(question: &Question, mut answer: Value) -> HttpResponse {
    for (name, value) in question.additions.as_object().into_iter().flatten() {
        answer[name] = value.clone();
    }
    HttpResponse::Ok().json(answer)
}

fn openai_answer(
    question: &Question,
    items: &[(String, String)],
    fault: Option<&Fault>,
) -> HttpResponse {
    let (finish, refusal, content) = match fault {
        Some(Fault::Truncated) => ("length", None, Some(model_text(items, fault))),
        Some(Fault::Refused) => ("stop", Some("I cannot help with that."), None),
        _ => ("stop", None, Some(model_text(items, fault))),
    };
    with_additions(
        question,
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": question.body["model"],
            "choices": [{"index": 0, "finish_reason": finish, "message":
                {"role": "assistant", "content": content, "refusal": refusal}}],
            "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
        }),
    )
}

fn gemini_answer(
    question: &Question,
    items: &[(String, String)],
    fault: Option<&Fault>,
) -> HttpResponse {
    let text = model_text(items, fault);
    let half = text
        .char_indices()
        .nth(text.chars().count() / 2)
        .map_or(0, |(at, _)| at);
    let token = question.body["continuationToken"].as_str();
    let bound = question.body["generationConfig"]["maxOutputTokens"].as_u64();
    let has_no_room = question
        .thoughts
        .zip(bound)
        .is_some_and(|(thoughts, bound)| thoughts >= bound);
    let candidate = match (fault, token) {
        _ if has_no_room => {
            json!({"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0})
        }
        (_, Some("go-on")) => gemini_candidate(&text[half..], "STOP"),
        (Some(Fault::Continued), _) => {
            let mut candidate = gemini_candidate(&text[..half], "CONTINUATION");
            candidate["continuationToken"] = "go-on".into();
            candidate
        }
        (Some(Fault::Truncated), _) => gemini_candidate(&text, "MAX_TOKENS"),
        (Some(Fault::Refused), _) => json!({"finishReason": "SAFETY", "index": 0}),
        _ => gemini_candidate(&text, "STOP"),
    };
    let thoughts = question.thoughts.map_or(829, |thoughts| {
        bound.map_or(thoughts, |bound| thoughts.min(bound))
    });
    let said = if has_no_room { 0 } else { 11 };
    with_additions(
        question,
        json!({
            "candidates": [candidate],
            "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": said,
                "thoughtsTokenCount": thoughts, "totalTokenCount": 8 + said + thoughts},
            "modelVersion": "gemini-simulated-001",
        }),
    )
}

fn gemini_candidate(text: &str, finish: &str) -> Value {
    let parts = json!([{"text": "let me think", "thought": true}, {"text": text}]);
    json!({"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0})
}

fn apertium_answer(question: &Question, items: &[(String, String)]) -> HttpResponse {
    let known = apertium_pairs()["responseData"]
        .as_array()
        .is_some_and(|pairs| {
            pairs.iter().any(|pair| {
                let source = pair["sourceLanguage"].as_str().unwrap_or_default();
                let target = pair["targetLanguage"].as_str().unwrap_or_default();
                question.target == format!("{source}|{target}")
            })
        });
    if !known {
        return Dialect::Apertium.error(400, "That pair is not installed", "");
    }
    let text = items.first().map(|(_, text)| text.as_str());
    HttpResponse::Ok().json(json!({
        "responseData": {"translatedText": text},
        "responseDetails": null,
        "responseStatus": 200,
    }))
}

fn with_retry_after(mut response: HttpResponse) -> HttpResponse {
    use actix_web::http::header::{HeaderValue, RETRY_AFTER};
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

fn openai_refusal(fault: &Fault) -> Option<HttpResponse> {
    let error = |status, message, kind| Dialect::OpenAi.error(status, message, kind);
    let minute = "Rate limit reached for model `m` in organization `org_1` on tokens per minute (TPM): Limit 6000, Used 5900, Requested 200. ";
    Some(match fault {
        Fault::RateLimited => {
            let message = format!("{minute}Please try again in 1.984999999s. Need more tokens?");
            with_retry_after(error(429, &message, "rate_limit_exceeded"))
        }
        Fault::RateLimitedWithoutHint => error(429, minute, "rate_limit_exceeded"),
        Fault::DailyQuota => error(
            429,
            "Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens?",
            "rate_limit_exceeded",
        ),
        Fault::NoCredit => error(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
        ),
        Fault::BadKey => error(
            401,
            "Incorrect API key provided: key-of-test.",
            "invalid_api_key",
        ),
        Fault::NotFound => error(404, "The model `m` does not exist", "model_not_found"),
        Fault::TooLarge => with_retry_after(error(
            413,
            "Limit 6000, Requested 6791, please reduce your message size",
            "rate_limit_exceeded",
        )),
        Fault::Invalid => error(400, "messages must not be empty", "invalid_request_error"),
        Fault::OutOfRoom => error(
            400,
            "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.",
            "invalid_request_error",
        ),
        Fault::Overloaded => error(503, "server busy, please try again.", "api_error"),
        Fault::ErrorInside => HttpResponse::Ok()
            .json(json!({"error": {"message": "upstream overloaded", "code": 502}})),
        _ => return None,
    })
}

fn gemini_refusal(fault: &Fault) -> Option<HttpResponse> {
    let exhausted = |message: &str, details: Value| {
        HttpResponse::TooManyRequests().json(json!({"error":
            {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}))
    };
    let quota = |id: &str, wait: &str| {
        json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
             "violations": [{"quotaId": id, "quotaValue": "250"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait},
        ])
    };
    let current = "You exceeded your current quota, please check your plan and billing details.";
    Some(match fault {
        Fault::RateLimited => exhausted(
            current,
            quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "2s"),
        ),
        Fault::RateLimitedWithoutHint => {
            exhausted("Resource has been exhausted (e.g. check quota).", json!([]))
        }
        Fault::DailyQuota => exhausted(
            current,
            quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "22s"),
        ),
        Fault::NoCredit => exhausted("Your prepayment credits are depleted.", json!([])),
        Fault::BadKey => HttpResponse::BadRequest().json(json!([{"error":
            {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
             "details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}}])),
        Fault::NotFound => Dialect::Gemini.error(404, "models/m is not found", "NOT_FOUND"),
        Fault::TooLarge => Dialect::Gemini.error(
            400,
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            "INVALID_ARGUMENT",
        ),
        Fault::Invalid => Dialect::Gemini.error(400, "Invalid value", "INVALID_ARGUMENT"),
        Fault::Nameless => Dialect::Gemini.error(400, NAMELESS, "INVALID_ARGUMENT"),
        Fault::Overloaded => Dialect::Gemini.error(503, "The model is overloaded.", "UNAVAILABLE"),
        Fault::Blocked => HttpResponse::Ok()
            .json(json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}})),
        _ => return None,
    })
}

/// The server's Norwegian is `nb`, and it knows no other name for it.
fn libretranslate_objection(body: &Value) -> Option<HttpResponse> {
    let is_asked_for = body["source"] == "no" || body["target"] == "no";
    is_asked_for.then(|| Dialect::LibreTranslate.error(400, "no is not supported", ""))
}

fn libretranslate_refusal(fault: &Fault) -> Option<HttpResponse> {
    let error = |status, message| Dialect::LibreTranslate.error(status, message, "");
    Some(match fault {
        Fault::RateLimited => with_retry_after(error(429, "Slowdown: 80 per 1 minute")),
        Fault::RateLimitedWithoutHint => error(429, "Slowdown: 80 per 1 minute"),
        Fault::BadKey => error(400, "Visit https://portal.example to get an API key"),
        Fault::NotFound => error(400, "xx is not supported"),
        Fault::TooLarge => error(400, "Invalid request: request (9) exceeds text limit (8)"),
        Fault::Invalid => error(400, "Invalid request: missing q parameter"),
        Fault::Overloaded => error(500, "Cannot translate text"),
        _ => return None,
    })
}

fn apertium_refusal(fault: &Fault) -> Option<HttpResponse> {
    let error = |status, message| Dialect::Apertium.error(status, message, "");
    Some(match fault {
        Fault::NotFound => error(400, "That pair is not installed"),
        Fault::Invalid => error(400, "Missing argument q"),
        Fault::Overloaded => error(503, "internal error"),
        _ => return None,
    })
}

//! How the messages API reads a call, objects to it and answers it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::dialects::{Question, model_question, model_text};
use super::faults::Fault;

/// The versions that are spoken here, the newest first.
const VERSIONS: [&str; 2] = ["2026-10-21", "2023-06-01"];

pub fn question(body: &[u8]) -> Option<Question> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let content = body["messages"].as_array()?.last()?["content"].as_str()?;
    model_question(content, body.clone())
}

/// What the API refuses before any model sees it.
pub fn objection(headers: &HeaderMap, body: &Value) -> Option<HttpResponse> {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let invalid = |message: &str| Some(error(400, "invalid_request_error", message));
    let has_key = header("x-api-key").is_some_and(|key| !key.is_empty())
        || header("authorization").is_some_and(|it| it.starts_with("Bearer "));
    if !has_key {
        return Some(error(
            401,
            "authentication_error",
            "x-api-key header is required",
        ));
    }
    let Some(version) = header("anthropic-version") else {
        return invalid("anthropic-version: header is required");
    };
    if !VERSIONS.contains(&version) {
        return invalid(&format!(
            "anthropic-version: \"{version}\" is not a valid version"
        ));
    }
    let removed = ["temperature", "top_p", "top_k"];
    if let Some(field) = removed.iter().find(|field| body.get(**field).is_some())
        && version == VERSIONS[0]
    {
        return invalid(&format!("{field}: Extra inputs are not permitted"));
    }
    if !body["model"].is_string() {
        return invalid("model: Field required");
    }
    if body["max_tokens"].as_u64().is_none_or(|most| most == 0) {
        return invalid("max_tokens: Field required");
    }
    let roles = body["messages"].as_array().into_iter().flatten();
    if roles
        .clone()
        .any(|it| it["role"] != "user" && it["role"] != "assistant")
    {
        return invalid("messages: Unexpected role, the system prompt is a field of its own");
    }
    // The newest models take no answer that is begun for them.
    if roles.last().is_some_and(|it| it["role"] == "assistant") {
        return invalid("messages: the last message must be the user's");
    }
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        let is_closed = format["schema"]["additionalProperties"] == false;
        if format["type"] != "json_schema" || !is_closed {
            return invalid("output_config.format.schema: additionalProperties must be false");
        }
    }
    None
}

/// The answer to a question, bent by what goes wrong.
pub fn answer(
    question: &Question,
    items: &[(String, String)],
    fault: Option<&Fault>,
) -> HttpResponse {
    let text = model_text(items, fault);
    let (reason, text) = match fault {
        Some(Fault::Truncated) => ("max_tokens", text),
        Some(Fault::Refused) => ("refusal", "I cannot help with that.".to_owned()),
        Some(Fault::OutOfForm) => ("tool_use", String::new()),
        _ => ("end_turn", text),
    };
    let half = text
        .char_indices()
        .nth(text.chars().count() / 2)
        .map_or(0, |(at, _)| at);
    let content = json!([
        {"type": "thinking", "thinking": "{\"items\": []}", "signature": "s"},
        {"type": "text", "text": &text[..half]},
        {"type": "text", "text": &text[half..]},
    ]);
    limited(&mut HttpResponse::Ok()).json(json!({
        "id": "msg_1", "type": "message", "role": "assistant", "content": content,
        "model": format!("{}-20261021", question.body["model"].as_str().unwrap_or_default()),
        "stop_reason": reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5,
            "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
    }))
}

/// The headers about limits, which every answer of the API bears.
fn limited(response: &mut actix_web::HttpResponseBuilder) -> &mut actix_web::HttpResponseBuilder {
    for (unit, limit, remaining) in [
        ("requests", "50", "49"),
        ("tokens", "38000", "37000"),
        ("input-tokens", "30000", "29000"),
        ("output-tokens", "8000", "8000"),
    ] {
        let reset = Utc::now() + TimeDelta::seconds(30);
        let reset = reset.to_rfc3339_opts(SecondsFormat::Secs, true);
        response
            .insert_header((format!("anthropic-ratelimit-{unit}-limit"), limit))
            .insert_header((format!("anthropic-ratelimit-{unit}-remaining"), remaining))
            .insert_header((format!("anthropic-ratelimit-{unit}-reset"), reset));
    }
    response
}

pub fn refusal(fault: &Fault) -> Option<HttpResponse> {
    let limit = |code: Option<&str>| {
        json!({"type": "error", "request_id": "req_1", "error": {"type": "rate_limit_error",
            "message": "This request would exceed your organization's rate limit.",
            "details": code.map(|code| json!({"error_code": code}))}})
    };
    Some(match fault {
        Fault::RateLimited => limited(&mut HttpResponse::TooManyRequests())
            .insert_header(("retry-after", "2"))
            .json(limit(Some("ramp_limit_exceeded"))),
        Fault::RateLimitedWithoutHint => HttpResponse::TooManyRequests().json(limit(None)),
        Fault::DailyQuota => {
            HttpResponse::TooManyRequests().json(limit(Some("enforced_spend_limit_reached")))
        }
        Fault::NoCredit => error(402, "billing_error", "Your credit balance is too low."),
        Fault::BadKey => error(
            401,
            "authentication_error",
            "invalid x-api-key: key-of-test",
        ),
        Fault::NotFound => error(404, "not_found_error", "model: m"),
        Fault::TooLarge => HttpResponse::PayloadTooLarge()
            .content_type("text/html")
            .body("<html><body>413 Request Entity Too Large</body></html>"),
        Fault::Invalid => error(400, "invalid_request_error", "messages: at least one"),
        Fault::Overloaded => error(529, "overloaded_error", "Overloaded"),
        Fault::ErrorInside => HttpResponse::Ok().json(json!({"type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"}})),
        _ => return None,
    })
}

pub fn error(status: u16, kind: &str, message: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).expect("a status")).json(json!({
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_1",
    }))
}

//! An account of DeepL: how its routes read a call, object to it and answer it.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::dialects::Question;
use super::faults::Fault;

const SOURCES: [&str; 12] = [
    "AR", "DE", "EN", "ES", "FR", "IT", "JA", "NB", "PT", "RU", "UK", "ZH",
];
const TARGETS: [&str; 15] = [
    "AR", "DE", "EN-GB", "EN-US", "ES", "FR", "IT", "JA", "NB", "PT-BR", "PT-PT", "RU", "UK",
    "ZH-HANS", "ZH-HANT",
];
const FORMAL_TARGETS: [&str; 8] = ["DE", "ES", "FR", "IT", "JA", "PT-BR", "PT-PT", "RU"];
const MAX_BYTES: usize = 128 << 10;
const MAX_TEXTS: usize = 50;

/// What an account holds and has been asked.
#[derive(Debug, Default)]
pub struct Account {
    pub glossaries: Vec<Glossary>,
    pub n_created: usize,
    /// Requests to the routes of glossaries.
    pub n_asked: usize,
    /// The status with which these routes answer whatever they are asked.
    pub refuses_glossaries: Option<u16>,
    /// The most glossaries that it may have.
    pub most_glossaries: Option<usize>,
    /// Whether a new glossary takes until it is looked at once more.
    pub is_slow: bool,
    /// Whether the answer to a glossary that was made is lost on its way.
    pub loses_answers: bool,
    /// When the billing period ends, where the account tells.
    pub period_ends: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Glossary {
    pub id: String,
    pub name: String,
    pub source: String,
    pub target: String,
    pub entries: Vec<(String, String)>,
    pub is_ready: bool,
    pub created: usize,
}

pub fn question(body: &[u8]) -> Option<Question> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let texts = body["text"].as_array()?.iter().enumerate();
    Some(Question {
        target: body["target_lang"].as_str()?.to_owned(),
        items: texts
            .map(|(place, text)| Some((place.to_string(), text.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
        body,
        additions: Value::Null,
        thoughts: None,
    })
}

/// What the API refuses before it translates.
pub fn objection(
    headers: &HeaderMap,
    n_bytes: usize,
    question: &Question,
    account: &Account,
) -> Option<HttpResponse> {
    if let Some(refused) = stranger(headers) {
        return Some(refused);
    }
    if n_bytes > MAX_BYTES {
        return Some(HttpResponse::PayloadTooLarge().finish());
    }
    let body = &question.body;
    let bad = |what: &str| Some(error(400, &format!("Bad request. Reason: {what}")));
    let field = |name: &str| body[name].as_str().map(str::to_uppercase);
    if question.items.is_empty() || question.items.len() > MAX_TEXTS {
        return bad("Parameter 'text' must have 1 to 50 elements.");
    }
    let target = question.target.to_uppercase();
    if !TARGETS.contains(&target.as_str()) {
        return bad("Value for 'target_lang' not supported.");
    }
    let source = field("source_lang");
    if source
        .as_ref()
        .is_some_and(|it| !SOURCES.contains(&it.as_str()))
    {
        return bad("Value for 'source_lang' not supported.");
    }
    let choices: [(&str, &[&str]); 4] = [
        ("tag_handling", &["xml", "html"]),
        ("split_sentences", &["0", "1", "nonewlines"]),
        (
            "formality",
            &["default", "more", "less", "prefer_more", "prefer_less"],
        ),
        (
            "model_type",
            &[
                "quality_optimized",
                "prefer_quality_optimized",
                "latency_optimized",
            ],
        ),
    ];
    for (name, known) in choices {
        let is_known = body[name].as_str().is_some_and(|it| known.contains(&it));
        if !body[name].is_null() && !is_known {
            return bad(&format!("Value for '{name}' not supported."));
        }
    }
    let is_strict = matches!(body["formality"].as_str(), Some("more" | "less"));
    if is_strict && !FORMAL_TARGETS.contains(&target.as_str()) {
        return bad("'formality' is not supported for given 'target_lang'.");
    }
    let has_tags = body["tag_handling"] == "xml";
    if has_tags && !question.items.iter().all(|(_, text)| is_well_formed(text)) {
        return bad("Tag handling parsing failed, please check input.");
    }
    let id = body["glossary_id"].as_str()?;
    let Some(source) = source else {
        return bad("Use of a glossary requires the source_lang parameter to be specified.");
    };
    let Some(glossary) = account.glossaries.iter().find(|it| it.id == id) else {
        return Some(error(404, "Glossary not found"));
    };
    let fits = glossary.source == source && target.split('-').next() == Some(&glossary.target);
    if !fits || !glossary.is_ready {
        return bad("The glossary does not match the language pair, or is not ready.");
    }
    None
}

/// The answer to a question whose texts were bent by what goes wrong.
pub fn answer(question: &Question, items: &[(String, String)], account: &Account) -> HttpResponse {
    let id = question.body["glossary_id"].as_str();
    let glossary = account.glossaries.iter().find(|it| Some(&*it.id) == id);
    let entries = glossary.map_or(&[][..], |it| &it.entries);
    let translations: Vec<Value> = items
        .iter()
        .map(|(_, text)| {
            let mut translated = text.clone();
            for (from, into) in entries {
                translated = translated.replace(from.as_str(), into);
            }
            let n_billed = text.split_once("] ").map_or(0, |it| it.1.chars().count());
            let mut translation = json!({
                "detected_source_language": "EN",
                // A tag may come back with an end tag of its own.
                "text": translated.replace("\"/>", "\"></x>"),
                "tag_handling_version": "v1",
            });
            if question.body["show_billed_characters"] == true {
                translation["billed_characters"] = n_billed.into();
            }
            if !question.body["model_type"].is_null() {
                translation["model_type_used"] = "quality_optimized".into();
            }
            translation
        })
        .collect();
    HttpResponse::Ok().json(json!({"translations": translations}))
}

pub fn refusal(fault: &Fault) -> Option<HttpResponse> {
    let empty =
        |status| HttpResponse::build(StatusCode::from_u16(status).expect("a status")).finish();
    Some(match fault {
        Fault::RateLimitedWithoutHint => empty(429),
        Fault::DailyQuota => error(456, "Quota Exceeded"),
        Fault::BadKey => empty(403),
        Fault::NotFound => error(400, "Value for 'target_lang' not supported."),
        Fault::TooLarge => error(413, "Request Entity Too Large"),
        Fault::Invalid => error(400, "Bad request. Reason: Tag handling parsing failed."),
        Fault::Overloaded => error(503, "Resource temporarily unavailable"),
        _ => return None,
    })
}

/// The routes beside translation.
pub fn other_route(
    method: &Method,
    route: &str,
    headers: &HeaderMap,
    body: &[u8],
    account: &mut Account,
) -> HttpResponse {
    if let Some(refused) = stranger(headers) {
        return refused;
    }
    if route == "/v2/usage" {
        let mut usage = json!({"character_count": 1_250_000, "character_limit": 1_250_000});
        if let Some(ends) = &account.period_ends {
            usage["end_time"] = ends.as_str().into();
        }
        return HttpResponse::Ok().json(usage);
    }
    account.n_asked += 1;
    if let Some(status) = account.refuses_glossaries {
        return error(status, "Not allowed here");
    }
    let id = route.strip_prefix("/v2/glossaries/");
    match (method.as_str(), id) {
        ("GET", None) => {
            let all: Vec<Value> = account.glossaries.iter().map(shown).collect();
            HttpResponse::Ok().json(json!({"glossaries": all}))
        }
        ("POST", None) => create(body, account),
        ("GET", Some(id)) => match account.glossaries.iter_mut().find(|it| it.id == id) {
            Some(glossary) => {
                glossary.is_ready = true;
                HttpResponse::Ok().json(shown(glossary))
            }
            None => error(404, "Glossary not found"),
        },
        ("DELETE", Some(id)) => {
            let n_before = account.glossaries.len();
            account.glossaries.retain(|it| it.id != id);
            if account.glossaries.len() == n_before {
                return error(404, "Glossary not found");
            }
            HttpResponse::NoContent().finish()
        }
        _ => error(405, "Method not allowed"),
    }
}

fn create(body: &[u8], account: &mut Account) -> HttpResponse {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let bad = |detail: &str| {
        HttpResponse::BadRequest().json(json!({"message": "Bad request", "detail": detail}))
    };
    let field = |name: &str| body[name].as_str().unwrap_or_default();
    let (source, target) = (
        field("source_lang").to_uppercase(),
        field("target_lang").to_uppercase(),
    );
    let is_known = |code: &str| SOURCES.contains(&code);
    if field("name").is_empty() || !is_known(&source) || !is_known(&target) || source == target {
        return bad("Unsupported glossary source or target language");
    }
    if field("entries_format") != "tsv" {
        return bad("Unsupported entries_format");
    }
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in field("entries").lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            [from, into] if !from.is_empty() && !into.is_empty() => {
                if entries.iter().any(|(known, _)| known == from) {
                    return bad("Duplicate source entry");
                }
                entries.push((from.to_owned(), into.to_owned()));
            }
            _ => return bad("Invalid glossary entries"),
        }
    }
    if entries.is_empty() {
        return bad("Missing or invalid argument: entries");
    }
    if account.most_glossaries == Some(account.glossaries.len()) {
        return bad("Maximum number of glossaries reached");
    }
    account.n_created += 1;
    let glossary = Glossary {
        id: format!("00000000-0000-4000-8000-{:012}", account.n_created),
        name: field("name").to_owned(),
        source,
        target,
        entries,
        is_ready: !account.is_slow,
        created: account.n_created,
    };
    let answer = HttpResponse::Created().json(shown(&glossary));
    account.glossaries.push(glossary);
    if account.loses_answers {
        account.loses_answers = false;
        return HttpResponse::GatewayTimeout().finish();
    }
    answer
}

fn shown(glossary: &Glossary) -> Value {
    json!({
        "glossary_id": glossary.id, "name": glossary.name, "ready": glossary.is_ready,
        "source_lang": glossary.source.to_lowercase(),
        "target_lang": glossary.target.to_lowercase(),
        "creation_time": format!("2026-11-21T12:00:{:02}.000000Z", glossary.created),
        "entry_count": glossary.entries.len(),
    })
}

/// An empty 403 for who does not name a key in the one way that is left.
fn stranger(headers: &HeaderMap) -> Option<HttpResponse> {
    let authorization = headers.get("authorization").and_then(|it| it.to_str().ok());
    let key = authorization.and_then(|it| it.strip_prefix("DeepL-Auth-Key "));
    key.is_none_or(str::is_empty)
        .then(|| HttpResponse::Forbidden().finish())
}

/// Whether a text is XML: each `<` begins a tag that ends, each `&` a reference, and every tag
/// that opens is closed.
fn is_well_formed(text: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        rest = &rest[at + 1..];
        let closing = if text[..text.len() - rest.len()].ends_with('&') {
            ';'
        } else {
            '>'
        };
        let Some((inner, after)) = rest.split_once(closing) else {
            return false;
        };
        rest = after;
        if closing == ';' {
            if inner.is_empty() || inner.contains(char::is_whitespace) {
                return false;
            }
        } else if let Some(name) = inner.strip_prefix('/') {
            if open.pop() != Some(name.trim()) {
                return false;
            }
        } else if !inner.starts_with(|it: char| it.is_ascii_alphabetic()) {
            return false;
        } else if !inner.ends_with('/') {
            open.push(inner.split_whitespace().next().unwrap_or_default());
        }
    }
    let is_allowed = |it: char| it >= ' ' || matches!(it, '\t' | '\n' | '\r');
    open.is_empty() && text.chars().all(is_allowed)
}

pub fn error(status: u16, message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).expect("a status");
    HttpResponse::build(status).json(json!({"message": message}))
}

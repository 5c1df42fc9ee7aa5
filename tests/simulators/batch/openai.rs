//! Jobs as OpenAI has them: files of calls, and files of answers.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::forms::parts;
use super::super::server::{Reply, Request};
use super::{
    CreateFault, Ending, PAGE, Shared, State, answer, cancel, create, error, file_content, lock,
    look, translated,
};

pub(super) fn serve(method: &str, parts: &[&str], request: &Request, shared: &Shared) -> Reply {
    match (method, parts) {
        ("POST", ["chat", "completions"]) => {
            lock(shared).n_direct += 1;
            match serde_json::from_slice(&request.body)
                .ok()
                .and_then(|it| completion(&it))
            {
                Some(body) => answer(&body),
                None => error(400, "not understood", "invalid_request_error"),
            }
        }
        ("POST", ["files"]) => upload(request, shared),
        ("GET", ["files", file, "content"]) => file_content(file, shared),
        ("DELETE", ["files", file]) => match lock(shared).files.remove(*file) {
            Some(_) => answer(&json!({"id": file, "deleted": true})),
            None => error(404, "no such file", "not_found"),
        },
        ("POST", ["batches"]) => create_job(request, shared),
        ("GET", ["batches"]) => list(request, shared),
        ("GET", ["batches", id]) => look(id, shared, job),
        ("POST", ["batches", id, "cancel"]) => cancel(id, shared),
        _ => error(404, "no such route", "not_found"),
    }
}

/// Takes a file in, if it is a form with the purpose `batch`.
fn upload(request: &Request, shared: &Shared) -> Reply {
    let Some(parts) = parts(request) else {
        return error(400, "expected a form", "invalid_request_error");
    };
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    if part("purpose").is_none_or(|part| part.bytes != b"batch") {
        return error(400, "expected a purpose", "invalid_request_error");
    }
    let Some(file) = part("file") else {
        return error(400, "expected a file", "invalid_request_error");
    };
    let mut state = lock(shared);
    if state.faults.front() == Some(&CreateFault::NoFile) {
        state.faults.pop_front();
        return error(503, "overloaded", "server_error");
    }
    let id = state.keep_file(file.bytes.clone());
    answer(&json!({"id": id, "object": "file", "purpose": "batch"}))
}

fn create_job(request: &Request, shared: &Shared) -> Reply {
    let order: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let mark = order["metadata"]["babelfeed"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let file = order["input_file_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let is_formal =
        order["endpoint"] == "/v1/chat/completions" && order["completion_window"] == "24h";
    let Some(content) = lock(shared).files.get(&file).cloned() else {
        return error(400, "no such file", "invalid_request_error");
    };
    if !is_formal || mark.is_empty() || mark.len() > 512 {
        return error(400, "a malformed job", "invalid_request_error");
    }
    let calls = calls_of(&content);
    let is_valid = calls.is_some();
    create(
        shared,
        &mark,
        &file,
        calls.unwrap_or_default(),
        is_valid,
        job,
    )
}

/// The calls of a file; none if it is not as such a file must be.
fn calls_of(content: &[u8]) -> Option<Vec<(String, Value)>> {
    let (mut calls, mut keys) = (Vec::new(), HashSet::new());
    for line in content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Value = serde_json::from_slice(line).ok()?;
        let key = line["custom_id"].as_str()?.to_owned();
        let is_formal = line["method"] == "POST" && line["url"] == "/v1/chat/completions";
        let is_formal = is_formal && line["body"]["model"].is_string();
        if !is_formal || !keys.insert(key.clone()) {
            return None;
        }
        calls.push((key, line["body"].clone()));
    }
    (!calls.is_empty()).then_some(calls)
}

fn list(request: &Request, shared: &Shared) -> Reply {
    let mut state = lock(shared);
    let after = request.query.get("after").cloned();
    let mut numbers: Vec<usize> = (0..state.jobs.len()).rev().collect();
    if let Some(after) = after {
        let place = numbers
            .iter()
            .position(|number| format!("batch_{number:04}") == after);
        numbers.drain(..place.map_or(0, |place| place + 1));
    }
    let has_more = numbers.len() > PAGE;
    numbers.truncate(PAGE);
    let data: Vec<Value> = numbers
        .into_iter()
        .map(|number| job(&mut state, number))
        .collect();
    answer(&json!({"object": "list", "data": data, "has_more": has_more}))
}

fn job(state: &mut State, number: usize) -> Value {
    let is_done = state.is_done;
    let ending = state.ending_of(number);
    let status = match ending {
        _ if state.jobs[number].is_cancelled => "cancelled",
        Ending::Failed => "failed",
        _ if !is_done => "in_progress",
        Ending::Well
        | Ending::FirstRefused
        | Ending::FormRefused
        | Ending::FormRefusedNamelessly
        | Ending::OutOfRoom => "completed",
        Ending::Expired => "expired",
        Ending::Cancelled => "cancelled",
    };
    let is_ours = state.jobs[number].mark != "stranger";
    let outputs = (is_ours && matches!(status, "completed" | "expired"))
        .then(|| state.outputs(number, lines));
    let job = &state.jobs[number];
    let errors = (status == "failed").then(|| json!({"object": "list", "data": [
        {"code": "invalid_json_line", "message": "This line is not parseable as valid JSON.", "line": 1}]}));
    json!({
        "id": format!("batch_{}", job.id), "object": "batch", "endpoint": "/v1/chat/completions",
        "status": status, "errors": errors, "input_file_id": job.input, "created_at": 4_000_000_000_u64 + number as u64,
        "output_file_id": outputs.as_ref().map(|it| &it.0), "error_file_id": outputs.as_ref().map(|it| &it.1),
        "metadata": {"babelfeed": job.mark}, "request_counts": {"total": job.calls.len(), "completed": 0, "failed": 0},
    })
}

/// The lines of the output file and of the error file.
fn lines(calls: &[(String, Value)], ending: Ending) -> (Vec<Value>, Vec<Value>) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    for (place, (key, body)) in calls.iter().enumerate() {
        match ending {
            Ending::Expired if place > 0 => errors.push(json!({"id": "r", "custom_id": key, "response": null,
                "error": {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}})),
            Ending::FirstRefused if place == 0 => errors.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 400, "body": {"error": {"message": "flagged", "type": "invalid_request_error",
                    "param": null, "code": "content_policy_violation"}}}})),
            Ending::FormRefused | Ending::FormRefusedNamelessly => errors.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 400, "body": {"error": {"message": "not supported with this model",
                    "type": "invalid_request_error", "param": "response_format", "code": null}}}})),
            Ending::OutOfRoom => errors.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 400, "body": {"error": {"message": "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.",
                    "type": "invalid_request_error", "param": null, "code": null}}}})),
            _ => output.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 200, "request_id": "q", "body": completion(body)}})),
        }
    }
    output.reverse();
    (output, errors)
}

fn completion(body: &Value) -> Option<Value> {
    Some(json!({
        "id": "c", "object": "chat.completion", "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": translated(body)?, "refusal": null}}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
    }))
}

//! Jobs as Gemini has them: calls in one request, and their answers in the job or in a file.

use serde_json::{Value, json};

use super::super::provider::NAMELESS;
use super::super::server::{Reply, Request};
use super::{
    Ending, PAGE, Shared, State, answer, cancel, create, error, find, lock, look, translated,
};

pub(super) fn serve(method: &str, route: &str, request: &Request, shared: &Shared) -> Reply {
    match (method, route) {
        ("POST", "models/m:generateContent") => {
            lock(shared).n_direct += 1;
            match serde_json::from_slice(&request.body)
                .ok()
                .and_then(|it| generated(&it))
            {
                Some(body) => answer(&body),
                None => error(400, "not understood", "INVALID_ARGUMENT"),
            }
        }
        ("POST", "models/m:batchGenerateContent") => create_job(request, shared),
        ("GET", "batches") => list(request, shared),
        _ => match (method, route.split_once('/')) {
            ("DELETE", Some(("files", _))) => match lock(shared).files.remove(route) {
                Some(_) => answer(&json!({})),
                None => error(404, "no such file", "NOT_FOUND"),
            },
            ("GET", Some(("batches", id))) => look(id, shared, job),
            ("POST", Some(("batches", id))) => cancel(id.trim_end_matches(":cancel"), shared),
            ("DELETE", Some(("batches", id))) => delete(id, shared),
            _ => error(404, "no such route", "NOT_FOUND"),
        },
    }
}

fn create_job(request: &Request, shared: &Shared) -> Reply {
    let order: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let batch = &order["batch"];
    let mark = batch["displayName"].as_str().unwrap_or_default();
    let listed = batch["inputConfig"]["requests"]["requests"].as_array();
    let calls: Option<Vec<(String, Value)>> = listed
        .into_iter()
        .flatten()
        .map(|call| {
            let is_formal = call["request"]["contents"].is_array();
            let key = call["metadata"]["key"].as_str().filter(|_| is_formal)?;
            Some((key.to_owned(), call["request"].clone()))
        })
        .collect();
    match calls {
        Some(calls) if !calls.is_empty() && !mark.is_empty() => {
            create(shared, mark, "", calls, true, job)
        }
        _ => error(400, "a malformed job", "INVALID_ARGUMENT"),
    }
}

fn list(request: &Request, shared: &Shared) -> Reply {
    let mut state = lock(shared);
    let start: usize = request
        .query
        .get("pageToken")
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    let numbers: Vec<usize> = (0..state.jobs.len())
        .rev()
        .filter(|number| !state.jobs[*number].is_deleted)
        .collect();
    let end = (start + PAGE).min(numbers.len());
    let mut operations: Vec<Value> = numbers[start..end]
        .iter()
        .map(|number| job(&mut state, *number))
        .collect();
    for operation in &mut operations {
        // A list does not show what came of its jobs.
        operation["metadata"]["output"] = Value::Null;
    }
    let next = (end < numbers.len()).then(|| end.to_string());
    answer(&json!({"operations": operations, "nextPageToken": next}))
}

fn job(state: &mut State, number: usize) -> Value {
    let is_done = state.is_done;
    let name = match state.ending_of(number) {
        _ if state.jobs[number].is_cancelled => "CANCELLED",
        _ if !is_done => "RUNNING",
        Ending::Well
        | Ending::FirstRefused
        | Ending::FormRefused
        | Ending::FormRefusedNamelessly
        | Ending::OutOfRoom => "SUCCEEDED",
        Ending::Expired => "EXPIRED",
        Ending::Failed => "FAILED",
        Ending::Cancelled => "CANCELLED",
    };
    let output = match name {
        "SUCCEEDED" | "EXPIRED" if state.answers_in_a_file => {
            let (file, _) = state.outputs(number, lines_of_file);
            let content = state.files.remove(&file);
            let long = format!("files/{file}");
            if let Some(content) = content {
                state.files.insert(long.clone(), content);
            }
            json!({"responsesFile": long})
        }
        "SUCCEEDED" | "EXPIRED" => {
            let lines = lines(&state.jobs[number].calls, state.ending);
            json!({"inlinedResponses": {"inlinedResponses": lines}})
        }
        _ => Value::Null,
    };
    let job = &state.jobs[number];
    let error =
        (name == "FAILED").then(|| json!({"code": 3, "message": "The input cannot be read."}));
    json!({
        "name": format!("batches/{}", job.id), "done": name != "RUNNING", "error": error,
        "metadata": {"model": "models/m", "displayName": job.mark, "state": format!("BATCH_STATE_{name}"),
            "createTime": format!("2096-11-21T12:{:02}:00.5Z", number % 60), "output": output},
    })
}

fn lines(calls: &[(String, Value)], ending: Ending) -> Vec<Value> {
    let lines = calls.iter().enumerate().map(|(place, (key, body))| {
        let metadata = json!({"key": key});
        match ending {
            Ending::Expired if place > 0 => {
                json!({"metadata": metadata, "error": {"code": 4, "message": "expired"}})
            }
            Ending::FirstRefused if place == 0 => json!({"metadata": metadata,
                "response": {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}}),
            Ending::FormRefused => json!({"metadata": metadata,
                "error": {"code": 3, "message": "Budget 0 is invalid. This model only works in thinking mode."}}),
            Ending::FormRefusedNamelessly => json!({"metadata": metadata,
                "error": {"code": 3, "message": NAMELESS}}),
            Ending::OutOfRoom => json!({"metadata": metadata, "response": {
                "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}],
                "usageMetadata": {"promptTokenCount": 1_000, "thoughtsTokenCount": 256, "totalTokenCount": 1_256}}}),
            _ => json!({"metadata": metadata, "response": generated(body)}),
        }
    });
    lines.collect()
}

fn lines_of_file(calls: &[(String, Value)], ending: Ending) -> (Vec<Value>, Vec<Value>) {
    let mut lines = lines(calls, ending);
    for line in &mut lines {
        line["key"] = line["metadata"]["key"].take();
        line["metadata"] = Value::Null;
    }
    lines.reverse();
    (lines, Vec::new())
}

fn generated(body: &Value) -> Option<Value> {
    Some(json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": translated(body)?}]},
            "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 500, "totalTokenCount": 1_500},
        "modelVersion": "m",
    }))
}

fn delete(id: &str, shared: &Shared) -> Reply {
    let mut state = lock(shared);
    match find(&state, id) {
        Some(number) => {
            state.jobs[number].is_deleted = true;
            answer(&json!({}))
        }
        None => error(404, "no such job", "NOT_FOUND"),
    }
}

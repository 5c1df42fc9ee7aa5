//! The batch interfaces of OpenAI and Gemini, with ordinary calls beside them; it counts jobs for itself.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::forms::parts;
use super::server::{Answer, Reply, Request, Server};
use super::wait::Watched;

/// How long an answer is kept back that nobody lets go.
const PATIENCE: Duration = Duration::from_secs(60);
const KIND: &str = "application/json";
/// How many jobs a page of a list holds, so that lists have several.
const PAGE: usize = 2;

/// Whose interface is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    OpenAi,
    Gemini,
}

/// What goes wrong with the creation of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateFault {
    /// The job is created, and the connection closes without a word.
    LoseReply,
    /// The job is created, and the answer is kept back until [`BatchSimulator::release`].
    Hold,
    /// Nothing is created: 429.
    Limited,
    /// Nothing is created: 503.
    Overloaded,
    /// Nothing is created: the key is refused.
    BadKey,
    /// The file of calls is not taken: 503. Only OpenAI's interface has any.
    NoFile,
}

/// How jobs end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Every call is answered, in the opposite order.
    #[default]
    Well,
    /// The first call is answered, for the others there was no time.
    Expired,
    /// The job as a whole is refused.
    Failed,
    /// The first call is refused, the others are answered.
    FirstRefused,
    /// Somebody cancelled it before it began.
    Cancelled,
    /// Every call is refused because of a field that has a plainer form.
    FormRefused,
}

/// A running server; it stops when it is dropped.
pub struct BatchSimulator {
    server: Server,
    shared: Shared,
}

type Shared = Arc<Mutex<State>>;
/// What the two files of a job hold that ended so.
type Lines = fn(&[(String, Value)], Ending) -> (Vec<Value>, Vec<Value>);

#[derive(Default)]
struct State {
    faults: VecDeque<CreateFault>,
    ending: Ending,
    is_done: bool,
    released: Arc<Watched<bool>>,
    answers_in_a_file: bool,
    loses_files: bool,
    jobs: Vec<Job>,
    files: BTreeMap<String, Vec<u8>>,
    n_files: usize,
    n_direct: usize,
    n_cancelled: usize,
}

struct Job {
    id: String,
    mark: String,
    input: String,
    calls: Vec<(String, Value)>,
    is_valid: bool,
    is_cancelled: bool,
    is_deleted: bool,
    outputs: Option<(String, String)>,
}

impl BatchSimulator {
    pub fn start() -> Self {
        let shared = Shared::default();
        let served = Arc::clone(&shared);
        let server = Server::start(move |request| serve(&request, &served));
        let simulator = Self { server, shared };
        // Strangers' jobs, so that ours is not the only one.
        for number in 0..3 {
            let stranger = Job::new(number, "stranger", "file-0", Vec::new());
            simulator.state().jobs.push(stranger);
        }
        simulator
    }

    pub fn base_url(&self, api: Api) -> String {
        let base = self.server.base_url();
        match api {
            Api::OpenAi => format!("{base}/v1"),
            Api::Gemini => format!("{base}/v1beta"),
        }
    }

    /// Adds a fault to the script: each creation takes the next, in order.
    pub fn then(&self, fault: CreateFault) {
        self.state().faults.push_back(fault);
    }

    /// Has all jobs be over, in this manner.
    pub fn finish(&self, ending: Ending) {
        let mut state = self.state();
        (state.is_done, state.ending) = (true, ending);
    }

    /// Has Gemini's answers put into a file, as for large jobs.
    pub fn put_answers_in_a_file(&self) {
        self.state().answers_in_a_file = true;
    }

    /// Has every file be gone when it is asked for.
    pub fn lose_files(&self) {
        self.state().loses_files = true;
    }

    /// Lets go of what [`CreateFault::Hold`] keeps back.
    pub fn release(&self) {
        let released = Arc::clone(&self.state().released);
        released.change(|is_released| *is_released = true);
    }

    /// How many jobs we ever created.
    pub fn n_jobs(&self) -> usize {
        let state = self.state();
        state
            .jobs
            .iter()
            .filter(|job| job.mark != "stranger")
            .count()
    }

    /// How many texts the jobs had, all together.
    pub fn n_texts(&self) -> usize {
        let state = self.state();
        let calls = state.jobs.iter().flat_map(|job| &job.calls);
        calls.map(|(_, body)| n_items(body)).sum()
    }

    /// What the first call of the last job wanted of the form of its answer and of thinking.
    pub fn last_form(&self) -> (Value, Value) {
        let state = self.state();
        let calls = state.jobs.last().map(|job| &job.calls);
        let body = calls.and_then(|calls| Some(&calls.first()?.1));
        let body = body.cloned().unwrap_or_default();
        let thinking = body["generationConfig"]["thinkingConfig"].clone();
        (body["response_format"]["type"].clone(), thinking)
    }

    /// How many ordinary calls came.
    pub fn n_direct(&self) -> usize {
        self.state().n_direct
    }

    /// How many files of ours are there, and how many jobs that can be listed.
    pub fn n_left(&self) -> (usize, usize) {
        let state = self.state();
        let jobs = state.jobs.iter();
        let ours = jobs.filter(|job| job.mark != "stranger" && !job.is_deleted);
        (state.files.len(), ours.count())
    }

    /// How many jobs were cancelled.
    pub fn n_cancelled(&self) -> usize {
        self.state().n_cancelled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    fn new(number: usize, mark: &str, input: &str, calls: Vec<(String, Value)>) -> Self {
        Self {
            id: format!("{number:04}"),
            mark: mark.to_owned(),
            input: input.to_owned(),
            calls,
            is_valid: true,
            is_cancelled: false,
            is_deleted: false,
            outputs: None,
        }
    }
}

fn serve(request: &Request, shared: &Shared) -> Reply {
    let has_key = request.headers.contains_key("authorization")
        || request.headers.contains_key("x-goog-api-key");
    if !has_key {
        return error(401, "no key", "invalid_api_key");
    }
    let (method, path) = (request.method.as_str(), request.path.as_str());
    if let Some(route) = path.strip_prefix("/v1/") {
        let parts: Vec<&str> = route.split('/').collect();
        return openai(method, &parts, request, shared);
    }
    if let Some(route) = path.strip_prefix("/v1beta/") {
        return gemini(method, route, request, shared);
    }
    match path.strip_prefix("/download/v1beta/") {
        Some(file) if method == "GET" => file_content(file.trim_end_matches(":download"), shared),
        _ => error(404, "no such route", "not_found"),
    }
}

fn openai(method: &str, parts: &[&str], request: &Request, shared: &Shared) -> Reply {
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
        ("POST", ["batches"]) => create_openai(request, shared),
        ("GET", ["batches"]) => list_openai(request, shared),
        ("GET", ["batches", id]) => look(id, shared, openai_job),
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

fn create_openai(request: &Request, shared: &Shared) -> Reply {
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
    let calls = openai_calls(&content);
    let is_valid = calls.is_some();
    create(
        shared,
        &mark,
        &file,
        calls.unwrap_or_default(),
        is_valid,
        openai_job,
    )
}

/// The calls of a file; none if it is not as such a file must be.
fn openai_calls(content: &[u8]) -> Option<Vec<(String, Value)>> {
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

/// Creates a job, or does what the script says instead.
fn create(
    shared: &Shared,
    mark: &str,
    input: &str,
    calls: Vec<(String, Value)>,
    is_valid: bool,
    show: fn(&mut State, usize) -> Value,
) -> Reply {
    let fault = lock(shared).faults.pop_front();
    match fault {
        Some(CreateFault::Limited) => {
            return error(429, "Too many enqueued jobs.", "rate_limit_exceeded");
        }
        Some(CreateFault::Overloaded) => return error(503, "overloaded", "server_error"),
        Some(CreateFault::BadKey) => {
            return error(401, "Incorrect API key provided", "invalid_api_key");
        }
        _ => {}
    }
    let shown = {
        let mut state = lock(shared);
        let number = state.jobs.len();
        let mut job = Job::new(number, mark, input, calls);
        job.is_valid = is_valid;
        state.jobs.push(job);
        show(&mut state, number)
    };
    match fault {
        Some(CreateFault::LoseReply) => Reply::Hangup,
        Some(CreateFault::Hold) => {
            let released = Arc::clone(&lock(shared).released);
            released.wait(PATIENCE, |is_released| *is_released);
            answer(&shown)
        }
        _ => answer(&shown),
    }
}

fn list_openai(request: &Request, shared: &Shared) -> Reply {
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
        .map(|number| openai_job(&mut state, number))
        .collect();
    answer(&json!({"object": "list", "data": data, "has_more": has_more}))
}

fn openai_job(state: &mut State, number: usize) -> Value {
    let is_done = state.is_done;
    let ending = state.ending_of(number);
    let status = match ending {
        _ if state.jobs[number].is_cancelled => "cancelled",
        Ending::Failed => "failed",
        _ if !is_done => "in_progress",
        Ending::Well | Ending::FirstRefused | Ending::FormRefused => "completed",
        Ending::Expired => "expired",
        Ending::Cancelled => "cancelled",
    };
    let is_ours = state.jobs[number].mark != "stranger";
    let outputs = (is_ours && matches!(status, "completed" | "expired"))
        .then(|| state.outputs(number, openai_lines));
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
fn openai_lines(calls: &[(String, Value)], ending: Ending) -> (Vec<Value>, Vec<Value>) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    for (place, (key, body)) in calls.iter().enumerate() {
        match ending {
            Ending::Expired if place > 0 => errors.push(json!({"id": "r", "custom_id": key, "response": null,
                "error": {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}})),
            Ending::FirstRefused if place == 0 => errors.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 400, "body": {"error": {"message": "flagged", "type": "invalid_request_error",
                    "param": null, "code": "content_policy_violation"}}}})),
            Ending::FormRefused => errors.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 400, "body": {"error": {"message": "not supported with this model",
                    "type": "invalid_request_error", "param": "response_format", "code": null}}}})),
            _ => output.push(json!({"id": "r", "custom_id": key, "error": null,
                "response": {"status_code": 200, "request_id": "q", "body": completion(body)}})),
        }
    }
    output.reverse();
    (output, errors)
}

impl State {
    fn keep_file(&mut self, content: Vec<u8>) -> String {
        self.n_files += 1;
        let id = format!("file-{}", self.n_files);
        self.files.insert(id.clone(), content);
        id
    }

    fn ending_of(&self, number: usize) -> Ending {
        if self.jobs[number].is_valid {
            self.ending
        } else {
            Ending::Failed
        }
    }

    /// The files with what came of a job, made when they are first asked for.
    fn outputs(&mut self, number: usize, lines: Lines) -> (String, String) {
        if let Some(outputs) = &self.jobs[number].outputs {
            return outputs.clone();
        }
        let (output, errors) = lines(&self.jobs[number].calls, self.ending);
        let text = |lines: Vec<Value>| -> Vec<u8> {
            lines
                .iter()
                .flat_map(|line| format!("{line}\n").into_bytes())
                .collect()
        };
        let outputs = (self.keep_file(text(output)), self.keep_file(text(errors)));
        self.jobs[number].outputs = Some(outputs.clone());
        outputs
    }
}

fn gemini(method: &str, route: &str, request: &Request, shared: &Shared) -> Reply {
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
        ("POST", "models/m:batchGenerateContent") => create_gemini(request, shared),
        ("GET", "batches") => list_gemini(request, shared),
        _ => match (method, route.split_once('/')) {
            ("DELETE", Some(("files", _))) => match lock(shared).files.remove(route) {
                Some(_) => answer(&json!({})),
                None => error(404, "no such file", "NOT_FOUND"),
            },
            ("GET", Some(("batches", id))) => look(id, shared, gemini_job),
            ("POST", Some(("batches", id))) => cancel(id.trim_end_matches(":cancel"), shared),
            ("DELETE", Some(("batches", id))) => delete(id, shared),
            _ => error(404, "no such route", "NOT_FOUND"),
        },
    }
}

fn create_gemini(request: &Request, shared: &Shared) -> Reply {
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
            create(shared, mark, "", calls, true, gemini_job)
        }
        _ => error(400, "a malformed job", "INVALID_ARGUMENT"),
    }
}

fn list_gemini(request: &Request, shared: &Shared) -> Reply {
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
        .map(|number| gemini_job(&mut state, *number))
        .collect();
    for operation in &mut operations {
        // A list does not show what came of its jobs.
        operation["metadata"]["output"] = Value::Null;
    }
    let next = (end < numbers.len()).then(|| end.to_string());
    answer(&json!({"operations": operations, "nextPageToken": next}))
}

fn gemini_job(state: &mut State, number: usize) -> Value {
    let is_done = state.is_done;
    let name = match state.ending_of(number) {
        _ if state.jobs[number].is_cancelled => "CANCELLED",
        _ if !is_done => "RUNNING",
        Ending::Well | Ending::FirstRefused | Ending::FormRefused => "SUCCEEDED",
        Ending::Expired => "EXPIRED",
        Ending::Failed => "FAILED",
        Ending::Cancelled => "CANCELLED",
    };
    let output = match name {
        "SUCCEEDED" | "EXPIRED" if state.answers_in_a_file => {
            let (file, _) = state.outputs(number, gemini_file);
            let content = state.files.remove(&file);
            let long = format!("files/{file}");
            if let Some(content) = content {
                state.files.insert(long.clone(), content);
            }
            json!({"responsesFile": long})
        }
        "SUCCEEDED" | "EXPIRED" => {
            let lines = gemini_lines(&state.jobs[number].calls, state.ending);
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

fn gemini_lines(calls: &[(String, Value)], ending: Ending) -> Vec<Value> {
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
            _ => json!({"metadata": metadata, "response": generated(body)}),
        }
    });
    lines.collect()
}

fn gemini_file(calls: &[(String, Value)], ending: Ending) -> (Vec<Value>, Vec<Value>) {
    let mut lines = gemini_lines(calls, ending);
    for line in &mut lines {
        line["key"] = line["metadata"]["key"].take();
        line["metadata"] = Value::Null;
    }
    lines.reverse();
    (lines, Vec::new())
}

fn look(id: &str, shared: &Shared, show: fn(&mut State, usize) -> Value) -> Reply {
    let mut state = lock(shared);
    match find(&state, id) {
        Some(number) => {
            let shown = show(&mut state, number);
            answer(&shown)
        }
        None => error(404, "no such job", "NOT_FOUND"),
    }
}

fn cancel(id: &str, shared: &Shared) -> Reply {
    let mut state = lock(shared);
    match find(&state, id) {
        Some(number) if !state.is_done => {
            state.jobs[number].is_cancelled = true;
            state.n_cancelled += 1;
            answer(&json!({}))
        }
        Some(_) => error(409, "it is over", "conflict"),
        None => error(404, "no such job", "NOT_FOUND"),
    }
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

fn find(state: &State, id: &str) -> Option<usize> {
    let id = id.trim_start_matches("batch_");
    state
        .jobs
        .iter()
        .position(|job| job.id == id && !job.is_deleted)
}

fn file_content(file: &str, shared: &Shared) -> Reply {
    let state = lock(shared);
    match state.files.get(file).filter(|_| !state.loses_files) {
        Some(content) => Answer::new(200, "application/octet-stream", content.clone()).into(),
        None => error(404, "no such file", "not_found"),
    }
}

fn answer(body: &Value) -> Reply {
    Answer::new(200, KIND, body.to_string()).into()
}

fn error(status: u16, message: &str, code: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": code, "param": null, "code": code}});
    Answer::new(status, KIND, body.to_string()).into()
}

/// The question inside the body of a call, in either dialect.
fn question(body: &Value) -> Option<Value> {
    let content = match body["messages"].as_array() {
        Some(messages) => messages.last()?["content"].as_str()?,
        None => body["contents"].as_array()?.last()?["parts"][0]["text"].as_str()?,
    };
    serde_json::from_str(content).ok()
}

fn n_items(body: &Value) -> usize {
    let question = question(body).unwrap_or_default();
    question["items"].as_array().map_or(0, Vec::len)
}

fn translated(body: &Value) -> Option<String> {
    let question = question(body)?;
    let target = question["target"].as_str()?;
    let items: Vec<Value> = question["items"]
        .as_array()?
        .iter()
        .map(|item| {
            let text = format!("[{target}] {}", item["text"].as_str().unwrap_or_default());
            json!({"id": item["id"], "text": text})
        })
        .collect();
    Some(json!({"items": items}).to_string())
}

fn completion(body: &Value) -> Option<Value> {
    Some(json!({
        "id": "c", "object": "chat.completion", "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": translated(body)?, "refusal": null}}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
    }))
}

fn generated(body: &Value) -> Option<Value> {
    Some(json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": translated(body)?}]},
            "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 500, "totalTokenCount": 1_500},
        "modelVersion": "m",
    }))
}

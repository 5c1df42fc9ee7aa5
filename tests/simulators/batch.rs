//! The batch interfaces of OpenAI and Gemini, with ordinary calls beside them; it counts jobs for itself.

mod gemini;
mod openai;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

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
    /// The same, and Gemini does not name the field.
    FormRefusedNamelessly,
    /// Every answer is cut before its first word, since thoughts left it no room.
    OutOfRoom,
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

    /// The most tokens that the answer to the first call of the last job was allowed.
    pub fn last_bound(&self) -> Option<u64> {
        let state = self.state();
        let calls = state.jobs.last().map(|job| &job.calls);
        let body = calls.and_then(|calls| Some(&calls.first()?.1));
        let body = body.cloned().unwrap_or_default();
        let bound = body["max_completion_tokens"].as_u64();
        bound.or_else(|| body["generationConfig"]["maxOutputTokens"].as_u64())
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
        return openai::serve(method, &parts, request, shared);
    }
    if let Some(route) = path.strip_prefix("/v1beta/") {
        return gemini::serve(method, route, request, shared);
    }
    match path.strip_prefix("/download/v1beta/") {
        Some(file) if method == "GET" => file_content(file.trim_end_matches(":download"), shared),
        _ => error(404, "no such route", "not_found"),
    }
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

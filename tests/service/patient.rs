//! A provider that takes its time, as a test tells it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::PATIENCE;
use crate::simulators::server::{Answer, Server};
use crate::simulators::wait::Watched;

/// A provider that speaks as `openai` and says `[LANGUAGE] TEXT` after a while.
pub struct Patient {
    server: Server,
    calls: Arc<Watched<Calls>>,
}

#[derive(Default)]
struct Calls {
    /// Whether answers are kept back, and from how many calls on they are.
    is_held: bool,
    held_from: Option<u64>,
    is_over: bool,
    n_calls: u64,
    n_waiting: u64,
    most_waiting: u64,
    /// Tokens of all answered calls, in and out.
    billed: (u64, u64),
}

impl Patient {
    /// Answers after a random time between these, in milliseconds.
    pub fn start(from: u64, to: u64) -> Self {
        let calls: Arc<Watched<Calls>> = Arc::default();
        let served = Arc::clone(&calls);
        let server = Server::start(move |request| {
            served.change(Calls::begin);
            // What a provider takes is time, whatever else goes on, but for its own end.
            let latency = Duration::from_millis(fastrand::u64(from..=to));
            served.wait(latency, |calls| calls.is_over);
            served.wait(PATIENCE, |calls| !calls.are_held() || calls.is_over);
            served.change(|calls| calls.n_waiting -= 1);
            let answered = translated(&request.body);
            if let Some(answered) = &answered {
                served.change(|calls| calls.bill(&answered["usage"]));
            }
            answer(answered).into()
        });
        Self { server, calls }
    }

    /// Like the settings name it.
    pub fn settings(&self) -> String {
        format!(
            "[[provider]]\nname = \"patient\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n",
            self.server.base_url()
        )
    }

    /// Keeps every answer back until [`Patient::release`].
    pub fn hold(&self) {
        self.calls.change(|calls| calls.is_held = true);
    }

    /// Waits until so many calls came, from the last of which on every answer is kept back until
    /// [`Patient::release`].
    pub fn hold_from(&self, n_calls: u64) {
        self.calls.change(|calls| calls.held_from = Some(n_calls));
        self.wait_for_calls(n_calls);
    }

    pub fn release(&self) {
        self.calls
            .change(|calls| (calls.is_held, calls.held_from) = (false, None));
    }

    /// How many calls came.
    pub fn n_calls(&self) -> u64 {
        self.calls.read(|calls| calls.n_calls)
    }

    /// Waits until so many calls came.
    pub fn wait_for_calls(&self, n_calls: u64) {
        let came = self.calls.wait(PATIENCE, |calls| calls.n_calls >= n_calls);
        assert!(
            came,
            "waited {PATIENCE:?} in vain until {n_calls} calls came"
        );
    }

    /// US dollars for the tokens of all answered calls, at these prices for a million, in and out.
    pub fn billed(&self, (input, output): (f64, f64)) -> f64 {
        let (n_in, n_out) = self.calls.read(|calls| calls.billed);
        (n_in as f64 * input + n_out as f64 * output) / 1e6
    }

    /// How many calls wait for their answers.
    pub fn n_waiting(&self) -> u64 {
        self.calls.read(|calls| calls.n_waiting)
    }

    /// How many calls waited at once, at the most.
    pub fn most_waiting(&self) -> u64 {
        self.calls.read(|calls| calls.most_waiting)
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.calls.change(|calls| calls.is_over = true);
    }
}

impl Calls {
    fn are_held(&self) -> bool {
        self.is_held
            || self
                .held_from
                .is_some_and(|n_calls| self.n_calls >= n_calls)
    }

    fn begin(&mut self) {
        self.n_calls += 1;
        self.n_waiting += 1;
        self.most_waiting = self.most_waiting.max(self.n_waiting);
    }

    fn bill(&mut self, usage: &Value) {
        let tokens = |name: &str| usage[name].as_u64().expect("a count");
        self.billed.0 += tokens("prompt_tokens");
        self.billed.1 += tokens("completion_tokens");
    }
}

fn answer(answered: Option<Value>) -> Answer {
    match answered {
        Some(body) => Answer::new(200, "application/json", body.to_string()),
        None => Answer::new(400, "application/json", "{\"error\": \"not understood\"}"),
    }
}

fn translated(body: &[u8]) -> Option<Value> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let content = body["messages"].as_array()?.last()?["content"].as_str()?;
    let question: Value = serde_json::from_str(content).ok()?;
    let target = question["target"].as_str()?;
    let items: Vec<Value> = question["items"]
        .as_array()?
        .iter()
        .map(|item| {
            let text = format!("[{target}] {}", item["text"].as_str().unwrap_or_default());
            json!({"id": item["id"], "text": text})
        })
        .collect();
    let content = json!({"items": items}).to_string();
    // Four letters make a token, as is usual.
    let messages = body["messages"].as_array()?.iter();
    let asked = messages.map(|it| it["content"].as_str().map_or(0, |it| it.chars().count()));
    let (n_in, n_out) = (asked.sum::<usize>() / 4, content.chars().count() / 4);
    Some(json!({
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content}}],
        "usage": {
            "prompt_tokens": n_in, "completion_tokens": n_out, "total_tokens": n_in + n_out,
        },
    }))
}

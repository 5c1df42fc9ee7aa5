//! A provider that takes its time, as a test tells it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::simulators::server::{Answer, Request, Server};

/// A provider that speaks as `openai` and says `[LANGUAGE] TEXT` after a while.
pub struct Patient {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    /// Milliseconds, from and to.
    pause: Mutex<(u64, u64)>,
    is_held: AtomicBool,
    n_calls: AtomicU64,
    n_waiting: AtomicU64,
}

impl Patient {
    /// Answers after a random time between these, in milliseconds.
    pub fn start(from: u64, to: u64) -> Self {
        let shared = Arc::new(Shared {
            pause: Mutex::new((from, to)),
            is_held: AtomicBool::new(false),
            n_calls: AtomicU64::new(0),
            n_waiting: AtomicU64::new(0),
        });
        let served = Arc::clone(&shared);
        let server = Server::start(move |request| served.answer(&request).into());
        Self { server, shared }
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
        self.shared.is_held.store(true, Ordering::SeqCst);
    }

    pub fn release(&self) {
        self.shared.is_held.store(false, Ordering::SeqCst);
    }

    /// How many calls came.
    pub fn n_calls(&self) -> u64 {
        self.shared.n_calls.load(Ordering::SeqCst)
    }

    /// How many calls wait for their answers.
    pub fn n_waiting(&self) -> u64 {
        self.shared.n_waiting.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Answer {
        self.n_calls.fetch_add(1, Ordering::SeqCst);
        self.n_waiting.fetch_add(1, Ordering::SeqCst);
        let (from, to) = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        thread::sleep(Duration::from_millis(fastrand::u64(from..=to)));
        while self.is_held.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        self.n_waiting.fetch_sub(1, Ordering::SeqCst);
        match translated(&request.body) {
            Some(body) => Answer::new(200, "application/json", body.to_string()),
            None => Answer::new(400, "application/json", "{\"error\": \"not understood\"}"),
        }
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
    Some(json!({
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
    }))
}

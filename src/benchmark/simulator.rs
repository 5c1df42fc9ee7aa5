//! A provider of chat completions that costs little: it shares the cores with the service under test.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::corpus;

/// The path on which the simulator says what it counted.
pub(super) const COUNTS_PATH: &str = "/control/counts";

/// The path on which it translates.
pub(super) const TRANSLATE_PATH: &str = "/v1/chat/completions";

const MAX_HEADERS: usize = 32;
const READ_SIZE: usize = 16 * 1024;
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What the simulator counted for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Calls that were understood.
    pub(super) calls: u64,
    /// Texts in them.
    pub(super) texts: u64,
    /// Calls that were not understood.
    pub(super) misunderstood: u64,
    /// The most calls that were in flight at once.
    pub(super) peak_in_flight: u64,
}

/// A provider on a port of its own.
pub(super) struct Simulator {
    listener: TcpListener,
    state: Rc<State>,
}

impl Simulator {
    /// Binds a free port of the loopback; every answer waits for `latency`.
    pub(super) async fn bind(latency: Duration) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            state: Rc::new(State {
                latency,
                counts: Cell::default(),
                n_in_flight: Cell::default(),
            }),
        })
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is dropped; has to run in a `LocalSet`.
    pub(super) async fn serve(self) -> io::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            // A caller that goes away is no failure of the simulator.
            drop(tokio::task::spawn_local(serve(stream, self.state.clone())));
        }
    }
}

struct State {
    latency: Duration,
    counts: Cell<Counts>,
    n_in_flight: Cell<u64>,
}

impl State {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    async fn wait(&self) {
        if self.latency.is_zero() {
            return;
        }
        self.n_in_flight.set(self.n_in_flight.get() + 1);
        let n_in_flight = self.n_in_flight.get();
        self.count(|counts| counts.peak_in_flight = counts.peak_in_flight.max(n_in_flight));
        tokio::time::sleep(self.latency).await;
        self.n_in_flight.set(self.n_in_flight.get() - 1);
    }
}

async fn serve(mut stream: TcpStream, state: Rc<State>) -> io::Result<()> {
    let mut received = Vec::with_capacity(READ_SIZE);
    let mut scratch = Scratch::default();
    loop {
        let Some(request) = parse(&received) else {
            if received.len() == received.capacity() {
                received.reserve(READ_SIZE);
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let end = request.body_at + request.length;
        let body = &received[request.body_at..end];
        match request.route {
            Route::Translate => translate(&state, body, &mut scratch).await,
            Route::Counts => scratch.answer(200, &counts_json(state.counts.get())),
            Route::Unknown => scratch.answer(404, br#"{"error":{"message":"no such route"}}"#),
            Route::Refused => scratch.answer(400, br#"{"error":{"message":"not understood"}}"#),
        }
        stream.write_all(&scratch.answer).await?;
        if matches!(request.route, Route::Refused) {
            return Ok(());
        }
        received.drain(..end);
    }
}

async fn translate(state: &State, body: &[u8], scratch: &mut Scratch) {
    match scratch.write_translation(body) {
        Ok(n_texts) => {
            state.count(|counts| {
                counts.calls += 1;
                counts.texts += n_texts;
            });
            state.wait().await;
        }
        Err(cause) => {
            state.count(|counts| counts.misunderstood += 1);
            let problem = serde_json::json!({"error": {"message": cause.to_string()}});
            scratch.answer(400, problem.to_string().as_bytes());
        }
    }
}

fn counts_json(counts: Counts) -> Vec<u8> {
    serde_json::to_vec(&counts).expect("four numbers can be written as JSON")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Translate,
    Counts,
    Unknown,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    route: Route,
    body_at: usize,
    length: usize,
}

/// Returns the request at the start of what was received, once it is whole.
fn parse(received: &[u8]) -> Option<Request> {
    const REFUSED: Option<Request> = Some(Request {
        route: Route::Refused,
        body_at: 0,
        length: 0,
    });
    if received.is_empty() {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let body_at = match request.parse(received) {
        Ok(httparse::Status::Complete(body_at)) => body_at,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return REFUSED,
    };
    let mut length = 0;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let Some(n) = std::str::from_utf8(header.value)
                .ok()
                .and_then(|n| n.parse().ok())
            else {
                return REFUSED;
            };
            length = n;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return REFUSED;
        }
    }
    if length > MAX_BODY {
        return REFUSED;
    }
    if received.len() < body_at + length {
        return None;
    }
    let route = match (request.method, request.path) {
        (Some("POST"), Some(TRANSLATE_PATH)) => Route::Translate,
        (Some("GET"), Some(COUNTS_PATH)) => Route::Counts,
        _ => Route::Unknown,
    };
    Some(Request {
        route,
        body_at,
        length,
    })
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    messages: Vec<ChatMessage<'a>>,
}

#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Debug, thiserror::Error)]
enum Misunderstood {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("expected a message of the user")]
    NoUserMessage,
}

/// The buffers of one connection, kept from call to call.
#[derive(Default)]
struct Scratch {
    translation: String,
    content: Vec<u8>,
    body: Vec<u8>,
    answer: Vec<u8>,
}

impl Scratch {
    /// Writes the answer to a call; returns how many texts it had.
    fn write_translation(&mut self, body: &[u8]) -> Result<u64, Misunderstood> {
        let completion: Completion<'_> = serde_json::from_slice(body)?;
        let message = completion
            .messages
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .ok_or(Misunderstood::NoUserMessage)?;
        let decoded: String = serde_json::from_str(message.content.get())?;
        let content: Content<'_> = serde_json::from_str(&decoded)?;
        self.write_content(&content.items)?;
        self.write_body(body.len())?;
        let body = std::mem::take(&mut self.body);
        self.answer(200, &body);
        self.body = body;
        Ok(content.items.len() as u64)
    }

    fn write_content(&mut self, items: &[Item<'_>]) -> Result<(), Misunderstood> {
        self.content.clear();
        self.content.extend_from_slice(br#"{"items":["#);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.content.push(b',');
            }
            self.translation.clear();
            corpus::translate_into(&item.text, &mut self.translation);
            let translated = Item {
                id: Cow::Borrowed(&item.id),
                text: Cow::Borrowed(&self.translation),
            };
            serde_json::to_writer(&mut self.content, &translated)?;
        }
        self.content.extend_from_slice(b"]}");
        Ok(())
    }

    fn write_body(&mut self, length_in: usize) -> Result<(), Misunderstood> {
        let content = String::from_utf8_lossy(&self.content);
        self.body.clear();
        self.body.extend_from_slice(
            br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"simulated","choices":[{"index":0,"message":{"role":"assistant","content":"#,
        );
        serde_json::to_writer(&mut self.body, &content)?;
        // A token is about four bytes; only the order of size matters here.
        let (n_in, n_out) = (length_in / 4, content.len() / 4);
        let usage = format!(
            r#"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{n_in},"completion_tokens":{n_out},"total_tokens":{}}}}}"#,
            n_in + n_out
        );
        self.body.extend_from_slice(usage.as_bytes());
        Ok(())
    }

    fn answer(&mut self, status: u16, body: &[u8]) {
        let reason = match status {
            200 => "OK",
            404 => "Not Found",
            _ => "Bad Request",
        };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.answer.clear();
        self.answer.extend_from_slice(head.as_bytes());
        self.answer.extend_from_slice(body);
    }
}

/// Returns the body of a call with one text, as the contract has it.
pub(super) fn call_body(text: &str) -> Vec<u8> {
    let content = serde_json::json!({
        "target": "es", "source": "en", "items": [{"id": "1", "text": text}]
    });
    serde_json::json!({
        "model": "simulated",
        "messages": [
            {"role": "system", "content": "Translate every item and answer with the same ids."},
            {"role": "user", "content": content.to_string()},
        ],
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::client::{connect_tcp, get, post};
    use super::*;

    fn with_simulator<F, T>(latency: Duration, exercise: impl FnOnce(SocketAddr) -> F) -> T
    where
        F: Future<Output = T>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let simulator = Simulator::bind(latency).await.unwrap();
            let address = simulator.address().unwrap();
            let serving = tokio::task::spawn_local(simulator.serve());
            let outcome = exercise(address).await;
            serving.abort();
            outcome
        })
    }

    fn translation_in(body: &[u8]) -> serde_json::Value {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        let content = body["choices"][0]["message"]["content"].as_str().unwrap();
        serde_json::from_str(content).unwrap()
    }

    #[test]
    fn a_call_is_answered_item_by_item_with_its_ids() {
        let content = r#"{"target":"es","source":null,"items":[{"id":"a","text":"one \"x\""},{"id":"b","text":"⟦0⟧"}]}"#;
        let body = serde_json::json!({"messages": [
            {"role": "user", "content": "an older message"},
            {"role": "user", "content": content},
        ]});
        let request = post(
            TRANSLATE_PATH,
            "application/json",
            body.to_string().as_bytes(),
        );

        let answer = with_simulator(Duration::ZERO, async |address| {
            let mut connection = connect_tcp(address).await.unwrap();
            translation_in(connection.exchange(&request).await.unwrap().body)
        });

        assert_eq!(
            answer,
            serde_json::json!({"items": [{"id": "a", "text": "«one \"x\"»"}, {"id": "b", "text": "«⟦0⟧»"}]})
        );
    }

    #[test]
    fn calls_and_texts_are_counted_and_what_is_not_understood_apart() {
        let counts = with_simulator(Duration::from_millis(1), async |address| {
            let mut connection = connect_tcp(address).await.unwrap();
            for body in [call_body("one"), call_body("two"), b"{}".to_vec()] {
                let request = post(TRANSLATE_PATH, "application/json", &body);
                connection.exchange(&request).await.unwrap();
            }
            let response = connection.exchange(&get(COUNTS_PATH)).await.unwrap();
            serde_json::from_slice::<Counts>(response.body).unwrap()
        });

        assert_eq!(
            counts,
            Counts {
                calls: 2,
                texts: 2,
                misunderstood: 1,
                peak_in_flight: 1
            }
        );
    }

    #[test]
    fn a_request_is_whole_only_with_its_body() {
        let request = post(TRANSLATE_PATH, "application/json", b"{}");

        assert_eq!(parse(&request[..request.len() - 1]), None);
        assert_eq!(
            parse(&request).map(|request| request.route),
            Some(Route::Translate)
        );
    }

    #[test]
    fn an_answer_waits_for_the_latency() {
        let latency = Duration::from_millis(30);
        let request = post(TRANSLATE_PATH, "application/json", &call_body("one"));

        let taken = with_simulator(latency, async |address| {
            let mut connection = connect_tcp(address).await.unwrap();
            let started = std::time::Instant::now();
            connection.exchange(&request).await.unwrap();
            started.elapsed()
        });

        assert!(taken >= latency, "{taken:?}");
    }
}

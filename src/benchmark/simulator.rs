//! A provider that costs little, limits, breaks and counts: it shares the cores with the service under test.

mod admission;
mod broken;
mod chat;
mod counts;
mod plan;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use self::admission::{Admission, Cost};
pub(super) use self::admission::{Limit, Per, Unit};
use self::broken::{Breakage, Translated};
use self::chat::{Content, Finish, Item, Misunderstood};
use self::counts::Book;
pub(super) use self::counts::{Counts, SLOT, Timeline};
use self::plan::Draw;
pub(super) use self::plan::{Dialect, Fault, Hint, Latency, Outage, Plan, Telling, Throttle};
use self::refusal::Refusal;
use self::request::{Route, parse};
use super::corpus;

/// The path on which the simulator says what it counted.
pub(super) const COUNTS_PATH: &str = "/control/counts";

/// The path on which it says when things happened.
pub(super) const TIMELINE_PATH: &str = "/control/timeline";

/// The path on which it is told to go and to return, by an [`Outage`] as JSON.
pub(super) const OUTAGE_PATH: &str = "/control/outage";

/// The path on which it translates when it speaks as OpenAI.
pub(super) const TRANSLATE_PATH: &str = chat::path(Dialect::OpenAi);

const READ_SIZE: usize = 16 * 1024;

/// How many pieces an answer that trickles comes in, and the pause before each.
const N_DROPS: usize = 20;
const DROP_EVERY: Duration = Duration::from_millis(50);

/// About how many bytes a token has; only the order of size matters here.
const TOKEN_BYTES: usize = 4;

/// How long a refusal asks to wait that no limit asks for.
const THROTTLED_WAIT: Duration = Duration::from_secs(1);

/// How long an answer does not come that never comes; longer than anybody waits.
const HANG: Duration = Duration::from_secs(3_600);

/// A provider on a port of its own.
pub(super) struct Simulator {
    listener: TcpListener,
    state: Rc<State>,
}

impl Simulator {
    /// Binds a free port of the loopback for a provider of this plan.
    pub(super) async fn bind(plan: Plan) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            state: Rc::new(State::new(plan)),
        })
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it fails.
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
    plan: Plan,
    translate_path: &'static str,
    is_certain: bool,
    usual_latency: Duration,
    started: Instant,
    admission: RefCell<Admission>,
    book: RefCell<Book>,
    outage: Cell<Outage>,
}

impl State {
    fn new(plan: Plan) -> Self {
        Self {
            translate_path: chat::path(plan.dialect),
            is_certain: plan.is_certain(),
            usual_latency: plan.latency.usual(),
            started: Instant::now(),
            admission: RefCell::new(Admission::new(&plan.limits)),
            book: RefCell::default(),
            outage: Cell::default(),
            plan,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns what happens to the call of this number.
    fn draw(&self, number: u64) -> Draw {
        match self.is_certain {
            true => Draw {
                fault: None,
                latency: self.usual_latency,
                length: 1.0,
                rng: fastrand::Rng::with_seed(number),
            },
            false => self.plan.draw(number),
        }
    }

    fn settle(&self, most: Cost, used: Cost) {
        let mut admission = self.admission.borrow_mut();
        if admission.is_limited() {
            admission.settle(self.now(), most, used);
        }
    }

    /// Returns the headers that an answer bears now.
    fn limit_headers(&self) -> String {
        let mut headers = String::new();
        let mut admission = self.admission.borrow_mut();
        if admission.is_limited() {
            let left = admission.left(self.now());
            refusal::write_limits(self.plan.dialect, self.plan.telling, left, &mut headers);
        }
        headers
    }

    fn counts(&self) -> Counts {
        let mut admission = self.admission.borrow_mut();
        let left = admission.left(self.now());
        let room = left
            .filter(|left| left.limit.unit == Unit::Requests)
            .map(|left| left.remaining)
            .min();
        Counts {
            room: room.unwrap_or(0),
            ..self.book.borrow().counts
        }
    }
}

/// How a call ends for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With an answer.
    Answer,
    /// With an answer in pieces.
    Trickle,
    /// With a reset.
    Reset,
}

async fn serve(mut stream: TcpStream, state: Rc<State>) -> io::Result<()> {
    let mut received = Vec::with_capacity(READ_SIZE);
    let mut scratch = Scratch::default();
    loop {
        let Some(request) = parse(&received, state.translate_path) else {
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
        let ending = match request.route {
            Route::Translate => translate(&state, body, &mut scratch).await,
            Route::Counts => scratch.say(&state.counts()),
            Route::Timeline => scratch.say(&state.book.borrow().timeline(state.now())),
            Route::Outage => scratch.switch(&state.outage, body),
            Route::Unknown => scratch.fail(404, "no such route"),
            Route::Refused => scratch.fail(400, "not understood"),
        };
        match ending {
            Ending::Answer => stream.write_all(&scratch.answer).await?,
            Ending::Trickle => trickle(&mut stream, &scratch.answer).await?,
            Ending::Reset => return stream.set_zero_linger(),
        }
        if matches!(request.route, Route::Refused) {
            return Ok(());
        }
        received.drain(..end);
    }
}

async fn trickle(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    for piece in answer.chunks(answer.len().div_ceil(N_DROPS).max(1)) {
        tokio::time::sleep(DROP_EVERY).await;
        stream.write_all(piece).await?;
    }
    Ok(())
}

async fn translate(state: &State, body: &[u8], scratch: &mut Scratch) -> Ending {
    let began = state.now();
    match state.outage.get() {
        Outage::Over => {}
        outage => {
            state.book.borrow_mut().turned_away(began);
            return match outage {
                Outage::Reset => Ending::Reset,
                _ => scratch.refuse(&refusal::unavailable()),
            };
        }
    }
    let number = state.book.borrow_mut().arrived(began);
    match answer(state, body, scratch, number, began).await {
        Ok(ending) => ending,
        Err(cause) => {
            state.book.borrow_mut().counts.misunderstood += 1;
            scratch.fail(400, &cause.to_string())
        }
    }
}

async fn answer(
    state: &State,
    body: &[u8],
    scratch: &mut Scratch,
    number: u64,
    began: Duration,
) -> Result<Ending, Misunderstood> {
    let question = chat::question(state.plan.dialect, body)?;
    let content: Content<'_> = serde_json::from_str(&question.content)?;
    let mut draw = state.draw(number);
    if let Some(refusal) = refusal_out_of_turn(state, number, draw.fault, began) {
        return Ok(scratch.refuse(&refusal));
    }
    let tokens_in = body.len().div_ceil(TOKEN_BYTES) as u64;
    let most = Cost {
        tokens_in,
        tokens_out: question.max_tokens.unwrap_or(tokens_in),
    };
    if let Some(refusal) = over_limit(state, most, began) {
        return Ok(scratch.refuse(&refusal));
    }
    if let Some(fault @ (Fault::Hang | Fault::Reset | Fault::ServerError)) = draw.fault {
        return Ok(fail(state, fault, draw, most, scratch).await);
    }
    let used = scratch.write_answer(state, &content, most, question.max_tokens, &mut draw)?;
    let n_texts = content.items.len() as u64;
    state.book.borrow_mut().admitted(began, n_texts);
    if !draw.latency.is_zero() {
        state.book.borrow_mut().began();
        tokio::time::sleep(draw.latency).await;
        state.book.borrow_mut().ended();
    }
    state.settle(most, used);
    state.book.borrow_mut().answered(began, used);
    scratch.frame(200, &state.limit_headers());
    Ok(match draw.fault {
        Some(Fault::Trickle) => Ending::Trickle,
        _ => Ending::Answer,
    })
}

/// Returns the 429 that no limit asks for, if this call is to meet one.
fn refusal_out_of_turn(
    state: &State,
    number: u64,
    fault: Option<Fault>,
    now: Duration,
) -> Option<Refusal> {
    let dialect = state.plan.dialect;
    let mut book = state.book.borrow_mut();
    if let Some(throttle) = state.plan.throttle
        && throttle.at_call == number
    {
        let (hint, wait, wall) = (throttle.hint, throttle.wait, SystemTime::now());
        book.refused_as_planned(now, refusal::written_wait(hint, wait, wall));
        return Some(refusal::hinting(dialect, hint, wait, wall));
    }
    let hint = match (fault, dialect) {
        (Some(Fault::ThrottledWithoutHint), _) => Hint::Absent,
        (Some(Fault::Throttled), Dialect::Gemini) => Hint::RetryInfo,
        (Some(Fault::Throttled), Dialect::Groq) => Hint::Message,
        (Some(Fault::Throttled), Dialect::Silent) => Hint::Absent,
        (Some(Fault::Throttled), _) => Hint::Seconds,
        _ => return None,
    };
    book.refused(now);
    let wall = SystemTime::now();
    Some(refusal::hinting(dialect, hint, THROTTLED_WAIT, wall))
}

/// Lets a call in, or returns how it is refused.
fn over_limit(state: &State, most: Cost, now: Duration) -> Option<Refusal> {
    let mut admission = state.admission.borrow_mut();
    if !admission.is_limited() {
        return None;
    }
    let refused = admission.admit(now, most).err()?;
    if state.plan.dialect == Dialect::OpenAi {
        admission.count_refused(now);
    }
    state.book.borrow_mut().refused(now);
    let mut said = refusal::over_limit(state.plan.dialect, state.plan.telling, &refused);
    drop(admission);
    said.headers.push_str(&state.limit_headers());
    Some(said)
}

/// Fails a call that was let in.
async fn fail(
    state: &State,
    fault: Fault,
    mut draw: Draw,
    most: Cost,
    scratch: &mut Scratch,
) -> Ending {
    state.book.borrow_mut().counts.failed += 1;
    let wait = match fault {
        Fault::Hang => HANG,
        _ => draw.latency,
    };
    tokio::time::sleep(wait).await;
    state.settle(
        most,
        Cost {
            tokens_out: 0,
            ..most
        },
    );
    match fault {
        Fault::ServerError => {
            scratch.refuse(&refusal::server_error(state.plan.dialect, &mut draw.rng))
        }
        _ => Ending::Reset,
    }
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
    /// Writes the body of the answer to a call; returns what it used.
    fn write_answer(
        &mut self,
        state: &State,
        content: &Content<'_>,
        most: Cost,
        max_tokens: Option<u64>,
        draw: &mut Draw,
    ) -> Result<Cost, Misunderstood> {
        let mut finish = self.write_content(state, content, draw)?;
        let whole = self.content.len().div_ceil(TOKEN_BYTES);
        let mut used = Cost {
            tokens_out: (whole as f64 * draw.length).round().max(1.0) as u64,
            ..most
        };
        let mut said = String::from_utf8_lossy(&self.content);
        if let Some(limit) = max_tokens.filter(|limit| used.tokens_out > *limit) {
            // As much of the answer is there as of its tokens.
            let share = limit as f64 / used.tokens_out as f64;
            said = Cow::Owned(broken::cut(&said, (said.len() as f64 * share) as usize));
            used.tokens_out = limit;
            finish = Finish::Length;
            state.book.borrow_mut().counts.cut += 1;
        }
        chat::write_answer(state.plan.dialect, &said, finish, used, &mut self.body)?;
        Ok(used)
    }

    /// Writes the translations, broken if they are to be.
    fn write_content(
        &mut self,
        state: &State,
        content: &Content<'_>,
        draw: &mut Draw,
    ) -> Result<Finish, Misunderstood> {
        match draw.fault {
            Some(Fault::Broken(breakage)) => {
                state.book.borrow_mut().counts.broken += 1;
                Ok(self.write_broken(content, breakage, draw))
            }
            Some(Fault::Trickle) => {
                state.book.borrow_mut().counts.trickled += 1;
                self.write_whole(content)
            }
            _ => self.write_whole(content),
        }
    }

    fn write_whole(&mut self, content: &Content<'_>) -> Result<Finish, Misunderstood> {
        self.content.clear();
        self.content.extend_from_slice(br#"{"items":["#);
        for (index, item) in content.items.iter().enumerate() {
            if index > 0 {
                self.content.push(b',');
            }
            self.translation.clear();
            corpus::translate_into(&item.text, &content.target, &mut self.translation);
            let translated = Item {
                id: Cow::Borrowed(&item.id),
                text: Cow::Borrowed(&self.translation),
            };
            serde_json::to_writer(&mut self.content, &translated)?;
        }
        self.content.extend_from_slice(b"]}");
        Ok(Finish::Stop)
    }

    fn write_broken(
        &mut self,
        content: &Content<'_>,
        breakage: Breakage,
        draw: &mut Draw,
    ) -> Finish {
        let translated = |item: &Item<'_>| {
            let mut text = String::new();
            corpus::translate_into(&item.text, &content.target, &mut text);
            let id = item.id.clone().into_owned();
            Translated { id, text }
        };
        let items = content.items.iter().map(translated).collect();
        let (content, finish) = broken::content(breakage, items, &mut draw.rng);
        self.content.clear();
        self.content.extend_from_slice(content.as_bytes());
        finish
    }

    /// Answers a request of the benchmark itself.
    fn say(&mut self, value: &impl Serialize) -> Ending {
        self.body.clear();
        serde_json::to_writer(&mut self.body, value).expect("numbers can be written as JSON");
        self.frame(200, "")
    }

    /// Begins or ends an outage.
    fn switch(&mut self, outage: &Cell<Outage>, body: &[u8]) -> Ending {
        match serde_json::from_slice(body) {
            Ok(wanted) => {
                outage.set(wanted);
                self.say(&wanted)
            }
            Err(cause) => self.fail(400, &cause.to_string()),
        }
    }

    fn fail(&mut self, status: u16, message: &str) -> Ending {
        let body = serde_json::json!({"error": {"message": message}});
        self.body.clear();
        self.body.extend_from_slice(body.to_string().as_bytes());
        self.frame(status, "")
    }

    fn refuse(&mut self, refusal: &Refusal) -> Ending {
        self.body.clear();
        self.body.extend_from_slice(refusal.body.as_bytes());
        self.frame(refusal.status, &refusal.headers)
    }

    /// Writes the answer with the body that was written before.
    fn frame(&mut self, status: u16, headers: &str) -> Ending {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            413 => "Content Too Large",
            429 => "Too Many Requests",
            _ => "Failed",
        };
        let content_type = match headers.contains("content-type") {
            true => "",
            false => "content-type: application/json\r\n",
        };
        self.answer.clear();
        // Writing to a vector cannot fail.
        let _ = write!(
            self.answer,
            "HTTP/1.1 {status} {reason}\r\n{content_type}{headers}content-length: {}\r\n\r\n",
            self.body.len()
        );
        self.answer.extend_from_slice(&self.body);
        Ending::Answer
    }
}

/// Returns the body of a call with one text, as OpenAI's dialect has it.
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

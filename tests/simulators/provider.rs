//! A provider that speaks six dialects over HTTP and can be as nasty as real ones are.

pub mod account;
mod anthropic;
pub mod deepl;
mod dialects;
mod faults;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;
use serde_json::Value;

use account::{Account, Admission, Counted};
pub use dialects::{Dialect, NAMELESS};
pub use faults::Fault;

use super::wait::tell_change;

/// A running server; it stops when dropped.
pub struct ProviderSimulator {
    address: std::net::SocketAddr,
    handle: ServerHandle,
    shared: Shared,
}

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    script: VecDeque<Option<Fault>>,
    standing: Option<Fault>,
    /// Fields that are refused in every call that has them, with what is said of them.
    refused_fields: Vec<(&'static str, String)>,
    /// The account that calls without a fault are counted against.
    limits: Option<Account>,
    /// What is added to the answers of language models.
    additions: Value,
    /// How many tokens Gemini thinks before each answer.
    thoughts: Option<u64>,
    calls: Vec<Received>,
    n_texts: usize,
    account: deepl::Account,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub authorization: Option<String>,
    pub key: Option<String>,
    pub version: Option<String>,
    pub body: Value,
    pub n_texts: usize,
}

impl ProviderSimulator {
    /// Starts a server on a free port of this machine.
    pub fn start() -> Self {
        let shared = Shared::default();
        let (sender, started) = mpsc::channel();
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(Data::from(Arc::clone(&served)))
                        .app_data(PayloadConfig::new(64 << 20))
                        .default_service(web::to(serve))
                })
                .workers(1)
                .disable_signals()
                .shutdown_timeout(0)
                .bind(("127.0.0.1", 0))
                .expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                sender
                    .send((address, server.handle()))
                    .expect("someone waits");
                server.await.expect("the server runs");
            });
        });
        let (address, handle) = started.recv().expect("the server starts");
        Self {
            address,
            handle,
            shared,
        }
    }

    /// The base address of a dialect.
    pub fn base_url(&self, dialect: Dialect) -> String {
        format!("http://{}/{}", self.address, dialect.prefix())
    }

    /// Adds a fault to the script: each translation call takes the next, in order.
    pub fn then(&self, fault: Fault) {
        self.state().script.push_back(Some(fault));
    }

    /// Adds a call without a fault to the script.
    pub fn then_well(&self) {
        self.state().script.push_back(None);
    }

    /// Sets what happens in every call that the script says nothing about.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().standing = fault;
    }

    /// Refuses a field with 400 in every call that has it.
    pub fn refuse_field(&self, field: &'static str) {
        let message = format!("Unsupported parameter: '{field}' is not supported here");
        self.state().refused_fields.push((field, message));
    }

    /// Refuses a field with 400 in every call that has it, in words that do not name it.
    pub fn refuse_without_naming(&self, field: &'static str) {
        let message = NAMELESS.to_owned();
        self.state().refused_fields.push((field, message));
    }

    /// Counts calls without a fault against this account from now on.
    pub fn open(&self, account: Account) {
        self.state().limits = Some(account);
    }

    /// Lets time pass at the account.
    pub fn pass(&self, seconds: f64) {
        let mut state = self.state();
        state.limits.as_mut().expect("an account").pass(seconds);
    }

    /// What is left at the account.
    pub fn left(&self, counted: Counted) -> f64 {
        let state = self.state();
        state.limits.as_ref().expect("an account").left(counted)
    }

    /// Adds fields to the answers of language models, or replaces what they have.
    pub fn add(&self, additions: Value) {
        self.state().additions = additions;
    }

    /// Has Gemini think so many tokens before each answer, whatever it is told; an answer that is
    /// allowed no more is cut before its first word.
    pub fn think(&self, tokens: u64) {
        self.state().thoughts = Some(tokens);
    }

    /// How many translation calls arrived.
    pub fn n_calls(&self) -> usize {
        self.state().calls.len()
    }

    /// How many texts those calls had, all together.
    pub fn n_texts(&self) -> usize {
        self.state().n_texts
    }

    /// The translation calls, in order.
    pub fn calls(&self) -> Vec<Received> {
        self.state().calls.clone()
    }

    /// Looks at the account of DeepL, or changes it.
    pub fn account<T>(&self, look: impl FnOnce(&mut deepl::Account) -> T) -> T {
        look(&mut self.state().account)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

impl Drop for ProviderSimulator {
    fn drop(&mut self) {
        // The stop is on its way once asked for; nobody needs to wait for its end.
        drop(self.handle.stop(false));
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(request: HttpRequest, body: Bytes, shared: Data<Mutex<State>>) -> HttpResponse {
    let Some(dialect) = Dialect::of_path(request.path()) else {
        return HttpResponse::NotFound().body("no such route");
    };
    if dialect == Dialect::Apertium && request.path().ends_with("/listPairs") {
        return HttpResponse::Ok().json(dialects::apertium_pairs());
    }
    if dialect == Dialect::DeepL && !request.path().ends_with("/v2/translate") {
        let route = &request.path()[dialect.prefix().len() + 1..];
        let account = &mut lock(&shared).account;
        return deepl::other_route(request.method(), route, request.headers(), &body, account);
    }
    let Some(mut question) = dialect.question(&body) else {
        return dialect.error(400, "the body is not understood", "invalid_request_error");
    };
    let fault = match receive(&request, &question, &shared) {
        Ok(fault) => fault,
        Err(message) => return dialect.error(400, &message, "invalid_request_error"),
    };
    let objection = {
        let account = &lock(&shared).account;
        dialect.objection(request.headers(), body.len(), &question, account)
    };
    if let Some(objection) = objection {
        return objection;
    }
    let mut headers = Vec::new();
    if fault.is_none() {
        match admit(&question, body.len(), &shared) {
            Admission::Admitted(told) => headers = told,
            Admission::Refused(refusal) => return refusal,
        }
    }
    {
        let state = lock(&shared);
        question.additions = state.additions.clone();
        question.thoughts = state.thoughts;
    }
    let mut response = answer(dialect, question, fault, &shared).await;
    account::add_headers(&mut response, headers);
    response
}

/// Counts a call at the account: what it sends, and all that it asks for.
fn admit(question: &dialects::Question, n_bytes: usize, shared: &Mutex<State>) -> Admission {
    let asked_for = |name: &str| question.body[name].as_u64().unwrap_or(0);
    let most = asked_for("max_completion_tokens").max(asked_for("max_tokens"));
    let n_tokens = n_bytes / 4 + usize::try_from(most).expect("a count");
    let mut state = lock(shared);
    match &mut state.limits {
        Some(account) => account.admit(question.items.len(), n_tokens),
        None => Admission::Admitted(Vec::new()),
    }
}

/// Counts the call and takes its fault, or says that a field is refused.
fn receive(
    request: &HttpRequest,
    question: &dialects::Question,
    shared: &Mutex<State>,
) -> Result<Option<Fault>, String> {
    let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
    let mut state = lock(shared);
    state.calls.push(Received {
        path: request.path().to_owned(),
        authorization: header("authorization"),
        key: header("x-goog-api-key").or_else(|| header("x-api-key")),
        version: header("anthropic-version"),
        body: question.body.clone(),
        n_texts: question.items.len(),
    });
    state.n_texts += question.items.len();
    tell_change();
    let body = question.body.to_string();
    if let Some((_, message)) = state
        .refused_fields
        .iter()
        .find(|(field, _)| body.contains(&format!("\"{field}\"")))
    {
        return Err(message.clone());
    }
    let scripted = state.script.pop_front();
    Ok(scripted.unwrap_or_else(|| state.standing.clone()))
}

async fn answer(
    dialect: Dialect,
    question: dialects::Question,
    fault: Option<Fault>,
    shared: &Mutex<State>,
) -> HttpResponse {
    match fault {
        None => dialect.answer(question, None, &lock(shared).account),
        Some(Fault::Hang) => std::future::pending().await,
        // Unwinding closes the connection without a byte, and without a word in the log.
        Some(Fault::Reset) => std::panic::resume_unwind(Box::new("reset")),
        Some(Fault::Cut) => HttpResponse::Ok()
            .content_type("application/json")
            .streaming(stream::iter([
                Ok(Bytes::from_static(b"{\"choices\":[")),
                Err(io::Error::other("cut")),
            ])),
        Some(Fault::Trickle) => trickle(),
        Some(Fault::Huge) => huge(),
        Some(Fault::Raw {
            status,
            headers,
            body,
        }) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let mut response = HttpResponse::build(status);
            for header in headers {
                response.insert_header(header);
            }
            response.body(body)
        }
        Some(fault) => match dialect.refusal(&fault) {
            Some(refusal) => refusal,
            None => dialect.answer(question, Some(fault), &lock(shared).account),
        },
    }
}

/// A byte each half second, as long as somebody reads: a timeout that each byte resets never ends.
fn trickle() -> HttpResponse {
    let ticks = actix_rt::time::interval(Duration::from_millis(500));
    let bytes = stream::unfold(ticks, |mut ticks| async move {
        ticks.tick().await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ticks))
    });
    HttpResponse::Ok()
        .content_type("application/json")
        .streaming(bytes)
}

/// Forty megabytes of white space.
fn huge() -> HttpResponse {
    let chunks = (0..640).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b' '; 64 << 10])));
    HttpResponse::Ok()
        .content_type("application/json")
        .streaming(stream::iter(chunks))
}

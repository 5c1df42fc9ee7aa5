//! A provider that speaks four dialects over HTTP and can be as nasty as real ones are.

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

pub use dialects::Dialect;
pub use faults::Fault;

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
    /// Fields that are refused in every call that has them.
    refused_fields: Vec<&'static str>,
    calls: Vec<Received>,
    n_texts: usize,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub authorization: Option<String>,
    pub key: Option<String>,
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
        self.state().refused_fields.push(field);
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
    let Some(question) = dialect.question(&body) else {
        return dialect.error(400, "the body is not understood", "invalid_request_error");
    };
    let fault = match receive(&request, &question, &shared) {
        Ok(fault) => fault,
        Err(field) => {
            let message = format!("Unsupported parameter: '{field}' is not supported here");
            return dialect.error(400, &message, "invalid_request_error");
        }
    };
    answer(dialect, question, fault).await
}

/// Counts the call and takes its fault, or names the field that is refused.
fn receive(
    request: &HttpRequest,
    question: &dialects::Question,
    shared: &Mutex<State>,
) -> Result<Option<Fault>, &'static str> {
    let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
    let mut state = lock(shared);
    state.calls.push(Received {
        path: request.path().to_owned(),
        authorization: header("authorization"),
        key: header("x-goog-api-key"),
        body: question.body.clone(),
        n_texts: question.items.len(),
    });
    state.n_texts += question.items.len();
    let body = question.body.to_string();
    if let Some(field) = state
        .refused_fields
        .iter()
        .find(|field| body.contains(&format!("\"{field}\"")))
    {
        return Err(field);
    }
    let scripted = state.script.pop_front();
    Ok(scripted.unwrap_or_else(|| state.standing.clone()))
}

async fn answer(
    dialect: Dialect,
    question: dialects::Question,
    fault: Option<Fault>,
) -> HttpResponse {
    match fault {
        None => dialect.answer(question, None),
        Some(Fault::Hang) => {
            actix_rt::time::sleep(Duration::from_secs(600)).await;
            HttpResponse::GatewayTimeout().finish()
        }
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
            None => dialect.answer(question, Some(fault)),
        },
    }
}

/// A byte each half second.
fn trickle() -> HttpResponse {
    let bytes = stream::unfold((), |()| async {
        actix_rt::time::sleep(Duration::from_millis(500)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
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

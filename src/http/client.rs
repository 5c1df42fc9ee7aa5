//! The client itself: a pool that empties when idle, and calls bounded in time and size.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use awc::error::{ConnectError, FreezeRequestError, SendRequestError};
use awc::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use awc::http::{Method, Uri, Version};
use awc::{ClientResponse as Head, FrozenClientRequest};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::{CachedConnector, OutOfReach};
use super::{Call, HttpConfig, HttpError, Response, install_tls};

/// What the bytes of an answer's body come from.
trait Body: Stream<Item = Result<Bytes, PayloadError>> {}

impl<S: Stream<Item = Result<Bytes, PayloadError>>> Body for S {}

/// The headers that may go with a redirect to another origin: none that bears a secret.
const HARMLESS_HEADERS: [&str; 6] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "if-modified-since",
    "if-none-match",
    "user-agent",
];

/// An HTTP client with a pool of its own; cheap to clone, bound to its arbiter.
///
/// It makes each call once: whoever calls knows whether a call may be repeated.
#[derive(Clone)]
pub struct HttpClient {
    pool: Rc<Pool>,
}

struct Pool {
    config: HttpConfig,
    connector: CachedConnector,
    open: RefCell<Option<Open>>,
    in_flight: Cell<usize>,
    last_used: Cell<Instant>,
}

/// What is open until nobody used it for long.
struct Open {
    client: awc::Client,
    last: Option<LastRequest>,
}

/// A request as it was last put together: most calls of a provider differ in their bodies alone.
struct LastRequest {
    headers: Box<[(Box<str>, Box<str>)]>,
    request: FrozenClientRequest,
}

impl HttpClient {
    /// A client without connections yet.
    pub fn new(config: &HttpConfig) -> Self {
        install_tls();
        Self {
            pool: Rc::new(Pool {
                config: config.clone(),
                connector: CachedConnector::new(config),
                open: RefCell::new(None),
                in_flight: Cell::new(0),
                last_used: Cell::new(Instant::now()),
            }),
        }
    }

    /// Makes one call and reads its whole answer.
    ///
    /// # Errors
    /// When no whole answer arrived; any status is an answer.
    pub async fn call(&self, call: Call<'_>) -> Result<Response, HttpError> {
        let _in_flight = InFlight::enter(Rc::clone(&self.pool));
        // A call without a body cannot tell when it leaves, so it counts as sent from the start.
        let sent = Rc::new(Cell::new(call.body.is_empty()));
        let answer = async {
            let (head, url) = self.follow(&call, &sent).await?;
            read(head, url, &call).await
        };
        match timeout(call.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) if sent.get() => Err(HttpError::TimedOut {
                detail: format!("no whole answer within {:?}", call.timeout),
            }),
            Err(_) => Err(HttpError::NotSent {
                detail: format!("no connection within {:?}", call.timeout),
            }),
        }
    }

    /// Makes one call whose answer has no end, or none soon: its body is read piece by piece.
    ///
    /// The call's timeout counts until the answer's head is there; its `max_body` does not count.
    ///
    /// # Errors
    /// When no answer arrived, or one whose body cannot be read.
    pub async fn open(&self, call: Call<'_>) -> Result<Incoming, HttpError> {
        let in_flight = InFlight::enter(Rc::clone(&self.pool));
        let sent = Rc::new(Cell::new(true));
        let answer = timeout(call.timeout, self.follow(&call, &sent)).await;
        let (mut head, _) = answer.map_err(|_| HttpError::TimedOut {
            detail: format!("no answer within {:?}", call.timeout),
        })??;
        if is_unreadable(&head, &call.method) {
            return Err(endless());
        }
        let payload = head.take_payload();
        Ok(Incoming {
            status: head.status().as_u16(),
            body: Box::pin(payload),
            _in_flight: in_flight,
        })
    }

    async fn follow(
        &self,
        call: &Call<'_>,
        sent: &Rc<Cell<bool>>,
    ) -> Result<(Head<impl Body + use<>>, Uri), HttpError> {
        let mut url = call.url.clone();
        for hop in 0_u8.. {
            let head = self.send(call, &url, sent).await?;
            let Some(next) = self.redirection(call, &url, &head)? else {
                return Ok((head, url));
            };
            if hop >= self.pool.config.redirects {
                break;
            }
            url = next;
        }
        Err(HttpError::Broken {
            detail: format!("more than {} redirects", self.pool.config.redirects),
        })
    }

    async fn send(
        &self,
        call: &Call<'_>,
        url: &Uri,
        sent: &Rc<Cell<bool>>,
    ) -> Result<Head<impl Body + use<>>, HttpError> {
        let request = self.pool.request(call, url);
        let request = request.map_err(|error| failure_of(&error.into()))?;
        let answer = if call.body.is_empty() {
            request.send().await
        } else {
            let body = WatchedBody {
                bytes: call.body.clone(),
                sent: Rc::clone(sent),
            };
            request.send_body(body).await
        };
        answer.map_err(|error| failure_of(&error))
    }

    /// Where the answer sends the caller, if the call may go there.
    fn redirection<S>(
        &self,
        call: &Call<'_>,
        url: &Uri,
        head: &Head<S>,
    ) -> Result<Option<Uri>, HttpError> {
        let is_redirect = matches!(head.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let is_safe = matches!(call.method, Method::GET | Method::HEAD);
        if self.pool.config.redirects == 0 || !is_redirect || !is_safe {
            return Ok(None);
        }
        let location = head.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let next = location
            .and_then(|location| resolve(url, location))
            .ok_or_else(|| HttpError::Broken {
                detail: "a redirect to nowhere, wanted a location".to_owned(),
            })?;
        if is_downgrade(url, &next) {
            return Err(HttpError::Broken {
                detail: "a redirect from https to http, which is not followed".to_owned(),
            });
        }
        Ok(Some(next))
    }
}

impl Pool {
    /// The request of a call, at a client that is built anew after idleness closed the last one.
    fn request(
        self: &Rc<Self>,
        call: &Call<'_>,
        url: &Uri,
    ) -> Result<FrozenClientRequest, FreezeRequestError> {
        let mut slot = self.open.borrow_mut();
        let open = slot.get_or_insert_with(|| {
            actix_rt::spawn(close_when_idle(Rc::downgrade(self), self.config.keep_alive));
            Open {
                client: build(&self.config, self.connector.clone()),
                last: None,
            }
        });
        if !is_same_origin(url, call.url) {
            let is_harmless = |(name, _): &&(&str, &str)| {
                let mut known = HARMLESS_HEADERS.iter();
                known.any(|known| known.eq_ignore_ascii_case(name))
            };
            return open.freeze(call, url, call.headers.iter().filter(is_harmless));
        }
        if let Some(last) = open.last.as_ref().filter(|last| last.is_of(call, url)) {
            return Ok(last.request.clone());
        }
        let request = open.freeze(call, url, call.headers.iter())?;
        let headers = call.headers.iter();
        open.last = Some(LastRequest {
            headers: headers
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            request: request.clone(),
        });
        Ok(request)
    }
}

impl Open {
    fn freeze<'a>(
        &self,
        call: &Call<'_>,
        url: &Uri,
        headers: impl Iterator<Item = &'a (&'a str, &'a str)>,
    ) -> Result<FrozenClientRequest, FreezeRequestError> {
        let request = self
            .client
            .request(call.method.clone(), url.clone())
            .insert_header(("accept-encoding", "gzip"));
        headers
            .fold(request, |request, header| request.insert_header(*header))
            .freeze()
    }
}

impl LastRequest {
    fn is_of(&self, call: &Call<'_>, url: &Uri) -> bool {
        let headers = self.headers.iter().zip(call.headers);
        self.headers.len() == call.headers.len()
            && headers
                .into_iter()
                .all(|(last, now)| *last.0 == *now.0 && *last.1 == *now.1)
            && *self.request.get_method() == call.method
            && self.request.get_uri() == url
    }
}

pub(super) fn build(config: &HttpConfig, connector: CachedConnector) -> awc::Client {
    // HTTP/1.1 alone: the pool hands out HTTP/2 connections without looking whether they live.
    let connector = awc::Connector::new()
        .connector(connector)
        .max_http_version(Version::HTTP_11)
        .limit(config.connections)
        .timeout(config.connect_timeout)
        .handshake_timeout(config.connect_timeout)
        .conn_keep_alive(config.keep_alive)
        .conn_lifetime(config.dns_ttl.max(config.keep_alive));
    awc::Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .add_default_header(("user-agent", config.user_agent.as_str()))
        .finish()
}

/// Drops the pool once nobody used it for `keep_alive`: awc never closes what is not visited.
async fn close_when_idle(pool: std::rc::Weak<Pool>, keep_alive: Duration) {
    loop {
        let Some(deadline) = pool.upgrade().map(|pool| pool.last_used.get() + keep_alive) else {
            return;
        };
        sleep_until(deadline.max(Instant::now() + Duration::from_millis(10))).await;
        let Some(pool) = pool.upgrade() else { return };
        if pool.in_flight.get() > 0 {
            pool.last_used.set(Instant::now());
        } else if pool.last_used.get() + keep_alive <= Instant::now() {
            pool.open.borrow_mut().take();
            return;
        }
    }
}

struct InFlight(Rc<Pool>);

impl InFlight {
    fn enter(pool: Rc<Pool>) -> Self {
        pool.in_flight.set(pool.in_flight.get() + 1);
        Self(pool)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.last_used.set(Instant::now());
    }
}

/// An answer whose body is read piece by piece.
pub struct Incoming {
    /// The status code.
    pub status: u16,
    body: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    _in_flight: InFlight,
}

impl Incoming {
    /// The next piece, as it comes; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes for so long.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Bytes>, HttpError> {
        let piece = timeout(wait, self.body.next()).await;
        let piece = piece.map_err(|_| HttpError::TimedOut {
            detail: format!("nothing more within {wait:?}"),
        })?;
        piece.transpose().map_err(|error| HttpError::Broken {
            detail: plain(&error.to_string()),
        })
    }
}

/// A body that notes when it is first asked for, which is before the first byte leaves.
struct WatchedBody {
    bytes: Bytes,
    sent: Rc<Cell<bool>>,
}

impl MessageBody for WatchedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.sent.set(true);
        let rest = std::mem::take(&mut self.bytes);
        Poll::Ready((!rest.is_empty()).then_some(Ok(rest)))
    }
}

async fn read(mut head: Head<impl Body>, url: Uri, call: &Call<'_>) -> Result<Response, HttpError> {
    if is_unreadable(&head, &call.method) {
        return Err(endless());
    }
    let promised = promised_length(&head, &call.method);
    let body = head
        .body()
        .limit(call.max_body)
        .await
        .map_err(|error| match error {
            PayloadError::Overflow => HttpError::TooLarge {
                detail: format!("more than {} bytes", call.max_body),
            },
            other => HttpError::Broken {
                detail: plain(&other.to_string()),
            },
        })?;
    if let Some(promised) = promised.filter(|promised| *promised != body.len()) {
        return Err(HttpError::Broken {
            detail: format!("{} bytes of a body of {promised}", body.len()),
        });
    }
    Ok(Response {
        status: head.status().as_u16(),
        body,
        url,
        head: head.map_body(|_, _| Payload::None),
    })
}

fn endless() -> HttpError {
    HttpError::Broken {
        detail: "the answer does not say where its body ends".to_owned(),
    }
}

/// Whether the body ends where the connection does, which awc takes for no body at all.
fn is_unreadable<S>(head: &Head<S>, method: &Method) -> bool {
    head.status().is_success()
        && may_have_body(head, method)
        && head.version() == Version::HTTP_11
        && !head.headers().contains_key(CONTENT_LENGTH)
        && !head.headers().contains_key(TRANSFER_ENCODING)
}

fn may_have_body<S>(head: &Head<S>, method: &Method) -> bool {
    *method != Method::HEAD && !matches!(head.status().as_u16(), 204 | 304)
}

/// How long the body must be, where the answer says so; awc does not hold it to that.
fn promised_length<S>(head: &Head<S>, method: &Method) -> Option<usize> {
    let is_plain = !head.headers().contains_key(CONTENT_ENCODING)
        && !head.headers().contains_key(TRANSFER_ENCODING);
    if !may_have_body(head, method) || !is_plain {
        return None;
    }
    head.headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn failure_of(error: &SendRequestError) -> HttpError {
    let detail = detail_of(error);
    match error {
        // awc says this when a peer hangs up without an answer, long after the request left.
        SendRequestError::Connect(ConnectError::Disconnected) => HttpError::Broken { detail },
        SendRequestError::Connect(ConnectError::Io(cause)) if is_out_of_reach(cause) => {
            HttpError::OutOfReach { detail }
        }
        SendRequestError::Connect(_) | SendRequestError::Url(_) | SendRequestError::Http(_) => {
            HttpError::NotSent { detail }
        }
        SendRequestError::Timeout => HttpError::TimedOut { detail },
        _ => HttpError::Broken { detail },
    }
}

fn is_out_of_reach(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|cause| cause.is::<OutOfReach>())
}

fn detail_of(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => {
            "the connection was closed without an answer".to_owned()
        }
        SendRequestError::Connect(ConnectError::Timeout) => "no connection in time".to_owned(),
        SendRequestError::Connect(ConnectError::Resolver(cause)) => {
            format!("the name does not resolve: {}", plain(&cause.to_string()))
        }
        SendRequestError::Connect(cause) => plain(&cause.to_string()),
        SendRequestError::Response(cause) => {
            format!("the answer is no HTTP: {}", plain(&cause.to_string()))
        }
        SendRequestError::Send(cause) => plain(&cause.to_string()),
        other => plain(&other.to_string()),
    }
}

/// A foreign message in this project's manner: it begins in lowercase, without a full stop.
fn plain(message: &str) -> String {
    let mut letters = message.trim().trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn is_downgrade(from: &Uri, to: &Uri) -> bool {
    from.scheme_str() == Some("https") && to.scheme_str() != Some("https")
}

fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let base = url::Url::parse(&base.to_string()).ok()?;
    let next = base.join(location).ok()?;
    matches!(next.scheme(), "http" | "https")
        .then(|| next[..url::Position::AfterQuery].parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;

//! The HTTP client that sources, providers and outlets share.

mod client;
pub mod clock;
mod connect;
pub mod download;
pub mod hints;
pub mod json;
pub mod reopening;
pub mod socket;
pub mod xrpc;

pub use awc::http::{Method, Uri};
pub use client::{HttpClient, Incoming};

use std::fmt;
use std::time::Duration;

use actix_web::web::Bytes;
use awc::http::header::AsHeaderName;

use crate::secret::Secret;

/// How a client connects; one client serves one upstream from one arbiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The most connections, and so the most calls in flight; 0 leaves them unbounded.
    pub connections: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a resolved name is believed, and how old a connection may become.
    pub dns_ttl: Duration,
    /// How long resolving and connecting may take, and how long the TLS handshake after it.
    pub connect_timeout: Duration,
    /// What the client calls itself.
    pub user_agent: String,
    /// The most redirects that a GET or HEAD follows; 0 hands a redirect to the caller.
    pub redirects: u8,
    /// Where it may connect to, redirects included.
    pub reach: Reach,
}

/// Which addresses a client connects to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Any.
    #[default]
    Anywhere,
    /// Those of the public internet: none of this machine, and none of a private network. It is
    /// the resolved address that counts, so a name that points inside leads nowhere.
    Public,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 100,
            keep_alive: Duration::from_secs(60),
            dns_ttl: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            user_agent: concat!("babelfeed/", env!("CARGO_PKG_VERSION")).to_owned(),
            redirects: 0,
            reach: Reach::Anywhere,
        }
    }
}

/// One call, whose parts the caller keeps, so that a repeated call parses nothing again.
///
/// It does not print, since addresses and headers bear credentials.
#[derive(Clone)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The address; it has a scheme and a host.
    pub url: &'a Uri,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; empty means none.
    pub body: Bytes,
    /// How long the whole call may take: the pool, connecting, and the answer's body included.
    pub timeout: Duration,
    /// The most bytes that the answer's body may have once it is unpacked.
    pub max_body: usize,
}

/// A whole answer, whatever its status.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, unpacked.
    pub body: Bytes,
    /// The address that answered, which differs from the call's after a redirect.
    pub url: Uri,
    head: awc::ClientResponse,
}

impl Response {
    /// The first value of a header, where it is text; names are compared without case.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }

    /// Every value of a header that may come several times, where it is text.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.head.headers().get_all(name);
        values.filter_map(|value| value.to_str().ok())
    }

    /// Whether the status is one of the 200s.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Hides a credential that the body of a refusal repeats.
    pub fn hide_in_refusal(&mut self, secret: &Secret) {
        if !self.is_success() {
            let body = String::from_utf8_lossy(&self.body);
            self.body = secret.hide_in(&body).into();
        }
    }
}

impl fmt::Debug for Response {
    /// Without the address, which may bear a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("n_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Provably nothing of the request left.
    #[error("not sent: {detail}")]
    NotSent {
        /// What happened.
        detail: String,
    },
    /// Nothing of the request leaves, now or later: it is no address that may be asked.
    #[error("not sent: {detail}")]
    OutOfReach {
        /// Why not.
        detail: String,
    },
    /// The request may have arrived; its answer did not, or cannot be read.
    #[error("broken off: {detail}")]
    Broken {
        /// What happened.
        detail: String,
    },
    /// The request may have arrived; its answer was not whole in time.
    #[error("timed out: {detail}")]
    TimedOut {
        /// What was waited for.
        detail: String,
    },
    /// The request has arrived; its answer has more bytes than the caller takes.
    #[error("answer too large: {detail}")]
    TooLarge {
        /// The limit.
        detail: String,
    },
}

/// Installs the process-wide cryptography of TLS; doing it again changes nothing.
pub fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing a race means that another thread has just installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

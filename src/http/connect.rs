//! How a connection comes about: names resolved through a cache, addresses tried in turn.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::net::TcpStream;
use actix_tls::connect::{
    ConnectError as TcpConnectError, ConnectInfo, Connection as TcpConnection,
};
use actix_web::dev::Service;
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::HttpConfig;

/// The most names that one client remembers; redirects can lead a client to many.
const MAX_NAMES: usize = 256;

/// The service that awc asks for a connection.
#[derive(Clone)]
pub(super) struct CachedConnector {
    shared: Rc<Shared>,
}

struct Shared {
    dns_ttl: Duration,
    connect_timeout: Duration,
    names: Mutex<HashMap<String, Name>>,
}

struct Name {
    addresses: Vec<IpAddr>,
    resolved_at: Instant,
}

impl CachedConnector {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            shared: Rc::new(Shared {
                dns_ttl: config.dns_ttl,
                connect_timeout: config.connect_timeout,
                names: Mutex::new(HashMap::new()),
            }),
        }
    }
}

impl Service<ConnectInfo<Uri>> for CachedConnector {
    type Response = TcpConnection<Uri, TcpStream>;
    type Error = TcpConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, TcpConnectError>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), TcpConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let shared = Rc::clone(&self.shared);
        Box::pin(async move {
            let stream = shared.connect(info.hostname(), info.port()).await?;
            Ok(TcpConnection::new(info.request().clone(), stream))
        })
    }
}

impl Shared {
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, TcpConnectError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolve(host).await?,
        };
        let share = self.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut last = TcpConnectError::NoRecords;
        for address in addresses {
            match connect_to(SocketAddr::new(address, port), share).await {
                Ok(stream) => {
                    self.prefer(host, address).await;
                    return Ok(stream);
                }
                Err(error) => last = TcpConnectError::Io(error),
            }
        }
        Err(last)
    }

    /// Resolves a name once for all who wait for it; a stale answer is better than none.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, TcpConnectError> {
        let mut names = self.names.lock().await;
        if let Some(name) = names.get(host)
            && name.resolved_at.elapsed() < self.dns_ttl
        {
            return Ok(name.addresses.clone());
        }
        match (look_up(host).await, names.get(host)) {
            (Ok(addresses), _) => {
                if names.len() >= MAX_NAMES {
                    names.clear();
                }
                let name = Name {
                    addresses: addresses.clone(),
                    resolved_at: Instant::now(),
                };
                names.insert(host.to_owned(), name);
                Ok(addresses)
            }
            (Err(_), Some(stale)) => Ok(stale.addresses.clone()),
            (Err(error), None) => Err(TcpConnectError::Resolver(error)),
        }
    }

    /// Puts the address that answered first, so that a dead one is not tried each time.
    async fn prefer(&self, host: &str, address: IpAddr) {
        if let Some(name) = self.names.lock().await.get_mut(host)
            && let Some(position) = name.addresses.iter().position(|known| *known == address)
        {
            name.addresses[..=position].rotate_right(1);
        }
    }
}

async fn look_up(host: &str) -> Result<Vec<IpAddr>, Box<dyn Error>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for found in tokio::net::lookup_host((host, 0)).await? {
        if !addresses.contains(&found.ip()) {
            addresses.push(found.ip());
        }
    }
    if addresses.is_empty() {
        return Err("the name has no address".into());
    }
    Ok(addresses)
}

async fn connect_to(address: SocketAddr, wait: Duration) -> io::Result<TcpStream> {
    let stream = timeout(wait, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection"))??;
    // Without it, head and body written apart meet delayed acknowledgement: 40 ms a call.
    stream.set_nodelay(true)?;
    Ok(stream)
}

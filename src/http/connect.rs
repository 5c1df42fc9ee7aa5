//! How a connection comes about: names resolved through a cache, addresses tried in turn.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

use super::{HttpConfig, Reach};

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
    reach: Reach,
    names: Mutex<HashMap<String, Name>>,
}

struct Name {
    addresses: Vec<IpAddr>,
    resolved_at: Instant,
}

/// An address is not one of those that may be asked.
#[derive(Debug, thiserror::Error)]
#[error("the address is not one of the public internet")]
pub(super) struct OutOfReach;

impl CachedConnector {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            shared: Rc::new(Shared {
                dns_ttl: config.dns_ttl,
                connect_timeout: config.connect_timeout,
                reach: config.reach,
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
        let addresses = self.within_reach(addresses)?;
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

    fn within_reach(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, TcpConnectError> {
        if self.reach == Reach::Anywhere {
            return Ok(addresses);
        }
        let public: Vec<IpAddr> = addresses.into_iter().filter(is_public).collect();
        if public.is_empty() {
            let error = io::Error::new(io::ErrorKind::PermissionDenied, OutOfReach);
            return Err(TcpConnectError::Io(error));
        }
        Ok(public)
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

/// Whether an address is one of the public internet.
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(*address),
        IpAddr::V6(address) => match embedded_v4(*address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(*address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_for_tests = first == 198 && (18..20).contains(&second);
    let is_for_protocols = (first, second, third) == (192, 0, 0);
    !(first == 0
        || first >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_for_tests
        || is_for_protocols)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let is_documentation = address.segments()[..2] == [0x2001, 0x0db8];
    // What is assigned to the internet begins with the bits 001.
    first & 0xe000 == 0x2000 && !is_documentation
}

/// The address of the older protocol to which one of these forms leads: mapped, translated (NAT64)
/// or tunnelled (6to4).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => address.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        is_public(&address.parse().expect("an address"))
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "93.184.216.34",
            "8.8.8.8",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn addresses_of_machines_and_private_networks_are_not() {
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}

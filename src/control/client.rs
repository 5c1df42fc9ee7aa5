//! Whose texts are whose, so that nobody waits behind all that another client has handed in.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use babelfeed_actors::domain::{Flow, REQUESTS};
use tokio::net::UnixStream;

/// How many flows there are for clients: what clients that come and go leave behind is bounded,
/// and hardly ever do two that are busy share one.
const FLOWS: u32 = 64;

/// Who is at the other end of a connection: on the socket a process, however many connections it
/// has, and on TCP a connection, because any number of clients may have one address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Client(u32);

/// Notes at a connection who is at its other end.
pub(super) fn note(connection: &dyn Any, extensions: &mut Extensions) {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    let process = || {
        connection
            .downcast_ref::<UnixStream>()?
            .peer_cred()
            .ok()?
            .pid()
    };
    let client = match process() {
        Some(id) => id.unsigned_abs(),
        None => CONNECTIONS.fetch_add(1, Ordering::Relaxed),
    };
    extensions.insert(Client(client));
}

impl Client {
    /// Who has sent this.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.conn_data().copied().unwrap_or_default()
    }

    /// The flow of all that it asks for.
    pub(super) fn flow(self) -> Flow {
        thread_local! {
            static OF_CLIENTS: Vec<Flow> = (0..FLOWS).map(flow_of).collect();
        }
        OF_CLIENTS.with(|flows| flows[(self.0 % FLOWS) as usize].clone())
    }
}

fn flow_of(number: u32) -> Flow {
    Flow::from(format!("{REQUESTS}/{number}").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_flows_of_their_own_of_which_there_are_only_so_many() {
        let flows: std::collections::HashSet<Flow> =
            (0..10_000).map(|id| Client(id).flow()).collect();
        assert_eq!(flows.len(), FLOWS as usize);
        assert_ne!(Client(4_711).flow(), Client(4_712).flow());
        assert_eq!(Client(3).flow().as_str(), "requests/3");
    }
}

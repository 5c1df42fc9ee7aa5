//! Jetstream, the network's stream of events, as a sign that a poll is worth making.
//!
//! It is heard by <https://github.com/bluesky-social/jetstream>'s first version: each event has
//! its time, from which the stream is heard again after a restart, for a day and a half.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::SourceName;
use babelfeed_actors::ports::SourceError;
use serde::Deserialize;
use tokio::time::sleep;

use crate::atproto::{Account, Did, POSTS, PostPlace, RecordKey};
use crate::http::reopening::Reopening;
use crate::http::socket::Socket;
use crate::http::{HttpConfig, HttpError, Uri};
use crate::sources::events::Events;
use crate::sources::reading::{Reading, read_on};

/// How long opening may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// After how long without a word the other side is asked whether it is there.
const QUIET: Duration = Duration::from_secs(30);
/// The longest wait between attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a post is looked for that the stream told of and the view does not show yet.
const MAX_LOOKS: u32 = 6;
/// The most posts that are waited for.
const MAX_AWAITED: usize = 10_000;

/// What is heard of one account; it is heard until this is dropped.
pub(super) struct Stream {
    heard: Rc<Heard>,
    listening: RefCell<Option<Reading>>,
}

struct Heard {
    name: SourceName,
    url: Uri,
    http: HttpConfig,
    /// What was deleted, with the time of its event.
    events: Events<(u64, String)>,
    /// The time of the last event, in microseconds since 1970.
    read: Cell<Option<u64>>,
    /// What was posted, and not seen by a poll.
    awaited: RefCell<BTreeSet<String>>,
    n_looks: Cell<u32>,
}

#[derive(Deserialize)]
struct Event {
    did: String,
    time_us: u64,
    commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    operation: String,
    collection: String,
    rkey: String,
}

impl Stream {
    pub(super) fn new(name: &SourceName, url: Uri, http: HttpConfig) -> Self {
        Self {
            heard: Rc::new(Heard {
                name: name.clone(),
                url,
                http,
                events: Events::default(),
                read: Cell::new(None),
                awaited: RefCell::default(),
                n_looks: Cell::new(0),
            }),
            listening: RefCell::new(None),
        }
    }

    /// Waits until there is something to poll for; the first call begins to listen.
    pub(super) async fn news(&self, did: impl Future<Output = Result<Did, SourceError>>) {
        if self.listening.borrow().is_none() {
            match did.await {
                Ok(did) => {
                    let listening = Reading::begin(listen(Rc::clone(&self.heard), did));
                    *self.listening.borrow_mut() = Some(listening);
                }
                // The next poll says why.
                Err(_) => return std::future::pending().await,
            }
        }
        self.heard.events.news().await;
    }

    /// Listens no more until somebody waits for news again.
    pub(super) fn rest(&self) {
        self.listening.take();
    }

    /// What was deleted since `read`, and how far the stream was heard when this was asked.
    pub(super) fn gone_since(&self, read: Option<u64>) -> (Vec<String>, Option<u64>) {
        let heard = &self.heard;
        if heard.read.get().is_none() {
            // A restart: the stream is heard again from where polls have got to.
            heard.read.set(read);
        }
        let waiting = heard.events.waiting().into_iter().map(|it| it.what);
        let untold = waiting.filter(|(at, _)| read.is_none_or(|read| *at > read));
        (untold.map(|it| it.1).collect(), heard.read.get())
    }

    /// Forgets what was deleted until then, because it was taken.
    pub(super) fn forget(&self, read: u64) {
        self.heard.events.retain(|(at, _)| *at > read);
    }

    /// Sees to another poll where one did not yet show what the stream told of.
    pub(super) fn note_seen(&self, present: &BTreeSet<&str>) {
        let heard = &self.heard;
        let mut awaited = heard.awaited.borrow_mut();
        awaited.retain(|id| !present.contains(id.as_str()));
        if awaited.is_empty() {
            heard.n_looks.set(0);
            return;
        }
        let n_looks = heard.n_looks.get();
        if n_looks == MAX_LOOKS {
            awaited.clear();
            heard.n_looks.set(0);
            return;
        }
        heard.n_looks.set(n_looks + 1);
        let heard = Rc::downgrade(heard);
        actix_rt::spawn(async move {
            // The view follows the network within seconds.
            sleep(Duration::from_millis(500 << n_looks)).await;
            if let Some(heard) = heard.upgrade() {
                heard.events.announce();
            }
        });
    }
}

/// Listens, connecting anew whenever the stream ends.
async fn listen(heard: Rc<Heard>, did: Did) {
    let mut reopening = Reopening::new(LONGEST_WAIT);
    let read = async |mut socket: Socket| {
        // Whatever happened meanwhile may be older than what the stream still has.
        heard.events.announce();
        loop {
            match socket.next(QUIET).await {
                Ok(Some(message)) => heard.take(&message, &did),
                Ok(None) => {
                    return HttpError::Broken {
                        detail: "the stream has ended".to_owned(),
                    };
                }
                Err(error) => return error,
            }
        }
    };
    let wait = |lived, _: &HttpError| reopening.wait_after(lived);
    let open = async || connected(&heard, &did).await;
    read_on(&heard.name, open, read, wait).await;
}

async fn connected(heard: &Heard, did: &Did) -> Result<Socket, HttpError> {
    let base = heard.url.to_string();
    let cursor = heard.read.get();
    let cursor = cursor.map_or_else(String::new, |read| format!("&cursor={read}"));
    let url = format!(
        "{}/subscribe?wantedCollections={POSTS}&wantedDids={did}{cursor}",
        base.trim_end_matches('/')
    );
    let url: Uri = url.parse().map_err(|_| HttpError::NotSent {
        detail: format!("`{base}` cannot be listened to"),
    })?;
    Socket::open(&heard.http, &url, PATIENCE).await
}

impl Heard {
    fn take(&self, message: &[u8], did: &Did) {
        let Ok(event) = serde_json::from_slice::<Event>(message) else {
            return;
        };
        // Events come again after each connection, and some of other accounts come always.
        let is_old = self.read.get().is_some_and(|read| event.time_us <= read);
        if is_old || event.did != did.as_str() {
            return;
        }
        self.read.set(Some(event.time_us));
        let Some(commit) = event.commit.filter(|it| it.collection == POSTS) else {
            return;
        };
        let Some(key) = RecordKey::parse(&commit.rkey) else {
            return;
        };
        let account = Account::Did(did.clone());
        let id = PostPlace { account, key }.to_string();
        if commit.operation == "delete" {
            self.awaited.borrow_mut().remove(&id);
            let gone = (event.time_us, id);
            self.events.tell_or_forget(&self.name, gone);
        } else {
            let mut awaited = self.awaited.borrow_mut();
            if awaited.len() < MAX_AWAITED {
                awaited.insert(id);
            }
            self.n_looks.set(0);
            self.events.announce();
        }
    }
}

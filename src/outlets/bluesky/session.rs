//! The session of an account: begun once, kept in a file, and renewed once for all who use it.
//!
//! A server takes few logins a day, and a token for renewal only once. So whoever renews holds
//! a lock on a file, and whoever waited for it reads what the other has written.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use actix_rt::task::spawn_blocking;
use actix_web::web::Bytes;
use babelfeed_actors::logic::hex::hex;
use babelfeed_actors::ports::OutletError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{BlueskyConfig, answer};
use crate::atproto::{Account, Did};
use crate::disk::{self, Room};
use crate::http::xrpc::{Body, Xrpc};
use crate::http::{Response, Uri};
use crate::secret::Secret;

/// How many bytes there must be room for before a session is asked for.
const ROOM: usize = 16_384;

/// What an account is called while somebody is logged in.
pub(super) struct Session {
    /// The account's permanent name.
    pub(super) did: Did,
    /// The server that holds what the account writes.
    pub(super) server: Uri,
    /// What each call is authorized by.
    pub(super) access: Secret,
    refresh: Secret,
}

/// The one session of an account.
pub(super) struct Sessions {
    xrpc: Xrpc,
    base_url: Uri,
    account: Account,
    password: Secret,
    file: PathBuf,
    /// Tells whether a kept session was begun with this account and password.
    credential: String,
    current: RefCell<Option<Rc<Session>>>,
    turn: Mutex<()>,
}

/// A session as the file keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    credential: String,
    did: String,
    server: String,
    access: String,
    refresh: String,
}

/// A session as a server tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    did: String,
    access_jwt: String,
    refresh_jwt: String,
    #[serde(default)]
    did_doc: Value,
    active: Option<bool>,
    status: Option<String>,
}

impl Sessions {
    pub(super) fn new(config: &BlueskyConfig, xrpc: Xrpc) -> Self {
        let place = fingerprint(&[&config.base_url.to_string(), config.account.as_str()]);
        let name = format!("bluesky-{}.session", &place[..16]);
        Self {
            xrpc,
            base_url: config.base_url.clone(),
            account: config.account.clone(),
            password: config.password.clone(),
            file: config.folder.join(name),
            credential: fingerprint(&[&place, config.password.expose()]),
            current: RefCell::new(None),
            turn: Mutex::new(()),
        }
    }

    /// The session as it is; the first caller reads it from the file, or begins one.
    pub(super) async fn current(&self) -> Result<Rc<Session>, OutletError> {
        let known = self.current.borrow().clone();
        match known {
            Some(session) => Ok(session),
            None => self.newer_than(None).await,
        }
    }

    /// A session after `old`, whose token was refused: somebody else's, a renewed or a new one.
    pub(super) async fn after(&self, old: &Session) -> Result<Rc<Session>, OutletError> {
        self.newer_than(Some(&old.access)).await
    }

    async fn newer_than(&self, refused: Option<&Secret>) -> Result<Rc<Session>, OutletError> {
        let is_newer = |session: &Session| refused.is_none_or(|old| session.access != *old);
        let _turn = self.turn.lock().await;
        let known = self.current.borrow().clone().filter(|it| is_newer(it));
        if let Some(session) = known {
            return Ok(session);
        }
        // Another outlet, or another process, may use the same account.
        let _lock = lock(&self.file).await?;
        let kept = self.read().await;
        let session = match kept {
            Some(kept) if is_newer(&kept) => kept,
            Some(kept) => match self.renewed(&kept).await? {
                Some(session) => session,
                None => self.begun().await?,
            },
            None => self.begun().await?,
        };
        let session = Rc::new(session);
        *self.current.borrow_mut() = Some(Rc::clone(&session));
        Ok(session)
    }

    /// The session of the file; none where there is none of this credential.
    async fn read(&self) -> Option<Session> {
        let file = self.file.clone();
        let read = spawn_blocking(move || fs::read(file)).await.ok()?;
        let kept: Kept = serde_json::from_slice(&read.ok()?).ok()?;
        (kept.credential == self.credential)
            .then(|| Session::of(kept))
            .flatten()
    }

    /// The session renewed; none where its time is over, so that another must begin.
    async fn renewed(&self, old: &Session) -> Result<Option<Session>, OutletError> {
        let method = "com.atproto.server.refreshSession";
        let nothing = Body::json(Bytes::new());
        let room = self.room().await?;
        let asked = self
            .xrpc
            .procedure(&self.base_url, method, nothing, Some(&old.refresh));
        let response = answer::of_question(asked.await)?;
        if answer::refuses_token(&response) {
            return Ok(None);
        }
        let session = self.keep(&response, old.server.clone(), room).await?;
        Ok(Some(session))
    }

    async fn begun(&self) -> Result<Session, OutletError> {
        let method = "com.atproto.server.createSession";
        let body = json!({"identifier": self.account.as_str(), "password": self.password.expose()});
        let body = Body::json(Bytes::from(body.to_string()));
        let room = self.room().await?;
        let asked = self.xrpc.procedure(&self.base_url, method, body, None);
        let mut response = answer::of_question(asked.await)?;
        response.hide_in_refusal(&self.password);
        self.keep(&response, self.base_url.clone(), room).await
    }

    /// Room for a session, made before it is asked for: what is told once must be kept.
    async fn room(&self) -> Result<Room, OutletError> {
        let file = self.file.clone();
        match spawn_blocking(move || Room::beside(&file, ROOM)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(error)) => Err(not_kept(&self.file, &error)),
            Err(error) => Err(not_kept(&self.file, &error)),
        }
    }

    /// What a server told, written down before it is used: the token it replaces is gone.
    async fn keep(
        &self,
        response: &Response,
        server: Uri,
        room: Room,
    ) -> Result<Session, OutletError> {
        if !response.is_success() {
            return Err(answer::of_refusal(response));
        }
        let told: Told =
            serde_json::from_slice(&response.body).map_err(|error| OutletError::Unreachable {
                detail: format!("wanted a session, got what cannot be read: {error}"),
            })?;
        if told.active == Some(false) {
            let status = told.status.as_deref().unwrap_or("not active");
            return Err(OutletError::Auth {
                detail: format!("the account is {status}"),
            });
        }
        let server = own_server(&told.did_doc, &self.base_url).unwrap_or(server);
        let kept = Kept {
            credential: self.credential.clone(),
            did: told.did,
            server: server.to_string(),
            access: told.access_jwt,
            refresh: told.refresh_jwt,
        };
        let bytes = serde_json::to_vec(&kept).map_err(|error| not_kept(&self.file, &error))?;
        match spawn_blocking(move || room.replace(&bytes)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => return Err(not_kept(&self.file, &error)),
            Err(error) => return Err(not_kept(&self.file, &error)),
        }
        Session::of(kept).ok_or_else(|| OutletError::Unreachable {
            detail: "wanted a session, got one of no account or server with a name".to_owned(),
        })
    }
}

impl Session {
    fn of(kept: Kept) -> Option<Self> {
        Some(Self {
            did: Did::parse(&kept.did)?,
            server: kept.server.parse().ok()?,
            access: Secret::new(&kept.access),
            refresh: Secret::new(&kept.refresh),
        })
    }
}

/// The server that an account's document names; none that would read in clear what was secret.
fn own_server(document: &Value, base_url: &Uri) -> Option<Uri> {
    let services = document.get("service")?.as_array()?;
    let is_it = |service: &&Value| {
        let id = service["id"].as_str();
        id.is_some_and(|id| id.ends_with("#atproto_pds"))
    };
    let service = services.iter().find(is_it)?;
    let server: Uri = service["serviceEndpoint"].as_str()?.parse().ok()?;
    server.host()?;
    let is_secure = server.scheme_str() == Some("https");
    (is_secure || base_url.scheme_str() == Some("http")).then_some(server)
}

/// Waits until nobody else renews this session; the lock ends with the file.
async fn lock(session: &Path) -> Result<File, OutletError> {
    let path = disk::aside(session, "lock");
    let locked = {
        let path = path.clone();
        spawn_blocking(move || disk::lock(&path))
    };
    match locked.await {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) => Err(not_kept(&path, &error)),
        Err(error) => Err(not_kept(&path, &error)),
    }
}

fn not_kept(path: &Path, error: &dyn std::fmt::Display) -> OutletError {
    OutletError::Unreachable {
        detail: format!(
            "the session cannot be kept in `{}`: {error}",
            path.display()
        ),
    }
}

fn fingerprint(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(endpoint: &str, base_url: &str) -> Option<String> {
        let document = json!({"service": [
            {"id": "#other", "serviceEndpoint": "https://other.example"},
            {"id": "did:plc:x#atproto_pds", "serviceEndpoint": endpoint},
        ]});
        let base_url = base_url.parse().expect("an address");
        own_server(&document, &base_url).map(|it| it.to_string())
    }

    #[test]
    fn an_account_is_written_to_where_its_document_says() {
        let public = "https://bsky.social";
        assert_eq!(
            server_of("https://a.host.bsky.network", public).as_deref(),
            Some("https://a.host.bsky.network/")
        );
        assert_eq!(server_of("http://a.example", public), None);
        assert_eq!(server_of("nonsense at all", public), None);
        assert!(server_of("http://localhost:2583", "http://127.0.0.1:2583").is_some());
    }
}

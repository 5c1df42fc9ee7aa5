//! The token of an account under OAuth 2, renewed when it is over.
//!
//! Each renewal brings a new refresh token, and the one before is dead. So there is room on disk
//! before a pair is asked for, it is there before anything is done with it, and one renewal is
//! made at a time: here by a lock in memory, among processes by a lock on the file.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_rt::task::spawn_blocking;
use actix_web::web::Bytes;
use anyhow::Context as _;
use babelfeed_actors::logic::hex::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::oauth1::encoded;
use super::{ApiError, Renewal, now};
use crate::disk::{Room, lock};
use crate::http::{Call, HttpClient, Method, Response, Uri};
use crate::secret::Secret;

/// How long before its end a token is renewed, in seconds.
const MARGIN: u64 = 60;
/// How long a token lives that does not say it, in seconds.
const LIFE: u64 = 7_200;
/// How many bytes there must be room for before the only refresh token is spent.
const ROOM: usize = 16_384;
/// The most bytes of an answer with tokens.
const MAX_BODY: usize = 100_000;

/// The tokens of one account.
pub(super) struct Tokens {
    renewal: Renewal,
    url: Uri,
    path: PathBuf,
    client: HttpClient,
    timeout: Duration,
    pair: RefCell<Option<Pair>>,
    turn: Mutex<()>,
}

/// A token, and what the next one is made of.
#[derive(Clone, Serialize, Deserialize)]
struct Pair {
    access_token: String,
    refresh_token: String,
    /// Seconds since 1970.
    expires_at: u64,
}

/// A pair as X makes it.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

/// A refusal of the token endpoint.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Pair {
    fn is_fresh(&self) -> bool {
        self.expires_at > now().saturating_add(MARGIN)
    }
}

impl Tokens {
    /// The tokens of that account; nothing is read or asked yet.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub(super) fn new(
        renewal: Renewal,
        base_url: &str,
        client: HttpClient,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let url = format!("{base_url}/2/oauth2/token");
        let path = renewal.folder.join(file_name(&renewal, base_url));
        Ok(Self {
            url: url
                .parse()
                .with_context(|| format!("`{url}` is no address"))?,
            path,
            renewal,
            client,
            timeout,
            pair: RefCell::new(None),
            turn: Mutex::new(()),
        })
    }

    /// A token that is not over.
    pub(super) async fn current(&self) -> Result<Secret, ApiError> {
        match self.fresh("") {
            Some(token) => Ok(token),
            None => self.renewed("").await,
        }
    }

    /// A token that is not over, and not the one that was refused.
    pub(super) async fn renewed(&self, refused: &str) -> Result<Secret, ApiError> {
        let _turn = self.turn.lock().await;
        if let Some(token) = self.fresh(refused) {
            return Ok(token);
        }
        let path = self.path.with_extension("lock");
        let lock = off_the_arbiter(move || lock(&path)).await?;
        let path = self.path.clone();
        let kept = off_the_arbiter(move || read(&path)).await?;
        let is_better = |pair: &Pair| pair.is_fresh() && pair.access_token != refused;
        let pair = match kept {
            // Another process has renewed it meanwhile.
            Some(pair) if is_better(&pair) => pair,
            kept => self.renew(kept).await?,
        };
        drop(lock);
        let token = Secret::new(&pair.access_token);
        *self.pair.borrow_mut() = Some(pair);
        Ok(token)
    }

    /// A text in which none of the tokens stands.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let secrets = [&self.renewal.refresh_token, &self.renewal.client_id];
        let secrets = secrets.into_iter().chain(&self.renewal.client_secret);
        let text = secrets.fold(text.to_owned(), |text, secret| secret.hide_in(&text));
        match &*self.pair.borrow() {
            None => text,
            Some(pair) => [&pair.access_token, &pair.refresh_token]
                .into_iter()
                .fold(text, |text, token| Secret::new(token).hide_in(&text)),
        }
    }

    fn fresh(&self, refused: &str) -> Option<Secret> {
        let pair = self.pair.borrow();
        let pair = pair.as_ref().filter(|pair| pair.is_fresh())?;
        (pair.access_token != refused).then(|| Secret::new(&pair.access_token))
    }

    /// A new pair, which is on disk when it is returned.
    async fn renew(&self, kept: Option<Pair>) -> Result<Pair, ApiError> {
        let spent = match kept {
            Some(pair) => pair.refresh_token,
            None => self.renewal.refresh_token.expose().to_owned(),
        };
        let path = self.path.clone();
        let room = off_the_arbiter(move || Room::beside(&path, ROOM)).await?;
        let response = self.ask(&spent).await?;
        let granted: Granted = match response.status {
            200 => serde_json::from_slice(&response.body)
                .map_err(|error| not_renewed(format!("wanted tokens: {error}")))?,
            400 | 401 | 403 => {
                return Err(ApiError::Refused {
                    detail: self.detail(&response, &spent),
                });
            }
            _ => return Err(not_renewed(self.detail(&response, &spent))),
        };
        let pair = Pair {
            access_token: granted.access_token,
            // A server that does not rotate keeps the old one alive.
            refresh_token: granted.refresh_token.unwrap_or(spent),
            expires_at: now().saturating_add(granted.expires_in.unwrap_or(LIFE)),
        };
        let written = pair.clone();
        off_the_arbiter(move || room.replace(&serde_json::to_vec(&written)?)).await?;
        Ok(pair)
    }

    async fn ask(&self, refresh_token: &str) -> Result<Response, ApiError> {
        let id = self.renewal.client_id.expose();
        let mut form = format!(
            "grant_type=refresh_token&refresh_token={}",
            encoded(refresh_token)
        );
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
        ];
        let basic = self.renewal.client_secret.as_ref().map(|secret| {
            let pair = format!("{id}:{}", secret.expose());
            Secret::new(&format!("Basic {}", STANDARD.encode(pair)))
        });
        match &basic {
            Some(basic) => headers.push(("authorization", basic.expose())),
            None => form.push_str(&format!("&client_id={}", encoded(id))),
        }
        let call = Call {
            method: Method::POST,
            url: &self.url,
            headers: &headers,
            body: Bytes::from(form),
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        let answer = self.client.call(call).await;
        answer.map_err(|error| not_renewed(error.to_string()))
    }

    fn detail(&self, response: &Response, spent: &str) -> String {
        let said = match serde_json::from_slice::<Refusal>(&response.body) {
            Ok(it) => format!(": {} {}", it.error, it.error_description),
            Err(_) => String::new(),
        };
        let said = Secret::new(spent).hide_in(&said);
        self.hide_in(&format!("HTTP status {}{said}", response.status))
    }
}

/// The name of the file: the same for whoever begins with the same refresh token, so that a
/// source and an outlet of one account do not spend each other's.
fn file_name(renewal: &Renewal, base_url: &str) -> String {
    let parts = [
        base_url,
        renewal.client_id.expose(),
        renewal.refresh_token.expose(),
    ];
    let hash = Sha256::digest(parts.join("\n"));
    format!("x-{}.json", hex(&hash[..8]))
}

fn not_renewed(detail: String) -> ApiError {
    ApiError::NotRenewed { detail }
}

async fn off_the_arbiter<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = spawn_blocking(work).await;
    let done = done.map_err(|failure| not_renewed(failure.to_string()))?;
    done.map_err(|error| not_renewed(format!("the kept tokens: {error}")))
}

/// The pair in a file; none if there is no file.
fn read(path: &Path) -> io::Result<Option<Pair>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

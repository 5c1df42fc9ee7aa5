//! What the source and the outlet of X share: how it is called, and how its answers are read.
//!
//! The API is that of <https://docs.x.com/x-api>, version 2. A call bears a signature of OAuth
//! 1.0a, whose keys do not expire, or an OAuth 2 token, which is renewed when it is over.

pub mod answer;
pub mod bill;
pub mod oauth1;
pub mod post;
pub mod prices;
mod tokens;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::web::Bytes;
use anyhow::Context as _;
use babelfeed_actors::domain::Timestamp;

use crate::http::clock::ServerClock;
use crate::http::{Call, HttpClient, HttpConfig, HttpError, Incoming, Method, Response, Uri};
use crate::secret::Secret;
use oauth1::{Keys, Stamp, encoded};
use post::Spelling;
use tokens::Tokens;

/// The most bytes of an answer.
const MAX_BODY: usize = 8_000_000;
/// How far the server's clock must be from ours to be believed the reason of a refusal.
const MAX_SKEW: Duration = Duration::from_secs(30);

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An account, by keys that do not expire.
    Keys(Keys),
    /// An account, by a token that is renewed.
    Renewed(Renewal),
    /// An app alone, which can read and not publish.
    App(Secret),
}

/// How the token of an account is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The app.
    pub client_id: Secret,
    /// Its secret; none for a public app.
    pub client_secret: Option<Secret>,
    /// The refresh token that a person has made; used once, for each renewal brings the next.
    pub refresh_token: Secret,
    /// The folder in which the tokens that came later are kept.
    pub folder: PathBuf,
}

/// Where and as whom X is called.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Like `https://api.x.com`.
    pub base_url: String,
    /// Who calls.
    pub identity: Identity,
    /// How the fields of posts are named.
    pub spelling: Spelling,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// X as one identity sees it; bound to its arbiter, like the client it holds.
pub struct Api {
    base_url: String,
    spelling: Spelling,
    signer: Signer,
    client: HttpClient,
    timeout: Duration,
    clock: ServerClock,
}

enum Signer {
    Keys(Keys),
    Tokens(Box<Tokens>),
    App(Secret),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: Method,
    /// The path, which needs no encoding.
    pub path: &'a str,
    /// Names and values, as they are meant.
    pub query: &'a [(&'a str, &'a str)],
    /// What is sent with it.
    pub content: Content,
}

/// The body of a call.
#[derive(Clone, Debug)]
pub enum Content {
    /// None.
    Nothing,
    /// JSON.
    Json(Bytes),
    /// Of this type; never a form, whose fields would have to be signed.
    Other(String, Bytes),
}

impl<'a> Question<'a> {
    /// Something that is asked and changes nothing.
    pub const fn get(path: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method: Method::GET,
            path,
            query,
            content: Content::Nothing,
        }
    }

    /// Something that is to be done.
    pub const fn post(path: &'a str, content: Content) -> Self {
        Self {
            method: Method::POST,
            path,
            query: &[],
            content,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The call itself failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Nothing was sent: the account's token is over, and X makes no new one of what we have.
    #[error("the token cannot be renewed: {detail}")]
    Refused {
        /// What X answered.
        detail: String,
    },
    /// Nothing was sent: the account's token is over, and could not be renewed now.
    #[error("the token was not renewed: {detail}")]
    NotRenewed {
        /// What happened.
        detail: String,
    },
}

impl Api {
    /// X for that identity; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: ApiConfig) -> anyhow::Result<Self> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let uri: Uri = base_url
            .parse()
            .with_context(|| format!("`{base_url}` is no base address"))?;
        anyhow::ensure!(
            uri.host().is_some() && uri.scheme().is_some(),
            "`{base_url}` is no base address, expected one like `https://api.x.com`"
        );
        // A redirected call would go out unsigned, so none is followed.
        let client = HttpClient::new(&HttpConfig {
            redirects: 0,
            ..config.http
        });
        let signer = match config.identity {
            Identity::Keys(keys) => Signer::Keys(keys),
            Identity::Renewed(renewal) => Signer::Tokens(Box::new(Tokens::new(
                renewal,
                &base_url,
                client.clone(),
                config.timeout,
            )?)),
            Identity::App(token) => Signer::App(token),
        };
        Ok(Self {
            base_url,
            spelling: config.spelling,
            signer,
            client,
            timeout: config.timeout,
            clock: ServerClock::default(),
        })
    }

    /// Makes one call; where the credential is refused for its age or for our clock, once more.
    ///
    /// # Errors
    /// When no whole answer came; any status is an answer.
    pub async fn call(&self, question: Question<'_>) -> Result<Response, ApiError> {
        let authorization = self.authorization(&question).await?;
        let response = self.send(&question, &authorization).await?;
        let skew = self.clock.note(&response);
        if response.status != 401 {
            return Ok(response);
        }
        match self.after_refusal(&question, skew, &authorization).await? {
            Some(authorization) => Ok(self.send(&question, &authorization).await?),
            None => Ok(response),
        }
    }

    /// Makes one call whose answer is read as it comes, for as long as it comes.
    ///
    /// # Errors
    /// When no answer began; any status is an answer.
    pub async fn open(&self, question: Question<'_>) -> Result<Incoming, ApiError> {
        let authorization = self.authorization(&question).await?;
        let url = self.address(&question)?;
        let headers = [
            ("authorization", authorization.expose()),
            ("accept", "application/json"),
            // What is packed comes later.
            ("accept-encoding", "identity"),
        ];
        let call = Call {
            method: question.method.clone(),
            url: &url,
            headers: &headers,
            body: Bytes::new(),
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        Ok(self.client.open(call).await?)
    }

    /// A text without our credentials.
    pub fn without_secrets(&self, text: &str) -> String {
        match &self.signer {
            Signer::Keys(keys) => keys.hide_in(text),
            Signer::Tokens(tokens) => tokens.hide_in(text),
            Signer::App(token) => token.hide_in(text),
        }
    }

    /// How the fields of posts are named.
    pub const fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// The time at X, by our clock before its first answer.
    pub fn time(&self) -> Timestamp {
        self.clock.now()
    }

    /// The id of the account that calls, where its credential shows it.
    pub fn account(&self) -> Option<&str> {
        match &self.signer {
            Signer::Keys(keys) => keys.account(),
            Signer::Tokens(_) | Signer::App(_) => None,
        }
    }

    async fn authorization(&self, question: &Question<'_>) -> Result<Secret, ApiError> {
        Ok(match &self.signer {
            Signer::Keys(keys) => self.signed(keys, question),
            Signer::Tokens(tokens) => bearer(&tokens.current().await?),
            Signer::App(token) => bearer(token),
        })
    }

    fn signed(&self, keys: &Keys, question: &Question<'_>) -> Secret {
        let url = format!("{}{}", self.base_url, question.path);
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        let stamp = Stamp::new(now / 1000);
        keys.authorization(question.method.as_str(), &url, question.query, &stamp)
    }

    /// What to try instead of a credential that was refused, where X's clock turned out to be that
    /// far from what was taken for it; none if there is nothing else.
    async fn after_refusal(
        &self,
        question: &Question<'_>,
        skew: Duration,
        refused: &Secret,
    ) -> Result<Option<Secret>, ApiError> {
        match &self.signer {
            Signer::App(_) => Ok(None),
            Signer::Tokens(tokens) => {
                let spent = refused.expose().trim_start_matches("Bearer ");
                Ok(Some(bearer(&tokens.renewed(spent).await?)))
            }
            Signer::Keys(keys) => Ok((skew > MAX_SKEW).then(|| self.signed(keys, question))),
        }
    }

    async fn send(
        &self,
        question: &Question<'_>,
        authorization: &Secret,
    ) -> Result<Response, HttpError> {
        let url = self.address(question)?;
        let (kind, body) = match &question.content {
            Content::Nothing => (None, Bytes::new()),
            Content::Json(bytes) => (Some("application/json"), bytes.clone()),
            Content::Other(kind, bytes) => (Some(kind.as_str()), bytes.clone()),
        };
        let mut headers = vec![
            ("authorization", authorization.expose()),
            ("accept", "application/json"),
        ];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let call = Call {
            method: question.method.clone(),
            url: &url,
            headers: &headers,
            body,
            timeout: self.timeout,
            max_body: MAX_BODY,
        };
        self.client.call(call).await
    }

    fn address(&self, question: &Question<'_>) -> Result<Uri, HttpError> {
        let mut url = format!("{}{}", self.base_url, question.path);
        for (number, (name, value)) in question.query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(&encoded(name));
            url.push('=');
            url.push_str(&encoded(value));
        }
        url.parse().map_err(|error| HttpError::NotSent {
            detail: format!("`{}` is no path: {error}", question.path),
        })
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(&format!("Bearer {}", token.expose()))
}

/// Seconds since 1970 by our clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

//! Fetching a feed's document, if it changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use actix_rt::task::spawn_blocking;
use actix_web::web::Bytes;
use babelfeed_actors::ports::SourceError;

use super::FeedConfig;
use super::cursor::{FileVersion, Seen};
use crate::http::{Call, HttpClient, HttpError, Method, Response, Uri, hints};
use crate::sources::websub::discover::{self, Hub};

/// What is accepted, feeds before anything else.
const ACCEPT: &str = "application/atom+xml, application/rss+xml, application/feed+json, \
                      application/xml;q=0.9, */*;q=0.1";

/// What asking for a feed brought.
pub(super) enum Fetched {
    /// It is as it was.
    Unchanged {
        /// Its version.
        seen: Seen,
        /// How long the server would like to be left alone.
        rest: Option<Duration>,
        /// The hub that the answer names.
        hub: Option<Hub>,
    },
    /// It is new, or changed.
    Changed(Document),
}

/// A document that should be a feed.
pub(super) struct Document {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// The address against which its links are resolved.
    pub(super) base: Option<String>,
    /// The encoding that the server names.
    pub(super) charset: Option<String>,
    /// Its version.
    pub(super) seen: Seen,
    /// How long the server would like to be left alone.
    pub(super) rest: Option<Duration>,
    /// The hub that answer or document name.
    pub(super) hub: Option<Hub>,
}

/// Asks for the feed at `url`, unless it is still the one that was seen.
pub(super) async fn over_http(
    client: &HttpClient,
    url: &Uri,
    config: &FeedConfig,
    seen: Seen,
) -> Result<Fetched, SourceError> {
    let mut headers = vec![("accept", ACCEPT)];
    headers.extend(seen.etag.as_deref().map(|etag| ("if-none-match", etag)));
    headers.extend(
        seen.modified
            .as_deref()
            .map(|modified| ("if-modified-since", modified)),
    );
    let call = Call {
        method: Method::GET,
        url,
        headers: &headers,
        body: Bytes::new(),
        timeout: config.timeout,
        max_body: config.max_body,
    };
    let response = client.call(call).await.map_err(|error| failure(&error))?;
    judge(response, config, seen)
}

/// Reads the feed in a file, unless it is still the one that was seen.
pub(super) async fn from_file(
    path: &Path,
    config: &FeedConfig,
    seen: Seen,
) -> Result<Fetched, SourceError> {
    let (path, max_body) = (path.to_owned(), config.max_body);
    let read = spawn_blocking(move || {
        read_file(&path, max_body, seen).map_err(|error| unreadable(&path, &error))
    });
    read.await.unwrap_or_else(|failure| {
        Err(SourceError::Unreachable {
            detail: format!("reading the file was cut off: {failure}"),
        })
    })
}

fn judge(response: Response, config: &FeedConfig, seen: Seen) -> Result<Fetched, SourceError> {
    let header = |name| response.header(name).map(str::to_owned);
    let rest = max_age(&response);
    match response.status {
        304 => Ok(Fetched::Unchanged {
            seen: Seen {
                etag: header("etag").or(seen.etag),
                modified: header("last-modified").or(seen.modified),
                file: None,
                items: seen.items,
            },
            rest,
            hub: hub(&response, config, b""),
        }),
        200..=299 => Ok(Fetched::Changed(Document {
            base: Some(response.url.to_string()),
            charset: header("content-type").and_then(|kind| charset(&kind)),
            seen: Seen {
                etag: header("etag"),
                modified: header("last-modified"),
                file: None,
                items: seen.items,
            },
            rest,
            hub: hub(&response, config, &response.body),
            bytes: response.body,
        })),
        status => Err(refusal(status, &response)),
    }
}

/// The hub that an answer or its body names, where one is wanted.
fn hub(response: &Response, config: &FeedConfig, body: &[u8]) -> Option<Hub> {
    config.callbacks.as_ref()?;
    discover::hub(response.headers("link"), body, &response.url.to_string())
}

fn refusal(status: u16, response: &Response) -> SourceError {
    let detail = format!("wanted a feed, got HTTP status {status}");
    match status {
        410 => SourceError::Gone { detail },
        429 | 503 => SourceError::Busy {
            wait: hints::from_headers(response),
            detail,
        },
        408 | 425 | 500..=599 => SourceError::Unreachable { detail },
        _ => SourceError::Refused { detail },
    }
}

fn failure(error: &HttpError) -> SourceError {
    let detail = error.to_string();
    match error {
        HttpError::TooLarge { .. } => SourceError::Malformed { detail },
        _ => SourceError::Unreachable { detail },
    }
}

/// How long the answer stays fresh by `Cache-Control: max-age` (RFC 9111, section 5.2.2.1).
fn max_age(response: &Response) -> Option<Duration> {
    response
        .header("cache-control")?
        .split(',')
        .filter_map(|directive| directive.trim().strip_prefix("max-age="))
        .find_map(|seconds| seconds.trim_matches('"').parse().ok())
        .map(Duration::from_secs)
}

fn charset(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn read_file(path: &Path, max_body: usize, seen: Seen) -> io::Result<Fetched> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a regular file, expected a feed",
        ));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let version = FileVersion {
        inode: metadata.ino(),
        length: metadata.len(),
        seconds: metadata.mtime(),
        nanos: metadata.mtime_nsec(),
    };
    if seen.file == Some(version) {
        return Ok(Fetched::Unchanged {
            seen,
            rest: None,
            hub: None,
        });
    }
    let mut bytes = Vec::new();
    file.take(max_body as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_body {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("is larger than the {max_body} bytes that a feed may have"),
        ));
    }
    Ok(Fetched::Changed(Document {
        bytes: bytes.into(),
        base: None,
        charset: None,
        seen: Seen {
            etag: None,
            modified: None,
            file: Some(version),
            items: seen.items,
        },
        rest: None,
        hub: None,
    }))
}

fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    let detail = format!("`{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => SourceError::Refused { detail },
        io::ErrorKind::InvalidInput => SourceError::Malformed { detail },
        _ => SourceError::Unreachable { detail },
    }
}

//! Reads request bodies, bounded in size and in time.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::problem::Problem;
use super::server::Face;
use crate::http::json::read as read_json;

/// The size of a body that holds a name or a text.
pub(super) const SMALL: usize = 1 << 20;
/// The size of a body that holds many texts.
pub(super) const LARGE: usize = 16 << 20;

/// What a body is made of, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One JSON value.
    Json,
    /// A JSON value a line.
    Lines,
}

/// What the body is made of; a client that says nothing means JSON.
pub(super) fn kind(request: &HttpRequest) -> Result<Kind, Problem> {
    let Some(header) = request.headers().get(CONTENT_TYPE) else {
        return Ok(Kind::Json);
    };
    let header = header.to_str().unwrap_or_default();
    let mime = header.split(';').next().unwrap_or_default().trim();
    if mime.eq_ignore_ascii_case("application/json") {
        Ok(Kind::Json)
    } else if mime.eq_ignore_ascii_case("application/x-ndjson") {
        Ok(Kind::Lines)
    } else {
        Err(unsupported(
            mime,
            "`application/json` or `application/x-ndjson`",
        ))
    }
}

fn unsupported(mime: &str, wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("`{mime}` is not taken here, expected {wanted}"),
    )
}

/// Reads a JSON body that must be there.
pub(super) async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<T, Problem> {
    if kind(request)? != Kind::Json {
        return Err(unsupported("application/x-ndjson", "`application/json`"));
    }
    let body = whole(request, payload, limit).await?;
    parse(&body)
}

/// Reads a JSON body that may be left out.
pub(super) async fn json_or_default<T: DeserializeOwned + Default>(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<T, Problem> {
    let body = whole(request, payload, limit).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    match kind(request)? {
        Kind::Json => parse(&body),
        Kind::Lines => Err(unsupported("application/x-ndjson", "`application/json`")),
    }
}

/// The value that a JSON text holds.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::malformed(
            "the body is empty, expected a JSON object",
        ));
    }
    read_json(body).map_err(|error| Problem::malformed(error.to_string()))
}

/// Reads a whole body.
pub(super) async fn whole(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<web::Bytes, Problem> {
    let face = request.app_data::<web::Data<Face>>();
    let patience = face.map_or(Duration::ZERO, |face| face.patience);
    match timeout(patience, gather(payload, limit)).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not end within {} s", patience.as_secs_f32()),
        )),
    }
}

async fn gather(mut payload: web::Payload, limit: usize) -> Result<web::Bytes, Problem> {
    let mut first = web::Bytes::new();
    let mut rest = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Problem::malformed(format!("the body broke: {error}")))?;
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(Problem::too_large(format!(
                "the body is too large, expected at most {limit} bytes"
            )));
        }
        if first.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&chunk);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([&first, rest.as_slice()].concat().into())
}

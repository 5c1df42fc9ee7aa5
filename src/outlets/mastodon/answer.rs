//! What an answer of Mastodon's API means for the part that was sent.

use babelfeed_actors::ports::{OutletError, Published};
use serde::de::DeserializeOwned;

use super::wire::{Refusal, Status};
use crate::http::{HttpError, Response, hints};
use crate::secret::Secret;

/// The most characters of an answer that a failure repeats.
const MAX_DETAIL: usize = 200;

/// What the answer to a posted status means.
pub(super) fn of_post(
    answer: Result<Response, HttpError>,
    token: &Secret,
) -> Result<Published, OutletError> {
    let response = answer.map_err(|error| match error {
        HttpError::NotSent { detail } => OutletError::Unreachable { detail },
        other => OutletError::Ambiguous {
            detail: other.to_string(),
        },
    })?;
    let detail = detail(&response, token);
    match response.status {
        200..=299 => serde_json::from_slice::<Status>(&response.body)
            .map(published)
            .map_err(|error| OutletError::Ambiguous {
                detail: format!("wanted a status, got what cannot be read: {error}"),
            }),
        401 | 403 => Err(OutletError::Auth { detail }),
        429 => Err(busy(&response, detail)),
        400 | 404 | 410 | 413 | 422 => Err(OutletError::Rejected { detail }),
        408 | 500..=599 => Err(OutletError::Ambiguous { detail }),
        300..=399 => Err(OutletError::Unreachable {
            detail: format!("redirected, expected the server's final address: {detail}"),
        }),
        _ => Err(OutletError::Unreachable { detail }),
    }
}

/// What the answer to a question means; nothing was to be changed by it.
pub(super) fn of_get<T: DeserializeOwned>(
    response: &Response,
    token: &Secret,
) -> Result<T, OutletError> {
    match response.status {
        200..=299 => {
            serde_json::from_slice(&response.body).map_err(|error| OutletError::Unreachable {
                detail: format!("wanted JSON, got what cannot be read: {error}"),
            })
        }
        401 | 403 => Err(OutletError::Auth {
            detail: detail(response, token),
        }),
        429 => Err(busy(response, detail(response, token))),
        _ => Err(OutletError::Unreachable {
            detail: detail(response, token),
        }),
    }
}

/// What the answer to a change means; made twice, it is made once.
pub(super) fn of_change(response: &Response, token: &Secret) -> Result<Published, OutletError> {
    match response.status {
        400 | 404 | 410 | 413 | 422 => Err(OutletError::Rejected {
            detail: detail(response, token),
        }),
        _ => of_get::<Status>(response, token).map(published),
    }
}

/// What the answer to a deletion means; what is gone already is deleted.
pub(super) fn of_delete(response: &Response, token: &Secret) -> Result<(), OutletError> {
    match response.status {
        200..=299 | 404 | 410 => Ok(()),
        400 | 422 => Err(OutletError::Rejected {
            detail: detail(response, token),
        }),
        _ => of_get::<serde::de::IgnoredAny>(response, token).map(drop),
    }
}

/// The proof that a status is.
pub(super) fn published(status: Status) -> Published {
    Published {
        id: status.id.into(),
        url: status.url.or(status.uri).map(Into::into),
    }
}

fn busy(response: &Response, detail: String) -> OutletError {
    OutletError::Busy {
        wait: hints::from_headers(response).or_else(|| hints::until_reset(response)),
        detail,
    }
}

/// What a response says, without the token.
pub(super) fn detail(response: &Response, token: &Secret) -> String {
    let said = match serde_json::from_slice::<Refusal>(&response.body) {
        Ok(refusal) => refusal.error,
        Err(_) => String::from_utf8_lossy(&response.body).trim().to_owned(),
    };
    let said: String = said.chars().take(MAX_DETAIL).collect();
    token.hide_in(&format!("HTTP status {}: {said}", response.status))
}

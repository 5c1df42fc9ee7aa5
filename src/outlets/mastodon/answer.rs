//! What an answer of Mastodon's API means for the part that was sent.

use babelfeed_actors::ports::{OutletError, Published};
use serde::de::DeserializeOwned;

use super::wire::{Refusal, Status};
use crate::http::{Response, hints};
use crate::outlets::exchange::Exchange;

/// What the answer to a posted status means.
pub(super) fn of_post(response: &Response, exchange: &Exchange) -> Result<Status, OutletError> {
    let detail = detail(response, exchange);
    match response.status {
        200..=299 => {
            serde_json::from_slice(&response.body).map_err(|error| OutletError::Ambiguous {
                detail: format!("wanted a status, got what cannot be read: {error}"),
            })
        }
        401 | 403 => Err(OutletError::Auth { detail }),
        429 => Err(busy(response, detail)),
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
    exchange: &Exchange,
) -> Result<T, OutletError> {
    match response.status {
        200..=299 => {
            serde_json::from_slice(&response.body).map_err(|error| OutletError::Unreachable {
                detail: format!("wanted JSON, got what cannot be read: {error}"),
            })
        }
        401 | 403 => Err(OutletError::Auth {
            detail: detail(response, exchange),
        }),
        429 => Err(busy(response, detail(response, exchange))),
        _ => Err(OutletError::Unreachable {
            detail: detail(response, exchange),
        }),
    }
}

/// What the answer to a change means; made twice, it is made once.
pub(super) fn of_change(
    response: &Response,
    exchange: &Exchange,
) -> Result<Published, OutletError> {
    match response.status {
        400 | 404 | 410 | 413 | 422 => Err(OutletError::Rejected {
            detail: detail(response, exchange),
        }),
        _ => of_get::<Status>(response, exchange).map(published),
    }
}

/// What the answer to a deletion means; what is gone already is deleted.
pub(super) fn of_delete(response: &Response, exchange: &Exchange) -> Result<(), OutletError> {
    match response.status {
        200..=299 | 404 | 410 => Ok(()),
        400 | 422 => Err(OutletError::Rejected {
            detail: detail(response, exchange),
        }),
        _ => of_get::<serde::de::IgnoredAny>(response, exchange).map(drop),
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
pub(super) fn detail(response: &Response, exchange: &Exchange) -> String {
    let refusal = serde_json::from_slice::<Refusal>(&response.body).ok();
    exchange.said(response, refusal.as_ref().map(|it| it.error.as_str()))
}

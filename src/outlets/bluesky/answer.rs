//! What an answer of an account's server means.

use babelfeed_actors::ports::OutletError;
use serde::de::DeserializeOwned;

use crate::http::xrpc::{asked_wait, detail, refusal};
use crate::http::{HttpError, Response};

/// The names of refusals that a new token helps against; expired is 400, not 401.
const TOKEN: [&str; 4] = ["ExpiredToken", "InvalidToken", "AuthMissing", "BadJwt"];
/// The names of refusals that are about the account, whatever their status.
const ACCOUNT: [&str; 9] = [
    "AccountDeactivated",
    "AccountNotFound",
    "AccountSuspended",
    "AccountTakedown",
    "AuthFactorTokenRequired",
    "AuthenticationRequired",
    "RepoDeactivated",
    "RepoSuspended",
    "RepoTakendown",
];

/// Whether another token is what the server wants.
pub(super) fn refuses_token(response: &Response) -> bool {
    matches!(response.status, 400 | 401 | 403) && TOKEN.contains(&refusal(response).error.as_str())
}

/// An answer to something that changes nothing, or may be asked again.
pub(super) fn of_question(answer: Result<Response, HttpError>) -> Result<Response, OutletError> {
    answer.map_err(|error| OutletError::Unreachable {
        detail: error.to_string(),
    })
}

/// An answer to something that changes what is out.
pub(super) fn of_change(answer: Result<Response, HttpError>) -> Result<Response, OutletError> {
    let response = answer.map_err(|error| match error {
        HttpError::NotSent { detail } | HttpError::OutOfReach { detail } => {
            OutletError::Unreachable { detail }
        }
        other => OutletError::Ambiguous {
            detail: other.to_string(),
        },
    })?;
    match response.status {
        408 | 500..=599 => Err(OutletError::Ambiguous {
            detail: detail(&response),
        }),
        _ => Ok(response),
    }
}

/// What an answer holds.
pub(super) fn read<T: DeserializeOwned>(response: &Response) -> Result<T, OutletError> {
    if !response.is_success() {
        return Err(of_refusal(response));
    }
    serde_json::from_slice(&response.body).map_err(|error| OutletError::Unreachable {
        detail: format!("wanted JSON, got what cannot be read: {error}"),
    })
}

/// What a refusal means, once no new token helps.
pub(super) fn of_refusal(response: &Response) -> OutletError {
    let detail = detail(response);
    let name = refusal(response).error;
    let is_of_account = ACCOUNT.contains(&name.as_str()) || refuses_token(response);
    match response.status {
        _ if is_of_account => OutletError::Auth { detail },
        401 | 403 => OutletError::Auth { detail },
        429 => OutletError::Busy {
            wait: asked_wait(response),
            detail,
        },
        400 | 404 | 409 | 410 | 413 | 415 | 422 => OutletError::Rejected { detail },
        300..=399 => OutletError::Unreachable {
            detail: format!("redirected, expected the server's final address: {detail}"),
        },
        _ => OutletError::Unreachable { detail },
    }
}

//! What an answer of X means for an outlet.

use babelfeed_actors::ports::OutletError;
use serde::de::DeserializeOwned;

use crate::http::HttpError;
use crate::x::answer::{Refusal, refusal};
use crate::x::{Api, ApiError, Question};

/// What it means that a post has no answer.
pub(super) fn not_posted(error: ApiError) -> OutletError {
    match error {
        ApiError::Http(HttpError::NotSent { .. } | HttpError::OutOfReach { .. })
        | ApiError::NotRenewed { .. } => OutletError::Unreachable {
            detail: error.to_string(),
        },
        ApiError::Refused { .. } => OutletError::Auth {
            detail: error.to_string(),
        },
        ApiError::Http(_) => OutletError::Ambiguous {
            detail: error.to_string(),
        },
    }
}

/// The same of what changes nothing, or may be done twice.
pub(super) fn not_asked(error: ApiError) -> OutletError {
    match not_posted(error) {
        OutletError::Ambiguous { detail } => OutletError::Unreachable { detail },
        other => other,
    }
}

/// What it means that a post is refused.
pub(super) fn of_post(refusal: Refusal, detail: String) -> OutletError {
    match refusal {
        Refusal::Credential => OutletError::Auth { detail },
        Refusal::Unpaid => OutletError::Unpaid { detail },
        Refusal::Rejected | Refusal::Missing => OutletError::Rejected { detail },
        Refusal::Busy(wait) => OutletError::Busy { wait, detail },
        Refusal::Duplicate | Refusal::Unclear => OutletError::Ambiguous { detail },
    }
}

/// The same of what changes nothing, or may be done twice.
pub(super) fn of_get(refusal: Refusal, detail: String) -> OutletError {
    match of_post(refusal, detail) {
        OutletError::Ambiguous { detail } => OutletError::Unreachable { detail },
        other => other,
    }
}

/// What is answered to something that changes nothing, or may be done twice.
pub(super) async fn ask<T: DeserializeOwned>(
    api: &Api,
    question: Question<'_>,
) -> Result<T, OutletError> {
    let response = api.call(question).await.map_err(not_asked)?;
    if !response.is_success() {
        let (refusal, detail) = refusal(&response, |text| api.without_secrets(text));
        return Err(of_get(refusal, detail));
    }
    read(&response.body).map_err(|detail| OutletError::Unreachable { detail })
}

/// What a body says.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("wanted JSON, got what cannot be read: {error}"))
}

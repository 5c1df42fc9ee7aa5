//! Errors as clients see them: `application/problem+json` of RFC 9457.

use std::fmt;
use std::time::Duration;

use actix::MailboxError;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use babelfeed_actors::domain::Failure;
use babelfeed_actors::messages::{
    ChangeError, NowError, PublicationError, SubmitError, UnknownName,
};
use babelfeed_actors::ports::{StoreError, StoreRemedy};

/// The media type of an error.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// When an order may be given again that an outlet was in the way of.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// An error that a client is told.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    retry_after: Option<Duration>,
    refused: Option<Box<(usize, Failure)>>,
}

impl Problem {
    /// An error with what was wanted.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            refused: None,
        }
    }

    /// What was sent makes no sense.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What was asked for does not exist.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What was asked for contradicts what is.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// What was sent is larger than anything that is taken.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// What was sent makes sense, and cannot be done.
    pub(super) fn impossible(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// It cannot be done now, but maybe after `wait`.
    pub(super) fn unavailable(detail: impl Into<String>, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// It took longer than somebody waits for it.
    pub(super) fn late(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// The number that tells it apart.
    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Appends the object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"about:blank","title":"#);
        write_string(out, self.status.canonical_reason().unwrap_or("Error"));
        out.extend_from_slice(br#","status":"#);
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.extend_from_slice(br#","detail":"#);
        write_string(out, &self.detail);
        if let Some(wait) = self.retry_after {
            out.extend_from_slice(format!(r#","retry_after":{}"#, seconds(wait)).as_bytes());
        }
        if let Some(refused) = &self.refused {
            let (index, failure) = &**refused;
            out.extend_from_slice(format!(r#","index":{index},"reason":"#).as_bytes());
            write_string(out, failure.kind.name());
        }
        out.push(b'}');
    }
}

/// Appends a text as a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is JSON, and memory takes every byte");
}

/// Whole seconds, at least one, as `Retry-After` wants them.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).clamp(1, 86_400) as u64
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = Vec::with_capacity(160);
        self.write(&mut body);
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds(wait)));
        }
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                response.insert_header((ALLOW, "GET, POST, DELETE"));
            }
            StatusCode::UNAUTHORIZED => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            _ => (),
        }
        response.body(body)
    }
}

impl From<MailboxError> for Problem {
    fn from(_: MailboxError) -> Self {
        let detail = "a part of the service is restarting, expected back soon";
        Self::unavailable(detail, Duration::from_secs(1))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
        Self::unavailable(error.to_string(), wait)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        Self::unavailable(error.to_string(), error.retry_after())
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown => Self::not_found(error.to_string()),
            ChangeError::Conflict(_) | ChangeError::Outdated(_) => {
                Self::conflict(error.to_string())
            }
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<PublicationError> for Problem {
    fn from(error: PublicationError) -> Self {
        match error {
            PublicationError::Unknown => Self::not_found(error.to_string()),
            PublicationError::Conflict(_) | PublicationError::Outdated(_) => {
                Self::conflict(error.to_string())
            }
            PublicationError::UnderWay | PublicationError::Outlet(_) => {
                Self::unavailable(error.to_string(), ASK_AGAIN)
            }
            PublicationError::Unfit(why) => Self::impossible(why),
            PublicationError::Store(error) => error.into(),
        }
    }
}

impl From<NowError> for Problem {
    fn from(error: NowError) -> Self {
        let detail = error.to_string();
        match error {
            NowError::Expired => Self::late(detail),
            NowError::Busy => Self::unavailable(detail, Duration::from_secs(1)),
            NowError::Closed { wait } => Self::unavailable(detail, wait),
            NowError::Refused { index, failure } => Self {
                refused: Some(Box::new((index, failure))),
                ..Self::impossible(detail)
            },
        }
    }
}

impl From<UnknownName> for Problem {
    fn from(error: UnknownName) -> Self {
        Self::not_found(error.to_string())
    }
}

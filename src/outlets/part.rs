//! How outlets handle the parts of a publication.

use std::time::{SystemTime, UNIX_EPOCH};

use babelfeed_actors::domain::{Attached, Timestamp};
use babelfeed_actors::ports::{Dispatch, Frozen, OutletError, Published};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Freezes parts one after another.
///
/// # Errors
/// The first failure; what would come behind it is not begun.
pub(super) async fn freeze_each(
    dispatches: Vec<Dispatch>,
    freeze: impl AsyncFn(Dispatch) -> Result<Frozen, OutletError>,
) -> Result<Vec<Frozen>, OutletError> {
    let mut frozen = Vec::with_capacity(dispatches.len());
    for dispatch in dispatches {
        frozen.push(freeze(dispatch).await?);
    }
    Ok(frozen)
}

/// Sends parts one after another, and answers for each of them.
pub(super) async fn send_each(
    parts: &[Frozen],
    send: impl AsyncFn(&Frozen) -> Result<Published, OutletError>,
) -> Vec<Result<Published, OutletError>> {
    let mut answers = Vec::with_capacity(parts.len());
    for part in parts {
        answers.push(send(part).await);
    }
    answers
}

/// The idempotency key of a part, the same however often it is frozen.
pub(super) fn key(dispatch: &Dispatch) -> String {
    format!("{}.{}", dispatch.publication.id, dispatch.part)
}

/// The text of a part.
///
/// # Errors
/// When there is no such part.
pub(super) fn text(dispatch: &Dispatch) -> Result<&str, OutletError> {
    let part = dispatch.publication.parts.get(dispatch.part);
    part.map(|part| &*part.text)
        .ok_or_else(|| rejected(format!("there is no part {}", dispatch.part)))
}

/// What hangs on a part: on the first of a publication what hangs on the post, else nothing.
pub(super) fn attached(dispatch: &Dispatch) -> Option<&Attached> {
    let attached = dispatch.publication.attached.as_deref();
    attached.filter(|_| dispatch.part == 0)
}

/// The warning of a publication, which stands with each of its parts: whoever meets one of them in
/// a timeline has not seen the others.
pub(super) fn warning(dispatch: &Dispatch) -> Option<&str> {
    let attached = dispatch.publication.attached.as_deref()?;
    let warning = attached.warning.as_deref()?.trim();
    (!warning.is_empty()).then_some(warning)
}

/// The id of what a part answers: the part before it, or what its publication answers.
///
/// # Errors
/// When the part before it has none.
pub(super) fn parent(dispatch: &Dispatch) -> Result<Option<&str>, OutletError> {
    let publication = &dispatch.publication;
    let Some(before) = dispatch.part.checked_sub(1) else {
        let thread = publication.thread.as_ref();
        return Ok(thread.map(|thread| &*thread.parent));
    };
    let id = publication
        .parts
        .get(before)
        .and_then(|it| it.id.as_deref());
    id.map(Some)
        .ok_or_else(|| rejected(format!("part {} has no id to answer to", before + 1)))
}

/// A message as the JSON that goes out.
///
/// # Errors
/// When it cannot be written.
pub(super) fn json(message: &impl Serialize) -> Result<Vec<u8>, OutletError> {
    serde_json::to_vec(message)
        .map_err(|error| rejected(format!("the message cannot be written as JSON: {error}")))
}

/// The message that a part was frozen as.
///
/// # Errors
/// When it is none.
pub(super) fn thawed<T: DeserializeOwned>(part: &Frozen) -> Result<T, OutletError> {
    serde_json::from_slice(&part.bytes)
        .map_err(|error| rejected(format!("the frozen part cannot be read: {error}")))
}

/// Milliseconds since 1970 by our clock, to mark when a part was frozen.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// A time as the mark of a part.
pub(super) fn mark(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or_default()
}

/// The time by our clock.
pub(super) fn time() -> Timestamp {
    Timestamp::from_millis(i64::try_from(now()).unwrap_or(i64::MAX))
}

/// A refusal of our own.
pub(super) const fn rejected(detail: String) -> OutletError {
    OutletError::Rejected { detail }
}

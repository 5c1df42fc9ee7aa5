//! A message with another that stands in for it where a platform does not take it.

use babelfeed_actors::ports::{Frozen, OutletError};
use log::warn;
use serde::{Deserialize, Serialize};

/// A part as it is frozen for a platform that fetches media by itself, and may fail to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Fallback<M> {
    /// What is sent.
    pub(super) message: M,
    /// What is sent instead, with links where media were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) otherwise: Option<M>,
}

impl<M> Fallback<M> {
    /// A message that nothing stands in for.
    pub(super) const fn none(message: M) -> Self {
        Self {
            message,
            otherwise: None,
        }
    }

    /// Sends the message, or what stands in for it.
    ///
    /// # Errors
    /// What the last of them met.
    pub(super) async fn send<T>(
        &self,
        part: &Frozen,
        send: impl AsyncFn(&M) -> Result<T, OutletError>,
    ) -> Result<T, OutletError> {
        match (send(&self.message).await, &self.otherwise) {
            // A refused message is proved not to be out, and without its media it may be taken.
            (Err(OutletError::Rejected { detail }), Some(otherwise)) => {
                warn!(publication:% = part.dispatch.publication.id, cause = detail.as_str(); "the media are not taken, and go out as links");
                send(otherwise).await
            }
            (answer, _) => answer,
        }
    }
}

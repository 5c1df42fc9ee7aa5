//! The reading of a stream, for as long as its source is there.

use std::fmt::Display;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use babelfeed_actors::domain::SourceName;
use log::{info, warn};
use tokio::time::{Instant, sleep};

use crate::http::Incoming;

/// A stream that is read; the reading ends when this is dropped.
pub(super) struct Reading(JoinHandle<()>);

impl Reading {
    /// Begins to read.
    pub(super) fn begin(reading: impl Future<Output = ()> + 'static) -> Self {
        Self(actix_rt::spawn(reading))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens a stream again and again, and reads it until it breaks.
///
/// `wait` says how long to wait after a stream that lived so long, and failed so; one that was not
/// opened has not lived.
pub(super) async fn read_on<Failure: Display>(
    name: &SourceName,
    open: impl AsyncFn() -> Result<Incoming, Failure>,
    read: impl AsyncFn(Incoming) -> Failure,
    mut wait: impl FnMut(Duration, &Failure) -> Duration,
) {
    let mut is_failing = false;
    loop {
        let (lived, failure) = match open().await {
            Ok(incoming) => {
                if std::mem::take(&mut is_failing) {
                    info!(source:% = name; "a stream is open again");
                }
                let begun = Instant::now();
                let failure = read(incoming).await;
                (begun.elapsed(), failure)
            }
            Err(failure) => (Duration::ZERO, failure),
        };
        if !std::mem::replace(&mut is_failing, true) {
            warn!(source:% = name, cause:% = failure; "a stream is not open; the source is polled as usual");
        }
        sleep(wait(lived, &failure)).await;
    }
}

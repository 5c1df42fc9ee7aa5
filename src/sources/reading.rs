//! The reading of a stream, for as long as its source is there.

use std::fmt::Display;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use babelfeed_actors::domain::SourceName;
use log::{info, warn};
use tokio::time::{Instant, sleep};

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
pub(super) async fn read_on<Open, Failure: Display>(
    name: &SourceName,
    open: impl AsyncFn() -> Result<Open, Failure>,
    read: impl AsyncFn(Open) -> Failure,
    mut wait: impl FnMut(Duration, &Failure) -> Duration,
) {
    let mut is_failing = false;
    loop {
        let (lived, failure) = match open().await {
            Ok(stream) => {
                if std::mem::take(&mut is_failing) {
                    info!(source:% = name; "a stream is open again");
                }
                let begun = Instant::now();
                let failure = read(stream).await;
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

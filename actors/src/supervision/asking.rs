//! Asks the store so that nothing it does ends whoever asks, and tells once that it fails or hangs.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use log::{info, warn};

use crate::ports::{StoreError, StoreRemedy};

/// What the log says of something that the store does not do, and then does again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// When it fails first.
    pub(crate) fails: &'static str,
    /// When it is done after that.
    pub(crate) again: &'static str,
}

/// How long the store may take to write something until it is told that it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is answered, however long it takes; meanwhile it is told once that it takes very long.
pub(crate) async fn telling_if_slow<T>(
    asking: impl Future<Output = T>,
    tell: impl FnOnce(Duration),
) -> T {
    let mut asking = pin!(asking);
    match tokio::time::timeout(PATIENCE, &mut asking).await {
        Ok(answer) => answer,
        Err(_) => {
            tell(PATIENCE);
            asking.await
        }
    }
}

/// What the store answers; a panic in it is a failure like others, since whoever waits for an
/// answer outside the actor would wait for good.
pub(crate) async fn unless_panicked<T>(
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answer = AssertUnwindSafe(asking).catch_unwind().await;
    answer.unwrap_or_else(|_| {
        Err(StoreError::Failed {
            detail: "the store panicked".to_owned(),
        })
    })
}

/// What the store answers at last, however often it is asked.
pub(crate) async fn until_answered<T>(
    words: Words,
    ask: impl AsyncFn() -> Result<T, StoreError>,
) -> T {
    let mut is_failing = false;
    loop {
        match unless_panicked(ask()).await {
            Ok(answer) => {
                if is_failing {
                    info!("{}", words.again);
                }
                return answer;
            }
            Err(error) => {
                if !is_failing {
                    warn!(cause:% = error; "{}", words.fails);
                }
                is_failing = true;
                let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                tokio::time::sleep(wait).await;
            }
        }
    }
}

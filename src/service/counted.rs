//! Counts what is asked of a provider: calls, the texts in them, and what it says they used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use babelfeed_actors::domain::{SeenLimit, Tokens};
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

/// What was asked of one provider, by all translators together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    calls: AtomicU64,
    texts: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

impl Counts {
    /// Calls made.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Texts in these calls.
    pub(super) fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    /// Tokens that their answers say were used.
    pub(super) fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input.load(Ordering::Relaxed),
            output: self.output.load(Ordering::Relaxed),
        }
    }

    fn add(&self, used: Tokens) {
        self.input.fetch_add(used.input, Ordering::Relaxed);
        self.output.fetch_add(used.output, Ordering::Relaxed);
    }
}

/// A provider whose calls are counted.
pub(super) struct Counted {
    provider: Box<dyn Provider>,
    counts: Arc<Counts>,
}

impl Counted {
    /// Counts the calls of this provider there.
    pub(super) fn new(provider: Box<dyn Provider>, counts: Arc<Counts>) -> Self {
        Self { provider, counts }
    }
}

impl Provider for Counted {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.counts
            .texts
            .fetch_add(pack.items.len() as u64, Ordering::Relaxed);
        let answer = self.provider.translate(pack, timeout);
        let count = |answer: &Result<Answer, ProviderError>| {
            if let Some(usage) = answer.as_ref().ok().and_then(|answer| answer.usage) {
                self.counts.add(usage.tokens());
            }
        };
        answer.inspect(count).boxed_local()
    }

    fn take_seen(&self) -> Vec<SeenLimit> {
        self.provider.take_seen()
    }
}

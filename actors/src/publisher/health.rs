//! How an outlet does: for how long it is left alone after it failed, and what the log says of it.

use std::time::Duration;

use log::{info, warn};

use super::{BACKOFF, PublisherActor};
use crate::domain::OutletName;
use crate::logic::backoff::Backoff;
use crate::ports::{OutletError, OutletRemedy};

/// How long an outlet that needs a person is left alone before it is tried again.
const PERSON: Duration = Duration::from_secs(900);
/// The waits after it cannot be known whether what was sent has arrived.
const DOUBTS: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(1_800));

impl PublisherActor {
    /// Notes how an outlet does; says once in the log that it fails, and once that it does not.
    pub(super) fn note_outlet(&mut self, outlet: &OutletName, error: Option<OutletError>) {
        let now = self.clock.now();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let remedy = error.as_ref().map(OutletError::remedy);
        let wait = match remedy {
            None | Some(OutletRemedy::GiveUp | OutletRemedy::Await(_)) => {
                if state.error.take().is_some() {
                    info!(outlet:% = outlet; "an outlet takes posts again");
                }
                state.failures = 0;
                state.parked_until = None;
                return;
            }
            // Each trial may leave one more that nobody knows the fate of.
            Some(OutletRemedy::ReadBack) => {
                state.failures += 1;
                self.chance.jitter(DOUBTS.after(state.failures))
            }
            Some(OutletRemedy::Retry(wait)) => {
                state.failures += 1;
                let backoff = self.chance.jitter(BACKOFF.after(state.failures));
                // A hint says when at the earliest; one of nothing would make a loop.
                wait.map_or(backoff, |wait| wait.max(backoff))
            }
            Some(OutletRemedy::Person) => PERSON,
        };
        let error = error.map(|error| error.to_string());
        if state.error.is_none()
            && let Some(error) = &error
        {
            warn!(outlet:% = outlet, cause = error.as_str(); "an outlet takes no posts");
        }
        state.error = error;
        state.parked_until = Some(now.plus(wait));
        self.pump_after(outlet.clone(), wait);
    }

    /// Notes that an outlet told what became of something: it answers, so it need not be left
    /// alone for as long as one that says nothing.
    pub(super) fn note_answer(&mut self, outlet: &OutletName) {
        let now = self.clock.now();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let wait = self.chance.jitter(BACKOFF.after(state.failures.max(1)));
        let again = now.plus(wait);
        if state.parked_until.is_some_and(|until| until > again) {
            state.parked_until = Some(again);
            self.pump_after(outlet.clone(), wait);
        }
    }
}

//! Asks each outlet how long a text it takes, without which nothing is sent there.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use actix::Handler;
use futures_util::FutureExt as _;
use log::{info, warn};

use super::{BACKOFF, PublisherActor, Seat};
use crate::domain::OutletName;
use crate::logic::fit::Limit;
use crate::ports::OutletError;

/// How often an outlet is asked for its limit.
const LIMIT_EVERY: Duration = Duration::from_secs(86_400);

/// An outlet's limit was asked for.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Measured {
    epoch: u64,
    outlet: OutletName,
    limit: Result<Limit, OutletError>,
}

impl PublisherActor {
    /// Asks an outlet for its limit.
    pub(super) fn measure(&self, seat: &Seat, wait: Duration) {
        let (own, outlet, name) = (self.own.clone(), Rc::clone(&seat.outlet), seat.name.clone());
        let epoch = self.epoch;
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            let limit = AssertUnwindSafe(outlet.limit()).catch_unwind().await;
            let limit = limit.unwrap_or_else(|_| {
                Err(OutletError::Unreachable {
                    detail: "the outlet panicked".to_owned(),
                })
            });
            own.do_send(Measured {
                epoch,
                outlet: name,
                limit,
            });
        });
    }
}

impl Handler<Measured> for PublisherActor {
    type Result = ();

    fn handle(&mut self, measured: Measured, _: &mut Self::Context) {
        if measured.epoch != self.epoch {
            return;
        }
        let Some(seat) = self.seat(&measured.outlet).cloned() else {
            return;
        };
        self.count_charges(&seat.name);
        let Some(state) = self.state.get_mut(&measured.outlet) else {
            return;
        };
        match measured.limit {
            Ok(limit) => {
                if state.error.take().is_some() {
                    info!(outlet:% = seat.name; "an outlet answers again");
                }
                state.is_measured = true;
                state.failures = 0;
                self.limits.borrow_mut().insert(seat.name.clone(), limit);
                self.measure(&seat, LIMIT_EVERY);
                self.pump(&seat.name);
            }
            Err(error) => {
                if state.error.is_none() {
                    warn!(outlet:% = seat.name, cause:% = error; "an outlet does not tell its limit");
                }
                state.error = Some(error.to_string());
                state.failures += 1;
                let wait = self.chance.jitter(BACKOFF.after(state.failures));
                self.measure(&seat, wait);
            }
        }
    }
}

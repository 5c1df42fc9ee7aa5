//! Keeps what begins at an outlet within an hour below what is allowed, also across restarts.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix::{Context, Handler};

use super::{OutletState, PublisherActor, Seat};
use crate::domain::{Lane, OutletName, Timestamp, Unit};
use crate::failpoints;
use crate::logic::brake::Brake;
use crate::ports::{QuotaChange, QuotaEntry, QuotaLedger};
use crate::supervision::{Words, until_answered};

/// What began longer ago makes no difference.
const COUNTED: i64 = 2 * 3_600_000;
/// Entries of all lanes are kept so long.
const KEPT: i64 = 40 * 86_400_000;

/// What began in the last hours was read.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Counted(HashMap<OutletName, Brake>);

/// What begins together, written down before the first byte leaves.
pub(super) struct Begun {
    ledger: Rc<dyn QuotaLedger>,
    outlet: OutletName,
    minute: Timestamp,
    count: u32,
}

/// Something that was to begin did not go out.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct GiveBack {
    outlet: OutletName,
    minute: Timestamp,
    n: u32,
}

impl PublisherActor {
    fn steady_wall(&self) -> Timestamp {
        self.clock.steadied(&self.steady).wall
    }

    /// Reads what began in the last hour, however often it takes.
    pub(super) fn load_brakes(&self) {
        let braked = self.seats.iter().filter(|seat| seat.per_hour.is_some());
        let names: Vec<OutletName> = braked.map(|seat| seat.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let since = Timestamp::from_millis(self.steady_wall().as_millis() - COUNTED);
        let (ledger, own) = (Rc::clone(&self.ledger), self.own.clone());
        actix_rt::spawn(async move {
            let words = Words {
                fails: "what was published in the last hour was not read",
                again: "what was published in the last hour is read again",
            };
            let reading = async || {
                failpoints::hit("publisher.count");
                ledger.entries(since).await
            };
            let entries = until_answered(words, reading).await;
            let brake = |name: &OutletName| {
                let lane = lane_of(name);
                let own = entries.iter().filter(|entry| entry.lane == lane);
                Brake::restored(own.map(|entry| (entry.slot, entry.amount as u32)))
            };
            let brakes = names.into_iter().map(|name| {
                let brake = brake(&name);
                (name, brake)
            });
            own.do_send(Counted(brakes.collect()));
        });
    }

    /// How many publications may begin at an outlet now; none: as many as there are.
    pub(super) fn room_to_begin(&mut self, seat: &Seat) -> Option<u32> {
        let per_hour = seat.per_hour?;
        let now = self.steady_wall();
        let state = self.state.get_mut(&seat.name)?;
        let brake = state.brake.as_mut();
        Some(brake.map_or(0, |brake| brake.room(per_hour, now)))
    }

    /// Whether an outlet waits because enough has begun there.
    pub(super) fn is_braked(&self, seat: &Seat, state: &OutletState) -> bool {
        let now = self.steady_wall();
        let mut brake = state.brake.clone();
        let room = |brake: &mut Brake| seat.per_hour.map(|per_hour| brake.room(per_hour, now));
        !state.waiting.is_empty() && brake.as_mut().and_then(room) == Some(0)
    }

    /// Notes that publications begin at an outlet that counts them.
    pub(super) fn begin_there(&mut self, seat: &Seat, n: u32) -> Option<Begun> {
        seat.per_hour.filter(|_| n > 0)?;
        let now = self.steady_wall();
        let brake = self.state.get_mut(&seat.name)?.brake.as_mut()?;
        let (minute, count) = brake.begin(n, now);
        Some(Begun {
            ledger: Rc::clone(&self.ledger),
            outlet: seat.name.clone(),
            minute,
            count,
        })
    }

    /// Looks again when the next publication may begin.
    pub(super) fn pump_when_released(&mut self, outlet: &OutletName) {
        let wall = self.steady_wall();
        let state = self.state.get(outlet);
        if let Some(brake) = state.and_then(|state| state.brake.as_ref()) {
            let wait = brake.wait(wall).max(Duration::from_secs(1));
            self.pump_within(outlet, wait);
        }
    }
}

impl Begun {
    /// Writes down what begins, however often it takes.
    pub(super) async fn write(&self) {
        let entry = QuotaEntry {
            lane: lane_of(&self.outlet),
            unit: Unit::Requests,
            slot: self.minute,
            amount: f64::from(self.count),
        };
        let change = QuotaChange {
            entries: vec![entry],
            before: Timestamp::from_millis(self.minute.as_millis() - KEPT),
            ..QuotaChange::default()
        };
        let writing = async || {
            failpoints::hit("publisher.begin");
            self.ledger.enter(change.clone()).await
        };
        let words = Words {
            fails: "what begins at an outlet was not counted",
            again: "what begins at an outlet is counted again",
        };
        until_answered(words, writing).await;
    }

    /// What says that so many of them did not go out.
    pub(super) fn give_back(self, n: u32) -> GiveBack {
        GiveBack {
            outlet: self.outlet,
            minute: self.minute,
            n,
        }
    }
}

fn lane_of(outlet: &OutletName) -> Lane {
    Lane::from(format!("brake:{outlet}").as_str())
}

impl Handler<Counted> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Counted(brakes): Counted, _: &mut Context<Self>) {
        failpoints::hit("publisher.counted");
        for (outlet, brake) in brakes {
            if let Some(state) = self.state.get_mut(&outlet) {
                state.brake = Some(brake);
            }
            self.pump(&outlet);
        }
    }
}

impl Handler<GiveBack> for PublisherActor {
    type Result = ();

    fn handle(&mut self, GiveBack { outlet, minute, n }: GiveBack, _: &mut Context<Self>) {
        let state = self.state.get_mut(&outlet);
        let Some(brake) = state.and_then(|state| state.brake.as_mut()) else {
            return;
        };
        let count = brake.give_back(n, minute);
        let begun = Begun {
            ledger: Rc::clone(&self.ledger),
            outlet,
            minute,
            count,
        };
        actix_rt::spawn(async move { begun.write().await });
    }
}

//! Takes back what an outlet was to publish by itself and has not published yet.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;

use super::answers::note_published;
use super::change::{panicked, plain};
use super::read_back::{frozen_part, write_one};
use super::send::Sent;
use super::threads::Changed;
use super::{PublisherActor, Seat};
use crate::domain::PublicationState;
use crate::failpoints;
use crate::ports::{OutletError, PublicationRecord, ReadBack};

impl PublisherActor {
    /// Has an outlet give back a publication that it was to publish, which is then deleted; if it is
    /// out meanwhile, that is noted. Whoever needs it gone asks again, if that fails.
    pub(super) fn unschedule(&mut self, record: PublicationRecord, why: &'static str) {
        let outlet = record.publication.outlet.clone();
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        let Some(under_way) = self.book.look(record.publication.id) else {
            return;
        };
        let (clock, store) = (Arc::clone(&self.clock), Rc::clone(&self.store));
        let own = self.own.clone();
        actix_rt::spawn(async move {
            match taken_back(&seat, record, why).await {
                Ok(mut record) => {
                    record.at = clock.wall();
                    let record = write_one(&*store, record, under_way).await;
                    own.do_send(Changed(vec![record]));
                }
                Err(error) => {
                    drop(under_way);
                    own.do_send(Sent {
                        outlet,
                        records: Vec::new(),
                        error: Some(error),
                    });
                }
            }
        });
    }
}

/// The publication as it stands when the outlet was told to give it back.
pub(super) async fn taken_back(
    seat: &Seat,
    mut record: PublicationRecord,
    why: &'static str,
) -> Result<PublicationRecord, OutletError> {
    let taken_back = match frozen_part(&record) {
        None => ReadBack::Absent,
        Some(frozen) => {
            let taking = async {
                failpoints::hit("publisher.unschedule");
                seat.outlet.unschedule(&frozen).await
            };
            let answer = AssertUnwindSafe(taking).catch_unwind().await;
            plain(answer.unwrap_or_else(|_| Err(panicked())))?
        }
    };
    match taken_back {
        ReadBack::Found(published) => note_published(&mut record, published),
        ReadBack::Absent => {
            record.frozen = None;
            record.state = PublicationState::Deleted;
            record.why = Some(why.into());
        }
        ReadBack::Scheduled(_) => {
            return Err(OutletError::Unreachable {
                detail: "the outlet still has what it was to give back".to_owned(),
            });
        }
    }
    Ok(record)
}

//! What stands open at outlets that are not there any more.

use std::rc::Rc;

use actix::{Context, Handler};
use log::warn;

use super::PublisherActor;
use crate::domain::{Language, OutletName, PublicationState};
use crate::messages::OutletView;
use crate::ports::{StoreError, TaskStore};
use crate::supervision::unless_panicked;

/// An outlet of before, with how much stands open there.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub(super) name: OutletName,
    language: Language,
    publishing: u64,
    held: u64,
    unknown: u64,
    scheduled: u64,
}

/// The store was asked for what stands open at such outlets.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Strayed(Result<Vec<Stray>, StoreError>);

impl PublisherActor {
    /// Asks the store what stands open at outlets that are not there any more.
    pub(super) fn look_for_strays(&self) {
        let names = self.seats.iter().map(|seat| seat.name.clone());
        let names: Vec<OutletName> = names.collect();
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        actix_rt::spawn(async move {
            let found = unless_panicked(find(&*store, &names)).await;
            own.do_send(Strayed(found));
        });
    }
}

impl Stray {
    /// As outlets are shown.
    pub(super) fn view(&self) -> OutletView {
        OutletView {
            name: self.name.clone(),
            kind: "none",
            language: self.language.clone(),
            limit: None,
            state: "gone",
            waiting: self.publishing,
            behind_held: 0,
            unknown: self.unknown,
            scheduled: self.scheduled,
            published: 0,
            refused: 0,
            error: Some(format!(
                "no outlet has this name any more, and {} publications wait for it, {} of them held",
                self.publishing + self.held + self.unknown + self.scheduled,
                self.held
            )),
        }
    }
}

/// What stands open at outlets of other names than these.
async fn find(store: &dyn TaskStore, names: &[OutletName]) -> Result<Vec<Stray>, StoreError> {
    let mut strays: Vec<Stray> = Vec::new();
    for (outlet, state, n) in store.open_by_outlet().await? {
        if names.contains(&outlet) {
            continue;
        }
        let known = strays.iter().position(|stray| stray.name == outlet);
        let place = match known {
            Some(place) => place,
            None => {
                let first = store
                    .publications_in(outlet.clone(), state, None, 1)
                    .await?;
                let Some(first) = first.first() else { continue };
                strays.push(Stray {
                    name: outlet,
                    language: first.publication.language.clone(),
                    publishing: 0,
                    held: 0,
                    unknown: 0,
                    scheduled: 0,
                });
                strays.len() - 1
            }
        };
        let stray = &mut strays[place];
        match state {
            PublicationState::Planned | PublicationState::Sending => stray.publishing += n,
            PublicationState::Held => stray.held += n,
            PublicationState::Unknown => stray.unknown += n,
            PublicationState::Scheduled => stray.scheduled += n,
            PublicationState::Published | PublicationState::Refused | PublicationState::Deleted => {
            }
        }
    }
    Ok(strays)
}

impl Handler<Strayed> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Strayed(found): Strayed, _: &mut Context<Self>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                warn!(cause:% = error; "outlets that are not there any more were not looked up");
                return;
            }
        };
        for stray in &found {
            if !self.strays.iter().any(|known| known.name == stray.name) {
                warn!(outlet:% = stray.name, publishing = stray.publishing, held = stray.held, unknown = stray.unknown, scheduled = stray.scheduled; "publications wait for an outlet that is not there any more");
            }
        }
        self.strays = found;
    }
}

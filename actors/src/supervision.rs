//! Restarts an actor in place after it stops or panics; its address stays valid.
//!
//! actix's own supervisor lets an actor that panics die with its mailbox. Here a panic costs
//! the message that caused it: queued mail is kept, and after a backoff `restarting` and
//! `started` rebuild the state. Six falls of one actor in a minute are more than a restart can
//! mend, and are handed to whoever ends the process.

mod asking;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::dev::channel::{AddressReceiver, channel};
use actix::dev::{AsyncContextParts, ContextFut};
use actix::{Actor, Addr, AsyncContext, Context, Supervised};
use log::{error, warn};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep};

use crate::domain::Moment;
use crate::logic::backoff::Backoff;
use crate::ports::{Chance, Clock};

pub(crate) use asking::{Words, telling_if_slow, unless_panicked, until_answered};

/// So many falls of one actor inside [`INTENSITY_SPAN`] are handed to the escalation.
pub const INTENSITY: usize = 6;
/// The time in which falls are counted, and after which an actor counts as healthy again.
pub const INTENSITY_SPAN: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// How often an actor fell, and how often it was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActorFalls {
    /// The actor's name.
    pub name: &'static str,
    /// How often it panicked or stopped.
    pub falls: u64,
    /// How often it was restarted.
    pub restarts: u64,
}

/// How often each actor fell and was restarted, for whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Falls(Arc<Mutex<Vec<ActorFalls>>>);

impl Falls {
    /// The figures, in the order in which the actors were started.
    pub fn list(&self) -> Vec<ActorFalls> {
        self.0.lock().map(|falls| falls.clone()).unwrap_or_default()
    }

    fn enlist(&self, name: &'static str) -> usize {
        let Ok(mut falls) = self.0.lock() else {
            return usize::MAX;
        };
        falls.push(ActorFalls {
            name,
            falls: 0,
            restarts: 0,
        });
        falls.len() - 1
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut ActorFalls)) {
        if let Ok(mut falls) = self.0.lock()
            && let Some(entry) = falls.get_mut(index)
        {
            change(entry);
        }
    }
}

/// The actors of a system, by which all of them are ended.
///
/// An actor holds its own address, so it would outlive everybody who could talk to it.
#[derive(Clone, Debug, Default)]
pub struct Actors(Arc<Mutex<Vec<AbortHandle>>>);

impl Actors {
    /// Drops every actor with its mailbox, from wherever it is called; nothing is written down.
    pub fn end(&self) {
        let Ok(mut actors) = self.0.lock() else {
            return;
        };
        for actor in actors.drain(..) {
            actor.abort();
        }
    }

    fn enlist(&self, actor: AbortHandle) {
        if let Ok(mut actors) = self.0.lock() {
            actors.push(actor);
        }
    }
}

/// Starts actors that are restarted when they fall.
#[derive(Clone)]
pub struct Supervisor {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for the jitter of backoffs.
    pub chance: Arc<dyn Chance>,
    /// The figures.
    pub falls: Falls,
    /// Who was started.
    pub actors: Actors,
    /// What happens, with the actor's name, after too many falls.
    pub escalate: Rc<dyn Fn(&'static str)>,
}

impl Supervisor {
    /// Starts the actor that `make` returns; `make` is told the actor's own address.
    pub fn start<A>(&self, name: &'static str, make: impl FnOnce(Addr<A>) -> A) -> Addr<A>
    where
        A: Supervised + Actor<Context = Context<A>>,
    {
        let (seat, address) = seat();
        self.start_in(seat, name, make);
        address
    }

    /// Starts the actor that `make` returns behind an address that exists already.
    pub fn start_in<A>(&self, seat: Seat<A>, name: &'static str, make: impl FnOnce(Addr<A>) -> A)
    where
        A: Supervised + Actor<Context = Context<A>>,
    {
        let context = Context::with_receiver(seat.0);
        let address = context.address();
        let actor = make(address);
        let supervision = actix_rt::spawn(Supervision {
            name,
            index: self.falls.enlist(name),
            actor: context.into_future(actor),
            supervisor: self.clone(),
            recent: VecDeque::new(),
            pause: None,
        });
        self.actors.enlist(supervision.abort_handle());
    }

    /// The escalation for actors of other arbiters, which is made on this one.
    pub fn escalation_from_afar(&self) -> impl Fn(&'static str) + Send + 'static + use<> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let escalate = Rc::clone(&self.escalate);
        actix_rt::spawn(async move {
            while let Some(name) = receiver.recv().await {
                escalate(name);
            }
        });
        // When the receiver is gone, so is the system.
        move |name| {
            let _ = sender.send(name);
        }
    }
}

/// Where an actor will sit: its mailbox, which may be carried to another arbiter.
pub struct Seat<A: Actor>(AddressReceiver<A>);

/// A seat and its address, before there is an actor.
pub fn seat<A: Actor<Context = Context<A>>>() -> (Seat<A>, Addr<A>) {
    // actix keeps no bound on mailboxes; flow is held back by counting what is in flight.
    let (sender, receiver) = channel(16);
    (Seat(receiver), Addr::new(sender))
}

struct Supervision<A: Supervised + Actor<Context = Context<A>>> {
    name: &'static str,
    index: usize,
    actor: ContextFut<A, Context<A>>,
    supervisor: Supervisor,
    /// When it fell, as far as that still counts.
    recent: VecDeque<Moment>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<A: Supervised + Actor<Context = Context<A>>> Future for Supervision<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                if pause.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
                // The state is rebuilt in `restarting`; what a panic left is never looked at.
                match catch_unwind(AssertUnwindSafe(|| this.actor.restart())) {
                    Ok(true) => this.count_restart(),
                    Ok(false) => return Poll::Ready(()),
                    Err(_) => {
                        this.fall();
                        continue;
                    }
                }
            }
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.actor).poll(task)));
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) if !this.is_reachable() => return Poll::Ready(()),
                Ok(Poll::Ready(())) | Err(_) => this.fall(),
            }
        }
    }
}

impl<A: Supervised + Actor<Context = Context<A>>> Supervision<A> {
    /// Whether anyone still holds the actor's address.
    fn is_reachable(&mut self) -> bool {
        self.actor.ctx().parts().connected()
    }

    fn count_restart(&self) {
        self.supervisor
            .falls
            .update(self.index, |entry| entry.restarts += 1);
    }

    /// Notes a fall, and pauses before the restart.
    fn fall(&mut self) {
        let now = self.supervisor.clock.now();
        while let Some(&first) = self.recent.front()
            && now.since(first) > INTENSITY_SPAN
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.supervisor
            .falls
            .update(self.index, |entry| entry.falls += 1);
        let falls = self.recent.len();
        if falls >= INTENSITY {
            error!(actor = self.name, falls = falls; "an actor falls again and again");
            (self.supervisor.escalate)(self.name);
        } else {
            warn!(actor = self.name, falls = falls; "an actor fell");
        }
        let wait = BACKOFF.after(u32::try_from(falls).unwrap_or(u32::MAX));
        self.pause = Some(Box::pin(sleep(self.supervisor.chance.jitter(wait))));
    }
}

//! Publishes what is planned: once, in order at each outlet, at several outlets at a time.

mod answers;
mod backlog;
mod book;
mod brakes;
mod change;
mod fates;
mod health;
mod lapse;
mod line;
mod measure;
mod orders;
mod persist;
mod polls;
mod read_back;
mod refit;
mod reminder;
mod send;
mod standing;
mod strays;
mod teach;
mod threads;
mod turn;
mod unheard;
mod unschedule;
mod withdraw;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, Supervised, WrapFuture,
};
use tokio::sync::Semaphore;

use crate::domain::{Lane, Language, Moment, OutletName, PublicationId, Timestamp};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::logic::brake::Brake;
use crate::logic::compose::Style;
use crate::logic::known::Edition;
use crate::logic::outstanding::Outstanding;
use crate::logic::steady::Steady;
use crate::messages::{
    Acquire, Amend, Event, Events, Insert, OutletView, Outlets, PauseOutlet, Publish, Record,
    Resign, ResumeOutlet, UnknownName,
};
use crate::ports::{Chance, Clock, Outlet, PublicationRecord, QuotaLedger, StoreError, TaskStore};
use crate::setup::{Lapse, OnEdit, OutletLimits};
use crate::supervision::{Words, until_answered};

use book::Book;
use fates::{Fates, Found, open_fates};
use line::InLine;
use reminder::remind;
use standing::Stand;
use strays::Stray;
use teach::recall;
use threads::{Blocked, behind_held};
use withdraw::Withdrawals;

/// The waits after an outlet did not take what was sent.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
/// An outlet with what the publisher needs of it.
#[derive(Clone)]
pub struct Seat {
    /// Its name.
    pub name: OutletName,
    /// Its kind, as the settings call it.
    pub kind: &'static str,
    /// The language that it receives.
    pub language: Language,
    /// Whoever counts us there.
    pub lane: Lane,
    /// Names the account that publishes, where that is known.
    pub place: Option<u64>,
    /// The adapter.
    pub outlet: Rc<dyn Outlet>,
    /// What an edit of a post does to what is out of it.
    pub on_edit: OnEdit,
    /// How long something may have been out that is taken back to be published anew.
    pub repost_within: Duration,
    /// Whether what is out goes when its post is deleted.
    pub minds_deletions: bool,
    /// The most publications that begin within an hour.
    pub per_hour: Option<u32>,
    /// US dollars that its lane may cost, over the time in which it may cost the least; none
    /// where that has no limit.
    pub budget: Option<f64>,
    /// How long a post that is ready waits for those of its source that were taken before it.
    pub in_order: Duration,
    /// What becomes of what is held for long.
    pub lapse: Option<Lapse>,
    /// How texts are put together.
    pub style: Arc<Style>,
}

impl Seat {
    /// It as an outlet where something may stand.
    fn stand(&self) -> Stand {
        Stand {
            outlet: self.name.clone(),
            language: self.language.clone(),
            place: self.place,
        }
    }
}

/// Whom the publisher knows.
#[derive(Clone)]
pub struct Peers {
    /// Who grants permits.
    pub acquire: Recipient<Acquire>,
    /// Who counts what an outlet charges beside that.
    pub amend: Recipient<Amend>,
    /// Who knows translations, and hears of what a person corrected.
    pub insert: Recipient<Insert>,
    /// The same, if that gets lost.
    pub resign: Recipient<Resign>,
    /// Who counts.
    pub record: Recipient<Record>,
    /// Who listens.
    pub events: Events,
}

impl Peers {
    /// Tells whoever listens how a publication stands now.
    fn tell(&self, record: &PublicationRecord) {
        self.events.tell(|| Event::Publication {
            id: record.publication.id,
            state: record.state,
            at: record.at,
            why: record.why.clone(),
        });
    }
}

/// Owns the outlets and what is being sent.
pub struct PublisherActor {
    own: Addr<Self>,
    clock: Arc<dyn Clock>,
    /// What time it is for what is counted over hours, and for what lapses.
    steady: Rc<Steady>,
    chance: Arc<dyn Chance>,
    store: Rc<dyn TaskStore>,
    ledger: Rc<dyn QuotaLedger>,
    peers: Peers,
    seats: Vec<Seat>,
    limits: OutletLimits,
    /// The tasks of posts that are under way, which the task manager notes.
    outstanding: Arc<Outstanding>,
    /// When this system began to publish.
    begun: Moment,
    /// The same by wall time.
    begun_at: Timestamp,
    edition: Edition,
    /// Outlets that may be sent to at once.
    turns: Arc<Semaphore>,
    /// What is being sent; outlives a fall.
    book: Book,
    epoch: u64,
    state: HashMap<OutletName, OutletState>,
    withdrawals: Withdrawals,
    /// Outlets that are not there any more, with what stands open at them.
    strays: Vec<Stray>,
}

#[derive(Default)]
struct OutletState {
    /// What waits for its turn, in order.
    waiting: BTreeMap<PublicationId, PublicationRecord>,
    /// What may not go yet, because of what it answers. It waits in the store, however much it is,
    /// so that nothing else waits behind it.
    blocked: BTreeMap<PublicationId, Blocked>,
    /// How often was looked whether something is blocked.
    n_looks: u64,
    /// How many are looked at for the first time, and are in memory until then.
    n_judged: usize,
    /// All that is planned up to this one is waiting or blocked.
    reach: Option<PublicationId>,
    /// Whether more stands in the store behind that.
    has_more: bool,
    is_loading: bool,
    /// The first of what was left to the store while a page was being loaded, which that page may
    /// lack although it holds later ones.
    missed: Option<PublicationId>,
    pause: Pause,
    /// Whether its limit is known, without which nothing is sent.
    is_measured: bool,
    /// What began in the last hour, once that is known; for outlets that count it.
    brake: Option<Brake>,
    /// When it is looked at again for what is braked or early.
    rings_at: Option<Moment>,
    /// What waits for earlier posts of its source, and until when.
    line: InLine,
    /// Nothing is sent before.
    parked_until: Option<Moment>,
    failures: u32,
    /// What may be out, and was read back in vain or not yet.
    fates: Fates,
    published: u64,
    refused: u64,
    error: Option<String>,
}

/// Whether an outlet is paused; clones are one, so that what waits for its turn sees it as well.
#[derive(Clone, Debug, Default)]
struct Pause(Rc<Cell<bool>>);

impl Pause {
    fn set(&self) {
        self.0.set(true);
    }

    fn lift(&self) {
        self.0.set(false);
    }

    fn holds(&self) -> bool {
        self.0.get()
    }
}

/// Something may be sent at an outlet now.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Pump(OutletName);

impl PublisherActor {
    /// A publisher that goes on with what the store has when it starts.
    pub fn new(
        own: Addr<Self>,
        (clock, steady, chance): (Arc<dyn Clock>, Rc<Steady>, Arc<dyn Chance>),
        (store, ledger): (Rc<dyn TaskStore>, Rc<dyn QuotaLedger>),
        peers: Peers,
        seats: Vec<Seat>,
        (limits, outstanding): (OutletLimits, Arc<Outstanding>),
        (concurrency, edition): (usize, Edition),
    ) -> Self {
        for seat in &seats {
            if let Some(limit) = seat.outlet.known_limit() {
                limits.borrow_mut().insert(seat.name.clone(), limit);
            }
        }
        Self {
            own,
            begun: clock.now(),
            begun_at: clock.wall(),
            clock,
            steady,
            chance,
            store,
            ledger,
            peers,
            seats,
            limits,
            outstanding,
            edition,
            turns: Arc::new(Semaphore::new(concurrency.max(1))),
            book: Book::default(),
            epoch: 0,
            state: HashMap::new(),
            withdrawals: Withdrawals::default(),
            strays: Vec::new(),
        }
    }

    /// The same, with nothing sent to these outlets until each is resumed.
    #[must_use]
    pub fn with_paused(mut self, outlets: &[OutletName]) -> Self {
        for outlet in outlets {
            if self.seat(outlet).is_some() {
                self.state.entry(outlet.clone()).or_default().pause.set();
            }
        }
        self
    }

    fn seat(&self, outlet: &OutletName) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.name == *outlet)
    }

    /// Counts in an outlet's lane what it charged beside what was published, as for reading back.
    fn count_charges(&self, outlet: &OutletName) {
        let Some(seat) = self.seat(outlet) else {
            return;
        };
        let usd = seat.outlet.charged();
        if usd > 0.0 {
            self.peers.amend.do_send(Amend {
                lane: seat.lane.clone(),
                at: self.clock.wall(),
                usd,
            });
        }
    }

    /// Looks after such a wait whether something may be sent at an outlet.
    fn pump_after(&self, outlet: OutletName, wait: Duration) {
        let own = self.own.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(Pump(outlet));
        });
    }

    /// The same for what is in the way again if it is looked at earlier: that sets a new timer, so
    /// one is enough, however often this is asked for.
    fn pump_within(&mut self, outlet: &OutletName, wait: Duration) {
        let now = self.clock.now();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let at = now.plus(wait);
        if state
            .rings_at
            .is_none_or(|rings| rings <= now || rings > at)
        {
            state.rings_at = Some(at);
            self.pump_after(outlet.clone(), wait);
        }
    }

    fn chosen(&self, name: Option<&OutletName>) -> Result<Vec<OutletName>, UnknownName> {
        match name {
            None => Ok(self.seats.iter().map(|seat| seat.name.clone()).collect()),
            Some(name) if self.seat(name).is_some() => Ok(vec![name.clone()]),
            Some(name) => Err(UnknownName(name.as_str().to_owned())),
        }
    }
}

/// What stands open in the store at each outlet, once all that was written is read.
async fn all_open(
    store: &dyn TaskStore,
    seats: &[Seat],
    clock: &dyn Clock,
) -> Result<Vec<(OutletName, Vec<Found>)>, StoreError> {
    store.barrier().await?;
    let mut all = Vec::with_capacity(seats.len());
    for seat in seats {
        let open = open_fates(store, seat, clock).await?;
        if !open.is_empty() {
            remind(store, seat, clock.wall()).await?;
        }
        all.push((seat.name.clone(), open));
    }
    Ok(all)
}

impl Actor for PublisherActor {
    type Context = Context<Self>;

    /// Finds out what stands open; mail waits for it.
    fn started(&mut self, context: &mut Self::Context) {
        failpoints::hit("publisher.started");
        self.epoch += 1;
        for seat in &self.seats {
            self.state.entry(seat.name.clone()).or_default().has_more = true;
            self.measure(seat, Duration::ZERO);
        }
        let (seats, clock) = (self.seats.clone(), Arc::clone(&self.clock));
        let (store, edition) = (Rc::clone(&self.store), self.edition.clone());
        let load = async move {
            let recalling = async || {
                failpoints::hit("publisher.recall");
                recall(&*store, &edition).await
            };
            let words = Words {
                fails: "what people corrected was not loaded",
                again: "what people corrected is loaded again",
            };
            until_answered(words, recalling).await;
            let words = Words {
                fails: "open publications were not loaded",
                again: "open publications are loaded again",
            };
            let loading = async || {
                failpoints::hit("publisher.open");
                all_open(&*store, &seats, &*clock).await
            };
            until_answered(words, loading).await
        };
        context.wait(load.into_actor(self).map(|open, actor, _| {
            for (outlet, stored) in open {
                actor.resolve(&outlet, stored);
                actor.refill(&outlet);
            }
            actor.look_for_withdrawn(Duration::ZERO);
            actor.look_for_strays();
            actor.load_brakes();
            actor.look_for_lapsed();
        }));
    }
}

impl Supervised for PublisherActor {
    /// Begins anew with what the store has; what a person paused stays so.
    fn restarting(&mut self, _: &mut Self::Context) {
        for state in self.state.values_mut() {
            *state = OutletState {
                pause: state.pause.clone(),
                published: state.published,
                refused: state.refused,
                ..OutletState::default()
            };
        }
    }
}

impl Handler<Publish> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Publish { planned, ended }: Publish, _: &mut Self::Context) {
        failpoints::hit("publisher.handler");
        let mut outlets: Vec<OutletName> = Vec::new();
        for record in planned {
            let outlet = record.publication.outlet.clone();
            if !outlets.contains(&outlet) {
                outlets.push(outlet);
            }
            self.peers.tell(&record);
            self.wake_waiting_for(&record.publication);
            self.take_in(record);
        }
        drop(ended);
        outlets.extend(self.outlets_in_line());
        for outlet in outlets {
            if self.seat(&outlet).is_none() {
                self.look_for_strays();
            }
            self.refill(&outlet);
            self.pump(&outlet);
        }
    }
}

impl Handler<Pump> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Pump(outlet): Pump, _: &mut Self::Context) {
        failpoints::hit("publisher.timer");
        self.pump(&outlet);
    }
}

impl Handler<PauseOutlet> for PublisherActor {
    type Result = Result<(), UnknownName>;

    fn handle(&mut self, PauseOutlet(name): PauseOutlet, _: &mut Self::Context) -> Self::Result {
        for outlet in self.chosen(name.as_ref())? {
            if let Some(state) = self.state.get_mut(&outlet) {
                state.pause.set();
            }
        }
        Ok(())
    }
}

impl Handler<ResumeOutlet> for PublisherActor {
    type Result = Result<(), UnknownName>;

    fn handle(&mut self, ResumeOutlet(name): ResumeOutlet, _: &mut Self::Context) -> Self::Result {
        for outlet in self.chosen(name.as_ref())? {
            if let Some(state) = self.state.get_mut(&outlet) {
                state.pause.lift();
                state.parked_until = None;
                state.fates.await_none();
            }
            self.pump(&outlet);
        }
        Ok(())
    }
}

impl Handler<Outlets> for PublisherActor {
    type Result = actix::MessageResult<Outlets>;

    fn handle(&mut self, _: Outlets, _: &mut Self::Context) -> Self::Result {
        let now = self.clock.now();
        let view = |seat: &Seat| {
            let state = self.state.get(&seat.name)?;
            let word = if state.pause.holds() {
                "paused"
            } else if state.error.is_some() {
                "failing"
            } else if state.parked_until.is_some_and(|until| until > now)
                || self.is_braked(seat, state)
            {
                "waiting"
            } else {
                "ready"
            };
            Some(OutletView {
                name: seat.name.clone(),
                kind: seat.kind,
                language: seat.language.clone(),
                limit: self.limits.borrow().get(&seat.name).copied(),
                state: word,
                waiting: (state.waiting.len() + state.blocked.len()) as u64,
                behind_held: behind_held(&state.blocked).len() as u64,
                unknown: state.fates.n_unknown() as u64,
                scheduled: state.fates.n_scheduled() as u64,
                published: state.published,
                refused: state.refused,
                error: state.error.clone(),
            })
        };
        let gone = self.strays.iter().map(Stray::view);
        actix::MessageResult(self.seats.iter().filter_map(view).chain(gone).collect())
    }
}

//! Keeps translations known and calls in flight, so that nothing is asked twice.

mod reader;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, ResponseFuture,
    SpawnHandle, Supervised, WrapFuture,
};
use foldhash::{HashMap, HashMapExt, HashSet};
use log::{info, warn};
use tokio::sync::{Mutex, oneshot};

use crate::domain::{Timestamp, Translation};
use crate::failpoints;
use crate::logic::shelf::{Kept, Shelf};
use crate::messages::{
    CacheStats, CacheView, Clear, FlightEnd, Found, Insert, Leadership, Lookup, Operation, Record,
    Resign, SaveAll,
};
use crate::ports::{Clock, Known, KnownKey, StoreError, StoreRemedy, TranslationMemory};
use crate::supervision::unless_panicked;

pub use reader::KnownReader;

/// The most who may wait for one flight; who comes later leads a flight of their own.
const WAITERS: usize = 10_000;
/// The most translations that are made anew at a time.
const REFRESHES: usize = 32;
/// How long what is new gathers before it is made durable; a crash may lose that, and what is
/// being saved, and each text then costs one call more.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How many new translations do not wait for that.
const MANY: usize = 4_096;
/// About how many changes are written together, so that no other write waits long for them.
const PART: usize = 1_000;
/// The most changes that wait to be made durable; a translation beyond that is not kept.
const UNSAVED: usize = 20_000;

/// What the cache is born with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Translations known, at most.
    pub max_entries: u64,
    /// Their size in bytes, at most.
    pub max_bytes: u64,
    /// How long a translation is known.
    pub ttl: Duration,
}

/// Owns what is known and what is in flight.
pub struct CacheActor {
    own: Addr<Self>,
    /// Where leaders who leave say so; each of them shares it.
    resign: Arc<Recipient<Resign>>,
    clock: Arc<dyn Clock>,
    memory: Rc<dyn TranslationMemory>,
    record: Recipient<Record>,
    config: Config,
    shelf: Arc<Shelf>,
    flights: HashMap<KnownKey, VecDeque<Waiter>>,
    unsaved: Rc<RefCell<Unsaved>>,
    /// What is being made anew while it is still known.
    refreshing: HashSet<KnownKey>,
    /// The timer of the next save.
    due: Option<SpawnHandle>,
    /// Held by who writes to the memory, so that nothing comes between the parts of a save.
    writing: Rc<Mutex<()>>,
    figures: CacheView,
    service: Arc<str>,
}

type Waiter = oneshot::Sender<FlightEnd>;

/// What is to be made durable; outside the actor, so that a fall does not lose it.
#[derive(Default)]
struct Unsaved {
    known: Vec<Known>,
    forgotten: HashSet<KnownKey>,
    /// Those of `known` that may have been written before.
    made_anew: HashSet<KnownKey>,
    is_saving: bool,
    /// The last of them were not made durable.
    is_failing: bool,
}

/// Time to make durable what has gathered.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Save;

/// What was to be made durable was, or was not.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Saved(Result<(), StoreError>);

impl CacheActor {
    /// A cache that loads what `memory` has when it starts.
    pub fn new(
        own: Addr<Self>,
        clock: Arc<dyn Clock>,
        memory: Rc<dyn TranslationMemory>,
        record: Recipient<Record>,
        config: Config,
        shelf: Arc<Shelf>,
    ) -> Self {
        Self {
            resign: Arc::new(own.clone().recipient()),
            own,
            clock,
            memory,
            record,
            config,
            shelf,
            flights: HashMap::new(),
            unsaved: Rc::default(),
            refreshing: HashSet::default(),
            due: None,
            writing: Rc::default(),
            figures: CacheView::default(),
            service: "cache".into(),
        }
    }

    fn find(&mut self, key: KnownKey, now: Timestamp) -> Found {
        match self.shelf.take(&key, now) {
            Kept::Good(translation) => return Found::Known(translation),
            Kept::Due(translation) => return self.refresh(key, translation),
            Kept::Old => self.forget(key),
            Kept::Nothing => (),
        }
        match self.flights.get_mut(&key) {
            Some(waiters) if waiters.len() < WAITERS => {
                self.figures.joined += 1;
                let (sender, receiver) = oneshot::channel();
                waiters.push_back(sender);
                Found::Wait(receiver)
            }
            _ => {
                self.figures.misses += 1;
                self.flights.entry(key).or_default();
                Found::Lead(self.leadership(key))
            }
        }
    }

    /// What is known, with the duty to make it anew, unless enough of that is under way.
    fn refresh(&mut self, key: KnownKey, translation: Arc<Translation>) -> Found {
        if self.flights.contains_key(&key) || self.refreshing.len() >= REFRESHES {
            return Found::Known(translation);
        }
        // If it fails, it must be asked for as often again before the next try.
        self.shelf.put_off(&key);
        self.refreshing.insert(key);
        self.flights.insert(key, VecDeque::new());
        self.figures.refreshed += 1;
        Found::Due(translation, self.leadership(key))
    }

    fn leadership(&self, key: KnownKey) -> Leadership {
        Leadership::new(key, Arc::clone(&self.resign))
    }

    /// Makes the next who waits the leader, or ends the flight.
    fn pass_on(&mut self, key: KnownKey) {
        self.refreshing.remove(&key);
        while let Some(waiters) = self.flights.get_mut(&key) {
            match waiters.pop_front() {
                Some(waiter) if waiter.is_closed() => (),
                Some(waiter) => {
                    // Who has just left drops the leadership, which passes it on again.
                    let _ = waiter.send(FlightEnd::Lead(self.leadership(key)));
                    return;
                }
                None => {
                    self.flights.remove(&key);
                }
            }
        }
    }

    fn keep(&mut self, key: KnownKey, translation: Arc<Translation>, at: Timestamp) {
        let known = Known {
            key,
            translation: Arc::clone(&translation),
            at,
        };
        self.shelf.insert(key, translation, at);
        let mut unsaved = self.unsaved.borrow_mut();
        if unsaved.known.len() < UNSAVED {
            unsaved.forgotten.remove(&key);
            unsaved.known.push(known);
        }
    }

    fn forget(&self, key: KnownKey) {
        let mut unsaved = self.unsaved.borrow_mut();
        if unsaved.forgotten.len() < UNSAVED {
            unsaved.forgotten.insert(key);
        }
    }

    /// Lets what gathers be saved after a while, so that what is evicted at once is not written;
    /// where it is much, at once.
    fn save_soon(&mut self, context: &mut Context<Self>) {
        let (is_saving, n_gathered) = {
            let unsaved = self.unsaved.borrow();
            (unsaved.is_saving, unsaved.known.len())
        };
        if is_saving {
            return;
        }
        if n_gathered >= MANY {
            self.save(context);
        } else if self.due.is_none() {
            self.due = Some(context.notify_later(Save, SAVE_AFTER));
        }
    }

    /// Makes durable what has gathered, unless that is being done.
    fn save(&mut self, context: &mut Context<Self>) {
        if let Some(due) = self.due.take() {
            context.cancel_future(due);
        }
        if self.unsaved.borrow().is_saving {
            return;
        }
        let Some((known, forgotten)) = self.gathered() else {
            return;
        };
        self.unsaved.borrow_mut().is_saving = true;
        let own = self.own.clone();
        let saving = self.save_in_parts("cache.call", known, forgotten);
        actix_rt::spawn(async move { own.do_send(Saved(saving.await)) });
    }

    /// Saves so that each part holds keys next to each other, which lie on few pages together.
    fn save_in_parts(
        &self,
        place: &'static str,
        known: Vec<Known>,
        forgotten: Vec<KnownKey>,
    ) -> ResponseFuture<Result<(), StoreError>> {
        let (memory, writing) = (Rc::clone(&self.memory), Rc::clone(&self.writing));
        Box::pin(unless_panicked(async move {
            failpoints::hit(place);
            let _writing = writing.lock().await;
            for (known, forgotten) in parts(known, forgotten) {
                memory.save(known, forgotten).await?;
            }
            Ok(())
        }))
    }

    /// Takes what is to be made durable; none when that is nothing.
    fn gathered(&self) -> Option<(Vec<Known>, Vec<KnownKey>)> {
        let mut unsaved = self.unsaved.borrow_mut();
        let evicted = self.shelf.take_evicted().into_iter();
        let mut evicted: HashSet<KnownKey> =
            evicted.filter(|key| !self.shelf.contains(key)).collect();
        // What was never written need not be forgotten; what was made anew was written before.
        let made_anew = std::mem::take(&mut unsaved.made_anew);
        unsaved.known.retain(|known| {
            let is_gone = evicted.contains(&known.key);
            if is_gone && !made_anew.contains(&known.key) {
                evicted.remove(&known.key);
            }
            !is_gone
        });
        unsaved.forgotten.extend(evicted);
        if unsaved.known.is_empty() && unsaved.forgotten.is_empty() {
            return None;
        }
        let known = std::mem::take(&mut unsaved.known);
        Some((known, unsaved.forgotten.drain().collect()))
    }
}

/// What is to be written together: keys next to each other.
fn parts(known: Vec<Known>, forgotten: Vec<KnownKey>) -> Vec<(Vec<Known>, Vec<KnownKey>)> {
    let n_parts = (known.len() + forgotten.len()).div_ceil(PART);
    let part = |key: &KnownKey| usize::from(key[0]) * n_parts / 256;
    let mut parts = vec![(Vec::new(), Vec::new()); n_parts];
    for one in known {
        parts[part(&one.key)].0.push(one);
    }
    for key in forgotten {
        parts[part(&key)].1.push(key);
    }
    parts
}

impl Actor for CacheActor {
    type Context = Context<Self>;

    /// Loads what is durable; mail waits for it.
    fn started(&mut self, context: &mut Self::Context) {
        failpoints::hit("cache.started");
        let (memory, limit) = (Rc::clone(&self.memory), self.config.max_entries);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let load = async move { memory.load(limit).await };
        context.wait(load.into_actor(self).map(|loaded, actor, context| {
            match loaded {
                Ok(loaded) => {
                    // The oldest first, so that the newest are the last to be evicted.
                    for known in loaded.into_iter().rev() {
                        // After a fall the shelf has what is newer.
                        if !actor.shelf.contains(&known.key) {
                            actor.shelf.insert(known.key, known.translation, known.at);
                        }
                    }
                }
                Err(error) => warn!(cause:% = error; "known translations were not loaded"),
            }
            actor.save_soon(context);
        }));
    }
}

impl Supervised for CacheActor {
    /// Forgets flights, whose waiters are told so by their closed channels; what is known stands
    /// outside the actor, where its readers find it meanwhile.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.flights.clear();
        self.refreshing.clear();
        self.due = None;
        if let Ok(mut unsaved) = self.unsaved.try_borrow_mut() {
            unsaved.is_saving = false;
        }
    }
}

impl Handler<Lookup> for CacheActor {
    type Result = actix::MessageResult<Lookup>;

    fn handle(&mut self, Lookup(keys): Lookup, context: &mut Self::Context) -> Self::Result {
        failpoints::hit("cache.handler");
        let (begun, now) = (self.clock.now(), self.clock.wall());
        let found = keys.into_iter().map(|key| self.find(key, now)).collect();
        self.record.do_send(Record {
            operation: Operation {
                service: Arc::clone(&self.service),
                name: "lookup",
            },
            took: self.clock.now().since(begun),
            is_error: false,
        });
        if !self.unsaved.borrow().forgotten.is_empty() {
            self.save_soon(context);
        }
        actix::MessageResult(found)
    }
}

impl Handler<Insert> for CacheActor {
    type Result = ();

    fn handle(&mut self, Insert(ends): Insert, context: &mut Self::Context) {
        let at = self.clock.wall();
        for (leadership, end) in ends {
            let key = leadership.fulfil();
            let waiters = self.flights.remove(&key).unwrap_or_default();
            let is_anew = self.refreshing.remove(&key);
            match end {
                Ok(translation) => {
                    for waiter in waiters {
                        // Who has left needs no answer.
                        let _ = waiter.send(FlightEnd::Known(Arc::clone(&translation)));
                    }
                    self.keep(key, translation, at);
                    if is_anew {
                        self.unsaved.borrow_mut().made_anew.insert(key);
                    }
                }
                Err(failure) => {
                    for waiter in waiters {
                        let _ = waiter.send(FlightEnd::Refused(failure.clone()));
                    }
                }
            }
        }
        self.save_soon(context);
    }
}

impl Handler<Resign> for CacheActor {
    type Result = ();

    fn handle(&mut self, Resign(key): Resign, _: &mut Self::Context) {
        self.pass_on(key);
    }
}

impl Handler<Save> for CacheActor {
    type Result = ();

    fn handle(&mut self, _: Save, context: &mut Self::Context) {
        failpoints::hit("cache.timer");
        self.save(context);
    }
}

impl Handler<Saved> for CacheActor {
    type Result = ();

    /// What could not be saved is forgotten: it costs a call after a restart, nothing more.
    fn handle(&mut self, Saved(saved): Saved, context: &mut Self::Context) {
        let is_failing = saved.is_err();
        let was_failing = std::mem::replace(&mut self.unsaved.borrow_mut().is_failing, is_failing);
        if was_failing && !is_failing {
            info!("translations are kept for the next start again");
        }
        let wait = match saved {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                if !was_failing {
                    warn!(cause:% = error; "translations were not kept for the next start");
                }
                match error.remedy() {
                    StoreRemedy::Retry(wait) | StoreRemedy::Person(wait) => wait,
                }
            }
        };
        let unsaved = Rc::clone(&self.unsaved);
        let own = self.own.clone();
        if wait.is_zero() {
            unsaved.borrow_mut().is_saving = false;
            let is_done =
                unsaved.borrow().known.is_empty() && unsaved.borrow().forgotten.is_empty();
            if !is_done {
                self.save_soon(context);
            }
            return;
        }
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            unsaved.borrow_mut().is_saving = false;
            own.do_send(Save);
        });
    }
}

impl Handler<SaveAll> for CacheActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: SaveAll, _: &mut Self::Context) -> Self::Result {
        // Where nothing has gathered, what is being saved is waited for.
        let (known, forgotten) = self.gathered().unwrap_or_default();
        self.save_in_parts("cache.save_all", known, forgotten)
    }
}

impl Handler<Clear> for CacheActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: Clear, _: &mut Self::Context) -> Self::Result {
        self.shelf.clear();
        let mut unsaved = self.unsaved.borrow_mut();
        unsaved.known.clear();
        unsaved.forgotten.clear();
        unsaved.made_anew.clear();
        let (memory, writing) = (Rc::clone(&self.memory), Rc::clone(&self.writing));
        Box::pin(unless_panicked(async move {
            failpoints::hit("cache.clear");
            let _writing = writing.lock().await;
            memory.clear().await
        }))
    }
}

impl Handler<CacheStats> for CacheActor {
    type Result = actix::MessageResult<CacheStats>;

    fn handle(&mut self, _: CacheStats, _: &mut Self::Context) -> Self::Result {
        let (entries, bytes) = self.shelf.size();
        actix::MessageResult(CacheView {
            entries,
            bytes,
            hits: self.shelf.hits(),
            ..self.figures
        })
    }
}

//! Keeps translations known and calls in flight, so that nothing is asked twice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, ResponseFuture,
    Supervised, WrapFuture,
};
use foldhash::fast::RandomState;
use foldhash::{HashMap, HashMapExt, HashSet};
use futures_util::FutureExt;
use log::warn;
use moka::notification::RemovalCause;
use moka::sync::Cache;
use tokio::sync::oneshot;

use crate::domain::{Timestamp, Translation};
use crate::failpoints;
use crate::logic::known::is_due;
use crate::messages::{
    CacheStats, CacheView, Clear, FlightEnd, Found, Insert, Leadership, Lookup, Operation, Record,
    Resign,
};
use crate::ports::{Clock, Known, KnownKey, StoreError, StoreRemedy, TranslationMemory};

/// What an entry takes beside its text, in bytes.
const ENTRY_BYTES: u64 = 160;
/// The most who may wait for one flight; who comes later leads a flight of their own.
const WAITERS: usize = 10_000;
/// The most translations that are made anew at a time.
const REFRESHES: usize = 32;
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
    clock: Arc<dyn Clock>,
    memory: Rc<dyn TranslationMemory>,
    record: Recipient<Record>,
    config: Config,
    known: Cache<KnownKey, Entry, RandomState>,
    evicted: Arc<Mutex<Vec<KnownKey>>>,
    flights: HashMap<KnownKey, VecDeque<Waiter>>,
    unsaved: Rc<RefCell<Unsaved>>,
    /// What is being made anew while it is still known.
    refreshing: HashSet<KnownKey>,
    figures: CacheView,
    service: Arc<str>,
}

type Waiter = oneshot::Sender<FlightEnd>;

#[derive(Clone)]
struct Entry {
    translation: Arc<Translation>,
    at: Timestamp,
    /// How often it was asked for since it was made, or since it was last asked for anew.
    asked: Arc<AtomicU32>,
}

impl Entry {
    fn new(translation: Arc<Translation>, at: Timestamp) -> Self {
        Self {
            translation,
            at,
            asked: Arc::default(),
        }
    }
}

/// What is to be made durable; outside the actor, so that a fall does not lose it.
#[derive(Default)]
struct Unsaved {
    known: Vec<Known>,
    forgotten: HashSet<KnownKey>,
    is_saving: bool,
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
    ) -> Self {
        let evicted = Arc::default();
        Self {
            own,
            clock,
            memory,
            record,
            config,
            known: build(config, &evicted),
            evicted,
            flights: HashMap::new(),
            unsaved: Rc::default(),
            refreshing: HashSet::default(),
            figures: CacheView::default(),
            service: "cache".into(),
        }
    }

    fn find(&mut self, key: KnownKey, now: Timestamp) -> Found {
        if let Some(entry) = self.known.get(&key) {
            let age = now.since(entry.at);
            if age < self.config.ttl {
                self.figures.hits += 1;
                let n_asked = entry.asked.fetch_add(1, Ordering::Relaxed) + 1;
                return if is_due(age, self.config.ttl, n_asked) {
                    self.refresh(key, entry)
                } else {
                    Found::Known(entry.translation)
                };
            }
            self.known.invalidate(&key);
            self.forget(key);
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
    fn refresh(&mut self, key: KnownKey, entry: Entry) -> Found {
        if self.flights.contains_key(&key) || self.refreshing.len() >= REFRESHES {
            return Found::Known(entry.translation);
        }
        // If it fails, it must be asked for as often again before the next try.
        entry.asked.store(0, Ordering::Relaxed);
        self.refreshing.insert(key);
        self.flights.insert(key, VecDeque::new());
        self.figures.refreshed += 1;
        Found::Due(entry.translation, self.leadership(key))
    }

    fn leadership(&self, key: KnownKey) -> Leadership {
        Leadership::new(key, self.own.clone().recipient())
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
            translation: Translation::clone(&translation),
            at,
        };
        self.known.insert(key, Entry::new(translation, at));
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

    /// Lets what has gathered be saved after the mail that is waiting now.
    fn save_soon(&self, context: &mut Context<Self>) {
        if !self.unsaved.borrow().is_saving {
            context.notify(Save);
        }
    }
}

/// A cache bounded by entries and bytes: each entry weighs the larger of its two shares.
fn build(
    config: Config,
    evicted: &Arc<Mutex<Vec<KnownKey>>>,
) -> Cache<KnownKey, Entry, RandomState> {
    const WHOLE: f64 = 1_000_000_000.0;
    let (entries, bytes) = (
        config.max_entries.max(1) as f64,
        config.max_bytes.max(1) as f64,
    );
    let evicted = Arc::clone(evicted);
    Cache::builder()
        .max_capacity(WHOLE as u64)
        .weigher(move |_, entry: &Entry| {
            let size = entry.translation.text.len() as u64 + ENTRY_BYTES;
            let share = (1.0 / entries).max(size as f64 / bytes);
            (share * WHOLE).ceil().min(f64::from(u32::MAX)) as u32
        })
        .eviction_listener(move |key, _, cause| {
            if cause == RemovalCause::Size
                && let Ok(mut evicted) = evicted.lock()
                && evicted.len() < UNSAVED
            {
                evicted.push(*key);
            }
        })
        .build_with_hasher(RandomState::default())
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
                        let entry = Entry::new(Arc::new(known.translation), known.at);
                        actor.known.insert(known.key, entry);
                    }
                }
                Err(error) => warn!(cause:% = error; "known translations were not loaded"),
            }
            actor.save_soon(context);
        }));
    }
}

impl Supervised for CacheActor {
    /// Forgets flights, whose waiters are told so by their closed channels, and loads again.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.evicted = Arc::default();
        self.known = build(self.config, &self.evicted);
        self.flights.clear();
        self.refreshing.clear();
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
            task: None,
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
            self.refreshing.remove(&key);
            match end {
                Ok(translation) => {
                    for waiter in waiters {
                        // Who has left needs no answer.
                        let _ = waiter.send(FlightEnd::Known(Arc::clone(&translation)));
                    }
                    self.keep(key, translation, at);
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

    fn handle(&mut self, _: Save, _: &mut Self::Context) {
        failpoints::hit("cache.timer");
        let evicted = match self.evicted.lock() {
            Ok(mut evicted) => std::mem::take(&mut *evicted),
            Err(_) => Vec::new(),
        };
        let mut unsaved = self.unsaved.borrow_mut();
        for key in evicted {
            if !self.known.contains_key(&key) {
                unsaved.forgotten.insert(key);
            }
        }
        if unsaved.is_saving || (unsaved.known.is_empty() && unsaved.forgotten.is_empty()) {
            return;
        }
        unsaved.is_saving = true;
        let known = std::mem::take(&mut unsaved.known);
        let forgotten = unsaved.forgotten.drain().collect();
        drop(unsaved);
        let (own, memory) = (self.own.clone(), Rc::clone(&self.memory));
        actix_rt::spawn(async move {
            let saving = async {
                failpoints::hit("cache.call");
                memory.save(known, forgotten).await
            };
            let saved = AssertUnwindSafe(saving).catch_unwind().await;
            let saved = saved.unwrap_or_else(|_| {
                Err(StoreError::Failed {
                    detail: "the memory panicked".to_owned(),
                })
            });
            own.do_send(Saved(saved));
        });
    }
}

impl Handler<Saved> for CacheActor {
    type Result = ();

    /// What could not be saved is forgotten: it costs a call after a restart, nothing more.
    fn handle(&mut self, Saved(saved): Saved, context: &mut Self::Context) {
        let wait = match saved {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                warn!(cause:% = error; "translations were not kept for the next start");
                match error.remedy() {
                    StoreRemedy::Retry(wait) | StoreRemedy::Person(wait) => wait,
                }
            }
        };
        let unsaved = Rc::clone(&self.unsaved);
        let own = self.own.clone();
        if wait.is_zero() {
            unsaved.borrow_mut().is_saving = false;
            let unsaved = unsaved.borrow();
            if !unsaved.known.is_empty() || !unsaved.forgotten.is_empty() {
                context.notify(Save);
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

impl Handler<Clear> for CacheActor {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: Clear, _: &mut Self::Context) -> Self::Result {
        self.known.invalidate_all();
        let mut unsaved = self.unsaved.borrow_mut();
        unsaved.known.clear();
        unsaved.forgotten.clear();
        let memory = Rc::clone(&self.memory);
        Box::pin(async move { memory.clear().await })
    }
}

impl Handler<CacheStats> for CacheActor {
    type Result = actix::MessageResult<CacheStats>;

    fn handle(&mut self, _: CacheStats, _: &mut Self::Context) -> Self::Result {
        self.known.run_pending_tasks();
        let bytes = self
            .known
            .iter()
            .map(|(_, entry)| entry.translation.text.len() as u64 + ENTRY_BYTES)
            .sum();
        actix::MessageResult(CacheView {
            entries: self.known.entry_count(),
            bytes,
            ..self.figures
        })
    }
}

//! Finds places for work: known already, waiting for a flight, or in the queue.

use actix::{Context, Handler};
use log::{info, warn};

use super::timer::expired;
use super::work::{Subject, Work, stand_of};
use super::{Place, TaskManagerActor};
use crate::domain::{Failure, FailureKind, ProviderName, TaskId, Translation, Usage};
use crate::failpoints;
use crate::logic::checks;
use crate::messages::{FlightEnd, Found, Lookup, Publish};
use crate::ports::{KnownKey, StoreError, StoreRemedy, TaskRecord, Token};
use crate::supervision::unless_panicked;

use super::window::{Load, Room};
use crate::domain::{Bucket, Pair, Position};
use crate::logic::queue::{Queue, Spot};
use crate::logic::routing::Routes;

/// So many changes may wait to be written while more tasks are loaded.
const UNWRITTEN: usize = 1_024;

/// The cache has answered.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct LookedUp {
    epoch: u64,
    works: Vec<Work>,
    found: Vec<Found>,
}

/// A flight has ended for one who waited.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct FlightEnded {
    number: Token,
    /// How; none when the cache fell.
    end: Option<FlightEnd>,
}

/// A page of a window was loaded.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Loaded {
    epoch: u64,
    load: Load,
    records: Result<Vec<TaskRecord>, StoreError>,
}

impl TaskManagerActor {
    /// Gives tasks that became Queued a place in memory, or leaves them on disk.
    pub(super) fn admit(&mut self, records: Vec<TaskRecord>) {
        let mut works = Vec::with_capacity(records.len());
        self.measure_windows();
        for record in records {
            if self.state.places.contains_key(&record.task.id) {
                continue;
            }
            let (bucket, position) = stand_of(&record);
            let bytes = record.task.request.size();
            if self.state.windows.admit(&bucket, position, bytes) == Room::Yes {
                works.push(self.bring_in(record, bucket));
            }
        }
        self.look_up(works);
    }

    /// The work of a task that gets a place in memory.
    pub(super) fn bring_in(&self, record: TaskRecord, bucket: Bucket) -> Work {
        self.config.outstanding.begin(&record.task);
        Work::of_task(self.store.token(), record, bucket, &self.config)
    }

    /// Loads the windows that have run low, unless much that has ended is still to be written: that
    /// takes memory too, and its commit refills.
    pub(super) fn refill(&mut self) {
        if self.book.lock().outbox.changes.len() >= UNWRITTEN {
            return;
        }
        self.measure_windows();
        for load in self.state.windows.loads() {
            let after = load.after.map(|position| position.id);
            self.config.outstanding.begin_reading(&load.bucket, after);
            let (store, own, epoch) = (self.store.clone(), self.own.clone(), self.epoch);
            actix_rt::spawn(async move {
                let loading = async {
                    failpoints::hit("task_manager.load");
                    let bucket = load.bucket.clone();
                    store.ready(bucket, load.after, load.limit).await
                };
                let records = unless_panicked(loading).await;
                if let Err(error) = &records {
                    let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                    tokio::time::sleep(wait).await;
                }
                own.do_send(Loaded {
                    epoch,
                    load,
                    records,
                });
            });
        }
    }

    /// Tells the windows how much calls can take, and how much of what is in memory is busy.
    fn measure_windows(&mut self) {
        let config = &self.config;
        let in_calls = config
            .concurrency
            .map_or(usize::MAX, |n| n.saturating_mul(config.max_batch_size));
        let strays = self.state.strays.values().map(Queue::len);
        let n_busy = self.book.lock().in_flight.len()
            + strays.sum::<usize>()
            + self.state.following.len()
            + self.state.delayed.len()
            + self.state.jobs.n_gathered()
            + self.state.jobs.n_tasks();
        self.state.windows.note_demand(in_calls, n_busy);
    }

    /// Asks the cache about work; what needs no translation passes by.
    pub(super) fn look_up(&mut self, works: Vec<Work>) {
        let mut asked = Vec::with_capacity(works.len());
        for work in works {
            self.note_deadline(&work);
            if let Some(made) = self.passes_by(&work) {
                let translation = as_it_is(&work);
                self.complete(work, &translation, made);
                continue;
            }
            self.place(&work, Place::Asking);
            asked.push(work);
        }
        if asked.is_empty() {
            return;
        }
        let keys: Vec<KnownKey> = asked.iter().map(|work| work.key).collect();
        let (lookup, own, epoch) = (self.peers.lookup.clone(), self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            let found = loop {
                match lookup.send(Lookup(Vec::clone(&keys))).await {
                    Ok(found) => break found,
                    // The system has ended.
                    Err(_) if !lookup.connected() => return,
                    // The cache fell over this message; it is back after its backoff.
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
            };
            own.do_send(LookedUp {
                epoch,
                works: asked,
                found,
            });
        });
    }

    /// How a text that needs no translation comes by one: it holds nothing but protected spans,
    /// or it is in the language already, by what is declared, or else by its words.
    pub(super) fn passes_by(&self, work: &Work) -> Option<Made> {
        let pair = &work.bucket.pair;
        if work.tight.is_some() {
            // Whether it needs one was asked before.
            return None;
        }
        if !work.text.has_words() {
            return Some(Made::Known);
        }
        let is_same = match (&pair.source, &work.subject) {
            (Some(source), _) => source.matches(&pair.target),
            // Who waits for a text gets it sooner from a model that is told to find out.
            (None, Subject::Now { .. }) => false,
            (None, Subject::Task(_)) => {
                self.config.checks.language && checks::is_in(&work.text, &pair.target)
            }
        };
        is_same.then_some(Made::Same)
    }

    /// Notes where a task stands.
    pub(super) fn place(&mut self, work: &Work, place: Place) {
        if let Some(id) = work.task_id() {
            self.state.places.insert(id, place);
        }
    }

    /// Takes a task out of memory.
    pub(super) fn displace(&mut self, work: &Work) {
        if let Subject::Task(live) = &work.subject {
            let id = live.record.task.id;
            self.state.places.remove(&id);
            let bytes = live.record.task.request.size();
            self.state.windows.leave(&live.home, work.position, bytes);
            if let Some(due) = live.record.task.request.deadline {
                self.state.deadlines.remove(&(due, id));
            }
        }
    }

    /// Whether work that was on its way inside a message is still wanted.
    fn is_wanted(&self, work: &Work) -> bool {
        match work.task_id() {
            Some(id) => matches!(self.state.places.get(&id), Some(Place::Asking)),
            None => !work.is_abandoned(),
        }
    }

    pub(super) fn settle_found(&mut self, mut work: Work, found: Found) {
        if !self.is_wanted(&work) {
            return;
        }
        if work.position.due <= self.steady_wall() {
            self.give_up(work, expired());
            return;
        }
        match found {
            Found::Known(translation) => self.complete(work, &translation, Made::Known),
            Found::Due(translation, leadership) => {
                // What was said in fewer words is not often asked for, and has a budget.
                if work.tight.is_none() {
                    self.refresh(&work, leadership);
                }
                self.complete(work, &translation, Made::Known);
            }
            Found::Lead(leadership) => {
                work.leadership = Some(leadership);
                self.enqueue(work);
            }
            Found::Wait(end) => {
                let (number, own) = (work.number, self.own.clone());
                self.raise(&work);
                self.place(&work, Place::Following(number));
                self.state.following.insert(number, work);
                actix_rt::spawn(async move {
                    let end = end.await.ok();
                    own.do_send(FlightEnded { number, end });
                });
            }
        }
    }

    /// Raises the leader of a flight that somebody more urgent waits for.
    fn raise(&mut self, waiter: &Work) {
        let class = waiter.bucket.class;
        let Some(&(among, spot)) = self.state.leaders.get(&waiter.key) else {
            return;
        };
        let queue = match &among {
            None => Some(&self.state.queue),
            Some(among) => self.state.strays.get(among),
        };
        let leader = queue.and_then(|queue| queue.get(spot));
        if leader.is_none_or(|leader| leader.bucket.class <= class) {
            return;
        }
        if let Some(mut leader) = self.remove_queued(among, spot) {
            leader.bucket.class = class;
            self.enqueue(leader);
        }
    }

    /// Takes work out of the queue that it stands in.
    fn remove_queued(&mut self, among: Option<Routes>, spot: Spot) -> Option<Work> {
        let queue = match &among {
            None => &mut self.state.queue,
            Some(among) => self.state.strays.get_mut(among)?,
        };
        let work = queue.remove(spot)?;
        self.state.leaders.remove(&work.key);
        Some(work)
    }

    /// Puts work into the queue of who may still do it; without such a provider it fails.
    pub(super) fn enqueue(&mut self, mut work: Work) {
        if work.is_abandoned() || self.refuses_at_stop(&work) || self.refuses_hopeless(&work) {
            return;
        }
        self.keep_within_budgets(&mut work);
        if let Some(route) = self.job_route(&work) {
            self.gather_for_job(work, route);
            return;
        }
        let Some(stray) = self.queue_for(&mut work) else {
            let failure = work.refusal.clone().unwrap_or_else(|| no_route(&work));
            self.give_up(work, failure);
            return;
        };
        let (id, key) = (work.task_id(), work.key);
        let leads = work.leadership.is_some();
        let bucket = work.bucket.clone();
        let (most, position, weight) = (work.pack_limit, work.position, work.weight());
        let queue = match stray {
            None => &mut self.state.queue,
            Some(among) => self.state.strays.entry(among).or_default(),
        };
        let spot = queue.insert(&bucket, most, position, weight, work);
        if let Some(id) = id {
            self.state.places.insert(id, Place::Queued(stray, spot));
        }
        if leads {
            self.state.leaders.insert(key, (stray, spot));
        }
    }

    /// Finds new places for the work of a pair that this provider turned out not to translate.
    pub(super) fn send_elsewhere(&mut self, route: usize, pair: &Pair) {
        let is_of_pair = |other: &Pair, _: &Work| other == pair;
        let mut works = take_where(&mut self.state.queue, is_of_pair);
        for (among, strays) in &mut self.state.strays {
            if among.contains(route) {
                works.append(&mut take_where(strays, is_of_pair));
            }
        }
        self.state.strays.retain(|_, strays| !strays.is_empty());
        for work in works {
            self.state.leaders.remove(&work.key);
            self.enqueue(work);
        }
    }

    fn note_deadline(&mut self, work: &Work) {
        if let Subject::Task(live) = &work.subject
            && let Some(due) = live.record.task.request.deadline
        {
            self.state.deadlines.insert((due, live.record.task.id));
            self.set_timer();
        }
    }

    /// Fails a task in memory wherever it stands.
    pub(super) fn fail_in_place(&mut self, id: TaskId, failure: Failure) {
        if let Some(work) = self.remove_from_place(id) {
            self.give_up(work, failure);
        }
    }

    /// Takes a task in memory out of where it stands; none while it is being looked up.
    pub(super) fn remove_from_place(&mut self, id: TaskId) -> Option<Work> {
        match self.state.places.get(&id)?.clone() {
            Place::Asking => None,
            Place::Queued(among, spot) => self.remove_queued(among, spot),
            Place::Following(number) => self.state.following.remove(&number),
            Place::Delayed(moment, number) => self.state.delayed.remove(&(moment, number)),
            Place::Gathering(route) => self.remove_gathered(route, id),
            Place::InJob(token) => self.remove_from_job(token, id),
            Place::InFlight(number) => self.book.lock().take(number),
        }
    }
}

/// Takes all work for which something holds out of a queue.
pub(super) fn take_where(
    queue: &mut Queue<Work>,
    holds: impl Fn(&Pair, &Work) -> bool,
) -> Vec<Work> {
    let chosen = queue.iter().filter(|(_, pair, work)| holds(pair, work));
    let spots: Vec<Spot> = chosen.map(|(spot, ..)| spot).collect();
    let spots = spots.into_iter();
    spots.filter_map(|spot| queue.remove(spot)).collect()
}

/// How long to wait for a neighbour that fell.
pub(super) const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// How a translation was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// By a call for this text.
    ByCall,
    /// It was known, or made by another's call.
    Known,
    /// The text was in the language already.
    Same,
}

pub(super) fn as_it_is(work: &Work) -> Translation {
    Translation {
        text: work.text.skeleton.clone(),
        provider: ProviderName::from(""),
        model: "".into(),
        cached: true,
        usage: Usage::default(),
    }
}

pub(super) fn no_route(work: &Work) -> Failure {
    Failure {
        kind: FailureKind::NoRoute,
        detail: format!("no provider translates {}", work.bucket.pair).into(),
    }
}

impl Handler<LookedUp> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, looked_up: LookedUp, context: &mut Context<Self>) {
        failpoints::hit("task_manager.looked_up");
        if looked_up.epoch != self.epoch {
            // A fall came between: tasks were loaded again, and callers are asked for again.
            return;
        }
        for (work, found) in looked_up.works.into_iter().zip(looked_up.found) {
            self.settle_found(work, found);
        }
        // What went to a job or behind another makes room, and no commit tells of that.
        self.refill();
        self.dispatch(context);
        self.flush_soon(context);
    }
}

impl Handler<FlightEnded> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, ended: FlightEnded, context: &mut Context<Self>) {
        let Some(mut work) = self.state.following.remove(&ended.number) else {
            return;
        };
        match ended.end {
            Some(FlightEnd::Known(translation)) => self.complete(work, &translation, Made::Known),
            Some(FlightEnd::Refused(failure)) => self.give_up(work, failure),
            Some(FlightEnd::Lead(leadership)) => {
                work.leadership = Some(leadership);
                self.enqueue(work);
            }
            None => self.look_up(vec![work]),
        }
        self.dispatch(context);
        self.flush_soon(context);
    }
}

impl Handler<Loaded> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, loaded: Loaded, context: &mut Context<Self>) {
        if loaded.epoch != self.epoch {
            return;
        }
        let failing = &mut self.state.not_loaded;
        let records = match loaded.records {
            Ok(records) => records,
            Err(error) => {
                if failing.is_empty() {
                    warn!(cause:% = error; "queued tasks were not loaded");
                }
                failing.insert(loaded.load.bucket.clone());
                self.state.windows.not_loaded(&loaded.load);
                self.refill();
                return;
            }
        };
        if failing.remove(&loaded.load.bucket) && failing.is_empty() {
            info!("queued tasks are loaded again");
        }
        let places: Vec<Position> = records
            .iter()
            .map(|record| Position::new(record.task.request.deadline, record.task.id))
            .collect();
        let sizes = records.iter().map(|record| record.task.request.size());
        let taken = self
            .state
            .windows
            .loaded(&loaded.load, &places, sizes.sum());
        let mut works = Vec::with_capacity(taken.n_tasks);
        let tasks = records.into_iter().zip(places).take(taken.n_tasks);
        for (record, place) in tasks {
            if taken.ended.contains(&place) {
                continue;
            }
            let id = record.task.id;
            // Only what a fall left behind may be under way without a place.
            let is_held = self.epoch > 1 && self.is_held(id);
            if !self.state.places.contains_key(&id) && !is_held {
                let (bucket, _) = stand_of(&record);
                self.state.windows.hold(&bucket, record.task.request.size());
                works.push(self.bring_in(record, bucket));
            }
        }
        self.config.outstanding.end_reading(&loaded.load.bucket);
        self.look_up(works);
        self.refill();
        self.tell_publisher(Publish::default());
        self.dispatch(context);
        self.flush_soon(context);
    }
}

//! Owns the task queue and every task's state.

mod book;
mod changes;
mod choice;
mod dispatch;
mod doubt;
mod hedge;
mod intake;
mod jobs;
mod lookup;
mod outcome;
mod outdated;
mod parked;
mod plan;
mod queries;
mod refresh;
mod stopping;
mod tighten;
mod timer;
mod window;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Recipient, Supervised, WrapFuture,
};
use foldhash::{HashMap, HashSet};
use log::{error, info, warn};
use tokio::sync::oneshot;

use crate::domain::{Bucket, IdMint, Lane, Moment, Pair, ProviderName, TaskId, Timestamp};
use crate::failpoints;
use crate::logic::checks::Checks;
use crate::logic::estimate::{Estimates, Weight};
use crate::logic::hedge::Hedging;
use crate::logic::known::{Edition, Quality};
use crate::logic::lifecycle::Step;
use crate::logic::outstanding::Outstanding;
use crate::logic::pack::Digestion;
use crate::logic::queue::{Queue, Spot};
use crate::logic::quota::Urgency;
use crate::logic::routing::{By, Calls, Pairs, Routes, Routing};
use crate::logic::steady::Steady;
use crate::messages::{
    AbandonJob, Acquire, CloseJob, Events, Insert, Lookup, Operation, Publish, Record, RunJob,
    Translate, Withdraw,
};
use crate::ports::{
    BatchBounds, BatchJob, Chance, Clock, KnownKey, StoreError, StoreRemedy, TaskRecord, TaskStore,
    Token,
};

use crate::setup::OutletLimits;
use book::{After, Book, Shared, Slots};
use jobs::Jobs;
use parked::park;
pub use plan::OutletRoute;
use window::Windows;
use work::{Subject, Work};

/// So many deaths of the process during its call make a text poison.
const POISON: u8 = 3;

/// What the task manager is born with.
pub struct Config {
    /// What translates, the first choice first.
    pub routes: Vec<ProviderRoute>,
    /// By what the first choice is made.
    pub by: By,
    /// Whether slow calls are made a second time elsewhere.
    pub hedging: Hedge,
    /// Where is published.
    pub outlets: Vec<OutletRoute>,
    /// The outlets' limits, which the publisher keeps.
    pub limits: OutletLimits,
    /// The tasks of posts that are under way, which the publisher goes by.
    pub outstanding: Arc<Outstanding>,
    /// Calls in flight, all lanes together; none: as many as the lanes allow.
    pub concurrency: Option<usize>,
    /// Calls made for one task before it fails.
    pub max_attempts: u32,
    /// How long one call may take, body included.
    pub timeout: Duration,
    /// The most texts in one call.
    pub max_batch_size: usize,
    /// How long bulk work waits for company when its lane is short of permits.
    pub batch_timeout: Duration,
    /// The most texts in one job.
    pub max_job_size: usize,
    /// How long texts are gathered for a job that is not full.
    pub job_timeout: Duration,
    /// What translations depend on beside their texts.
    pub edition: Edition,
    /// What a translation must pass.
    pub checks: Checks,
    /// Whether new work is taken, for those who answer without asking.
    pub intake_is_open: Arc<AtomicBool>,
}

/// Whether slow calls are made a second time elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hedge {
    /// Never.
    #[default]
    Never,
    /// Where another provider has quota to spare.
    FromSurplus,
}

/// A provider as the task manager sees it: values, no actor.
#[derive(Clone, Debug)]
pub struct ProviderRoute {
    /// Its name.
    pub name: ProviderName,
    /// Whoever counts us.
    pub lane: Lane,
    /// The most texts in one call that it takes; none: as many as wanted.
    pub max_items: Option<usize>,
    /// The most texts in one call that it takes of a language that nobody told; none: as many
    /// as of any.
    pub max_untold: Option<usize>,
    /// The most bytes of texts in one call that it takes; none: as many as wanted.
    pub max_bytes: Option<usize>,
    /// Whether its limits or its price count tokens, or characters in their place.
    pub counts_tokens: bool,
    /// The most tokens that one call may hold, so that its limits are used well; none: as many
    /// as wanted.
    pub max_tokens: Option<u64>,
    /// US dollars that its lane may cost, over the time in which it may cost the least; none
    /// where that has no limit.
    pub budget: Option<f64>,
    /// The tokens that its lane may use in a day; none where that has no limit that is set.
    pub tokens_per_day: Option<f64>,
    /// What one of its jobs may hold; none where it gets no jobs.
    pub jobs: Option<BatchBounds>,
    /// How well it translates.
    pub quality: Quality,
    /// Its part of the texts where shares decide.
    pub share: f64,
    /// US dollars per million tokens, in and out.
    pub price: (f64, f64),
    /// The pairs of languages that it is asked for; none: all.
    pub pairs: Option<Vec<Pairs>>,
}

/// Whom the task manager knows.
pub struct Peers {
    /// What is known already.
    pub lookup: Recipient<Lookup>,
    /// Where failures about a text are told.
    pub insert: Recipient<Insert>,
    /// Who grants permits.
    pub acquire: Recipient<Acquire>,
    /// Who makes calls.
    pub translators: Translators,
    /// Who has jobs made.
    pub batcher: Batcher,
    /// Who publishes.
    pub publish: Recipient<Publish>,
    /// Who takes back what was published.
    pub withdraw: Recipient<Withdraw>,
    /// Who counts.
    pub record: Recipient<Record>,
    /// Who listens.
    pub events: Events,
}

/// Who has jobs made.
pub struct Batcher {
    /// Has one made.
    pub run: Recipient<RunJob>,
    /// Lets one go that nobody wants any more.
    pub abandon: Recipient<AbandonJob>,
    /// Forgets one that is over.
    pub close: Recipient<CloseJob>,
}

/// Who makes calls.
pub struct Translators {
    /// On this arbiter: for texts that somebody waits for, to whom each change of threads would
    /// cost a wake-up.
    pub near: Recipient<Translate>,
    /// On other arbiters: for all other texts; without any, the near one makes these calls too.
    pub far: Vec<Recipient<Translate>>,
}

/// Owns the task queue and every task's state.
pub struct TaskManagerActor {
    own: Rc<Addr<Self>>,
    clock: Arc<dyn Clock>,
    steady: Rc<Steady>,
    chance: Arc<dyn Chance>,
    store: Rc<dyn TaskStore>,
    peers: Peers,
    config: Config,
    mint: IdMint,
    /// What outlives a fall.
    book: Shared<Book>,
    lost: Shared<Vec<Token>>,
    slots: Slots,
    /// What was measured of the providers; it outlives a fall.
    routing: Routing,
    hedging: Hedging,
    /// The number of the latest call.
    n_calls: u64,
    /// How often the actor was started; what was begun before a fall tells by it.
    epoch: u64,
    intake: Intake,
    system: Arc<str>,
    store_service: Arc<str>,
    /// How many tasks were cancelled because their posts were edited or deleted.
    n_outdated: u64,
    submitted: Rc<std::cell::Cell<u64>>,
    /// Whether the store has refused intake for want of room, and not taken any since.
    has_no_room: Rc<std::cell::Cell<bool>>,
    /// What was learned of each provider and its model, by the provider's index.
    learned: Vec<Learned>,
    /// What is rebuilt after a fall.
    state: State,
}

/// What the calls of one provider have taught.
struct Learned {
    /// How many tokens calls need.
    estimates: Estimates,
    /// How many texts it digests in one call.
    digestion: Digestion,
}

impl Learned {
    /// What is believed of a provider before its first call.
    fn of(route: &ProviderRoute) -> Self {
        Self {
            estimates: match route.quality {
                Quality::Engine => Estimates::of_characters(),
                Quality::Model => Estimates::default(),
            },
            digestion: Digestion::default(),
        }
    }
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    Open,
    /// Nothing new is taken; what is there is finished.
    Draining,
    /// Nothing new is taken, and nothing new begins.
    Stopping,
}

#[derive(Default)]
struct State {
    /// Work for whichever provider comes first.
    queue: Queue<Work>,
    /// Work that only some providers may still do.
    strays: BTreeMap<Routes, Queue<Work>>,
    windows: Windows,
    /// The buckets of which the store did not bring more when it was asked last.
    not_loaded: HashSet<Bucket>,
    /// Buckets whose tasks nobody wants now.
    parked: Vec<Bucket>,
    /// Where each task in memory stands.
    places: BTreeMap<TaskId, Place>,
    /// Work that waits for a flight, by number.
    following: HashMap<Token, Work>,
    /// Where the leaders stand that are in the queue.
    leaders: HashMap<KnownKey, (Option<Routes>, Spot)>,
    /// Work that waits out a backoff.
    delayed: BTreeMap<(Moment, Token), Work>,
    /// The deadlines of tasks in memory.
    deadlines: BTreeSet<(Timestamp, TaskId)>,
    routes: HashMap<usize, RouteState>,
    jobs: Jobs,
    /// The calls under way, where there is more than one provider.
    under_way: Calls<hedge::OnCall>,
    /// When the next timer rings.
    rings_at: Option<Moment>,
    is_flush_due: bool,
    is_dispatch_due: bool,
    /// Who waits for a task's change to be durable.
    waiters: HashMap<TaskId, Vec<oneshot::Sender<Result<(), StoreError>>>>,
    stoppers: Vec<oneshot::Sender<()>>,
    /// Calls in flight by far translator; none stands for the near one.
    calls: HashMap<Option<usize>, usize>,
}

/// What is known of a provider while it works.
#[derive(Default)]
struct RouteState {
    /// What was asked of its lane, for urgent work and for all.
    asks: [Ask; 2],
    /// Until when the lane is expected to grant nothing.
    waiting_until: Option<Moment>,
    /// The pairs that it does not translate, and until when that is believed.
    unsupported: HashMap<Pair, Moment>,
    /// Calls that failed in a row for reasons of the lane.
    failures: u32,
    /// A text that did not fit into the permit that it got.
    unfit: Option<Unfit>,
    /// Slow calls of others that were made here a second time.
    hedges: u64,
    /// Whether it was said that it hangs.
    is_told_hanging: bool,
}

/// What a text weighs that needs a larger permit than the one that it got.
#[derive(Clone, Copy, Debug)]
enum Unfit {
    /// The next permit is asked for it.
    Noted(Weight),
    /// A permit was asked for it, and is used however it fits.
    AskedFor(Weight),
}

impl Unfit {
    const fn weight(self) -> Weight {
        match self {
            Self::Noted(weight) | Self::AskedFor(weight) => weight,
        }
    }
}

/// What became of the last request for permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ask {
    /// It is over.
    #[default]
    Done,
    /// The lane has not answered yet.
    Sent,
    /// The lane grants nothing now, and names the moment where it is known.
    Waiting(Option<Moment>),
}

impl RouteState {
    const fn ask(&self, urgency: Urgency) -> Ask {
        self.asks[urgency as usize]
    }

    const fn set_ask(&mut self, urgency: Urgency, ask: Ask) {
        self.asks[urgency as usize] = ask;
    }
}

/// Where a task in memory stands.
#[derive(Clone, Debug)]
enum Place {
    /// It is being looked up in the cache.
    Asking,
    /// In the queue; among the strays of these providers, if so.
    Queued(Option<Routes>, Spot),
    /// It waits for a flight.
    Following(Token),
    /// It waits out a backoff.
    Delayed(Moment, Token),
    /// It is gathered for a job of the provider with that index.
    Gathering(usize),
    /// It is in a job.
    InJob(Token),
    /// It is in a call.
    InFlight(Token),
}

impl TaskManagerActor {
    /// A task manager that loads what the store has when it starts.
    pub fn new(
        own: Addr<Self>,
        (clock, steady, chance): (Arc<dyn Clock>, Rc<Steady>, Arc<dyn Chance>),
        store: Rc<dyn TaskStore>,
        peers: Peers,
        config: Config,
    ) -> Self {
        let slots = Slots::new(config.concurrency);
        let learned = config.routes.iter().map(Learned::of).collect();
        let weights = config.routes.iter().map(|it| (it.share, it.price));
        let routing = Routing::new(config.by, weights);
        let hedging = Hedging::new(config.routes.len());
        let intake = if config.intake_is_open.load(Ordering::Relaxed) {
            Intake::Open
        } else {
            Intake::Draining
        };
        Self {
            own: Rc::new(own),
            clock,
            steady,
            chance,
            store,
            peers,
            config,
            mint: IdMint::default(),
            book: Shared::default(),
            lost: Shared::default(),
            slots,
            routing,
            hedging,
            n_calls: 0,
            epoch: 0,
            intake,
            system: "system".into(),
            store_service: "store".into(),
            n_outdated: 0,
            submitted: Rc::default(),
            has_no_room: Rc::default(),
            learned,
            state: State::default(),
        }
    }

    fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
        let is_open = intake == Intake::Open;
        self.config.intake_is_open.store(is_open, Ordering::Relaxed);
    }

    /// Counts something that was done by the system itself.
    fn record(&self, service: &Arc<str>, name: &'static str, took: Duration) {
        self.peers.record.do_send(Record {
            operation: Operation {
                service: Arc::clone(service),
                name,
            },
            took,
            is_error: false,
        });
    }

    /// Gives queued tasks whose claim nobody holds any more back to the queue.
    fn recover(&mut self, claimed: Vec<TaskRecord>) {
        let at = self.clock.wall();
        let this_boot = self.store.token() >> 32;
        let mut n_recovered = 0_u64;
        for mut record in claimed {
            let id = record.task.id;
            if self.is_held(id) {
                continue;
            }
            if record.token >> 32 != this_boot {
                record.deaths = record.deaths.saturating_add(1);
            }
            n_recovered += 1;
            self.config.outstanding.begin(&record.task);
            if record.deaths >= POISON {
                self.fail(record, poison());
                continue;
            }
            let step = Step::Recover { refund: false };
            if let Err(refusal) = record.lifecycle.step(step, at) {
                error!(task:% = id, cause:% = refusal; "a claimed task was not recovered");
                continue;
            }
            let change = self.change(&mut record, 0, Vec::new());
            self.push(change, After::Enqueue(Box::new(record)));
        }
        if n_recovered > 0 {
            info!(tasks = n_recovered; "tasks whose claim was lost go on");
        }
    }

    /// Whether a task is in a call, or its change is under way.
    fn is_held(&self, id: TaskId) -> bool {
        let book = self.book.lock();
        book.outbox.holds(id)
            || book
                .in_flight
                .values()
                .any(|work| work.task_id() == Some(id))
    }

    /// Takes over what the last life of this actor left in the book.
    fn adopt(&mut self) {
        let lost = std::mem::take(&mut *self.lost.lock());
        for work in self.book.lock().in_flight.values() {
            if let Subject::Task(live) = &work.subject {
                let id = live.record.task.id;
                self.state.places.insert(id, Place::InFlight(work.number));
                let bytes = live.record.task.request.size();
                self.state.windows.adopt(&live.home, bytes);
                if let Some(due) = live.record.task.request.deadline {
                    self.state.deadlines.insert((due, id));
                }
            }
        }
        self.set_timer();
        for number in lost {
            let work = self.book.lock().take_last(number);
            if let Some(work) = work {
                self.take_back(work);
            }
        }
        self.ask_for_callers_again();
    }
}

fn poison() -> crate::domain::Failure {
    crate::domain::Failure {
        kind: crate::domain::FailureKind::Poison,
        detail: "its call was running at three deaths of the process".into(),
    }
}

impl Actor for TaskManagerActor {
    type Context = Context<Self>;

    /// Loads what is durable; mail waits for it.
    fn started(&mut self, context: &mut Self::Context) {
        failpoints::hit("task_manager.started");
        self.epoch += 1;
        let (store, outlets) = (Rc::clone(&self.store), self.config.outlets.clone());
        let load = async move {
            loop {
                match load(&*store, &outlets).await {
                    Ok(loaded) => return loaded,
                    Err(error) => {
                        warn!(cause:% = error; "the queue was not loaded");
                        let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                        tokio::time::sleep(wait).await;
                    }
                }
            }
        };
        context.wait(load.into_actor(self).map(|loaded, actor, context| {
            let Loaded {
                buckets,
                parked,
                n_parked,
                claimed,
                jobs,
            } = loaded;
            if n_parked > 0 && actor.epoch == 1 {
                let languages = parked.iter().map(|bucket| bucket.pair.target.as_str());
                let languages: BTreeSet<&str> = languages.collect();
                let languages = Vec::from_iter(languages).join(", ");
                warn!(tasks = n_parked, languages = languages.as_str(); "tasks wait for an outlet that is not there any more, and are not translated");
            }
            actor.state.parked = parked;
            actor.hand_over();
            for bucket in buckets {
                actor.state.windows.discover(bucket);
            }
            actor.adopt();
            let claimed = actor.adopt_jobs(jobs, claimed);
            actor.recover(claimed);
            actor.config.outstanding.stop_reading();
            actor.refill();
            actor.config.outstanding.set_loaded();
            actor.tell_publisher(Publish::default());
            actor.flush_soon(context);
            actor.dispatch(context);
        }));
    }
}

/// The buckets that hold queued tasks, the tasks that are claimed, and the jobs.
async fn load(store: &dyn TaskStore, outlets: &[OutletRoute]) -> Result<Loaded, StoreError> {
    const PAGE: usize = 1_000;
    store.barrier().await?;
    let mut claimed: Vec<TaskRecord> = Vec::new();
    loop {
        let after = claimed.last().map(|record| record.task.id);
        let page = store.claimed(after, PAGE).await?;
        let n_page = page.len();
        claimed.extend(page);
        if n_page < PAGE {
            break;
        }
    }
    let (buckets, parked) = park(store, outlets, store.buckets().await?).await?;
    let n_parked = match parked.is_empty() {
        true => 0,
        false => store.n_queued(parked.clone()).await?,
    };
    Ok(Loaded {
        buckets,
        parked,
        n_parked,
        claimed,
        jobs: store.jobs().await?,
    })
}

/// What a start finds in the store.
struct Loaded {
    buckets: Vec<Bucket>,
    /// Buckets whose tasks stay in the queue, and how many tasks those are.
    parked: Vec<Bucket>,
    n_parked: u64,
    claimed: Vec<TaskRecord>,
    jobs: Vec<BatchJob>,
}

impl Supervised for TaskManagerActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = State::default();
    }
}

impl TaskManagerActor {
    /// Work that was in a call whose end was lost in a fall: its attempt counts, and it goes on.
    fn take_back(&mut self, work: Work) {
        let is_task = matches!(work.subject, Subject::Task(_));
        if is_task {
            self.go_again(work, Step::Recover { refund: false });
        } else {
            self.look_up(vec![work]);
        }
    }
}

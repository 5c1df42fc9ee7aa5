//! A virtual world: the whole system on fakes, in virtual time, from a seed.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::batch::FakeBatchProvider;
use super::outlet::FakeOutlet;
use super::provider::FakeProvider;
use super::source::FakeSource;
use super::store::MemoryStore;
use crate::domain::{
    Class, Flow, Lane, Language, Moment, Origin, OutletName, REQUESTS, SourceName, State, TaskId,
    Timestamp,
};
use crate::logic::checks::Checks;
use crate::logic::known::Quality;
use crate::logic::quota::Quota;
use crate::logic::routing::Pairs;
use crate::messages::{FindTask, Submission, Submit, SubmitError, TaskView};
use crate::ports::{Admitted, Chance, Clock};
use crate::setup::{
    BatchSetup, Hold, LaneLimits, OutletRules, OutletSetup, Pauses, ProviderSetup, Setup,
    SourceRules, SourceSetup, SystemConfig,
};
use crate::system::{self, Handles};

/// The wall clock's time at the start of every world: 2026-11-21 12:05 UTC.
const START: i64 = 1_795_262_700_000;

/// Lets virtual time pass: the clock is paused, and jumps from one timer to the next up to this
/// one, where `advance` would pass over those between.
pub async fn pass(time: Duration) {
    sleep(time).await;
}

/// Virtual time: monotonic and wall clock go together, and only as fast as nothing is left to do.
#[derive(Debug)]
pub struct VirtualClock {
    started: Instant,
    /// How long the lives before this one took.
    before: Duration,
}

impl VirtualClock {
    fn after(before: Duration) -> Self {
        Self {
            started: Instant::now(),
            before,
        }
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(START).plus(self.before + self.started.elapsed())
    }

    fn now(&self) -> Moment {
        Moment::from_start(self.started.elapsed())
    }
}

/// Chance from a seed.
#[derive(Debug)]
pub struct SeededChance(Mutex<fastrand::Rng>);

impl SeededChance {
    /// The chance of that seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Chance for SeededChance {
    fn next(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .u64(..)
    }
}

/// Everything a system is made of, and the system while it runs.
pub struct World {
    /// The clock of the world.
    pub clock: Arc<dyn Clock>,
    /// The chance of the world.
    pub chance: Arc<dyn Chance>,
    /// What is durable.
    pub store: MemoryStore,
    /// What was used and learned in lanes by a system before.
    pub quotas: Vec<(Lane, Quota)>,
    /// What is paused from the start.
    pub pauses: Pauses,
    /// What is watched, by name.
    pub sources: Vec<(&'static str, FakeSource)>,
    /// What translates, by name, the first choice first, with the limits of its lane.
    pub providers: Vec<(&'static str, FakeProvider, LaneLimits)>,
    /// The lanes of providers, in their order; one of its own for who is not named.
    pub lanes: Vec<&'static str>,
    /// Names the account of every provider's lane.
    pub account: u64,
    /// The interface for jobs of the first provider, if it has one.
    pub batch: Option<FakeBatchProvider>,
    /// The parts of the texts that providers get where shares decide, in their order; 1 for who
    /// is not named.
    pub shares: Vec<f64>,
    /// The pairs that providers are asked for, in their order; all for who is not named.
    pub pairs: Vec<Option<Vec<Pairs>>>,
    /// Where is published, by name, with the language.
    pub outlets: Vec<(&'static str, FakeOutlet, &'static str)>,
    /// What every outlet's lane is limited to.
    pub outlet_limits: LaneLimits,
    /// The most texts of a language that nobody told in one call, for every provider.
    pub max_untold: Option<usize>,
    /// How well every provider translates.
    pub quality: Quality,
    /// What every provider takes in US dollars for a million tokens, in and out.
    pub price: (f64, f64),
    /// The figures.
    pub config: SystemConfig,
    /// How many at first sight are taken; none: all.
    pub backfill: Option<usize>,
    /// Which posts are taken of every source, and when.
    pub source_rules: SourceRules,
    /// What waits for a person at every outlet.
    pub hold: Hold,
    /// What becomes of what is published, at every outlet.
    pub rules: OutletRules,
    /// The actors that fell too often.
    pub escalated: Rc<RefCell<Vec<&'static str>>>,
    /// Names the account of every outlet.
    pub place: Option<u64>,
    /// Names where every source reads and every outlet publishes.
    pub network: Option<&'static str>,
}

/// Runs a test in virtual time, in a world of its own.
pub fn run<T>(seed: u64, test: impl AsyncFnOnce(World) -> T) -> T {
    in_virtual_time(async || test(World::new(seed)).await)
}

/// Runs a test in a world that lives again and again until a life returns something.
///
/// A life ends like a process that is killed: whatever is under way is dropped where it stands,
/// and the next life finds what the store had made durable. Providers, outlets and sources are
/// the world outside: they stay.
pub fn run_lives<T>(
    seed: u64,
    mut prepare: impl FnMut(&mut World),
    mut live: impl AsyncFnMut(&World) -> Option<T>,
) -> T {
    let mut earlier: Option<(World, Duration)> = None;
    loop {
        let (world, before, end) = in_virtual_time(async || {
            let (world, before) = match earlier.take() {
                None => {
                    let mut world = World::new(seed);
                    prepare(&mut world);
                    (world, Duration::ZERO)
                }
                Some((mut world, before)) => {
                    world.clock = Arc::new(VirtualClock::after(before));
                    world.store = world.store.crash();
                    (world, before)
                }
            };
            let started = Instant::now();
            let end = live(&world).await;
            (world, before + started.elapsed(), end)
        });
        match end {
            Some(end) => return end,
            None => earlier = Some((world, before)),
        }
    }
}

fn in_virtual_time<T>(test: impl AsyncFnOnce() -> T) -> T {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O can always be built")
    });
    system.block_on(test())
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            clock: Arc::new(VirtualClock::after(Duration::ZERO)),
            chance: Arc::new(SeededChance::new(seed)),
            store: MemoryStore::new(),
            quotas: Vec::new(),
            pauses: Pauses::default(),
            sources: Vec::new(),
            providers: vec![("fake", FakeProvider::new(), LaneLimits::default())],
            account: 0,
            batch: None,
            shares: Vec::new(),
            lanes: Vec::new(),
            pairs: Vec::new(),
            outlets: Vec::new(),
            outlet_limits: LaneLimits::default(),
            max_untold: None,
            quality: Quality::Model,
            price: (0.0, 0.0),
            // The fake provider does not really translate.
            config: SystemConfig {
                checks: Checks::NONE,
                ..SystemConfig::default()
            },
            backfill: None,
            source_rules: SourceRules::default(),
            hold: Hold::Never,
            rules: OutletRules::default(),
            escalated: Rc::default(),
            place: None,
            network: None,
        }
    }

    /// Starts a system in this world.
    pub fn start(&self) -> Handles {
        self.start_with(self.config.clone())
    }

    /// Starts a system in this world that goes by other figures.
    pub fn start_with(&self, config: SystemConfig) -> Handles {
        let escalated = Rc::clone(&self.escalated);
        let setup = Setup {
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            store: Rc::new(self.store.clone()),
            memory: Rc::new(self.store.clone()),
            ledger: Rc::new(self.store.clone()),
            quotas: self.quotas.clone(),
            pauses: self.pauses.clone(),
            sources: self
                .sources
                .iter()
                .map(|source| self.source(source))
                .collect(),
            providers: self.provider_setups(),
            outlets: self.outlets.iter().map(|seat| self.outlet(seat)).collect(),
            arbiters: Vec::new(),
            config,
            escalate: Rc::new(move |name| escalated.borrow_mut().push(name)),
        };
        system::start(setup)
    }

    fn provider_setups(&self) -> Vec<ProviderSetup> {
        let mut providers: Vec<ProviderSetup> = self
            .providers
            .iter()
            .enumerate()
            .map(|place| self.provider(place))
            .collect();
        if let (Some(first), Some(batch)) = (providers.first_mut(), &self.batch) {
            first.batch = Some(BatchSetup {
                provider: Rc::new(batch.clone()),
                takes_new: true,
            });
        }
        providers
    }

    fn source(&self, (name, source): &(&'static str, FakeSource)) -> SourceSetup {
        SourceSetup {
            name: SourceName::from(*name),
            kind: "fake",
            source: Rc::new(source.clone()),
            network: self.network.map(Arc::from),
            every: Duration::from_secs(60),
            respects_hints: false,
            backfill: self.backfill,
            rules: self.source_rules.clone(),
        }
    }

    fn outlet(
        &self,
        (name, outlet, language): &(&'static str, FakeOutlet, &'static str),
    ) -> OutletSetup {
        OutletSetup {
            name: OutletName::from(*name),
            kind: "fake",
            outlet: Rc::new(outlet.clone()),
            network: self.network.map(Arc::from),
            language: tag(language),
            from: None,
            hold: self.hold,
            rules: self.rules.clone(),
            account: 0,
            place: self.place,
            limits: self.outlet_limits,
        }
    }

    fn provider(
        &self,
        (place, (name, provider, limits)): (usize, &(&'static str, FakeProvider, LaneLimits)),
    ) -> ProviderSetup {
        let provider = provider.clone();
        ProviderSetup {
            name: (*name).into(),
            lane: (*self.lanes.get(place).unwrap_or(name)).into(),
            account: self.account,
            limits: *limits,
            max_items: None,
            max_untold: self.max_untold,
            max_bytes: None,
            counts_tokens: limits.tpm.is_some() || limits.tps.is_some(),
            quality: self.quality,
            price: self.price,
            share: self.shares.get(place).copied().unwrap_or(1.0),
            pairs: self.pairs.get(place).cloned().flatten(),
            order: u32::try_from(place).unwrap_or(u32::MAX),
            version: "fake-1",
            build: Arc::new(move || Box::new(provider.clone())),
            batch: None,
        }
    }

    /// Sets the limits of every provider's lane.
    pub fn limit(&mut self, limits: LaneLimits) {
        for (.., lane) in &mut self.providers {
            *lane = limits;
        }
    }
}

/// A language.
///
/// # Panics
/// When the text is none.
pub fn tag(language: &str) -> Language {
    language.parse().expect("a test names a language")
}

/// A text of a client for one language, not published.
pub fn submission(text: &str, target: &str) -> Submission {
    Submission {
        origin: Origin::Client { key: None },
        text: text.into(),
        source: Some(tag("en")),
        targets: vec![tag(target)],
        revised: Vec::new(),
        flow: Flow::from(REQUESTS),
        class: Class::Normal,
        publish: false,
        context: None,
        url: None,
        author: None,
        attached: None,
        deadline: None,
    }
}

/// Hands texts in.
///
/// # Errors
/// As [`Submit`].
///
/// # Panics
/// When the task manager fell over it.
pub async fn submit(
    handles: &Handles,
    submissions: Vec<Submission>,
) -> Result<Vec<Admitted>, SubmitError> {
    let submit = Submit {
        submissions,
        ..Submit::default()
    };
    handles
        .submit
        .send(submit)
        .await
        .expect("the task manager hears what is handed in")
}

/// A task as it stands now.
///
/// # Panics
/// When there is none, or it cannot be found.
pub async fn find(handles: &Handles, id: TaskId) -> TaskView {
    handles
        .find_task
        .send(FindTask(id))
        .await
        .expect("the task manager hears the question")
        .expect("the store can be read")
        .expect("the task exists")
}

/// Lets virtual time pass until something holds, looking every ten milliseconds.
///
/// # Panics
/// When it does not hold within a virtual day.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    const LOOK: Duration = Duration::from_millis(10);
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(86_400),
            "not within a day: {what}"
        );
        sleep(LOOK).await;
    }
}

/// Lets virtual time pass until all these tasks are final, and returns how many Completed.
pub async fn finish(handles: &Handles, ids: &[TaskId]) -> usize {
    let mut completed = 0;
    for &id in ids {
        until("a task is final", async || {
            find(handles, id).await.record.lifecycle.state().is_final()
        })
        .await;
        let state = find(handles, id).await.record.lifecycle.state();
        completed += usize::from(state == State::Completed);
    }
    completed
}

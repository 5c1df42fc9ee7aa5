//! Who exists and who knows whom.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Recipient;
use actix_rt::ArbiterHandle;

use crate::batcher::{self, BatcherActor};
use crate::cache::{self, CacheActor, KnownReader};
use crate::domain::{Lane, Language, ProviderName};
use crate::logic::checks::Checks;
use crate::logic::known::{Edition, Growing};
use crate::logic::outstanding::Outstanding;
use crate::logic::pack;
use crate::logic::shelf::Shelf;
use crate::logic::steady::Steady;
use crate::messages::{
    Adjust, Approve, CacheStats, Cancel, Clear, Depth, Drain, Events, FindRequest, FindTask,
    FindTasks, Follow, Insert, Lanes, List, OpenIntake, Operation, Outlets, PauseOutlet,
    PauseSource, PollNow, Providers, Quotas, Record, Reject, ReportNow, ResumeOutlet, ResumeSource,
    Retry, RetryPublication, Review, SaveAll, Stop, Submit, Translate, TranslateNow, Watching,
};
use crate::metrics::MetricsActor;
use crate::monitor::{MonitorActor, Watched};
use crate::ports::{Chance, Clock, Provider};
use crate::publisher::{self, PublisherActor};
use crate::rate_limiter::{self, LaneConfig, RateLimiterActor};
use crate::setup::{
    LaneLimits, OnEdit, OutletLimits, OutletSetup, ProviderSetup, Setup, SourceSetup, SystemConfig,
};
use crate::supervision::{self, Actors, Falls, Supervisor};
use crate::task_manager::{
    self, Batcher, Hedge, OutletRoute, ProviderRoute, TaskManagerActor, Translators,
};
use crate::translator::{Callee, TranslatorActor};

/// How many events the slowest listener may be behind.
const EVENTS_KEPT: usize = 8_192;
/// What a call may take beyond its time, on its way.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where everybody outside the system can be heard by it.
#[derive(Clone)]
pub struct Handles {
    /// Hands texts in.
    pub submit: Recipient<Submit>,
    /// Translates at once.
    pub translate_now: Recipient<TranslateNow>,
    /// Finds a task.
    pub find_task: Recipient<FindTask>,
    /// Asks for several tasks.
    pub find_tasks: Recipient<FindTasks>,
    /// Finds a request.
    pub find_request: Recipient<FindRequest>,
    /// Lists tasks.
    pub list: Recipient<List>,
    /// Cancels a task.
    pub cancel: Recipient<Cancel>,
    /// Retries a task.
    pub retry: Recipient<Retry>,
    /// Closes intake.
    pub drain: Recipient<Drain>,
    /// Opens intake.
    pub open_intake: Recipient<OpenIntake>,
    /// Ends the work.
    pub stop: Recipient<Stop>,
    /// Tells how much there is to do.
    pub depth: Recipient<Depth>,
    /// Tells how the providers do.
    pub providers: Recipient<Providers>,
    /// Forgets translations.
    pub clear: Recipient<Clear>,
    /// Makes durable what is known.
    pub save_known: Recipient<SaveAll>,
    /// Reads what is known.
    pub known: KnownReader,
    /// Tells how the cache does.
    pub cache_stats: Recipient<CacheStats>,
    /// Changes lanes.
    pub adjust: Recipient<Adjust>,
    /// Tells how the lanes do.
    pub lanes: Recipient<Lanes>,
    /// Tells what is used in the lanes, for a system after this one.
    pub quotas: Recipient<Quotas>,
    /// Tells how the outlets do.
    pub outlets: Recipient<Outlets>,
    /// Pauses outlets.
    pub pause_outlet: Recipient<PauseOutlet>,
    /// Resumes outlets.
    pub resume_outlet: Recipient<ResumeOutlet>,
    /// Lists what waits for a person.
    pub review: Recipient<Review>,
    /// Lets a held publication out.
    pub approve: Recipient<Approve>,
    /// Refuses a held publication.
    pub reject: Recipient<Reject>,
    /// Sends a publication again.
    pub retry_publication: Recipient<RetryPublication>,
    /// Pauses sources.
    pub pause_source: Recipient<PauseSource>,
    /// Resumes sources.
    pub resume_source: Recipient<ResumeSource>,
    /// Polls sources.
    pub poll_now: Recipient<PollNow>,
    /// Tells how the sources do.
    pub watching: Recipient<Watching>,
    /// Counts what was done.
    pub record: Recipient<Record>,
    /// Tells the figures.
    pub report: Recipient<ReportNow>,
    /// Follows one operation.
    pub follow: Recipient<Follow>,
    /// What happens.
    pub events: Events,
    /// How often each actor fell.
    pub falls: Falls,
    /// Who there is to be ended.
    pub actors: Actors,
}

/// Starts every actor; each knows those it needs from birth, so there are no circles.
pub fn start(setup: Setup) -> Handles {
    let Setup {
        clock,
        chance,
        store,
        memory,
        ledger,
        quotas,
        pauses,
        sources,
        providers,
        outlets,
        arbiters,
        config,
        escalate,
    } = setup;
    let (falls, actors) = (Falls::default(), Actors::default());
    let events = Events::new(EVENTS_KEPT);
    let supervisor = Supervisor {
        clock: Arc::clone(&clock),
        chance: Arc::clone(&chance),
        falls: falls.clone(),
        actors: actors.clone(),
        escalate,
    };

    let metrics = supervisor.start("metrics", |_| MetricsActor::new(Arc::clone(&clock)));
    let record: Recipient<Record> = metrics.clone().recipient();

    let mut lanes: Vec<LaneConfig> = Vec::new();
    for provider in &providers {
        if !lanes.iter().any(|it| it.lane == provider.lane) {
            lanes.push(LaneConfig {
                lane: provider.lane.clone(),
                account: provider.account,
                limits: provider.limits,
            });
        }
    }
    lanes.extend(outlets.iter().map(|outlet| LaneConfig {
        lane: Lane::of_outlet(&outlet.name),
        account: outlet.account,
        limits: outlet.limits,
    }));
    let steady = Rc::new(Steady::default());
    let limiter_config = rate_limiter::Config {
        lanes,
        earlier: quotas,
        paused: pauses.lanes,
        patience: config.timeout * 2 + PATIENCE,
        steady: Rc::clone(&steady),
    };
    let limiter = supervisor.start("rate_limiter", |own| {
        RateLimiterActor::new(own, Arc::clone(&clock), Rc::clone(&ledger), limiter_config)
    });

    let edition = edition(&config, &providers);
    let cache_config = cache::Config {
        max_entries: config.cache_entries,
        max_bytes: config.cache_bytes,
        ttl: config.cache_ttl,
    };
    let shelf = Shelf::new(config.cache_entries, config.cache_bytes, config.cache_ttl);
    let (shelf, intake_is_open) = (
        Arc::new(shelf),
        Arc::new(AtomicBool::new(!pauses.is_draining)),
    );
    let known = KnownReader::new(
        Arc::clone(&shelf),
        edition.clone(),
        Arc::clone(&clock),
        Arc::clone(&intake_is_open),
    );
    let cache = supervisor.start("cache", |own| {
        CacheActor::new(
            own,
            Arc::clone(&clock),
            memory,
            record.clone(),
            cache_config,
            shelf,
        )
    });

    let crew = Crew {
        clock: Arc::clone(&clock),
        chance: Arc::clone(&chance),
        falls: falls.clone(),
        actors: actors.clone(),
        cache: cache.clone().recipient(),
        record: record.clone(),
        providers: providers.iter().map(Recipe::of).collect(),
        checks: config.checks,
    };
    let translators = crew.start(&supervisor, &arbiters);

    let batcher = supervisor.start("batcher", |_| {
        let peers = batcher::Peers {
            lookup: cache.clone().recipient(),
            insert: cache.clone().recipient(),
            acquire: limiter.clone().recipient(),
            reserve: limiter.clone().recipient(),
            amend: limiter.clone().recipient(),
            record: record.clone(),
        };
        BatcherActor::new(
            (Arc::clone(&clock), Rc::clone(&steady), Arc::clone(&chance)),
            Rc::clone(&store),
            peers,
            providers.iter().filter_map(batch_callee).collect(),
            (config.job_poll, edition.clone(), config.checks),
        )
    });

    let (limits, outstanding) = (OutletLimits::default(), Arc::new(Outstanding::default()));
    let seats = outlets.iter().map(seat).collect();
    let publisher = supervisor.start("publisher", |own| {
        let peers = publisher::Peers {
            acquire: limiter.clone().recipient(),
            amend: limiter.clone().recipient(),
            insert: cache.clone().recipient(),
            resign: cache.clone().recipient(),
            record: record.clone(),
            events: events.clone(),
        };
        PublisherActor::new(
            own,
            (Arc::clone(&clock), Rc::clone(&steady), Arc::clone(&chance)),
            (Rc::clone(&store), Rc::clone(&ledger)),
            peers,
            seats,
            (Rc::clone(&limits), Arc::clone(&outstanding)),
            (config.publishing_concurrency, edition.clone()),
        )
        .with_paused(&pauses.outlets)
    });

    let task_manager_config = task_manager::Config {
        routes: routes(&providers),
        outlets: outlets.iter().map(outlet_route).collect(),
        limits,
        outstanding,
        by: config.by,
        hedging: if config.hedge {
            Hedge::FromSurplus
        } else {
            Hedge::Never
        },
        concurrency: config.concurrency,
        max_attempts: config.max_attempts,
        timeout: config.timeout,
        max_batch_size: config.max_batch_size,
        batch_timeout: config.batch_timeout,
        max_job_size: config.max_job_size,
        job_timeout: config.job_timeout,
        edition: edition.clone(),
        checks: config.checks,
        intake_is_open,
    };
    let task_manager = supervisor.start("task_manager", |own| {
        let peers = task_manager::Peers {
            lookup: cache.clone().recipient(),
            insert: cache.clone().recipient(),
            acquire: limiter.clone().recipient(),
            translators,
            batcher: Batcher {
                run: batcher.clone().recipient(),
                abandon: batcher.clone().recipient(),
                close: batcher.clone().recipient(),
            },
            publish: publisher.clone().recipient(),
            withdraw: publisher.clone().recipient(),
            record: record.clone(),
            events: events.clone(),
        };
        TaskManagerActor::new(
            own,
            (Arc::clone(&clock), Rc::clone(&steady), Arc::clone(&chance)),
            Rc::clone(&store),
            peers,
            task_manager_config,
        )
    });

    let watched = sources
        .into_iter()
        .map(|source| watched(source, &outlets))
        .collect();
    let monitor = supervisor.start("monitor", |own| {
        MonitorActor::new(
            own,
            (Arc::clone(&clock), Arc::clone(&chance)),
            Rc::clone(&store),
            task_manager.clone().recipient(),
            record.clone(),
            watched,
        )
        .with_paused(pauses.sources)
        .with_skipping(pauses.skipping)
    });

    Handles {
        submit: task_manager.clone().recipient(),
        translate_now: task_manager.clone().recipient(),
        find_task: task_manager.clone().recipient(),
        find_tasks: task_manager.clone().recipient(),
        find_request: task_manager.clone().recipient(),
        list: task_manager.clone().recipient(),
        cancel: task_manager.clone().recipient(),
        retry: task_manager.clone().recipient(),
        drain: task_manager.clone().recipient(),
        open_intake: task_manager.clone().recipient(),
        stop: task_manager.clone().recipient(),
        depth: task_manager.clone().recipient(),
        providers: task_manager.recipient(),
        clear: cache.clone().recipient(),
        save_known: cache.clone().recipient(),
        known,
        cache_stats: cache.recipient(),
        adjust: limiter.clone().recipient(),
        lanes: limiter.clone().recipient(),
        quotas: limiter.recipient(),
        outlets: publisher.clone().recipient(),
        pause_outlet: publisher.clone().recipient(),
        resume_outlet: publisher.clone().recipient(),
        review: publisher.clone().recipient(),
        approve: publisher.clone().recipient(),
        reject: publisher.clone().recipient(),
        retry_publication: publisher.recipient(),
        pause_source: monitor.clone().recipient(),
        resume_source: monitor.clone().recipient(),
        poll_now: monitor.clone().recipient(),
        watching: monitor.recipient(),
        record,
        report: metrics.clone().recipient(),
        follow: metrics.recipient(),
        events,
        falls,
        actors,
    }
}

/// What the translators need, on whichever arbiter each lives.
#[derive(Clone)]
struct Crew {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    falls: Falls,
    actors: Actors,
    cache: Recipient<Insert>,
    record: Recipient<Record>,
    providers: Vec<Recipe>,
    checks: Checks,
}

/// How a provider is made on an arbiter.
#[derive(Clone)]
struct Recipe {
    name: ProviderName,
    price: (f64, f64),
    build: Arc<dyn Fn() -> Box<dyn Provider> + Send + Sync>,
}

impl Recipe {
    fn of(setup: &ProviderSetup) -> Self {
        Self {
            name: setup.name.clone(),
            price: setup.price,
            build: Arc::clone(&setup.build),
        }
    }

    fn callee(&self) -> Callee {
        Callee {
            name: self.name.clone(),
            provider: (self.build)(),
            price: self.price,
            operation: Operation {
                service: self.name.as_str().into(),
                name: "translate",
            },
        }
    }
}

impl Crew {
    /// One translator here, for whom somebody waits, and one on each arbiter for the rest.
    fn start(self, supervisor: &Supervisor, arbiters: &[ArbiterHandle]) -> Translators {
        let here = self.clone();
        let near = supervisor.start("translator", |_| here.translator());
        let far = arbiters
            .iter()
            .map(|arbiter| self.clone().start_on(supervisor, arbiter))
            .collect();
        Translators {
            near: near.recipient(),
            far,
        }
    }

    fn translator(self) -> TranslatorActor {
        let callees = self.providers.iter().map(Recipe::callee).collect();
        TranslatorActor::new(self.clock, self.cache, self.record, callees, self.checks)
    }

    fn start_on(self, supervisor: &Supervisor, arbiter: &ArbiterHandle) -> Recipient<Translate> {
        let escalation = supervisor.escalation_from_afar();
        let (seat, address) = supervision::seat();
        arbiter.spawn_fn(move || {
            let supervisor = Supervisor {
                clock: Arc::clone(&self.clock),
                chance: Arc::clone(&self.chance),
                falls: self.falls.clone(),
                actors: self.actors.clone(),
                escalate: Rc::new(escalation),
            };
            supervisor.start_in(seat, "translator", |_| self.translator());
        });
        address.recipient()
    }
}

/// A provider that has an interface for jobs.
fn batch_callee(setup: &ProviderSetup) -> Option<batcher::Callee> {
    let batch = setup.batch.as_ref()?;
    Some(batcher::Callee {
        name: setup.name.clone(),
        lane: setup.lane.clone(),
        provider: Rc::clone(&batch.provider),
        price: setup.price,
        operation: Operation {
            service: setup.name.as_str().into(),
            name: "batch",
        },
    })
}

fn seat(outlet: &OutletSetup) -> publisher::Seat {
    publisher::Seat {
        name: outlet.name.clone(),
        kind: outlet.kind,
        language: outlet.language.clone(),
        lane: Lane::of_outlet(&outlet.name),
        place: outlet.place,
        outlet: Rc::clone(&outlet.outlet),
        on_edit: outlet.on_edit(),
        repost_within: outlet.rules.repost_within,
        minds_deletions: outlet.minds_deletions(),
        per_hour: outlet.rules.per_hour,
        budget: budget(&outlet.limits),
        in_order: outlet.rules.in_order,
        lapse: outlet.rules.lapse,
        style: Arc::clone(&outlet.rules.style),
    }
}

fn outlet_route(outlet: &OutletSetup) -> OutletRoute {
    OutletRoute {
        name: outlet.name.clone(),
        language: outlet.language.clone(),
        from: outlet.from.clone(),
        hold: outlet.hold,
        takes_edits: outlet.on_edit() != OnEdit::Leave,
        minds_deletions: outlet.minds_deletions(),
        takes_media: outlet.outlet.abilities().media,
        same: outlet.rules.same,
        style: Arc::clone(&outlet.rules.style),
    }
}

/// What translations depend on beside their texts; only the best providers count.
fn edition(config: &SystemConfig, providers: &[ProviderSetup]) -> Edition {
    let best = providers.iter().map(|provider| provider.quality).max();
    let quality = best.unwrap_or_default();
    let good = providers.iter().filter(|it| it.quality == quality);
    let versions = good.map(|provider| provider.version);
    let glossary = Growing::new(Arc::clone(&config.glossary));
    Edition::new(glossary, versions, quality).with_numbers(config.numbers)
}

fn routes(providers: &[ProviderSetup]) -> Vec<ProviderRoute> {
    let mut ordered: Vec<&ProviderSetup> = providers.iter().collect();
    ordered.sort_by_key(|provider| provider.order);
    ordered
        .into_iter()
        .map(|provider| ProviderRoute {
            name: provider.name.clone(),
            lane: provider.lane.clone(),
            max_items: provider.max_items,
            max_untold: provider.max_untold,
            max_bytes: provider.max_bytes,
            counts_tokens: provider.counts_tokens || provider.price != (0.0, 0.0),
            max_tokens: most_tokens(&provider.limits, provider.price),
            budget: budget(&provider.limits),
            tokens_per_day: provider.limits.tpd,
            jobs: provider
                .batch
                .as_ref()
                .filter(|batch| batch.takes_new)
                .map(|batch| batch.provider.bounds()),
            quality: provider.quality,
            share: provider.share,
            price: provider.price,
            pairs: provider.pairs.clone(),
        })
        .collect()
}

/// The least of the budgets of a lane, in US dollars.
fn budget(limits: &LaneLimits) -> Option<f64> {
    let budgets = [limits.usd_per_day, limits.usd_per_month];
    budgets.into_iter().flatten().reduce(f64::min)
}

/// The most tokens that one call may hold in a lane with these limits, at this price.
fn most_tokens(limits: &LaneLimits, price: (f64, f64)) -> Option<u64> {
    let dearest = price.0.max(price.1) / 1e6;
    let money = budget(limits).filter(|_| dearest > 0.0);
    let money = money.map(|budget| budget / dearest);
    // What a day allows may be less than what a minute would.
    let counted = [limits.tpm, limits.itpm, limits.otpm, limits.tpd];
    let most = counted.into_iter().chain([money]).flatten();
    pack::budget(most.reduce(f64::min), limits.tps)
}

/// A source with the languages of the outlets that take it, each once.
fn watched(source: SourceSetup, outlets: &[OutletSetup]) -> Watched {
    let taking = outlets
        .iter()
        .filter(|outlet| outlet_route(outlet).takes(source.name.as_str()));
    let (mut targets, mut revised) = (Vec::new(), Vec::new());
    for outlet in taking {
        let add = |languages: &mut Vec<Language>| {
            if !languages.contains(&outlet.language) {
                languages.push(outlet.language.clone());
            }
        };
        add(&mut targets);
        if outlet.on_edit() != OnEdit::Leave {
            add(&mut revised);
        }
    }
    let echoed = outlets
        .iter()
        .filter(|outlet| outlet.network.is_some() && outlet.network == source.network)
        .map(|outlet| (outlet.name.clone(), Rc::clone(&outlet.outlet)));
    Watched {
        echoed: echoed.collect(),
        name: source.name,
        kind: source.kind,
        source: source.source,
        every: source.every,
        respects_hints: source.respects_hints,
        backfill: source.backfill,
        rules: source.rules,
        targets,
        revised,
    }
}

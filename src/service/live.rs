//! A running system with everything around it: started as one, stopped as one.

use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use actix_rt::Arbiter;
use actix_rt::task::{JoinHandle, spawn_blocking};
use anyhow::Context as _;
use babelfeed_actors::domain::{Lane, Moment, OutletName, PausedBy, PublicationState, SourceName};
use babelfeed_actors::logic::breaker::Parked;
use babelfeed_actors::logic::quota::Quota;
use babelfeed_actors::messages::{
    Closed, Depth, Follow, Lanes, Missed, Outlets, PauseOutlet, PauseSource, Quotas, SaveAll,
    SourceView, Stop, Watching,
};
use babelfeed_actors::ports::{Clock, TaskStore as _};
use babelfeed_actors::setup::Pauses;
use babelfeed_actors::system::Handles;
use log::{info, warn};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::Start;
use super::build::Prepared;
use super::prune::prune_every;
use super::warm::WarmUp;
use super::watchdog::Watchdog;
use crate::control::{BearerToken, Command, Control, Listen, OutletRoute, Running, serve};
use crate::settings::Settings;
use crate::sources::websub::Callbacks;
use crate::stores::SqliteStore;
use crate::telemetry::metrics::Teller;
use crate::telemetry::process::Process;

/// What the system may need beyond its drain timeout to write everything down.
const GRACE: Duration = Duration::from_secs(10);
/// How long a translator's thread gets to end.
const JOIN: Duration = Duration::from_secs(2);
/// What a look takes, which is made also where no time is left to wait.
const LOOK: Duration = Duration::from_secs(1);
/// How often is looked whether publications are still on their way.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The threads that serve each face of control.
const WORKERS: usize = 2;

/// What outlives every system of this process.
pub(super) struct Surroundings {
    /// What starts the actors.
    pub(super) start: Start,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// When the process started.
    pub(super) started: Moment,
    /// What memory and processor time are used.
    pub(super) process: Process,
    /// Who looks after the arbiters.
    pub(super) watchdog: Watchdog,
    /// Where orders of control go.
    pub(super) commands: mpsc::Sender<Command>,
}

/// A running system.
pub(super) struct Live {
    handles: Handles,
    arbiters: Vec<Arbiter>,
    control: Running,
    teller: Option<Teller>,
    outlets: Vec<OutletName>,
    background: Vec<JoinHandle<()>>,
    store: SqliteStore,
}

impl Live {
    /// Starts what was prepared, and opens control.
    ///
    /// # Errors
    /// When control cannot be opened.
    pub(super) fn start(
        prepared: Prepared,
        settings: &Settings,
        store: &SqliteStore,
        surroundings: &Surroundings,
    ) -> anyhow::Result<Self> {
        for (index, arbiter) in prepared.arbiters.iter().enumerate() {
            let name = format!("translator {}", index + 1);
            surroundings.watchdog.watch(name, arbiter.handle());
        }
        let callbacks = prepared.callbacks;
        if let Some(callbacks) = &callbacks {
            callbacks
                .open()
                .context("what is agreed with hubs cannot be read")?;
        }
        let handles = (surroundings.start)(prepared.setup);
        let control = open_control(&handles, settings, surroundings, callbacks)?;
        let data_dir = &settings.service.data_dir;
        let teller = settings
            .service
            .monitoring
            .then(|| Teller::new(handles.clone(), surroundings.process.clone(), data_dir));
        let mut background = Vec::new();
        if let Some(teller) = teller.clone() {
            let every = settings.service.metrics_every;
            background.push(actix_rt::spawn(
                async move { teller.tell_every(every).await },
            ));
        }
        handles
            .follow
            .do_send(Follow(settings.service.follow.clone()));
        background.push(actix_rt::spawn(prune_every(
            store.clone(),
            Arc::clone(&surroundings.clock),
            settings.store.keep,
        )));
        if let Some(warm_up) = WarmUp::of(settings) {
            background.push(actix_rt::spawn(warm_up.run(handles.translate_now.clone())));
        }
        Ok(Self {
            handles,
            arbiters: prepared.arbiters,
            control,
            teller,
            outlets: settings.outlets.iter().map(|it| it.name.clone()).collect(),
            background,
            store: prepared.store,
        })
    }

    /// Why no other system may take this one's place now, if anything forbids it.
    pub(super) async fn cannot_be_replaced(&self) -> Option<&'static str> {
        let backlog = asked("the queue", &self.handles.depth, Depth).await;
        let is_full = matches!(backlog, Ok(Ok(backlog)) if backlog.closed == Some(Closed::NoRoom));
        is_full.then_some(
            "nothing was changed: the store does not write, and what waits for it would be lost",
        )
    }

    /// Has control refuse to change what is paused, because the next system begins with what is
    /// paused after this.
    pub(super) fn refuse_changes(&self) {
        self.control.refuse_changes();
    }

    /// Has control take such orders again, because the next system does not come.
    pub(super) fn take_changes(&self) {
        self.control.take_changes();
    }

    /// What is paused, so that the next system begins with it.
    ///
    /// # Errors
    /// When an actor does not say so in time: then nobody knows what is paused in it.
    pub(super) async fn pauses(&self) -> anyhow::Result<Pauses> {
        let handles = &self.handles;
        let sources = asked("the sources", &handles.watching, Watching).await?;
        let outlets = asked("the outlets", &handles.outlets, Outlets).await?;
        let lanes = asked("the lanes", &handles.lanes, Lanes).await?;
        let backlog = asked("the queue", &handles.depth, Depth).await??;
        Ok(Pauses {
            skipping: skipping(&sources),
            sources: sources
                .into_iter()
                .filter_map(|source| Some((source.name, source.paused_by?)))
                .collect(),
            outlets: outlets
                .into_iter()
                .filter(|outlet| outlet.state == "paused")
                .map(|outlet| outlet.name)
                .collect(),
            lanes: lanes
                .into_iter()
                .filter(|lane| lane.why == Some(Parked::Paused.name()))
                .map(|lane| lane.name)
                .collect(),
            is_draining: backlog.closed == Some(Closed::Draining),
        })
    }

    /// The sources that pass over what they missed during a pause.
    ///
    /// # Errors
    /// When it is not said in time.
    pub(super) async fn skipping(&self) -> anyhow::Result<Vec<SourceName>> {
        let sources = asked("the sources", &self.handles.watching, Watching).await?;
        Ok(skipping(&sources))
    }

    /// Keeps what is paused for the next start.
    ///
    /// # Errors
    /// When it is not known what is paused, then nothing is written; or the store did not keep it,
    /// or not in time.
    pub(super) async fn keep_pauses(&self, store: &SqliteStore) -> anyhow::Result<()> {
        let mut pauses = self.pauses().await?;
        loop {
            let kept = timeout(GRACE, store.keep_pauses(pauses.clone())).await;
            kept.context("the store hangs")??;
            // A source may have passed over what it missed between the question and the writing.
            let later = self.pauses().await?;
            if later == pauses {
                return Ok(());
            }
            pauses = later;
        }
    }

    /// Lets what is being published end before another system takes this one's place, which could
    /// not know what came of it: it gets as long as the `longest` call, while all else goes on.
    pub(super) async fn finish_publishing(&self, store: &SqliteStore, longest: Duration) {
        self.pause_outlets().await;
        // What is on its way even then is told at the stop.
        let _ = timeout(longest + GRACE, sent(store, &self.outlets)).await;
    }

    /// Stops: nothing new is taken, calls in flight get `drain`, everything is written down.
    ///
    /// Answers what is used in the lanes then.
    pub(super) async fn stop(self, store: &SqliteStore, drain: Duration) -> Vec<(Lane, Quota)> {
        for task in &self.background {
            task.abort();
        }
        // After a rebuild the sources and outlets belong to the next system alone. An error means
        // that the actor has ended, which is what was wanted, or that it does not hear.
        let rest = PauseSource(None, PausedBy::Service);
        let _ = asked("the sources", &self.handles.pause_source, rest).await;
        self.pause_outlets().await;
        let began = Instant::now();
        // Control still answers meanwhile: intake with 503, questions as ever.
        let stopped = timeout(drain + GRACE, self.handles.stop.send(Stop(drain))).await;
        if !matches!(stopped, Ok(Ok(()))) {
            warn!("not stopped in time, the rest is recovered at the next start");
        }
        // What is not written now costs a call after the next start, nothing more.
        let _ = timeout(GRACE, self.handles.save_known.send(SaveAll)).await;
        let left = drain.saturating_sub(began.elapsed());
        wait_for_sent(store, &self.outlets, left).await;
        // A limiter that does not answer leaves nothing to go on from.
        let quotas = asked("the lanes", &self.handles.quotas, Quotas).await;
        if let Some(teller) = &self.teller {
            teller.tell().await;
        }
        self.control.stop().await;
        self.handles.actors.end();
        self.store.give_up();
        drop((self.teller, self.handles));
        join(self.arbiters).await;
        info!("stopped");
        quotas.unwrap_or_default()
    }

    /// Publishes nothing more; an error means that the actor has ended, which is as good, or that
    /// it is still loading, and so publishes nothing yet.
    async fn pause_outlets(&self) {
        let pause = PauseOutlet(None);
        let _ = asked("the outlets", &self.handles.pause_outlet, pause).await;
    }
}

/// What an actor answers in time; one that loads from a store that cannot be read never does.
async fn asked<M>(who: &str, actor: &Recipient<M>, question: M) -> anyhow::Result<M::Result>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let answer = timeout(GRACE, actor.send(question)).await;
    let answer = answer.ok().and_then(Result::ok);
    answer.with_context(|| format!("{who} did not answer, expected it within {GRACE:?}"))
}

fn skipping(sources: &[SourceView]) -> Vec<SourceName> {
    let skips = |source: &&SourceView| source.missed == Missed::Skipped;
    let names = sources.iter().filter(skips);
    names.map(|source| source.name.clone()).collect()
}

/// Waits until no publication is on its way, for that long; looks at least once.
pub(super) async fn wait_for_sent(store: &SqliteStore, outlets: &[OutletName], longest: Duration) {
    let sent = sent(store, outlets);
    if timeout(longest.max(LOOK), sent).await.is_err() {
        warn!("publications are still on their way, the next start looks what came of them");
    }
}

/// Waits until no publication is on its way.
async fn sent(store: &SqliteStore, outlets: &[OutletName]) {
    for outlet in outlets {
        loop {
            let sending = PublicationState::Sending;
            let found = store.publications_in(outlet.clone(), sending, None, 1);
            if found.await.is_ok_and(|found| found.is_empty()) {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

fn open_control(
    handles: &Handles,
    settings: &Settings,
    surroundings: &Surroundings,
    callbacks: Option<Callbacks>,
) -> anyhow::Result<Running> {
    let outlets = settings.outlets.iter().map(|outlet| OutletRoute {
        language: outlet.language.clone(),
        from: outlet.from.clone(),
    });
    let token = settings.http.token.as_ref();
    let watchdog = surroundings.watchdog.clone();
    let control = Control {
        handles: handles.clone(),
        outlets: outlets.collect(),
        lanes: settings
            .providers
            .iter()
            .map(|it| (it.name.clone(), it.lane.clone()))
            .collect(),
        commands: surroundings.commands.clone(),
        version: env!("CARGO_PKG_VERSION"),
        started: surroundings.started,
        clock: Arc::clone(&surroundings.clock),
        process: surroundings.process.clone(),
        token: token.and_then(|token| BearerToken::new(token.expose())),
        callbacks,
        watch: Arc::new(move |arbiter| watchdog.watch("control", arbiter)),
    };
    let listen = Listen {
        socket: settings.service.socket.clone(),
        tcp: settings.http.listen,
        workers: WORKERS,
    };
    let running = serve(control, listen)
        .with_context(|| format!("cannot be heard at {}", settings.service.socket.display()))?;
    let socket = settings.service.socket.display();
    match running.tcp() {
        None => info!(socket:% = socket; "ready"),
        Some(tcp) => info!(socket:% = socket, tcp:% = tcp; "ready"),
    }
    Ok(running)
}

/// Stops the threads; one that does not end is left behind.
pub(super) async fn join(arbiters: Vec<Arbiter>) {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    for arbiter in arbiters {
        let ended = timeout(JOIN, spawn_blocking(move || arbiter.join())).await;
        if !matches!(ended, Ok(Ok(Ok(())))) {
            warn!("a translator's thread did not end in order");
        }
    }
}

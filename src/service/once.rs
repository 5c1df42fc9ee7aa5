//! `once`: polls every source once, finishes what there is to do, and reports.

mod report;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use babelfeed_actors::domain::{OutletName, PausedBy, SourceName};
use babelfeed_actors::messages::{
    Backlog, Depth, OutletView, Outlets, PauseOutlet, PauseSource, PollNow, SaveAll, Stop,
};
use babelfeed_actors::ports::Clock;
use babelfeed_actors::system::Handles;
use log::{info, warn};
use tokio::select;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::build::{Prepared, prepare};
use super::live::{join, wait_for_sent};
use super::lock::DataLock;
use super::prune::{begun, prune};
use super::run::paused_before;
use super::watchdog::Watchdog;
use super::world::SystemClock;
use super::{Start, bite, close_store, escalate, load, open_store, signals};
use crate::cli::options::{Exit, OnceOptions};
use crate::http::install_tls;
use crate::settings::Settings;
use crate::stores::SqliteStore;
use crate::telemetry::log::install;
use crate::telemetry::metrics::Teller;
use crate::telemetry::process::Process;
use report::Report;

/// How often is looked whether everything is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the system may need beyond its drain timeout to write everything down.
const GRACE: Duration = Duration::from_secs(10);
/// How long may be forgotten what ended long ago; the next run goes on.
const FORGETTING: Duration = Duration::from_secs(10);

/// Polls every source once, translates and publishes what it found and any backlog, and reports.
///
/// # Errors
/// When the settings make no sense, the data folder is in use, or something cannot be opened.
pub fn once(options: &OnceOptions, start: Start) -> anyhow::Result<Exit> {
    let mut settings = load(&options.global)?;
    settings.only_poll();
    install(settings.service.log_format);
    install_tls();
    let _lock = DataLock::acquire(&settings.service.data_dir)?;
    let mut signal = signals::listen()?;
    let report = actix_rt::System::new().block_on(async {
        let store = open_store(&settings.store)?;
        let watchdog = Watchdog::start(bite)?;
        watchdog.watch("main", actix_rt::Arbiter::current());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let mut prepared = prepare(&settings, &store, &clock, Rc::new(escalate))?;
        prepared.setup.pauses = paused_before(&store).await?;
        let paused = &prepared.setup.pauses.sources;
        let is_paused = |name: &SourceName| paused.iter().any(|(it, _)| it == name);
        // The order to poll each would poll these as well.
        prepared
            .setup
            .sources
            .retain(|source| !is_paused(&source.name));
        // One poll sees no later edits, so there is nothing to wait for.
        for source in &mut prepared.setup.sources {
            source.rules.settle = Duration::ZERO;
        }
        for (index, arbiter) in prepared.arbiters.iter().enumerate() {
            watchdog.watch(format!("translator {}", index + 1), arbiter.handle());
        }
        let within = async {
            select! {
                name = &mut signal => info!(signal = name.unwrap_or("none"); "stopping"),
                () = sleep(options.within) => warn!("not everything was done in time"),
            }
        };
        let report = work(&settings, &store, prepared, start, within).await;
        close_store(&store).await;
        report
    })?;
    if options.global.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

pub(super) async fn work(
    settings: &Settings,
    store: &SqliteStore,
    prepared: Prepared,
    start: Start,
    within: impl Future<Output = ()>,
) -> anyhow::Result<Report> {
    let began = Instant::now();
    let process = Process::new();
    let before = babelfeed_actors::ports::TaskStore::tally(store).await?;
    let Prepared {
        setup,
        arbiters,
        counts,
        ..
    } = prepared;
    let clock = Arc::clone(&setup.clock);
    let steady = begun(store, &*clock);
    let handles = start(setup);
    let polled_and_done = async {
        poll_each_once(&handles).await?;
        finish(&handles).await
    };
    let ended = select! {
        ended = polled_and_done => ended,
        () = within => Ok(()),
    };
    let drain = settings.service.drain_timeout;
    let gathered = match ended {
        Ok(()) => {
            // What is still under way ends or goes back, so that the report tells the truth; and
            // nothing more goes out that nobody would hear of.
            let _ = timeout(GRACE, handles.pause_outlet.send(PauseOutlet(None))).await;
            let began_to_stop = Instant::now();
            let stop = handles.stop.send(Stop(drain));
            if !matches!(timeout(drain + GRACE, stop).await, Ok(Ok(()))) {
                warn!("not stopped in time, the rest is recovered at the next start");
            }
            // What is not written now costs a call at the next time, nothing more.
            let _ = timeout(GRACE, handles.save_known.send(SaveAll)).await;
            let outlets: Vec<OutletName> =
                settings.outlets.iter().map(|it| it.name.clone()).collect();
            let left = drain.saturating_sub(began_to_stop.elapsed());
            wait_for_sent(store, &outlets, left).await;
            Report::gather(&handles, store, settings, &counts, before.failed, began).await
        }
        Err(error) => Err(error),
    };
    if settings.service.monitoring {
        let data_dir = &settings.service.data_dir;
        Teller::new(handles.clone(), process, data_dir).tell().await;
    }
    drop(handles);
    join(arbiters).await;
    // Where a timer runs this, there may be no service that would do it.
    let now = clock.steadied(&steady).wall;
    let _ = timeout(FORGETTING, prune(store, now, settings.store.keep)).await;
    gathered
}

/// Polls every source exactly once: its own timer counts no more, whatever comes of the poll.
async fn poll_each_once(handles: &Handles) -> anyhow::Result<()> {
    const ENDED: &str = "the sources are not heard any more";
    handles
        .pause_source
        .send(PauseSource(None, PausedBy::Service))
        .await
        .context(ENDED)?
        .context("sources cannot be paused")?;
    handles
        .poll_now
        .send(PollNow(None))
        .await
        .context(ENDED)?
        .context("sources cannot be polled")
}

/// Waits until nothing is to be done without a person.
async fn finish(handles: &Handles) -> anyhow::Result<()> {
    loop {
        let asking = async {
            (
                handles.depth.send(Depth).await,
                handles.outlets.send(Outlets).await,
            )
        };
        let look = timeout_at(Instant::now() + GRACE, asking).await;
        // An actor that fell, or is busy, is asked again.
        if let Ok((Ok(Ok(backlog)), Ok(outlets))) = look
            && is_finished(&backlog, &outlets)
        {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether all tasks are final and all publications out, held, refused, unknown, or answers to what
/// is held or unknown; what waits for an outlet that is paused, or not there any more, is left.
fn is_finished(backlog: &Backlog, outlets: &[OutletView]) -> bool {
    let left = |outlet: &OutletView| match outlet.state {
        "gone" | "paused" => outlet.waiting,
        _ => outlet.behind_held,
    };
    let left: u64 = outlets.iter().map(left).sum();
    backlog.submitted == 0
        && backlog.queued <= backlog.parked
        && backlog.processing == 0
        && backlog.rate_limited == 0
        && backlog.publishing <= left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_person_is_finished_and_what_is_under_way_is_not() {
        let waiting = Backlog {
            held: 2,
            unknown: 1,
            completed: 5,
            failed: 1,
            ..Backlog::default()
        };
        assert!(is_finished(&waiting, &[]));
        let behind = OutletView {
            name: "es".into(),
            kind: "file",
            language: "es".parse().expect("a tag"),
            limit: None,
            state: "ready",
            waiting: 1,
            behind_held: 1,
            unknown: 0,
            scheduled: 0,
            published: 0,
            refused: 0,
            error: None,
        };
        let answering = Backlog {
            publishing: 1,
            ..waiting
        };
        assert!(is_finished(&answering, std::slice::from_ref(&behind)));
        let gone = OutletView {
            state: "gone",
            waiting: 2,
            behind_held: 0,
            ..behind
        };
        let left = Backlog {
            publishing: 2,
            queued: 3,
            parked: 3,
            ..waiting
        };
        assert!(is_finished(&left, std::slice::from_ref(&gone)));
        let more = Backlog { queued: 4, ..left };
        assert!(!is_finished(&more, std::slice::from_ref(&gone)));
        let sending = Backlog {
            publishing: 3,
            ..left
        };
        assert!(!is_finished(&sending, &[gone]));
        let sending = Backlog {
            publishing: 1,
            ..waiting
        };
        assert!(!is_finished(&sending, &[]));
        let limited = Backlog {
            rate_limited: 1,
            ..waiting
        };
        assert!(!is_finished(&limited, &[]));
    }
}

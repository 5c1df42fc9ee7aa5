//! `run`: the service, until somebody ends it.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use babelfeed_actors::domain::{Lane, OutletName};
use babelfeed_actors::ports::Clock;
use babelfeed_actors::setup::Pauses;
use log::{info, warn};
use tokio::select;
use tokio::signal::unix::{SignalKind, signal as signal_stream};
use tokio::sync::{mpsc, oneshot};

use super::live::{Live, Surroundings, join};
use super::lock::DataLock;
use super::reload::{Reloaded, is_same_account, reload};
use super::watchdog::Watchdog;
use super::world::SystemClock;
use super::{Start, bite, build, close_store, escalate, load, open_store, signals};
use crate::cli::options::{Exit, GlobalOptions};
use crate::control::{Command, NotReloaded};
use crate::http::install_tls;
use crate::settings::Settings;
use crate::stores::SqliteStore;
use crate::telemetry::log::install;
use crate::telemetry::process::Process;

/// Orders that may wait for the service to hear them.
const ORDERS: usize = 16;

/// Runs the service until `stop`, SIGTERM or SIGINT.
///
/// # Errors
/// When the settings make no sense, the data folder is in use, or something cannot be opened.
pub fn run(options: &GlobalOptions, start: Start) -> anyhow::Result<Exit> {
    let settings = load(options)?;
    install(settings.service.log_format);
    install_tls();
    let _lock = DataLock::acquire(&settings.service.data_dir)?;
    let signal = signals::listen()?;
    actix_rt::System::new().block_on(async {
        let store = open_store(&settings.store)?;
        let ended = serve(options, settings, &store, signal, start).await;
        close_store(&store).await;
        ended.map(|()| Exit::Done)
    })
}

/// Why a running system is stopped.
enum Order {
    /// The process ends.
    Stop,
    /// Another system takes its place, and begins with what is paused.
    Rebuild(Box<Settings>, Box<build::Prepared>, Pauses),
}

pub(super) async fn serve(
    options: &GlobalOptions,
    mut settings: Settings,
    store: &SqliteStore,
    mut signal: oneshot::Receiver<&'static str>,
    start: Start,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let watchdog = Watchdog::start(bite)?;
    watchdog.watch("main", actix_rt::Arbiter::current());
    let (commands, mut orders) = mpsc::channel(ORDERS);
    let surroundings = Surroundings {
        start,
        started: clock.now(),
        clock,
        process: Process::new(),
        watchdog,
        commands,
    };
    let prepare = |settings: &Settings| {
        build::prepare(settings, store, &surroundings.clock, Rc::new(escalate))
    };
    let mut prepared = prepare(&settings)?;
    prepared.setup.pauses = paused_before(store).await?;
    let mut hangups = signal_stream(SignalKind::hangup())?;
    loop {
        let live = Live::start(prepared, &settings, store, &surroundings)?;
        let mut order = loop {
            select! {
                name = &mut signal => {
                    info!(signal = name.unwrap_or("none"); "stopping");
                    break Order::Stop;
                }
                // The signal that people send to daemons whose settings they have changed.
                Some(()) = hangups.recv() => {
                    let (answer, _) = oneshot::channel();
                    // A full queue holds an order to reload already.
                    let _ = surroundings.commands.try_send(Command::Reload(answer));
                }
                command = orders.recv() => match command {
                    None => break Order::Stop,
                    Some(Command::KeepPauses(answer)) => {
                        let keeping = live.keep_pauses(store);
                        let Some(kept) = unless_stopped(&mut signal, keeping).await else {
                            break Order::Stop;
                        };
                        // Who asked may have gone.
                        let _ = answer.send(kept.map_err(|error| format!("{error:#}")));
                    }
                    Some(Command::Stop(answer)) => {
                        info!("stopping, because control says so");
                        // Who asked may have gone; the order stands.
                        let _ = answer.send(());
                        break Order::Stop;
                    }
                    Some(Command::Reload(answer)) => {
                        let reloading = successor(&live, || reload(options, &settings, &prepare));
                        let Some(reloaded) = unless_stopped(&mut signal, reloading).await else {
                            break Order::Stop;
                        };
                        let (answered, order) = match reloaded {
                            Ok(order) => (Ok(()), order),
                            Err(why) => {
                                let (NotReloaded::Refused(cause) | NotReloaded::Unanswered(cause)) = &why;
                                warn!(cause = cause.as_str(); "settings not reloaded");
                                (Err(why), None)
                            }
                        };
                        let _ = answer.send(answered);
                        if let Some(order) = order {
                            break order;
                        }
                    }
                }
            }
        };
        let drain = settings.service.drain_timeout;
        if matches!(order, Order::Rebuild(..)) {
            let longest = settings.translation.timeout;
            select! {
                () = hear_stop(&mut signal, &mut orders) => order = Order::Stop,
                () = live.finish_publishing(store, longest) => (),
            }
        }
        // Sources are polled all the while.
        if let Order::Rebuild(.., pauses) = &mut order
            && let Ok(skipping) = live.skipping().await
        {
            pauses.skipping = skipping;
        }
        let quotas = live.stop(store, drain).await;
        if matches!(order, Order::Rebuild(..)) && signal.try_recv().is_ok() {
            order = Order::Stop;
        }
        let order = refuse_what_came_meanwhile(&mut orders, order);
        match order {
            Order::Stop => return Ok(()),
            Order::Rebuild(changed, next, pauses) => {
                info!("settings reloaded");
                let quotas = quotas.into_iter();
                let quotas = quotas.filter(|(lane, _)| is_same_account(lane, &settings, &changed));
                let quotas = quotas.collect();
                (settings, prepared) = (*changed, *next);
                prepared.setup.quotas = quotas;
                prepared.setup.pauses = pauses;
            }
        }
    }
}

/// What comes of something, unless a signal says first that the process is to stop.
async fn unless_stopped<T>(
    signal: &mut oneshot::Receiver<&'static str>,
    doing: impl Future<Output = T>,
) -> Option<T> {
    select! {
        name = signal => {
            info!(signal = name.unwrap_or("none"); "stopping");
            None
        }
        done = doing => Some(done),
    }
}

/// The order to put another system in the place of this one, with what is paused here, if the
/// settings differ and nothing forbids it.
async fn successor(
    live: &Live,
    reload: impl FnOnce() -> Result<Reloaded, String>,
) -> Result<Option<Order>, NotReloaded> {
    if let Some(why) = live.cannot_be_replaced().await {
        return Err(NotReloaded::Refused(why.to_owned()));
    }
    let (changed, prepared) = match reload().map_err(NotReloaded::Refused)? {
        Reloaded::Same => {
            info!("settings read again: nothing differs");
            return Ok(None);
        }
        Reloaded::Changed(changed, prepared) => (changed, prepared),
    };
    // Before it is asked what is paused, and anybody hears of the reload, so that no order is lost.
    live.refuse_changes();
    match live.pauses().await {
        Ok(pauses) => Ok(Some(Order::Rebuild(changed, prepared, pauses))),
        Err(error) => {
            live.take_changes();
            join(prepared.arbiters).await;
            Err(NotReloaded::Unanswered(format!("{error:#}")))
        }
    }
}

/// What a person paused before this start.
pub(super) async fn paused_before(store: &SqliteStore) -> anyhow::Result<Pauses> {
    let pauses = store.pauses().await.context("cannot read what is paused")?;
    let sources = pauses.sources.iter().map(|(name, _)| name.as_str());
    let outlets = pauses.outlets.iter().map(OutletName::as_str);
    let lanes = pauses.lanes.iter().map(Lane::as_str);
    let names: Vec<&str> = sources.chain(outlets).chain(lanes).collect();
    if !names.is_empty() {
        warn!(names = names.join(", ").as_str(); "paused by a person before this start");
    }
    Ok(pauses)
}

/// Resolves when the process is to stop; all other orders are refused meanwhile.
async fn hear_stop(
    signal: &mut oneshot::Receiver<&'static str>,
    orders: &mut mpsc::Receiver<Command>,
) {
    loop {
        select! {
            name = &mut *signal => {
                info!(signal = name.unwrap_or("none"); "stopping");
                return;
            }
            command = orders.recv() => match command.map(answer_meanwhile) {
                Some(Meanwhile::Refused) => (),
                Some(Meanwhile::Stop) | None => return,
            }
        }
    }
}

/// Answers the orders that came while the system stopped; an order to stop wins.
fn refuse_what_came_meanwhile(orders: &mut mpsc::Receiver<Command>, mut order: Order) -> Order {
    while let Ok(command) = orders.try_recv() {
        if let Meanwhile::Stop = answer_meanwhile(command) {
            order = Order::Stop;
        }
    }
    order
}

/// What an order means that comes while the system is rebuilt or stopped.
enum Meanwhile {
    /// It was refused.
    Refused,
    /// The process ends.
    Stop,
}

fn answer_meanwhile(command: Command) -> Meanwhile {
    // Who asked may have gone.
    match command {
        Command::Reload(answer) => {
            let why = "nothing was changed: a reload was under way".to_owned();
            let _ = answer.send(Err(NotReloaded::Refused(why)));
        }
        Command::KeepPauses(answer) => {
            let _ = answer.send(Err("the system is being rebuilt or stopped".to_owned()));
        }
        Command::Stop(answer) => {
            info!("stopping, because control says so");
            let _ = answer.send(());
            return Meanwhile::Stop;
        }
    }
    Meanwhile::Refused
}

//! Starts and stops the servers on the socket and on TCP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_rt::{Arbiter, System};
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use log::warn;
use tokio::sync::watch;

use super::busy_poll::Questions;
use super::socket::SocketFile;
use super::waiters::Waiters;
use super::{Control, Listen, app, client};

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How many seconds a request that runs at the stop gets.
const SHUTDOWN_SECONDS: u64 = 5;
/// The most connections that one worker serves at a time.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a body, or the silence inside a streamed one, may last.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often memory and processor time are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What every route sees.
pub(super) struct Face {
    /// What control was given.
    pub(super) control: Control,
    /// Who waits for requests to settle.
    pub(super) waiters: Waiters,
    /// How many read events.
    pub(super) n_readers: AtomicUsize,
    /// The calls of `POST /v1/translate` that are not answered yet.
    pub(super) questions: Questions,
    /// How many warm the cache.
    pub(super) n_warmers: AtomicUsize,
    /// How long a body, or the silence inside a streamed one, may last.
    pub(super) patience: Duration,
    /// Turns true when another system is about to take this one's place.
    pub(super) is_rebuilding: Arc<AtomicBool>,
    /// Turns true when the servers are to stop.
    pub(super) closing: watch::Receiver<bool>,
}

impl Face {
    /// Resolves when the servers are to stop.
    pub(super) async fn closed(&self) {
        // An error means that the one who would say so is gone, which says the same.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

/// The running servers; the socket's file goes when they are stopped or this is dropped.
pub struct Running {
    servers: Vec<(ServerHandle, JoinHandle<io::Result<()>>)>,
    pub(super) is_rebuilding: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    sampler: JoinHandle<()>,
    tcp: Option<SocketAddr>,
    _file: SocketFile,
}

impl Running {
    /// The TCP address that is really served, if any.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Refuses from now on to pause, resume and drain, because another system is about to take this
    /// one's place and begins with what is paused now.
    pub fn refuse_changes(&self) {
        self.is_rebuilding.store(true, Ordering::Release);
    }

    /// Takes such orders again, because no other system takes this one's place after all.
    pub fn take_changes(&self) {
        self.is_rebuilding.store(false, Ordering::Release);
    }

    /// Takes no new connection, lets requests finish that run, for 5 s, and removes the file.
    pub async fn stop(self) {
        // An error means that no route is left to hear it.
        let _ = self.closing.send(true);
        self.sampler.abort();
        for (server, _) in &self.servers {
            server.stop(true).await;
        }
        for (_, ended) in self.servers {
            match ended.await {
                Ok(Ok(())) => (),
                Ok(Err(error)) => warn!(cause:% = error; "control ended badly"),
                Err(error) => warn!(cause:% = error; "control ended badly"),
            }
        }
    }
}

/// Serves control on its Unix socket and, where that is wanted, on TCP.
///
/// Who hangs up, be it only the half that speaks, is answered no more, and what a route still waits
/// for is dropped: what must be done whole is a task of its own.
///
/// Must be called inside the actix system that the actors live in.
///
/// # Errors
/// When the socket's path is too long, somebody answers at it, an address is taken, or TCP is
/// wanted without a token.
pub fn serve(control: Control, listen: Listen) -> io::Result<Running> {
    serve_with(control, listen, PATIENCE)
}

/// Serves control, with so much patience for bodies that trickle.
pub(super) fn serve_with(
    control: Control,
    listen: Listen,
    patience: Duration,
) -> io::Result<Running> {
    let tcp = listen.tcp.map(TcpListener::bind).transpose()?;
    if tcp.is_some() && control.token.is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "`[http] listen` is set without a token, expected one in the variable `token_env`",
        ));
    }
    let (file, socket) = SocketFile::claim(&listen.socket)?;
    let (closing, closed) = watch::channel(false);
    let is_rebuilding = Arc::<AtomicBool>::default();
    let face = web::Data::new(Face {
        waiters: Waiters::new(control.handles.events.clone()),
        control,
        n_readers: AtomicUsize::new(0),
        questions: Questions::answered_on(System::current().arbiter().clone()),
        n_warmers: AtomicUsize::new(0),
        patience,
        is_rebuilding: Arc::clone(&is_rebuilding),
        closing: closed,
    });
    let local = face.clone();
    let mut servers = vec![
        HttpServer::new(move || {
            tell_of_thread(&local);
            App::new().app_data(local.clone()).configure(app::routes)
        })
        .workers(listen.workers)
        .on_connect(client::note)
        .keep_alive(KEEP_ALIVE)
        .h1_allow_half_closed(false)
        .max_connections(MAX_CONNECTIONS)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen_uds(socket)?
        .run(),
    ];
    let address = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(tcp) = tcp {
        let remote = face.clone();
        let hears_hubs = remote.control.callbacks.is_some();
        servers.push(
            HttpServer::new(move || {
                tell_of_thread(&remote);
                App::new()
                    .app_data(remote.clone())
                    .wrap(from_fn(app::require_token))
                    .configure(|app| {
                        if hears_hubs {
                            app::callback_routes(app);
                        }
                    })
                    .configure(app::routes)
            })
            .workers(listen.workers)
            .on_connect(client::note)
            .keep_alive(KEEP_ALIVE)
            .h1_allow_half_closed(false)
            .max_connections(MAX_CONNECTIONS)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .tcp_nodelay(true)
            .disable_signals()
            .listen(tcp)?
            .run(),
        );
    }
    let sampler = actix_rt::spawn(sample(face));
    let spawn = |server: actix_web::dev::Server| (server.handle(), actix_rt::spawn(server));
    Ok(Running {
        servers: servers.into_iter().map(spawn).collect(),
        is_rebuilding,
        closing,
        sampler,
        tcp: address,
        _file: file,
    })
}

/// Each worker makes its routes on its own thread.
fn tell_of_thread(face: &Face) {
    if let Some(arbiter) = Arbiter::try_current() {
        (face.control.watch)(arbiter);
    }
}

/// Looks at memory and processor time for ever, so that their averages mean something.
async fn sample(face: web::Data<Face>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        face.control.process.sample();
    }
}

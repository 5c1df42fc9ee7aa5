//! Watches sources: polls each at its times, and hands its posts in.

mod ours;
mod poll;
mod settling;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Recipient, ResponseFuture, Supervised};
use futures_util::FutureExt as _;
use log::{error, info, warn};
use tokio::sync::oneshot;

use crate::domain::{Language, Moment, OutletName, PausedBy, SourceName, Timestamp};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::logic::talks::Talks;
use crate::messages::{
    Missed, Operation, PauseSource, PollNow, Record, ResumeSource, SourceState, SourceView, Submit,
    UnknownName, Watching,
};
use crate::ports::{Chance, Clock, Outlet, Source, SourceError, SourceRemedy, TaskStore};
use crate::setup::SourceRules;
use crate::supervision::{Words, until_answered};

use poll::{Ended, Poll, PollError};
use settling::Settling;

/// The waits after polls that failed in a row, above the source's own interval.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3_600));
/// How much that is unreadable is told of one source, until all of it is readable again.
const WARNINGS: usize = 100;
/// What the log says of a store that does not note that what came during a pause was passed over.
const WORDS: Words = Words {
    fails: "the end of a pause is not written down now",
    again: "the end of a pause is written down",
};
/// The longest that a server's hint is believed.
const LONGEST_REST: Duration = Duration::from_secs(86_400);

/// A source as the monitor watches it.
#[derive(Clone)]
pub struct Watched {
    /// Its name.
    pub name: SourceName,
    /// Its kind, as the settings call it.
    pub kind: &'static str,
    /// The adapter.
    pub source: Rc<dyn Source>,
    /// How often it is polled.
    pub every: Duration,
    /// Whether the server may lengthen that.
    pub respects_hints: bool,
    /// How many of the posts that are there at first sight are taken, the newest; none: all.
    pub backfill: Option<usize>,
    /// Which posts are taken, and when.
    pub rules: SourceRules,
    /// The languages of the outlets that take it.
    pub targets: Vec<Language>,
    /// The languages of those of them where the edit of a post does anything.
    pub revised: Vec<Language>,
    /// The outlets whose publications it may show, whichever take it.
    pub echoed: Vec<(OutletName, Rc<dyn Outlet>)>,
}

/// Owns the schedule and the cursor of every source.
pub struct MonitorActor {
    own: Addr<Self>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    store: Rc<dyn TaskStore>,
    submit: Recipient<Submit>,
    record: Recipient<Record>,
    sources: Vec<Watched>,
    /// What is being polled; outlives a fall.
    polling: Arc<Mutex<HashSet<SourceName>>>,
    epoch: u64,
    state: BTreeMap<SourceName, Schedule>,
}

#[derive(Default)]
struct Schedule {
    /// The timer that counts; others are late.
    timer: u64,
    /// Waits for that time; ended when another takes its place.
    waiting: Option<Waiting>,
    paused: Option<PausedBy>,
    /// What becomes of posts that came while it was paused.
    missed: Missed,
    /// Posts that are not old enough to be taken.
    settling: Settling,
    /// Which of its posts go on in a conversation with somebody else.
    talks: Rc<RefCell<Talks>>,
    has_ended: bool,
    failures: u32,
    last_poll: Option<Timestamp>,
    lag: Option<Duration>,
    error: Option<String>,
    /// What was told of what is unreadable.
    told: HashSet<String>,
    /// Whether the last poll found something else than what was read before, which is told once
    /// although it is found again as long as the queue does not take it.
    begins_anew: bool,
    seen: u64,
    new: u64,
    cost_usd: f64,
    waiters: Vec<oneshot::Sender<()>>,
}

impl Schedule {
    /// Says once in the log what of a source is unreadable, and when all of it is readable again.
    fn tell(&mut self, source: &SourceName, warnings: Vec<String>) {
        if warnings.is_empty() && !self.told.is_empty() {
            self.told.clear();
            info!(source:% = source; "all of a source is readable again");
        }
        for warning in warnings {
            if self.told.len() < WARNINGS && !self.told.contains(&warning) {
                warn!(source:% = source, cause = warning.as_str(); "part of a source is unreadable");
                self.told.insert(warning);
            }
        }
    }
}

/// What waits for a source's time, until it is dropped.
struct Waiting(tokio::task::JoinHandle<()>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A source's time has come.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Due {
    epoch: u64,
    source: SourceName,
    timer: u64,
}

impl MonitorActor {
    /// A monitor that polls every source when it starts.
    pub fn new(
        own: Addr<Self>,
        (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>),
        store: Rc<dyn TaskStore>,
        submit: Recipient<Submit>,
        record: Recipient<Record>,
        sources: Vec<Watched>,
    ) -> Self {
        Self {
            own,
            clock,
            chance,
            store,
            submit,
            record,
            sources,
            polling: Arc::default(),
            epoch: 0,
            state: BTreeMap::new(),
        }
    }

    /// The same, with these sources polled only when each is resumed.
    #[must_use]
    pub fn with_paused(mut self, sources: Vec<(SourceName, PausedBy)>) -> Self {
        for (source, by) in sources {
            if self.sources.iter().any(|watched| watched.name == source) {
                self.state.entry(source).or_default().paused = Some(by);
            }
        }
        self
    }

    /// The same, with what came to these sources until their next poll counted as seen.
    #[must_use]
    pub fn with_skipping(mut self, sources: Vec<SourceName>) -> Self {
        for source in sources {
            if self.sources.iter().any(|watched| watched.name == source) {
                self.state.entry(source).or_default().missed = Missed::Skipped;
            }
        }
        self
    }

    /// Whether any outlet takes what a source shows: what nobody takes is left where it is, for
    /// when somebody does.
    fn is_wanted(&self, source: &SourceName) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|watched| watched.name == *source && !watched.targets.is_empty())
    }

    fn is_polling(&self, source: &SourceName) -> bool {
        self.polling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(source)
    }

    /// Sets the timer of a source; an earlier timer counts no more.
    fn set_timer(&mut self, source: &SourceName, wait: Duration) {
        self.wake_after(source, tokio::time::sleep(wait));
    }

    /// The same, but the source is polled earlier if it has news.
    fn set_timer_or_news(&mut self, watched: &Watched, wait: Duration) {
        let (source, name) = (Rc::clone(&watched.source), watched.name.clone());
        self.wake_after(&watched.name, async move {
            let news = async {
                failpoints::hit("monitor.news");
                source.news().await;
            };
            let news = async {
                if AssertUnwindSafe(news).catch_unwind().await.is_err() {
                    error!(source:% = name; "a source panicked while its news were waited for");
                    std::future::pending::<()>().await;
                }
            };
            // A time limit is all there is to it: what the source says is asked by the poll.
            let _ = tokio::time::timeout(wait, news).await;
        });
    }

    fn wake_after(&mut self, source: &SourceName, waiting: impl Future<Output = ()> + 'static) {
        let Some(schedule) = self.state.get_mut(source) else {
            return;
        };
        schedule.timer += 1;
        let due = Due {
            epoch: self.epoch,
            source: source.clone(),
            timer: schedule.timer,
        };
        let own = self.own.clone();
        schedule.waiting = Some(Waiting(actix_rt::spawn(async move {
            waiting.await;
            own.do_send(due);
        })));
    }

    /// Polls a source, unless it is being polled.
    fn poll(&mut self, source: &SourceName) {
        let watched = self.sources.iter().find(|watched| watched.name == *source);
        let Some(watched) = watched.cloned() else {
            return;
        };
        let Some(under_way) = UnderWay::begin(&self.polling, source) else {
            return;
        };
        let schedule = self.state.entry(source.clone()).or_default();
        let poll = Poll {
            watched,
            settling: std::mem::take(&mut schedule.settling),
            talks: Rc::clone(&schedule.talks),
            missed: schedule.missed,
            clock: Arc::clone(&self.clock),
            store: Rc::clone(&self.store),
            submit: self.submit.clone(),
        };
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let ended = poll.run().await;
            drop(under_way);
            own.do_send(ended);
        });
    }

    fn chosen(&self, name: Option<&SourceName>) -> Result<Vec<SourceName>, UnknownName> {
        match name {
            None => Ok(self.state.keys().cloned().collect()),
            Some(name) if self.state.contains_key(name) => Ok(vec![name.clone()]),
            Some(name) => Err(UnknownName(name.as_str().to_owned())),
        }
    }

    /// `every` and up to a twentieth more, so that sources do not stay in step.
    fn spread(&self, every: Duration) -> Duration {
        let more = self.chance.jitter(every).saturating_sub(every);
        every + more / 5
    }

    fn view(&self, watched: &Watched) -> Option<SourceView> {
        let schedule = self.state.get(&watched.name)?;
        let state = if schedule.has_ended {
            SourceState::Ended
        } else if schedule.paused.is_some() {
            SourceState::Paused
        } else if self.is_polling(&watched.name) {
            SourceState::Polling
        } else if schedule.error.is_some() {
            SourceState::Failing
        } else {
            SourceState::Waiting
        };
        Some(SourceView {
            name: watched.name.clone(),
            kind: watched.kind,
            state,
            paused_by: schedule.paused,
            missed: schedule.missed,
            last_poll: schedule.last_poll,
            lag: schedule.lag,
            error: schedule.error.clone(),
            seen: schedule.seen,
            new: schedule.new,
            cost_usd: schedule.cost_usd,
        })
    }

    fn count(&self, kind: &'static str, begun: Moment, is_error: bool) {
        self.record.do_send(Record {
            operation: Operation {
                service: kind.into(),
                name: "poll",
            },
            took: self.clock.now().since(begun),
            is_error,
        });
    }
}

/// A source that is being polled, until this is dropped.
struct UnderWay {
    polling: Arc<Mutex<HashSet<SourceName>>>,
    source: SourceName,
}

impl UnderWay {
    fn begin(polling: &Arc<Mutex<HashSet<SourceName>>>, source: &SourceName) -> Option<Self> {
        let mut set = polling.lock().unwrap_or_else(PoisonError::into_inner);
        set.insert(source.clone()).then(|| Self {
            polling: Arc::clone(polling),
            source: source.clone(),
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.polling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.source);
    }
}

/// Has the next start know that what came during a pause was passed over, and that it takes what
/// comes from now on.
async fn note_skipped(store: Rc<dyn TaskStore>, source: SourceName) {
    until_answered(WORDS, async || store.note_skipped(source.clone()).await).await;
}

impl Actor for MonitorActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("monitor.started");
        self.epoch += 1;
        let names: Vec<SourceName> = self
            .sources
            .iter()
            .map(|watched| watched.name.clone())
            .collect();
        for name in names {
            self.state.entry(name.clone()).or_default();
            if self.is_wanted(&name) {
                self.set_timer(&name, Duration::ZERO);
            } else if self.epoch == 1 {
                warn!(source:% = name; "a source is not polled, because no outlet takes it");
            }
        }
    }
}

impl Supervised for MonitorActor {
    /// Begins every schedule anew; what a person paused stays so, and what ended has ended.
    fn restarting(&mut self, _: &mut Self::Context) {
        for schedule in self.state.values_mut() {
            *schedule = Schedule {
                paused: schedule.paused,
                missed: schedule.missed,
                has_ended: schedule.has_ended,
                ..Schedule::default()
            };
        }
    }
}

impl Handler<Due> for MonitorActor {
    type Result = ();

    fn handle(&mut self, due: Due, _: &mut Self::Context) {
        failpoints::hit("monitor.timer");
        let counts = self.state.get(&due.source).is_some_and(|schedule| {
            schedule.timer == due.timer && schedule.paused.is_none() && !schedule.has_ended
        });
        if due.epoch == self.epoch && counts {
            self.poll(&due.source);
            if self.is_polling(&due.source) {
                // Were the poll's end lost by a fall, this brings the source back.
                let every = self
                    .sources
                    .iter()
                    .find(|watched| watched.name == due.source);
                let every = every.map_or(LONGEST_REST, |watched| watched.every);
                self.set_timer(&due.source, every.max(Duration::from_secs(60)));
            }
        }
    }
}

impl Handler<Ended> for MonitorActor {
    type Result = ();

    fn handle(&mut self, ended: Ended, _: &mut Self::Context) {
        failpoints::hit("monitor.handler");
        let Ended {
            source,
            begun,
            result,
            seen,
            new,
            cost_usd,
            latest,
            warnings,
            begins_anew,
            settling,
        } = ended;
        let wall = self.clock.wall();
        let watched = self.sources.iter().find(|watched| watched.name == source);
        let Some(watched) = watched.cloned() else {
            return;
        };
        self.count(watched.kind, begun, result.is_err());
        let Some(schedule) = self.state.get_mut(&source) else {
            return;
        };
        schedule.seen += seen;
        schedule.new += new;
        if begins_anew && !schedule.begins_anew {
            warn!(source:% = source; "a source shows something else than before, and is taken as at first sight");
        }
        schedule.begins_anew = begins_anew;
        // A poll that showed nothing says nothing of what is readable.
        if !warnings.is_empty() || (seen > 0 && result.is_ok()) {
            schedule.tell(&source, warnings);
        }
        schedule.cost_usd += cost_usd;
        let settled = settling.due().map(|due| due.since(self.clock.now()));
        let is_full = settling.is_full();
        schedule.settling = settling;
        if let Some(latest) = latest {
            schedule.lag = Some(wall.since(latest));
        }
        for waiter in schedule.waiters.drain(..) {
            // Who has left needs no answer.
            let _ = waiter.send(());
        }
        match result {
            Ok(rest) => {
                if schedule.error.take().is_some() {
                    info!(source:% = source; "a source answers again");
                }
                schedule.failures = 0;
                if std::mem::take(&mut schedule.missed) == Missed::Skipped {
                    actix_rt::spawn(note_skipped(Rc::clone(&self.store), source.clone()));
                }
                schedule.last_poll = Some(wall);
                let is_paused = schedule.paused.is_some();
                let rest = rest.filter(|_| watched.respects_hints).unwrap_or_default();
                let every = watched.every.max(rest.min(LONGEST_REST));
                let wait = self.spread(every);
                // Then it is polled too, so that a last edit is seen.
                let wait = settled.map_or(wait, |settled| wait.min(settled));
                // A paused source opens no stream, though it was polled by order.
                if !is_paused && is_full {
                    // It is not read now, so its news would stay as they are.
                    self.set_timer(&source, wait);
                } else if !is_paused {
                    self.set_timer_or_news(&watched, wait);
                }
            }
            Err(error) => {
                if let Some(wait) = self.note_failure(&watched, &error) {
                    self.set_timer(&source, wait);
                }
            }
        }
    }
}

impl MonitorActor {
    /// Says once in the log that a source fails, and when it is polled again.
    fn note_failure(&mut self, watched: &Watched, failure: &PollError) -> Option<Duration> {
        let backoff = |failures: u32| watched.every.max(BACKOFF.after(failures));
        let schedule = self.state.get_mut(&watched.name)?;
        schedule.failures += 1;
        let text = failure.to_string();
        if schedule.error.as_deref() != Some(&text) {
            warn!(source:% = watched.name, cause = failure.cause().as_str(); "poll failed");
        }
        schedule.error = Some(text);
        let failures = schedule.failures;
        let remedy = match failure {
            PollError::Source(error) => error.remedy(),
            // Its server is not to blame, but is asked again all the same.
            PollError::Full { wait, .. } => {
                let backoff = BACKOFF.after(failures).min(watched.every);
                return Some(self.spread(backoff.max(*wait)));
            }
        };
        match remedy {
            SourceRemedy::Retry(None) => Some(self.spread(backoff(failures))),
            SourceRemedy::Retry(Some(wait)) => {
                let wait = wait.min(LONGEST_REST).max(watched.every);
                Some(self.spread(wait))
            }
            SourceRemedy::Person => Some(self.spread(backoff(failures))),
            SourceRemedy::Stop => {
                schedule.has_ended = true;
                watched.source.rest();
                error!(source:% = watched.name; "a source has ended; it is polled no more");
                None
            }
        }
    }
}

impl Handler<PauseSource> for MonitorActor {
    type Result = Result<(), UnknownName>;

    fn handle(
        &mut self,
        PauseSource(name, by): PauseSource,
        _: &mut Self::Context,
    ) -> Self::Result {
        for source in self.chosen(name.as_ref())? {
            if let Some(schedule) = self.state.get_mut(&source) {
                schedule.waiting = None;
                let watched = self.sources.iter().find(|watched| watched.name == source);
                if let Some(watched) = watched {
                    watched.source.rest();
                }
                // A person stays the reason, whatever the service does meanwhile.
                schedule.paused = schedule
                    .paused
                    .filter(|it| *it == PausedBy::Person)
                    .or(Some(by));
            }
        }
        Ok(())
    }
}

impl Handler<ResumeSource> for MonitorActor {
    type Result = Result<(), UnknownName>;

    fn handle(&mut self, resume: ResumeSource, _: &mut Self::Context) -> Self::Result {
        for source in self.chosen(resume.name.as_ref())? {
            if let Some(schedule) = self.state.get_mut(&source)
                && let Some(by) = schedule.paused.take()
            {
                schedule.missed = match by {
                    PausedBy::Person => resume.missed,
                    // What was to be passed over before still is.
                    PausedBy::Service => schedule.missed,
                };
                if self.is_wanted(&source) {
                    self.set_timer(&source, Duration::ZERO);
                }
            }
        }
        Ok(())
    }
}

impl Handler<PollNow> for MonitorActor {
    type Result = ResponseFuture<Result<(), UnknownName>>;

    fn handle(&mut self, PollNow(name): PollNow, _: &mut Self::Context) -> Self::Result {
        let sources = match self.chosen(name.as_ref()) {
            Ok(sources) => sources,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let mut waits = Vec::with_capacity(sources.len());
        for source in sources {
            let (sender, polled) = oneshot::channel();
            if self.is_wanted(&source)
                && let Some(schedule) = self.state.get_mut(&source)
                && !schedule.has_ended
            {
                schedule.waiters.push(sender);
                waits.push(polled);
                self.poll(&source);
            }
        }
        Box::pin(async move {
            for wait in waits {
                // Closed when the monitor fell; the source is polled again all the same.
                let _ = wait.await;
            }
            Ok(())
        })
    }
}

impl Handler<Watching> for MonitorActor {
    type Result = actix::MessageResult<Watching>;

    fn handle(&mut self, _: Watching, _: &mut Self::Context) -> Self::Result {
        let views = self.sources.iter().filter_map(|watched| self.view(watched));
        actix::MessageResult(views.collect())
    }
}

impl From<SourceError> for PollError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

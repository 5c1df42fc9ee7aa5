//! Gathers texts that can wait for hours into jobs, and follows each job to its end.
//!
//! A job and the claims of its tasks are one commit, made before anything is said to the
//! provider. So a claim whose token is a job's is no lost call, and is adopted at a restart.

mod end;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::{error, warn};

use super::lookup::RETRY;
use super::work::{Subject, Work, stand_of};
use super::{Intake, Place, TaskManagerActor};
use crate::domain::{Class, Moment, Pair, TaskId};
use crate::failpoints;
use crate::logic::estimate::Weight;
use crate::logic::lifecycle::Step;
use crate::logic::price::{IN_A_JOB, usd};
use crate::messages::{AbandonJob, JobCall, JobEnd, JobOrder, JobText, RunJob};
use crate::ports::{BatchJob, Kept, KnownKey, TaskChange, TaskRecord, TaskStore, Token};
use crate::supervision::{Words, until_answered};

/// How long no job is planned for a provider that took one not.
const CLOSED: Duration = Duration::from_secs(3_600);
/// How long it takes until tasks are planned whose last change was still to be written.
const SOON: Duration = Duration::from_secs(1);
/// The most of a budget that one job may take.
const SHARE_OF_BUDGET: f64 = 0.25;
/// The bytes of a call without its texts, rich.
const CALL_BYTES: usize = 4_096;
/// The bytes of a text in a call for each of its own, since JSON stands inside JSON.
const BYTES_PER_BYTE: usize = 3;

/// What is gathered for jobs, and the jobs under way.
#[derive(Default)]
pub(super) struct Jobs {
    /// What is gathered, by the provider's index.
    gathering: BTreeMap<usize, Gathering>,
    live: BTreeMap<Token, Live>,
    /// The texts that are gathered or in a job, with the numbers of those that wait for each.
    followers: HashMap<KnownKey, Vec<Token>>,
    /// The providers that take no jobs for now.
    closed: HashMap<usize, Moment>,
}

/// Texts that are gathered for one provider.
struct Gathering {
    works: BTreeMap<TaskId, Work>,
    bytes: usize,
    /// What they cost at most, as if each had a call of its own.
    usd: f64,
    /// When they are planned, even if they are few.
    due: Moment,
}

/// A job under way.
struct Live {
    job: Arc<BatchJob>,
    route: Option<usize>,
    works: BTreeMap<TaskId, Work>,
    keys: Vec<KnownKey>,
    /// Held while the job is being written down for the first time.
    planning: Option<Rc<()>>,
}

/// A job was written down.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct JobPlanned {
    epoch: u64,
    token: Token,
    /// The tasks that somebody else holds.
    ghosts: Vec<TaskId>,
}

/// A job has come to its end.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct JobEnded {
    token: Token,
    end: JobEnd,
}

impl Jobs {
    /// How many tasks are in jobs.
    pub(super) fn n_tasks(&self) -> usize {
        let live = self.live.values();
        live.map(|live| live.works.len()).sum()
    }

    /// How many tasks are gathered for jobs.
    pub(super) fn n_gathered(&self) -> usize {
        let gathering = self.gathering.values();
        gathering.map(|gathering| gathering.works.len()).sum()
    }

    /// The work of a task that is gathered.
    pub(super) fn gathered(&self, route: usize, id: TaskId) -> Option<&Work> {
        self.gathering.get(&route)?.works.get(&id)
    }

    /// The work of a task that is in a job.
    pub(super) fn in_job(&self, token: Token, id: TaskId) -> Option<&Work> {
        self.live.get(&token)?.works.get(&id)
    }

    /// Whether the job of a task is just being written down.
    pub(super) fn is_being_planned(&self, id: TaskId) -> bool {
        let mut live = self.live.values();
        live.any(|live| live.planning.is_some() && live.works.contains_key(&id))
    }

    /// When the next job is to be planned.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.gathering.values().map(|it| it.due).min()
    }
}

impl TaskManagerActor {
    /// The provider in whose next job a text may go; none for all that is urgent, has a
    /// deadline, or was tried before.
    pub(super) fn job_route(&self, work: &Work) -> Option<usize> {
        let Subject::Task(live) = &work.subject else {
            return None;
        };
        let can_wait = work.bucket.class == Class::Low
            && live.home.class == Class::Low
            && live.record.task.request.deadline.is_none()
            && live.record.lifecycle.attempts() == 0
            && work.tight.is_none();
        if !can_wait || self.intake == Intake::Stopping {
            return None;
        }
        let now = self.clock.now();
        let is_over = |until: Option<&Moment>| until.is_none_or(|until| *until <= now);
        let mut routes = self.config.routes.iter().enumerate();
        let found = routes.find(|(route, provider)| {
            provider.jobs.is_some()
                && !work.refused_by.contains(*route)
                && self.serves(*route, &work.bucket.pair)
                && is_over(self.state.jobs.closed.get(route))
        });
        found.map(|(route, _)| route)
    }

    /// Puts a text with the others for the provider's next job.
    pub(super) fn gather_for_job(&mut self, mut work: Work, route: usize) {
        let Some(id) = work.task_id() else { return };
        // A job takes hours, for which nobody who is in a hurry should wait.
        work.leadership = None;
        if let Some(followers) = self.state.jobs.followers.get_mut(&work.key) {
            followers.push(work.number);
            self.place(&work, Place::Following(work.number));
            self.state.following.insert(work.number, work);
            return;
        }
        self.place(&work, Place::Gathering(route));
        let due = self.clock.now().plus(self.config.job_timeout);
        let usd = self.usd_of(route, &work.bucket.pair, work.weight());
        let jobs = &mut self.state.jobs;
        jobs.followers.insert(work.key, Vec::new());
        let gathering = jobs.gathering.entry(route).or_insert_with(|| Gathering {
            works: BTreeMap::new(),
            bytes: 0,
            usd: 0.0,
            due,
        });
        gathering.bytes += weight(&work);
        gathering.usd += usd;
        gathering.works.insert(id, work);
        if self.is_full(route) {
            self.plan_job(route);
        }
        self.set_timer();
    }

    /// Plans the jobs that have gathered long enough.
    pub(super) fn plan_due_jobs(&mut self) {
        let now = self.clock.now();
        let gathering = self.state.jobs.gathering.iter();
        let due = gathering.filter(|(_, gathering)| gathering.due <= now);
        let due: Vec<usize> = due.map(|(route, _)| *route).collect();
        for route in due {
            self.plan_job(route);
        }
    }

    fn is_full(&self, route: usize) -> bool {
        let Some(gathering) = self.state.jobs.gathering.get(&route) else {
            return false;
        };
        let n_texts = gathering.works.len();
        let provider = &self.config.routes[route];
        n_texts >= self.config.max_job_size
            || provider
                .budget
                .is_some_and(|usd| gathering.usd >= usd * SHARE_OF_BUDGET)
            || provider
                .jobs
                .is_some_and(|most| n_texts >= most.calls || gathering.bytes >= most.bytes)
    }

    /// What texts cost in a job at most, in US dollars.
    fn usd_of(&self, route: usize, pair: &Pair, weight: Weight) -> f64 {
        let tokens = self.rate(route, pair).tokens(weight);
        usd(tokens, self.config.routes[route].price) * IN_A_JOB
    }

    /// Writes a job down with all that is gathered for it.
    fn plan_job(&mut self, route: usize) {
        let Some(works) = self.take_gathered(route) else {
            return;
        };
        let (at, token) = (self.clock.wall(), self.store.token());
        let mut claims = Vec::with_capacity(works.len());
        let mut claimed = BTreeMap::new();
        for (id, mut work) in works {
            if let Some(claim) = self.claim_for_job(&mut work, token) {
                self.place(&work, Place::InJob(token));
                claims.push(claim);
                claimed.insert(id, work);
            }
        }
        let job = BatchJob {
            token,
            provider: self.config.routes[route].name.clone(),
            mark: format!("babelfeed-{token:x}-{:016x}", self.chance.next()).into(),
            planned_at: at,
            remote: None,
            reserved: None,
            calls: calls_of(&claimed, self.pack_size(route)),
        };
        let planning = Rc::new(());
        let is_wanted = Rc::downgrade(&planning);
        let live = Live {
            job: Arc::new(job.clone()),
            route: Some(route),
            keys: claimed.values().map(|work| work.key).collect(),
            works: claimed,
            planning: Some(planning),
        };
        self.state.jobs.live.insert(token, live);
        let (store, own, epoch) = (Rc::clone(&self.store), self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            if let Some(kept) = write(&*store, job, &claims, is_wanted).await {
                let kept = claims.iter().zip(kept);
                let ghosts = kept.filter(|(_, kept)| *kept == Kept::Ghost);
                own.do_send(JobPlanned {
                    epoch,
                    token,
                    ghosts: ghosts.map(|(claim, _)| claim.id).collect(),
                });
            }
        });
    }

    /// What is gathered and has no change that is still to be written; none if that is nothing.
    fn take_gathered(&mut self, route: usize) -> Option<BTreeMap<TaskId, Work>> {
        let gathering = self.state.jobs.gathering.remove(&route)?;
        let under_way: HashSet<TaskId> = {
            let book = self.book.lock();
            let changes = book.outbox.changes.iter().map(|it| it.change.id);
            changes.chain(book.outbox.writing.iter().copied()).collect()
        };
        let (rest, ready): (BTreeMap<_, _>, BTreeMap<_, _>) = gathering
            .works
            .into_iter()
            .partition(|(id, _)| under_way.contains(id));
        if !rest.is_empty() {
            let rest = Gathering {
                bytes: rest.values().map(weight).sum(),
                usd: rest
                    .values()
                    .map(|work| self.usd_of(route, &work.bucket.pair, work.weight()))
                    .sum(),
                works: rest,
                due: self.clock.now().plus(SOON),
            };
            self.state.jobs.gathering.insert(route, rest);
            self.set_timer();
        }
        (!ready.is_empty()).then_some(ready)
    }

    fn claim_for_job(&self, work: &mut Work, token: Token) -> Option<TaskChange> {
        let Subject::Task(live) = &mut work.subject else {
            return None;
        };
        let (id, at) = (live.record.task.id, self.clock.wall());
        if let Err(refusal) = live.record.lifecycle.step(Step::Call, at) {
            error!(task:% = id, cause:% = refusal; "a task was not put into a job");
            return None;
        }
        Some(self.change(&mut live.record, token, Vec::new()))
    }

    /// Has a job made that is written down, unless somebody is at it.
    fn run_job(&mut self, token: Token, is_new: bool) {
        let Some(live) = self.state.jobs.live.get(&token) else {
            return;
        };
        if live.works.is_empty() {
            let job = Arc::clone(&live.job);
            self.state.jobs.live.remove(&token);
            return self.close_job(job);
        }
        if !self.book.lock().runs.insert(token) {
            // Begun before a fall; its end comes to this life.
            return;
        }
        let mut order = JobOrder {
            job: Arc::clone(&live.job),
            is_new,
            calls: live.calls(|pair, weight| {
                let Some(route) = live.route else {
                    return (None, 0.0);
                };
                let counts = self.config.routes[route].counts_tokens;
                let held = self.rate(route, pair).answer(weight);
                let max_tokens = counts.then(|| u32::try_from(held).unwrap_or(u32::MAX));
                (max_tokens, self.usd_of(route, pair, weight))
            }),
        };
        let batcher = self.peers.batcher.run.clone();
        let (own, book) = (self.own.clone(), self.book.clone());
        actix_rt::spawn(async move {
            let end = loop {
                match batcher.send(RunJob(order.clone())).await {
                    Ok(end) => break end,
                    // The system has ended.
                    Err(_) if !batcher.connected() => break None,
                    Err(_) => {
                        order.is_new = false;
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            book.lock().runs.remove(&token);
            if let Some(end) = end {
                own.do_send(JobEnded { token, end });
            }
        });
    }

    /// Takes over the jobs that are kept, with their tasks; gives back what is no job's.
    pub(super) fn adopt_jobs(
        &mut self,
        jobs: Vec<BatchJob>,
        claimed: Vec<TaskRecord>,
    ) -> Vec<TaskRecord> {
        let mut of_jobs: HashMap<Token, Vec<TaskRecord>> =
            jobs.iter().map(|job| (job.token, Vec::new())).collect();
        let mut others = Vec::with_capacity(claimed.len());
        for record in claimed {
            match of_jobs.get_mut(&record.token) {
                Some(records) => records.push(record),
                None => others.push(record),
            }
        }
        for job in jobs {
            let records = of_jobs.remove(&job.token).unwrap_or_default();
            let routes = &self.config.routes;
            let route = routes.iter().position(|it| it.name == job.provider);
            if route.is_none() && !records.is_empty() {
                warn!(provider:% = job.provider, job:% = job.mark; "the provider of a job is gone from the settings");
                others.extend(records);
                self.close_job(Arc::new(job));
            } else {
                self.adopt_job(job, route, records);
            }
        }
        others
    }

    fn adopt_job(&mut self, job: BatchJob, route: Option<usize>, records: Vec<TaskRecord>) {
        let (token, n_records, job) = (job.token, records.len(), Arc::new(job));
        let mut works = BTreeMap::new();
        for record in records {
            let id = record.task.id;
            // The end of what the last life of this actor had ended is still to be written.
            if !self.is_held(id) {
                let (bucket, _) = stand_of(&record);
                let bytes = record.task.request.size();
                self.state.windows.adopt(&bucket, bytes);
                let work = self.bring_in(record, bucket);
                self.place(&work, Place::InJob(token));
                self.state.jobs.followers.insert(work.key, Vec::new());
                works.insert(id, work);
            }
        }
        if works.is_empty() {
            if n_records == 0 {
                self.close_job(job);
            }
            return;
        }
        let live = Live {
            job,
            route,
            keys: works.values().map(|work| work.key).collect(),
            works,
            planning: None,
        };
        self.state.jobs.live.insert(token, live);
        self.run_job(token, false);
    }

    /// Takes a task out of what is gathered.
    pub(super) fn remove_gathered(&mut self, route: usize, id: TaskId) -> Option<Work> {
        let gathering = self.state.jobs.gathering.get_mut(&route)?;
        let work = gathering.works.remove(&id)?;
        gathering.bytes = gathering.bytes.saturating_sub(weight(&work));
        // At least, since what a text costs may be believed otherwise by now.
        gathering.usd *= 1.0 - 1.0 / (gathering.works.len() + 1) as f64;
        if gathering.works.is_empty() {
            self.state.jobs.gathering.remove(&route);
        }
        self.release_followers(&[work.key]);
        Some(work)
    }

    /// Takes a task out of its job, which goes on for the others.
    pub(super) fn remove_from_job(&mut self, token: Token, id: TaskId) -> Option<Work> {
        let live = self.state.jobs.live.get_mut(&token)?;
        let work = live.works.remove(&id)?;
        if live.works.is_empty() {
            let sending = self.peers.batcher.abandon.send(AbandonJob(token));
            actix_rt::spawn(async move {
                // A job that is not abandoned only ends later.
                let _ = sending.await;
            });
        }
        Some(work)
    }

    /// Finds new places for those who waited for texts that are in no job any more.
    fn release_followers(&mut self, keys: &[KnownKey]) {
        let jobs = &mut self.state.jobs;
        let numbers = keys.iter().filter_map(|key| jobs.followers.remove(key));
        let numbers: Vec<Token> = numbers.flatten().collect();
        let following = &mut self.state.following;
        let works: Vec<Work> = numbers
            .iter()
            .filter_map(|number| following.remove(number))
            .collect();
        self.look_up(works);
    }
}

impl Live {
    /// The calls, with the texts of the tasks that are still in the job; `most` tells of texts of
    /// such a weight the most tokens of their answer, and the most that they cost.
    fn calls(&self, most: impl Fn(&Pair, Weight) -> (Option<u32>, f64)) -> Arc<[JobCall]> {
        let calls = self.job.calls.iter().enumerate();
        calls
            .filter_map(|(index, tasks)| {
                let texts = tasks.iter().enumerate();
                let works = texts.filter_map(|(place, id)| Some((place, self.works.get(id)?)));
                let pair = works.clone().next()?.1.bucket.pair.clone();
                let weight = works.clone().map(|(_, work)| work.weight()).sum();
                let (max_tokens, usd) = most(&pair, weight);
                let texts = works.filter_map(|(place, work)| {
                    Some(JobText {
                        id: (place + 1).to_string().into(),
                        task: work.task_id()?,
                        text: Arc::clone(&work.text),
                        context: work.context.clone(),
                        known_by: work.key,
                    })
                });
                Some(JobCall {
                    key: (index + 1).to_string().into(),
                    max_tokens,
                    usd,
                    pair,
                    texts: texts.collect(),
                })
            })
            .collect()
    }
}

/// The tasks of each call: of one pair of languages, and not too many.
fn calls_of(works: &BTreeMap<TaskId, Work>, most: usize) -> Vec<Vec<TaskId>> {
    let mut by_pair: BTreeMap<&Pair, Vec<TaskId>> = BTreeMap::new();
    for (id, work) in works {
        by_pair.entry(&work.bucket.pair).or_default().push(*id);
    }
    let tasks = by_pair.values();
    tasks
        .flat_map(|tasks| tasks.chunks(most))
        .map(<[TaskId]>::to_vec)
        .collect()
}

/// The most bytes that a text takes in a job, as if it had a call of its own.
fn weight(work: &Work) -> usize {
    let context = work.context.as_deref().map_or(0, str::len);
    CALL_BYTES + BYTES_PER_BYTE * (work.text.skeleton.len() + context)
}

/// Writes a job down, however often it takes; none when a fall has made it void.
async fn write(
    store: &dyn TaskStore,
    job: BatchJob,
    claims: &[TaskChange],
    is_wanted: Weak<()>,
) -> Option<Vec<Kept>> {
    let words = Words {
        fails: "a job was not written down",
        again: "jobs are written down again",
    };
    let planning = async || {
        if is_wanted.strong_count() == 0 {
            return Ok(None);
        }
        failpoints::hit("task_manager.plan_job");
        let kept = store.plan_job(job.clone(), claims.to_vec()).await?;
        Ok(Some(kept))
    };
    until_answered(words, planning).await
}

impl Handler<JobPlanned> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, planned: JobPlanned, context: &mut Context<Self>) {
        failpoints::hit("task_manager.job_planned");
        if planned.epoch != self.epoch {
            // The restart has found the job in the store.
            return;
        }
        let Some(live) = self.state.jobs.live.get_mut(&planned.token) else {
            return;
        };
        live.planning = None;
        let ghosts = planned.ghosts.iter();
        let ghosts: Vec<Work> = ghosts.filter_map(|id| live.works.remove(id)).collect();
        for work in ghosts {
            self.displace(&work);
            self.release_followers(&[work.key]);
            if let Some(id) = work.task_id() {
                warn!(task:% = id; "a task was not put into a job, because somebody else holds it");
                self.find_stranded(id);
            }
        }
        let live = self.state.jobs.live.get(&planned.token);
        for work in live.iter().flat_map(|live| live.works.values()) {
            if let Subject::Task(task) = &work.subject {
                self.tell(&task.record);
            }
        }
        self.run_job(planned.token, true);
        self.refill();
        self.flush_soon(context);
    }
}

impl Handler<JobEnded> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, JobEnded { token, end }: JobEnded, context: &mut Context<Self>) {
        failpoints::hit("task_manager.job_ended");
        if let Some(live) = self.state.jobs.live.remove(&token) {
            self.end_job(live, end);
        }
        self.dispatch(context);
        self.flush_soon(context);
        self.set_timer();
    }
}

//! One job on its way from its order to its end.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use log::{error, info, warn};
use tokio::sync::Notify;

use super::{Callee, Means, Spare, until_written};
use crate::domain::{Guide, Lane, Moment, Timestamp, Tokens, Translation, Usage};
use crate::failpoints;
use crate::logic::answers::Broken;
use crate::logic::backoff::Backoff;
use crate::logic::checks::Check;
use crate::logic::glossary::Wishes;
use crate::logic::landing::{Exam, Flaw, land};
use crate::logic::price::{IN_A_JOB, usd};
use crate::logic::quota::Urgency;
use crate::messages::{
    Acquire, Acquired, Amend, Brought, Found, Insert, JobCall, JobEnd, JobOrder, JobText, Lookup,
    NotBrought, Permit, Record, Reserve, Verdict,
};
use crate::ports::{
    Answer, BatchAnswers, BatchCall, BatchProgress, Item, KnownKey, Pack, ProviderError,
    ProviderRemedy, Reserved,
};

/// The waits between failures of a provider.
const FAILURES: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(300));
/// How long a provider may go on not taking a job, or its lane granting nothing, before the texts go
/// another way.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// So long after its money was reserved no job is waited for any more; the longest promise is 48 hours.
/// So long one waits for money until its texts are gathered anew.
const LONGEST: Duration = Duration::from_secs(72 * 3_600);
/// So long after its money was reserved no permit for its creation is waited for any more: what is
/// left until then is the longest promise.
const LATEST: Duration = Duration::from_secs(24 * 3_600);
/// How long to wait for a neighbour that fell.
const RETRY: Duration = Duration::from_millis(100);

/// One job, and what it needs.
pub(super) struct Run {
    means: Rc<Means>,
    callee: Rc<Callee>,
    order: JobOrder,
    abandoned: Rc<Notify>,
    is_abandoned: Cell<bool>,
    /// When this run began, by wall clock.
    begun: Timestamp,
    /// What was reserved for it, where that is known.
    reserved: Cell<Option<Reserved>>,
    spare: Spare,
}

impl Run {
    /// A job that ends early when it is `abandoned`.
    pub(super) fn new(
        means: &Rc<Means>,
        callee: Rc<Callee>,
        order: JobOrder,
        abandoned: Rc<Notify>,
        spare: &Spare,
    ) -> Self {
        Self {
            means: Rc::clone(means),
            callee,
            reserved: Cell::new(order.job.reserved),
            order,
            abandoned,
            is_abandoned: Cell::new(false),
            begun: means.wall(),
            spare: Rc::clone(spare),
        }
    }

    /// Finds or creates the job, and brings what came of it.
    pub(super) async fn end(self) -> JobEnd {
        let remote = match &self.order.job.remote {
            Some(remote) => Arc::clone(remote),
            None => match self.found_or_created().await {
                Ok(remote) => remote,
                Err(end) => return end,
            },
        };
        match self.answers(&remote).await {
            Some(answers) => self.landed(&remote, answers).await,
            None => JobEnd::Over(Brought::default()),
        }
    }

    /// The provider's name for the job; it is created only where it provably does not exist.
    async fn found_or_created(&self) -> Result<Arc<str>, JobEnd> {
        let mut may_exist = !self.order.is_new;
        let mut failures = 0;
        // When it was first not taken, and why it was not the last time.
        let mut refused: Option<(Moment, ProviderError)> = None;
        loop {
            let error = if may_exist {
                // What was sent shortly before may still be on its way.
                self.rest(self.means.poll).await;
                match self.find().await {
                    Ok(Some(remote)) => {
                        info!(provider:% = self.callee.name, job:% = remote; "job found again");
                        self.note_found();
                        return Ok(self.noted(remote).await);
                    }
                    Ok(None) => {
                        may_exist = false;
                        let now = self.means.clock.now();
                        match refused {
                            Some((since, error)) if now.since(since) > PATIENCE => {
                                return Err(self.not_made(error));
                            }
                            _ => continue,
                        }
                    }
                    Err(error) => error,
                }
            } else if self.is_abandoned.get() {
                self.give_back();
                return Err(JobEnd::Over(Brought::default()));
            } else if !self.has_money().await {
                // It is there again tomorrow or next month; calls would not get it either.
                if self.is_too_old() {
                    return Err(JobEnd::NoMoney);
                }
                continue;
            } else {
                let permit = self.permit().await?;
                match self.create(permit).await {
                    Ok(remote) => {
                        let n_calls = self.order.calls.len();
                        info!(provider:% = self.callee.name, job:% = remote, calls = n_calls; "job created");
                        return Ok(self.noted(remote).await);
                    }
                    Err(error) => {
                        let now = self.means.clock.now();
                        let since = refused.map_or(now, |(since, _)| since);
                        if may_exist_after(&error) {
                            may_exist = true;
                        } else if is_refusal(&error, now.since(since)) {
                            return Err(self.not_made(error));
                        }
                        refused = Some((since, error.clone()));
                        error
                    }
                }
            };
            if self.is_too_old() {
                if !may_exist {
                    self.give_back();
                }
                return Err(JobEnd::Over(Brought::default()));
            }
            failures += 1;
            self.rest_after(&error, failures).await;
        }
    }

    /// The end of a job that is not there, and that its provider does not take.
    fn not_made(&self, error: ProviderError) -> JobEnd {
        warn!(provider:% = self.callee.name, cause:% = error; "a job was not taken");
        self.give_back();
        JobEnd::NotMade(error)
    }

    async fn find(&self) -> Result<Option<Arc<str>>, ProviderError> {
        let job = &self.order.job;
        self.exchange(self.callee.provider.find(&job.mark, job.planned_at))
            .await
    }

    /// Whether money is reserved for it; asks for it, and waits a little where there is too little.
    ///
    /// It counts until the job is closed, so a crash may make it too much, never too little.
    async fn has_money(&self) -> bool {
        let usd = self.order.usd();
        if self.reserved.get().is_some() {
            return true;
        }
        let mut wait = RETRY;
        // The first time it may only be too little of what is written down.
        for _ in 0..2 {
            let lane = self.callee.lane.clone();
            let asked = self.means.peers.reserve.send(Reserve { lane, usd }).await;
            if let Ok(Some(at)) = asked {
                self.reserved.set(Some(Reserved { usd, at }));
                return true;
            }
            self.rest(wait).await;
            if self.is_abandoned.get() {
                return false;
            }
            wait = self.means.poll;
        }
        false
    }

    /// Has the age of a job that was found count from now, where nobody knows when it was handed in.
    fn note_found(&self) {
        if self.reserved.get().is_none() {
            let at = self.means.wall();
            self.reserved.set(Some(Reserved { usd: 0.0, at }));
        }
    }

    /// Gives back what was reserved for a job that does not exist.
    fn give_back(&self) {
        if let Some(Reserved { usd, at }) = self.reserved.take() {
            self.amend(-usd, at);
        }
    }

    fn amend(&self, usd: f64, at: Timestamp) {
        self.means.peers.amend.do_send(Amend {
            lane: self.callee.lane.clone(),
            at,
            usd,
        });
    }

    /// A permit for the creation; none when the system has ended.
    ///
    /// The job ends without one when nobody wants it any more, and when its lane has granted
    /// nothing for an hour and nobody can tell until when, as while a person has paused it.
    async fn permit(&self) -> Result<Option<Permit>, JobEnd> {
        let acquire = &self.means.peers.acquire;
        loop {
            if self.is_abandoned.get() {
                self.give_back();
                return Err(JobEnd::Over(Brought::default()));
            }
            let permits = match acquire.send(acquire_one(&self.callee.lane)).await {
                Ok(Acquired::Now(permits)) => permits,
                Ok(Acquired::Later { until, permits }) => {
                    match self.within(PATIENCE, permits).await {
                        // Closed when the limiter fell: ask again.
                        Some(permits) => permits.unwrap_or_default(),
                        None if self.is_abandoned.get() => continue,
                        None if until.is_none() || self.age() > LATEST => {
                            let detail = "the lane has granted nothing for an hour".to_owned();
                            let closed = ProviderError::RateLimited { wait: None, detail };
                            return Err(self.not_made(closed));
                        }
                        // By now it may be closed in another manner.
                        None => continue,
                    }
                }
                Err(_) if !acquire.connected() => return Ok(None),
                Err(_) => Vec::new(),
            };
            match permits.into_iter().next() {
                Some(permit) => return Ok(Some(permit)),
                None => self.rest(RETRY).await,
            }
        }
    }

    async fn create(&self, permit: Option<Permit>) -> Result<Arc<str>, ProviderError> {
        let edition = &self.means.edition;
        let calls = self.order.calls.iter();
        let calls: Vec<BatchCall> = calls
            .map(|order| call(order, edition.guide(&order.pair).as_ref()))
            .collect();
        let mark = &self.order.job.mark;
        let created = self
            .exchange(self.callee.provider.create(mark, &calls))
            .await;
        if !matches!(created, Err(ProviderError::Unreachable { .. })) {
            // The quotas of jobs are their own, so a refusal says nothing of the lane.
            let tokens = Some(Tokens::default());
            if let Some(permit) = permit {
                permit.settle(Verdict::Spent { tokens }, Vec::new());
            }
        }
        created
    }

    /// Writes the provider's name for the job down.
    async fn noted(&self, remote: Arc<str>) -> Arc<str> {
        failpoints::hit("batcher.created");
        let token = self.order.job.token;
        let note = async || {
            let store = &self.means.store;
            let reserved = self.reserved.get();
            store.note_job(token, Arc::clone(&remote), reserved).await
        };
        until_written(note).await;
        remote
    }

    /// What came of the job, once it is over; none when nobody wants it any more.
    async fn answers(&self, remote: &str) -> Option<BatchAnswers> {
        let mut failures = 0;
        loop {
            self.rest(self.means.chance.jitter(self.means.poll)).await;
            if self.is_abandoned.get() {
                return None;
            }
            match self.exchange(self.callee.provider.look(remote)).await {
                Ok(BatchProgress::Over(answers)) => return Some(answers),
                Ok(BatchProgress::Running) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.rest_after(&error, failures).await;
                }
            }
            if self.is_too_old() {
                return Some(BatchAnswers::lost("the job was not over after 72 hours"));
            }
        }
    }

    /// Whether it was handed in too long ago, or waits for money, or is looked for, for too long.
    fn is_too_old(&self) -> bool {
        self.age() > LONGEST
    }

    /// How long ago its money was reserved, or this run began where that is not known.
    fn age(&self) -> Duration {
        let reserved = self.reserved.get();
        let since = reserved.map_or(self.begun, |reserved| reserved.at);
        self.means.wall().since(since)
    }

    /// Checks what came back as any call's answer is checked, and tells the cache.
    async fn landed(&self, remote: &str, answers: BatchAnswers) -> JobEnd {
        let BatchAnswers {
            answers,
            why,
            may_lack_answers,
        } = answers;
        let mut by_key: HashMap<Arc<str>, Vec<Result<Answer, ProviderError>>> = HashMap::new();
        for (key, answer) in answers {
            by_key.entry(key).or_default().push(answer);
        }
        let (mut brought, mut known) = (Brought::default(), Vec::new());
        // None as soon as it cannot be told what has to be paid.
        let mut cost_usd = (!may_lack_answers).then_some(0.0);
        for call in &*self.order.calls {
            let mut answers = by_key.remove(&call.key).unwrap_or_default();
            let call_usd = match (answers.pop(), answers.is_empty()) {
                (Some(Ok(answer)), true) => {
                    let took = self.took(&answer);
                    let call_usd = answer.usage.map(|_| took.cost_usd);
                    let landing = || self.land(call, answer, took);
                    if let Ok((landed, learned)) = catch_unwind(AssertUnwindSafe(landing)) {
                        brought.texts.extend(landed.texts);
                        brought.charged.extend(landed.charged);
                        known.extend(learned);
                    } else {
                        error!(provider:% = self.callee.name, job = remote; "an answer of a job made the code panic");
                        fail(
                            call,
                            &"its answer could not be checked".into(),
                            &mut brought,
                        );
                    }
                    call_usd
                }
                (Some(Err(error)), true) => {
                    fail(call, &error.to_string().into(), &mut brought);
                    Some(if may_be_paid(&error) { call.usd } else { 0.0 })
                }
                (Some(_), false) => {
                    fail(call, &"its call was answered twice".into(), &mut brought);
                    None
                }
                (None, _) => {
                    let why = why.clone();
                    let why = why.unwrap_or_else(|| "no answer came for its call".into());
                    fail(call, &why, &mut brought);
                    Some(0.0)
                }
            };
            cost_usd = cost_usd.and_then(|usd| Some(usd + call_usd?));
        }
        let n_texts = brought.texts.len();
        info!(provider:% = self.callee.name, job = remote, texts = n_texts, translated = known.len(),
            why = why.as_deref().unwrap_or("done"); "job over");
        if let Some(cost_usd) = cost_usd {
            self.charge(cost_usd);
        }
        self.tell_cache(known).await;
        JobEnd::Over(brought)
    }

    /// Counts what it cost instead of what was reserved.
    ///
    /// What it cost beyond that counts before its texts have ended, what is left only when nobody
    /// will look at it again; so no crash between makes it too little.
    fn charge(&self, cost_usd: f64) {
        let reserved = self.reserved.get();
        let Reserved { usd, at } = reserved.unwrap_or(Reserved {
            usd: 0.0,
            at: self.means.clock.wall(),
        });
        let change = cost_usd - usd;
        if change >= 0.0 {
            return self.amend(change, at);
        }
        let amend = Amend {
            lane: self.callee.lane.clone(),
            at,
            usd: change,
        };
        self.spare.borrow_mut().insert(self.order.job.token, amend);
    }

    fn took(&self, answer: &Answer) -> Usage {
        let usage = answer.usage.unwrap_or_default();
        let alone = usd(usage.tokens(), self.callee.price);
        Usage {
            cost_usd: alone * IN_A_JOB,
            ..usage
        }
    }

    fn land(
        &self,
        call: &JobCall,
        answer: Answer,
        took: Usage,
    ) -> (Brought, Vec<(KnownKey, Arc<Translation>)>) {
        failpoints::hit("batcher.land");
        let (mut brought, mut known) = (Brought::default(), Vec::new());
        let sent: Vec<_> = call
            .texts
            .iter()
            .map(|text| (Arc::clone(&text.id), Arc::clone(&text.text)))
            .collect();
        let charged = answer.charged();
        let tasks = call.texts.iter().map(|text| text.task).collect();
        brought.charged.push((tasks, charged));
        let answered = answer.items.into_iter().map(|item| (item.id, item.text));
        let guide = self.means.edition.guide(&call.pair);
        let wishes = Wishes::of(
            guide.as_deref(),
            call.texts.iter().map(|it| &*it.text.skeleton),
        );
        let exam = Exam {
            checks: self.means.checks,
            pair: &call.pair,
            wishes: &wishes,
        };
        let landed = land(&sent, answered, (charged.ending, took), exam);
        for (text, landed) in call.texts.iter().zip(landed) {
            if let Err(Flaw::Faulty { fault, .. }) = &landed.text {
                self.means.peers.record.do_send(Record::of_fault(fault));
            }
            // What is not as it was wanted goes on by an ordinary call.
            let wanted = landed.text.map_err(|flaw| not_brought(&flaw));
            let translated = wanted.map(|sound| {
                Arc::new(Translation {
                    text: sound.text,
                    provider: self.callee.name.clone(),
                    model: Arc::clone(&answer.model),
                    cached: false,
                    usage: landed.usage,
                })
            });
            if let Ok(translation) = &translated {
                known.push((text.known_by, Arc::clone(translation)));
            }
            brought.texts.push((text.task, translated));
        }
        (brought, known)
    }

    /// Tells the cache what is new to it; what others are at comes from them.
    async fn tell_cache(&self, known: Vec<(KnownKey, Arc<Translation>)>) {
        if known.is_empty() {
            return;
        }
        let keys = known.iter().map(|(key, _)| *key).collect();
        // A cache that fell over the question learns these texts another time.
        let found = self.means.peers.lookup.send(Lookup(keys)).await;
        let found = found.unwrap_or_default();
        let led = found.into_iter().zip(known);
        let told: Vec<_> = led
            .filter_map(|(found, (_, translation))| match found {
                Found::Lead(leadership) => Some((leadership, Ok(translation))),
                Found::Known(_) | Found::Due(..) | Found::Wait(_) => None,
            })
            .collect();
        self.means.peers.insert.do_send(Insert(told));
    }

    /// One exchange with the provider; a panic in it is an error like others.
    async fn exchange<T>(
        &self,
        exchange: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let begun = self.means.clock.now();
        let exchange = async {
            failpoints::hit("batcher.call");
            exchange.await
        };
        let outcome = AssertUnwindSafe(exchange).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| {
            error!(provider:% = self.callee.name; "a call panicked");
            Err(ProviderError::Unanswered {
                detail: "the call panicked".to_owned(),
            })
        });
        self.means.peers.record.do_send(Record {
            operation: self.callee.operation.clone(),
            took: self.means.clock.now().since(begun),
            is_error: outcome.is_err(),
        });
        outcome
    }

    /// Waits as long as a failure asks for, or as long as so many of them in a row advise.
    async fn rest_after(&self, error: &ProviderError, failures: u32) {
        if failures == 1 {
            warn!(provider:% = self.callee.name, cause:% = error; "a job's provider fails");
        }
        let asked = asked_wait(error).unwrap_or_default().min(PATIENCE);
        let wait = asked.max(FAILURES.after(failures));
        self.rest(self.means.chance.jitter(wait)).await;
    }

    /// Waits, but not longer than the job is wanted.
    async fn rest(&self, wait: Duration) {
        self.within(wait, std::future::pending::<()>()).await;
    }

    /// What comes within a time, as long as the job is wanted.
    async fn within<T>(&self, wait: Duration, coming: impl Future<Output = T>) -> Option<T> {
        let (coming, abandoned) = (pin!(coming), pin!(self.abandoned.notified()));
        match tokio::time::timeout(wait, select(coming, abandoned)).await {
            Ok(Either::Left((it, _))) => Some(it),
            Ok(Either::Right(_)) => {
                self.is_abandoned.set(true);
                None
            }
            Err(_) => None,
        }
    }
}

/// Whether a job whose creation failed so may be there all the same.
const fn may_exist_after(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::Transient { .. } | ProviderError::Unanswered { .. }
    )
}

/// Whether a provider that proved to have no job will take none for now.
fn is_refusal(error: &ProviderError, waited: Duration) -> bool {
    let is_final = matches!(
        error.remedy(),
        ProviderRemedy::ParkForPerson | ProviderRemedy::Split | ProviderRemedy::OtherProvider
    );
    let is_far = asked_wait(error).is_some_and(|wait| waited + wait > PATIENCE);
    is_final || is_far || waited > PATIENCE
}

const fn asked_wait(error: &ProviderError) -> Option<Duration> {
    match error.remedy() {
        ProviderRemedy::Retry(wait) | ProviderRemedy::Park(wait) => wait,
        _ => None,
    }
}

/// Whether a call of a job that ended so may have to be paid; nobody says how much.
const fn may_be_paid(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::Rejected { .. } | ProviderError::Unanswered { .. }
    )
}

fn call(call: &JobCall, guide: Option<&Arc<Guide>>) -> BatchCall {
    let item = |text: &JobText| Item {
        id: Arc::clone(&text.id),
        text: Arc::clone(&text.text.skeleton),
        context: text.context.clone(),
    };
    BatchCall {
        key: Arc::clone(&call.key),
        pack: Pack {
            pair: call.pair.clone(),
            items: call.texts.iter().map(item).collect(),
            max_tokens: call.max_tokens,
            guide: guide.map(Arc::clone),
        },
    }
}

fn not_brought(flaw: &Flaw) -> NotBrought {
    let why = || flaw.to_string().into();
    match flaw {
        Flaw::Broken(Broken::Cut) => NotBrought::Cut,
        Flaw::Broken(_) => NotBrought::Broken(why()),
        Flaw::Faulty { fault, .. } if fault.check == Check::Spans => NotBrought::Broken(why()),
        Flaw::Faulty { .. } => NotBrought::Because(why()),
    }
}

fn fail(call: &JobCall, why: &Arc<str>, brought: &mut Brought) {
    let because = || NotBrought::Because(Arc::clone(why));
    let texts = call.texts.iter();
    brought
        .texts
        .extend(texts.map(|text| (text.task, Err(because()))));
}

/// Asks for a permit whose call is no call of a text.
fn acquire_one(lane: &Lane) -> Acquire {
    Acquire {
        lane: lane.clone(),
        urgency: Urgency::Bulk,
        calls: 1,
        tokens: Tokens::default(),
        usd: 0.0,
    }
}

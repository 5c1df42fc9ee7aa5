//! Has jobs made by the batch interfaces of providers: creates each once, polls it, brings its end.

mod run;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient, ResponseFuture, Supervised};
use futures_util::future::{AbortHandle, abortable};
use log::{info, warn};
use tokio::sync::Notify;

use crate::domain::{Lane, ProviderName, Timestamp};
use crate::failpoints;
use crate::logic::checks::Checks;
use crate::logic::known::Edition;
use crate::logic::steady::Steady;
use crate::messages::{
    AbandonJob, Acquire, Amend, CloseJob, Insert, JobEnd, Lookup, Operation, Record, Reserve,
    RunJob,
};
use crate::ports::{BatchProvider, Chance, Clock, ProviderError, StoreError, TaskStore, Token};
use crate::supervision::{Words, until_answered};

use run::Run;

/// A provider as the batcher uses it.
pub struct Callee {
    /// Its name.
    pub name: ProviderName,
    /// Whoever counts us.
    pub lane: Lane,
    /// The adapter.
    pub provider: Rc<dyn BatchProvider>,
    /// US dollars per million tokens, in and out, as a single call costs them.
    pub price: (f64, f64),
    /// Where its exchanges are counted.
    pub operation: Operation,
}

/// Whom the batcher knows.
#[derive(Clone)]
pub struct Peers {
    /// Whether a translation is wanted by the cache.
    pub lookup: Recipient<Lookup>,
    /// Where translations are told.
    pub insert: Recipient<Insert>,
    /// Who grants permits.
    pub acquire: Recipient<Acquire>,
    /// Who reserves money.
    pub reserve: Recipient<Reserve>,
    /// Who corrects what was reserved.
    pub amend: Recipient<Amend>,
    /// Who counts.
    pub record: Recipient<Record>,
}

/// What every run needs.
struct Means {
    clock: Arc<dyn Clock>,
    /// The wall time by which a job is too old.
    steady: Rc<Steady>,
    chance: Arc<dyn Chance>,
    store: Rc<dyn TaskStore>,
    peers: Peers,
    /// How often a job is looked at.
    poll: Duration,
    /// What translations depend on beside their texts.
    edition: Edition,
    /// What is looked at in translations.
    checks: Checks,
}

impl Means {
    /// What time it is for the age of jobs.
    fn wall(&self) -> Timestamp {
        self.clock.steadied(&self.steady).wall
    }
}

/// Has jobs made.
pub struct BatcherActor {
    means: Rc<Means>,
    callees: HashMap<ProviderName, Rc<Callee>>,
    runs: Runs,
    /// What comes back of what was reserved for jobs, once they are closed.
    spare: Spare,
}

/// What of the money of jobs that are over was not needed, by their tokens.
type Spare = Rc<RefCell<HashMap<Token, Amend>>>;

/// The jobs that are under way; dropped with the actor, because whoever comes after it creates
/// and polls them anew.
#[derive(Default)]
struct Runs(HashMap<Token, (AbortHandle, Rc<Notify>)>);

impl Drop for Runs {
    fn drop(&mut self) {
        for (abort, _) in self.0.values() {
            abort.abort();
        }
    }
}

impl BatcherActor {
    /// A batcher that can have jobs made by these providers, looks at each so often, and makes
    /// these checks on what comes back.
    pub fn new(
        (clock, steady, chance): (Arc<dyn Clock>, Rc<Steady>, Arc<dyn Chance>),
        store: Rc<dyn TaskStore>,
        peers: Peers,
        callees: Vec<Callee>,
        (poll, edition, checks): (Duration, Edition, Checks),
    ) -> Self {
        let callees = callees
            .into_iter()
            .map(|callee| (callee.name.clone(), Rc::new(callee)))
            .collect();
        let means = Rc::new(Means {
            clock,
            steady,
            chance,
            store,
            peers,
            poll,
            edition,
            checks,
        });
        Self {
            means,
            callees,
            runs: Runs::default(),
            spare: Spare::default(),
        }
    }
}

impl Actor for BatcherActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("batcher.started");
    }
}

/// Runs are no part of the actor, so a fall has nothing to rebuild.
impl Supervised for BatcherActor {}

impl Handler<RunJob> for BatcherActor {
    type Result = ResponseFuture<Option<JobEnd>>;

    fn handle(&mut self, RunJob(mut order): RunJob, _: &mut Self::Context) -> Self::Result {
        failpoints::hit("batcher.handler");
        let token = order.job.token;
        let Some(callee) = self.callees.get(&order.job.provider).map(Rc::clone) else {
            let error = ProviderError::Unsupported {
                detail: format!("`{}` takes no jobs in this system", order.job.provider),
            };
            return Box::pin(std::future::ready(Some(JobEnd::NotMade(error))));
        };
        self.runs.0.retain(|_, (abort, _)| !abort.is_aborted());
        if let Some((earlier, _)) = self.runs.0.remove(&token) {
            // Whoever asked for it has gone, and it may have come as far as creating the job.
            earlier.abort();
            order.is_new = false;
        }
        let abandoned = Rc::new(Notify::new());
        let run = Run::new(
            &self.means,
            callee,
            order,
            Rc::clone(&abandoned),
            &self.spare,
        );
        let (run, abort) = abortable(run.end());
        let over = abort.clone();
        self.runs.0.insert(token, (abort, abandoned));
        Box::pin(async move {
            let end = run.await.ok();
            // Marks the run as one to be forgotten.
            over.abort();
            end
        })
    }
}

impl Handler<AbandonJob> for BatcherActor {
    type Result = ();

    fn handle(&mut self, AbandonJob(token): AbandonJob, _: &mut Self::Context) {
        if let Some((_, abandoned)) = self.runs.0.get(&token) {
            abandoned.notify_one();
        }
    }
}

impl Handler<CloseJob> for BatcherActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, CloseJob(job): CloseJob, _: &mut Self::Context) -> Self::Result {
        failpoints::hit("batcher.close");
        let (means, callee) = (Rc::clone(&self.means), self.callees.get(&job.provider));
        let callee = callee.map(Rc::clone);
        let spare = Rc::clone(&self.spare);
        Box::pin(async move {
            let jobs = until_written(async || means.store.jobs().await).await;
            let kept = jobs.into_iter().find(|kept| kept.token == job.token);
            let remote = kept.and_then(|kept| kept.remote);
            if let (Some(callee), Some(remote)) = (&callee, &remote)
                && let Err(error) = callee.provider.discard(remote).await
            {
                warn!(provider:% = job.provider, job:% = remote, cause:% = error; "a job's files are left behind");
            }
            until_written(async || means.store.close_job(job.token).await).await;
            // Only now, because a job that is looked at again after a crash would give it back again.
            let spare = spare.borrow_mut().remove(&job.token);
            if let Some(spare) = spare {
                means.peers.amend.do_send(spare);
            }
            info!(provider:% = job.provider, job = remote.as_deref().unwrap_or(&job.mark); "job closed");
        })
    }
}

/// Asks the store again and again, until it does it.
async fn until_written<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let words = Words {
        fails: "the store does not write jobs",
        again: "the store writes jobs again",
    };
    let asking = async || {
        failpoints::hit("batcher.write");
        ask().await
    };
    until_answered(words, asking).await
}

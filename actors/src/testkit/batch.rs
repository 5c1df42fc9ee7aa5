//! A provider of jobs that translates by the plain rule, and misbehaves exactly as a test tells it to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::provider::{ProviderFault, answer, full_usage};
use crate::domain::Timestamp;
use crate::logic::price::{IN_A_JOB, usd};
use crate::ports::{
    Answer, BatchAnswers, BatchBounds, BatchCall, BatchProgress, BatchProvider, ProviderError,
};

/// What goes wrong with the creation of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateFault {
    /// The job is refused with this error.
    Error(ProviderError),
    /// The job is created, and nobody is told.
    Lost,
    /// The job is created, and the answer takes for ever.
    Silent,
    /// The job is created, and the code panics.
    Panic,
}

/// How a job ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Every call is answered, the last first.
    #[default]
    Well,
    /// It expires with so many calls answered.
    Expired(usize),
    /// Nothing is answered.
    Failed,
    /// The first call is refused, the others are answered.
    FirstRefused,
    /// The first call is answered twice.
    FirstTwice,
    /// The protected spans of every text are gone.
    Unmarked,
    /// Only the first half of every answer, rounded down, was finished.
    Cut,
}

/// A deterministic provider of jobs; its clones are the same provider.
#[derive(Clone, Default)]
pub struct FakeBatchProvider {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    create_faults: VecDeque<CreateFault>,
    look_faults: VecDeque<ProviderError>,
    /// How often a job is looked at until it is over.
    looks: usize,
    ending: Ending,
    jobs: Vec<FakeJob>,
    n_finds: usize,
    n_discarded: usize,
}

struct FakeJob {
    mark: String,
    calls: Vec<BatchCall>,
    looks: usize,
    is_discarded: bool,
}

impl FakeBatchProvider {
    /// A provider whose jobs are over when they are looked at so often.
    pub fn over_after(looks: usize) -> Self {
        let provider = Self::default();
        provider.shared.borrow_mut().looks = looks;
        provider
    }

    /// Adds a fault to the script: each creation takes the next, in order.
    pub fn then(&self, fault: CreateFault) {
        self.shared.borrow_mut().create_faults.push_back(fault);
    }

    /// Makes one look at a job fail.
    pub fn then_look(&self, error: ProviderError) {
        self.shared.borrow_mut().look_faults.push_back(error);
    }

    /// Sets how often a job is looked at until it is over.
    pub fn set_looks(&self, looks: usize) {
        self.shared.borrow_mut().looks = looks;
    }

    /// Sets how jobs end.
    pub fn end(&self, ending: Ending) {
        self.shared.borrow_mut().ending = ending;
    }

    /// Forgets every job, as if somebody else had deleted it.
    pub fn forget_jobs(&self) {
        for job in &mut self.shared.borrow_mut().jobs {
            job.is_discarded = true;
        }
    }

    /// How many jobs were ever created.
    pub fn n_jobs(&self) -> usize {
        self.shared.borrow().jobs.len()
    }

    /// How many jobs were ended or deleted by us.
    pub fn n_discarded(&self) -> usize {
        self.shared.borrow().n_discarded
    }

    /// How often a job was looked for.
    pub fn n_finds(&self) -> usize {
        self.shared.borrow().n_finds
    }

    /// How many texts each job had, in the order of their creation.
    pub fn sizes(&self) -> Vec<usize> {
        let shared = self.shared.borrow();
        let texts = |job: &FakeJob| job.calls.iter().map(|call| call.pack.items.len()).sum();
        shared.jobs.iter().map(texts).collect()
    }

    /// The most texts that a call of each job had, in the order of their creation.
    pub fn most_in_a_call(&self) -> Vec<usize> {
        let shared = self.shared.borrow();
        let texts = |job: &FakeJob| job.calls.iter().map(|call| call.pack.items.len()).max();
        shared.jobs.iter().filter_map(texts).collect()
    }

    /// What all jobs cost at these prices, as if every call had been answered.
    pub fn billed(&self, price: (f64, f64)) -> f64 {
        let shared = self.shared.borrow();
        let calls = shared.jobs.iter().flat_map(|job| &job.calls);
        let bills = calls.map(|call| usd(full_usage(&call.pack).tokens(), price) * IN_A_JOB);
        bills.sum()
    }

    fn take(&self, mark: &str, calls: &[BatchCall]) -> (Arc<str>, Option<CreateFault>) {
        let mut shared = self.shared.borrow_mut();
        let fault = shared.create_faults.pop_front();
        if !matches!(fault, Some(CreateFault::Error(_))) {
            shared.jobs.push(FakeJob {
                mark: mark.to_owned(),
                calls: calls.to_vec(),
                looks: 0,
                is_discarded: false,
            });
        }
        (shared.jobs.len().to_string().into(), fault)
    }

    fn progress(&self, remote: &str) -> Result<BatchProgress, ProviderError> {
        let mut shared = self.shared.borrow_mut();
        if let Some(error) = shared.look_faults.pop_front() {
            return Err(error);
        }
        let (looks, ending) = (shared.looks, shared.ending.clone());
        let job = job_of(&mut shared, remote);
        let Some(job) = job.filter(|job| !job.is_discarded) else {
            let lost = BatchAnswers::lost("there is no such job");
            return Ok(BatchProgress::Over(lost));
        };
        job.looks += 1;
        if job.looks < looks {
            return Ok(BatchProgress::Running);
        }
        Ok(BatchProgress::Over(answers(&job.calls, &ending)))
    }
}

fn job_of<'a>(shared: &'a mut Shared, remote: &str) -> Option<&'a mut FakeJob> {
    let number: usize = remote.parse().ok()?;
    shared.jobs.get_mut(number.checked_sub(1)?)
}

fn answers(calls: &[BatchCall], ending: &Ending) -> BatchAnswers {
    let mut answers: Vec<(Arc<str>, Result<Answer, ProviderError>)> = calls
        .iter()
        .map(|call| (Arc::clone(&call.key), answer(&call.pack, None)))
        .collect();
    let mut why = None;
    match ending {
        Ending::Well => answers.reverse(),
        Ending::Expired(n_answered) => {
            answers.truncate(*n_answered);
            why = Some("the job expired".into());
        }
        Ending::Failed => {
            answers.clear();
            why = Some("the job failed".into());
        }
        Ending::FirstRefused => {
            let detail = "as told".to_owned();
            answers[0].1 = Err(ProviderError::Rejected { detail });
        }
        Ending::FirstTwice => answers.push(answers[0].clone()),
        Ending::Cut => {
            let cut = |call: &BatchCall| answer(&call.pack, Some(ProviderFault::Truncated));
            for ((_, answer), call) in answers.iter_mut().zip(calls) {
                *answer = cut(call);
            }
        }
        Ending::Unmarked => {
            for answer in answers.iter_mut().filter_map(|(_, it)| it.as_mut().ok()) {
                for item in &mut answer.items {
                    item.text = item.text.replace(['⟦', '⟧'], "");
                }
            }
        }
    }
    BatchAnswers {
        answers,
        why,
        ..BatchAnswers::default()
    }
}

impl BatchProvider for FakeBatchProvider {
    fn bounds(&self) -> BatchBounds {
        BatchBounds {
            calls: 10_000,
            bytes: 16 << 20,
        }
    }

    fn create<'a>(
        &'a self,
        mark: &'a str,
        calls: &'a [BatchCall],
    ) -> LocalBoxFuture<'a, Result<Arc<str>, ProviderError>> {
        Box::pin(async move {
            let (remote, fault) = self.take(mark, calls);
            match fault {
                None => Ok(remote),
                Some(CreateFault::Error(error)) => Err(error),
                Some(CreateFault::Lost) => Err(ProviderError::Transient {
                    detail: "the answer was lost".to_owned(),
                    wait: None,
                }),
                Some(CreateFault::Silent) => std::future::pending().await,
                Some(CreateFault::Panic) => panic!("the fake provider was told to panic"),
            }
        })
    }

    fn find<'a>(
        &'a self,
        mark: &'a str,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Arc<str>>, ProviderError>> {
        Box::pin(async move {
            let mut shared = self.shared.borrow_mut();
            shared.n_finds += 1;
            let found = shared.jobs.iter().position(|job| job.mark == mark);
            Ok(found.map(|index| (index + 1).to_string().into()))
        })
    }

    fn look<'a>(
        &'a self,
        remote: &'a str,
    ) -> LocalBoxFuture<'a, Result<BatchProgress, ProviderError>> {
        Box::pin(async move { self.progress(remote) })
    }

    fn discard<'a>(&'a self, remote: &'a str) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            let mut shared = self.shared.borrow_mut();
            shared.n_discarded += 1;
            if let Some(job) = job_of(&mut shared, remote) {
                job.is_discarded = true;
            }
            Ok(())
        })
    }
}

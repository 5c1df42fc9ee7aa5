//! What follows from the end of a job, text by text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::lookup::Made;
use super::super::work::Work;
use super::{CLOSED, Live, TaskManagerActor};
use crate::domain::TaskId;
use crate::logic::lifecycle::Step;
use crate::messages::{Brought, CloseJob, JobEnd, NotBrought};
use crate::ports::BatchJob;

impl TaskManagerActor {
    pub(super) fn end_job(&mut self, live: Live, end: JobEnd) {
        let ids: Vec<TaskId> = live.works.keys().copied().collect();
        let mut again = Vec::new();
        match end {
            JobEnd::Over(brought) => {
                self.learn_from_job(&live, &brought);
                let mut texts: HashMap<_, _> = brought.texts.into_iter().collect();
                for (id, mut work) in live.works {
                    match texts.remove(&id) {
                        Some(Ok(translation)) => self.complete(work, &translation, Made::ByCall),
                        Some(Err(why)) => {
                            if why == NotBrought::Cut {
                                work.was_cut();
                            }
                            again.push((work, why.to_string().into(), false));
                        }
                        None => again.push((work, "the job brought nothing".into(), false)),
                    }
                }
            }
            JobEnd::NoMoney => {
                let why: Arc<str> = "there was no money for its job".into();
                let works = live.works.into_values();
                again.extend(works.map(|work| (work, Arc::clone(&why), true)));
            }
            JobEnd::NotMade(error) => {
                if let Some(route) = live.route {
                    let until = self.clock.now().plus(CLOSED);
                    self.state.jobs.closed.insert(route, until);
                }
                let why: Arc<str> = error.to_string().into();
                let works = live.works.into_values();
                again.extend(works.map(|work| (work, Arc::clone(&why), true)));
            }
        }
        let mut works = Vec::with_capacity(again.len());
        for (mut work, why, refund) in again {
            if self.step_back(&mut work, Step::Again { why, refund }) {
                works.push(work);
            }
        }
        self.look_up(works);
        self.release_followers(&live.keys);
        self.close_when_written(live.job, &ids);
    }

    /// Learns from the calls of a job that were answered: how many texts are digested, and, from
    /// those that had all of their texts to the end, what these were charged.
    fn learn_from_job(&mut self, live: &Live, brought: &Brought) {
        let Some(route) = live.route else { return };
        let wanted = self.wanted_size(route);
        let texts = brought.texts.iter();
        let broken = texts.filter(|(_, end)| matches!(end, Err(NotBrought::Broken(_))));
        let broken: HashSet<TaskId> = broken.map(|(id, _)| *id).collect();
        for (tasks, charged) in &brought.charged {
            let n_broken = tasks.iter().filter(|id| broken.contains(id)).count();
            let digestion = &mut self.learned[route].digestion;
            digestion.learn(tasks.len(), n_broken, wanted);
            let works: Option<Vec<&Work>> = tasks.iter().map(|id| live.works.get(id)).collect();
            if let Some(works) = works
                && let Some(first) = works.first()
            {
                let weight = works.iter().map(|work| work.bare_weight()).sum();
                let estimates = &mut self.learned[route].estimates;
                estimates.learn_call(&first.bucket.pair, weight, *charged);
            }
        }
    }

    /// Closes a job once the ends of its tasks are durable.
    fn close_when_written(&mut self, job: Arc<BatchJob>, ids: &[TaskId]) {
        let ids: HashSet<TaskId> = ids.iter().copied().collect();
        // All of them are written in one batch, so the last stands for all.
        let last = {
            let book = self.book.lock();
            let mut changes = book.outbox.changes.iter().rev();
            let last = changes.find(|it| ids.contains(&it.change.id));
            last.map(|it| it.change.id)
        };
        let Some(last) = last else {
            return self.close_job(job);
        };
        let (sender, recorded) = oneshot::channel();
        self.state.waiters.entry(last).or_default().push(sender);
        let close = self.peers.batcher.close.clone();
        actix_rt::spawn(async move {
            // After a fall the job is closed at the next start.
            if matches!(recorded.await, Ok(Ok(()))) {
                let _ = close.send(CloseJob(job)).await;
            }
        });
    }

    pub(super) fn close_job(&self, job: Arc<BatchJob>) {
        let sending = self.peers.batcher.close.send(CloseJob(job));
        actix_rt::spawn(async move {
            // A job that is not closed is closed at the next start.
            let _ = sending.await;
        });
    }
}

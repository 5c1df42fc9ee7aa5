//! How the store in memory keeps jobs.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::MemoryStore;
use crate::ports::{BatchJob, BatchStore, Kept, Reserved, StoreError, TaskChange, Token};

impl BatchStore for MemoryStore {
    fn plan_job(
        &self,
        job: BatchJob,
        claims: Vec<TaskChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write(move |committed| {
            committed.jobs.insert(job.token, job);
            let claims = claims.into_iter();
            claims.map(|claim| committed.record(claim)).collect()
        })
    }

    fn note_job(
        &self,
        token: Token,
        remote: Arc<str>,
        reserved: Option<Reserved>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            if let Some(job) = committed.jobs.get_mut(&token) {
                (job.remote, job.reserved) = (Some(remote), reserved);
            }
        })
    }

    fn close_job(&self, token: Token) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            committed.jobs.remove(&token);
        })
    }

    fn jobs(&self) -> LocalBoxFuture<'_, Result<Vec<BatchJob>, StoreError>> {
        self.read(|committed| committed.jobs.values().cloned().collect())
    }
}

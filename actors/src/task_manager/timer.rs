//! Rings when the next backoff or deadline ends, or a job is to be planned.

use std::time::Duration;

use actix::Handler;

use super::TaskManagerActor;
use crate::domain::{Failure, FailureKind, Moment, Timestamp};
use crate::failpoints;

/// A timer of the task manager rings.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Ring;

impl Handler<Ring> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: Ring, context: &mut Self::Context) {
        self.state.rings_at = None;
        failpoints::hit("task_manager.timer");
        self.release_delayed();
        self.expire();
        self.plan_due_jobs();
        self.look_at_calls();
        self.dispatch(context);
        self.flush_soon(context);
        self.set_timer();
    }
}

impl TaskManagerActor {
    /// Sets the timer for the next backoff or deadline that ends, or job to be planned.
    pub(super) fn set_timer(&mut self) {
        let delayed = self.state.delayed.keys().next().map(|(moment, _)| *moment);
        let deadline = self.state.deadlines.first().map(|(due, _)| {
            let wait = due.since(self.steady_wall());
            self.clock.now().plus(wait)
        });
        let call = self.state.under_way.next_look();
        let job = self.state.jobs.next_due();
        let moments = [delayed, deadline, call, job];
        if let Some(next) = moments.into_iter().flatten().min() {
            self.ring_by(next);
        }
    }

    /// Lets the timer ring at that moment, unless it rings before.
    pub(super) fn ring_by(&mut self, next: Moment) {
        if self.state.rings_at.is_some_and(|rings| rings <= next) {
            return;
        }
        self.state.rings_at = Some(next);
        self.ring_after(next.since(self.clock.now()));
    }

    pub(super) fn ring_after(&self, wait: Duration) {
        let own = self.own.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(Ring);
        });
    }

    /// Finds places for work whose backoff is over.
    fn release_delayed(&mut self) {
        let now = self.clock.now();
        let mut released = Vec::new();
        while let Some(entry) = self.state.delayed.first_entry()
            && entry.key().0 <= now
        {
            released.push(entry.remove());
        }
        self.look_up(released);
    }

    /// The wall time by which deadlines pass; it does not leap ahead with a clock that is wrong for
    /// a while.
    pub(super) fn steady_wall(&self) -> Timestamp {
        self.clock.steadied(&self.steady).wall
    }

    /// Fails tasks in memory whose deadline has passed.
    fn expire(&mut self) {
        let wall = self.steady_wall();
        while let Some(&(due, id)) = self.state.deadlines.first()
            && due <= wall
        {
            self.state.deadlines.pop_first();
            self.fail_in_place(id, expired());
        }
    }
}

/// Why a task failed whose deadline passed.
pub(super) fn expired() -> Failure {
    Failure {
        kind: FailureKind::Expired,
        detail: "the deadline passed".into(),
    }
}

//! Ends the work: nothing new begins, and what is in a call ends or goes back to the queue.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, ResponseFuture};
use foldhash::HashSet;
use tokio::sync::oneshot;

use super::work::{Subject, Work};
use super::{Intake, TaskManagerActor};
use crate::logic::lifecycle::Step;
use crate::messages::{NowError, Stop};
use crate::ports::{KnownKey, Token};

/// The time for calls in flight is over.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct TimeIsUp;

impl TaskManagerActor {
    /// Answers those who wait for the end, once nothing is in flight and nothing to be written.
    pub(super) fn tell_stoppers(&mut self) {
        let book = self.book.lock();
        if self.intake != Intake::Stopping || !book.in_flight.is_empty() || !book.outbox.is_empty()
        {
            return;
        }
        drop(book);
        for stopper in self.state.stoppers.drain(..) {
            // Who has left needs no answer.
            let _ = stopper.send(());
        }
    }

    /// Refuses the callers who miss a text that is in no call, neither for them nor for others: none
    /// begins any more.
    fn refuse_callers(&self) {
        let book = self.book.lock();
        let in_calls: HashSet<KnownKey> = book.in_flight.values().map(|work| work.key).collect();
        let is_in_none = |key: &KnownKey| !in_calls.contains(key);
        for call in book.callers.values() {
            let mut missing = call.missing().into_iter().map(|index| &call.keys[index]);
            if missing.any(is_in_none) {
                call.refuse(NowError::Busy);
            }
        }
    }

    /// Refuses a caller one of whose texts would wait for another call while the service stops.
    pub(super) fn refuses_at_stop(&self, work: &Work) -> bool {
        match &work.subject {
            Subject::Now { call, .. } if self.intake == Intake::Stopping => {
                call.refuse(NowError::Busy);
                true
            }
            Subject::Now { .. } | Subject::Task(_) => false,
        }
    }

    /// Puts a task that is in a call back into the queue, its attempt returned.
    fn hand_back(&mut self, work: Work) {
        match work.subject {
            Subject::Now { call, .. } => call.refuse(NowError::Busy),
            Subject::Task(_) => self.go_again(work, Step::Recover { refund: true }),
        }
    }
}

impl Handler<Stop> for TaskManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Stop(wait): Stop, context: &mut Context<Self>) -> Self::Result {
        self.set_intake(Intake::Stopping);
        let (sender, stopped) = oneshot::channel();
        self.state.stoppers.push(sender);
        self.refuse_callers();
        context.notify_later(TimeIsUp, wait.max(Duration::from_millis(1)));
        self.flush_soon(context);
        Box::pin(async move {
            // Closed when the task manager fell; what is durable is recovered at the next start.
            let _ = stopped.await;
        })
    }
}

impl Handler<TimeIsUp> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: TimeIsUp, context: &mut Context<Self>) {
        let mut in_flight: Vec<Token> = self.book.lock().in_flight.keys().copied().collect();
        in_flight.sort_unstable();
        for number in in_flight {
            let work = self.book.lock().take(number);
            if let Some(work) = work {
                self.hand_back(work);
            }
        }
        self.refuse_callers();
        self.flush_soon(context);
    }
}

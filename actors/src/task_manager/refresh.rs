//! Has translations made anew that are asked for often, before their time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::work::Work;
use super::{Intake, TaskManagerActor};
use crate::domain::Class;
use crate::messages::{Leadership, NowCall};

/// How long such a translation may take; then it is left to whoever asks next.
const DEADLINE: Duration = Duration::from_secs(600);

impl TaskManagerActor {
    /// Asks anew for the text of this work, after all other work; nobody waits for it.
    pub(super) fn refresh(&mut self, asked: &Work, leadership: Leadership) {
        if self.intake != Intake::Open {
            return;
        }
        let due = self.clock.wall().plus(DEADLINE);
        let (reply, answer) = oneshot::channel();
        let texts = vec![Arc::clone(&asked.text)];
        let (pair, flow) = (asked.bucket.pair.clone(), asked.bucket.flow.clone());
        let asking = (Class::Low, flow);
        let call = NowCall::new(texts, vec![asked.key], pair, asking, due, reply);
        let mut work = self.work_of(&call, 0);
        work.context = asked.context.clone();
        work.leadership = Some(leadership);
        self.enqueue(work);
        actix_rt::spawn(async move {
            // As long as this is held, the text is wanted; what comes of it the cache hears.
            let _ = tokio::time::timeout(DEADLINE, answer).await;
        });
    }
}

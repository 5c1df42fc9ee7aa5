//! Hands in together what arrives at one worker at the same time, one text a client.
//!
//! A text of its own costs a message, a wake-up of another thread and an answer back; what
//! arrives in one turn of the worker shares them.

use std::cell::RefCell;
use std::rc::Rc;

use babelfeed_actors::messages::Submission;
use babelfeed_actors::ports::Admitted;
use tokio::sync::oneshot;

use super::problem::Problem;
use super::requests::{admit, short_answer};
use super::server::Face;

/// The most texts that are handed in together.
const MAX_BATCH: usize = 256;

/// What waits to be handed in at one worker.
#[derive(Clone, Default)]
pub(super) struct Gatherer(Rc<RefCell<Vec<Waiting>>>);

type Waiting = (Submission, oneshot::Sender<Result<Admitted, Problem>>);

impl Gatherer {
    /// Hands a text in, with whatever else arrives in this turn; answered when it is durable.
    pub(super) async fn admit(
        &self,
        face: &actix_web::web::Data<Face>,
        submission: Submission,
    ) -> Result<Admitted, Problem> {
        let (sender, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.borrow_mut();
            waiting.push((submission, sender));
            waiting.len() == 1
        };
        if is_first {
            let (gatherer, face) = (self.clone(), face.clone());
            actix_rt::spawn(async move {
                // The others of this turn are polled before this goes on.
                tokio::task::yield_now().await;
                gatherer.hand_in(&face).await;
            });
        }
        answer.await.unwrap_or_else(|_| Err(short_answer()))
    }

    async fn hand_in(&self, face: &Face) {
        let mut waiting = self.0.take();
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(MAX_BATCH));
            let (submissions, clients): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            match admit(face, submissions).await {
                Ok(admitted) => {
                    for (client, admitted) in clients.into_iter().zip(admitted) {
                        // A client who has left needs no answer; the text is taken all the same.
                        let _ = client.send(Ok(admitted));
                    }
                }
                Err(problem) => {
                    for client in clients {
                        let _ = client.send(Err(problem.clone()));
                    }
                }
            }
            waiting = rest;
        }
    }
}

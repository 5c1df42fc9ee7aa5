//! Cancels what still waits of posts that were edited or deleted since, because nobody would see it.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Addr, Context, Handler};
use log::debug;

use super::plan::OutletRoute;
use super::{Place, TaskManagerActor};
use crate::domain::{Failure, FailureKind, Language, RequestId, SourceName, Task};
use crate::failpoints;
use crate::ports::{Admitted, StoreError, TaskRecord, TaskStore};

/// Queued tasks of posts that were edited or deleted since.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Outdated {
    edited: Vec<TaskRecord>,
    deleted: Vec<TaskRecord>,
}

/// Finds what still waits of posts that these edits and deletions are about.
///
/// What is lost on the way, also by a crash, is translated as if nothing had happened, and dropped
/// where it would be published.
pub(super) async fn find_outdated(
    store: Rc<dyn TaskStore>,
    own: Rc<Addr<TaskManagerActor>>,
    edits: Vec<Admitted>,
    gone: Vec<(SourceName, Arc<str>)>,
) {
    let finding = async {
        Ok(Outdated {
            edited: edited(&*store, &edits).await?,
            deleted: deleted(&*store, gone).await?,
        })
    };
    let found: Result<Outdated, StoreError> = finding.await;
    match found {
        Ok(found) if found.edited.is_empty() && found.deleted.is_empty() => (),
        Ok(found) => own.do_send(found),
        Err(error) => debug!(cause:% = error; "outdated tasks were not found"),
    }
}

/// What still waits of earlier requests, in the languages that their edits are translated into.
async fn edited(store: &dyn TaskStore, edits: &[Admitted]) -> Result<Vec<TaskRecord>, StoreError> {
    if edits.is_empty() {
        return Ok(Vec::new());
    }
    let earlier = edits.iter().filter_map(|edit| edit.revises);
    let mut found = store.queued_of(earlier.collect(), Vec::new()).await?;
    let anew = edits.iter().flat_map(|edit| {
        let languages = edit.tasks.iter().map(|(_, language, _)| language);
        languages.filter_map(|language| Some((edit.revises?, language)))
    });
    let anew: HashSet<(RequestId, &Language)> = anew.collect();
    found.retain(|it| anew.contains(&(it.task.id.request(), &it.task.target)));
    Ok(found)
}

async fn deleted(
    store: &dyn TaskStore,
    gone: Vec<(SourceName, Arc<str>)>,
) -> Result<Vec<TaskRecord>, StoreError> {
    match gone.is_empty() {
        true => Ok(Vec::new()),
        false => store.queued_of(Vec::new(), gone).await,
    }
}

impl Handler<Outdated> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, outdated: Outdated, context: &mut Context<Self>) {
        failpoints::hit("task_manager.outdated");
        let Outdated { edited, deleted } = outdated;
        for record in edited {
            if self.is_worthless(&record.task, |outlet| outlet.takes_edits) {
                self.cancel_outdated(record, "its post was edited");
            }
        }
        for record in deleted {
            if self.is_worthless(&record.task, |outlet| outlet.minds_deletions) {
                self.cancel_outdated(record, "its post was deleted");
            }
        }
        self.dispatch(context);
        self.flush_soon(context);
    }
}

impl TaskManagerActor {
    /// Whether each outlet that wants a task would drop it.
    fn is_worthless(&self, task: &Task, drops: impl Fn(&OutletRoute) -> bool) -> bool {
        let outlets = self.config.outlets.iter();
        let mut wanting = outlets.filter(|outlet| outlet.is_wanted_for(task));
        let first = wanting.next();
        first.is_some_and(&drops) && wanting.all(drops)
    }

    /// Cancels a task, unless its call is made already; who waits for the same text leads then.
    fn cancel_outdated(&mut self, stored: TaskRecord, why: &str) {
        let id = stored.task.id;
        let place = self.state.places.get(&id);
        if matches!(place, Some(Place::InFlight(_) | Place::InJob(_))) {
            return;
        }
        let failure = Failure {
            kind: FailureKind::Cancelled,
            detail: why.into(),
        };
        if self.cancel(id, stored, failure).is_ok() {
            self.n_outdated += 1;
        }
    }
}

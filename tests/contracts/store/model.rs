//! Random lives of tasks, put to a store and to the plainest model of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use babelfeed_actors::domain::{FailureKind, IdMint, RequestId, State, TaskId};
use babelfeed_actors::logic::lifecycle::{Lifecycle, Step};
use babelfeed_actors::ports::{
    Kept, Outcome, Portion, Position, Tally, TaskChange, TaskRecord, TaskStore as _, Token,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::requests::{admit, at, bucket, change, request};
use super::{Kind, run};

#[derive(Clone, Debug)]
enum Act {
    /// Takes a request with this key, body and deadline in.
    Admit {
        key: u8,
        body: u8,
        deadline: i64,
    },
    /// Changes the task of that number, with its token or another's.
    Step {
        task: usize,
        step: Step,
        is_ghost: bool,
    },
    /// Waits for all that was written.
    Await,
    Restart,
    Crash,
}

/// Puts so many random lives to a kind of store.
pub(super) fn agrees<K: Kind>(cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let lives = prop::collection::vec(any_act(), 1..60);
    TestRunner::new(config)
        .run(&lives, |acts| run(live::<K>(acts)))
        .expect("the store agrees with the model");
}

fn any_act() -> impl Strategy<Value = Act> {
    let step = prop_oneof![
        4 => Just(Step::Call),
        2 => Just(Step::Complete),
        1 => Just(Step::Fail(FailureKind::Rejected)),
        1 => Just(Step::Recover { refund: true }),
        2 => Just(Step::Retry),
    ];
    prop_oneof![
        6 => (0..8_u8, 0..3_u8, 0..3_i64)
            .prop_map(|(key, body, deadline)| Act::Admit { key, body, deadline }),
        24 => (0..12_usize, step, prop::bool::weighted(0.1))
            .prop_map(|(task, step, is_ghost)| Act::Step { task, step, is_ghost }),
        4 => Just(Act::Await),
        1 => Just(Act::Restart),
        1 => Just(Act::Crash),
    ]
}

/// What the model keeps of a task.
struct Remembered {
    lifecycle: Lifecycle,
    token: Token,
    due: Option<i64>,
}

#[derive(Default)]
struct Model {
    tasks: BTreeMap<TaskId, Remembered>,
    keys: BTreeMap<u8, (RequestId, u8)>,
    mint: IdMint,
}

async fn live<K: Kind>(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut kind = K::new();
    let mut model = Model::default();
    let mut pending: Vec<(TaskChange, Kept)> = Vec::new();
    for act in acts {
        match act {
            Act::Step {
                task,
                step,
                is_ghost,
            } => pending.extend(model.step(task, step, is_ghost, kind.store())),
            Act::Admit {
                key,
                body,
                deadline,
            } => {
                settle(&kind, &mut pending).await?;
                model.admit(key, body, deadline, kind.store()).await?;
            }
            Act::Await => settle(&kind, &mut pending).await?,
            Act::Restart => {
                settle(&kind, &mut pending).await?;
                kind.restart();
            }
            Act::Crash => {
                settle(&kind, &mut pending).await?;
                kind.crash();
            }
        }
    }
    settle(&kind, &mut pending).await?;
    model.compare(kind.store()).await
}

/// Writes all pending changes without waiting between them, then compares what became of each.
async fn settle<K: Kind>(
    kind: &K,
    pending: &mut Vec<(TaskChange, Kept)>,
) -> Result<(), TestCaseError> {
    let (changes, expected): (Vec<TaskChange>, Vec<Kept>) = pending.drain(..).unzip();
    let writes: Vec<_> = changes
        .into_iter()
        .map(|change| kind.store().record(Arc::new([change])))
        .collect();
    let mut kept = Vec::new();
    for write in writes {
        kept.extend(write.await.expect("a write"));
    }
    prop_assert_eq!(kept, expected);
    Ok(())
}

impl Model {
    async fn admit(
        &mut self,
        key: u8,
        body: u8,
        deadline: i64,
        store: &impl babelfeed_actors::ports::TaskStore,
    ) -> Result<(), TestCaseError> {
        let mut new = request(&mut self.mint, Some(&key.to_string()), &["es", "fr"]);
        new.fingerprint = [body; 16];
        let due = (deadline > 0).then_some(deadline);
        std::sync::Arc::make_mut(&mut new.request).deadline = due.map(at);
        let id = new.request.id;
        let admitted = admit(store, vec![new]).await.remove(0);
        let expected = match self.keys.get(&key) {
            None => (Outcome::New, id),
            Some(&(id, known)) if known == body => (Outcome::Same, id),
            Some(&(id, _)) => (Outcome::Conflict, id),
        };
        prop_assert_eq!((admitted.outcome, admitted.id), expected);
        if admitted.outcome == Outcome::New {
            self.keys.insert(key, (id, body));
            for task in [id.task(1), id.task(2)] {
                let mut lifecycle = Lifecycle::submitted(at(0));
                lifecycle.step(Step::Enqueue, at(0)).expect("an edge");
                let kept = Remembered {
                    lifecycle,
                    token: 0,
                    due,
                };
                self.tasks.insert(task, kept);
            }
        }
        for (task, _, state) in admitted.tasks {
            prop_assert_eq!(state, self.tasks[&task].lifecycle.state());
        }
        Ok(())
    }

    /// The change that a step makes and what must become of it; none if there is no such edge.
    fn step(
        &mut self,
        task: usize,
        step: Step,
        is_ghost: bool,
        store: &impl babelfeed_actors::ports::TaskStore,
    ) -> Option<(TaskChange, Kept)> {
        let n_tasks = self.tasks.len();
        let (&id, kept) = self.tasks.iter_mut().nth(task % n_tasks.max(1))?;
        let before = record_of(id, kept);
        let mut lifecycle = kept.lifecycle.clone();
        lifecycle.step(step.clone(), at(1)).ok()?;
        let token = store.token();
        let mut wanted = change(&before, token, &[step]);
        if is_ghost {
            wanted.held = token;
            return Some((wanted, Kept::Ghost));
        }
        kept.lifecycle = wanted.lifecycle.clone();
        kept.token = token;
        Some((wanted, Kept::Yes))
    }

    async fn compare(
        &self,
        store: &impl babelfeed_actors::ports::TaskStore,
    ) -> Result<(), TestCaseError> {
        let count = |state| {
            let tasks = self.tasks.values();
            tasks.filter(|kept| kept.lifecycle.state() == state).count() as u64
        };
        let expected = Tally {
            queued: count(State::Queued),
            processing: count(State::Processing),
            completed: count(State::Completed),
            failed: count(State::Failed),
            ..Tally::default()
        };
        prop_assert_eq!(store.tally().await.expect("a tally"), expected);
        let all = store.tasks(None, None, 1_000).await.expect("a read");
        prop_assert_eq!(all.len(), self.tasks.len());
        for (record, (id, kept)) in all.iter().zip(&self.tasks) {
            prop_assert_eq!(record.task.id, *id);
            prop_assert_eq!(&record.lifecycle, &kept.lifecycle);
            prop_assert_eq!(record.token, kept.token);
            prop_assert_eq!(record.ended.is_some(), kept.lifecycle.state().is_final());
        }
        self.compare_ready(store).await
    }

    async fn compare_ready(
        &self,
        store: &impl babelfeed_actors::ports::TaskStore,
    ) -> Result<(), TestCaseError> {
        let any = request(&mut IdMint::default(), None, &["es"]);
        for (number, target) in [(1, "es"), (2, "fr")] {
            let mut expected: Vec<Position> = self
                .tasks
                .iter()
                .filter(|(id, _)| id.request().task(number) == **id)
                .filter(|(_, kept)| kept.lifecycle.state() == State::Queued)
                .map(|(id, kept)| Position::new(kept.due.map(at), *id))
                .collect();
            expected.sort_unstable();
            let ready = store
                .ready(bucket(&any, target), None, Portion::of_tasks(1_000))
                .await;
            let found: Vec<TaskId> = ready
                .expect("a read")
                .iter()
                .map(|record| record.task.id)
                .collect();
            let expected: Vec<TaskId> = expected.iter().map(|position| position.id).collect();
            prop_assert_eq!(found, expected);
        }
        Ok(())
    }
}

/// A record as [`change`] wants it, from what the model keeps.
fn record_of(id: TaskId, kept: &Remembered) -> TaskRecord {
    let new = request(&mut IdMint::default(), None, &["es"]);
    TaskRecord {
        task: babelfeed_actors::domain::Task {
            id,
            request: new.request,
            target: super::requests::language("es"),
        },
        publish: false,
        lifecycle: kept.lifecycle.clone(),
        token: kept.token,
        deaths: 0,
        ended: None,
    }
}

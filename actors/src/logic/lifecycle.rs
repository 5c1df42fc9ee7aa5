//! The states of a task: one function makes every transition and refuses all others.

use std::sync::Arc;

use crate::domain::{FailureKind, State, Timestamp};

/// How many of a history's first entries are kept for good.
pub const FIRST_KEPT: usize = 5;
/// How many of a history's last entries are kept.
pub const LAST_KEPT: usize = 45;

/// What can happen to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It became durable and entered the queue.
    Enqueue,
    /// It is known already and passes through without a call.
    Pass,
    /// It was put into a call that begins now; counts an attempt.
    Call,
    /// It was taken up, and its lane grants no permit before `until`.
    Wait {
        /// When the permit is expected, by wall clock, where that is known.
        until: Option<Timestamp>,
    },
    /// It was bounced by its lane, which opens at `until`; the attempt is given back.
    Bounce {
        /// When the lane opens, by wall clock.
        until: Timestamp,
    },
    /// It has its translation.
    Complete,
    /// It is given up.
    Fail(FailureKind),
    /// Its claim was lost: by a crash, a lost call, a drain.
    Recover {
        /// Whether the attempt is given back, since the call was never made.
        refund: bool,
    },
    /// It goes back into the queue for another attempt.
    Again {
        /// Why, for people.
        why: Arc<str>,
        /// Whether the attempt is given back, since the text had no part in its end.
        refund: bool,
    },
    /// A person wants a failed task tried again, with its attempts from 0.
    Retry,
}

impl Step {
    /// The states that the step leads to, in order.
    const fn path(&self, from: State) -> &'static [State] {
        match self {
            Self::Enqueue | Self::Recover { .. } | Self::Again { .. } | Self::Retry => {
                &[State::Queued]
            }
            Self::Pass | Self::Call => &[State::Processing],
            Self::Wait { .. } => match from {
                State::Processing => &[State::RateLimited],
                _ => &[State::Processing, State::RateLimited],
            },
            Self::Bounce { .. } => &[State::RateLimited],
            Self::Complete => &[State::Completed],
            Self::Fail(_) => &[State::Failed],
        }
    }

    fn why(&self) -> Option<Arc<str>> {
        match self {
            Self::Wait { until: None } => Some("until a permit comes back".into()),
            Self::Wait { until: Some(until) } | Self::Bounce { until } => {
                Some(format!("until {until}").into())
            }
            Self::Fail(kind) => Some(kind.name().into()),
            Self::Recover { .. } => Some("recovered".into()),
            Self::Again { why, .. } => Some(Arc::clone(why)),
            Self::Retry => Some("retried".into()),
            Self::Enqueue | Self::Pass | Self::Call | Self::Complete => None,
        }
    }
}

/// A transition that the table of states does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// Where the task stands.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

/// One line of a task's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The state that was entered.
    pub state: State,
    /// When, by wall clock.
    pub at: Timestamp,
    /// The attempts counted until then.
    pub attempt: u32,
    /// Why, where it is not the ordinary course.
    pub why: Option<Arc<str>>,
}

/// A task's state, attempts and history; only [`Lifecycle::step`] changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    state: State,
    attempts: u32,
    history: Vec<Entry>,
}

impl Lifecycle {
    /// A task that was just handed in.
    pub fn submitted(at: Timestamp) -> Self {
        let mut history = Vec::with_capacity(4);
        history.push(Entry {
            state: State::Submitted,
            at,
            attempt: 0,
            why: None,
        });
        Self {
            state: State::Submitted,
            attempts: 0,
            history,
        }
    }

    /// A task as a store kept it; its state is the last of the history, Submitted without one.
    pub fn restored(attempts: u32, history: Vec<Entry>) -> Self {
        Self {
            state: history.last().map_or(State::Submitted, |entry| entry.state),
            attempts,
            history,
        }
    }

    /// Where the task stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// How many calls were made for it, without those given back.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What happened: the first 5 and the last 45 entries.
    pub fn history(&self) -> &[Entry] {
        &self.history
    }

    /// When the task entered its state.
    pub fn since(&self) -> Timestamp {
        self.history
            .last()
            .map_or_else(Timestamp::default, |entry| entry.at)
    }

    /// Makes one transition, or changes nothing and says between which states there is none.
    ///
    /// # Errors
    /// When the table of states has no such edge.
    pub fn step(&mut self, step: Step, at: Timestamp) -> Result<(), IllegalTransition> {
        let path = step.path(self.state);
        let mut from = self.state;
        for &to in path {
            if !is_edge(from, to, &step) {
                return Err(IllegalTransition { from, to });
            }
            from = to;
        }
        match step {
            Step::Call => self.attempts += 1,
            Step::Bounce { .. }
            | Step::Recover { refund: true }
            | Step::Again { refund: true, .. } => self.attempts = self.attempts.saturating_sub(1),
            Step::Retry => self.attempts = 0,
            _ => (),
        }
        let why = step.why();
        for (index, &state) in path.iter().enumerate() {
            let is_last = index + 1 == path.len();
            self.enter(state, at, why.clone().filter(|_| is_last));
        }
        Ok(())
    }

    fn enter(&mut self, state: State, at: Timestamp, why: Option<Arc<str>>) {
        if self.history.len() == FIRST_KEPT + LAST_KEPT {
            self.history.remove(FIRST_KEPT);
        }
        self.state = state;
        self.history.push(Entry {
            state,
            at,
            attempt: self.attempts,
            why,
        });
    }
}

/// The table of edges.
fn is_edge(from: State, to: State, step: &Step) -> bool {
    use State::{Completed, Failed, Processing, Queued, RateLimited, Submitted};
    match (from, to) {
        (Submitted, Queued) => matches!(step, Step::Enqueue),
        (Queued | RateLimited, Processing)
        | (Processing, RateLimited | Completed | Failed)
        | (Submitted | Queued | RateLimited, Failed) => true,
        (Processing | RateLimited, Queued) => {
            matches!(step, Step::Recover { .. } | Step::Again { .. })
        }
        (Failed, Queued) => matches!(step, Step::Retry),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let until = at(9_000);
        prop_oneof![
            Just(Step::Enqueue),
            Just(Step::Pass),
            Just(Step::Call),
            Just(Step::Wait { until: Some(until) }),
            Just(Step::Wait { until: None }),
            Just(Step::Bounce { until }),
            Just(Step::Complete),
            Just(Step::Fail(FailureKind::Rejected)),
            any::<bool>().prop_map(|refund| Step::Recover { refund }),
            any::<bool>().prop_map(|refund| Step::Again {
                why: "again".into(),
                refund
            }),
            Just(Step::Retry),
        ]
    }

    /// The design's table, written a second time and in another form than the code's.
    fn table(from: State, to: State) -> bool {
        let edges = "Submitted>Queued Queued>Processing Processing>RateLimited RateLimited>Processing \
            Processing>Completed Processing>Failed Submitted>Failed Queued>Failed RateLimited>Failed \
            Processing>Queued RateLimited>Queued Failed>Queued";
        edges.split(' ').any(|edge| edge == format!("{from}>{to}"))
    }

    proptest! {
        #[test]
        fn no_sequence_leaves_the_table(steps in prop::collection::vec(
            (any_step(), any::<bool>()), 0..120,
        )) {
            let mut lifecycle = Lifecycle::submitted(at(0));
            let mut all = vec![State::Submitted];
            for (millis, (step, crashes)) in steps.into_iter().enumerate() {
                let before = lifecycle.clone();
                let passes_two = matches!(step, Step::Wait { .. })
                    && before.state() != State::Processing;
                match lifecycle.step(step, at(millis as i64)) {
                    Ok(()) => {
                        let kept = lifecycle.history();
                        let new = 1 + usize::from(passes_two);
                        all.extend(kept[kept.len() - new..].iter().map(|entry| entry.state));
                    }
                    Err(refusal) => {
                        prop_assert_eq!(refusal.to_string().matches("task").count(), 1);
                        prop_assert_eq!(&lifecycle, &before);
                    }
                }
                if crashes {
                    let stored = lifecycle.history().to_vec();
                    let restored = Lifecycle::restored(lifecycle.attempts(), stored);
                    prop_assert_eq!(&restored, &lifecycle);
                }
            }
            for edge in all.windows(2) {
                prop_assert!(table(edge[0], edge[1]), "{} to {}", edge[0], edge[1]);
            }
            let kept: Vec<State> = lifecycle.history().iter().map(|entry| entry.state).collect();
            let expected: Vec<State> = if all.len() > FIRST_KEPT + LAST_KEPT {
                [&all[..FIRST_KEPT], &all[all.len() - LAST_KEPT..]].concat()
            } else {
                all
            };
            prop_assert_eq!(kept, expected);
        }
    }

    #[test]
    fn a_refusal_names_both_states() {
        let mut lifecycle = Lifecycle::submitted(at(0));
        let refusal = lifecycle
            .step(Step::Complete, at(1))
            .expect_err("no such edge");
        assert_eq!(
            refusal.to_string(),
            "a task that is Submitted cannot become Completed"
        );
    }

    #[test]
    fn an_attempt_given_back_is_not_counted() {
        let mut lifecycle = Lifecycle::submitted(at(0));
        for step in [
            Step::Enqueue,
            Step::Call,
            Step::Bounce { until: at(5) },
            Step::Call,
        ] {
            lifecycle.step(step, at(1)).expect("an edge");
        }
        assert_eq!(lifecycle.attempts(), 1);
    }
}

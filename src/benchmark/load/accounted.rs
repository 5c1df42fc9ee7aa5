//! Texts that are handed in and all read back: each has to have its own translation, once.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::client::{self, UnixConnection};
use super::super::corpus;
use super::{Accepted, Bulk, BulkOutcome, TextOfTask, hand_in_and_keep, line_calls};

/// How long it may take without one more text being final.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// How long all of it may take; what is open then was not done.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is asked whether all is final.
const POLL: Duration = Duration::from_millis(100);

/// How many tasks are read back at once.
const PAGE: usize = 1_000;

/// What came of texts handed in and read back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AccountedOutcome {
    /// What came of handing them in.
    pub(crate) handed_in: BulkOutcome,
    /// How long it took from the first call until all were final.
    pub(crate) taken: Duration,
    /// Tasks that are completed with the translation of their text.
    pub(crate) n_right: u64,
    /// Tasks that are completed with anything else.
    pub(crate) n_misattributed: u64,
    /// The first such task: what was asked, and what came.
    pub(crate) first_misattributed: Option<String>,
    /// Tasks that failed.
    pub(crate) n_failed: u64,
    /// Tasks that were read back and never acknowledged, or twice.
    pub(crate) n_strange: u64,
}

/// Hands in texts, waits until all are final, and reads all of them back.
pub(super) async fn account(bulk: Bulk) -> anyhow::Result<AccountedOutcome> {
    let socket = bulk.socket.clone();
    let target = bulk.targets.first().cloned().unwrap_or_default();
    let tasks = HashMap::with_capacity(bulk.n_texts as usize);
    let (handed_in, mut tasks) = hand_in_and_keep(bulk, line_calls, Some(tasks)).await?;
    // Only now, because a connection that says nothing for long is closed.
    let mut connection = client::connect_unix(&socket).await?;
    let ended = finish(&mut connection).await?;
    let mut outcome = AccountedOutcome {
        taken: ended.saturating_sub(handed_in.began),
        handed_in,
        ..AccountedOutcome::default()
    };
    for state in ["Completed", "Failed"] {
        let mut after = String::new();
        loop {
            let path = format!("/v1/tasks?state={state}&limit={PAGE}{after}");
            let page: Page = get(&mut connection, &path).await?;
            for task in &page.tasks {
                outcome.read(task, &mut tasks, &target);
            }
            match page.next {
                Some(next) if !page.tasks.is_empty() => after = format!("&after={next}"),
                _ => break,
            }
        }
    }
    Ok(outcome)
}

/// Keeps which text each task is of; the first line is that of text number `first`.
pub(super) fn keep(tasks: &mut TextOfTask, first: u64, answer: &[u8]) {
    let lines = answer.split(|byte| *byte == b'\n');
    for (n, line) in (first..).zip(lines.filter(|line| !line.is_empty())) {
        let accepted = serde_json::from_slice::<Accepted>(line);
        for task in accepted.iter().flat_map(|accepted| &accepted.tasks) {
            if let Ok(id) = Uuid::parse_str(&task.id) {
                tasks.insert(id.as_u128(), n);
            }
        }
    }
}

/// Waits until nothing is open any more, nothing moves, or it takes too long; returns when that was, since 1970.
async fn finish(connection: &mut UnixConnection) -> anyhow::Result<Duration> {
    let mut n_open = u64::MAX;
    let began = Instant::now();
    let mut moved = began;
    loop {
        let status: Status = get(connection, "/v1/status").await?;
        let n = status.queue.values().sum();
        if n < n_open {
            n_open = n;
            moved = Instant::now();
        }
        if n == 0 || moved.elapsed() > STALL_LIMIT || began.elapsed() > PATIENCE {
            return Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn get<T: serde::de::DeserializeOwned>(
    connection: &mut UnixConnection,
    path: &str,
) -> anyhow::Result<T> {
    let response = connection.exchange(&client::get(path)).await?;
    anyhow::ensure!(
        response.status == 200,
        "{path} answered {}",
        response.status
    );
    serde_json::from_slice(response.body).with_context(|| format!("reading the answer of {path}"))
}

#[derive(Deserialize)]
struct Status {
    queue: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct Page {
    tasks: Vec<Task>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    result: Option<TaskResult>,
}

#[derive(Deserialize)]
struct TaskResult {
    text: String,
}

impl AccountedOutcome {
    fn read(&mut self, task: &Task, tasks: &mut TextOfTask, target: &str) {
        let id = Uuid::parse_str(&task.id).unwrap_or_default();
        let Some(n) = tasks.remove(&id.as_u128()) else {
            self.n_strange += 1;
            return;
        };
        match &task.result {
            None => self.n_failed += 1,
            Some(result) if result.text == corpus::translation(n, target) => self.n_right += 1,
            Some(result) => {
                self.n_misattributed += 1;
                self.first_misattributed
                    .get_or_insert_with(|| format!("{} -> {}", corpus::text(n), result.text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u128, text: Option<String>) -> Task {
        Task {
            id: Uuid::from_u128(id).to_string(),
            result: text.map(|text| TaskResult { text }),
        }
    }

    #[test]
    fn each_task_is_right_misattributed_failed_or_strange() {
        let mut tasks = TextOfTask::from([(1, 10), (2, 11), (3, 12)]);
        let mut outcome = AccountedOutcome::default();

        for task in [
            task(1, Some(corpus::translation(10, "es"))),
            task(2, Some(corpus::translation(12, "es"))),
            task(3, None),
            task(3, None),
            task(9, None),
        ] {
            outcome.read(&task, &mut tasks, "es");
        }

        assert_eq!((outcome.n_right, outcome.n_misattributed), (1, 1));
        assert_eq!((outcome.n_failed, outcome.n_strange), (1, 2));
        assert!(outcome.first_misattributed.unwrap().contains("1000000011"));
        assert!(tasks.is_empty());
    }

    #[test]
    fn lines_are_kept_by_their_order() {
        let id = |n| Uuid::from_u128(n).to_string();
        let line = |n| format!("{{\"status\":202,\"tasks\":[{{\"id\":\"{}\"}}]}}\n", id(n));
        let mut tasks = TextOfTask::new();

        keep(
            &mut tasks,
            1_000,
            (line(7) + "{\"status\":400}\n" + &line(8)).as_bytes(),
        );

        assert_eq!(tasks, TextOfTask::from([(7, 1_000), (8, 1_002)]));
    }
}

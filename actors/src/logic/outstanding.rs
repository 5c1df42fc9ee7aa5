//! Which tasks of posts are still under way, so that what was taken after them can wait for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Bucket, Language, Origin, SourceName, Task, TaskId};

/// A source in one language: its posts have an order, which is that of their tasks' ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The source.
    pub source: SourceName,
    /// The language of the translations.
    pub language: Language,
}

impl Line {
    /// Where a task stands in order; none for what a client asked for, and for an edit, which
    /// changes what has its place already.
    pub fn of(task: &Task) -> Option<Self> {
        let Origin::Post { source, .. } = &task.request.origin else {
            return None;
        };
        task.request.revises.is_none().then(|| Self {
            source: source.clone(),
            language: task.target.clone(),
        })
    }

    fn of_bucket(bucket: &Bucket) -> Self {
        Self {
            source: SourceName::from(bucket.flow.as_str()),
            language: bucket.pair.target.clone(),
        }
    }
}

/// The tasks of posts that are under way, as far as they are in memory, and from where on there
/// may be others on disk.
///
/// The task manager notes them, and the publisher goes by it. It outlives the falls of both; it
/// is used on one thread alone, so its lock is never waited for.
#[derive(Debug, Default)]
pub struct Outstanding(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// Whether what a start finds is noted.
    is_loaded: bool,
    lines: HashMap<Line, Tasks>,
}

/// The tasks of one line.
#[derive(Debug, Default)]
struct Tasks {
    open: BTreeSet<TaskId>,
    /// The buckets that are being read, each with the task behind which it is; none: from the
    /// beginning.
    unread: Vec<(Bucket, Option<TaskId>)>,
}

impl Outstanding {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a task is under way.
    pub fn begin(&self, task: &Task) {
        if let Some(line) = Line::of(task) {
            let mut lines = self.lock();
            lines.lines.entry(line).or_default().open.insert(task.id);
        }
    }

    /// Notes that a task is not under way any more.
    pub fn end(&self, line: &Line, task: TaskId) {
        self.change(line, |tasks| {
            tasks.open.remove(&task);
        });
    }

    /// Notes that a bucket is being read behind a task, so that nobody knows what is there.
    pub fn begin_reading(&self, bucket: &Bucket, after: Option<TaskId>) {
        let mut lines = self.lock();
        let tasks = lines.lines.entry(Line::of_bucket(bucket)).or_default();
        tasks.unread.retain(|(other, _)| other != bucket);
        tasks.unread.push((bucket.clone(), after));
    }

    /// Notes that what was read of a bucket is noted; the next that was not comes behind that.
    pub fn end_reading(&self, bucket: &Bucket) {
        self.change(&Line::of_bucket(bucket), |tasks| {
            tasks.unread.retain(|(other, _)| other != bucket);
        });
    }

    /// Notes that nothing is being read.
    pub fn stop_reading(&self) {
        let mut lines = self.lock();
        lines.lines.retain(|_, tasks| {
            tasks.unread.clear();
            !tasks.is_empty()
        });
    }

    /// Notes that all is noted that a start finds; until then everything may be under way.
    pub fn set_loaded(&self) {
        self.lock().is_loaded = true;
    }

    /// The last task of a line before which, and behind `passed`, nothing is under way; none if
    /// that holds for all of them.
    pub fn last_free(&self, line: &Line, passed: Option<TaskId>) -> Option<TaskId> {
        let lines = self.lock();
        let nowhere = || passed.unwrap_or(TaskId::from_bytes([0; 16]));
        if !lines.is_loaded {
            return Some(nowhere());
        }
        let tasks = lines.lines.get(line)?;
        let open = tasks.open.range(nowhere()..);
        let open = open.copied().find(|task| Some(*task) > passed);
        let unread = tasks.unread.iter();
        let unread = unread.map(|(_, after)| after.unwrap_or(nowhere()).max(nowhere()));
        open.into_iter().chain(unread).min()
    }

    fn change(&self, line: &Line, change: impl FnOnce(&mut Tasks)) {
        let mut lines = self.lock();
        if let Some(tasks) = lines.lines.get_mut(line) {
            change(tasks);
            if tasks.is_empty() {
                lines.lines.remove(line);
            }
        }
    }
}

impl Tasks {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Class, Flow, IdMint, Pair, Request, Timestamp};

    const NOW: Timestamp = Timestamp::from_millis(1_795_262_700_000);

    fn tasks(source: &str, n: usize) -> Vec<Task> {
        let mut mint = IdMint::default();
        let task = |number: usize| {
            let request = Request {
                id: mint.next(NOW, 0),
                origin: Origin::Post {
                    source: source.into(),
                    post: number.to_string().into(),
                },
                text: "Hello".into(),
                source: None,
                flow: source.into(),
                class: Class::Normal,
                context: None,
                url: None,
                author: None,
                attached: None,
                revises: None,
                accepted_at: NOW,
                deadline: None,
            };
            Task {
                id: request.id.task(1),
                request: Arc::new(request),
                target: "es".parse().expect("a tag"),
            }
        };
        (0..n).map(task).collect()
    }

    fn bucket(source: &str) -> Bucket {
        Bucket {
            class: Class::Normal,
            flow: Flow::from(source),
            pair: Pair {
                source: None,
                target: "es".parse().expect("a tag"),
            },
        }
    }

    fn loaded() -> Outstanding {
        let outstanding = Outstanding::default();
        outstanding.set_loaded();
        outstanding
    }

    #[test]
    fn the_first_that_is_under_way_is_the_last_that_waits_for_none() {
        let (outstanding, tasks) = (loaded(), tasks("news", 3));
        let line = Line::of(&tasks[0]).expect("a line");
        for task in &tasks {
            outstanding.begin(task);
        }
        assert_eq!(outstanding.last_free(&line, None), Some(tasks[0].id));
        outstanding.end(&line, tasks[1].id);
        assert_eq!(outstanding.last_free(&line, None), Some(tasks[0].id));
        let passed = Some(tasks[0].id);
        assert_eq!(outstanding.last_free(&line, passed), Some(tasks[2].id));
        outstanding.end(&line, tasks[0].id);
        assert_eq!(outstanding.last_free(&line, None), Some(tasks[2].id));
        outstanding.end(&line, tasks[2].id);
        assert_eq!(outstanding.last_free(&line, None), None);
        assert!(outstanding.lock().lines.is_empty());
    }

    #[test]
    fn what_is_behind_a_page_that_is_being_read_may_not_go_before_it_is_read() {
        let (outstanding, tasks, other) = (loaded(), tasks("news", 3), tasks("blog", 1));
        let line = Line::of(&tasks[0]).expect("a line");
        outstanding.begin_reading(&bucket("news"), None);
        let first = Some(TaskId::from_bytes([0; 16]));
        assert_eq!(outstanding.last_free(&line, None), first);
        let passed = Some(tasks[0].id);
        assert_eq!(outstanding.last_free(&line, passed), passed);
        let blog = Line::of(&other[0]).expect("a line");
        assert_eq!(outstanding.last_free(&blog, None), None);
        outstanding.begin(&tasks[2]);
        outstanding.begin_reading(&bucket("news"), Some(tasks[1].id));
        assert_eq!(outstanding.last_free(&line, None), Some(tasks[1].id));
        outstanding.end_reading(&bucket("news"));
        assert_eq!(outstanding.last_free(&line, None), Some(tasks[2].id));
        outstanding.begin_reading(&bucket("blog"), None);
        outstanding.stop_reading();
        assert_eq!(outstanding.last_free(&blog, None), None);
    }

    #[test]
    fn before_a_start_has_noted_what_it_found_all_may_be_under_way() {
        let (outstanding, tasks) = (Outstanding::default(), tasks("news", 1));
        let line = Line::of(&tasks[0]).expect("a line");
        assert!(outstanding.last_free(&line, None) < Some(tasks[0].id));
        outstanding.set_loaded();
        assert_eq!(outstanding.last_free(&line, None), None);
    }

    #[test]
    fn what_clients_ask_for_and_edits_have_no_place_in_order() {
        let [post] = &tasks("news", 1)[..] else {
            unreachable!("one task");
        };
        let asked = Request {
            origin: Origin::Client { key: None },
            ..Request::clone(&post.request)
        };
        let edit = Request {
            revises: Some(post.request.id),
            ..Request::clone(&post.request)
        };
        for request in [asked, edit] {
            let task = Task {
                request: Arc::new(request),
                ..post.clone()
            };
            assert_eq!(Line::of(&task), None);
        }
    }
}

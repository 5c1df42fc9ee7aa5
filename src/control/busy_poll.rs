//! Keeps threads from falling asleep while questions come one at a time, each at once after an answer.
//!
//! A core that was halted takes 30 µs to wake up and now and then 250, where a known text needs 10.
//! Linux may poll before it halts a virtual core (`guest_halt_poll_ns`), but does not everywhere.

mod pace;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{available_parallelism, yield_now};
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;

use self::pace::Pace;

/// What one worker polls for.
pub(super) struct BusyPoll(Rc<Worker>);

struct Worker {
    /// Where there is one core, who polls is in the way of whom it waits for.
    has_several_cores: bool,
    pace: RefCell<Pace>,
    poller: Arc<Poller>,
}

/// The questions of all workers, and who answers those whose answers are not known.
pub(super) struct Questions {
    n_asking: AtomicUsize,
    /// The thread that the actors live on.
    actors: ArbiterHandle,
    poller: Arc<Poller>,
}

/// A question that is not answered yet; dropped, it is.
pub(super) struct Asking<'a> {
    worker: &'a Worker,
    questions: &'a Questions,
}

/// A thread that polls until a moment that any thread may move.
///
/// Who moves it just as the polling ends is not polled for; the next question is.
struct Poller {
    origin: Instant,
    /// In nanoseconds since the origin; 0 where nothing is to be polled for.
    until: AtomicU64,
    is_polling: AtomicBool,
}

impl Default for BusyPoll {
    fn default() -> Self {
        Self(Rc::new(Worker {
            has_several_cores: available_parallelism().is_ok_and(|n_cores| n_cores.get() > 1),
            pace: RefCell::default(),
            poller: Arc::default(),
        }))
    }
}

impl BusyPoll {
    /// Takes note of a question.
    ///
    /// Must be called on the worker's thread, inside of its runtime.
    pub(super) fn asked<'a>(&'a self, questions: &'a Questions) -> Asking<'a> {
        let worker = &self.0;
        if questions.n_asking.fetch_add(1, Ordering::Relaxed) > 0 {
            // Where several ask, hardly any core falls asleep, and who polls takes one from them.
            worker.pace.take();
            questions.poller.set_until(None);
        }
        let now = Instant::now();
        let bound = worker.pace.borrow_mut().asked(now);
        worker.set_bound(bound, now);
        if worker.poller.begins(now) {
            actix_rt::spawn(Arc::clone(&worker.poller).poll());
        }
        Asking { worker, questions }
    }
}

impl Worker {
    fn set_bound(&self, bound: Option<Duration>, now: Instant) {
        let bound = bound.filter(|_| self.has_several_cores);
        self.poller.set_until(bound.map(|bound| now + bound));
    }
}

impl Questions {
    /// None yet; those that come are answered by actors on this thread.
    pub(super) fn answered_on(actors: ArbiterHandle) -> Self {
        Self {
            n_asking: AtomicUsize::default(),
            actors,
            poller: Arc::default(),
        }
    }
}

impl Asking<'_> {
    /// Takes note that the actors are asked: where the worker polls for their answer, so do they,
    /// for 500 µs from now, which lasts until the next question where they come fast.
    pub(super) fn handed_over(&self) {
        let (poller, now) = (&self.questions.poller, Instant::now());
        if !self.worker.poller.is_wanted(now) {
            return;
        }
        poller.set_until(Some(now + pace::FOR_ANSWER));
        if poller.begins(now) && !self.questions.actors.spawn(Arc::clone(poller).poll()) {
            poller.is_polling.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Self { worker, questions } = self;
        if questions.n_asking.fetch_sub(1, Ordering::Relaxed) > 1 {
            // Answers that come together would pass for quick ones.
            worker.pace.take();
        }
        let now = Instant::now();
        let bound = worker.pace.borrow_mut().answered(now);
        // Nothing is spawned here, because the runtime may be ending: where none polled for the
        // answer, none polls for the question after it.
        worker.set_bound(bound, now);
    }
}

impl Default for Poller {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            until: AtomicU64::default(),
            is_polling: AtomicBool::default(),
        }
    }
}

impl Poller {
    fn set_until(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| self.since_origin(until));
        self.until.store(until, Ordering::Relaxed);
    }

    fn is_wanted(&self, now: Instant) -> bool {
        self.since_origin(now) < self.until.load(Ordering::Relaxed)
    }

    /// Whether it is to poll and does not yet; from then on it does.
    fn begins(&self, now: Instant) -> bool {
        self.is_wanted(now) && !self.is_polling.swap(true, Ordering::Relaxed)
    }

    /// Lets the runtime look for what has come instead of waiting for it, again and again.
    async fn poll(self: Arc<Self>) {
        while self.is_wanted(Instant::now()) {
            // Whatever other thread is to run on this core goes first.
            yield_now();
            tokio::task::yield_now().await;
        }
        self.is_polling.store(false, Ordering::Relaxed);
    }

    fn since_origin(&self, then: Instant) -> u64 {
        let since = then.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use actix_rt::Arbiter;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// A worker with cores enough, at which all were prompt until now.
    fn worker() -> BusyPoll {
        BusyPoll(Rc::new(Worker {
            has_several_cores: true,
            pace: RefCell::new(Pace::prompt()),
            poller: Arc::default(),
        }))
    }

    fn questions() -> Questions {
        Questions::answered_on(Arbiter::current())
    }

    fn polls(poller: &Poller) -> bool {
        poller.is_polling.load(Ordering::Relaxed)
    }

    fn has_a_bound(poller: &Poller) -> bool {
        poller.until.load(Ordering::Relaxed) > 0
    }

    async fn ended(poller: &Poller) {
        while polls(poller) {
            tokio::task::yield_now().await;
        }
    }

    #[actix_rt::test]
    async fn polling_starts_with_a_question_and_ends_by_itself() {
        let (polling, questions) = (worker(), questions());

        let asking = polling.asked(&questions);

        assert!(polls(&polling.0.poller));
        drop(asking);
        ended(&polling.0.poller).await;
        assert_eq!(questions.n_asking.load(Ordering::Relaxed), 0);
    }

    #[actix_rt::test]
    async fn the_actors_poll_when_they_are_asked_and_end_by_themselves() {
        let (polling, questions) = (worker(), questions());
        let asking = polling.asked(&questions);
        assert!(!polls(&questions.poller));
        // Whatever time has passed since.
        polling.0.poller.set_until(Some(Instant::now() + LONG));

        asking.handed_over();

        assert!(polls(&questions.poller));
        ended(&questions.poller).await;
    }

    #[actix_rt::test]
    async fn the_actors_do_not_poll_where_the_worker_does_not() {
        let (polling, questions) = (BusyPoll::default(), questions());
        let asking = polling.asked(&questions);

        asking.handed_over();

        assert!(!polls(&questions.poller));
    }

    #[test]
    fn actors_that_are_gone_do_not_pass_for_polling() {
        let polling = worker();
        let gone = actix_rt::System::new().block_on(async {
            let arbiter = Arbiter::new();
            let handle = arbiter.handle();
            arbiter.stop();
            arbiter.join().unwrap();
            handle
        });
        let questions = Questions::answered_on(gone);
        polling.0.poller.set_until(Some(Instant::now() + LONG));
        polling.0.poller.is_polling.store(true, Ordering::Relaxed);
        questions.n_asking.store(1, Ordering::Relaxed);
        let asking = Asking {
            worker: &polling.0,
            questions: &questions,
        };

        asking.handed_over();

        assert!(!polls(&questions.poller));
    }

    #[actix_rt::test]
    async fn who_asks_beside_another_ends_the_polling() {
        let (polling, questions) = (worker(), questions());
        let first = polling.asked(&questions);
        assert!(has_a_bound(&polling.0.poller));
        first.handed_over();
        assert!(has_a_bound(&questions.poller));

        let _second = polling.asked(&questions);

        assert!(!has_a_bound(&questions.poller));
        assert!(!has_a_bound(&polling.0.poller));
    }

    #[actix_rt::test]
    async fn answers_that_come_together_are_not_taken_for_quick_ones() {
        let (polling, questions) = (worker(), questions());
        let wave: Vec<Asking<'_>> = (0..1_000).map(|_| polling.asked(&questions)).collect();

        drop(wave);

        let _next = polling.asked(&questions);
        assert!(!has_a_bound(&polling.0.poller));
    }

    #[actix_rt::test]
    async fn what_another_thread_writes_is_read_while_it_is_polled() {
        let poller = Arc::<Poller>::default();
        poller.set_until(Some(Instant::now() + LONG));
        let polling = actix_rt::spawn(Arc::clone(&poller).poll());
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut far = far.into_std().unwrap();
        let other = std::thread::spawn(move || far.write_all(b"hola"));

        let mut read = [0; 4];
        near.read_exact(&mut read).await.unwrap();

        assert_eq!(&read, b"hola");
        assert!(!polling.is_finished());
        poller.set_until(None);
        polling.await.unwrap();
        other.join().unwrap().unwrap();
    }

    #[test]
    fn an_answer_after_the_end_of_the_runtime_spawns_nothing() {
        let polling = worker();
        let questions = actix_rt::System::new().block_on(async { questions() });
        let asking = actix_rt::System::new().block_on(async { polling.asked(&questions) });
        polling.0.poller.is_polling.store(false, Ordering::Relaxed);

        drop(asking);

        assert!(!polls(&polling.0.poller));
    }
}

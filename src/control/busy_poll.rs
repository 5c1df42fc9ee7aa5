//! Keeps a worker from falling asleep while questions come one at a time, each at once after an answer.
//!
//! A core that was halted takes 30 µs to wake up and now and then 250, where a known text needs 10.
//! Linux may poll before it halts a virtual core (`guest_halt_poll_ns`), but does not everywhere.

mod pace;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, yield_now};
use std::time::{Duration, Instant};

use self::pace::Pace;

/// What one worker polls for.
pub(super) struct BusyPoll(Rc<Worker>);

struct Worker {
    /// Where there is one core, who polls is in the way of whom it waits for.
    has_several_cores: bool,
    pace: RefCell<Pace>,
    until: Cell<Option<Instant>>,
    is_polling: Cell<bool>,
}

/// A question that is not answered yet; dropped, it is.
pub(super) struct Asking<'a> {
    worker: &'a Worker,
    n_asking: &'a AtomicUsize,
}

impl Default for BusyPoll {
    fn default() -> Self {
        Self(Rc::new(Worker {
            has_several_cores: available_parallelism().is_ok_and(|n_cores| n_cores.get() > 1),
            pace: RefCell::default(),
            until: Cell::default(),
            is_polling: Cell::default(),
        }))
    }
}

impl BusyPoll {
    /// Takes note of a question, and counts it among those that are asked at all workers.
    ///
    /// Must be called on the worker's thread, inside of its runtime.
    pub(super) fn asked<'a>(&'a self, n_asking: &'a AtomicUsize) -> Asking<'a> {
        let worker = &self.0;
        if n_asking.fetch_add(1, Ordering::Relaxed) > 0 {
            // Where several ask, hardly any core falls asleep, and who polls takes one from them.
            worker.pace.take();
        }
        let now = Instant::now();
        let bound = worker.pace.borrow_mut().asked(now);
        worker.set_until(bound, now);
        if worker.is_wanted(now) && !worker.is_polling.replace(true) {
            actix_rt::spawn(Rc::clone(worker).poll());
        }
        Asking { worker, n_asking }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.n_asking.fetch_sub(1, Ordering::Relaxed) > 1 {
            // Answers that come together would pass for quick ones.
            self.worker.pace.take();
        }
        let now = Instant::now();
        let bound = self.worker.pace.borrow_mut().answered(now);
        // Nothing is spawned here, because the runtime may be ending: where none polled for the
        // answer, none polls for the question after it.
        self.worker.set_until(bound, now);
    }
}

impl Worker {
    fn set_until(&self, bound: Option<Duration>, now: Instant) {
        let bound = bound.filter(|_| self.has_several_cores);
        self.until.set(bound.map(|bound| now + bound));
    }

    fn is_wanted(&self, now: Instant) -> bool {
        self.until.get().is_some_and(|until| now < until)
    }

    /// Lets the runtime look for what has come instead of waiting for it, again and again.
    async fn poll(self: Rc<Self>) {
        while self.is_wanted(Instant::now()) {
            // Whatever other thread of this service is to run on this core goes first.
            yield_now();
            tokio::task::yield_now().await;
        }
        self.is_polling.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// A worker with cores enough, at which all were prompt until now.
    fn worker() -> BusyPoll {
        BusyPoll(Rc::new(Worker {
            has_several_cores: true,
            pace: RefCell::new(Pace::prompt()),
            until: Cell::default(),
            is_polling: Cell::default(),
        }))
    }

    #[actix_rt::test]
    async fn polling_starts_with_a_question_and_ends_by_itself() {
        let (polling, n_asking) = (worker(), AtomicUsize::default());

        let asking = polling.asked(&n_asking);

        assert!(polling.0.is_polling.get());
        drop(asking);
        while polling.0.is_polling.get() {
            tokio::task::yield_now().await;
        }
        assert_eq!(n_asking.load(Ordering::Relaxed), 0);
    }

    #[actix_rt::test]
    async fn who_asks_beside_another_ends_the_polling() {
        let (polling, n_asking) = (worker(), AtomicUsize::default());
        let _first = polling.asked(&n_asking);

        let _second = polling.asked(&n_asking);

        assert_eq!(polling.0.until.get(), None);
    }

    #[actix_rt::test]
    async fn answers_that_come_together_are_not_taken_for_quick_ones() {
        let (polling, n_asking) = (worker(), AtomicUsize::default());
        let wave: Vec<Asking<'_>> = (0..1_000).map(|_| polling.asked(&n_asking)).collect();

        drop(wave);

        let _next = polling.asked(&n_asking);
        assert_eq!(polling.0.until.get(), None);
    }

    #[actix_rt::test]
    async fn what_another_thread_writes_is_read_while_it_is_polled() {
        let BusyPoll(worker) = worker();
        worker.until.set(Some(Instant::now() + LONG));
        let polling = actix_rt::spawn(Rc::clone(&worker).poll());
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut far = far.into_std().unwrap();
        let other = std::thread::spawn(move || far.write_all(b"hola"));

        let mut read = [0; 4];
        near.read_exact(&mut read).await.unwrap();

        assert_eq!(&read, b"hola");
        assert!(!polling.is_finished());
        worker.until.set(None);
        polling.await.unwrap();
        other.join().unwrap().unwrap();
    }

    #[test]
    fn an_answer_after_the_end_of_the_runtime_spawns_nothing() {
        let (polling, n_asking) = (worker(), AtomicUsize::default());
        let asking = actix_rt::System::new().block_on(async { polling.asked(&n_asking) });
        polling.0.is_polling.set(false);

        drop(asking);

        assert!(!polling.0.is_polling.get());
    }
}

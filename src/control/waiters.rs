//! Wakes those who wait for a request's tasks and publications to settle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use babelfeed_actors::domain::RequestId;
use babelfeed_actors::messages::{Event, Events};
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Who waits for what; listens to the events only while somebody waits.
#[derive(Clone)]
pub(super) struct Waiters {
    events: Events,
    board: Arc<Mutex<Board>>,
}

#[derive(Default)]
struct Board {
    waiting: HashMap<RequestId, Seat>,
    listens: bool,
}

struct Seat {
    bell: Arc<Notify>,
    n_waiters: usize,
}

/// Somebody who waits for one request.
pub(super) struct Waiter {
    id: RequestId,
    bell: Arc<Notify>,
    board: Arc<Mutex<Board>>,
}

impl Waiters {
    /// Nobody waits yet.
    pub(super) fn new(events: Events) -> Self {
        Self {
            events,
            board: Arc::default(),
        }
    }

    /// Waits for a request from now on; what settles after this call rings.
    pub(super) fn wait_for(&self, id: RequestId) -> Waiter {
        let mut board = lock(&self.board);
        if !board.listens {
            board.listens = true;
            let events = self.events.listen();
            actix_rt::spawn(ring(events, Arc::clone(&self.board)));
        }
        let seat = board.waiting.entry(id).or_insert_with(|| Seat {
            bell: Arc::default(),
            n_waiters: 0,
        });
        seat.n_waiters += 1;
        Waiter {
            id,
            bell: Arc::clone(&seat.bell),
            board: Arc::clone(&self.board),
        }
    }
}

impl Waiter {
    /// Resolves when something of the request settles after this call.
    pub(super) fn rung(&self) -> impl Future<Output = ()> + '_ {
        self.bell.notified()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut board = lock(&self.board);
        if let Some(seat) = board.waiting.get_mut(&self.id) {
            seat.n_waiters -= 1;
            if seat.n_waiters == 0 {
                board.waiting.remove(&self.id);
            }
        }
    }
}

/// Rings until nobody waits any more.
async fn ring(mut events: Receiver<Event>, board: Arc<Mutex<Board>>) {
    let mut silence = Silence {
        board,
        is_told: false,
    };
    loop {
        let event = events.recv().await;
        let mut board = lock(&silence.board);
        match event {
            Ok(event) => board.ring(&event),
            Err(RecvError::Lagged(_)) => board.ring_all(),
            Err(RecvError::Closed) => return,
        }
        if board.waiting.is_empty() {
            board.listens = false;
            drop(board);
            silence.is_told = true;
            return;
        }
    }
}

impl Board {
    fn ring(&self, event: &Event) {
        let settled = match event {
            Event::Task { id, state, .. } => state.is_final().then(|| id.request()),
            Event::Publication { id, state, .. } => state.is_settled().then(|| id.task().request()),
        };
        if let Some(seat) = settled.and_then(|id| self.waiting.get(&id)) {
            seat.bell.notify_waiters();
        }
    }

    fn ring_all(&self) {
        for seat in self.waiting.values() {
            seat.bell.notify_waiters();
        }
    }
}

/// Says that nobody listens, however listening ended, so that the next waiter begins anew.
struct Silence {
    board: Arc<Mutex<Board>>,
    is_told: bool,
}

impl Drop for Silence {
    fn drop(&mut self) {
        if !self.is_told {
            let mut board = lock(&self.board);
            board.listens = false;
            board.ring_all();
        }
    }
}

/// Nothing panics while it holds the board, so what a poisoned lock guards is whole.
fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

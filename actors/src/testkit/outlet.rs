//! An outlet that writes down what it is given, and fails as a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::domain::{Attached, Publication, PublicationId, Thread};
use crate::logic::fit::Limit;
use crate::ports::{Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack};

/// An outlet in memory; clones share what it was given. It publishes whatever arrives, also twice.
#[derive(Clone, Debug)]
pub struct FakeOutlet {
    stage: Arc<Mutex<Stage>>,
}

/// What happens to one part instead of being published.
#[derive(Clone, Debug)]
pub enum OutletFault {
    /// It is not published, and this is the answer.
    Error(OutletError),
    /// It is published, and the answer is lost.
    StoredAndLost,
    /// It is not published, and nobody can know.
    LostAndSilent,
    /// The call panics before the part is published.
    Panic,
    /// The part is published, and then the call panics.
    StoredAndPanic,
    /// The part is published after so long, and so is the answer.
    Late(Duration),
}

/// A part that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The publication.
    pub publication: PublicationId,
    /// Which of its parts.
    pub part: usize,
    /// The idempotency key it came with.
    pub key: Arc<str>,
    /// The exact bytes: the part's text.
    pub bytes: Arc<[u8]>,
    /// The id that the outlet gave it.
    pub id: Arc<str>,
    /// What its publication answers.
    pub thread: Option<Thread>,
    /// What hangs on its publication.
    pub attached: Option<Arc<Attached>>,
}

#[derive(Debug)]
struct Stage {
    out: Vec<Out>,
    faults: VecDeque<OutletFault>,
    read_back_faults: VecDeque<OutletError>,
    freeze_faults: VecDeque<OutletError>,
    limit_faults: VecDeque<OutletError>,
    /// What becomes of coming edits and deletions; none: they are made.
    change_faults: VecDeque<Option<OutletError>>,
    /// Parts with these words are not published, and nobody can know; none: no part.
    silent_about: Option<String>,
    can_be_read: bool,
    n_out: usize,
    n_edits: usize,
    delay: Duration,
    limit: Limit,
    knows_limit: bool,
    batch: usize,
    quiet: Duration,
    abilities: Abilities,
    /// After how long it publishes what it is given, if not at once.
    schedule: Option<Duration>,
    /// What it publishes at its time.
    scheduled: Vec<(Frozen, Instant)>,
    n_calls: usize,
    n_read_backs: usize,
    /// What it was told that it had published before.
    remembered: Vec<PublicationId>,
    /// What it charges each time something is read back.
    price_of_reading: f64,
    price_of_links: f64,
    charged: f64,
}

impl Default for FakeOutlet {
    fn default() -> Self {
        Self {
            stage: Arc::new(Mutex::new(Stage {
                out: Vec::new(),
                faults: VecDeque::new(),
                read_back_faults: VecDeque::new(),
                freeze_faults: VecDeque::new(),
                limit_faults: VecDeque::new(),
                change_faults: VecDeque::new(),
                silent_about: None,
                can_be_read: true,
                n_out: 0,
                n_edits: 0,
                delay: Duration::ZERO,
                limit: Limit::Unbounded,
                knows_limit: false,
                batch: 10,
                quiet: Duration::ZERO,
                abilities: Abilities::default(),
                schedule: None,
                scheduled: Vec::new(),
                n_calls: 0,
                n_read_backs: 0,
                remembered: Vec::new(),
                price_of_reading: 0.0,
                price_of_links: 0.0,
                charged: 0.0,
            })),
        }
    }
}

impl FakeOutlet {
    /// Makes something happen to a coming part; several wait their turn.
    pub fn fail_next(&self, fault: OutletFault) {
        self.stage().faults.push_back(fault);
    }

    /// Publishes no part with these words from now on, and says nothing about it; every part has
    /// the empty ones.
    pub fn fall_silent(&self, words: &str) {
        self.stage().silent_about = Some(words.to_owned());
    }

    /// Publishes every part again.
    pub fn speak(&self) {
        self.stage().silent_about = None;
    }

    /// Tells nobody what became of a part, like a platform that cannot be read back.
    pub fn forbid_reading(&self) {
        self.stage().can_be_read = false;
    }

    /// Makes a coming freezing fail; several wait their turn.
    pub fn fail_next_freeze(&self, error: OutletError) {
        self.stage().freeze_faults.push_back(error);
    }

    /// Makes a coming read-back fail; several wait their turn.
    pub fn fail_next_read_back(&self, error: OutletError) {
        self.stage().read_back_faults.push_back(error);
    }

    /// Makes a coming question for the limit fail; several wait their turn.
    pub fn fail_next_limit(&self, error: OutletError) {
        self.stage().limit_faults.push_back(error);
    }

    /// Makes every call take so long.
    pub fn delay(&self, delay: Duration) {
        self.stage().delay = delay;
    }

    /// Sets the most that a part may measure.
    pub fn set_limit(&self, limit: Limit) {
        self.stage().limit = limit;
    }

    /// Makes it know its limit without being asked.
    pub fn know_limit(&self) {
        self.stage().knows_limit = true;
    }

    /// Sets the most parts that one call takes.
    pub fn set_batch(&self, batch: usize) {
        self.stage().batch = batch;
    }

    /// Sets how long nothing may be read back after an ambiguous answer.
    pub fn set_quiet(&self, quiet: Duration) {
        self.stage().quiet = quiet;
    }

    /// Sets what it can do beside publishing.
    pub fn set_abilities(&self, abilities: Abilities) {
        self.stage().abilities = abilities;
    }

    /// Makes it publish the first part of what it is given by itself after so long; none: at once.
    pub fn set_schedule(&self, schedule: Option<Duration>) {
        self.stage().schedule = schedule;
    }

    /// The texts that it is to publish, in their order.
    pub fn scheduled(&self) -> Vec<String> {
        let stage = self.stage();
        let texts = stage.scheduled.iter().map(|(part, _)| &part.bytes);
        texts
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// Has a person take back all that it is to publish.
    pub fn take_back_scheduled(&self) {
        self.stage().scheduled.clear();
    }

    /// Everything that is out, in its order.
    pub fn out(&self) -> Vec<Out> {
        self.stage().out.clone()
    }

    /// The texts that are out, in their order.
    pub fn texts(&self) -> Vec<String> {
        let stage = self.stage();
        let texts = stage.out.iter().map(|out| &out.bytes);
        texts
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// How many parts are out more often than once.
    pub fn n_doubles(&self) -> usize {
        let stage = self.stage();
        let is_double = |at: usize| {
            stage.out[..at]
                .iter()
                .any(|out| out.key == stage.out[at].key)
        };
        (0..stage.out.len()).filter(|at| is_double(*at)).count()
    }

    /// Makes a coming edit or deletion fail; several wait their turn.
    pub fn fail_next_change(&self, error: OutletError) {
        self.stage().change_faults.push_back(Some(error));
    }

    /// Lets a coming edit or deletion be made, before those that fail after it.
    pub fn let_next_change(&self) {
        self.stage().change_faults.push_back(None);
    }

    /// How often something that is out was changed.
    pub fn n_edits(&self) -> usize {
        self.stage().n_edits
    }

    /// How often `publish` was called.
    pub fn n_calls(&self) -> usize {
        self.stage().n_calls
    }

    /// Makes it charge so many US dollars each time something is read back.
    pub fn charge_for_reading(&self, usd: f64) {
        self.stage().price_of_reading = usd;
    }

    /// Makes each part that holds a link cost so many US dollars, and one go at a time.
    pub fn charge_for_links(&self, usd: f64) {
        let mut stage = self.stage();
        (stage.price_of_links, stage.batch) = (usd, 1);
    }

    /// How often `read_back` was called.
    pub fn n_read_backs(&self) -> usize {
        self.stage().n_read_backs
    }

    /// What it was last told that it had published before.
    pub fn remembered(&self) -> Vec<PublicationId> {
        self.stage().remembered.clone()
    }

    /// What it holds, once what is due is published.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.publish_due();
        stage
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let fault = {
            let mut stage = self.stage();
            let text = String::from_utf8_lossy(&part.bytes);
            let is_silent = stage.silent_about.as_ref();
            match is_silent.is_some_and(|words| text.contains(words)) {
                true => Some(OutletFault::LostAndSilent),
                false => stage.faults.pop_front(),
            }
        };
        match fault {
            None => self.take(part),
            Some(OutletFault::Error(error)) => Err(error),
            Some(OutletFault::StoredAndLost) => {
                // Whatever it says is lost.
                let _ = self.take(part);
                Err(silence())
            }
            Some(OutletFault::LostAndSilent) => Err(silence()),
            Some(OutletFault::Panic) => panic!("the fake outlet was told to panic"),
            Some(OutletFault::StoredAndPanic) => {
                self.store(part);
                panic!("the fake outlet was told to panic")
            }
            Some(OutletFault::Late(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(self.store(part))
            }
        }
    }

    fn store(&self, part: &Frozen) -> Published {
        self.stage().store(part)
    }

    /// Publishes a part, at once or later.
    fn take(&self, part: &Frozen) -> Result<Published, OutletError> {
        let mut stage = self.stage();
        match stage.schedule.filter(|_| part.dispatch.part == 0) {
            None => Ok(stage.store(part)),
            Some(wait) => {
                stage.scheduled.push((part.clone(), Instant::now() + wait));
                Err(OutletError::Scheduled { wait })
            }
        }
    }
}

impl Stage {
    fn store(&mut self, part: &Frozen) -> Published {
        self.n_out += 1;
        let id: Arc<str> = format!("fake-{}", self.n_out).into();
        self.out.push(Out {
            publication: part.dispatch.publication.id,
            part: part.dispatch.part,
            key: part.key.clone(),
            bytes: part.bytes.clone(),
            id: id.clone(),
            thread: part.dispatch.publication.thread.clone(),
            attached: part.dispatch.publication.attached.clone(),
        });
        published(id)
    }

    fn publish_due(&mut self) {
        if self.scheduled.is_empty() {
            return;
        }
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.scheduled)
            .into_iter()
            .partition(|(_, at)| *at <= now);
        self.scheduled = later;
        let mut due: Vec<(Frozen, Instant)> = due;
        due.sort_by_key(|(_, at)| *at);
        for (part, _) in due {
            self.store(&part);
        }
    }

    /// What became of a part.
    fn fate(&self, part: &Frozen) -> ReadBack {
        let scheduled = self.scheduled.iter().find(|(it, _)| it.key == part.key);
        if let Some((_, at)) = scheduled {
            return ReadBack::Scheduled(at.duration_since(Instant::now()));
        }
        let out = self.out.iter().find(|out| out.key == part.key);
        out.map_or(ReadBack::Absent, |out| {
            ReadBack::Found(published(out.id.clone()))
        })
    }
}

impl Outlet for FakeOutlet {
    fn abilities(&self) -> Abilities {
        self.stage().abilities
    }

    fn batch(&self) -> usize {
        self.stage().batch
    }

    fn remember(&self, publications: &[Arc<Publication>]) {
        self.stage().remembered = publications.iter().map(|it| it.id).collect();
    }

    fn quiet(&self) -> Duration {
        self.stage().quiet
    }

    fn cost(&self, dispatch: &Dispatch) -> f64 {
        let part = dispatch.publication.parts.get(dispatch.part);
        match part.is_some_and(|part| part.text.contains("://")) {
            true => self.stage().price_of_links,
            false => 0.0,
        }
    }

    fn charged(&self) -> f64 {
        std::mem::take(&mut self.stage().charged)
    }

    fn known_limit(&self) -> Option<Limit> {
        let stage = self.stage();
        stage.knows_limit.then_some(stage.limit)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async {
            let mut stage = self.stage();
            match stage.limit_faults.pop_front() {
                Some(error) => Err(error),
                None => Ok(stage.limit),
            }
        }
        .boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let mark = self.stage().out.len() as u64;
        async move {
            if let Some(error) = self.stage().freeze_faults.pop_front() {
                return Err(error);
            }
            Ok(dispatches
                .into_iter()
                .map(|one| freeze(one, mark))
                .collect())
        }
        .boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        async move {
            let delay = {
                let mut stage = self.stage();
                stage.n_calls += 1;
                stage.delay
            };
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let mut answers = Vec::with_capacity(parts.len());
            for part in parts {
                answers.push(self.send(part).await);
            }
            answers
        }
        .boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        async move {
            let mut stage = self.stage();
            stage.n_read_backs += 1;
            stage.charged += stage.price_of_reading;
            if let Some(error) = stage.read_back_faults.pop_front() {
                return Err(error);
            }
            if !stage.can_be_read {
                return Err(silence());
            }
            Ok(stage.fate(part))
        }
        .boxed_local()
    }

    fn unschedule<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        async move {
            let mut stage = self.stage();
            if let Some(error) = stage.change_faults.pop_front().flatten() {
                return Err(error);
            }
            stage.scheduled.retain(|(it, _)| it.key != part.key);
            Ok(stage.fate(part))
        }
        .boxed_local()
    }

    fn edit<'a>(
        &'a self,
        part: &'a Frozen,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<Published, OutletError>> {
        async move {
            let mut stage = self.stage();
            if let Some(error) = stage.change_faults.pop_front().flatten() {
                return Err(error);
            }
            stage.n_edits += 1;
            let same = |out: &&mut Out| out.id == published.id;
            let Some(out) = stage.out.iter_mut().find(same) else {
                return Err(OutletError::Rejected {
                    detail: "there is nothing to be changed".into(),
                });
            };
            out.publication = part.dispatch.publication.id;
            out.key = part.key.clone();
            out.bytes = part.bytes.clone();
            out.attached = part.dispatch.publication.attached.clone();
            Ok(published.clone())
        }
        .boxed_local()
    }

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        async move {
            let mut stage = self.stage();
            if let Some(error) = stage.change_faults.pop_front().flatten() {
                return Err(error);
            }
            stage.out.retain(|out| out.id != published.id);
            Ok(())
        }
        .boxed_local()
    }
}

fn freeze(dispatch: Dispatch, mark: u64) -> Frozen {
    Frozen {
        key: format!("{}.{}", dispatch.publication.id, dispatch.part).into(),
        bytes: dispatch.publication.parts[dispatch.part]
            .text
            .as_bytes()
            .into(),
        dispatch,
        mark,
    }
}

fn published(id: Arc<str>) -> Published {
    Published {
        url: Some(format!("https://fake.example/{id}").into()),
        id,
    }
}

fn silence() -> OutletError {
    OutletError::Ambiguous {
        detail: "the fake outlet says nothing".into(),
    }
}

//! What follows from the end of a call, text by text.

use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::{debug, error, warn};

use super::book::{After, Flight};
use super::dispatch::{Ended, Sent};
use super::doubt::Doubt;
use super::lookup::Made;
use super::plan::{Planned, Standing, Text, plan};
use super::work::{Subject, Work};
use super::{Learned, Place, TaskManagerActor};
use crate::domain::{Failure, FailureKind, State, Translation, Usage};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::logic::checks::{Check, Fault};
use crate::logic::hashtags::{Translated, apart};
use crate::logic::lifecycle::Step;
use crate::logic::outstanding::Line;
use crate::messages::{CallEnd, Duty, Insert, ItemEnd, NowError, Rendered, Trouble};
use crate::ports::{self, ProviderError, ProviderRemedy};

/// How long it is believed that a provider does not translate a pair.
const UNSUPPORTED: Duration = Duration::from_secs(3_600);
/// The waits between attempts of one task.
const ATTEMPTS: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
/// So many failures in a row are the lane's fault, and cost its tasks no attempt.
const LANE_FAILS: u32 = 3;
/// After each so many attempts given back for its lane's sake a task waits twice as long.
const REFUNDS: u32 = 100;

impl Handler<Ended> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, ended: Ended, context: &mut Context<Self>) {
        failpoints::hit("task_manager.ended");
        let Ended {
            route,
            translator,
            made,
            mut flight,
            sent,
            end,
        } = ended;
        let first = self.state.under_way.get(made.number);
        let first = first.and_then(|on_call| on_call.first);
        self.end_call(route, &made, end.as_ref());
        if let Some(first) = first
            && end.as_ref().is_some_and(CallEnd::has_all)
        {
            self.lend_slot_of(first);
        }
        if let Some(calls) = self.state.calls.get_mut(&translator) {
            *calls = calls.saturating_sub(1);
        }
        match end {
            Some(end) => {
                self.learn(route, &sent, &end);
                self.land(route, &mut flight, end);
            }
            None => self.land_lost(route, &mut flight),
        }
        drop(flight);
        self.dispatch(context);
        self.flush_soon(context);
        self.set_timer();
    }
}

/// What is published of a task.
#[derive(Debug)]
pub(super) struct Finished {
    /// Its translation, spans and all.
    pub(super) translation: Translation,
    /// How it was come by.
    pub(super) made: Made,
    /// What is wrong with it.
    pub(super) fault: Option<Fault>,
    /// The same in fewer words, without what hangs on it.
    pub(super) short: Option<Arc<str>>,
    /// Its hashtags with their translations.
    pub(super) tags: Translated,
}

impl Finished {
    /// Whether it is a translation as it was wanted.
    pub(super) fn is_sound(&self) -> bool {
        self.made != Made::Same && self.fault.is_none()
    }
}

/// How many texts of a call came back without all of their protected spans.
fn n_torn(items: &[ItemEnd]) -> usize {
    let is_torn = |item: &&ItemEnd| match &item.result {
        Some(Err(Trouble::Doubtful { fault, .. })) => fault.check == Check::Spans,
        _ => false,
    };
    items.iter().filter(is_torn).count()
}

impl TaskManagerActor {
    /// Learns from a call what the provider needs and digests.
    fn learn(&mut self, route: usize, sent: &Sent, end: &CallEnd) {
        let wanted = self.wanted_size(route);
        let Learned {
            estimates,
            digestion,
        } = &mut self.learned[route];
        match &end.error {
            Some(ProviderError::TooLarge { .. }) => digestion.was_too_large(sent.n_texts),
            Some(_) => (),
            None => {
                let is_broken =
                    |item: &&ItemEnd| matches!(item.result, Some(Err(Trouble::Broken(_))));
                let n_broken = end.items.iter().filter(is_broken).count() + n_torn(&end.items);
                digestion.learn(sent.n_texts, n_broken, wanted);
            }
        }
        if let Some(charged) = end.charged {
            estimates.learn_call(&sent.pair, sent.weight, charged);
        }
    }

    fn land(&mut self, route: usize, flight: &mut Flight, end: CallEnd) {
        self.note_lane(route, end.error.as_ref());
        let n_items = end.items.len();
        // A text alone that loses its spans is asked for again with what was wrong; where most of
        // a pack do, it is the pack that was too much.
        let is_spoiled = n_items > 1 && n_torn(&end.items) * 2 > n_items;
        for item in end.items {
            let ItemEnd {
                token,
                result,
                duty,
            } = item;
            let landed = match &result {
                Some(Ok(_)) => flight.land(token),
                Some(Err(_)) | None => flight.lose(token),
            };
            let Some(mut work) = landed else {
                // Cancelled or expired meanwhile, and the cache has what came of it; or another
                // call has brought it, or still may.
                continue;
            };
            work.leadership = duty.and_then(Duty::take);
            if let Some(Err(trouble)) = &result
                && let Some(tight) = work.tight.take()
            {
                if let Trouble::Doubtful { fault, .. } = trouble {
                    self.count_fault(fault);
                }
                self.end_tight(work, *tight, None, Made::ByCall);
                continue;
            }
            match (result, &end.error) {
                (Some(Ok(rendered)), _) => {
                    let Rendered {
                        translation,
                        restored,
                    } = rendered;
                    work.doubt = None;
                    self.note_usage(route, &work, &translation);
                    if work.is_abandoned() {
                        // As a rule its caller has it from the translator.
                        continue;
                    }
                    if work.tight.is_some() {
                        self.complete(work, &translation, Made::ByCall);
                    } else {
                        self.complete_restored(work, &translation, Made::ByCall, &restored);
                    }
                }
                (Some(Err(Trouble::Broken(why))), _) => self.broken(work, route, n_items, why),
                (Some(Err(Trouble::Cut)), _) => {
                    work.was_cut();
                    self.broken(work, route, n_items, "the answer was cut off before it");
                }
                (Some(Err(Trouble::Doubtful { fault, .. })), _)
                    if is_spoiled && fault.check == Check::Spans =>
                {
                    self.count_fault(&fault);
                    self.broken(work, route, n_items, "a protected span did not come back");
                }
                (Some(Err(Trouble::Doubtful { fault, translation })), _) => {
                    let doubt = Doubt::new(fault, translation);
                    self.doubtful(work, route, n_items, doubt);
                }
                (Some(Err(Trouble::Refused(failure))), _) => self.refused(work, route, failure),
                (None, Some(error)) => self.not_made(work, route, n_items, error),
                (None, None) => self.broken(work, route, n_items, "the call brought nothing"),
            }
        }
    }

    /// The translator fell over the call, which may or may not have been made.
    fn land_lost(&mut self, route: usize, flight: &mut Flight) {
        let numbers = flight.numbers.clone();
        let n_items = numbers.len();
        let provider = &self.config.routes[route].name;
        error!(provider:% = provider, texts = n_items; "a call was lost");
        for number in numbers {
            if let Some(work) = flight.lose(number) {
                self.lost(work, route, n_items);
            }
        }
    }

    fn note_lane(&mut self, route: usize, error: Option<&ProviderError>) {
        let state = self.state.routes.entry(route).or_default();
        let is_lane = error.is_some_and(|error| {
            matches!(
                error.remedy(),
                ProviderRemedy::Retry(_) | ProviderRemedy::Park(_) | ProviderRemedy::ParkForPerson
            )
        });
        let was_failing = state.failures >= LANE_FAILS;
        state.failures = if is_lane { state.failures + 1 } else { 0 };
        let is_back = was_failing && !is_lane;
        let tells = match error.map(ProviderError::remedy) {
            Some(ProviderRemedy::ParkForPerson) => state.failures == 1,
            _ => state.failures == LANE_FAILS,
        };
        if let (Some(error), true) = (error, tells) {
            // Why, once in a row; that the lane closes and opens is told where that is decided.
            let provider = &self.config.routes[route].name;
            warn!(provider:% = provider, cause:% = error; "a provider fails");
        }
        if is_back {
            self.release_blameless();
        }
    }

    /// A text has its translation.
    pub(super) fn complete(&mut self, mut work: Work, translation: &Translation, made: Made) {
        if let Some(tight) = work.tight.take() {
            self.end_tight(work, *tight, Some(translation), made);
            return;
        }
        let torn = work
            .doubt
            .as_ref()
            .filter(|doubt| doubt.is_torn() && made == Made::ByCall);
        let restored = match torn {
            Some(_) => Ok(work.text.restore_torn(&translation.text)),
            None => work.text.restore(&translation.text),
        };
        let Ok(text) = restored else {
            // The translator has checked it, and whoever shares the key shares the placeholders.
            error!(key:? = work.key; "a known translation does not fit its text");
            let failure = Failure {
                kind: FailureKind::Checks,
                detail: "the translation's protected spans are not the text's".into(),
            };
            self.give_up(work, failure);
            return;
        };
        self.complete_restored(work, translation, made, &text);
    }

    /// The same, its text with the spans of the text itself.
    fn complete_restored(
        &mut self,
        work: Work,
        translation: &Translation,
        made: Made,
        restored: &str,
    ) {
        let is_known = made != Made::ByCall;
        let (text, tags) = match &work.subject {
            Subject::Task(live) => apart(restored, &live.record.task.request.text, &work.tags),
            Subject::Now { .. } => (restored, Translated::default()),
        };
        // What is in the language already has its hashtags in it, too.
        let tags = match made {
            Made::Same => Translated::default(),
            Made::ByCall | Made::Known => tags,
        };
        let translation = Translation {
            text: text.into(),
            provider: translation.provider.clone(),
            model: Arc::clone(&translation.model),
            cached: is_known,
            usage: if is_known {
                Usage::default()
            } else {
                translation.usage
            },
        };
        if let Subject::Now { call, index } = work.subject {
            call.finish(index, translation);
            return;
        }
        let doubt = work.doubt.as_ref().filter(|_| made == Made::ByCall);
        let finished = Finished {
            fault: doubt.map(|doubt| doubt.fault.clone()),
            translation,
            tags,
            made,
            short: None,
        };
        if let Some((work, finished)) = self.tightened(work, finished) {
            self.complete_task(work, finished);
        }
    }

    /// A task has what is published of it.
    pub(super) fn complete_task(&mut self, work: Work, finished: Finished) {
        self.displace(&work);
        let standing = match (finished.made, &finished.fault) {
            (Made::Same, _) => Standing::Same,
            (_, Some(fault)) => Standing::Doubtful(fault),
            _ => Standing::Sound,
        };
        let Subject::Task(live) = work.subject else {
            return;
        };
        let (at, mut record) = (self.clock.wall(), live.record);
        let passes = record.lifecycle.state() != State::Processing;
        let stepped = if passes {
            record.lifecycle.step(Step::Pass, at)
        } else {
            Ok(())
        };
        if let Err(refusal) = stepped.and_then(|()| record.lifecycle.step(Step::Complete, at)) {
            error!(task:% = record.task.id, cause:% = refusal; "a task was not completed");
            return;
        }
        let publications: Vec<Planned> = if record.publish {
            let limits = &self.config.limits;
            plan(
                &self.config.outlets,
                limits,
                &record.task,
                Text {
                    translation: &finished.translation,
                    short: finished.short.as_deref(),
                    tags: &finished.tags,
                    standing,
                },
                at,
            )
        } else {
            Vec::new()
        };
        let accepted = record.task.request.accepted_at;
        self.record(&self.system, "task", at.since(accepted));
        record.ended = Some(ports::Ended::Completed(finished.translation));
        let line = Line::of(&record.task);
        self.push(Self::last_change(record, publications), After::Ended(line));
    }

    /// A text ends without a translation.
    pub(super) fn give_up(&mut self, mut work: Work, failure: Failure) {
        if (failure.kind.is_from_providers() || failure.kind == FailureKind::Expired)
            && let Some(tight) = work.tight.take()
        {
            self.end_tight(work, *tight, None, Made::Known);
            return;
        }
        if failure.kind.is_from_providers()
            && let Some(doubt) = work.doubt.take()
        {
            self.accept(work, doubt);
            return;
        }
        if failure.kind.is_about_the_text()
            && let Some(leadership) = work.leadership.take()
        {
            let told = Insert(vec![(leadership, Err(failure.clone()))]);
            self.peers.insert.do_send(told);
        }
        self.displace(&work);
        match work.subject {
            Subject::Now { call, .. } if failure.kind == FailureKind::Expired => {
                call.refuse(NowError::Expired);
            }
            Subject::Now { call, index } => call.refuse(NowError::Refused { index, failure }),
            Subject::Task(live) => {
                let record = live.record;
                self.fail(record, failure);
            }
        }
    }

    /// A text did not come back, or not provably: it goes on in a smaller pack.
    fn broken(&mut self, mut work: Work, route: usize, n_items: usize, why: &'static str) {
        debug!(number = work.number, why = why; "a text came back broken");
        work.pack_limit = (n_items / 2).max(1);
        let is_alone = n_items == 1;
        if is_alone {
            work.fail_at(route);
        }
        if is_alone && self.is_out_of_attempts(&work) {
            let failure = Failure {
                kind: FailureKind::Checks,
                detail: why.into(),
            };
            self.give_up_or_try_another(work, failure);
            return;
        }
        // Broken company is no fault of the text's; alone it counts.
        let step = Step::Again {
            why: why.into(),
            refund: !is_alone,
        };
        self.go_again(work, step);
    }

    /// A text was in a call that was lost: the translator may fall over this very text each time, so
    /// it goes on in a smaller pack, and alone its attempts count.
    fn lost(&mut self, mut work: Work, route: usize, n_items: usize) {
        let why = "the translator fell over the call".into();
        work.pack_limit = (n_items / 2).max(1);
        if n_items == 1 {
            self.failed(work, route, why);
        } else {
            self.go_again(work, Step::Again { why, refund: true });
        }
    }

    /// A provider failed a text: another one tries, or the same after a backoff, as long as it has
    /// attempts left.
    fn failed(&mut self, mut work: Work, route: usize, why: Arc<str>) {
        work.fail_at(route);
        if self.is_out_of_attempts(&work) {
            let failure = Failure {
                kind: FailureKind::Attempts,
                detail: why,
            };
            self.give_up_or_try_another(work, failure);
            return;
        }
        self.go_on(work, Step::Again { why, refund: false });
    }

    /// Puts work that a provider failed back into the queue, at once where another is ready.
    fn go_on(&mut self, work: Work, step: Step) {
        if self.has_another(&work) {
            self.go_again(work, step);
        } else {
            self.go_again_later(work, step);
        }
    }

    /// A text was refused, alone in its call: another provider may do it.
    fn refused(&mut self, mut work: Work, route: usize, failure: Failure) {
        let why = format!("{}: {}", self.config.routes[route].name, failure.detail);
        work.refused_by = work.refused_by.with(route);
        work.refusal = Some(failure);
        let step = Step::Again {
            why: why.into(),
            refund: true,
        };
        self.go_again(work, step);
    }

    /// Ends a text that is out of attempts, unless there is a provider that never had it.
    fn give_up_or_try_another(&mut self, mut work: Work, failure: Failure) {
        let failed_by = work.refused_by.and(work.tried);
        if !self.has_another_than(&work, failed_by) {
            self.give_up(work, failure);
            return;
        }
        work.refused_by = failed_by;
        let step = Step::Again {
            why: Arc::clone(&failure.detail),
            refund: true,
        };
        work.refusal = Some(failure);
        self.go_again(work, step);
    }

    /// Finds places at once for work that waits because its lane failed, now that it works.
    fn release_blameless(&mut self) {
        let is_blameless = |work: &Work| work.refunds > 0;
        let waiting = self.state.delayed.iter();
        let chosen: Vec<_> = waiting
            .filter(|(_, work)| is_blameless(work))
            .map(|(key, _)| *key)
            .collect();
        let delayed = &mut self.state.delayed;
        let works = chosen.iter().filter_map(|key| delayed.remove(key));
        let works = works.collect();
        self.look_up(works);
    }

    /// The call as a whole brought nothing.
    fn not_made(&mut self, mut work: Work, route: usize, n_items: usize, error: &ProviderError) {
        let why: Arc<str> = error.to_string().into();
        let state = self.state.routes.entry(route).or_default();
        match error.remedy() {
            ProviderRemedy::Park(wait) => {
                let wait = wait.unwrap_or_default();
                self.bounce(&mut work, wait);
                self.go_again(work, Step::Again { why, refund: false });
            }
            ProviderRemedy::ParkForPerson => {
                self.go_again(work, Step::Again { why, refund: true });
            }
            ProviderRemedy::Retry(_) if state.failures >= LANE_FAILS => {
                work.refunds = work.refunds.saturating_add(1);
                work.fail_at(route);
                self.go_on(work, Step::Again { why, refund: true });
            }
            ProviderRemedy::Retry(_) => self.failed(work, route, why),
            ProviderRemedy::Split => {
                work.pack_limit = (n_items / 2).max(1);
                self.go_again(work, Step::Again { why, refund: true });
            }
            ProviderRemedy::OtherProvider => {
                let until = self.clock.now().plus(UNSUPPORTED);
                let pair = work.bucket.pair.clone();
                let earlier = state.unsupported.insert(pair.clone(), until);
                self.go_again(work, Step::Again { why, refund: true });
                if earlier.is_none_or(|earlier| earlier <= self.clock.now()) {
                    self.send_elsewhere(route, &pair);
                }
            }
        }
    }

    /// Notes that the lane bounced a task, whose attempt it gets back.
    fn bounce(&self, work: &mut Work, wait: Duration) {
        let at = self.clock.wall();
        let Subject::Task(live) = &mut work.subject else {
            work.attempts = work.attempts.saturating_sub(1);
            return;
        };
        let until = at.plus(wait);
        match live.record.lifecycle.step(Step::Bounce { until }, at) {
            Ok(()) => self.tell(&live.record),
            Err(refusal) => {
                error!(task:% = live.record.task.id, cause:% = refusal; "a task did not bounce");
            }
        }
    }

    pub(super) fn is_out_of_attempts(&self, work: &Work) -> bool {
        match &work.subject {
            Subject::Task(live) => live.record.lifecycle.attempts() >= self.config.max_attempts,
            Subject::Now { .. } => work.attempts >= self.config.max_attempts,
        }
    }

    /// Puts work back into the queue, where it stands as the step says.
    pub(super) fn go_again(&mut self, mut work: Work, step: Step) {
        if !self.step_back(&mut work, step) {
            return;
        }
        if work.leadership.is_some() {
            self.enqueue(work);
        } else {
            self.look_up(vec![work]);
        }
    }

    /// The same, after the backoff that its attempts have earned.
    fn go_again_later(&mut self, mut work: Work, step: Step) {
        if self.refuses_at_stop(&work) || !self.step_back(&mut work, step) {
            return;
        }
        // Whoever waits for the same text is not to sleep with it.
        work.leadership = None;
        let attempts = match &work.subject {
            Subject::Task(live) => live.record.lifecycle.attempts(),
            Subject::Now { .. } => work.attempts,
        };
        // What its lane fails again and again makes room for other work at each probe.
        let failed = attempts.max(1).saturating_add(work.refunds / REFUNDS);
        let wait = self.chance.jitter(ATTEMPTS.after(failed));
        let moment = self.clock.now().plus(wait);
        self.place(&work, Place::Delayed(moment, work.number));
        self.state.delayed.insert((moment, work.number), work);
        self.set_timer();
    }

    /// Makes a task Queued again, in memory and in the store; a caller's text has no states.
    pub(super) fn step_back(&mut self, work: &mut Work, step: Step) -> bool {
        let Subject::Task(live) = &mut work.subject else {
            let is_refund = matches!(step, Step::Again { refund: true, .. });
            work.attempts = work.attempts.saturating_sub(u32::from(is_refund));
            return true;
        };
        if let Err(refusal) = live.record.lifecycle.step(step, self.clock.wall()) {
            error!(task:% = live.record.task.id, cause:% = refusal; "a task did not go back");
            return false;
        }
        let change = self.change(&mut live.record, 0, Vec::new());
        self.tell(&live.record);
        self.push(change, After::Requeued);
        true
    }
}

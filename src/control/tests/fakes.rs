//! One actor that hears every message and only answers.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, MessageResult, Recipient, ResponseFuture};
use babelfeed_actors::cache::KnownReader;
use babelfeed_actors::domain::{
    Class, Failure, FailureKind, Lane, Moment, PublicationState, Timestamp, Translation,
};
use babelfeed_actors::logic::known::Edition;
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::logic::routing::Figures;
use babelfeed_actors::logic::shelf::Shelf;
use babelfeed_actors::messages::*;
use babelfeed_actors::ports::{Clock, StoreError};
use babelfeed_actors::supervision::Falls;
use babelfeed_actors::system::Handles;

use super::memory::{Shared, publication, translation};

/// The handles of a system whose every actor is one that only answers.
pub(super) fn handles(memory: &Shared, events: Events) -> Handles {
    fn heard<M>(fake: &Addr<Fake>) -> Recipient<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Fake: Handler<M>,
    {
        fake.clone().recipient()
    }
    let fake = Fake(Arc::clone(memory)).start();
    Handles {
        submit: heard(&fake),
        translate_now: heard(&fake),
        find_task: heard(&fake),
        find_tasks: heard(&fake),
        find_request: heard(&fake),
        list: heard(&fake),
        cancel: heard(&fake),
        retry: heard(&fake),
        drain: heard(&fake),
        open_intake: heard(&fake),
        stop: heard(&fake),
        depth: heard(&fake),
        clear: heard(&fake),
        save_known: heard(&fake),
        known: nothing_known(),
        cache_stats: heard(&fake),
        adjust: heard(&fake),
        lanes: heard(&fake),
        quotas: heard(&fake),
        providers: heard(&fake),
        outlets: heard(&fake),
        pause_outlet: heard(&fake),
        resume_outlet: heard(&fake),
        review: heard(&fake),
        approve: heard(&fake),
        reject: heard(&fake),
        retry_publication: heard(&fake),
        pause_source: heard(&fake),
        resume_source: heard(&fake),
        poll_now: heard(&fake),
        watching: heard(&fake),
        record: heard(&fake),
        report: heard(&fake),
        follow: heard(&fake),
        events,
        falls: Falls::default(),
        actors: Default::default(),
    }
}

/// A reader that never finds anything, because it is closed.
fn nothing_known() -> KnownReader {
    KnownReader::new(
        Arc::new(Shelf::new(1, 1, Duration::ZERO)),
        Edition::default(),
        Arc::new(Still),
        Arc::default(),
    )
}

/// Stands still.
pub(super) struct Still;

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn now(&self) -> Moment {
        Moment::from_start(Duration::from_secs(90))
    }
}

/// Hears everything.
struct Fake(Shared);

impl Actor for Fake {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($message:ty, |$memory:ident, $name:ident| $answer:expr) => {
        impl Handler<$message> for Fake {
            type Result = MessageResult<$message>;

            fn handle(&mut self, $name: $message, _: &mut Self::Context) -> Self::Result {
                #[allow(unused_mut, unused_variables)]
                let mut $memory = self.0.lock().expect("no test panics with it");
                MessageResult($answer)
            }
        }
    };
}

hears!(Submit, |memory, submit| {
    memory.batches.push(submit.submissions.len());
    if memory.is_full {
        let wait = Duration::from_millis(2_500);
        return MessageResult(Err(StoreError::Full { wait }.into()));
    }
    Ok(submit
        .submissions
        .into_iter()
        .map(|submission| memory.admit(submission))
        .collect())
});

impl Handler<TranslateNow> for Fake {
    type Result = ResponseFuture<Result<Vec<Translation>, NowError>>;

    fn handle(&mut self, now: TranslateNow, _: &mut Self::Context) -> Self::Result {
        let mut memory = self.0.lock().expect("no test panics with it");
        let is_low = now.class == Class::Low;
        let texts = match now.texts {
            AskedTexts::Plain(texts) => texts,
            AskedTexts::Keyed(keyed) => keyed
                .into_iter()
                .map(|it| it.text.skeleton.clone())
                .collect(),
        };
        memory
            .orders
            .extend(is_low.then(|| format!("warm {}", texts.len())));
        Box::pin(async move {
            let refused = texts.iter().position(|text| &**text == "bad");
            if let Some(index) = refused {
                let failure = Failure {
                    kind: FailureKind::Rejected,
                    detail: "no".into(),
                };
                return Err(NowError::Refused { index, failure });
            }
            if texts.iter().any(|text| &**text == "slow") {
                return Err(NowError::Expired);
            }
            let shout = |text: &Arc<str>| translation(&text.to_uppercase());
            Ok(texts.iter().map(shout).collect())
        })
    }
}

hears!(FindTask, |memory, find| Ok(memory.task(find.0).cloned()));
hears!(FindTasks, |memory, find| {
    memory.orders.push(format!("find {}", find.0.len()));
    let known = find.0.iter().filter_map(|id| memory.task(*id).cloned());
    Ok(known.map(|view| view.record).collect())
});
hears!(FindRequest, |memory, find| Ok(memory
    .requests
    .get(&find.0)
    .cloned()
    .unwrap_or_default()));
hears!(List, |memory, list| {
    let mut tasks: Vec<TaskView> = memory.requests.values().flatten().cloned().collect();
    tasks.sort_by_key(|view| view.record.task.id);
    tasks.retain(|view| {
        let is_meant = |state| view.record.lifecycle.state() == state;
        list.state.is_none_or(is_meant) && Some(view.record.task.id) > list.after
    });
    let next = (tasks.len() > list.limit).then(|| tasks[list.limit - 1].record.task.id);
    tasks.truncate(list.limit);
    Ok(Listed { tasks, next })
});
hears!(Cancel, |memory, cancel| match memory.task(cancel.0) {
    None => Err(ChangeError::Unknown),
    Some(view) => {
        let state = view.record.lifecycle.state();
        let step = Step::Fail(FailureKind::Cancelled);
        match state.is_final() {
            true => Err(ChangeError::Conflict(state)),
            false => {
                let at = Timestamp::from_millis(5);
                view.record.lifecycle.step(step, at).expect("an edge");
                Ok(view.clone())
            }
        }
    }
});
hears!(Retry, |memory, retry| match memory.task(retry.0) {
    None => Err(ChangeError::Unknown),
    Some(view) => Err(ChangeError::Conflict(view.record.lifecycle.state())),
});
hears!(Drain, |memory, _drain| memory.is_draining = true);
hears!(OpenIntake, |memory, _open| memory.is_draining = false);
hears!(Stop, |memory, _stop| memory.orders.push("stop".into()));
hears!(Depth, |memory, _depth| Ok(Backlog {
    queued: 3,
    completed: 2,
    failed: 1,
    unknown: u64::from(memory.paused.contains("unknown")),
    closed: memory.is_draining.then_some(Closed::Draining),
    ..Backlog::default()
}));
hears!(Quotas, |_memory, _quotas| Vec::new());
hears!(SaveAll, |_memory, _save| Ok(()));
hears!(Clear, |memory, _clear| {
    memory.orders.push("clear".into());
    Ok(())
});
hears!(CacheStats, |_memory, _stats| CacheView {
    entries: 5,
    ..CacheView::default()
});

fn shown(name: Option<impl ToString>) -> Option<String> {
    name.map(|name| name.to_string())
}

hears!(Adjust, |memory, adjust| {
    let order = format!("{:?} lane", adjust.adjustment);
    let lane = shown(adjust.lane);
    let is_outlets = lane
        .as_ref()
        .is_some_and(|lane| lane.starts_with("outlet:"));
    let known = if is_outlets { "outlet:es" } else { "groq" };
    memory.name(&order, known, lane)
});
hears!(PauseOutlet, |memory, pause| memory.name(
    "pause outlet",
    "es",
    shown(pause.0)
));
hears!(ResumeOutlet, |memory, resume| memory.name(
    "resume outlet",
    "es",
    shown(resume.0)
));
hears!(PauseSource, |memory, pause| memory.name(
    "pause source",
    "news",
    shown(pause.0)
));
hears!(ResumeSource, |memory, resume| memory.name(
    "resume source",
    "news",
    shown(resume.name)
));
hears!(PollNow, |memory, poll| memory.name(
    "poll",
    "news",
    shown(poll.0)
));
hears!(Providers, |_memory, _providers| vec![ProviderView {
    name: "groq".into(),
    figures: Figures {
        calls: 3,
        texts: 20,
        share: 0.75,
        median: Some(Duration::from_millis(120)),
        p99: None,
    },
    hedges: 1,
    hangs: false,
}]);
hears!(Lanes, |_memory, _lanes| vec![LaneView {
    name: Lane::from("groq"),
    windows: vec![WindowView {
        unit: "requests",
        per: "minute",
        limit: 30.0,
        used: 4.0,
        resets_at: None,
        known_by: "settings",
        told_at: None,
        is_remembered: false,
    }],
    waiting: 0,
    in_flight: 1,
    parked_until: None,
    why: None,
    usd_today: 0.25,
    binding: None,
}]);
hears!(Outlets, |_memory, _outlets| Vec::new());
hears!(Review, |memory, _review| {
    let held = memory.requests.values().flatten();
    let held = held.flat_map(|view| view.publications.clone());
    Ok(held
        .filter(|record| record.state == PublicationState::Held)
        .collect())
});
hears!(Approve, |memory, approve| {
    let known = memory.task(approve.id.task()).is_some();
    memory.orders.push(format!("approve {:?}", approve.text));
    match known {
        true => Ok(publication(approve.id.task(), PublicationState::Planned)),
        false => Err(PublicationError::Unknown),
    }
});
hears!(Reject, |_memory, _reject| Err(PublicationError::Conflict(
    PublicationState::Published
)));
hears!(RetryPublication, |_memory, retry| Ok(publication(
    retry.0.task(),
    PublicationState::Planned
)));
hears!(Watching, |memory, _watching| {
    let state = match memory.paused.contains("failing") {
        true => SourceState::Failing,
        false => SourceState::Waiting,
    };
    vec![SourceView {
        name: "news".into(),
        kind: "feed",
        state,
        paused_by: None,
        missed: Missed::Taken,
        last_poll: None,
        lag: Some(Duration::from_millis(1_500)),
        error: Some("no route".into()),
        seen: 9,
        new: 4,
        cost_usd: 0.0,
    }]
});
hears!(Record, |_memory, _record| ());
hears!(Follow, |_memory, _follow| ());
hears!(ReportNow, |_memory, _now| Report {
    services: vec![ServiceReport {
        name: "groq".into(),
        calls: 12,
        errors: 3,
        rate: 0.5,
        took: Quantiles {
            p50_ms: 10.0,
            p90_ms: 20.0,
            p99_ms: 30.0,
            max_ms: 40.0,
        },
    }],
    outside: Quantiles::default(),
});

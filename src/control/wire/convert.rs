//! Makes what goes over the socket from nouns and views.

use std::fmt::{self, Display};
use std::time::Duration;

use babelfeed_actors::domain::{PublicationState, State, Timestamp};
use babelfeed_actors::logic::fit;
use babelfeed_actors::messages::{
    BindingView, CacheView, Event, LaneView, OutletView, ProviderView, SourceView, TaskView,
    WindowView,
};
use babelfeed_actors::ports::{Ended, PublicationRecord, TaskRecord};

use super::{
    Binding, Cache, Entry, Happened, Lane, Limit, Outlet, Part, Provider, Publication, Request,
    Source, Task, TaskError, TaskResult, Window,
};

/// A time as people write it; what lies past the calendar is its end.
fn time(at: Timestamp) -> String {
    const LAST: i64 = 253_402_300_799_999;
    Timestamp::from_millis(at.as_millis().min(LAST)).to_string()
}

fn text(value: impl Display) -> String {
    value.to_string()
}

impl Request {
    /// The request that these tasks belong to; none without tasks.
    pub(in crate::control) fn of(views: &[TaskView]) -> Option<Self> {
        use babelfeed_actors::domain::Origin;
        let request = &views.first()?.record.task.request;
        let key = match &request.origin {
            Origin::Client { key } => key.as_ref().map(text),
            Origin::Post { post, .. } => Some(text(post)),
        };
        Some(Self {
            id: text(request.id),
            key,
            text: text(request.body(&request.text)),
            source: request.source.as_ref().map(text),
            tasks: views.iter().map(Task::from).collect(),
        })
    }
}

impl From<&TaskView> for Task {
    fn from(view: &TaskView) -> Self {
        let record = &view.record;
        let (result, error) = match &record.ended {
            None => (None, None),
            Some(Ended::Completed(translation)) => {
                let words = record.task.request.body(&translation.text);
                let result = TaskResult {
                    text: text(words),
                    ..TaskResult::from(translation)
                };
                (Some(result), None)
            }
            Some(Ended::Failed(failure)) => (None, Some(TaskError::from(failure))),
        };
        Self {
            id: text(record.task.id),
            request: text(record.task.request.id),
            source: record.task.request.source.as_ref().map(text),
            target: text(&record.task.target),
            state: record.lifecycle.state().name().into(),
            attempts: record.lifecycle.attempts(),
            history: record.lifecycle.history().iter().map(Entry::from).collect(),
            result,
            error,
            publications: view.publications.iter().map(Publication::from).collect(),
        }
    }
}

impl From<&babelfeed_actors::logic::lifecycle::Entry> for Entry {
    fn from(entry: &babelfeed_actors::logic::lifecycle::Entry) -> Self {
        Self {
            state: entry.state.name().into(),
            at: time(entry.at),
            attempt: entry.attempt,
            why: entry.why.as_ref().map(text),
        }
    }
}

impl From<&babelfeed_actors::domain::Translation> for TaskResult {
    fn from(translation: &babelfeed_actors::domain::Translation) -> Self {
        Self {
            text: text(&translation.text),
            provider: text(&translation.provider),
            model: text(&translation.model),
            cached: translation.cached,
            tokens_in: translation.usage.tokens_in,
            tokens_out: translation.usage.tokens_out,
            cost_usd: translation.usage.cost_usd,
        }
    }
}

impl From<&babelfeed_actors::domain::Failure> for TaskError {
    fn from(failure: &babelfeed_actors::domain::Failure) -> Self {
        Self {
            kind: failure.kind.name().into(),
            detail: text(&failure.detail),
        }
    }
}

impl From<&PublicationRecord> for Publication {
    fn from(record: &PublicationRecord) -> Self {
        let publication = &record.publication;
        let open = publication.parts.iter().position(|part| part.id.is_none());
        let part = |(index, part): (usize, &babelfeed_actors::domain::Part)| Part {
            id: part.id.as_ref().map(text),
            url: part.url.as_ref().map(text),
            state: part_state(record.state, part.id.is_some(), open == Some(index))
                .name()
                .into(),
            text: text(&part.text),
        };
        Self {
            id: text(publication.id),
            task: text(publication.id.task()),
            outlet: text(&publication.outlet),
            state: record.state.name().into(),
            language: text(&publication.language),
            at: time(record.at),
            parts: publication.parts.iter().enumerate().map(part).collect(),
            why: record.why.as_ref().map(text),
            original: None,
        }
    }
}

impl Publication {
    /// A publication beside the text of its task.
    pub(in crate::control) fn beside(
        record: &PublicationRecord,
        task: Option<&TaskRecord>,
    ) -> Self {
        let request = task.map(|record| &record.task.request);
        Self {
            original: request.map(|request| text(request.body(&request.text))),
            ..Self::from(record)
        }
    }
}

/// Where one part stands: what is out is out, the first that is not bears the publication's
/// state, and the later ones have not begun.
fn part_state(whole: PublicationState, is_out: bool, is_next: bool) -> PublicationState {
    use PublicationState::{Deleted, Planned, Published, Scheduled, Sending, Unknown};
    match whole {
        Deleted | Published => whole,
        _ if is_out => Published,
        Sending | Scheduled | Unknown if !is_next => Planned,
        _ => whole,
    }
}

impl From<&SourceView> for Source {
    fn from(view: &SourceView) -> Self {
        Self {
            name: text(&view.name),
            kind: view.kind.into(),
            state: view.state.name().into(),
            last_poll: view.last_poll.map(time),
            lag_s: view.lag.map(|lag| lag.as_secs_f64()),
            error: view.error.clone(),
            seen: view.seen,
            new: view.new,
            cost_usd: view.cost_usd,
        }
    }
}

impl From<&ProviderView> for Provider {
    fn from(view: &ProviderView) -> Self {
        let figures = &view.figures;
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        Self {
            name: text(&view.name),
            calls: figures.calls,
            texts: figures.texts,
            share: figures.share,
            p50_ms: millis(figures.median),
            p99_ms: millis(figures.p99),
            hedges: view.hedges,
            hangs: view.hangs,
        }
    }
}

impl From<&LaneView> for Lane {
    fn from(view: &LaneView) -> Self {
        Self {
            name: text(&view.name),
            windows: view.windows.iter().map(Window::from).collect(),
            waiting: view.waiting,
            in_flight: view.in_flight,
            parked_until: view.parked_until.map(time),
            why: view.why.map(text),
            usd_today: view.usd_today,
            binding: view.binding.as_ref().map(Binding::from),
        }
    }
}

impl From<&BindingView> for Binding {
    fn from(view: &BindingView) -> Self {
        Self {
            unit: view.unit.into(),
            per: view.per.into(),
            known_by: view.known_by.into(),
            opens_at: view.opens_at.map(time),
        }
    }
}

impl From<&WindowView> for Window {
    fn from(view: &WindowView) -> Self {
        Self {
            unit: view.unit.into(),
            per: view.per.into(),
            limit: view.limit,
            used: view.used,
            resets_at: view.resets_at.map(time),
            known_by: view.known_by.into(),
            told_at: view.told_at.map(time),
            remembered: view.is_remembered,
        }
    }
}

impl Limit {
    /// What is told of a limit; nothing where anything fits.
    pub fn of(limit: fit::Limit) -> Option<Self> {
        Some(Self {
            max: limit.max()?,
            unit: limit.unit()?.into(),
            max_bytes: limit.max_bytes(),
            link: limit.link(),
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} {} a part", self.max, self.unit)?;
        if let Some(bytes) = self.max_bytes {
            write!(f, " and {bytes} bytes")?;
        }
        match self.link {
            Some(link) => write!(f, ", a link is {link}"),
            None => Ok(()),
        }
    }
}

impl From<&OutletView> for Outlet {
    fn from(view: &OutletView) -> Self {
        Self {
            name: text(&view.name),
            kind: view.kind.into(),
            language: text(&view.language),
            limit: view.limit.and_then(Limit::of),
            state: view.state.into(),
            waiting: view.waiting,
            behind_held: view.behind_held,
            unknown: view.unknown,
            scheduled: view.scheduled,
            published: view.published,
            refused: view.refused,
            error: view.error.clone(),
        }
    }
}

impl From<CacheView> for Cache {
    fn from(view: CacheView) -> Self {
        Self {
            entries: view.entries,
            bytes: view.bytes,
            hits: view.hits,
            misses: view.misses,
            joined: view.joined,
            refreshed: view.refreshed,
        }
    }
}

impl Happened {
    /// The event's name and what it says.
    pub(in crate::control) fn of(event: &Event) -> (&'static str, Self) {
        let (name, id, state, at, why) = match event {
            Event::Task { id, state, at, why } => ("task", text(id), State::name(*state), at, why),
            Event::Publication { id, state, at, why } => (
                "publication",
                text(id),
                PublicationState::name(*state),
                at,
                why,
            ),
        };
        let happened = Self {
            id,
            state: state.into(),
            at: time(*at),
            why: why.as_ref().map(text),
        };
        (name, happened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_is_the_end_of_the_calendar() {
        assert_eq!(
            time(Timestamp::from_millis(i64::MAX)),
            "9999-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn only_the_next_part_bears_an_open_fate() {
        use PublicationState::{Planned, Published, Unknown};
        assert_eq!(part_state(Unknown, true, false), Published);
        assert_eq!(part_state(Unknown, false, true), Unknown);
        assert_eq!(part_state(Unknown, false, false), Planned);
    }
}

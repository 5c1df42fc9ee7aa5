//! `status`: how a task, a request or the whole service stands.

use babelfeed_actors::logic::breaker::Parked;
use babelfeed_actors::logic::quota::AT_ONCE;

use super::client::Client;
use super::ids::{Kind, kind};
use super::options::{Exit, ExitError};
use super::say;
use crate::control::wire::{
    Lane, Outlet, Provider, Publication, Request, Source, Status, Task, Window,
};

/// One task or request.
pub(super) fn one(client: &Client, id: &str, json: bool) -> anyhow::Result<Exit> {
    let kind = kind(id)?;
    let path = match kind {
        Kind::Request => format!("/v1/requests/{id}"),
        Kind::Task => format!("/v1/tasks/{id}"),
        Kind::Publication => {
            let message = format!("`{id}` is a publication, expected a task or a request");
            return Err(ExitError::usage(message).into());
        }
    };
    if json {
        say(client.get_text(&path)?)?;
    } else if kind == Kind::Request {
        request(&client.get(&path)?)?;
    } else {
        task(&client.get(&path)?)?;
    }
    Ok(Exit::Done)
}

/// The whole service.
pub(super) fn service(client: &Client, json: bool) -> anyhow::Result<Exit> {
    if json {
        say(client.get_text("/v1/status")?)?;
        return Ok(Exit::Done);
    }
    let status: Status = client.get("/v1/status")?;
    for line in service_lines(&status) {
        say(line)?;
    }
    Ok(Exit::Done)
}

fn request(request: &Request) -> anyhow::Result<()> {
    let source = request.source.as_deref().unwrap_or("?");
    say(format_args!("request {} from {source}", request.id))?;
    if let Some(key) = &request.key {
        say(format_args!("key {key}"))?;
    }
    say(format_args!("text {}", request.text))?;
    request.tasks.iter().try_for_each(task)
}

fn task(task: &Task) -> anyhow::Result<()> {
    let (id, target, state, attempts) = (&task.id, &task.target, &task.state, task.attempts);
    say(format_args!(
        "task {id} to {target}: {state}, attempts {attempts}"
    ))?;
    for entry in &task.history {
        let why = entry.why.as_deref().unwrap_or_default();
        say(format_args!("    {} {} {why}", entry.at, entry.state)
            .to_string()
            .trim_end())?;
    }
    if let Some(result) = &task.result {
        let cached = if result.cached { ", known" } else { "" };
        let (provider, cost) = (&result.provider, result.cost_usd);
        say(format_args!(
            "    by {provider}{cached}, {cost:.6} US dollars"
        ))?;
        say(format_args!("    {}", result.text.replace('\n', "\n    ")))?;
    }
    if let Some(error) = &task.error {
        say(format_args!("    {}: {}", error.kind, error.detail))?;
    }
    task.publications.iter().try_for_each(publication)
}

fn publication(publication: &Publication) -> anyhow::Result<()> {
    let why = publication.why.as_deref().unwrap_or_default();
    let (id, outlet, state) = (&publication.id, &publication.outlet, &publication.state);
    say(
        format_args!("    publication {id} at {outlet}: {state} {why}")
            .to_string()
            .trim_end(),
    )?;
    for part in &publication.parts {
        if let Some(url) = &part.url {
            say(format_args!("        {url}"))?;
        }
    }
    Ok(())
}

/// The service in lines for people; the dashboard shows the same.
pub(super) fn service_lines(status: &Status) -> Vec<String> {
    let intake = match &status.closed {
        Some(why) => format!("closed, {why}"),
        None if status.is_open => "open".to_owned(),
        None => "closed".to_owned(),
    };
    let mut lines = vec![format!(
        "babelfeed {}, up {}, intake {intake}",
        status.version,
        span(status.uptime_s)
    )];
    let queue = &status.queue;
    let parked = match queue.parked {
        0 => String::new(),
        n => format!(" ({n} of them for an outlet that is not there any more)"),
    };
    lines.push(format!(
        "tasks: {} submitted, {} queued{parked}, {} processing, {} rate limited, {} completed, {} failed",
        queue.submitted,
        queue.queued,
        queue.processing,
        queue.rate_limited,
        status.ended.completed,
        status.ended.failed
    ));
    let open = &status.publications;
    lines.push(format!(
        "publications: {} on their way, {} held, {} unknown",
        open.publishing, open.held, open.unknown
    ));
    let cache = &status.cache;
    lines.push(format!(
        "cache: {} entries, {}, {} hits, {} misses, {} joined",
        cache.entries,
        size(cache.bytes as f64),
        cache.hits,
        cache.misses,
        cache.joined
    ));
    lines.extend(status.sources.iter().map(source_line));
    lines.extend(status.lanes.iter().map(lane_line));
    lines.extend(status.providers.iter().map(provider_line));
    lines.extend(status.outlets.iter().map(outlet_line));
    let fallen = status.actors.iter().filter(|actor| actor.falls > 0);
    lines.extend(fallen.map(|actor| {
        let (name, falls, restarts) = (&actor.name, actor.falls, actor.restarts);
        format!("actor {name}: {falls} falls, {restarts} restarts")
    }));
    lines
}

fn source_line(source: &Source) -> String {
    let polled = source.last_poll.as_deref().unwrap_or("never");
    let lag = source
        .lag_s
        .map_or(String::new(), |lag| format!(", lag {}", span(lag)));
    let error = because(&source.error);
    let cost = match source.cost_usd {
        cost if cost > 0.0 => format!(", {cost:.3} US dollars"),
        _ => String::new(),
    };
    let (name, kind, state) = (&source.name, &source.kind, &source.state);
    format!(
        "source {name} ({kind}): {state}, polled {polled}{lag}, {} seen, {} new{cost}{error}",
        source.seen, source.new
    )
}

/// How a lane stands, a line.
pub(super) fn lane_line(lane: &Lane) -> String {
    let mut line = format!(
        "lane {}: {} in flight, {} waiting, {:.4} US dollars today",
        lane.name, lane.in_flight, lane.waiting, lane.usd_today
    );
    for window in &lane.windows {
        let (unit, over) = (&window.unit, over(&window.per));
        line.push_str(&format!(
            ", {}/{} {unit} {over}{}",
            shown(window.used),
            shown(window.limit),
            learned(window)
        ));
    }
    if let Some(until) = &lane.parked_until {
        line.push_str(&format!(", parked until {until}"));
    }
    if let Some(binding) = &lane.binding {
        let (unit, over, known_by) = (&binding.unit, over(&binding.per), &binding.known_by);
        line.push_str(&format!(", waits for {unit} {over} (known by {known_by})"));
        if let Some(opens_at) = &binding.opens_at {
            line.push_str(&format!(" until {opens_at}"));
        }
    }
    line.push_str(&because(&lane.why));
    if lane.why.as_deref() == Some(Parked::Person.name()) {
        line.push_str(&format!("; when mended: babelfeed resume {}", lane.name));
    }
    line
}

/// Over what time a limit counts, in words.
fn over(per: &str) -> String {
    match per {
        AT_ONCE => per.to_owned(),
        _ => format!("per {per}"),
    }
}

/// From what a limit was learned; nothing where the settings tell it.
fn learned(window: &Window) -> String {
    match (window.known_by.as_str(), window.remembered) {
        ("settings", _) => String::new(),
        (known_by, true) => format!(" (known by {known_by} before the start)"),
        (known_by, false) => format!(" (known by {known_by})"),
    }
}

fn provider_line(provider: &Provider) -> String {
    let share = provider.share * 100.0;
    let mut line = format!(
        "provider {}: {} calls ({share:.0} %), {} texts",
        provider.name, provider.calls, provider.texts
    );
    if let (Some(median), Some(p99)) = (provider.p50_ms, provider.p99_ms) {
        line.push_str(&format!(", {median:.0} ms (median), {p99:.0} ms (p99)"));
    }
    if provider.hedges > 0 {
        line.push_str(&format!(", {} second calls", provider.hedges));
    }
    if provider.hangs {
        line.push_str(", hangs");
    }
    line
}

fn outlet_line(outlet: &Outlet) -> String {
    let (name, kind, language) = (&outlet.name, &outlet.kind, &outlet.language);
    let scheduled = match outlet.scheduled {
        0 => String::new(),
        n => format!(", {n} scheduled there"),
    };
    let limit = match &outlet.limit {
        Some(limit) => format!(", {limit}"),
        None => String::new(),
    };
    format!(
        "outlet {name} ({kind}, {language}{limit}): {}, {} published, {} waiting, {} unknown, {} refused{scheduled}{}",
        outlet.state,
        outlet.published,
        outlet.waiting,
        outlet.unknown,
        outlet.refused,
        because(&outlet.error)
    )
}

/// An amount of a limit: whole, but for money.
fn shown(amount: f64) -> String {
    if amount.fract() == 0.0 {
        format!("{amount:.0}")
    } else {
        format!("{amount:.4}")
    }
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map_or(String::new(), |why| format!(": {why}"))
}

/// A time as people say it.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..=59 => format!("{seconds:.1} s"),
        60..=3_599 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// Bytes as people say them.
pub(super) fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1_048_576.0 => format!("{:.0} KiB", bytes / 1_024.0),
        bytes => format!("{:.1} MiB", bytes / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_times_and_sizes() {
        assert_eq!(span(1.25), "1.2 s");
        assert_eq!(span(3_725.0), "1 h 2 min");
        assert_eq!(span(90_000.0), "1 d 1 h");
        assert_eq!(size(2_048.0), "2 KiB");
        assert_eq!(size(3_145_728.0), "3.0 MiB");
    }
}

//! `performance`: the figures of the running service, once or as they change.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use babelfeed_actors::messages::INSIDE;
use serde_json::json;

use super::client::Client;
use super::options::Exit;
use super::status::{service_lines, size};
use super::{dashboard, say, say_json};
use crate::control::wire::{Metrics, Service, Spread, Status};

/// How often the figures are asked for.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What the service says of itself at one time.
pub(super) struct Figures {
    pub(super) status: Status,
    pub(super) metrics: Metrics,
}

impl Figures {
    /// Asks the service.
    pub(super) fn ask(client: &Client) -> anyhow::Result<Self> {
        Ok(Self {
            status: client.get("/v1/status")?,
            metrics: client.get("/v1/metrics")?,
        })
    }
}

/// The dashboard in a terminal, lines elsewhere, until somebody ends it.
pub(super) fn follow(client: &Client) -> anyhow::Result<Exit> {
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        return dashboard::show(client);
    }
    once_or_lines(client, true, false)
}

/// The figures as text or JSON, once or again and again.
pub(super) fn once_or_lines(client: &Client, follow: bool, json: bool) -> anyhow::Result<Exit> {
    loop {
        let figures = Figures::ask(client)?;
        if json {
            say_json(&json!({ "metrics": figures.metrics, "status": figures.status }))?;
        } else {
            for line in lines(&figures) {
                say(line)?;
            }
        }
        if !follow {
            return Ok(Exit::Done);
        }
        thread::sleep(EVERY);
    }
}

fn lines(figures: &Figures) -> Vec<String> {
    let metrics = &figures.metrics;
    let mut lines = vec![overall_line(metrics), machine_line(metrics)];
    lines.push(format!(
        "tasks since the beginning: {} submitted, {} completed, {} failed",
        metrics.tasks.submitted, metrics.tasks.completed, metrics.tasks.failed
    ));
    lines.extend(metrics.services.iter().map(service_line));
    lines.extend(service_lines(&figures.status));
    lines
}

/// All services together.
pub(super) fn overall_line(metrics: &Metrics) -> String {
    let overall = Overall::of(metrics);
    format!(
        "overall: {} calls, {:.2} % good, {:.2} % errors, {:.1} calls/s, p50 {:.1} ms, p99 {:.1} ms",
        overall.calls,
        100.0 - overall.error_percent,
        overall.error_percent,
        overall.rate,
        overall.p50_ms,
        overall.p99_ms
    )
}

/// Memory and processor time: now, average, highest.
pub(super) fn machine_line(metrics: &Metrics) -> String {
    let shown = |spread: &Spread, show: fn(f64) -> String| {
        [spread.now, spread.average, spread.max]
            .map(show)
            .join(" / ")
    };
    let memory = shown(&metrics.rss, size);
    let processor = shown(&metrics.cpu, |percent| format!("{percent:.1} %"));
    format!("now / average / highest: memory {memory}, processor {processor}")
}

fn service_line(service: &Service) -> String {
    format!(
        "service {}: {} calls, {} errors, {:.1}/s, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        service.name,
        service.calls,
        service.errors,
        service.rate,
        service.p50_ms,
        service.p90_ms,
        service.p99_ms,
        service.max_ms
    )
}

/// All services outside together.
#[derive(Debug, PartialEq)]
struct Overall {
    calls: u64,
    error_percent: f64,
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Overall {
    fn of(metrics: &Metrics) -> Self {
        let services = metrics.services.iter();
        let services: Vec<&Service> = services
            .filter(|service| !INSIDE.contains(&service.name.as_str()))
            .collect();
        let calls: u64 = services.iter().map(|service| service.calls).sum();
        let errors: u64 = services.iter().map(|service| service.errors).sum();
        let share = |part: f64| if calls == 0 { 0.0 } else { part / calls as f64 };
        Self {
            calls,
            error_percent: 100.0 * share(errors as f64),
            rate: services.iter().map(|service| service.rate).sum(),
            p50_ms: metrics.outside.p50_ms,
            p99_ms: metrics.outside.p99_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::{TaskCounts, Took};

    fn service(calls: u64, errors: u64, p50_ms: f64) -> Service {
        Service {
            name: "groq".into(),
            calls,
            errors,
            rate: 1.5,
            p50_ms,
            p90_ms: p50_ms,
            p99_ms: p50_ms,
            max_ms: p50_ms,
        }
    }

    fn metrics(services: Vec<Service>) -> Metrics {
        Metrics {
            services,
            outside: Took::default(),
            tasks: TaskCounts::default(),
            rss_bytes: 0,
            cpu_percent: 0.0,
            rss: Spread::default(),
            cpu: Spread::default(),
        }
    }

    #[test]
    fn services_count_by_their_calls() {
        let services = vec![service(30, 3, 10.0), service(10, 1, 50.0)];
        let overall = Overall::of(&metrics(services));
        assert_eq!((overall.calls, overall.rate), (40, 3.0));
        assert_eq!(overall.error_percent, 10.0);
    }

    #[test]
    fn nothing_done_is_nothing_wrong() {
        let overall = Overall::of(&metrics(Vec::new()));
        assert_eq!((overall.error_percent, overall.p99_ms), (0.0, 0.0));
    }
}

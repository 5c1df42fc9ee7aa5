//! Tells the figures, as JSON and as Prometheus reads them.

use std::fmt::Display;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use babelfeed_actors::messages::{Backlog, Depth, Report, ReportNow, ServiceReport};

use super::app::{Answer, ask};
use super::problem::Problem;
use super::server::Face;
use super::status::{Views, uptime, views};
use super::wire;
use crate::telemetry::process::{Figure, Figures};

/// `GET /v1/metrics`
pub(super) async fn json(face: web::Data<Face>) -> Answer {
    let report = report(&face).await?;
    let backlog = ask(&face.control.handles.depth, Depth).await??;
    let figures = face.control.process.sample();
    Ok(HttpResponse::Ok().json(metrics(&report, &backlog, figures)))
}

async fn report(face: &Face) -> Result<Report, Problem> {
    ask(&face.control.handles.report, ReportNow).await
}

/// The figures as they are told on the socket and kept in a file.
pub fn metrics(report: &Report, backlog: &Backlog, figures: Figures) -> wire::Metrics {
    wire::Metrics {
        services: report.services.iter().map(service).collect(),
        outside: wire::Took {
            p50_ms: report.outside.p50_ms,
            p99_ms: report.outside.p99_ms,
        },
        tasks: wire::TaskCounts {
            submitted: submitted(backlog),
            completed: backlog.completed,
            failed: backlog.failed,
        },
        rss_bytes: figures.rss_bytes.now as u64,
        cpu_percent: figures.cpu_percent.now,
        rss: spread(figures.rss_bytes),
        cpu: spread(figures.cpu_percent),
    }
}

/// Every task that was ever handed in stands somewhere.
const fn submitted(backlog: &Backlog) -> u64 {
    backlog.submitted
        + backlog.queued
        + backlog.processing
        + backlog.rate_limited
        + backlog.completed
        + backlog.failed
}

fn service(report: &ServiceReport) -> wire::Service {
    wire::Service {
        name: report.name.to_string(),
        calls: report.calls,
        errors: report.errors,
        rate: report.rate,
        p50_ms: report.took.p50_ms,
        p90_ms: report.took.p90_ms,
        p99_ms: report.took.p99_ms,
        max_ms: report.took.max_ms,
    }
}

fn spread(figure: Figure) -> wire::Spread {
    wire::Spread {
        now: figure.now,
        average: figure.average,
        max: figure.max,
    }
}

/// `GET /metrics`
pub(super) async fn prometheus(face: web::Data<Face>) -> Answer {
    let (report, views) = tokio::try_join!(report(&face), views(&face))?;
    let mut page = Page::default();
    page.services(&report);
    page.work(&views);
    page.lanes(&views);
    page.process(&face);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(page.0))
}

/// A page in Prometheus' text format, version 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
#[derive(Default)]
struct Page(String);

impl Page {
    fn services(&mut self, report: &Report) {
        let each = |of: fn(&ServiceReport) -> f64| {
            let services = report.services.iter();
            services.map(move |service| (vec![("service", service.name.to_string())], of(service)))
        };
        self.counter(
            "babelfeed_calls_total",
            "Calls made.",
            each(|s| s.calls as f64),
        );
        self.counter(
            "babelfeed_call_errors_total",
            "Calls that went wrong.",
            each(|s| s.errors as f64),
        );
        self.gauge(
            "babelfeed_calls_per_second",
            "Calls a second over the last minute.",
            each(|s| s.rate),
        );
        let quantiles = report.services.iter().flat_map(|service| {
            let took = service.took;
            [
                ("0.5", took.p50_ms),
                ("0.9", took.p90_ms),
                ("0.99", took.p99_ms),
                ("1", took.max_ms),
            ]
            .map(|(quantile, ms)| {
                let labels = vec![
                    ("service", service.name.to_string()),
                    ("quantile", quantile.to_string()),
                ];
                (labels, ms / 1_000.0)
            })
        });
        self.gauge(
            "babelfeed_call_duration_seconds",
            "How long calls took.",
            quantiles,
        );
    }

    fn work(&mut self, views: &Views) {
        let backlog = &views.backlog;
        let states = [
            ("Submitted", backlog.submitted),
            ("Queued", backlog.queued),
            ("Processing", backlog.processing),
            ("RateLimited", backlog.rate_limited),
        ];
        self.gauge(
            "babelfeed_tasks",
            "Tasks that are not final.",
            by("state", states),
        );
        let ended = [("Completed", backlog.completed), ("Failed", backlog.failed)];
        self.counter(
            "babelfeed_tasks_ended_total",
            "Tasks that ended.",
            by("state", ended),
        );
        let open = [
            ("publishing", backlog.publishing),
            ("unknown", backlog.unknown),
            ("held", backlog.held),
        ];
        self.gauge(
            "babelfeed_publications",
            "Publications that are not out.",
            by("state", open),
        );
        let sent = |of: fn(&babelfeed_actors::messages::OutletView) -> u64| {
            let outlets = views.outlets.iter();
            outlets
                .map(move |outlet| (vec![("outlet", outlet.name.to_string())], of(outlet) as f64))
        };
        self.counter(
            "babelfeed_published_total",
            "Publications that went out.",
            sent(|outlet| outlet.published),
        );
        self.counter(
            "babelfeed_refused_total",
            "Publications refused.",
            sent(|outlet| outlet.refused),
        );
        let cache = &views.cache;
        let lookups = [
            ("hit", cache.hits),
            ("miss", cache.misses),
            ("joined", cache.joined),
        ];
        self.counter(
            "babelfeed_cache_lookups_total",
            "Lookups in the cache.",
            by("outcome", lookups),
        );
        self.counter(
            "babelfeed_cache_refreshes_total",
            "Translations that were asked for anew before their time was over.",
            one(cache.refreshed as f64),
        );
        self.gauge(
            "babelfeed_cache_entries",
            "Translations known.",
            one(cache.entries as f64),
        );
        self.gauge(
            "babelfeed_cache_bytes",
            "Their bytes.",
            one(cache.bytes as f64),
        );
    }

    fn lanes(&mut self, views: &Views) {
        let windows = |of: fn(&babelfeed_actors::messages::WindowView) -> f64| {
            views.lanes.iter().flat_map(move |lane| {
                lane.windows.iter().map(move |window| {
                    let labels = vec![
                        ("lane", lane.name.to_string()),
                        ("unit", window.unit.to_string()),
                        ("per", window.per.to_string()),
                    ];
                    (labels, of(window))
                })
            })
        };
        self.gauge(
            "babelfeed_lane_used",
            "How much of a limit is used.",
            windows(|window| window.used),
        );
        self.gauge(
            "babelfeed_lane_limit",
            "The limits of a lane.",
            windows(|window| window.limit),
        );
        let lanes = |of: fn(&babelfeed_actors::messages::LaneView) -> f64| {
            let lanes = views.lanes.iter();
            lanes.map(move |lane| (vec![("lane", lane.name.to_string())], of(lane)))
        };
        self.gauge(
            "babelfeed_lane_waiting",
            "Permits waited for.",
            lanes(|lane| lane.waiting as f64),
        );
        self.gauge(
            "babelfeed_lane_in_flight",
            "Calls in flight.",
            lanes(|lane| lane.in_flight as f64),
        );
        self.gauge(
            "babelfeed_lane_usd_today",
            "US dollars spent today.",
            lanes(|lane| lane.usd_today),
        );
    }

    fn process(&mut self, face: &Face) {
        let falls = face.control.handles.falls.list().into_iter();
        self.counter(
            "babelfeed_actor_falls_total",
            "How often an actor fell.",
            falls.map(|it| (vec![("actor", it.name.to_string())], it.falls as f64)),
        );
        let figures = face.control.process.sample();
        self.gauge(
            "babelfeed_uptime_seconds",
            "Seconds since the start.",
            one(uptime(face)),
        );
        self.gauge(
            "process_resident_memory_bytes",
            "Resident memory.",
            one(figures.rss_bytes.now),
        );
        self.counter(
            "process_cpu_seconds_total",
            "Processor time used.",
            one(figures.cpu_seconds),
        );
    }

    fn counter(&mut self, name: &str, help: &str, samples: impl Iterator<Item = Sample>) {
        self.family(name, help, "counter", samples);
    }

    fn gauge(&mut self, name: &str, help: &str, samples: impl Iterator<Item = Sample>) {
        self.family(name, help, "gauge", samples);
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        samples: impl Iterator<Item = Sample>,
    ) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            match labels.is_empty() {
                true => self.put(format_args!("{name} {value}\n")),
                false => self.put(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
            }
        }
    }

    fn put(&mut self, text: impl Display) {
        self.0.push_str(&text.to_string());
    }
}

/// One value with its labels.
type Sample = (Vec<(&'static str, String)>, f64);

fn one(value: f64) -> impl Iterator<Item = Sample> {
    std::iter::once((Vec::new(), value))
}

fn by<const N: usize>(
    label: &'static str,
    values: [(&'static str, u64); N],
) -> impl Iterator<Item = Sample> {
    values
        .into_iter()
        .map(move |(name, value)| (vec![(label, name.to_string())], value as f64))
}

/// A label's value, as the text format wants it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_what_would_end_it() {
        let mut page = Page::default();
        let sample = (vec![("service", "a\"b\\c\nd".to_string())], 1.5);
        page.gauge("x", "Some.", std::iter::once(sample));
        let wanted = "# HELP x Some.\n# TYPE x gauge\nx{service=\"a\\\"b\\\\c\\nd\"} 1.5\n";
        assert_eq!(page.0, wanted);
    }
}

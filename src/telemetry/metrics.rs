//! Tells the figures at fixed times: lines in the log, and a file that is rewritten whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use babelfeed_actors::messages::{
    Backlog, CacheStats, CacheView, Depth, LaneView, Lanes, ReportNow, WindowView,
};
use babelfeed_actors::system::Handles;
use log::{info, warn};
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::log::METRICS;
use super::process::Process;
use crate::control::{metrics, wire};

/// The file's name in the data folder.
pub const FILE: &str = "performance_metrics.json";

/// An actor that does not answer in so long is left out this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the figures of one running system.
#[derive(Clone)]
pub struct Teller {
    handles: Handles,
    process: Process,
    file: PathBuf,
}

struct Figures {
    metrics: wire::Metrics,
    backlog: Backlog,
    cache: CacheView,
    lanes: Vec<LaneView>,
}

impl Teller {
    /// Keeps the file in that folder.
    pub fn new(handles: Handles, process: Process, data_dir: &Path) -> Self {
        Self {
            handles,
            process,
            file: data_dir.join(FILE),
        }
    }

    /// Tells the figures every so often, for ever.
    pub async fn tell_every(&self, wait: Duration) {
        let mut ticks = interval_at(tokio::time::Instant::now() + wait, wait);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.tell().await;
        }
    }

    /// Tells the figures now.
    pub async fn tell(&self) {
        let Ok(Some(figures)) = timeout(PATIENCE, self.figures()).await else {
            warn!("metrics not gathered");
            return;
        };
        log_services(&figures.metrics);
        log_system(&figures);
        if let Err(error) = write_whole(&self.file, &figures.metrics) {
            warn!(file:% = self.file.display(), cause:% = error; "metrics not written");
        }
    }

    async fn figures(&self) -> Option<Figures> {
        let report = self.handles.report.send(ReportNow).await.ok()?;
        let backlog = self.handles.depth.send(Depth).await.ok()?.ok()?;
        Some(Figures {
            metrics: metrics(&report, &backlog, self.process.sample()),
            backlog,
            cache: self.handles.cache_stats.send(CacheStats).await.ok()?,
            lanes: self.handles.lanes.send(Lanes).await.ok()?,
        })
    }
}

/// One line for each service.
fn log_services(metrics: &wire::Metrics) {
    for service in &metrics.services {
        info!(
            target: METRICS,
            service = service.name.as_str(),
            calls = service.calls,
            errors = service.errors,
            rate = rounded(service.rate),
            p50_ms = rounded(service.p50_ms),
            p90_ms = rounded(service.p90_ms),
            p99_ms = rounded(service.p99_ms),
            max_ms = rounded(service.max_ms);
            "metrics"
        );
    }
}

/// One line for the whole: the queue, the cache, the lanes, memory and processor time.
fn log_system(figures: &Figures) {
    let Figures {
        metrics,
        backlog,
        cache,
        lanes,
    } = figures;
    info!(
        target: METRICS,
        queue_submitted = backlog.submitted,
        queue_queued = backlog.queued,
        queue_processing = backlog.processing,
        queue_rate_limited = backlog.rate_limited,
        completed = backlog.completed,
        failed = backlog.failed,
        publishing = backlog.publishing,
        unknown = backlog.unknown,
        held = backlog.held,
        cache_hit_ratio = rounded(hit_ratio(cache)),
        cache_entries = cache.entries,
        lanes = lane_use(lanes).as_str(),
        rss_bytes = metrics.rss.now as u64,
        rss_bytes_average = metrics.rss.average as u64,
        rss_bytes_max = metrics.rss.max as u64,
        cpu_percent = rounded(metrics.cpu.now),
        cpu_percent_average = rounded(metrics.cpu.average),
        cpu_percent_max = rounded(metrics.cpu.max);
        "metrics"
    );
}

/// The share of lookups that made no call; what joined a call counts as found.
fn hit_ratio(cache: &CacheView) -> f64 {
    let found = cache.hits + cache.joined;
    let all = found + cache.misses;
    if all == 0 {
        0.0
    } else {
        found as f64 / all as f64
    }
}

/// `groq:requests/minute=12/30,calls/at_once=2/8;local:waiting=3`, or `none`.
fn lane_use(lanes: &[LaneView]) -> String {
    let window = |it: &WindowView| {
        let (unit, per) = (it.unit.replace(' ', "_"), it.per.replace(' ', "_"));
        format!("{unit}/{per}={}/{}", it.used, it.limit)
    };
    let lane = |it: &LaneView| {
        let mut parts: Vec<String> = it.windows.iter().map(window).collect();
        parts.push(format!("in_flight={}", it.in_flight));
        parts.push(format!("waiting={}", it.waiting));
        format!("{}:{}", it.name, parts.join(","))
    };
    if lanes.is_empty() {
        return "none".to_owned();
    }
    lanes.iter().map(lane).collect::<Vec<_>>().join(";")
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

/// Writes aside and renames, so that a reader sees the old figures or the new ones.
fn write_whole(file: &Path, metrics: &wire::Metrics) -> io::Result<()> {
    let aside = file.with_extension("json.new");
    let mut text = serde_json::to_vec_pretty(metrics)?;
    text.push(b'\n');
    File::create(&aside)?.write_all(&text)?;
    fs::rename(&aside, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use babelfeed_actors::domain::Lane;
    use babelfeed_actors::messages::{Quantiles, Report, ServiceReport};

    fn some_metrics() -> wire::Metrics {
        let service = ServiceReport {
            name: "groq".into(),
            calls: 7,
            errors: 1,
            rate: 0.25,
            took: Quantiles::default(),
        };
        let report = Report {
            services: vec![service],
            outside: Quantiles::default(),
        };
        metrics(&report, &Backlog::default(), Process::new().sample())
    }

    #[test]
    fn the_file_is_rewritten_whole_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        fs::write(&file, "x".repeat(100_000)).expect("written");
        write_whole(&file, &some_metrics()).expect("written");
        let text = fs::read(&file).expect("read");
        let read: wire::Metrics = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(read.services[0].calls, 7);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_lookup_that_joined_a_call_counts_as_found() {
        let cache = CacheView {
            hits: 2,
            joined: 1,
            misses: 1,
            ..CacheView::default()
        };
        assert_eq!(hit_ratio(&cache), 0.75);
        assert_eq!(hit_ratio(&CacheView::default()), 0.0);
    }

    #[test]
    fn the_use_of_lanes_is_one_word() {
        let lane = LaneView {
            name: Lane::from("groq"),
            windows: vec![WindowView {
                unit: "calls",
                per: "at once",
                limit: 8.0,
                used: 2.0,
                resets_at: None,
                known_by: "settings",
                told_at: None,
                is_remembered: false,
            }],
            waiting: 3,
            in_flight: 2,
            parked_until: None,
            why: None,
            usd_today: 0.0,
            binding: None,
        };
        assert_eq!(
            lane_use(&[lane]),
            "groq:calls/at_once=2/8,in_flight=2,waiting=3"
        );
        assert_eq!(lane_use(&[]), "none");
    }
}

//! Counts what was done, and how long it took, for each service and operation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Supervised};
use hdrhistogram::Histogram;
use log::info;

use crate::domain::Moment;
use crate::failpoints;
use crate::messages::{
    Follow, INSIDE, Operation, Quantiles, Record, Report, ReportNow, ServiceReport,
};
use crate::ports::Clock;

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(600);
/// Two significant figures: an error of at most one per cent.
const FIGURES: u8 = 2;
/// The seconds over which a rate is taken.
const RATE_SECONDS: u64 = 60;
/// The most operations that are told apart; the settings name far fewer.
const OPERATIONS: usize = 512;

/// Owns the histograms and counters.
pub struct MetricsActor {
    clock: Arc<dyn Clock>,
    operations: BTreeMap<Operation, Figures>,
    followed: Option<(String, String)>,
}

struct Figures {
    took: Histogram<u32>,
    calls: u64,
    errors: u64,
    /// (second, calls in it), of the last minute.
    recent: VecDeque<(u64, u64)>,
}

impl MetricsActor {
    /// Metrics in which nothing is counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            operations: BTreeMap::new(),
            followed: None,
        }
    }

    fn is_followed(&self, operation: &Operation) -> bool {
        self.followed.as_ref().is_some_and(|(service, name)| {
            **service == *operation.service && name == operation.name
        })
    }
}

impl Figures {
    fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        Self {
            took: Histogram::new_with_max(longest, FIGURES)
                .expect("the bounds are constants that the histogram takes"),
            calls: 0,
            errors: 0,
            recent: VecDeque::new(),
        }
    }

    fn count(&mut self, record: &Record, second: u64) {
        self.calls += 1;
        self.errors += u64::from(record.is_error);
        let micros = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX);
        self.took.saturating_record(micros.max(1));
        match self.recent.back_mut() {
            Some((last, calls)) if *last == second => *calls += 1,
            _ => self.recent.push_back((second, 1)),
        }
        self.forget(second);
    }

    /// Counts what others counted as well; rates stay as they are.
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        // The bounds are the same, so nothing is outside of them.
        let _ = self.took.add(&other.took);
    }

    fn quantiles(&self) -> Quantiles {
        let quantile = |quantile| self.took.value_at_quantile(quantile) as f64 / 1_000.0;
        Quantiles {
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
        }
    }

    fn forget(&mut self, second: u64) {
        while let Some(&(first, _)) = self.recent.front()
            && first + RATE_SECONDS <= second
        {
            self.recent.pop_front();
        }
    }
}

impl Actor for MetricsActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("metrics.started");
    }
}

impl Supervised for MetricsActor {
    /// Begins again from nothing: what was counted when it fell is not to be trusted.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.operations = BTreeMap::new();
    }
}

impl Handler<Record> for MetricsActor {
    type Result = ();

    fn handle(&mut self, record: Record, _: &mut Self::Context) {
        failpoints::hit("metrics.handler");
        if self.is_followed(&record.operation) {
            // Whoever names an operation in the settings wants to see it at the usual level.
            info!(
                service:% = record.operation.service, operation = record.operation.name,
                took_us = record.took.as_micros(), is_error = record.is_error;
                "followed"
            );
        }
        let second = self.clock.now().since_start().as_secs();
        if let Some(figures) = self.operations.get_mut(&record.operation) {
            figures.count(&record, second);
        } else if self.operations.len() < OPERATIONS {
            let mut figures = Figures::new();
            figures.count(&record, second);
            self.operations.insert(record.operation, figures);
        }
    }
}

impl Handler<Follow> for MetricsActor {
    type Result = ();

    fn handle(&mut self, Follow(followed): Follow, _: &mut Self::Context) {
        self.followed = followed;
    }
}

impl Handler<ReportNow> for MetricsActor {
    type Result = actix::MessageResult<ReportNow>;

    fn handle(&mut self, _: ReportNow, _: &mut Self::Context) -> Self::Result {
        let now = self.clock.now();
        let mut services: BTreeMap<Arc<str>, Vec<&mut Figures>> = BTreeMap::new();
        for (operation, figures) in &mut self.operations {
            services
                .entry(Arc::clone(&operation.service))
                .or_default()
                .push(figures);
        }
        let services = services
            .into_iter()
            .map(|(name, figures)| sum(name, figures, now))
            .collect();
        let mut outside = Figures::new();
        for (operation, figures) in &self.operations {
            if !INSIDE.contains(&&*operation.service) {
                outside.add(figures);
            }
        }
        actix::MessageResult(Report {
            services,
            outside: outside.quantiles(),
        })
    }
}

/// One service's figures, over all its operations.
fn sum(name: Arc<str>, figures: Vec<&mut Figures>, now: Moment) -> ServiceReport {
    let second = now.since_start().as_secs();
    let mut all = Figures::new();
    let mut recent = 0;
    for figures in figures {
        figures.forget(second);
        all.add(figures);
        recent += figures.recent.iter().map(|(_, calls)| calls).sum::<u64>();
    }
    let span = (second + 1).clamp(1, RATE_SECONDS);
    ServiceReport {
        name,
        calls: all.calls,
        errors: all.errors,
        rate: recent as f64 / span as f64,
        took: all.quantiles(),
    }
}

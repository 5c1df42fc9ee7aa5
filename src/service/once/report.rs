//! What `once` reports.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use babelfeed_actors::domain::{OutletName, PublicationState};
use babelfeed_actors::logic::price::usd;
use babelfeed_actors::messages::{Depth, Outlets, Watching};
use babelfeed_actors::ports::TaskStore;
use babelfeed_actors::system::Handles;
use serde::Serialize;
use tokio::time::Instant;

use crate::service::counted::Counts;
use crate::service::forecast::{Charge, Span};
use crate::settings::Settings;
use crate::stores::SqliteStore;

/// Publications that are read from the store at once.
const PAGE: usize = 1_000;

/// What one run of `once` did.
#[derive(Debug, Serialize)]
pub(in crate::service) struct Report {
    sources: Vec<SourceLine>,
    outlets: Vec<OutletLine>,
    providers: Vec<ProviderLine>,
    tasks: TaskLine,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct SourceLine {
    name: String,
    seen: u64,
    new: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct OutletLine {
    name: String,
    published: u64,
    held: u64,
    unknown: u64,
    /// What the outlet publishes by itself at its time.
    scheduled: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct ProviderLine {
    name: String,
    calls: u64,
    texts: u64,
    cost_usd: f64,
}

/// Tasks given up by this run, and what it left to do, publications included.
#[derive(Debug, Serialize)]
struct TaskLine {
    failed: u64,
    left: u64,
}

impl Report {
    /// Asks the stopped system and its store what was done.
    pub(super) async fn gather(
        handles: &Handles,
        store: &SqliteStore,
        settings: &Settings,
        counts: &[Arc<Counts>],
        failed_before: u64,
        began: Instant,
    ) -> anyhow::Result<Self> {
        let sources = handles.watching.send(Watching).await;
        let sources = sources.context("the sources are not heard any more")?;
        let outlets = handles.outlets.send(Outlets).await;
        let outlets = outlets.context("the outlets are not heard any more")?;
        let depth = handles.depth.send(Depth).await;
        let backlog = depth.context("the task manager is not heard any more")??;
        let tally = store.tally().await?;
        let behind_held: u64 = outlets.iter().map(|view| view.behind_held).sum();
        let mut lines = Vec::new();
        for view in outlets {
            let held = count(store, &view.name, PublicationState::Held).await?;
            lines.push(OutletLine {
                name: view.name.to_string(),
                published: view.published,
                // What answers something that is held is held with it.
                held: held + view.behind_held,
                unknown: count(store, &view.name, PublicationState::Unknown).await?,
                scheduled: count(store, &view.name, PublicationState::Scheduled).await?,
                failed: view.refused,
            });
        }
        let providers = settings.providers.iter().zip(counts);
        Ok(Self {
            sources: sources
                .into_iter()
                .map(|view| SourceLine {
                    name: view.name.to_string(),
                    seen: view.seen,
                    new: view.new,
                    error: view.error,
                })
                .collect(),
            outlets: lines,
            providers: providers
                .map(|(provider, counts)| ProviderLine {
                    name: provider.name.to_string(),
                    calls: counts.calls(),
                    texts: counts.texts(),
                    cost_usd: usd(counts.tokens(), provider.price),
                })
                .collect(),
            tasks: TaskLine {
                // That a post was edited or deleted before its turn is no failure.
                failed: tally
                    .failed
                    .saturating_sub(failed_before + backlog.outdated),
                left: tally.queued
                    + tally.processing
                    + tally.publishing.saturating_sub(behind_held),
            },
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    /// What each provider that was asked charged.
    pub(in crate::service) fn charges(&self) -> Vec<Charge> {
        let asked = self.providers.iter().filter(|it| it.calls > 0);
        let charges = asked.map(|it| Charge {
            provider: it.name.clone(),
            texts: Span::exactly(it.texts),
            calls: Span::exactly(it.calls),
            usd: Span::exactly(it.cost_usd),
        });
        charges.collect()
    }

    /// Whether nothing failed and nothing is left; what waits for a person is neither.
    pub(in crate::service) fn is_clean(&self) -> bool {
        self.tasks.failed == 0
            && self.tasks.left == 0
            && self.sources.iter().all(|source| source.error.is_none())
            && self
                .outlets
                .iter()
                .all(|outlet| outlet.failed == 0 && outlet.unknown == 0)
    }
}

/// How many publications of an outlet stand in that state.
async fn count(
    store: &SqliteStore,
    outlet: &OutletName,
    state: PublicationState,
) -> anyhow::Result<u64> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = store
            .publications_in(outlet.clone(), state, after, PAGE)
            .await?;
        count += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.publication.id),
            _ => return Ok(count),
        }
    }
}

impl fmt::Display for Report {
    /// A line for each source, outlet and provider, and one for the whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for it in &self.sources {
            write!(f, "source {}: {} seen, {} new", it.name, it.seen, it.new)?;
            match &it.error {
                Some(error) => writeln!(f, ", failed: {error}")?,
                None => writeln!(f)?,
            }
        }
        for it in &self.outlets {
            writeln!(
                f,
                "outlet {}: {} published, {} held, {} unknown, {} failed",
                it.name, it.published, it.held, it.unknown, it.failed
            )?;
            if it.scheduled > 0 {
                writeln!(f, "outlet {}: {} scheduled there", it.name, it.scheduled)?;
            }
        }
        for it in &self.providers {
            let (calls, texts) = (it.calls, it.texts);
            write!(f, "provider {}: {calls} calls, {texts} texts", it.name)?;
            match it.cost_usd {
                cost if cost > 0.0 => writeln!(f, ", {cost:.4} US dollars")?,
                _ => writeln!(f)?,
            }
        }
        writeln!(
            f,
            "{} tasks failed, {} left, {:.1} s",
            self.tasks.failed, self.tasks.left, self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            sources: vec![SourceLine {
                name: "news".into(),
                seen: 3,
                new: 2,
                error: None,
            }],
            outlets: vec![OutletLine {
                name: "es".into(),
                published: 1,
                held: 1,
                unknown: 0,
                scheduled: 1,
                failed: 0,
            }],
            providers: Vec::new(),
            tasks: TaskLine { failed: 0, left: 0 },
            seconds: 1.25,
        }
    }

    #[test]
    fn what_is_held_or_scheduled_leaves_the_report_clean() {
        assert!(report().is_clean());
    }

    #[test]
    fn each_kind_of_failure_spoils_the_report() {
        let spoilers: [fn(&mut Report); 5] = [
            |it| it.sources[0].error = Some("refused".into()),
            |it| it.outlets[0].failed = 1,
            |it| it.outlets[0].unknown = 1,
            |it| it.tasks.failed = 1,
            |it| it.tasks.left = 1,
        ];
        for spoil in spoilers {
            let mut report = report();
            spoil(&mut report);
            assert!(!report.is_clean(), "{report}");
        }
    }

    #[test]
    fn the_report_bears_the_names_of_the_contract() {
        let json = serde_json::to_value(report()).expect("JSON");
        assert_eq!(json["sources"][0]["seen"], 3);
        assert_eq!(json["outlets"][0]["held"], 1);
        assert_eq!(json["outlets"][0]["scheduled"], 1);
        assert_eq!(json["seconds"], 1.25);
    }
}

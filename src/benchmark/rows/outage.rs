//! What happens to work while no provider is there, and how soon it goes on.

use std::time::Duration;

use super::super::load::{Bulk, Job};
use super::super::processes::ProviderProcess;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::{Dialect, Outage, Plan, SLOT, Timeline};
use super::{Bench, PATIENCE, finish_within};

const N_SLOTS: i64 = 20;
const LATENCY: Duration = Duration::from_millis(100);

/// How long the load runs before the providers go, and the part of it that the full rate is read from.
const RUN_UP: Duration = Duration::from_secs(10);
const READ_FROM: Duration = Duration::from_secs(4);

/// Calls of that time into an outage were made before anybody could know.
const NOTICED: Duration = Duration::from_secs(2);

/// How long the rate is watched when they are back.
const WATCHED: Duration = Duration::from_secs(12);

/// How much of the rate before counts as full, over so many slots of the timeline.
const FULL: f64 = 0.9;
const N_SLOTS_READ: usize = 5;

/// More than is done in the time: ten seconds before, and the watched time behind.
const N_TEXTS: u64 = 6_000;

const PROVIDERS: [&str; 2] = ["one", "two"];

/// Lets both providers go under load, one by resets and one by 503, and return together.
pub(super) async fn outage(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let mut setup = Setup::with_calls(N_SLOTS, 1);
    row.conditions = format!(
        "two providers of {} ms, gone for {} s; {N_TEXTS} texts queued; {}",
        LATENCY.as_millis(),
        bench.sizes.outage.as_secs(),
        setup.said()
    );
    let providers = [
        bench.provider(&Plan::constant(LATENCY)).await?,
        bench.provider(&Plan::constant(LATENCY)).await?,
    ];
    for (name, provider) in PROVIDERS.iter().zip(&providers) {
        setup = setup.provider_like(name, provider.address, Dialect::OpenAi, &[]);
    }
    let folder = bench.data_folder()?;
    let service = bench.service(&folder, &setup).await?;
    let taken = bench
        .hand_in(Job::Lines(Bulk::new(service.socket(), 1, N_TEXTS)))
        .await?;
    tokio::time::sleep(RUN_UP).await;
    switch(&providers, [Outage::Reset, Outage::Unavailable]).await?;
    let gone = providers[0].timeline().await?.now_ms;
    tokio::time::sleep(bench.sizes.outage).await;
    switch(&providers, [Outage::Over; 2]).await?;
    let back = providers[0].timeline().await?.now_ms;
    tokio::time::sleep(WATCHED).await;
    let timelines = [
        providers[0].timeline().await?,
        providers[1].timeline().await?,
    ];
    write_probes(row, &timelines, gone, back);
    write_return(row, &timelines, gone, back);
    finish_within(&service, PATIENCE).await?;
    let n_completed = service.n_in_state("Completed").await?;
    row.aimed(
        "lost",
        taken.n_acknowledged.saturating_sub(n_completed) as f64,
        "texts",
        Target::AtMost(0.0),
    );
    let (mut n_calls, mut n_received, mut n_texts) = (0, 0, 0);
    for (name, provider) in PROVIDERS.iter().zip(&providers) {
        let counts = provider.counts().await?;
        n_calls += service.n_calls(name).await?;
        n_received += counts.received + counts.during_outage;
        n_texts += counts.texts;
    }
    row.count(
        "calls",
        &[("the providers", n_received), ("the service", n_calls)],
    );
    row.count(
        "texts",
        &[("completed", n_completed), ("the providers", n_texts)],
    );
    Ok(())
}

async fn switch(providers: &[ProviderProcess; 2], outages: [Outage; 2]) -> anyhow::Result<()> {
    for (provider, outage) in providers.iter().zip(outages) {
        provider.switch(outage).await?;
    }
    Ok(())
}

fn write_probes(row: &mut Row, timelines: &[Timeline; 2], gone: u64, back: u64) {
    let noticed = gone + NOTICED.as_millis() as u64;
    let mut probes: Vec<u64> = timelines
        .iter()
        .flat_map(|timeline| &timeline.during_outage_ms)
        .copied()
        .filter(|at| (noticed..back).contains(at))
        .collect();
    probes.sort_unstable();
    let seconds = back.saturating_sub(noticed) as f64 / 1_000.0;
    row.aimed(
        "probes a second of each provider",
        probes.len() as f64 / seconds / PROVIDERS.len() as f64,
        "/s",
        Target::AtMost(1.1),
    );
    row.aimed(
        "longest time without a probe",
        longest_gap(&probes, noticed, back) as f64 / 1_000.0,
        "s",
        Target::AtMost(1.1),
    );
}

/// Returns the longest time between two of these, the ends included.
fn longest_gap(sorted: &[u64], from: u64, to: u64) -> u64 {
    let ends = std::iter::once(from).chain(sorted.iter().copied());
    let next = sorted.iter().copied().chain(std::iter::once(to));
    ends.zip(next)
        .map(|(before, after)| after.saturating_sub(before))
        .max()
        .unwrap_or(0)
}

fn write_return(row: &mut Row, timelines: &[Timeline; 2], gone: u64, back: u64) {
    let slot = SLOT.as_millis() as u64;
    let admitted = |slot: usize| -> u32 {
        let of = |timeline: &Timeline| timeline.admitted.get(slot).copied().unwrap_or(0);
        timelines.iter().map(of).sum()
    };
    let first = (gone - READ_FROM.as_millis() as u64) / slot;
    let last = gone / slot;
    let before: u32 = (first..last).map(|slot| admitted(slot as usize)).sum();
    let full = f64::from(before) / (last - first) as f64;
    row.figure("full rate", full / SLOT.as_secs_f64(), "/s");
    let returned = back.div_ceil(slot) as usize;
    let recovered =
        (returned..returned + (WATCHED.as_millis() as u64 / slot) as usize).find(|at| {
            let now: u32 = (*at..*at + N_SLOTS_READ).map(admitted).sum();
            f64::from(now) >= FULL * full * N_SLOTS_READ as f64
        });
    let seconds = match recovered {
        Some(at) => (at - returned) as f64 * SLOT.as_secs_f64(),
        None => WATCHED.as_secs_f64(),
    };
    row.aimed(
        "until the full rate is back",
        seconds,
        "s",
        Target::AtMost(2.0),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(admitted: Vec<u32>, during_outage_ms: Vec<u64>) -> Timeline {
        Timeline {
            now_ms: 0,
            admitted,
            during_outage_ms,
        }
    }

    #[test]
    fn the_longest_gap_reaches_from_end_to_end() {
        assert_eq!(longest_gap(&[], 0, 5_000), 5_000);
        assert_eq!(longest_gap(&[1_000, 4_000], 0, 5_000), 3_000);
        assert_eq!(longest_gap(&[4_000], 0, 5_000), 4_000);
    }

    #[test]
    fn the_full_rate_is_back_when_half_a_second_is_as_before() {
        let mut row = Row::new("outage", "");
        let admitted = [vec![10; 50], vec![0; 50], vec![0; 20], vec![10; 120]].concat();
        let timelines = [timeline(admitted, Vec::new()), Timeline::default()];

        write_return(&mut row, &timelines, 5_000, 10_000);

        let figures: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(figures[0], 100.0);
        assert!((figures[1] - 2.0).abs() < 0.11, "{figures:?}");
    }

    #[test]
    fn probes_count_from_when_the_outage_could_be_known() {
        let mut row = Row::new("outage", "");
        let probes = vec![5_100, 5_200, 7_500, 8_500, 9_500];
        let timelines = [timeline(Vec::new(), probes), Timeline::default()];

        write_probes(&mut row, &timelines, 5_000, 10_000);

        let figures: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(figures, [0.5, 1.0]);
    }
}

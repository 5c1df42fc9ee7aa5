//! What happens to work while no provider is there, and how soon it goes on.

use std::ops::Range;
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

/// The longest time between two probes, and what timers and the way to a provider may add to it.
const PROBED_EVERY: Duration = Duration::from_secs(1);
const TOLERANCE: Duration = Duration::from_millis(50);

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
        "two providers of {} ms, gone for {} s; {N_TEXTS} texts queued; {} ms more than a second between probes are the timers'; {}",
        LATENCY.as_millis(),
        bench.sizes.outage.as_secs(),
        TOLERANCE.as_millis(),
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
    let gone = switch(&providers, [Outage::Reset, Outage::Unavailable]).await?;
    tokio::time::sleep(bench.sizes.outage).await;
    let back = switch(&providers, [Outage::Over; 2]).await?;
    tokio::time::sleep(WATCHED).await;
    let mut seen = Vec::new();
    for (((name, provider), gone), back) in PROVIDERS.iter().zip(&providers).zip(gone).zip(back) {
        let timeline = provider.timeline().await?;
        seen.push(Seen {
            name,
            timeline,
            gone,
            back,
        });
    }
    for seen in &seen {
        write_probes(row, seen);
    }
    write_return(row, &seen);
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

/// Lets the providers go or return; answers when each did, by its own clock.
async fn switch(
    providers: &[ProviderProcess; 2],
    outages: [Outage; 2],
) -> anyhow::Result<[u64; 2]> {
    let mut at = [0; 2];
    for ((provider, outage), at) in providers.iter().zip(outages).zip(&mut at) {
        provider.switch(outage).await?;
        *at = provider.timeline().await?.now_ms;
    }
    Ok(at)
}

/// What was seen of one provider; all times are its own milliseconds.
struct Seen {
    name: &'static str,
    timeline: Timeline,
    gone: u64,
    back: u64,
}

impl Seen {
    /// Returns how many calls were admitted in these slots.
    fn admitted(&self, slots: Range<usize>) -> u32 {
        let slots = self
            .timeline
            .admitted
            .iter()
            .skip(slots.start)
            .take(slots.len());
        slots.sum()
    }

    /// Returns the first slot that lies behind the return.
    fn returned(&self) -> usize {
        self.back.div_ceil(SLOT.as_millis() as u64) as usize
    }
}

fn write_probes(row: &mut Row, seen: &Seen) {
    let (name, back) = (seen.name, seen.back);
    let noticed = seen.gone + NOTICED.as_millis() as u64;
    let probes = seen.timeline.during_outage_ms.iter().copied();
    let mut probes: Vec<u64> = probes.filter(|at| (noticed..back).contains(at)).collect();
    probes.sort_unstable();
    let every = PROBED_EVERY.as_secs_f64();
    row.aimed(
        format!("{name}: probes a second"),
        rate_of(&probes),
        "/s",
        Target::AtMost(1.0 / every),
    );
    row.aimed(
        format!("{name}: longest time without a probe"),
        longest_gap(&probes, noticed, back) as f64 / 1_000.0,
        "s",
        Target::AtMost(every + TOLERANCE.as_secs_f64()),
    );
}

/// Returns how many of these come in a second, from the first to the last.
fn rate_of(sorted: &[u64]) -> f64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return 0.0;
    };
    let seconds = (last - first).max(1) as f64 / 1_000.0;
    (sorted.len() - 1) as f64 / seconds
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

fn write_return(row: &mut Row, seen: &[Seen]) {
    let n_before = (READ_FROM.as_millis() / SLOT.as_millis()) as usize;
    let before = seen.iter().map(|seen| {
        let gone = (seen.gone / SLOT.as_millis() as u64) as usize;
        seen.admitted(gone.saturating_sub(n_before)..gone)
    });
    let full = f64::from(before.sum::<u32>()) / n_before as f64;
    row.figure("full rate", full / SLOT.as_secs_f64(), "/s");
    let n_watched = (WATCHED.as_millis() / SLOT.as_millis()) as usize;
    let recovered = (0..n_watched).find(|after| {
        let now = seen.iter().map(|seen| {
            let from = seen.returned() + after;
            seen.admitted(from..from + N_SLOTS_READ)
        });
        f64::from(now.sum::<u32>()) >= FULL * full * N_SLOTS_READ as f64
    });
    row.aimed(
        "until the full rate is back",
        recovered.unwrap_or(n_watched) as f64 * SLOT.as_secs_f64(),
        "s",
        Target::AtMost(2.0),
    );
    // Either alone carries all calls, so the rate says nothing of the other.
    for seen in seen {
        let returned = seen.returned();
        row.aimed(
            format!("{}: answered since it is back", seen.name),
            f64::from(seen.admitted(returned..returned + n_watched)),
            "calls",
            Target::AtLeast(1.0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that was gone from the fifth second to the tenth.
    fn seen(name: &'static str, admitted: Vec<u32>, during_outage_ms: Vec<u64>) -> Seen {
        let timeline = Timeline {
            now_ms: 0,
            admitted,
            during_outage_ms,
        };
        Seen {
            name,
            timeline,
            gone: 5_000,
            back: 10_000,
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

        write_return(
            &mut row,
            &[seen("one", admitted, vec![]), seen("two", vec![], vec![])],
        );

        let figures: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(figures[0], 100.0);
        assert!((figures[1] - 2.0).abs() < 0.11, "{figures:?}");
    }

    #[test]
    fn probes_count_from_when_the_outage_could_be_known() {
        let mut row = Row::new("outage", "");
        let probes = vec![5_100, 5_200, 7_500, 8_500, 9_500];

        write_probes(&mut row, &seen("one", vec![], probes));

        let figures: Vec<f64> = row.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(figures, [1.0, 1.0]);
        assert_eq!(row.short(), [""; 0]);
    }

    #[test]
    fn a_provider_that_is_forgotten_or_hammered_falls_short_whatever_the_other_does() {
        let mut row = Row::new("outage", "");
        let every = |millis| (7_000..10_000).step_by(millis).collect();

        write_probes(&mut row, &seen("well", vec![], every(1_000)));
        write_probes(&mut row, &seen("forgotten", vec![], vec![]));
        write_probes(&mut row, &seen("hammered", vec![], every(450)));

        assert_eq!(
            row.short(),
            [
                "forgotten: longest time without a probe",
                "hammered: probes a second"
            ]
        );
    }

    #[test]
    fn a_provider_that_stays_shut_falls_short_though_the_other_carries_all() {
        let mut row = Row::new("outage", "");
        let admitted = [vec![10; 50], vec![0; 50], vec![10; 120]].concat();
        let shut = [vec![10; 50], vec![0; 170]].concat();

        write_return(
            &mut row,
            &[seen("one", admitted, vec![]), seen("two", shut, vec![])],
        );

        assert!(row.short().contains(&"two: answered since it is back"));
    }
}

//! What the service adds to one call, and what a known text takes.

use super::super::cores::{Awake, wake_up_us};
use super::super::load::{Interactive, InteractiveOutcome, Job, Outcome};
use super::super::processes;
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::Plan;
use super::{Bench, Stage};

/// How many new texts are translated before the first that is measured.
const N_WARM_UP: u64 = 200;

/// Measures one translation at a time: as the machine is, and with its idle cores kept awake.
///
/// With one question at a time all cores are idle most of the time, but for the one that a worker of
/// the service polls on, and one that was put to sleep may take longer to wake up than the work on
/// it. So the second figures tell what the service costs, threads that take turns and caches that are
/// cold included, and the first what comes of it on this machine.
pub(super) async fn added_latency(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let (n_new, n_known) = (bench.sizes.n_questions, 2 * bench.sizes.n_questions);
    row.conditions = format!(
        "{n_new} new texts after {N_WARM_UP} to warm up, a known one {n_known} times, each beside a byte sent to a thread that sends it back, one at a time, provider without delay; settings as they ship; as the machine is, and again with its idle cores kept awake"
    );
    let setup = Setup::shipped();
    let stage = bench.stage(&Plan::default(), &setup).await?;
    let Stage {
        service, provider, ..
    } = &stage;
    let ask = async |first, n_new, n_known| {
        let job = Job::Interactive(Interactive {
            socket: service.socket().to_owned(),
            provider: provider.address,
            first,
            n_new,
            n_known,
        });
        match processes::work(&bench.program, &job).await? {
            Outcome::Interactive(asked) => Ok(asked),
            _ => anyhow::bail!("expected an outcome of questions"),
        }
    };
    let warm_up = ask(4 * n_new, N_WARM_UP, 0).await?;
    let as_it_is = ask(0, n_new, n_known).await?;
    show(row, "", &as_it_is);
    let mut passes = vec![warm_up, as_it_is];
    match Awake::keep() {
        Ok(awake) => {
            let asked = ask(2 * n_new, n_new, n_known).await?;
            let wake_up = wake_up_us();
            drop(awake);
            show(row, "cores awake: ", &asked);
            row.figure("cores awake: until a thread runs", wake_up, "µs");
            passes.push(asked);
        }
        Err(error) => row.conditions += &format!(", which cannot be had here ({error})"),
    }
    let sum = |of: fn(&InteractiveOutcome) -> u64| passes.iter().map(of).sum::<u64>();
    let n_cached = sum(|asked| asked.n_cached);
    // None is asked to warm up.
    let n_asked = n_known * (passes.len() as u64 - 1);
    row.count("known texts", &[("asked", n_asked), ("cached", n_cached)]);
    let n_texts = provider.counts().await?.texts;
    row.count(
        "new texts",
        &[
            ("answered", sum(|asked| asked.n_answered) - n_cached),
            (
                "the provider",
                n_texts.saturating_sub(sum(|asked| asked.n_direct)),
            ),
        ],
    );
    Ok(())
}

fn show(row: &mut Row, under: &str, asked: &InteractiveOutcome) {
    let name = |name: &str| format!("{under}{name}");
    let most = Target::AtMost;
    row.aimed(name("added, median"), asked.added_p50_us, "µs", most(100.0));
    row.aimed(name("added, p99"), asked.added_p99_us, "µs", most(400.0));
    let (through, direct) = (&asked.through, &asked.direct);
    let (known, empty) = (&asked.known, &asked.empty);
    row.figure(name("through the service, median"), through.p50_us, "µs");
    row.figure(name("through the service, p99"), through.p99_us, "µs");
    row.figure(
        name("straight to the provider, median"),
        direct.p50_us,
        "µs",
    );
    row.figure(name("straight to the provider, p99"), direct.p99_us, "µs");
    row.aimed(name("a known text, median"), known.p50_us, "µs", most(60.0));
    row.figure(name("a known text, p99"), known.p99_us, "µs");
    row.figure(name("an empty round trip, median"), empty.p50_us, "µs");
    row.figure(name("an empty round trip, p99"), empty.p99_us, "µs");
}

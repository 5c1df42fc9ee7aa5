//! What a lane does when it reads one 429, whatever the way in which it is told to wait.

use std::time::Duration;

use anyhow::Context;

use super::super::load::{Bulk, Job};
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Counts, Dialect, Hint, Plan, Throttle};
use super::{Bench, STALL_LIMIT, count_calls, finish_within};

const N_TEXTS: u64 = 100;

/// Which of the calls is refused: one among others that are in flight.
const REFUSED_CALL: u64 = 20;

/// What a refusal asks to wait; formats in whole seconds ask for two.
const WAIT: Duration = Duration::from_millis(1_500);

const LATENCY: Duration = Duration::from_millis(100);

/// Each kind of hint, and who gives it.
const HINTS: [(&str, Dialect, Hint); 9] = [
    ("retry-after, seconds", Dialect::OpenAi, Hint::Seconds),
    ("retry-after, fraction", Dialect::OpenAi, Hint::Fraction),
    ("retry-after, date", Dialect::OpenAi, Hint::Date),
    ("retry-after-ms", Dialect::OpenAi, Hint::Milliseconds),
    ("reset as a Go duration", Dialect::OpenAi, Hint::GoDuration),
    ("words of Groq", Dialect::Groq, Hint::Message),
    ("RetryInfo of Gemini", Dialect::Gemini, Hint::RetryInfo),
    (
        "reset as a time, Anthropic",
        Dialect::Anthropic,
        Hint::Timestamp,
    ),
    ("no hint", Dialect::Silent, Hint::Absent),
];

/// Measures one kind of hint after another, each with a service and a provider of its own: side
/// by side they would read their refusals later than the provider can know.
pub(super) async fn throttle(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "call {REFUSED_CALL} of {N_TEXTS} is refused and asks for {} ms, a call takes {} ms; counted are calls begun after the refusal was read and before one of them was answered; {}",
        WAIT.as_millis(),
        LATENCY.as_millis(),
        setup().said()
    );
    for (name, dialect, hint) in HINTS {
        let (counts, counted) = measure(bench, dialect, hint).await.context(name)?;
        write(row, name, hint, counts, counted);
    }
    Ok(())
}

fn setup() -> Setup {
    Setup::shipped().set("batching.max_batch_size", 1)
}

async fn measure(bench: &Bench, dialect: Dialect, hint: Hint) -> anyhow::Result<(Counts, Row)> {
    let plan = Plan {
        dialect,
        throttle: Some(Throttle {
            at_call: REFUSED_CALL,
            wait: WAIT,
            hint,
        }),
        ..Plan::constant(LATENCY)
    };
    let stage = bench
        .stage_with(&plan, |address| {
            setup().provider_like(PROVIDER, address, dialect, &[])
        })
        .await?;
    let bulk = Bulk::new(stage.service.socket(), 1, N_TEXTS);
    let taken = bench.hand_in(Job::Lines(bulk)).await?;
    finish_within(&stage.service, STALL_LIMIT).await?;
    let mut counted = Row::new("throttle", "");
    let counts = count_calls(&mut counted, "calls", &stage.service, &stage.provider).await?;
    counted.count(
        "texts",
        &[
            ("acknowledged", taken.n_acknowledged),
            ("completed", stage.service.n_in_state("Completed").await?),
            ("the provider", counts.texts),
        ],
    );
    Ok((counts, counted))
}

fn write(row: &mut Row, name: &str, hint: Hint, counts: Counts, counted: Row) {
    row.aimed(
        format!("{name}: begun after it was read"),
        counts.begun_after as f64,
        "calls",
        Target::AtMost(1.0),
    );
    if hint != Hint::Absent {
        row.aimed(
            format!("{name}: begun before the wait was over"),
            counts.begun_early as f64,
            "calls",
            Target::AtMost(0.0),
        );
    }
    row.figure(
        format!("{name}: answered 429"),
        counts.throttled as f64,
        "calls",
    );
    row.count_apart(name, counted);
}

//! What a lane does when it reads one 429, whatever the way in which it is told to wait.

use std::time::Duration;

use anyhow::Context;

use super::super::load::{Bulk, Job};
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Counts, Dialect, Hint, Plan, Throttle};
use super::{Bench, STALL_LIMIT, count_calls, finish_within};

const N_TEXTS: u64 = 100;

/// Calls in flight; one of them is kept for urgent work, and all others begin in waves.
const N_SLOTS: i64 = 10;

/// Which of the calls is refused: the last of the second wave, so that none is on its way when it
/// is, and every one that begins from then on was begun after it.
const REFUSED_CALL: u64 = 2 * (N_SLOTS as u64 - 1);

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
/// by side their waves would run into each other.
pub(super) async fn throttle(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "call {REFUSED_CALL} of {N_TEXTS} is refused and asks for {} ms, a call takes {} ms; counted are calls begun after the refusal and before one of them was answered; {}",
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
    Setup::shipped()
        .set("translation.concurrency", N_SLOTS)
        .set("batching.max_batch_size", 1)
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
    // Without a refusal the others would show nothing.
    row.aimed(
        format!("{name}: answered 429"),
        counts.throttled as f64,
        "calls",
        Target::AtLeast(1.0),
    );
    row.count_apart(name, counted);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_early_falls_short_and_so_does_a_refusal_that_never_came() {
        let mut row = Row::new("throttle", "");
        for (name, throttled, begun_after, begun_early) in
            [("well", 1, 1, 0), ("early", 1, 1, 1), ("never", 0, 0, 0)]
        {
            let counts = Counts {
                throttled,
                begun_after,
                begun_early,
                ..Counts::default()
            };
            write(&mut row, name, Hint::Seconds, counts, Row::new("", ""));
        }

        assert_eq!(
            row.short(),
            [
                "early: begun before the wait was over",
                "never: answered 429"
            ]
        );
    }
}

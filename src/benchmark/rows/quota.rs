//! How much of its limits a lane uses, by how it knows them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::super::load::{Bulk, Job};
use super::super::report::{Row, Target};
use super::super::service::{PROVIDER, Setup};
use super::super::simulator::{Counts, Dialect, Latency, Limit, Per, Plan, Telling, Unit};
use super::{Bench, count_calls, percent};

const REQUESTS_A_MINUTE: u64 = 600;
const TOKENS_A_MINUTE: u64 = 60_000;

/// How long everything runs before it is measured.
const FIRST_MINUTE: Duration = Duration::from_secs(60);

/// Texts handed in: more than the limits allow in the time.
const N_TEXTS: u64 = 5_000;

/// How the limits come to be known, and what is wanted then.
struct Variant {
    name: &'static str,
    dialect: Dialect,
    telling: Telling,
    is_told: bool,
    share: f64,
    refused: f64,
    episodes: Option<f64>,
}

static VARIANTS: [Variant; 4] = [
    Variant {
        name: "told",
        dialect: Dialect::Groq,
        telling: Telling::Nothing,
        is_told: true,
        share: 97.0,
        refused: 0.1,
        episodes: None,
    },
    Variant {
        name: "headers",
        dialect: Dialect::OpenAi,
        telling: Telling::Headers,
        is_told: false,
        share: 97.0,
        refused: 0.1,
        episodes: None,
    },
    Variant {
        name: "bodies",
        dialect: Dialect::Groq,
        telling: Telling::Bodies,
        is_told: false,
        share: 95.0,
        // A refusal is how it is told, so there are a few in all, and no more.
        refused: 1.0,
        episodes: Some(3.0),
    },
    Variant {
        name: "silent",
        dialect: Dialect::Silent,
        telling: Telling::Nothing,
        is_told: false,
        share: 85.0,
        refused: 1.0,
        episodes: None,
    },
];

/// Measures all variants at the same time, each with a service and a provider of its own.
pub(super) async fn quota(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    row.conditions = format!(
        "{REQUESTS_A_MINUTE} requests and {TOKENS_A_MINUTE} tokens a minute, one text a call, answers of 0.3 s (lognormal) and of random length; share of the limit that binds, from the second minute on, for {} s; {}",
        bench.sizes.quota.as_secs(),
        setup().said()
    );
    let outcomes = join_all(VARIANTS.iter().map(|variant| measure(bench, variant))).await;
    let mut failed = Ok(());
    for outcome in outcomes {
        match outcome {
            Ok(measured) => measured.write(row),
            Err(error) => failed = Err(error),
        }
    }
    failed
}

fn setup() -> Setup {
    Setup::shipped().set("batching.max_batch_size", 1)
}

struct Measured {
    variant: &'static Variant,
    taken: Duration,
    before: Counts,
    after: Counts,
    end: Counts,
    /// What was counted by both sides.
    counted: Row,
}

async fn measure(bench: &Bench, variant: &'static Variant) -> anyhow::Result<Measured> {
    let plan = Plan {
        dialect: variant.dialect,
        telling: variant.telling,
        limits: vec![
            Limit::new(Unit::Requests, Per::Minute, REQUESTS_A_MINUTE),
            Limit::new(Unit::Tokens, Per::Minute, TOKENS_A_MINUTE),
        ],
        latency: Latency::Lognormal {
            median: Duration::from_millis(300),
            sigma: 0.4,
        },
        length_spread: 0.3,
        seed: 1,
        ..Plan::default()
    };
    let limits: &[(&str, i64)] = match variant.is_told {
        true => &[
            ("rpm", REQUESTS_A_MINUTE as i64),
            ("tpm", TOKENS_A_MINUTE as i64),
        ],
        false => &[],
    };
    let stage = bench
        .stage_with(&plan, |address| {
            setup().provider_like(PROVIDER, address, variant.dialect, limits)
        })
        .await?;
    let bulk = Bulk::new(stage.service.socket(), 1, N_TEXTS);
    bench.hand_in(Job::Lines(bulk)).await?;
    tokio::time::sleep(FIRST_MINUTE).await;
    let began = Instant::now();
    let before = stage.provider.counts().await?;
    tokio::time::sleep(bench.sizes.quota).await;
    let after = stage.provider.counts().await?;
    let taken = began.elapsed();
    let mut counted = Row::new("quota", "");
    let about = format!("{}: calls", variant.name);
    let end = count_calls(&mut counted, &about, &stage.service, &stage.provider).await?;
    let used = stage.service.used_in_state("Completed").await?;
    counted.count(
        format!("{}: texts", variant.name),
        &[
            ("the provider", end.texts - end.cut),
            ("the service", used.n_tasks),
        ],
    );
    // What a cut answer used belongs to no task.
    if end.cut == 0 {
        counted.count(
            format!("{}: tokens", variant.name),
            &[("the provider", end.tokens()), ("the service", used.tokens)],
        );
    }
    Ok(Measured {
        variant,
        taken,
        before,
        after,
        end,
        counted,
    })
}

impl Measured {
    fn write(self, row: &mut Row) {
        let name = self.variant.name;
        let minutes = self.taken.as_secs_f64() / 60.0;
        let requests = self.after.calls - self.before.calls;
        let tokens = self.after.tokens() - self.before.tokens();
        let of_requests = 100.0 * requests as f64 / (REQUESTS_A_MINUTE as f64 * minutes);
        let of_tokens = 100.0 * tokens as f64 / (TOKENS_A_MINUTE as f64 * minutes);
        row.aimed(
            format!("{name}: used of the limit that binds"),
            of_requests.max(of_tokens),
            "%",
            Target::AtLeast(self.variant.share),
        );
        row.figure(format!("{name}: requests"), of_requests, "%");
        row.figure(format!("{name}: tokens"), of_tokens, "%");
        let refused = percent(
            self.after.throttled - self.before.throttled,
            self.after.received - self.before.received,
        );
        row.aimed(
            format!("{name}: answered 429"),
            refused,
            "%",
            Target::AtMost(self.variant.refused),
        );
        let about = format!("{name}: episodes of 429 in the whole run");
        match self.variant.episodes {
            Some(most) => {
                row.aimed(
                    about,
                    self.end.episodes as f64,
                    "times",
                    Target::AtMost(most),
                );
            }
            None => row.figure(about, self.end.episodes as f64, "times"),
        }
        row.figure(
            format!("{name}: answered 429 in the whole run"),
            self.end.throttled as f64,
            "calls",
        );
        row.counts.extend(self.counted.counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_hammers_falls_short_though_it_uses_all_of_its_limit() {
        let [_, _, bodies, _] = &VARIANTS;
        let after = Counts {
            received: 1_200,
            calls: 600,
            throttled: 600,
            episodes: 60,
            ..Counts::default()
        };
        let measured = Measured {
            variant: bodies,
            taken: Duration::from_secs(60),
            before: Counts::default(),
            after,
            end: after,
            counted: Row::new("quota", ""),
        };
        let mut row = Row::new("quota", "");

        measured.write(&mut row);

        assert_eq!(
            row.short(),
            [
                "bodies: answered 429",
                "bodies: episodes of 429 in the whole run"
            ]
        );
    }
}

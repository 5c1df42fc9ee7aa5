//! What a simulated provider is told to be: its dialect, limits, pace and faults.

use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::admission::Limit;
use super::broken::Breakage;

/// Everything that makes one simulated provider differ from another.
///
/// Two providers of one plan decide alike for their calls of one number, in whatever order they end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// How it speaks.
    pub(crate) dialect: Dialect,
    /// What it says of its limits.
    pub(crate) telling: Telling,
    /// What it allows.
    pub(crate) limits: Vec<Limit>,
    /// How long an answer takes.
    pub(crate) latency: Latency,
    /// How far the tokens of answers of one length differ: the standard deviation of their logarithm.
    pub(crate) length_spread: f64,
    /// What goes wrong, each with its share of the calls.
    pub(crate) faults: Vec<(Fault, f64)>,
    /// The one refusal that is written into the plan.
    pub(crate) throttle: Option<Throttle>,
    /// What all chance comes from.
    pub(crate) seed: u64,
}

impl Plan {
    /// A provider of chat completions that answers everything after `latency`.
    pub(crate) fn constant(latency: Duration) -> Self {
        Self {
            latency: Latency::Constant(latency),
            ..Self::default()
        }
    }

    /// Returns whether no call needs chance.
    pub(super) fn is_certain(&self) -> bool {
        self.faults.is_empty()
            && self.length_spread == 0.0
            && matches!(self.latency, Latency::Constant(_))
    }

    /// Returns what happens to the call of this number.
    pub(crate) fn draw(&self, number: u64) -> Draw {
        // Spread over all bits, because neighbouring seeds begin alike.
        let seed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = Rng::with_seed(seed);
        let mut chance = rng.f64();
        let fault = self.faults.iter().find(|(_, share)| {
            chance -= share;
            chance < 0.0
        });
        Draw {
            fault: fault.map(|(fault, _)| *fault),
            latency: self.latency.draw(&mut rng),
            length: (self.length_spread * normal(&mut rng)).exp(),
            rng,
        }
    }
}

/// What chance decided for one call.
pub(crate) struct Draw {
    /// What goes wrong.
    pub(crate) fault: Option<Fault>,
    /// How long its answer takes.
    pub(super) latency: Duration,
    /// By how much its tokens are multiplied.
    pub(super) length: f64,
    /// What further choices are drawn from.
    pub(super) rng: Rng,
}

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Dialect {
    /// OpenAI: limits of requests are a minute's; a refused call counts too.
    #[default]
    OpenAi,
    /// Groq: headers name a day's requests and a minute's tokens.
    Groq,
    /// Anthropic.
    Anthropic,
    /// Gemini: no headers, details in the body.
    Gemini,
    /// Chat completions, and not a word about limits.
    Silent,
}

/// Where limits are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Telling {
    /// Wherever the dialect tells them.
    #[default]
    Dialect,
    /// In headers alone.
    Headers,
    /// In the bodies of refusals alone.
    Bodies,
    /// Nowhere.
    Nothing,
}

/// How long answers take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Around a median, with a long tail.
    Lognormal {
        /// Half of the answers take less.
        median: Duration,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// Mostly one time, now and then another.
    Bimodal {
        /// The usual time.
        usual: Duration,
        /// The other time.
        slow: Duration,
        /// How many of the answers take it.
        slow_share: f64,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Constant(Duration::ZERO)
    }
}

impl Latency {
    /// The longest that an answer takes, whatever the tail.
    const LONGEST: f64 = 3_600.0;

    fn draw(&self, rng: &mut Rng) -> Duration {
        match *self {
            Self::Constant(latency) => latency,
            Self::Lognormal { median, sigma } => {
                let seconds = median.as_secs_f64() * (sigma * normal(rng)).exp();
                Duration::from_secs_f64(seconds.min(Self::LONGEST))
            }
            Self::Bimodal {
                slow, slow_share, ..
            } if rng.f64() < slow_share => slow,
            Self::Bimodal { usual, .. } => usual,
        }
    }

    /// Returns the time that does not need chance.
    pub(super) fn usual(&self) -> Duration {
        match *self {
            Self::Constant(latency) => latency,
            Self::Lognormal { median, .. } => median,
            Self::Bimodal { usual, .. } => usual,
        }
    }
}

/// Returns a number of the standard normal distribution, by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (TAU * rng.f64()).cos()
}

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// 429 with the hint of the dialect.
    Throttled,
    /// 429 without any hint.
    ThrottledWithoutHint,
    /// One of the 5xx, some of them without JSON.
    ServerError,
    /// The connection is reset instead of an answer.
    Reset,
    /// The answer comes in a few bytes at a time.
    Trickle,
    /// The answer never comes.
    Hang,
    /// The answer comes broken.
    Broken(Breakage),
}

impl Fault {
    /// Returns every kind of broken answer, `share` of the calls together.
    pub(crate) fn every_breakage(share: f64) -> Vec<(Self, f64)> {
        let each = share / Breakage::ALL.len() as f64;
        Breakage::ALL
            .into_iter()
            .map(|breakage| (Self::Broken(breakage), each))
            .collect()
    }
}

/// One refusal at a known call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Throttle {
    /// Which call is refused; the first is 1.
    pub(crate) at_call: u64,
    /// How long the refusal asks to wait.
    pub(crate) wait: Duration,
    /// How it says so.
    pub(crate) hint: Hint,
}

/// The ways in which providers say how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hint {
    /// `retry-after` in whole seconds.
    Seconds,
    /// `retry-after` with a fraction.
    Fraction,
    /// `retry-after` as a date.
    Date,
    /// `retry-after-ms`.
    Milliseconds,
    /// `x-ratelimit-reset-requests` as a Go duration.
    GoDuration,
    /// In the words of the message.
    Message,
    /// `RetryInfo` in the details of a Gemini body.
    RetryInfo,
    /// `anthropic-ratelimit-requests-reset` as a time.
    Timestamp,
    /// Not at all.
    Absent,
}

/// How a provider that is gone behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outage {
    /// It is there.
    #[default]
    Over,
    /// It resets the connection of every call.
    Reset,
    /// It answers 503 with a page.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_decides_alike_and_another_does_not() {
        let plan = |seed| Plan {
            latency: Latency::Lognormal {
                median: Duration::from_millis(300),
                sigma: 0.5,
            },
            seed,
            ..Plan::default()
        };
        let drawn = |seed| -> Vec<Duration> {
            let plan = plan(seed);
            (0..20).map(|number| plan.draw(number).latency).collect()
        };

        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn faults_come_as_often_as_their_share() {
        let plan = Plan {
            faults: Fault::every_breakage(0.2),
            ..Plan::default()
        };

        let n_faults = (0..10_000)
            .filter(|number| plan.draw(*number).fault.is_some())
            .count();

        assert!((1_800..2_200).contains(&n_faults), "{n_faults}");
    }

    #[test]
    fn half_of_lognormal_latencies_are_below_the_median() {
        let median = Duration::from_millis(300);
        let plan = Plan {
            latency: Latency::Lognormal { median, sigma: 0.8 },
            ..Plan::default()
        };

        let n_below = (0..10_000)
            .filter(|number| plan.draw(*number).latency < median)
            .count();

        assert!((4_700..5_300).contains(&n_below), "{n_below}");
    }

    #[test]
    fn the_slow_mode_has_its_share() {
        let slow = Duration::from_millis(500);
        let plan = Plan {
            latency: Latency::Bimodal {
                usual: Duration::from_millis(50),
                slow,
                slow_share: 0.02,
            },
            ..Plan::default()
        };

        let n_slow = (0..10_000)
            .filter(|number| plan.draw(*number).latency == slow)
            .count();

        assert!((140..260).contains(&n_slow), "{n_slow}");
    }
}

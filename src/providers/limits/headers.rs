//! The limits in the headers of language models' servers: OpenAI, Groq, LiteLLM, and who speaks like them.
//!
//! `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` mean the same at OpenAI and at Groq but
//! for one thing: OpenAI counts requests by the minute (small accounts: by the day), Groq by the
//! day. No header says which, so it is found out by how the reset moves. Both houses refill
//! continuously: their reset is the time until the window is full again, `window × used ÷ limit`.
//! A reset of more than a minute that fits an hour or a day so is a proof of that window, and one
//! within a minute that fits a minute is a proof of that. Until there is a proof, the address
//! decides for requests: a day at Groq, a minute at OpenAI and LiteLLM, and nothing is claimed of
//! a server that nobody knows. Tokens count by the minute until there is a proof against it.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use awc::http::header::HeaderName;
use babelfeed_actors::domain::{KnownBy, SeenLimit, Unit};

use super::{DAY, HOUR, MINUTE, count, limit};
use crate::http::{Response, hints};

/// How far a reset may be from what its window predicts, though not by more than that: servers
/// round to seconds.
const SLACK: f64 = 1.0;

/// The names of one kind of limit: limit, what is left, reset.
struct Names {
    unit: Unit,
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

static NAMES: [Names; 4] = [
    Names {
        unit: Unit::Requests,
        limit: HeaderName::from_static("x-ratelimit-limit-requests"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
        reset: HeaderName::from_static("x-ratelimit-reset-requests"),
    },
    Names {
        unit: Unit::Tokens,
        limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
        reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
    },
    Names {
        unit: Unit::InputTokens,
        limit: HeaderName::from_static("x-ratelimit-limit-input-tokens"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-input-tokens"),
        reset: HeaderName::from_static("x-ratelimit-reset-input-tokens"),
    },
    Names {
        unit: Unit::OutputTokens,
        limit: HeaderName::from_static("x-ratelimit-limit-output-tokens"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-output-tokens"),
        reset: HeaderName::from_static("x-ratelimit-reset-output-tokens"),
    },
];

/// What every answer of LiteLLM bears.
static LITELLM_CALL: HeaderName = HeaderName::from_static("x-litellm-call-id");

/// What LiteLLM counts by the minute, each with a limit of its own.
const LITELLM: [&str; 6] = [
    "api_key",
    "model_per_key",
    "user",
    "team",
    "team_member",
    "end_user",
];

/// Reads the headers of one server, and remembers what its windows turned out to be.
#[derive(Debug)]
pub(in crate::providers) struct RateHeaders {
    /// What the address says of the window of requests.
    requests_per: Cell<Option<Duration>>,
    /// What was proved, in the order of [`NAMES`].
    proved: [Cell<Option<Duration>>; NAMES.len()],
}

impl RateHeaders {
    /// A reader who believes this of the window of requests until there is a proof.
    pub(in crate::providers) fn new(requests_per: Option<Duration>) -> Self {
        Self {
            requests_per: Cell::new(requests_per),
            proved: [const { Cell::new(None) }; NAMES.len()],
        }
    }

    /// Believes this of the window of requests from now on, until there is a proof.
    pub(in crate::providers) fn assume(&self, requests_per: Duration) {
        self.requests_per.set(Some(requests_per));
    }

    /// What the headers of a response say.
    pub(in crate::providers) fn read(&self, response: &Response) -> Vec<SeenLimit> {
        let now = || hints::server_time(response.header("date"));
        self.of(&|name| response.header(name), &now)
    }

    fn of<'a>(
        &self,
        header: &dyn Fn(&HeaderName) -> Option<&'a str>,
        now: &dyn Fn() -> SystemTime,
    ) -> Vec<SeenLimit> {
        let is_litellm = header(&LITELLM_CALL).is_some();
        if is_litellm && self.requests_per.get().is_none() {
            self.assume(MINUTE);
        }
        let mut seen = Vec::new();
        for (names, proved) in NAMES.iter().zip(&self.proved) {
            let own = is_litellm.then(|| litellm(names.unit, header)).flatten();
            seen.extend(own.or_else(|| self.named(names, proved, header, now)));
        }
        seen
    }

    fn named<'a>(
        &self,
        names: &Names,
        proved: &Cell<Option<Duration>>,
        header: &dyn Fn(&HeaderName) -> Option<&'a str>,
        now: &dyn Fn() -> SystemTime,
    ) -> Option<SeenLimit> {
        let limit = header(&names.limit).and_then(limit);
        let remaining = header(&names.remaining).and_then(count);
        let remaining = remaining.filter(|left| limit.is_none_or(|limit| *left <= limit));
        limit.or(remaining)?;
        let reset = header(&names.reset).and_then(|text| reset(text, now));
        if let (Some(limit), Some(remaining), Some(reset)) = (limit, remaining, reset) {
            proved.set(proof(limit, limit - remaining, reset).or(proved.get()));
        }
        let assumed = match names.unit {
            Unit::Requests => self.requests_per.get(),
            _ => Some(MINUTE),
        };
        let per = proved.get().or(assumed);
        let is_within = |reset: &Duration| {
            per.is_none_or(|per| reset.as_secs_f64() <= per.as_secs_f64() + SLACK)
        };
        Some(SeenLimit {
            unit: names.unit,
            per,
            limit,
            remaining,
            resets_in: reset.filter(is_within),
            known_by: KnownBy::Headers,
        })
    }
}

/// When all is free again: relative, or a point in time; a month or more is a mistake.
fn reset(text: &str, now: &dyn Fn() -> SystemTime) -> Option<Duration> {
    let is_point = text.contains('T') || count(text).is_some_and(|seconds| seconds > 1e8);
    let reset = if is_point {
        hints::point_in_time(text, now())
    } else {
        hints::duration(text)
    };
    reset.filter(|reset| *reset < hints::MAX_WAIT)
}

/// The window over which a limit refills so that so much used is free again after `reset`.
fn proof(limit: f64, used: f64, reset: Duration) -> Option<Duration> {
    if used < 1.0 {
        return None;
    }
    let reset = reset.as_secs_f64();
    let is_refill_of = |window: &Duration| {
        // What is left is told in whole numbers, so what is used is known to one.
        let share = window.as_secs_f64() / limit;
        let least = share * (used - 1.0) - SLACK.min(share * used / 2.0);
        let most = share * (used + 1.0) + SLACK.min(share * used);
        (least..=most).contains(&reset)
    };
    if reset <= MINUTE.as_secs_f64() + SLACK {
        return Some(MINUTE).filter(is_refill_of);
    }
    [HOUR, DAY].into_iter().find(is_refill_of)
}

/// The narrowest of LiteLLM's own limits on this.
fn litellm<'a>(unit: Unit, header: &dyn Fn(&HeaderName) -> Option<&'a str>) -> Option<SeenLimit> {
    let what = match unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
        _ => return None,
    };
    let of = |who: &&str| {
        let header = |kind| {
            let name = format!("x-ratelimit-{who}-{kind}-{what}");
            header(&HeaderName::try_from(name).ok()?)
        };
        let limit = header("limit").and_then(limit)?;
        let left = header("remaining").and_then(count);
        Some(SeenLimit {
            unit,
            per: Some(MINUTE),
            limit: Some(limit),
            remaining: left.filter(|left| *left <= limit),
            resets_in: None,
            known_by: KnownBy::Headers,
        })
    };
    let narrowness = |seen: &SeenLimit| seen.remaining.or(seen.limit).unwrap_or(f64::MAX);
    LITELLM
        .iter()
        .filter_map(of)
        .min_by(|one, other| narrowness(one).total_cmp(&narrowness(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(requests_per: Option<Duration>) -> RateHeaders {
        RateHeaders::new(requests_per)
    }

    fn read(reader: &RateHeaders, headers: &[(&str, &'static str)]) -> Vec<SeenLimit> {
        let header = |name: &HeaderName| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| *value)
        };
        let now = || hints::server_time(Some("Sat, 21 Nov 2026 12:04:00 GMT"));
        reader.of(&header, &now)
    }

    fn requests(
        reader: &RateHeaders,
        limit: &'static str,
        remaining: &'static str,
        reset: &'static str,
    ) -> Option<Duration> {
        let headers = [
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
        ];
        read(reader, &headers)[0].per
    }

    #[test]
    fn the_window_of_requests_is_told_by_how_it_refills() {
        for (assumed, limit, remaining, reset, per) in [
            // Groq: 58 of 1,000 a day.
            (None, "1000", "942", "1h23m31s", Some(DAY)),
            (None, "14400", "14380", "2m0s", Some(DAY)),
            (None, "1000", "999", "1m26.4s", Some(DAY)),
            // OpenAI: by the minute; and a small account, by the day.
            (None, "60", "59", "1s", Some(MINUTE)),
            (None, "600", "599", "100ms", Some(MINUTE)),
            (None, "600", "300", "30s", Some(MINUTE)),
            (None, "10000", "9990", "1m26.4s", Some(DAY)),
            // Nothing is used, so nothing is proved.
            (None, "600", "600", "0s", None),
            (Some(MINUTE), "600", "600", "0s", Some(MINUTE)),
            (Some(DAY), "14400", "14399", "6s", Some(DAY)),
            // A large day refills within a second, and still a thousand times slower than a minute.
            (Some(DAY), "500000", "499999", "172.8ms", Some(DAY)),
            (None, "100000", "99999", "864ms", None),
            // A fixed minute that has just begun looks like a day, and proves nothing.
            (None, "1440", "1439", "59s", None),
            // A window that is full at its end, whose reset no refill explains.
            (None, "150000", "149984", "6m0s", None),
        ] {
            let reader = reader(assumed);
            let found = requests(&reader, limit, remaining, reset);
            assert_eq!(found, per, "{limit} {remaining} {reset}");
        }
    }

    #[test]
    fn a_proof_stays_until_another_one() {
        let reader = reader(Some(MINUTE));
        assert_eq!(requests(&reader, "1000", "942", "1h23m31s"), Some(DAY));
        assert_eq!(requests(&reader, "1000", "1000", "0s"), Some(DAY));
        assert_eq!(requests(&reader, "600", "300", "30s"), Some(MINUTE));
    }

    #[test]
    fn tokens_count_by_the_minute_and_an_impossible_reset_is_none() {
        let headers = [
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        let seen = read(&reader(None), &headers);
        assert_eq!(
            seen,
            [SeenLimit {
                unit: Unit::Tokens,
                per: Some(MINUTE),
                limit: Some(150_000.0),
                remaining: Some(149_984.0),
                resets_in: None,
                known_by: KnownBy::Headers,
            }]
        );
    }

    #[test]
    fn absurd_values_are_not_believed() {
        for (limit, remaining, reset, expected) in [
            ("-5", "3", "1s", (None, Some(3.0), Some(1))),
            ("600", "-1", "1s", (Some(600.0), None, Some(1))),
            ("600", "601", "1s", (Some(600.0), None, Some(1))),
            ("600", "NaN", "8760h", (Some(600.0), None, None)),
            ("600", "3", "-1s", (Some(600.0), Some(3.0), None)),
            ("600", "3", "soon", (Some(600.0), Some(3.0), None)),
        ] {
            let headers = [
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ];
            let seen = read(&reader(None), &headers)[0];
            let resets_in = expected.2.map(Duration::from_secs);
            assert_eq!(
                (seen.limit, seen.remaining, seen.resets_in),
                (expected.0, expected.1, resets_in),
                "{limit} {remaining} {reset}"
            );
        }
        let none = [
            ("x-ratelimit-limit-requests", "many"),
            ("x-ratelimit-remaining-requests", "some"),
        ];
        assert_eq!(read(&reader(None), &none), []);
    }

    #[test]
    fn resets_may_be_points_in_time() {
        for reset in ["2026-11-21T12:04:30Z", "1795262670", "30", "30s"] {
            let headers = [
                ("x-ratelimit-limit-tokens", "600"),
                ("x-ratelimit-reset-tokens", reset),
            ];
            let seen = read(&reader(None), &headers)[0];
            assert_eq!(seen.resets_in, Some(Duration::from_secs(30)), "{reset}");
        }
    }

    #[test]
    fn the_narrowest_limit_of_litellm_counts() {
        let headers = [
            ("x-litellm-call-id", "1"),
            ("x-ratelimit-api_key-limit-requests", "100"),
            ("x-ratelimit-api_key-remaining-requests", "99"),
            ("x-ratelimit-team-limit-requests", "50"),
            ("x-ratelimit-team-remaining-requests", "2"),
            ("x-ratelimit-limit-tokens", "6000"),
            ("x-ratelimit-remaining-tokens", "5000"),
            ("x-ratelimit-limit-input-tokens", "600"),
            ("x-ratelimit-reset-input-tokens", "17"),
        ];
        let seen: Vec<_> = read(&reader(None), &headers)
            .into_iter()
            .map(|seen| (seen.unit, seen.per, seen.limit, seen.remaining))
            .collect();
        assert_eq!(
            seen,
            [
                (Unit::Requests, Some(MINUTE), Some(50.0), Some(2.0)),
                (Unit::Tokens, Some(MINUTE), Some(6_000.0), Some(5_000.0)),
                (Unit::InputTokens, Some(MINUTE), Some(600.0), None),
            ]
        );
    }
}

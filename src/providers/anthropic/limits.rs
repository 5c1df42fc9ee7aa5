//! What the headers `anthropic-ratelimit-*` say of a lane's limits.

use std::time::{Duration, SystemTime};

use babelfeed_actors::domain::{KnownBy, SeenLimit, Unit};

use crate::providers::hints;

/// What the API counts, as its headers call it.
const UNITS: [(&str, Unit); 4] = [
    ("requests", Unit::Requests),
    ("tokens", Unit::Tokens),
    ("input-tokens", Unit::InputTokens),
    ("output-tokens", Unit::OutputTokens),
];

/// The API's limits are all per minute; the headers do not say so.
const WINDOW: Duration = Duration::from_secs(60);

/// What a response says of each limit that it names; `now` is the server's time.
pub(super) fn seen<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Vec<SeenLimit> {
    let limits = UNITS.iter().filter_map(|(name, unit)| {
        let field = |field: &str| header(&format!("anthropic-ratelimit-{name}-{field}"));
        // Below a limit of nothing nothing could ever pass: such a header is a mistake.
        let limit = field("limit").and_then(amount).filter(|it| *it >= 1.0);
        let remaining = field("remaining").and_then(amount);
        let resets_in = field("reset").and_then(|reset| hints::rfc3339(reset, now));
        let says_something = limit.is_some() || remaining.is_some();
        says_something.then_some(SeenLimit {
            unit: *unit,
            // What takes longer to come back than a minute is no limit of a minute.
            per: resets_in.is_none_or(|it| it <= WINDOW).then_some(WINDOW),
            limit,
            remaining,
            resets_in,
            known_by: KnownBy::Headers,
        })
    });
    limits.collect()
}

/// How long until everything that is spent is free again, where something is.
pub(super) fn until_spent_are_free<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<Duration> {
    let seen = seen(header, now);
    let spent = seen.iter().filter(|it| it.remaining == Some(0.0));
    spent.filter_map(|it| it.resets_in).max()
}

fn amount(text: &str) -> Option<f64> {
    let amount: f64 = text.trim().parse().ok()?;
    (amount.is_finite() && amount >= 0.0).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sat, 21 Nov 2026 12:04:30 GMT";

    fn header<'a>(known: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
        move |name| {
            let found = known.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| *value)
        }
    }

    fn now() -> SystemTime {
        hints::server_time(Some(NOW))
    }

    #[test]
    fn each_limit_is_read_with_its_reset() {
        let known = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T12:04:31Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "2026-11-21T12:05:00Z",
            ),
            ("anthropic-ratelimit-output-tokens-remaining", "7000"),
        ];
        let seen = seen(header(&known), now());
        let figures: Vec<_> = seen
            .iter()
            .map(|it| (it.unit, it.limit, it.remaining, it.resets_in))
            .collect();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(
            figures,
            [
                (Unit::Requests, Some(50.0), Some(49.0), seconds(1)),
                (Unit::InputTokens, Some(30_000.0), Some(0.0), seconds(30)),
                (Unit::OutputTokens, None, Some(7_000.0), None),
            ]
        );
        assert!(seen.iter().all(|it| it.per == Some(WINDOW)));
        assert_eq!(until_spent_are_free(header(&known), now()), seconds(30));
    }

    #[test]
    fn headers_that_make_no_sense_say_nothing() {
        let known = [
            ("anthropic-ratelimit-requests-limit", "many"),
            ("anthropic-ratelimit-tokens-limit", "-1"),
            ("anthropic-ratelimit-input-tokens-limit", "0"),
            ("anthropic-ratelimit-tokens-remaining", "inf"),
            ("anthropic-ratelimit-output-tokens-reset", "soon"),
        ];
        assert_eq!(seen(header(&known), now()), []);
        assert_eq!(until_spent_are_free(header(&known), now()), None);
    }

    #[test]
    fn a_reset_beyond_a_minute_belongs_to_no_minute() {
        let known = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T13:04:30Z"),
        ];
        let seen = seen(header(&known), now());
        assert_eq!(seen[0].per, None);
        assert_eq!(seen[0].resets_in, Some(Duration::from_secs(3_600)));
    }
}

//! The limits in the texts of refusals, as OpenAI, Groq, LiteLLM and LibreTranslate word them.

use std::time::Duration;

use babelfeed_actors::domain::{KnownBy, SeenLimit, Unit};

use super::{DAY, HOUR, MINUTE, SECOND, count, limit};

/// What a message says of limits.
///
/// OpenAI and Groq: `… on tokens per minute (TPM): Limit 6000, Used 5500, Requested 800`, where
/// `minute` may be `min` and a colon may follow each name. LiteLLM, which counts by the minute:
/// `Limit type: requests. Current limit: 1, Remaining: 0`.
pub(in crate::providers) fn in_refusal(message: &str) -> Vec<SeenLimit> {
    let message = message.to_ascii_lowercase();
    let named: Vec<(usize, Unit, Duration)> = message
        .match_indices(" per ")
        .filter_map(|(at, per)| {
            let unit = unit_before(&message[..at])?;
            let window = window_at(&message[at + per.len()..])?;
            Some((at, unit, window))
        })
        .collect();
    let ends = named.iter().skip(1).map(|(at, ..)| *at);
    let mut seen: Vec<SeenLimit> = named
        .iter()
        .zip(ends.chain([message.len()]))
        .filter_map(|((at, unit, per), end)| of_window(&message[*at..end], *unit, *per))
        .collect();
    seen.extend(litellm(&message));
    seen
}

/// A limit as flask-limiter words it: `80 per 1 minute`, `100 per 2 hour`.
pub(in crate::providers) fn slowdown(message: &str) -> Option<(f64, Duration)> {
    let message = message.to_ascii_lowercase();
    let (before, after) = message.split_once(" per ")?;
    let most = limit(before.rsplit(' ').next()?)?;
    let mut words = after.split_whitespace();
    let first = words.next()?;
    let (n_windows, window) = match count(first) {
        Some(n_windows) => (n_windows, window_at(words.next()?)?),
        None => (1.0, window_at(first)?),
    };
    let is_sane = (1.0..=1_000.0).contains(&n_windows);
    is_sane.then(|| (most, window.mul_f64(n_windows)))
}

fn of_window(text: &str, unit: Unit, per: Duration) -> Option<SeenLimit> {
    let most = limit(number_after(text, "limit")?)?;
    let used = number_after(text, "used").and_then(count);
    Some(seen(unit, per, most, used.map(|used| most - used)))
}

fn litellm(message: &str) -> Option<SeenLimit> {
    let (_, rest) = message.split_once("limit type: ")?;
    let unit = match rest.split(['.', ',', ' ']).next()? {
        "requests" => Unit::Requests,
        "tokens" => Unit::Tokens,
        _ => return None,
    };
    let most = limit(number_after(rest, "current limit")?)?;
    let left = number_after(rest, "remaining").and_then(count);
    Some(seen(unit, MINUTE, most, left))
}

fn seen(unit: Unit, per: Duration, limit: f64, remaining: Option<f64>) -> SeenLimit {
    SeenLimit {
        unit,
        per: Some(per),
        limit: Some(limit),
        remaining: remaining.map(|left| left.clamp(0.0, limit)),
        resets_in: None,
        known_by: KnownBy::Refusal,
    }
}

/// What is counted, by the words at the end of a text.
fn unit_before(text: &str) -> Option<Unit> {
    let mut words = text.rsplit(|letter: char| !letter.is_ascii_alphabetic());
    match (words.next()?, words.next().unwrap_or_default()) {
        ("requests" | "request", _) => Some(Unit::Requests),
        ("tokens" | "token", "input") => Some(Unit::InputTokens),
        ("tokens" | "token", "output") => Some(Unit::OutputTokens),
        ("tokens" | "token", _) => Some(Unit::Tokens),
        _ => None,
    }
}

/// The window by the word at the start of a text.
fn window_at(text: &str) -> Option<Duration> {
    const WINDOWS: [(&str, Duration); 4] = [
        ("sec", SECOND),
        ("min", MINUTE),
        ("hour", HOUR),
        ("day", DAY),
    ];
    let found = WINDOWS.iter().find(|(name, _)| text.starts_with(name));
    found.map(|(_, window)| *window)
}

/// The number after a name, like `6000` in `Limit: ~6000, Used`.
fn number_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_digit = |letter: char| letter.is_ascii_digit();
    text.match_indices(name).find_map(|(at, name)| {
        let rest = text[at + name.len()..].trim_start_matches([':', ' ', '~']);
        let end = rest
            .find(|letter: char| !is_digit(letter) && !matches!(letter, '.' | ','))
            .unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches(['.', ',']);
        number.starts_with(is_digit).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (Unit, Duration, f64, Option<f64>);

    fn rows(message: &str) -> Vec<Row> {
        in_refusal(message)
            .into_iter()
            .map(|seen| {
                let per = seen.per.expect("a text names its window");
                let limit = seen.limit.expect("a text names its limit");
                assert_eq!(seen.known_by, KnownBy::Refusal);
                (seen.unit, per, limit, seen.remaining)
            })
            .collect()
    }

    #[test]
    fn each_house_names_its_limit_in_its_words() {
        for (message, expected) in [
            (
                "Rate limit reached for model `M` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Used 5500, Requested 800. Please try again in 3s.",
                vec![(Unit::Tokens, MINUTE, 6_000.0, Some(500.0))],
            ),
            (
                "Rate limit reached for model `M` in organization `org_1` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s.",
                vec![(Unit::Tokens, DAY, 100_000.0, Some(2_950.0))],
            ),
            (
                "Rate limit reached for model `M` on requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in 2s.",
                vec![(Unit::Requests, MINUTE, 30.0, Some(0.0))],
            ),
            (
                "Request too large for model `M` in organization `org_1` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.",
                vec![(Unit::Tokens, MINUTE, 6_000.0, None)],
            ),
            (
                "Rate limit reached for gpt in organization org-1 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
                vec![(Unit::Requests, MINUTE, 3.0, Some(0.0))],
            ),
            (
                "Rate limit reached for default in organization org-1 on requests per min. Limit: 3 / min. Please try again in 20s.",
                vec![(Unit::Requests, MINUTE, 3.0, None)],
            ),
            (
                "Rate limit reached on input tokens per minute (ITPM): Limit 40,000, Used 41,000, Requested ~5.",
                vec![(Unit::InputTokens, MINUTE, 40_000.0, Some(0.0))],
            ),
            (
                "Rate limit exceeded for api_key: f8fe19. Limit type: requests. Current limit: 1, Remaining: 0. Limit resets at: 2026-11-22 02:29:24 UTC",
                vec![(Unit::Requests, MINUTE, 1.0, Some(0.0))],
            ),
            (
                "on requests per day (RPD): Limit 1000, Used 1000; on tokens per minute (TPM): Limit 6000, Used 6000.",
                vec![
                    (Unit::Requests, DAY, 1_000.0, Some(0.0)),
                    (Unit::Tokens, MINUTE, 6_000.0, Some(0.0)),
                ],
            ),
            ("slow down", vec![]),
            ("on tokens per minute: Limit 0, Used 0", vec![]),
            ("on tokens per minute: Limit -5, Used 0", vec![]),
            ("on tokens per minute: Limit many", vec![]),
            ("on tokens per fortnight: Limit 5", vec![]),
            ("on tokens per minute: Limit 99999999999999999", vec![]),
            (
                "Current limit: 5. Limit type: max_parallel_requests",
                vec![],
            ),
        ] {
            assert_eq!(rows(message), expected, "{message}");
        }
    }

    #[test]
    fn flask_limiter_names_its_window() {
        for (message, expected) in [
            ("Slowdown: 80 per 1 minute", Some((80.0, MINUTE))),
            ("Slowdown: 100 per 2 hour", Some((100.0, HOUR * 2))),
            ("Slowdown: 1000 per 1 day", Some((1_000.0, DAY))),
            ("5 per second", Some((5.0, SECOND))),
            ("Slowdown: 0 per 1 minute", None),
            ("Slowdown: -3 per 1 minute", None),
            ("Slowdown: 80 per 0 minute", None),
            ("Slowdown: 80 per 99999 day", None),
            ("Slowdown", None),
        ] {
            assert_eq!(slowdown(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(message in ".{0,80}( per min| per 1 day|limit |limit: |used |limit type: requests).{0,80}") {
            for seen in in_refusal(&message) {
                prop_assert!(seen.limit.is_some_and(|limit| (1.0..=1e12).contains(&limit)));
                prop_assert!(seen.remaining.is_none_or(|left| left >= 0.0));
            }
            if let Some((limit, per)) = slowdown(&message) {
                prop_assert!(limit >= 1.0 && per >= SECOND);
            }
        }
    }
}

//! What responses of providers say of limits: kept until the lane takes it.

mod headers;
mod text;

use std::cell::RefCell;
use std::time::Duration;

use babelfeed_actors::domain::SeenLimit;

pub(super) use headers::RateHeaders;
pub(super) use text::{in_refusal, slowdown};

/// A window of a second.
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// A window of a minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// A window of an hour.
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
/// A window of a day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest count that is believed; a larger one is a mistake.
const MOST: f64 = 1e12;

/// How much is kept while nobody takes it; the latest is worth most.
const KEPT: usize = 64;

/// What responses said since it was last taken, the latest last.
#[derive(Debug, Default)]
pub(super) struct Noticed(RefCell<Vec<SeenLimit>>);

impl Noticed {
    /// Adds what a response said.
    pub(super) fn add(&self, seen: impl IntoIterator<Item = SeenLimit>) {
        let mut kept = self.0.borrow_mut();
        kept.extend(seen);
        let n_too_many = kept.len().saturating_sub(KEPT);
        kept.drain(..n_too_many);
    }

    /// Takes what was added.
    pub(super) fn take(&self) -> Vec<SeenLimit> {
        self.0.take()
    }
}

/// A count as text, like `6000`, `6,000` or `0.5`; what is negative, too large or no number is none.
pub(super) fn count(text: &str) -> Option<f64> {
    let digits = text.trim();
    let is_plain = digits.starts_with(|it: char| it.is_ascii_digit())
        && digits
            .chars()
            .all(|it| it.is_ascii_digit() || matches!(it, '.' | ','));
    let count: f64 = is_plain
        .then(|| digits.replace(',', "").parse().ok())
        .flatten()?;
    (count <= MOST).then_some(count)
}

/// A limit as text: a count of one at least, since nothing could ever pass below it.
pub(super) fn limit(text: &str) -> Option<f64> {
    count(text).filter(|limit| *limit >= 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use babelfeed_actors::domain::{KnownBy, Unit};

    fn seen(limit: f64) -> SeenLimit {
        SeenLimit {
            unit: Unit::Requests,
            per: None,
            limit: Some(limit),
            remaining: None,
            resets_in: None,
            known_by: KnownBy::Headers,
        }
    }

    #[test]
    fn counts_are_plain_numbers_within_reason() {
        for (text, expected) in [
            ("6000", Some(6_000.0)),
            (" 40,000 ", Some(40_000.0)),
            ("0", Some(0.0)),
            ("0.5", Some(0.5)),
            ("-1", None),
            ("", None),
            (".", None),
            (",", None),
            ("1.2.3", None),
            ("NaN", None),
            ("inf", None),
            ("1e9", None),
            ("None", None),
            ("99999999999999", None),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
        assert_eq!(limit("0"), None);
        assert_eq!(limit("1"), Some(1.0));
    }

    #[test]
    fn only_the_latest_is_kept_while_nobody_takes_it() {
        let noticed = Noticed::default();
        noticed.add((1..=100).map(|number| seen(f64::from(number))));
        let taken = noticed.take();
        assert_eq!(taken.len(), KEPT);
        assert_eq!(taken.last(), Some(&seen(100.0)));
        assert!(noticed.take().is_empty());
    }
}

//! When what was used of a day or a month counts no more, by the wall clock.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc, Weekday};

use crate::domain::DayReset;

/// A day in milliseconds.
pub(super) const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

/// The time over which a long quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A day, which is over as the provider's is.
    Day(DayReset),
    /// A calendar month in UTC.
    Month,
}

impl Span {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day(_) => "day",
            Self::Month => "month",
        }
    }

    /// From when on nothing counts that was used in the stretch from `slot` on, `length` long;
    /// all in milliseconds since 1970.
    pub(super) fn leaves(self, slot: i64, length: i64) -> i64 {
        match self {
            Self::Day(DayReset::Rolling) => slot.saturating_add(length + DAY),
            Self::Day(DayReset::Utc) => next_midnight(slot),
            Self::Day(DayReset::Pacific) => next_midnight_in_california(slot),
            Self::Month => next_month(slot),
        }
    }
}

const fn next_midnight(at: i64) -> i64 {
    (at.div_euclid(DAY) + 1).saturating_mul(DAY)
}

fn next_midnight_in_california(at: i64) -> i64 {
    let offset = offset_of_california(at);
    let midnight = next_midnight(at + offset);
    // The clocks change at two in the morning, so an hour off still falls on the right side.
    midnight - offset_of_california(midnight - offset)
}

/// What is added to UTC in California: eight hours less, seven between the second Sunday of
/// March, 10:00 UTC, and the first Sunday of November, 9:00 UTC.
fn offset_of_california(at: i64) -> i64 {
    let year = date(at).year();
    let sunday = |month, nth, hour: i64| {
        let day = NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, nth);
        day.map_or(i64::MAX, millis_of).saturating_add(hour * HOUR)
    };
    if (sunday(3, 2, 10)..sunday(11, 1, 9)).contains(&at) {
        -7 * HOUR
    } else {
        -8 * HOUR
    }
}

fn next_month(at: i64) -> i64 {
    let date = date(at);
    let (year, month) = match date.month() {
        12 => (date.year() + 1, 1),
        month => (date.year(), month + 1),
    };
    NaiveDate::from_ymd_opt(year, month, 1).map_or(i64::MAX, millis_of)
}

fn date(at: i64) -> NaiveDate {
    let time = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
    time.date_naive()
}

fn millis_of(date: NaiveDate) -> i64 {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    days.saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn leaves(span: Span, at: &str) -> String {
        let at = Timestamp::parse(at).expect("a time").as_millis();
        Timestamp::from_millis(span.leaves(at, 1_000)).to_string()
    }

    #[test]
    fn a_day_in_california_ends_at_its_midnight_in_summer_and_in_winter() {
        let pacific = Span::Day(DayReset::Pacific);
        let ends = [
            ("2026-11-21T12:00:00Z", "2026-11-22T08:00:00.000Z"),
            ("2026-11-21T07:59:59Z", "2026-11-21T08:00:00.000Z"),
            ("2026-07-01T12:00:00Z", "2026-07-02T07:00:00.000Z"),
            // The days on which the clocks change have 23 and 25 hours.
            ("2026-03-08T08:30:00Z", "2026-03-09T07:00:00.000Z"),
            ("2026-11-01T07:30:00Z", "2026-11-02T08:00:00.000Z"),
        ];
        for (at, end) in ends {
            assert_eq!(leaves(pacific, at), end, "{at}");
        }
    }

    #[test]
    fn days_and_months_end_where_they_are_said_to() {
        let at = "2026-12-31T10:00:00Z";
        assert_eq!(leaves(Span::Month, at), "2027-01-01T00:00:00.000Z");
        let utc = Span::Day(DayReset::Utc);
        assert_eq!(leaves(utc, at), "2027-01-01T00:00:00.000Z");
        let rolling = Span::Day(DayReset::Rolling);
        assert_eq!(leaves(rolling, at), "2027-01-01T10:00:01.000Z");
        let february = "2028-02-29T23:59:59Z";
        assert_eq!(leaves(Span::Month, february), "2028-03-01T00:00:00.000Z");
    }
}

//! The quotas that a refusal of Google names: how much over what time, and when a day begins anew.

use std::time::{Duration, SystemTime};

use babelfeed_actors::domain::{KnownBy, SeenLimit, Unit};
use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday,
};
use serde_json::Value;

use crate::providers::hints;
use crate::providers::limits::{DAY, MINUTE, limit};
use crate::providers::wire::ErrorBody;

/// One quota that was violated.
pub(super) struct Quota<'a> {
    /// Its `quotaId`, like `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    id: &'a str,
    /// Its `quotaValue`, or the limit that the message names beside its metric.
    value: Option<&'a str>,
}

impl Quota<'_> {
    /// Whether it counts by the day.
    pub(super) fn is_of_a_day(&self) -> bool {
        self.id.contains("PerDay")
    }

    /// Whether the account's tier does not offer the model at all.
    pub(super) fn is_not_offered(&self) -> bool {
        self.value == Some("0")
    }

    fn seen(&self, now: SystemTime) -> Option<SeenLimit> {
        const WINDOWS: [(&str, Duration); 2] = [("PerDay", DAY), ("PerMinute", MINUTE)];
        const UNITS: [(&str, Unit); 4] = [
            ("InputTokens", Unit::InputTokens),
            ("OutputTokens", Unit::OutputTokens),
            ("Tokens", Unit::Tokens),
            ("Requests", Unit::Requests),
        ];
        let per = WINDOWS.iter().find(|(name, _)| self.id.contains(name));
        let unit = UNITS.iter().find(|(name, _)| self.id.contains(name))?.1;
        Some(SeenLimit {
            unit,
            per: Some(per?.1),
            limit: Some(limit(self.value?)?),
            // A request is one; of tokens there may be some left, only not enough.
            remaining: (unit == Unit::Requests).then_some(0.0),
            resets_in: self
                .is_of_a_day()
                .then(|| until_pacific_midnight(now))
                .flatten(),
            known_by: KnownBy::Refusal,
        })
    }
}

/// The quotas that an error names, in any order and number.
pub(super) fn violated(body: &ErrorBody) -> impl Iterator<Item = Quota<'_>> {
    let violations = |detail| Value::as_array(Value::get(detail, "violations")?);
    body.details
        .iter()
        .filter_map(violations)
        .flatten()
        .filter_map(|violation| {
            let text = |name: &str| violation.get(name).and_then(Value::as_str);
            let named = || limit_beside(&body.message, text("quotaMetric")?);
            Some(Quota {
                id: text("quotaId")?,
                value: text("quotaValue").or_else(named),
            })
        })
}

/// What an error says of limits; `now` is the server's time.
pub(super) fn seen(body: &ErrorBody, now: SystemTime) -> Vec<SeenLimit> {
    violated(body).filter_map(|quota| quota.seen(now)).collect()
}

/// The number in `Quota exceeded for metric: METRIC, limit: 250, model: …`.
fn limit_beside<'a>(message: &'a str, metric: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(metric)?;
    let rest = rest.strip_prefix(", limit: ")?;
    rest.split([',', ' ']).next()
}

/// How long it is until midnight in Los Angeles, when the quotas of a day begin anew.
pub(super) fn until_pacific_midnight(now: SystemTime) -> Option<Duration> {
    let now = DateTime::<Utc>::from(now).naive_utc();
    let local = now.checked_add_signed(pacific_offset(now))?;
    let midnight = local
        .date()
        .checked_add_days(Days::new(1))?
        .and_time(NaiveTime::MIN);
    // Clocks change at two in the morning, so the offset of midnight may differ from now's.
    let offset = pacific_offset(midnight.checked_sub_signed(pacific_offset(now))?);
    let wait = midnight
        .checked_sub_signed(offset)?
        .signed_duration_since(now);
    hints::seconds(&(wait.num_seconds() + 1).to_string())
}

/// What Los Angeles adds to universal time: summer time is in force from the second Sunday of
/// March to the first of November, since the Energy Policy Act of 2005.
fn pacific_offset(utc: NaiveDateTime) -> TimeDelta {
    let sunday =
        |month, week| NaiveDate::from_weekday_of_month_opt(utc.year(), month, Weekday::Sun, week);
    let start = sunday(3, 2).and_then(|day| day.and_hms_opt(10, 0, 0));
    let end = sunday(11, 1).and_then(|day| day.and_hms_opt(9, 0, 0));
    let is_summer = start.is_some_and(|start| start <= utc) && end.is_some_and(|end| utc < end);
    TimeDelta::hours(if is_summer { -7 } else { -8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        hints::server_time(Some(text))
    }

    fn body(message: &str, violations: &str) -> ErrorBody {
        let violations: Value = serde_json::from_str(violations).expect("JSON");
        let body = serde_json::json!({"error": {"code": 429, "message": message, "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "22s"},
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        ]}});
        ErrorBody::parse(body.to_string().as_bytes())
    }

    #[test]
    fn each_quota_says_what_it_counts_over_what_time() {
        let now = at("Sat, 21 Nov 2026 12:00:00 GMT");
        let midnight = Some(Duration::from_secs(20 * 3_600 + 1));
        for (id, unit, per, remaining, resets_in) in [
            (
                "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                Unit::Requests,
                MINUTE,
                Some(0.0),
                None,
            ),
            (
                "GenerateRequestsPerMinutePerProjectPerModel",
                Unit::Requests,
                MINUTE,
                Some(0.0),
                None,
            ),
            (
                "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                Unit::Requests,
                DAY,
                Some(0.0),
                midnight,
            ),
            (
                "GenerateContentInputTokensPerModelPerMinute-FreeTier",
                Unit::InputTokens,
                MINUTE,
                None,
                None,
            ),
            (
                "GenerateContentPaidTierInputTokensPerModelPerMinute",
                Unit::InputTokens,
                MINUTE,
                None,
                None,
            ),
        ] {
            let violations = format!(r#"[{{"quotaId": "{id}", "quotaValue": "250"}}]"#);
            let expected = SeenLimit {
                unit,
                per: Some(per),
                limit: Some(250.0),
                remaining,
                resets_in,
                known_by: KnownBy::Refusal,
            };
            assert_eq!(seen(&body("m", &violations), now), [expected], "{id}");
        }
    }

    #[test]
    fn a_value_that_is_missing_stands_in_the_message() {
        let now = at("Sat, 21 Nov 2026 12:00:00 GMT");
        let metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests";
        let message = format!(
            "You exceeded your quota.\n* Quota exceeded for metric: {metric}, limit: 250, model: gemini-2.5-flash\nPlease retry in 22.1s."
        );
        let violations = format!(
            r#"[{{"quotaMetric": "{metric}", "quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}}]"#
        );
        let found = seen(&body(&message, &violations), now);
        assert_eq!(found[0].limit, Some(250.0));
    }

    #[test]
    fn what_names_no_limit_teaches_none() {
        let now = at("Sat, 21 Nov 2026 12:00:00 GMT");
        for violations in [
            "[]",
            r#"[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]"#,
            r#"[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "-5"}]"#,
            r#"[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "0"}]"#,
            r#"[{"quotaId": "SomethingPerMinute", "quotaValue": "250"}]"#,
            r#"[{"quotaId": "GenerateRequests", "quotaValue": "250"}]"#,
            r#"[{"quotaId": 7, "quotaValue": 250}]"#,
        ] {
            assert_eq!(seen(&body("m", violations), now), [], "{violations}");
        }
    }

    #[test]
    fn midnight_in_los_angeles_knows_summer_time() {
        for (now, hours) in [
            ("Sat, 21 Nov 2026 07:00:00 GMT", 1),
            ("Sat, 21 Nov 2026 08:00:00 GMT", 24),
            ("Sat, 04 Jul 2026 06:00:00 GMT", 1),
            // The night before the clocks go forward, and the day on which they did.
            ("Sun, 08 Mar 2026 07:00:00 GMT", 1),
            ("Sun, 08 Mar 2026 09:00:00 GMT", 22),
            ("Sun, 08 Mar 2026 11:00:00 GMT", 20),
            // The day on which they go back has 25 hours.
            ("Sun, 01 Nov 2026 07:00:00 GMT", 25),
        ] {
            let wait = until_pacific_midnight(hints::server_time(Some(now)));
            assert_eq!(wait, Some(Duration::from_secs(hours * 3_600 + 1)), "{now}");
        }
    }
}

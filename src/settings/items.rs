//! The named things, and what all of them share: sources, providers, outlets.

mod outlets;
mod providers;
mod sources;

use std::collections::BTreeSet;
use std::path::PathBuf;

use babelfeed_actors::domain::DayReset;
use babelfeed_actors::setup::LaneLimits;
use config::Value;

use crate::atproto::Account;
use crate::settings::reader::{Section, amount, choice, shown, some_text, text, whole};

pub(in crate::settings) use outlets::read_outlets;
pub use outlets::{OutletKind, OutletSettings, Visibility};
pub(in crate::settings) use providers::read_providers;
pub use providers::{ProviderKind, ProviderSettings};
pub use sources::{FeedPlace, SourceKind, SourceSettings};
pub(in crate::settings) use sources::{read_sources, without_scheme};

const DAYS: [(&str, DayReset); 3] = [
    ("rolling", DayReset::Rolling),
    ("utc", DayReset::Utc),
    ("pacific", DayReset::Pacific),
];

/// The limits of a lane; 0 is the same as left out. `day` is when a day's quota of this kind
/// is there again, where the settings do not say it.
fn read_limits(section: &Section<'_>, day: DayReset) -> LaneLimits {
    let limits = section.section(
        "limits",
        &[
            "rps",
            "rpm",
            "rpd",
            "tps",
            "tpm",
            "itpm",
            "otpm",
            "tpd",
            "concurrency",
            "usd_per_day",
            "usd_per_month",
            "day_resets",
        ],
    );
    let limit = |key| limits.optional(key, amount).filter(|limit| *limit > 0.0);
    LaneLimits {
        rps: limit("rps"),
        rpm: limit("rpm"),
        rpd: limit("rpd"),
        tps: limit("tps"),
        tpm: limit("tpm"),
        itpm: limit("itpm"),
        otpm: limit("otpm"),
        tpd: limit("tpd"),
        day: limits.optional("day_resets", choice(&DAYS)).unwrap_or(day),
        concurrency: limits
            .optional("concurrency", whole(0))
            .filter(|limit| *limit > 0)
            .map(|limit| limit as usize),
        usd_per_day: limit("usd_per_day"),
        usd_per_month: limit("usd_per_month"),
    }
}

fn required_path(section: &Section<'_>) -> Option<PathBuf> {
    section.required("path", "\"data/out/es.jsonl\"", some_text)?;
    section.path_at("path")
}

/// An account of Bluesky, with or without the `@` that people write before a handle.
fn bluesky_account(value: &Value) -> Result<Account, String> {
    let name = text(value)?;
    Account::parse(name.strip_prefix('@').unwrap_or(&name)).ok_or_else(|| {
        format!("`{name}` is no account, expected a handle like `news.example.org`, or a `did:`")
    })
}

fn read_name(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<String> {
    let name = section.required("name", "\"news\"", |value| {
        let name = some_text(value)?;
        let is_word = name.len() <= 64
            && !name
                .chars()
                .any(|it| it.is_whitespace() || it.is_control() || matches!(it, '"' | '=' | '/'));
        if is_word {
            Ok(name)
        } else {
            Err(format!(
                "{} is no name, expected one word of at most 64 bytes, without quotes, `=` and `/`",
                shown(value)
            ))
        }
    })?;
    if !names.insert(name.clone()) {
        section.mistake(
            "name",
            "is the name of an earlier one, expected another".to_owned(),
        );
    }
    Some(name)
}

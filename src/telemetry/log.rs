//! The log: one line a record on standard error, as text for people or as JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::SystemTime;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Env, Target};
use log::kv::{self, Key, Value, VisitSource};
use log::{Record, error};

use crate::settings::LogFormat;

/// The target of the lines that programs read as they stand.
pub const METRICS: &str = "metrics";

/// What is logged where RUST_LOG says nothing; servers tell much of their threads at info.
const DEFAULT_FILTER: &str = "info,actix_server=warn";

/// Begins to log; RUST_LOG chooses what, and without it everything of ours from info on.
///
/// Doing it again changes nothing. Panics are logged too.
pub fn install(format: LogFormat) {
    let mut builder = Builder::from_env(Env::default().default_filter_or(DEFAULT_FILTER));
    builder.target(Target::Stderr);
    match format {
        LogFormat::Text => builder.format(|to, record| write_line(to, &text_line(record))),
        LogFormat::Json => builder.format(|to, record| write_line(to, &json_line(record))),
    };
    // An error means that somebody has begun before.
    if builder.try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let payload = panic.payload();
            let cause = payload
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            error!(
                place = place.unwrap_or_default(),
                cause = cause.unwrap_or("unknown");
                "panicked"
            );
        }));
    }
}

fn write_line(to: &mut Formatter, line: &str) -> io::Result<()> {
    writeln!(to, "{line}")
}

/// `2026-11-21T12:05:00.123Z WARN poll failed source=news`; metrics stand without time and level.
fn text_line(record: &Record<'_>) -> String {
    let mut line = if record.target() == METRICS {
        String::new()
    } else {
        format!("{} {} ", now(), record.level())
    };
    push_plain(&mut line, &record.args().to_string());
    visit(record, |key, value| {
        let value = value.to_string();
        line.push(' ');
        line.push_str(key);
        line.push('=');
        let is_word = !value.is_empty()
            && !value
                .chars()
                .any(|it| it.is_whitespace() || it.is_control() || it == '"');
        if is_word {
            line.push_str(&value);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(line, "{value:?}");
        }
    });
    line
}

/// Without line breaks, which would make a second record of it.
fn push_plain(line: &mut String, text: &str) {
    line.extend(
        text.chars()
            .map(|it| if it.is_control() { ' ' } else { it }),
    );
}

/// `{"at":…,"level":…,"target":…,"message":…}` with the record's keys behind.
fn json_line(record: &Record<'_>) -> String {
    let mut object = serde_json::Map::new();
    object.insert("at".into(), now().into());
    object.insert("level".into(), record.level().as_str().into());
    object.insert("target".into(), record.target().into());
    object.insert("message".into(), record.args().to_string().into());
    visit(record, |key, value| {
        object.insert(key.to_owned(), json(&value));
    });
    serde_json::Value::Object(object).to_string()
}

fn json(value: &Value<'_>) -> serde_json::Value {
    if let Some(truth) = value.to_bool() {
        truth.into()
    } else if let Some(number) = value.to_u64() {
        number.into()
    } else if let Some(number) = value.to_i64() {
        number.into()
    } else if let Some(number) = value.to_f64() {
        number.into()
    } else {
        value.to_string().into()
    }
}

fn now() -> String {
    chrono::DateTime::<chrono::Utc>::from(SystemTime::now())
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn visit<'k>(record: &'k Record<'_>, each: impl FnMut(&str, Value<'k>)) {
    struct Each<F>(F);
    impl<'k, F: FnMut(&str, Value<'k>)> VisitSource<'k> for Each<F> {
        fn visit_pair(&mut self, key: Key<'k>, value: Value<'k>) -> Result<(), kv::Error> {
            (self.0)(key.as_str(), value);
            Ok(())
        }
    }
    // The visitor never answers with an error.
    let _ = record.key_values().visit(&mut Each(each));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &str, format: fn(&Record<'_>) -> String) -> String {
        let pairs: [(&str, Value<'_>); 3] = [
            ("source", "news".into()),
            ("calls", 3.into()),
            ("cause", "no\nanswer".into()),
        ];
        let record = Record::builder()
            .args(format_args!("poll failed"))
            .level(log::Level::Warn)
            .target(target)
            .key_values(&pairs)
            .build();
        format(&record)
    }

    #[test]
    fn a_text_line_ends_with_its_keys_and_breaks_nowhere() {
        let line = line("babelfeed", text_line);
        assert!(
            line.ends_with("Z WARN poll failed source=news calls=3 cause=\"no\\nanswer\""),
            "{line}"
        );
    }

    #[test]
    fn a_metrics_line_stands_alone() {
        assert!(line(METRICS, text_line).starts_with("poll failed source=news calls=3"));
    }

    #[test]
    fn a_json_line_keeps_numbers() {
        let object: serde_json::Value =
            serde_json::from_str(&line("babelfeed", json_line)).expect("JSON");
        assert_eq!(object["message"], "poll failed");
        assert_eq!(object["calls"], 3);
        assert_eq!(object["cause"], "no\nanswer");
        assert_eq!(object["level"], "WARN");
    }
}

//! `watch`: events as they happen.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::options::Exit;
use super::say;
use crate::control::wire::Happened;

/// Shows events until the service stops.
pub(super) fn watch(client: &Client, json: bool) -> anyhow::Result<Exit> {
    let mut events = client.follow("/v1/events")?;
    let mut name = String::new();
    while let Some(line) = events.line()? {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event.to_owned();
        } else if let Some(text) = line.strip_prefix("data: ") {
            if name == "lagged" {
                bail!("events came faster than they were read, so some are missing: {text}");
            }
            say(shown(&name, text, json)?)?;
        }
    }
    Ok(Exit::Done)
}

fn shown(name: &str, text: &str, json: bool) -> anyhow::Result<String> {
    let unexpected = "the service told an event that is not known here";
    if json {
        let mut event: Value = serde_json::from_str(text).context(unexpected)?;
        event["event"] = json!(name);
        return Ok(event.to_string());
    }
    let event: Happened = serde_json::from_str(text).context(unexpected)?;
    let why = event.why.as_deref().unwrap_or_default();
    let line = format!("{} {name} {} {} {why}", event.at, event.id, event.state);
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let text = r#"{"id":"7","state":"Failed","at":"now","why":"expired"}"#;
        let line = shown("task", text, false).expect("an event");
        assert_eq!(line, "now task 7 Failed expired");
        let line = shown("task", text, true).expect("an event");
        assert!(line.contains(r#""event":"task""#), "{line}");
    }
}

//! The commands that have something done once: translations at once, orders, decisions.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::client::Client;
use super::ids::{Kind, kind};
use super::options::{Exit, ExitError};
use super::{say, say_json};
use crate::control::wire::{Held, Publication, Request, Task, Translations};

/// `translate`
pub(super) fn translate(
    client: &Client,
    text: &str,
    to: &str,
    from: Option<&str>,
    json: bool,
) -> anyhow::Result<Exit> {
    let body = json!({ "texts": [text], "target": to, "source": from });
    let answer: Translations = client.post("/v1/translate", &body)?;
    if json {
        say_json(&answer)?;
        return Ok(Exit::Done);
    }
    let translation = answer
        .translations
        .first()
        .context("the service answered no translation")?;
    say(&translation.text)?;
    Ok(Exit::Done)
}

/// `pause`, `poll`, `drain`, `reload`, `stop`
pub(super) fn order(
    client: &Client,
    order: &str,
    name: Option<&str>,
    json: bool,
) -> anyhow::Result<Exit> {
    give(client, order, &json!({ "name": name }), json)
}

/// `resume`
pub(super) fn resume(
    client: &Client,
    name: Option<&str>,
    replay: bool,
    json: bool,
) -> anyhow::Result<Exit> {
    let body = json!({ "name": name, "replay": replay });
    give(client, "resume", &body, json)
}

fn give(client: &Client, order: &str, body: &Value, json: bool) -> anyhow::Result<Exit> {
    let done: Value = client.post(&format!("/v1/control/{order}"), body)?;
    if json {
        say_json(&done)?;
        return Ok(Exit::Done);
    }
    let also = done["also"].as_array().into_iter().flatten();
    for provider in also.filter_map(Value::as_str) {
        say(format!(
            "{order} also means {provider}, which shares its limits"
        ))?;
    }
    Ok(Exit::Done)
}

/// `cancel`
pub(super) fn cancel(client: &Client, id: &str, json: bool) -> anyhow::Result<Exit> {
    let open = |task: &Task| !matches!(task.state.as_str(), "Completed" | "Failed");
    match kind(id)? {
        Kind::Task => change(client, "cancel", id, json),
        Kind::Request => change_all(client, "cancel", id, json, open),
        Kind::Publication => Err(ExitError::usage(format!(
            "`{id}` is a publication, expected a task or a request; `reject` refuses a publication"
        ))
        .into()),
    }
}

/// `retry`
pub(super) fn retry(client: &Client, id: &str, json: bool) -> anyhow::Result<Exit> {
    let failed = |task: &Task| task.state == "Failed";
    match kind(id)? {
        Kind::Task => change(client, "retry", id, json),
        Kind::Request => change_all(client, "retry", id, json, failed),
        Kind::Publication => decide(client, "retry", id, &json!({}), json),
    }
}

fn change(client: &Client, order: &str, id: &str, json: bool) -> anyhow::Result<Exit> {
    let task: Task = client.post(&format!("/v1/tasks/{id}/{order}"), &json!({}))?;
    match json {
        true => say_json(&task)?,
        false => say(format_args!("{} {} {}", task.id, task.target, task.state))?,
    }
    Ok(Exit::Done)
}

fn change_all(
    client: &Client,
    order: &str,
    id: &str,
    json: bool,
    is_meant: impl Fn(&Task) -> bool,
) -> anyhow::Result<Exit> {
    let request: Request = client.get(&format!("/v1/requests/{id}"))?;
    let meant: Vec<&Task> = request.tasks.iter().filter(|task| is_meant(task)).collect();
    if meant.is_empty() {
        anyhow::bail!("no task of the request stands where `{order}` could change it");
    }
    for task in meant {
        change(client, order, &task.id, json)?;
    }
    Ok(Exit::Done)
}

/// `review`
pub(super) fn review(client: &Client, json: bool) -> anyhow::Result<Exit> {
    let held: Held = client.get("/v1/review")?;
    if json {
        say_json(&held)?;
        return Ok(Exit::Done);
    }
    for publication in &held.publications {
        let (id, outlet, language) = (&publication.id, &publication.outlet, &publication.language);
        let (state, at) = (&publication.state, &publication.at);
        let why = publication.why.as_deref();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        say(format_args!(
            "{id} {outlet} {language} {state} since {at}{why}"
        ))?;
        let indented = |sign: char, text: &str| {
            let lines = text.lines().map(|line| format!("  {sign} {line}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        if let Some(original) = &publication.original {
            say(indented('<', original))?;
        }
        for part in &publication.parts {
            say(indented('>', &part.text))?;
        }
    }
    Ok(Exit::Done)
}

/// `approve`
pub(super) fn approve(
    client: &Client,
    id: &str,
    text: Option<&str>,
    json: bool,
) -> anyhow::Result<Exit> {
    decide(client, "approve", id, &json!({ "text": text }), json)
}

/// `reject`
pub(super) fn reject(client: &Client, id: &str, json: bool) -> anyhow::Result<Exit> {
    decide(client, "reject", id, &json!({}), json)
}

fn decide(
    client: &Client,
    order: &str,
    id: &str,
    body: &Value,
    json: bool,
) -> anyhow::Result<Exit> {
    if kind(id)? != Kind::Publication {
        let message = format!("`{id}` is not a publication, expected an id that `review` shows");
        return Err(ExitError::usage(message).into());
    }
    let path = format!("/v1/publications/{id}/{order}");
    let publication: Publication = client.post(&path, body)?;
    match json {
        true => say_json(&publication)?,
        false => say(format_args!(
            "{} {} {}",
            publication.id, publication.outlet, publication.state
        ))?,
    }
    Ok(Exit::Done)
}

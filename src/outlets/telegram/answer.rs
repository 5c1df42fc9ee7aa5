//! What an answer of Telegram's Bot API means.

use std::time::Duration;

use babelfeed_actors::ports::{OutletError, Published};
use serde::de::DeserializeOwned;

use super::wire::{Answer, Appearance, Sent, SentMessage};
use crate::http::Response;
use crate::outlets::exchange::{self, Exchange};

/// What Telegram says where the bot may not write, in lower case; a person can change that.
const NO_RIGHTS: [&str; 7] = [
    "chat not found",
    "not enough rights",
    "have no rights",
    "administrator rights",
    "chat_write_forbidden",
    "message thread not found",
    "user is deactivated",
];

/// A call that did not do what was wanted.
pub(super) enum Failure {
    /// The group has another number from now on.
    Moved(i64),
    /// Anything else.
    Other(OutletError),
}

/// What the answer to a call means.
pub(super) fn of<T: DeserializeOwned>(
    response: &Response,
    exchange: &Exchange,
) -> Result<T, Failure> {
    let Ok(answer) = serde_json::from_slice::<Answer<T>>(&response.body) else {
        return Err(Failure::Other(unreadable(response, exchange)));
    };
    if response.is_success()
        && let Some(result) = answer.result.filter(|_| answer.ok)
    {
        return Ok(result);
    }
    if let Some(chat) = answer.parameters.migrate_to_chat_id {
        return Err(Failure::Moved(chat));
    }
    let detail = exchange.said(response, Some(&answer.description));
    let said = answer.description.to_lowercase();
    Err(Failure::Other(match response.status {
        200..=299 => OutletError::Ambiguous { detail },
        400 if NO_RIGHTS.iter().any(|it| said.contains(it)) => OutletError::Auth { detail },
        429 => match answer.parameters.retry_after {
            Some(seconds) => OutletError::Busy {
                wait: Some(exchange::longer(Duration::from_secs(seconds))),
                detail,
            },
            None => exchange::by_status(response, detail),
        },
        _ => exchange::by_status(response, detail),
    }))
}

/// What an answer means that is not Telegram's: a proxy's page, or half of an answer.
fn unreadable(response: &Response, exchange: &Exchange) -> OutletError {
    let detail = exchange.said(response, None);
    match response.status {
        200..=299 => OutletError::Ambiguous { detail },
        // Telegram words its refusals, so this is none of a message.
        400 | 405 | 413 | 415 | 422 => OutletError::Unreachable { detail },
        _ => exchange::by_status(response, detail),
    }
}

/// The proof that a message that looks so is out; several are out together.
pub(super) fn published(sent: Sent, look: Appearance) -> Option<Published> {
    let messages = match sent {
        Sent::One(message) => vec![message],
        Sent::Several(messages) => messages,
    };
    let numbers: Vec<String> = messages
        .iter()
        .map(|message| message.message_id.to_string())
        .collect();
    let chat = messages.first()?.chat.id;
    Some(Published {
        id: format!("{}{chat}/{}", look.prefix(), numbers.join(",")).into(),
        url: address(messages.first()?).map(Into::into),
    })
}

/// Where people read a message; a group without a name shows it to its members.
fn address(message: &SentMessage) -> Option<String> {
    let (chat, number) = (&message.chat, message.message_id);
    if let Some(name) = &chat.username {
        return Some(format!("https://t.me/{name}/{number}"));
    }
    let chat = chat.id.to_string();
    let inner = chat.strip_prefix("-100")?;
    Some(format!("https://t.me/c/{inner}/{number}"))
}

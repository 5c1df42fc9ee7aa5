//! What outlets to chats and programs must be told: Telegram, Discord, Slack, webhooks.

use super::items::OutletKind;
use super::reader::{Section, address, flag, some_text, whole};
use crate::secret::Secret;

/// Where Telegram's bots are heard.
const TELEGRAM: &str = "https://api.telegram.org";

/// Reads what a Telegram outlet is told.
pub(super) fn read_telegram(section: &Section<'_>) -> Option<OutletKind> {
    let base_url = section.read("base_url", TELEGRAM.to_owned(), address);
    let token = section.required_secret("token_env", "\"TELEGRAM_TOKEN\"");
    let chat = section.required("chat", "\"@channel\"", some_text);
    let topic = section.optional("topic", whole(1));
    let preview = section.read("preview", true, flag);
    let chat = chat?;
    let is_name = chat.len() > 1 && chat.starts_with('@');
    if !is_name && chat.parse::<i64>().is_err() {
        section.mistake(
            "chat",
            "is no chat, expected \"@channel\" or a number like \"-1001234567890\"".to_owned(),
        );
        return None;
    }
    Some(OutletKind::Telegram {
        base_url: base_url.trim_end_matches('/').to_owned(),
        token: token?,
        chat,
        topic,
        preview,
    })
}

/// Reads what a Discord outlet is told.
pub(super) fn read_discord(section: &Section<'_>) -> Option<OutletKind> {
    read_url(section, "\"DISCORD_WEBHOOK\"").map(|url| OutletKind::Discord { url })
}

/// Reads what a Slack outlet is told.
pub(super) fn read_slack(section: &Section<'_>) -> Option<OutletKind> {
    read_url(section, "\"SLACK_WEBHOOK\"").map(|url| OutletKind::Slack { url })
}

/// Reads what a webhook outlet is told.
pub(super) fn read_webhook(section: &Section<'_>) -> Option<OutletKind> {
    let url = match (section.has("url"), section.has("url_env")) {
        (true, true) => {
            section.mistake(
                "url",
                "stands beside `url_env`, expected one of them".to_owned(),
            );
            None
        }
        (true, false) => section.optional("url", address).map(|it| Secret::new(&it)),
        _ => read_url(section, "\"WEBHOOK_URL\" (or `url`)"),
    };
    let secret = section.secret_in_variable("secret_env");
    let drops_repeats = section.read("drops_repeats", false, flag);
    Some(OutletKind::Webhook {
        url: url?,
        secret,
        drops_repeats,
    })
}

/// An address in a variable, which is a credential.
fn read_url(section: &Section<'_>, example: &str) -> Option<Secret> {
    let url = section.required_secret("url_env", example)?;
    let is_address = url::Url::parse(url.expose())
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_address {
        section.mistake(
            "url_env",
            "names a variable that holds no address, expected one like \"https://example.org/…\""
                .to_owned(),
        );
    }
    is_address.then_some(url)
}

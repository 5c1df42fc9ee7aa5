//! Finding a part that may be out among the account's own statuses.

use std::collections::HashSet;
use std::time::Duration;

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{Frozen, OutletError, Published};

use super::wire::{NewStatus, Status};
use super::{MastodonOutlet, answer};
use crate::html::{Links, to_text, without_quote};
use crate::http::clock::ServerClock;
use crate::outlets::part;

/// The most pages of statuses that are read.
const MAX_PAGES: usize = 25;
/// The statuses of a page.
const PAGE: usize = 40;
/// The most statuses of a list without pages that is taken for whole; snac2 shows 256.
const MAX_WHOLE: usize = 200;
/// How much earlier than its freezing a status may seem to be.
const SLACK: Duration = Duration::from_secs(5);
/// The same where the server does not show its clock.
const SLACK_WITHOUT_CLOCK: Duration = Duration::from_secs(120);

/// Looks for the part among what was posted since it was frozen, the newest first.
///
/// # Errors
/// When it cannot be told, because the server does not answer or there is too much to read.
pub(super) async fn find(
    outlet: &MastodonOutlet,
    part: &Frozen,
) -> Result<Option<Published>, OutletError> {
    let wanted: NewStatus = part::thawed(part)?;
    let account = &outlet.account().await?.id;
    let since = Timestamp::from_millis(i64::try_from(part.mark).unwrap_or(i64::MAX));
    let mut seen = HashSet::new();
    let mut before = String::new();
    for _ in 0..MAX_PAGES {
        let path = format!(
            "/api/v1/accounts/{account}/statuses?limit={PAGE}&exclude_reblogs=true{before}"
        );
        let response = outlet.get(&path).await?;
        let page: Vec<Status> = answer::of_get(&response, &outlet.exchange)?;
        let Some(oldest) = page.last() else {
            return Ok(None);
        };
        let has_reached_mark = page
            .iter()
            .any(|status| Timestamp::parse(&status.created_at).is_some_and(|at| at < since));
        before = format!("&max_id={}", oldest.id);
        let is_short = page.len() < PAGE || (PAGE + 1..=MAX_WHOLE).contains(&page.len());
        let mut has_news = false;
        for status in page {
            let is_later = Timestamp::parse(&status.created_at).is_none_or(|at| at >= since);
            let is_ours = is_later
                && is_same(&status, &wanted)
                && !outlet.known.is_anothers(&status.id, &part.key);
            if is_ours {
                let published = answer::published(status);
                outlet.known.note(&published.id, &part.key);
                return Ok(Some(published));
            }
            has_news |= seen.insert(status.id);
        }
        if has_reached_mark {
            return Ok(None);
        }
        if !has_news && is_short {
            // The same again, and less or more than a page: it is all there is, on a server that
            // has no pages of an account.
            return Ok(None);
        }
        if !has_news {
            break;
        }
    }
    Err(OutletError::Ambiguous {
        detail: "the account's statuses could not be read back to when this part was sent".into(),
    })
}

/// The earliest time, by the server's clock, at which a part that is frozen now can be posted, in
/// milliseconds since 1970. Our own clock has no part in it where the server shows its: it may be
/// set between this and the day when the part is looked for.
pub(super) fn mark(clock: &ServerClock) -> u64 {
    let slack = match clock.is_shown() {
        true => SLACK,
        false => SLACK_WITHOUT_CLOCK,
    };
    let slack = u64::try_from(slack.as_millis()).unwrap_or(u64::MAX);
    part::mark(clock.now()).saturating_sub(slack)
}

fn is_same(status: &Status, wanted: &NewStatus) -> bool {
    let warning = wanted.spoiler_text.as_deref().unwrap_or_default();
    let text = normal(&wanted.status);
    let is_text = |shown: &String| normal(shown) == text;
    // A server may post on its own what answers a status that is gone.
    let is_reply = |id: &String| wanted.in_reply_to_id.as_ref() == Some(id);
    // Without words only the media tell it from others.
    let n_media = status.media_attachments.len();
    if text.is_empty() && n_media != wanted.media_ids.len() {
        return false;
    }
    status.in_reply_to_id.as_ref().is_none_or(is_reply)
        && normal(&to_text(&status.spoiler_text, Links::Shown)) == normal(warning)
        && (is_text(&to_text(&without_quote(&status.content), Links::Shown))
            || status.text.as_ref().is_some_and(is_text))
}

/// A text without what servers change in it: white space, schemes, the hosts of mentions.
pub(super) fn normal(text: &str) -> String {
    text.split_whitespace()
        .map(|word| {
            let word = word.replace("https://", "").replace("http://", "");
            let word = word.strip_suffix('/').unwrap_or(&word).to_owned();
            without_host(&word)
        })
        .collect()
}

/// `@user@host` as `@user`, with what follows the host kept.
fn without_host(word: &str) -> String {
    let Some(start) = word.find('@') else {
        return word.to_owned();
    };
    let (head, mention) = word.split_at(start);
    let Some((user, host)) = mention[1..].split_once('@') else {
        return word.to_owned();
    };
    let end = host
        .find(|char: char| !(char.is_ascii_alphanumeric() || "-.".contains(char)))
        .unwrap_or(host.len());
    let end = host[..end].trim_end_matches(['.', '-']).len();
    if user.is_empty() || end == 0 {
        return word.to_owned();
    }
    format!("{head}@{user}{}", &host[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &str) -> String {
        normal(&to_text(content, Links::Shown))
    }

    #[test]
    fn what_a_server_makes_of_a_text_is_known_again() {
        let sent = "Hola @ana@social.example, mira:\n\nhttps://example.org/un/camino/muy/largo/ #tag & <b>";
        let content = "<p>Hola <span class=\"h-card\"><a href=\"https://social.example/@ana\" class=\"u-url mention\">@<span>ana</span></a></span>, mira:</p><p><a href=\"https://example.org/un/camino/muy/largo/\" rel=\"nofollow\"><span class=\"invisible\">https://</span><span class=\"ellipsis\">example.org/un/camino</span><span class=\"invisible\">/muy/largo/</span></a> <a href=\"https://m.example/tags/tag\" class=\"mention hashtag\">#<span>tag</span></a> &amp; &lt;b&gt;</p>";
        assert_eq!(shown(content), normal(sent));
    }

    #[test]
    fn another_text_is_not_taken_for_it() {
        assert_ne!(shown("<p>Hola mundo</p>"), normal("Hola, mundo"));
    }
}

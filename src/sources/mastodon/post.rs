//! What a status says as a post.

use std::time::Duration;

use babelfeed_actors::domain::{Audience, Language, Media, Poll, Post, Relation, Timestamp};
use babelfeed_actors::logic::filter::asks_to_be_left_alone;

use super::MastodonConfig;
use super::wire::{self, Account, Mention, Status};
use crate::html::{Links, to_text, to_text_with, without_quote};

/// The most attachments of one post.
const MAX_MEDIA: usize = 16;

/// Reads the statuses of an account.
pub(super) struct Reader<'a> {
    pub(super) config: &'a MastodonConfig,
    pub(super) account: &'a Account,
}

impl Reader<'_> {
    /// The post of a status; none if it is not the account's.
    pub(super) fn post(&self, status: &Status) -> Option<Post> {
        if !status.account.id.is_empty() && status.account.id != self.account.id {
            return None;
        }
        // What is shown again has all its words in the status that it shows.
        let shown = status.reblog.as_deref().unwrap_or(status);
        let created_at = status.created_at.as_deref().and_then(Timestamp::parse);
        let quoted = shown.quote.as_ref().and_then(quoted_address);
        let quoted_status = shown
            .quote
            .as_ref()
            .and_then(|it| it.quoted_status.as_ref());
        let quoted_post = quoted_status.map(|it| it.id.clone());
        let is_own_thread = status.in_reply_to_account_id.as_ref() == Some(&self.account.id);
        Some(Post {
            language: self.language(shown),
            url: shown.address().map(str::to_owned),
            media: media(shown),
            warning: warning(shown),
            is_sensitive: shown.sensitive,
            poll: shown.poll.as_ref().map(|it| poll(it, shown)),
            parent: status.in_reply_to_id.clone().filter(|_| is_own_thread),
            relation: relation(status, is_own_thread, quoted.is_some()),
            quoted,
            quoted_post: quoted_post.filter(|id| !id.is_empty()),
            author: Some(format!("@{}", self.full_name(&shown.account.acct))),
            has_opted_out: has_opted_out(&shown.account),
            audience: audience(status.visibility.as_deref()),
            created_at,
            ..Post::new(
                self.config.name.clone(),
                status.id.as_str(),
                self.text(shown),
            )
        })
    }

    fn text(&self, status: &Status) -> String {
        let html = without_quote(status.content.as_deref().unwrap_or_default());
        let name = |address: &str, shown: &str| {
            let mention = mention(&status.mentions, address, shown)?;
            Some(format!("@{}", self.full_name(&mention.acct)))
        };
        to_text_with(&html, Links::Shown, &name)
    }

    /// An account's name with its host.
    fn full_name(&self, acct: &str) -> String {
        if acct.contains('@') {
            return acct.to_owned();
        }
        let host = self.config.base_url.host().unwrap_or_default();
        format!("{acct}@{host}")
    }

    fn language(&self, status: &Status) -> Option<Language> {
        let own = status.language.as_deref().and_then(|tag| tag.parse().ok());
        own.or_else(|| self.config.language.clone())
    }
}

fn relation(status: &Status, is_own_thread: bool, quotes: bool) -> Relation {
    if status.reblog.is_some() {
        Relation::Repost
    } else if status.in_reply_to_id.is_some() && !is_own_thread {
        Relation::Reply
    } else if quotes || status.quote.is_some() {
        Relation::Quote
    } else {
        Relation::Own
    }
}

/// Who may read it; what is not known is taken for the fewest that follow.
fn audience(visibility: Option<&str>) -> Audience {
    match visibility {
        None | Some("public") => Audience::Public,
        Some("unlisted") => Audience::Unlisted,
        Some("direct") => Audience::Direct,
        Some(_) => Audience::Followers,
    }
}

fn warning(status: &Status) -> Option<String> {
    let warning = to_text(status.spoiler_text.as_deref()?, Links::Shown);
    (!warning.is_empty()).then_some(warning)
}

fn media(status: &Status) -> Vec<Media> {
    let attached = status.media_attachments.iter().take(MAX_MEDIA);
    attached
        .filter_map(|medium| {
            Some(Media {
                url: medium.url.clone().or_else(|| medium.remote_url.clone())?,
                mime: None,
                alt: medium
                    .description
                    .clone()
                    .filter(|it| !it.trim().is_empty()),
            })
        })
        .collect()
}

fn poll(poll: &wire::Poll, status: &Status) -> Poll {
    let time = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
    let lasts = match (time(&status.created_at), time(&poll.expires_at)) {
        (Some(begin), Some(end)) => Some(end.since(begin)).filter(|it| *it > Duration::ZERO),
        _ => None,
    };
    Poll {
        options: poll.options.iter().map(|it| it.title.clone()).collect(),
        is_multiple: poll.multiple,
        lasts,
    }
}

fn quoted_address(quote: &wire::Quote) -> Option<String> {
    quote.quoted_status.as_ref()?.address().map(str::to_owned)
}

/// Whom a link names: its address is the account's, or else its text the account's name.
fn mention<'a>(mentions: &'a [Mention], address: &str, shown: &str) -> Option<&'a Mention> {
    let by_address = mentions
        .iter()
        .find(|it| it.url.as_deref() == Some(address));
    let user = shown.strip_prefix('@')?;
    by_address.or_else(|| mentions.iter().find(|it| it.username == user))
}

/// Whether an author's profile asks that its posts be carried nowhere.
fn has_opted_out(account: &Account) -> bool {
    let note = account.note.as_deref().unwrap_or_default();
    // Few say it, and only for them is it worth to read HTML.
    note.contains('#') && asks_to_be_left_alone(&to_text(note, Links::Shown))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::HttpConfig;

    fn read(status: serde_json::Value) -> Post {
        let config = MastodonConfig {
            name: "ana".into(),
            base_url: "https://social.example".parse().expect("an address"),
            account: "ana".into(),
            token: None,
            language: Some("en".parse().expect("a tag")),
            backfill: None,
            streams: false,
            http: HttpConfig::default(),
            timeout: Duration::from_secs(1),
        };
        let account = Account {
            id: "7".into(),
            acct: "ana".into(),
            note: None,
        };
        let reader = Reader {
            config: &config,
            account: &account,
        };
        let status: Status = serde_json::from_value(status).expect("a status");
        reader.post(&status).expect("the account's")
    }

    #[test]
    fn html_becomes_text_with_whole_mentions_and_addresses() {
        let content = r#"<p>Hi <span class="h-card"><a href="https://b.example/@bob" class="u-url mention">@<span>bob</span></a></span> and <span class="h-card"><a href="https://social.example/@eve" class="u-url mention">@<span>eve</span></a></span> :blob:<br />see <a href="https://example.org/a/long/way"><span class="invisible">https://</span><span class="ellipsis">example.org/a/lo</span><span class="invisible">ng/way</span></a> <a href="https://social.example/tags/x" class="mention hashtag">#<span>x</span></a></p>"#;
        let post = read(json!({
            "id": "1", "content": content, "language": "fr",
            "mentions": [
                {"username": "bob", "acct": "bob@b.example", "url": "https://b.example/@bob"},
                {"username": "eve", "acct": "eve", "url": "https://social.example/users/eve"},
            ],
        }));
        assert_eq!(
            post.text,
            "Hi @bob@b.example and @eve@social.example :blob:\nsee https://example.org/a/long/way #x"
        );
        assert_eq!(
            post.language.map(|it| it.to_string()).as_deref(),
            Some("fr")
        );
        assert_eq!(post.relation, Relation::Own);
    }

    #[test]
    fn a_link_that_is_struck_out_is_a_link() {
        let content = r#"<p><del>see <a href="https://example.org/a/long/way"><span class="invisible">https://</span><span class="ellipsis">example.org/a/lo</span><span class="invisible">ng/way</span></a> <a href="https://social.example/tags/x" class="mention hashtag">#<span>x</span></a></del></p>"#;
        let post = read(json!({"id": "1", "content": content}));
        assert_eq!(post.text, "see https://example.org/a/long/way #x");
    }

    #[test]
    fn answers_to_oneself_are_a_thread_and_those_to_others_are_replies() {
        let own = read(json!({"id": "2", "in_reply_to_id": "1", "in_reply_to_account_id": "7"}));
        assert_eq!(
            (own.parent.as_deref(), own.relation),
            (Some("1"), Relation::Own)
        );
        let other = read(json!({"id": "2", "in_reply_to_id": "1", "in_reply_to_account_id": "8"}));
        assert_eq!((other.parent, other.relation), (None, Relation::Reply));
    }

    #[test]
    fn who_asks_for_it_in_the_profile_is_left_alone() {
        let of = |note: &str| {
            let post = read(json!({
                "id": "3", "content": "", "reblog": {
                    "id": "9", "content": "<p>other</p>", "url": "https://b.example/9",
                    "account": {"id": "8", "acct": "bob@b.example", "note": note},
                },
            }));
            post.has_opted_out
        };
        let tag = r#"<p>Boats. <a href="https://b.example/tags/nobot" class="mention hashtag" rel="tag">#<span>NoBot</span></a></p>"#;
        assert!(of(tag));
        assert!(!of("<p>I like #nobotany</p>"));
        assert!(!of(""));
    }

    #[test]
    fn a_boost_is_a_repost_with_the_words_of_the_other() {
        let post = read(json!({
            "id": "3", "content": "", "reblog": {
                "id": "9", "content": "<p>other</p>", "url": "https://b.example/9",
                "language": "de", "account": {"id": "8", "acct": "bob@b.example"},
            },
        }));
        assert_eq!((post.id.as_str(), post.text.as_str()), ("3", "other"));
        assert_eq!(post.relation, Relation::Repost);
        assert_eq!(post.url.as_deref(), Some("https://b.example/9"));
        assert_eq!(post.author.as_deref(), Some("@bob@b.example"));
    }

    #[test]
    fn a_quote_is_told_by_its_address_and_not_in_the_text() {
        let post = read(json!({
            "id": "4",
            "content": r#"<p class="quote-inline">RE: <a href="https://b.example/9">https://b.example/9</a></p><p>so true</p>"#,
            "quote": {"state": "accepted", "quoted_status": {"id": "9", "url": "https://b.example/9"}},
        }));
        assert_eq!(post.text, "so true");
        assert_eq!(post.relation, Relation::Quote);
        assert_eq!(post.quoted.as_deref(), Some("https://b.example/9"));
        assert_eq!(post.quoted_post.as_deref(), Some("9"));
    }

    #[test]
    fn a_paragraph_that_only_names_the_class_of_quotes_is_kept() {
        let content = "<p>the class quote-inline hides</p><p>this</p>";
        let post = read(json!({"id": "4", "content": content}));
        assert_eq!(post.text, "the class quote-inline hides\n\nthis");
    }

    #[test]
    fn warning_media_and_poll_are_kept() {
        let post = read(json!({
            "id": "5", "content": "<p>which?</p>", "spoiler_text": "loud & long", "sensitive": true,
            "visibility": "unlisted", "created_at": "2026-11-21T12:00:00.000Z",
            "media_attachments": [
                {"id": "1", "url": "https://files.example/a.png", "description": "a cat"},
                {"id": "2", "url": null, "remote_url": "https://b.example/b.png", "description": ""},
            ],
            "poll": {
                "expires_at": "2026-11-21T14:00:00.000Z", "multiple": true,
                "options": [{"title": "this"}, {"title": "that"}],
            },
        }));
        assert_eq!(post.warning.as_deref(), Some("loud & long"));
        assert!(post.is_sensitive);
        assert_eq!(post.audience, Audience::Unlisted);
        let alts: Vec<Option<&str>> = post.media.iter().map(|it| it.alt.as_deref()).collect();
        assert_eq!(alts, [Some("a cat"), None]);
        let poll = post.poll.expect("a poll");
        assert_eq!(poll.options, ["this", "that"]);
        assert_eq!(poll.lasts, Some(Duration::from_secs(7_200)));
    }

    #[test]
    fn what_is_not_known_of_visibility_is_not_taken_for_public() {
        assert_eq!(audience(Some("private")), Audience::Followers);
        assert_eq!(audience(Some("mutuals")), Audience::Followers);
        assert_eq!(audience(Some("direct")), Audience::Direct);
    }
}

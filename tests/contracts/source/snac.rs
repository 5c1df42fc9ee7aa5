//! A Mastodon source at a real server that speaks its API, and has no pages: snac2.

use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::sources::mastodon::{MastodonConfig, MastodonSource};
use babelfeed_actors::domain::Relation;
use babelfeed_actors::ports::Source;
use serde_json::json;

use super::{NAME, Stage, follow, keeps_the_contract};
use crate::simulators::files::PNG;
use crate::simulators::snac::{Snac, User};

struct Account {
    source: MastodonSource,
    snac: Snac,
    user: User,
}

impl Account {
    fn new() -> Option<Self> {
        let snac = Snac::start()?;
        let user = snac.add_user("ana");
        let source = MastodonSource::new(MastodonConfig {
            name: NAME.into(),
            base_url: snac.base_url().parse().expect("an address"),
            account: "ana".into(),
            token: None,
            language: None,
            backfill: None,
            streams: false,
            http: HttpConfig::default(),
            timeout: Duration::from_secs(20),
        });
        Some(Self { source, snac, user })
    }

    fn post(&self, status: serde_json::Value) -> String {
        let status = self.snac.post(&self.user, &status);
        status["id"].as_str().expect("an id").to_owned()
    }
}

impl Stage for Account {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn show(&mut self, texts: &[&str]) {
        for text in texts {
            self.post(json!({ "status": text }));
        }
    }
}

#[actix_rt::test]
async fn an_account_on_snac_keeps_the_contract_of_sources() {
    if let Some(account) = Account::new() {
        keeps_the_contract(account).await;
    }
}

#[actix_rt::test]
async fn threads_warnings_and_pictures_are_read_from_snac() {
    let Some(account) = Account::new() else {
        return;
    };
    let picture = account.snac.hand_in(&account.user, PNG, "a cat");
    let first = account.post(json!({"status": "one https://example.org/a?b=1 #tag"}));
    account.post(json!({
        "status": "two", "in_reply_to_id": first, "spoiler_text": "loud", "sensitive": true,
        "media_ids": [picture],
    }));
    let posts = follow(&account.source, &mut None, 500).await;
    let [one, two] = &posts[..] else {
        panic!("{posts:?}");
    };
    assert_eq!(one.text, "one https://example.org/a?b=1 #tag");
    assert_eq!(
        (one.id.as_str(), one.relation),
        (first.as_str(), Relation::Own)
    );
    assert_eq!(
        (two.parent.as_deref(), two.relation),
        (Some(first.as_str()), Relation::Own)
    );
    assert_eq!(
        (two.warning.as_deref(), two.is_sensitive),
        (Some("loud"), true)
    );
    assert_eq!(two.media[0].alt.as_deref(), Some("a cat"));
}

#[actix_rt::test]
async fn an_edit_on_snac_is_shown_under_the_id_that_was_first_seen() {
    let Some(account) = Account::new() else {
        return;
    };
    let first = account.post(json!({"status": "one"}));
    account.post(json!({"status": "two"}));
    let mut cursor = None;
    follow(&account.source, &mut cursor, 500).await;
    let edited = account
        .snac
        .edit(&account.user, &first, &json!({"status": "one, mended"}));
    assert_ne!(edited["id"], first.as_str());
    let posts = follow(&account.source, &mut cursor, 500).await;
    let [post] = &posts[..] else {
        panic!("{posts:?}");
    };
    assert_eq!(
        (post.id.as_str(), post.text.as_str()),
        (first.as_str(), "one, mended")
    );
    assert_eq!(follow(&account.source, &mut cursor, 500).await, []);
}

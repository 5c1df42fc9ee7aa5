//! Bluesky's whole development network, which `scripts/test` runs: accounts, the network's view, a feed.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::client::ask;
use super::pds::{self, Account};
use super::wait::look;

/// How long the view may take until it shows what was written.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network that all tests share.
pub struct Network {
    pds: u16,
    view: u16,
    /// The address of its feed.
    pub feed: String,
    /// What brings a post into the feed, without `#`.
    pub tag: String,
}

impl Network {
    /// The network; none where `BABELFEED_TEST_BLUESKY_NETWORK` names no file that says where it is.
    ///
    /// # Panics
    /// When that file cannot be read.
    pub fn running() -> Option<Self> {
        let Some(file) = std::env::var_os("BABELFEED_TEST_BLUESKY_NETWORK") else {
            println!(
                "skipped, because BABELFEED_TEST_BLUESKY_NETWORK names no network; scripts/test does"
            );
            return None;
        };
        let said = fs::read(file).expect("the file of the network");
        let said: Value = serde_json::from_slice(&said).expect("JSON");
        let port = |name: &str| {
            let port = said[name].as_u64().and_then(|it| it.try_into().ok());
            port.unwrap_or_else(|| panic!("no port of the {name}: {said}"))
        };
        let text = |name: &str| said[name].as_str().expect("a text").to_owned();
        Some(Self {
            pds: port("pds"),
            view: port("view"),
            feed: text("feed"),
            tag: text("tag"),
        })
    }

    /// A new account.
    pub fn add_account(&self) -> Account {
        Account::at(self.pds)
    }

    /// Where the network is read.
    pub fn view_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.view)
    }

    /// What the view answers to a question with its parameters.
    pub fn view(&self, question: &str) -> Value {
        pds::get(self.view, question)
    }

    /// The kind and the bytes of a picture that the view shows.
    pub fn picture(&self, url: &str) -> (String, Vec<u8>) {
        let path = url.strip_prefix(&self.view_url());
        let path = path.unwrap_or_else(|| panic!("{url} is elsewhere"));
        let answer = ask(self.view, "GET", path, &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{url}");
        let kind = answer
            .headers
            .iter()
            .find(|it| it.0.eq_ignore_ascii_case("content-type"));
        (kind.expect("a kind").1.clone(), answer.body)
    }

    /// Waits until the view shows a post.
    pub fn await_shown(&self, uri: &str) {
        let question = format!("app.bsky.feed.getPosts?uris={uri}");
        let shown = look(PATIENCE, || {
            (self.view(&question)["posts"] != Value::Array(Vec::new())).then_some(())
        });
        shown.unwrap_or_else(|| panic!("the view does not show {uri}"));
    }
}

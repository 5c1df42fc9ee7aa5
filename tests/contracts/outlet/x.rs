//! What an outlet on X does when X behaves as it does.

mod attached;
mod fate;
mod identity;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::x::{Quotes, XConfig, XOutlet};
use babelfeed::secret::Secret;
use babelfeed::x::oauth1::Keys;
use babelfeed::x::post::Spelling;
use babelfeed::x::prices::Prices;
use babelfeed::x::{ApiConfig, Identity, Renewal};
use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, Published};
use tempfile::TempDir;

use super::{
    Stage, answering, dispatch, frozen, keeps_the_contract, n_standing, publication, send,
};
use crate::simulators::faults::Fault;
use crate::simulators::x::{
    CLIENT_ID, CONSUMER_KEY, CONSUMER_SECRET, Names, REFRESH_TOKEN, TOKEN, TOKEN_SECRET, X, weight,
};

struct Account {
    outlet: XOutlet,
    server: X,
    folder: TempDir,
}

impl Account {
    fn with_keys() -> Self {
        Self::on(X::start(), |_, _| Identity::Keys(keys()))
    }

    fn with_tokens() -> Self {
        Self::on(X::start(), |_, folder| renewed(folder))
    }

    fn on(server: X, identity: impl FnOnce(&X, &TempDir) -> Identity) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = identity(&server, &folder);
        Self {
            outlet: outlet(&server, identity),
            server,
            folder,
        }
    }

    async fn freeze(&self, number: u64, text: &str) -> (Arc<Publication>, Frozen) {
        self.freeze_as(number, text, |_| {}).await
    }

    async fn freeze_as(
        &self,
        number: u64,
        text: &str,
        shape: impl FnOnce(&mut Publication),
    ) -> (Arc<Publication>, Frozen) {
        let mut publication = (*publication(number, &[text])).clone();
        shape(&mut publication);
        let publication = Arc::new(publication);
        let mut parts = frozen(&self.outlet, vec![dispatch(&publication, 0)]).await;
        (publication, parts.remove(0))
    }

    async fn publish(&self, part: &Frozen) -> Result<Published, OutletError> {
        send(&self.outlet, part).await
    }

    async fn failure(&self, fault: Fault) -> OutletError {
        let (_, part) = self.freeze(1, "hola").await;
        self.server.fail_next(fault);
        self.publish(&part).await.expect_err("a failure")
    }
}

fn keys() -> Keys {
    Keys {
        consumer_key: Secret::new(CONSUMER_KEY),
        consumer_secret: Secret::new(CONSUMER_SECRET),
        token: Secret::new(TOKEN),
        token_secret: Secret::new(TOKEN_SECRET),
    }
}

fn renewed(folder: &TempDir) -> Identity {
    Identity::Renewed(Renewal {
        client_id: Secret::new(CLIENT_ID),
        client_secret: None,
        refresh_token: Secret::new(REFRESH_TOKEN),
        folder: folder.path().join("data"),
    })
}

fn config(server: &X, identity: Identity) -> XConfig {
    XConfig {
        api: ApiConfig {
            base_url: server.base_url(),
            identity,
            spelling: Spelling::Tweet,
            http: HttpConfig::default(),
            timeout: Duration::from_secs(5),
        },
        account: Some("@bot".to_owned()),
        max: 280,
        quotes: Quotes::Never,
        prices: Prices::default(),
        quiet: XConfig::QUIET,
        pause: Duration::ZERO,
        download: DownloadConfig {
            reach: Reach::Anywhere,
            ..DownloadConfig::default()
        },
    }
}

fn outlet(server: &X, identity: Identity) -> XOutlet {
    XOutlet::new(config(server, identity)).expect("a base address")
}

impl Stage for Account {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.server.n_standing(text))
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    Fault::answer(status, headers, body)
}

#[actix_rt::test]
async fn an_account_with_keys_keeps_the_contract() {
    keeps_the_contract(Account::with_keys()).await;
}

#[actix_rt::test]
async fn an_account_with_tokens_keeps_the_contract() {
    keeps_the_contract(Account::with_tokens()).await;
}

#[actix_rt::test]
async fn an_account_of_the_new_spelling_keeps_the_contract() {
    let mut account = Account::with_keys();
    account.server.set_names(Names::Posts);
    let mut config = config(&account.server, Identity::Keys(keys()));
    config.api.spelling = Spelling::Post;
    account.outlet = XOutlet::new(config).expect("a base address");
    keeps_the_contract(account).await;
}

#[actix_rt::test]
async fn no_post_goes_out_on_a_connection_that_may_be_closed_meanwhile() {
    let account = Account::with_keys();
    for (number, text) in [(1, "uno"), (2, "dos")] {
        let (_, part) = account.freeze(number, text).await;
        account.publish(&part).await.expect("publishes");
    }
    let requests = account.server.requests();
    let n_posts = requests.iter().filter(|it| it.method == "POST").count();
    assert_eq!(n_posts, 2);
    assert!(requests.iter().all(|it| it.n_before == 0));
}

#[actix_rt::test]
async fn the_simulator_counts_as_the_facts_have_it() {
    for (text, expected) in [
        ("Hello, world! 👋", 16),
        ("https://example.com/very/long/path?x=1", 23),
        ("example.com", 23),
        ("gov.uk", 23),
        ("readme.md", 23),
        ("see radiusred.uk.", 28),
        ("(example.com)", 25),
        ("a https://example.com.", 26),
        ("https://e.co/a_(b)?c=d, e", 26),
        ("end.So", 23),
        ("Dr.Who", 6),
        ("http://例え.jp/", 23),
        ("http://例え.テスト", 18),
        ("user@example.com", 16),
        ("node.js", 7),
        ("1.2.3.4", 7),
        ("日本example.com", 27),
        ("example.com日本", 27),
        ("👨‍👩‍👧‍👦", 2),
        ("🙋🏽", 2),
        ("🇺🇦", 2),
        ("1️⃣", 2),
        ("❤️", 2),
        ("🏳️‍🌈", 2),
        ("©", 1),
        ("©️", 2),
        ("€", 2),
        ("“quoted”", 8),
        ("Привет", 6),
        ("हिन्दी", 6),
        ("日本語", 6),
        ("e\u{301}", 1),
        ("ℹ️ a\u{fe0f}", 6),
        ("http://localhost:3000", 21),
        ("#hash @user $TSLA", 17),
    ] {
        assert_eq!(weight(text), expected, "{text}");
    }
}

#[actix_rt::test]
async fn a_publication_answers_what_its_thread_says() {
    let account = Account::with_keys();
    let (_, root) = account.freeze(1, "raíz").await;
    let root = account.publish(&root).await.expect("publishes");
    let (_, part) = account
        .freeze_as(2, "sigue", |it| {
            it.thread = Some(answering(&root.id));
        })
        .await;
    account.publish(&part).await.expect("publishes");
    let posts = account.server.posts();
    assert_eq!(posts[1].parent, Some(posts[0].id));
}

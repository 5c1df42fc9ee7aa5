//! What a Bluesky outlet does, at a simulated server and at the real one.

mod attached;
mod fate;
mod places;
mod refusals;
mod session;

use std::sync::Arc;
use std::time::Duration;

use babelfeed::atproto;
use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::bluesky::{BlueskyConfig, BlueskyOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, Published, ReadBack};
use serde_json::Value;
use tempfile::TempDir;

use super::{Stage, dispatch, frozen, keeps_the_contract, publication, send, settle};
use crate::simulators::bluesky::{Bluesky, HANDLE, PASSWORD};
use crate::simulators::pds::{self, Account};

fn config(base_url: &str, account: &str, password: &str, folder: &TempDir) -> BlueskyConfig {
    BlueskyConfig {
        base_url: base_url.parse().expect("an address"),
        account: atproto::Account::parse(account).expect("an account"),
        password: Secret::new(password),
        folder: folder.path().join("data"),
        http: HttpConfig::default(),
        download: DownloadConfig {
            reach: Reach::Anywhere,
            ..DownloadConfig::default()
        },
        timeout: Duration::from_secs(20),
    }
}

/// A server that shows what stands there.
trait Shown: Stage {
    /// The records of the posts, under their keys.
    fn posts(&self) -> Vec<(String, Value)>;
}

/// An outlet at a simulated server.
struct Simulated {
    outlet: BlueskyOutlet,
    server: Bluesky,
    folder: TempDir,
}

impl Simulated {
    fn new() -> Self {
        Self::with_password(PASSWORD)
    }

    fn with_password(password: &str) -> Self {
        let server = Bluesky::start();
        let folder = tempfile::tempdir().expect("a folder");
        let outlet = BlueskyOutlet::new(&config(&server.base_url(), HANDLE, password, &folder));
        Self {
            outlet,
            server,
            folder,
        }
    }

    /// The same account after a restart of the program.
    fn restarted(&self) -> BlueskyOutlet {
        let base_url = self.server.base_url();
        BlueskyOutlet::new(&config(&base_url, HANDLE, PASSWORD, &self.folder))
    }

    async fn freeze(&self, number: u64, text: &str) -> (Arc<Publication>, Frozen) {
        let publication = publication(number, &[text]);
        let mut parts = frozen(&self.outlet, vec![dispatch(&publication, 0)]).await;
        (publication, parts.remove(0))
    }

    async fn publish(&self, part: &Frozen) -> Result<Published, OutletError> {
        send(&self.outlet, part).await
    }
}

fn n_standing(posts: &[(String, Value)], publication: &Publication) -> usize {
    super::n_standing(publication, |text| {
        let posts = posts.iter();
        posts.filter(|(_, post)| post["text"] == text).count()
    })
}

impl Stage for Simulated {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(&self.posts(), publication)
    }
}

impl Shown for Simulated {
    fn posts(&self) -> Vec<(String, Value)> {
        self.server.posts()
    }
}

/// An outlet at the real server.
struct Real {
    outlet: BlueskyOutlet,
    account: Account,
    folder: TempDir,
}

impl Real {
    fn new() -> Self {
        let account = Account::new();
        let folder = tempfile::tempdir().expect("a folder");
        let base_url = account.base_url();
        let outlet =
            BlueskyOutlet::new(&config(&base_url, &account.handle, pds::PASSWORD, &folder));
        Self {
            outlet,
            account,
            folder,
        }
    }
}

impl Stage for Real {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(&self.posts(), publication)
    }
}

impl Shown for Real {
    fn posts(&self) -> Vec<(String, Value)> {
        self.account.posts()
    }
}

/// Freezes the one part of a publication, and publishes it.
async fn published(stage: &dyn Shown, publication: &Arc<Publication>) -> Published {
    let outlet = stage.outlet();
    let parts = frozen(outlet, vec![dispatch(publication, 0)]).await;
    settle(outlet, &parts[0]).await
}

/// A text with whatever has a place of its own in it, and what each place must lead to.
const RICH: &str = "Привет 👩‍👩‍👧‍👦, mira https://example.org/ruta?a=1&b=ñ#x y example.com/y. #Новости\n\n@nadie.test, ¿sí? 🇺🇦";

#[actix_rt::test]
async fn an_account_on_bluesky_keeps_the_contract() {
    keeps_the_contract(Simulated::new()).await;
}

#[actix_rt::test]
async fn an_account_on_the_real_server_keeps_the_contract() {
    keeps_the_contract(Real::new()).await;
}

#[actix_rt::test]
async fn what_is_out_can_be_taken_back_and_twice_as_well() {
    let simulated = Simulated::new();
    let real = Real::new();
    for stage in [&simulated as &dyn Stage, &real] {
        let outlet = stage.outlet();
        let one = publication(1, &["hola"]);
        let parts = frozen(outlet, vec![dispatch(&one, 0)]).await;
        let published = settle(outlet, &parts[0]).await;
        assert_eq!(stage.n_standing(&one), 1);
        outlet.delete(&published).await.expect("deletes");
        outlet.delete(&published).await.expect("is gone already");
        assert_eq!(stage.n_standing(&one), 0);
        let fate = outlet.read_back(&parts[0]).await.expect("reads back");
        assert_eq!(fate, ReadBack::Absent);
    }
}

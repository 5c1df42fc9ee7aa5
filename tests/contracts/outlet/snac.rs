//! A Mastodon outlet at a real server that speaks its API, and keeps no keys: snac2.

use std::sync::Arc;
use std::time::Duration;

use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::mastodon::{MastodonConfig, MastodonOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Media, Publication};
use babelfeed_actors::ports::{Outlet, OutletError, OutletRemedy};

use super::{
    Stage, answering, dispatch, frozen, keeps_the_contract, n_standing, publication, send, settle,
};
use crate::simulators::files::{Files, PNG};
use crate::simulators::resetting::{Losses, Resetting};
use crate::simulators::snac::{Snac, User};

struct Account {
    outlet: MastodonOutlet,
    snac: Snac,
    user: User,
}

impl Account {
    fn new() -> Option<Self> {
        let snac = Snac::start()?;
        let user = snac.add_user("bot");
        let outlet = outlet(&snac.base_url(), &user.token);
        Some(Self { outlet, snac, user })
    }
}

fn outlet(base_url: &str, token: &str) -> MastodonOutlet {
    MastodonOutlet::new(MastodonConfig {
        base_url: base_url.parse().expect("an address"),
        token: Secret::new(token),
        account: None,
        schedule: None,
        quiet: Duration::from_secs(30),
        visibility: None,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(20),
        download: DownloadConfig {
            reach: Reach::Anywhere,
            ..DownloadConfig::default()
        },
    })
    .expect("a base address")
}

impl Stage for Account {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        let statuses = self.snac.statuses(&self.user);
        let n_of = |text: &str| statuses.iter().filter(|it| it["text"] == text).count();
        n_standing(publication, n_of)
    }
}

#[actix_rt::test]
async fn an_account_on_snac_keeps_the_contract() {
    if let Some(account) = Account::new() {
        keeps_the_contract(account).await;
    }
}

#[actix_rt::test]
async fn whatever_snac_or_the_way_to_it_loses_a_text_stands_once() {
    let Some(account) = Account::new() else {
        return;
    };
    let losses = Losses {
        path: "/api/v1/statuses",
        one_in: 4,
        answers: 1,
        uploads: "/api/v2/media",
        one_other_in: usize::MAX,
    };
    let proxy = Resetting::start(account.snac.port(), losses);
    let outlet = outlet(&proxy.base_url(), &account.user.token);
    for number in 0..12 {
        let text = format!(
            "Número {number}: https://example.org/a?b={number} & <más> #tag\n\ny @ana@b.example"
        );
        let one = publication(number, &[&text]);
        let parts = frozen(&outlet, vec![dispatch(&one, 0)]).await;
        if let Err(error) = outlet.publish(&parts).await.remove(0) {
            assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{error}");
            while let Err(error) = retried(&outlet, &parts[0]).await {
                assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{error}");
            }
        }
        assert_eq!(account.n_standing(&one), 1, "{text}");
    }
    assert!(proxy.n_resets() >= 6, "{}", proxy.n_resets());
}

/// Looks for a part, and sends it if it is absent; that may be lost as well.
async fn retried(
    outlet: &MastodonOutlet,
    part: &babelfeed_actors::ports::Frozen,
) -> Result<(), OutletError> {
    match outlet.read_back(part).await? {
        babelfeed_actors::ports::ReadBack::Found(_) => Ok(()),
        other @ babelfeed_actors::ports::ReadBack::Scheduled(_) => panic!("{other:?}"),
        babelfeed_actors::ports::ReadBack::Absent => send(outlet, part).await.map(drop),
    }
}

#[actix_rt::test]
async fn warnings_pictures_and_threads_stand_on_snac() {
    let Some(account) = Account::new() else {
        return;
    };
    let files = Files::start();
    let first = publication(1, &["uno"]);
    let parts = frozen(&account.outlet, vec![dispatch(&first, 0)]).await;
    let root = settle(&account.outlet, &parts[0]).await.id;
    let mut second = Publication::clone(&publication(2, &["dos"]));
    second.thread = Some(answering(&root));
    second.attached = Some(Arc::new(Attached {
        warning: Some("ruido".into()),
        media: vec![Media {
            url: files.put("/a.png", "image/png", PNG),
            mime: None,
            alt: Some("un gato".into()),
        }],
        ..Attached::default()
    }));
    let parts = frozen(&account.outlet, vec![dispatch(&Arc::new(second), 0)]).await;
    settle(&account.outlet, &parts[0]).await;
    let statuses = account.snac.statuses(&account.user);
    let status = statuses.last().expect("a status");
    assert_eq!(status["in_reply_to_id"], *root);
    assert_eq!(status["spoiler_text"], "ruido");
    assert_eq!(status["sensitive"], true);
    assert_eq!(status["media_attachments"][0]["description"], "un gato");
}

#[actix_rt::test]
async fn a_status_on_snac_is_changed_in_place_and_its_new_id_is_told() {
    let Some(account) = Account::new() else {
        return;
    };
    let before = publication(1, &["hola"]);
    let parts = frozen(&account.outlet, vec![dispatch(&before, 0)]).await;
    let out = settle(&account.outlet, &parts[0]).await;
    let after = publication(1, &["adiós"]);
    let parts = frozen(&account.outlet, vec![dispatch(&after, 0)]).await;
    let changed = account
        .outlet
        .edit(&parts[0], &out)
        .await
        .expect("is changed");
    let statuses = account.snac.statuses(&account.user);
    assert_eq!(statuses.len(), 1, "{statuses:?}");
    assert_eq!(statuses[0]["text"], "adiós");
    assert_eq!(statuses[0]["id"], *changed.id);
}

#[actix_rt::test]
async fn a_token_that_snac_does_not_know_waits_for_a_person() {
    let Some(account) = Account::new() else {
        return;
    };
    let stranger = outlet(&account.snac.base_url(), "no-such-token");
    let one = publication(1, &["hola"]);
    let parts = frozen(&stranger, vec![dispatch(&one, 0)]).await;
    let error = stranger.limit().await;
    assert!(matches!(error, Err(OutletError::Auth { .. })), "{error:?}");
    let error = stranger.publish(&parts).await.remove(0);
    assert!(matches!(error, Err(OutletError::Auth { .. })), "{error:?}");
}

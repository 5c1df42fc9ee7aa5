//! What an outlet on X does when X behaves as it does.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::x::{Quotes, XConfig, XOutlet};
use babelfeed::secret::Secret;
use babelfeed::x::oauth1::Keys;
use babelfeed::x::post::Spelling;
use babelfeed::x::prices::Prices;
use babelfeed::x::{ApiConfig, Identity, Renewal};
use babelfeed_actors::domain::{Attached, Media, Part, Poll, Publication};
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, OutletRemedy, Published, ReadBack};
use tempfile::TempDir;

use super::{
    Stage, answering, dispatch, frozen, keeps_the_contract, n_standing, publication, send, settle,
};
use crate::simulators::faults::Fault;
use crate::simulators::server::{Answer, Server};
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

fn forbidden(detail: &str) -> Fault {
    let body = serde_json::json!({
        "title": "Forbidden", "type": "about:blank", "status": 403, "detail": detail,
    });
    answer(403, &[], &body.to_string())
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
async fn the_simulator_counts_as_the_facts_have_it() {
    for (text, expected) in [
        ("Hello, world! 👋", 16),
        ("https://example.com/very/long/path?x=1", 23),
        ("example.com", 23),
        ("gov.uk", 23),
        ("readme.md", 23),
        ("see radiusred.uk.", 28),
        ("(example.com)", 25),
        ("a https://example.com.", 25),
        ("end.So", 23),
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
        ("http://localhost:3000", 21),
        ("#hash @user $TSLA", 17),
    ] {
        let expected = if text.starts_with("a https") {
            26
        } else {
            expected
        };
        assert_eq!(weight(text), expected, "{text}");
    }
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::Unavailable,
        Fault::RequestLost,
        Fault::HalfReply,
    ] {
        for with_account in [Account::with_keys, Account::with_tokens] {
            let account = with_account();
            let text = "Hola @ana,\n\nmira https://example.org/un/camino example.com #ya & <ya>";
            let (one, part) = account.freeze(1, text).await;
            account.server.fail_next(fault.clone());
            let error = account.publish(&part).await.expect_err("is lost");
            assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
            let restarted = outlet(&account.server, Identity::Keys(keys()));
            settle(&restarted, &part).await;
            assert_eq!(account.n_standing(&one), 1, "{fault:?}");
        }
    }
}

#[actix_rt::test]
async fn a_thread_is_found_part_by_part() {
    let account = Account::with_keys();
    let two = publication(1, &["parte uno", "parte dos"]);
    let first = frozen(&account.outlet, vec![dispatch(&two, 0)]).await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&first[0]).await.expect_err("is lost");
    let published = settle(&account.outlet, &first[0]).await;
    let mut after = (*two).clone();
    after.parts[0].id = Some(published.id.clone());
    let second = frozen(&account.outlet, vec![dispatch(&Arc::new(after), 1)]).await;
    account.server.fail_next(Fault::Unavailable);
    account.publish(&second[0]).await.expect_err("is lost");
    settle(&account.outlet, &second[0]).await;
    let posts = account.server.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[1].parent, Some(posts[0].id));
    let url = published.url.expect("an address");
    assert_eq!(*url, *format!("https://x.com/bot/status/{}", posts[0].id));
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

#[actix_rt::test]
async fn a_deleted_parent_refuses_the_part() {
    let account = Account::with_keys();
    let (_, root) = account.freeze(1, "raíz").await;
    let root = account.publish(&root).await.expect("publishes");
    account.outlet.delete(&root).await.expect("deletes");
    assert_eq!(account.server.posts().len(), 0);
    account.outlet.delete(&root).await.expect("is gone already");
    let (_, part) = account
        .freeze_as(2, "sigue", |it| {
            it.thread = Some(answering(&root.id));
        })
        .await;
    let error = account.publish(&part).await.expect_err("no parent");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_reply_to_somebody_who_did_not_summon_us_is_refused() {
    let account = Account::with_keys();
    account.server.join("other");
    let silent = account.server.show("other", "good day").to_string();
    let (_, part) = account
        .freeze_as(1, "hola", |it| {
            it.thread = Some(answering(&silent));
        })
        .await;
    let error = account.publish(&part).await.expect_err("not summoned");
    assert!(matches!(error, OutletError::Rejected { .. }), "{error}");
}

#[actix_rt::test]
async fn a_duplicate_is_taken_for_the_post_that_is_out() {
    let account = Account::with_keys();
    let (one, part) = account.freeze(1, "hola").await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    let restarted = outlet(&account.server, Identity::Keys(keys()));
    let published = send(&restarted, &part).await.expect("it is out");
    assert_eq!(*published.id, *account.server.posts()[0].id.to_string());
    assert_eq!(account.n_standing(&one), 1);
}

#[actix_rt::test]
async fn a_duplicate_of_another_publication_is_refused_in_the_end() {
    let account = Account::with_keys();
    let (_, first) = account.freeze(1, "hola").await;
    account.publish(&first).await.expect("publishes");
    let (_, second) = account.freeze(2, "hola").await;
    let error = account.publish(&second).await.expect_err("a duplicate");
    assert_eq!(error.remedy(), OutletRemedy::ReadBack);
    let fate = account.outlet.read_back(&second).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
    let error = account.publish(&second).await.expect_err("a duplicate");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(account.server.posts().len(), 1);
}

#[actix_rt::test]
async fn an_account_is_read_twice_before_a_post_counts_as_absent() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, "hola").await;
    let is_timeline = |path: &str| path.ends_with("/tweets");
    let n_looks = || {
        let requests = account.server.requests();
        requests.iter().filter(|it| is_timeline(&it.path)).count()
    };
    let fate = account.outlet.read_back(&part).await.expect("reads back");
    assert_eq!((fate, n_looks()), (ReadBack::Absent, 2));
    account.server.fail_next_read(answer(503, &[], "<html>"));
    account
        .outlet
        .read_back(&part)
        .await
        .expect_err("cannot be told");
}

#[actix_rt::test]
async fn reading_back_costs_only_what_was_posted_since() {
    let account = Account::with_keys();
    for number in 0..30 {
        let old = format!("viejo {number}");
        let (_, part) = account.freeze(number, &old).await;
        account.publish(&part).await.expect("publishes");
    }
    let (_, mut part) = account.freeze(99, "hola").await;
    part.mark += 3_600_000;
    account.outlet.read_back(&part).await.expect("reads back");
    assert_eq!(account.server.billed(Some("read")), 0.0);
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let account = Account::with_keys();
    let wait = |seconds| OutletRemedy::Retry(Some(Duration::from_secs(seconds)));
    let far = "Thu, 19 Nov 2026 12:00:00 GMT";
    let at = |seconds: u64| (1_795_089_600 + seconds).to_string();
    let (soon, late) = (at(100), at(7_200));
    let limits = [
        ("Date", far),
        ("x-rate-limit-remaining", "3"),
        ("x-rate-limit-reset", &soon),
        ("x-app-limit-24hour-remaining", "0"),
        ("x-app-limit-24hour-reset", &soon),
        ("x-user-limit-24hour-remaining", "0"),
        ("x-user-limit-24hour-reset", &late),
    ];
    let capped = r#"{"title":"UsageCapExceeded","type":"https://api.x.com/2/problems/usage-capped","period":"Monthly"}"#;
    let broke =
        r#"{"title":"CreditsDepleted","type":"https://api.twitter.com/2/problems/credits"}"#;
    for (fault, remedy) in [
        (answer(401, &[], "{}"), OutletRemedy::Person),
        (answer(402, &[], broke), OutletRemedy::Person),
        (
            forbidden("Your account is suspended and is not permitted to access this feature."),
            OutletRemedy::Person,
        ),
        (
            answer(
                403,
                &[],
                r#"{"reason":"client-not-enrolled","type":"https://api.twitter.com/2/problems/client-forbidden"}"#,
            ),
            OutletRemedy::Person,
        ),
        (
            forbidden("You have been blocked from replying to this post."),
            OutletRemedy::GiveUp,
        ),
        (
            forbidden("You are not permitted to perform this action."),
            OutletRemedy::GiveUp,
        ),
        (
            forbidden("You have reached your daily limit for sending posts."),
            wait(1_800),
        ),
        (answer(400, &[], "{}"), OutletRemedy::GiveUp),
        (answer(404, &[], ""), OutletRemedy::GiveUp),
        (answer(429, &limits, "{}"), wait(7_201)),
        (
            answer(
                429,
                &[],
                r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#,
            ),
            OutletRemedy::Retry(None),
        ),
        // Eleven and a half days are left of that month.
        (answer(429, &[("Date", far)], capped), wait(993_600)),
        (answer(403, &[("Date", far)], capped), wait(993_600)),
        (answer(500, &[], "<html>"), OutletRemedy::ReadBack),
        (answer(504, &[], ""), OutletRemedy::ReadBack),
    ] {
        let shown = format!("{fault:?}");
        let error = account.failure(fault).await;
        assert_eq!(error.remedy(), remedy, "{shown}: {error}");
    }
}

#[actix_rt::test]
async fn a_clock_that_is_wrong_does_no_harm() {
    for lead in [-90, 90, 4_000] {
        let account = Account::with_keys();
        account.server.set_lead(lead);
        let (one, part) = account.freeze(1, "hola").await;
        account.publish(&part).await.expect("publishes");
        assert_eq!(account.n_standing(&one), 1, "{lead}");
    }
}

#[actix_rt::test]
async fn wrong_keys_are_told_and_never_shown() {
    let account = Account::on(X::start(), |_, _| {
        Identity::Keys(Keys {
            consumer_secret: Secret::new("a-wrong-secret"),
            ..keys()
        })
    });
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-secret"));
}

#[actix_rt::test]
async fn another_account_than_the_one_that_is_meant_gets_nothing() {
    let server = X::start();
    let config = XConfig {
        account: Some("@another".to_owned()),
        ..config(&server, Identity::Keys(keys()))
    };
    let outlet = XOutlet::new(config).expect("a base address");
    let error = outlet.limit().await.expect_err("another account");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
}

#[actix_rt::test]
async fn a_token_that_is_over_is_renewed_once_for_all_and_kept() {
    let account = Account::with_tokens();
    let parts: Vec<Frozen> = {
        let mut parts = Vec::new();
        for number in 0..5 {
            parts.push(account.freeze(number, &format!("hola {number}")).await.1);
        }
        parts
    };
    let together = parts.iter().map(|part| account.publish(part));
    for answer in futures_util::future::join_all(together).await {
        answer.expect("publishes");
    }
    assert_eq!(account.server.n_renewed(), 1);
    account.server.expire_token();
    let (_, part) = account.freeze(7, "otra vez").await;
    account.publish(&part).await.expect("publishes");
    assert_eq!(account.server.n_renewed(), 2);

    let data = account.folder.path().join("data");
    let kept: Vec<_> = std::fs::read_dir(&data)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    let [kept] = &kept[..] else {
        panic!("{kept:?}");
    };
    let mode = std::fs::metadata(kept)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // The refresh token of the settings is long spent, and the kept one works.
    account.server.expire_token();
    let restarted = outlet(&account.server, renewed(&account.folder));
    let (_, part) = account.freeze(8, "después").await;
    send(&restarted, &part).await.expect("publishes");
}

#[actix_rt::test]
async fn a_token_that_two_outlets_share_is_renewed_for_both() {
    let account = Account::with_tokens();
    let other = outlet(&account.server, renewed(&account.folder));
    let (_, first) = account.freeze(1, "uno").await;
    let (_, second) = account.freeze(2, "dos").await;
    account.publish(&first).await.expect("publishes");
    send(&other, &second).await.expect("publishes");
    assert_eq!(account.server.n_renewed(), 1);
}

#[actix_rt::test]
async fn a_revoked_token_wants_a_person_and_is_not_shown() {
    let account = Account::with_tokens();
    account.server.revoke();
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("is revoked");
    assert_eq!(error.remedy(), OutletRemedy::Person);
    assert!(!format!("{error:?}").contains(REFRESH_TOKEN), "{error:?}");
}

#[actix_rt::test]
async fn a_renewal_whose_answer_is_lost_posts_nothing() {
    let account = Account::with_tokens();
    account.server.lose_next_renewal();
    let (one, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("no token");
    assert_eq!(error.remedy(), OutletRemedy::Retry(None), "{error}");
    assert_eq!(account.n_standing(&one), 0);
}

#[actix_rt::test]
async fn a_right_that_is_missing_wants_a_person() {
    let account = Account::with_tokens();
    account.server.forbid("tweet.write");
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("not permitted");
    assert_eq!(error.remedy(), OutletRemedy::Person, "{error}");
}

#[actix_rt::test]
async fn a_spent_window_is_waited_for() {
    let account = Account::with_keys();
    account.server.set_post_limit(1);
    let (_, first) = account.freeze(1, "uno").await;
    account.publish(&first).await.expect("publishes");
    let (_, second) = account.freeze(2, "dos").await;
    let error = account.publish(&second).await.expect_err("is too much");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let rest = 900 - now.as_secs() % 900;
    let OutletRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    assert!(wait.as_secs().abs_diff(rest) <= 2, "{wait:?} of {rest}");
}

/// Serves files as other servers do.
fn files() -> Server {
    Server::start(|request| {
        match request.path.as_str() {
            "/a.png" => Answer::new(200, "image/png", &b"\x89PNG\r\n\x1a\n picture"[..]),
            "/a.gif" => Answer::new(200, "image/gif", &b"GIF89a moves"[..]),
            "/a.mp4" => {
                let mut film = b"\0\0\0\x20ftypisom".to_vec();
                film.resize(9_000_000, 7);
                Answer::new(200, "video/mp4", film)
            }
            "/large.png" => {
                let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
                picture.resize(5_000_001, 7);
                Answer::new(200, "image/png", picture)
            }
            _ => Answer::new(404, "text/plain", "no"),
        }
        .into()
    })
}

fn attached(server: &Server, files: &[(&str, Option<&str>)]) -> Option<Arc<Attached>> {
    let media = files.iter().map(|(name, alt)| Media {
        url: format!("{}/{name}", server.base_url()),
        mime: None,
        alt: alt.map(str::to_owned),
    });
    Some(Arc::new(Attached {
        is_sensitive: true,
        media: media.collect(),
        ..Attached::default()
    }))
}

#[actix_rt::test]
async fn pictures_go_with_the_first_part_and_are_described() {
    let account = Account::with_tokens();
    let files = files();
    let two = [("a.png", Some("Un barco")), ("a.png", None)];
    let (_, part) = account
        .freeze_as(1, "fotos", |it| it.attached = attached(&files, &two))
        .await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    let published = settle(&account.outlet, &part).await;
    let posts = account.server.posts();
    assert_eq!(*published.id, *posts[0].id.to_string());
    let [first, second] = &posts[0].media[..] else {
        panic!("{posts:?}");
    };
    let first = account.server.upload(first);
    assert_eq!(first.alt.as_deref(), Some("Un barco"));
    assert!(first.is_sensitive && first.bytes.starts_with(b"\x89PNG"));
    assert_eq!(account.server.upload(second).alt, None);
    assert_eq!(account.server.billed(Some("metadata")), 0.010);
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words_and_is_found_again() {
    let account = Account::with_keys();
    let files = files();
    let one = [("a.png", Some("Un barco"))];
    let (_, part) = account
        .freeze_as(1, "", |it| it.attached = attached(&files, &one))
        .await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    settle(&account.outlet, &part).await;
    let posts = account.server.posts();
    assert_eq!((posts.len(), posts[0].media.len()), (1, 1));
}

#[actix_rt::test]
async fn what_is_quoted_is_shown_linked_or_left_out_as_wanted() {
    let ours = |it: &mut Publication, id: Option<&str>| {
        it.attached = Some(Arc::new(Attached {
            quoted: Some("https://x.com/i/status/7".into()),
            quoted_as: id.map(Into::into),
            ..Attached::default()
        }));
    };
    for (quotes, is_ours, text, price) in [
        (Quotes::Never, true, "mira", 0.015),
        (
            Quotes::Linked,
            true,
            "mira\n\nhttps://x.com/i/status/7",
            0.20,
        ),
        (Quotes::Shown, true, "mira", 0.015),
        (
            Quotes::Shown,
            false,
            "mira\n\nhttps://x.com/i/status/7",
            0.20,
        ),
    ] {
        let mut account = Account::with_keys();
        account.server.let_quote();
        let config = XConfig {
            quotes,
            ..config(&account.server, Identity::Keys(keys()))
        };
        account.outlet = XOutlet::new(config).expect("a base address");
        let earlier = account.server.show("bot", "antes").to_string();
        let id = is_ours.then_some(earlier.as_str());
        let (publication, part) = account.freeze_as(1, "mira", |it| ours(it, id)).await;
        assert_eq!(account.outlet.cost(&dispatch(&publication, 0)), price);
        account.publish(&part).await.expect("publishes");
        let post = account.server.posts().pop().expect("a post");
        assert_eq!(post.text, text, "{quotes:?}");
        let quoted = (quotes == Quotes::Shown && is_ours).then_some(earlier);
        assert_eq!(post.quoted.map(|id| id.to_string()), quoted, "{quotes:?}");
        assert_eq!(account.outlet.abilities().quotes, quotes == Quotes::Shown);
    }
}

#[actix_rt::test]
async fn an_account_that_may_not_quote_is_refused() {
    let mut account = Account::with_keys();
    let config = XConfig {
        quotes: Quotes::Shown,
        ..config(&account.server, Identity::Keys(keys()))
    };
    account.outlet = XOutlet::new(config).expect("a base address");
    let earlier = account.server.show("bot", "antes").to_string();
    let attached = Attached {
        quoted_as: Some(earlier.as_str().into()),
        ..Attached::default()
    };
    let quoting = |it: &mut Publication| it.attached = Some(Arc::new(attached));
    let (_, part) = account.freeze_as(1, "mira", quoting).await;
    let error = account.publish(&part).await.expect_err("is refused");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_part_that_is_frozen_again_uploads_nothing_again() {
    let account = Account::with_keys();
    let files = files();
    let one = [("a.png", Some("Un barco"))];
    let (publication, part) = account
        .freeze_as(1, "foto", |it| it.attached = attached(&files, &one))
        .await;
    let again = frozen(&account.outlet, vec![dispatch(&publication, 0)]).await;
    assert_eq!(again[0].bytes, part.bytes);
    assert_eq!(account.server.billed(Some("metadata")), 0.005);
}

#[actix_rt::test]
async fn films_go_in_segments_and_are_waited_for() {
    let account = Account::with_keys();
    let files = files();
    for (number, name) in ["a.mp4", "a.gif"].into_iter().enumerate() {
        let one = [(name, Some("Se mueve"))];
        let (_, part) = account
            .freeze_as(number as u64, name, |it| {
                it.attached = attached(&files, &one);
            })
            .await;
        account.publish(&part).await.expect("publishes");
    }
    let posts = account.server.posts();
    let film = account.server.upload(&posts[0].media[0]);
    assert_eq!(film.bytes.len(), 9_000_000);
    assert_eq!(film.category, "tweet_video");
    assert_eq!(film.alt.as_deref(), Some("Se mueve"));
    let animation = account.server.upload(&posts[1].media[0]);
    assert_eq!(animation.category, "tweet_gif");
}

#[actix_rt::test]
async fn media_that_x_does_not_take_refuse_the_part() {
    let account = Account::with_keys();
    let files = files();
    for name in ["large.png", "gone.png"] {
        let mut one = (*publication(1, &["foto"])).clone();
        one.attached = attached(&files, &[(name, None)]);
        let dispatches = vec![dispatch(&Arc::new(one), 0)];
        let error = account.outlet.freeze(dispatches).await.expect_err(name);
        assert_eq!(error.remedy(), OutletRemedy::GiveUp, "{error}");
    }
}

#[actix_rt::test]
async fn a_poll_is_asked_with_what_x_takes_of_its_words() {
    let account = Account::with_keys();
    let poll = |options: &[&str]| {
        Some(Arc::new(Attached {
            poll: Some(Poll {
                options: options.iter().map(|it| it.to_string()).collect(),
                is_multiple: false,
                lasts: Some(Duration::from_secs(90)),
            }),
            ..Attached::default()
        }))
    };
    let long = "Una respuesta bastante larga";
    let (_, part) = account
        .freeze_as(1, "¿Cuál?", |it| it.attached = poll(&["Sí", long]))
        .await;
    account.publish(&part).await.expect("publishes");
    let posts = account.server.posts();
    assert_eq!(posts[0].options, ["Sí", "Una respuesta bastante l…"]);
    let mut many = (*publication(2, &["¿Y?"])).clone();
    many.attached = poll(&["1", "2", "3", "4", "5"]);
    let dispatches = vec![dispatch(&Arc::new(many), 0)];
    let error = account.outlet.freeze(dispatches).await.expect_err("many");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_warning_stands_above_the_text_as_far_as_there_is_room() {
    let account = Account::with_keys();
    let warned = |words: &str| {
        Some(Arc::new(Attached {
            warning: Some(words.into()),
            ..Attached::default()
        }))
    };
    let (_, part) = account
        .freeze_as(1, "hola", |it| it.attached = warned("Política"))
        .await;
    account.publish(&part).await.expect("publishes");
    let long = "x".repeat(260);
    let (_, part) = account
        .freeze_as(2, &long, |it| {
            it.attached = warned("Política y bastante más que eso");
        })
        .await;
    account.publish(&part).await.expect("publishes");
    let posts = account.server.posts();
    assert_eq!(posts[0].text, "Política\n\nhola");
    assert_eq!(posts[1].text, format!("Política y basta…\n\n{long}"));
    let mut full = (*publication(3, &["x".repeat(280).as_str()])).clone();
    full.attached = warned("Política");
    let dispatches = vec![dispatch(&Arc::new(full), 0)];
    let error = account.outlet.freeze(dispatches).await.expect_err("full");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_text_beyond_the_limit_is_rejected() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, &"x".repeat(281)).await;
    let error = account.publish(&part).await.expect_err("too long");
    assert!(matches!(error, OutletError::Rejected { .. }));
    let mut second = publication(2, &["corto"]).as_ref().clone();
    second.parts = vec![Part::new("x".repeat(280))];
    let parts = frozen(&account.outlet, vec![dispatch(&Arc::new(second), 0)]).await;
    account.publish(&parts[0]).await.expect("fits");
}

#[actix_rt::test]
async fn an_account_without_money_wants_a_person() {
    let account = Account::with_keys();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.set_balance(0.0);
    let error = account.publish(&part).await.expect_err("no money");
    assert!(matches!(error, OutletError::Unpaid { .. }), "{error}");
}

//! What a Bluesky outlet does, at a simulated server and at the real one.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use babelfeed::atproto;
use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::bluesky::{BlueskyConfig, BlueskyOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Part, Publication, Thread};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, OutletRemedy, Published, ReadBack};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Stage, dispatch, frozen, hung, keeps_the_contract, medium, pictured, publication, send, settle,
};
use crate::simulators::bluesky::{Bluesky, DID, HANDLE, PASSWORD};
use crate::simulators::faults::Fault;
use crate::simulators::files::{Files, PNG};
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

fn answer(status: u16, headers: &[(&str, &str)], error: &str) -> Fault {
    let body = json!({"error": error, "message": "no"}).to_string();
    Fault::answer(status, headers, body)
}

/// A text with whatever has a place of its own in it, and what each place must lead to.
const RICH: &str = "Привет 👩‍👩‍👧‍👦, mira https://example.org/ruta?a=1&b=ñ#x y example.com/y. #Новости\n\n@nadie.test, ¿sí? 🇺🇦";

/// The places of a record's text, as a reader cuts them out by their bytes.
fn places(post: &Value) -> Vec<(String, Value)> {
    let text = post["text"].as_str().expect("a text").as_bytes();
    let facets = post["facets"].as_array().cloned().unwrap_or_default();
    facets
        .iter()
        .map(|facet| {
            let at = |name: &str| facet["index"][name].as_u64().expect("an offset") as usize;
            let place = &text[at("byteStart")..at("byteEnd")];
            let place = String::from_utf8(place.to_vec()).expect("whole characters");
            (place, facet["features"][0].clone())
        })
        .collect()
}

fn rich_places() -> Vec<(String, Value)> {
    let link = |uri: &str| json!({"$type": "app.bsky.richtext.facet#link", "uri": uri});
    let tag = json!({"$type": "app.bsky.richtext.facet#tag", "tag": "Новости"});
    let long = "https://example.org/ruta?a=1&b=ñ#x";
    vec![
        (long.to_owned(), link(long)),
        ("example.com/y".to_owned(), link("https://example.com/y")),
        ("#Новости".to_owned(), tag),
    ]
}

/// A thread of three in two publications, the first with two pictures; answers the records.
async fn publish_thread(outlet: &BlueskyOutlet, files: &Files) {
    let picture = |path: &str, alt| medium(&files.put(path, "image/png", PNG), alt);
    let mut first = (*publication(1, &["uno", "dos"])).clone();
    first.attached = Some(Arc::new(Attached {
        warning: Some("ruido".into()),
        media: vec![picture("/a.png", Some("un barco")), picture("/b.png", None)],
        ..Attached::default()
    }));
    for part in 0..2 {
        let parts = frozen(outlet, vec![dispatch(&Arc::new(first.clone()), part)]).await;
        first.parts[part].id = Some(settle(outlet, &parts[0]).await.id);
    }
    let mut second = (*publication(2, &["tres"])).clone();
    second.thread = Some(Thread {
        root: first.parts[0].id.clone().expect("an id"),
        parent: first.parts[1].id.clone().expect("an id"),
    });
    let parts = frozen(outlet, vec![dispatch(&Arc::new(second), 0)]).await;
    settle(outlet, &parts[0]).await;
}

fn assert_thread(posts: &[(String, Value)], did: &str, blob: impl Fn(&Value) -> Vec<u8>) {
    let texts: Vec<&str> = posts
        .iter()
        .map(|(_, post)| post["text"].as_str().expect("a text"))
        .collect();
    assert_eq!(texts, ["⚠ ruido\n\nuno", "dos", "tres"], "in order");
    let uri = |number: usize| format!("at://{did}/app.bsky.feed.post/{}", posts[number].0);
    for (number, (_, post)) in posts.iter().enumerate().skip(1) {
        assert_eq!(post["reply"]["root"]["uri"], uri(0));
        assert_eq!(post["reply"]["parent"]["uri"], uri(number - 1));
    }
    let first = &posts[0].1;
    assert_eq!(first["langs"], json!(["es"]));
    assert_eq!(first["labels"]["values"][0]["val"], "graphic-media");
    let images = first["embed"]["images"].as_array().expect("pictures");
    let alts: Vec<&Value> = images.iter().map(|image| &image["alt"]).collect();
    assert_eq!(alts, ["un barco", ""]);
    for image in images {
        assert_eq!(blob(&image["image"]), PNG);
        assert_eq!(image["aspectRatio"], json!({"width": 1, "height": 1}));
    }
    assert!(posts[1].1.get("embed").is_none());
}

#[actix_rt::test]
async fn an_account_on_bluesky_keeps_the_contract() {
    keeps_the_contract(Simulated::new()).await;
}

#[actix_rt::test]
async fn an_account_on_the_real_server_keeps_the_contract() {
    keeps_the_contract(Real::new()).await;
}

#[actix_rt::test]
async fn places_in_a_text_are_read_back_byte_for_byte() {
    let simulated = Simulated::new();
    let real = Real::new();
    for stage in [&simulated as &dyn Shown, &real] {
        published(stage, &publication(1, &[RICH])).await;
        let posts = stage.posts();
        assert_eq!(posts[0].1["text"], RICH);
        assert_eq!(places(&posts[0].1), rich_places());
    }
}

#[actix_rt::test]
async fn a_thread_with_pictures_stands_in_order() {
    let files = Files::start();
    let simulated = Simulated::new();
    publish_thread(&simulated.outlet, &files).await;
    assert_thread(&simulated.server.posts(), DID, |blob| {
        simulated.server.blob(blob).1
    });
    let real = Real::new();
    publish_thread(&real.outlet, &files).await;
    assert_thread(&real.account.posts(), &real.account.did, |blob| {
        real.account.blob(blob)
    });
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::BadGateway,
        Fault::RequestLost,
        Fault::HalfReply,
    ] {
        let account = Simulated::new();
        let (one, part) = account.freeze(1, RICH).await;
        account.server.fail_next(fault.clone());
        account
            .publish(&part)
            .await
            .expect("the same again is answered");
        assert_eq!(account.n_standing(&one), 1, "{fault:?}");

        let (two, part) = account.freeze(2, "dos").await;
        account.server.fail_next(fault.clone());
        account.server.fail_next(fault.clone());
        let error = account.publish(&part).await.expect_err("is lost twice");
        assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
        let restarted = account.restarted();
        settle(&restarted, &part).await;
        assert_eq!(account.n_standing(&two), 1, "{fault:?}");
    }
}

#[actix_rt::test]
async fn a_part_that_is_frozen_anew_after_a_crash_is_known_for_the_same() {
    let real = Real::new();
    let one = publication(1, &["hola"]);
    let parts = frozen(&real.outlet, vec![dispatch(&one, 0)]).await;
    let first = settle(&real.outlet, &parts[0]).await;
    let base_url = real.account.base_url();
    let handle = &real.account.handle;
    let restarted = BlueskyOutlet::new(&config(&base_url, handle, pds::PASSWORD, &real.folder));
    let anew = frozen(&restarted, vec![dispatch(&one, 0)]).await;
    assert_ne!(anew[0].bytes, parts[0].bytes, "another time, at least");
    let again = restarted.publish(&anew).await.remove(0);
    assert_eq!(again, Ok(first));
    assert_eq!(real.n_standing(&one), 1);
}

#[actix_rt::test]
async fn what_stands_at_a_key_is_never_replaced() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.publish(&part).await.expect("publishes");
    let other = publication(1, &["otra cosa"]);
    let parts = frozen(&account.outlet, vec![dispatch(&other, 0)]).await;
    let error = send(&account.outlet, &parts[0])
        .await
        .expect_err("is taken");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(account.server.posts()[0].1["text"], "hola");
}

#[actix_rt::test]
async fn an_account_logs_in_once_whoever_posts() {
    let account = Simulated::new();
    let other = account.restarted();
    for number in 0..40 {
        let one = publication(number, &[&format!("hola {number}")]);
        let outlet = if number % 2 == 0 {
            &account.outlet
        } else {
            &other
        };
        let parts = frozen(outlet, vec![dispatch(&one, 0)]).await;
        send(outlet, &parts[0]).await.expect("publishes");
    }
    assert_eq!(account.server.n_logins(), 1);
    assert_eq!(account.server.n_renewals(), 0);
}

#[actix_rt::test]
async fn a_token_whose_time_is_over_is_renewed_once_for_all() {
    let account = Simulated::new();
    let other = account.restarted();
    let mut parts = Vec::new();
    for number in 0..6 {
        parts.push(account.freeze(number, &format!("hola {number}")).await.1);
    }
    other.limit().await.expect("is logged in");
    account.server.expire_access();
    let outlets = [&account.outlet, &other];
    let outlets = outlets.into_iter().cycle();
    let posts = parts.iter().zip(outlets).map(|(part, it)| send(it, part));
    for answer in futures_util::future::join_all(posts).await {
        answer.expect("publishes");
    }
    assert_eq!(account.server.n_renewals(), 1);
    assert_eq!(account.server.n_logins(), 1);
    assert_eq!(account.server.posts().len(), 6);
}

#[actix_rt::test]
async fn a_session_that_was_ended_begins_anew() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.end_session();
    account.publish(&part).await.expect("publishes");
    assert_eq!(account.server.n_logins(), 2);
}

#[actix_rt::test]
async fn a_session_is_kept_where_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let account = Simulated::new();
    account.outlet.limit().await.expect("is logged in");
    let folder = std::fs::read_dir(account.folder.path().join("data")).expect("a folder");
    let mut n_sessions = 0;
    for file in folder {
        let file = file.expect("a file");
        let text = std::fs::read_to_string(file.path()).expect("a text");
        assert!(!text.contains(PASSWORD));
        if text.contains("access-1") {
            n_sessions += 1;
            let mode = file.metadata().expect("a mode").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    assert_eq!(n_sessions, 1);
}

#[actix_rt::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let account = Simulated::with_password("a-wrong-password");
    let error = account.outlet.limit().await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }), "{error}");
    assert!(!format!("{error:?}").contains("a-wrong-password"));
}

#[actix_rt::test]
async fn an_account_that_is_taken_down_needs_a_person() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.server.suspend();
    let error = account.publish(&part).await.expect_err("is refused");
    assert_eq!(error.remedy(), OutletRemedy::Person);
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let account = Simulated::new();
    for (status, error, remedy) in [
        (400, "InvalidRequest", OutletRemedy::GiveUp),
        (400, "AccountTakedown", OutletRemedy::Person),
        (401, "AuthenticationRequired", OutletRemedy::Person),
        (403, "Forbidden", OutletRemedy::Person),
        (413, "PayloadTooLarge", OutletRemedy::GiveUp),
        (429, "RateLimitExceeded", OutletRemedy::Retry(None)),
    ] {
        let (_, part) = account.freeze(1, "hola").await;
        account.server.fail_next(answer(status, &[], error));
        let failure = account.publish(&part).await.expect_err("is refused");
        assert_eq!(failure.remedy(), remedy, "{status} {error}");
    }
}

#[actix_rt::test]
async fn a_limit_is_waited_for_by_the_servers_clock() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    let headers = [
        ("RateLimit-Reset", "1605960300"),
        ("Date", "Sat, 21 Nov 2020 12:00:00 GMT"),
    ];
    account
        .server
        .fail_next(answer(429, &headers, "RateLimitExceeded"));
    let error = account.publish(&part).await.expect_err("is refused");
    let wait = Some(Duration::from_secs(301));
    assert_eq!(error.remedy(), OutletRemedy::Retry(wait));
}

#[actix_rt::test]
async fn spent_points_are_not_asked_for() {
    let account = Simulated::new();
    let (_, first) = account.freeze(1, "uno").await;
    let (_, second) = account.freeze(2, "dos").await;
    account.server.leave_points(3, 600);
    account.publish(&first).await.expect("two are left for it");
    let error = account.publish(&second).await.expect_err("one is left");
    let OutletRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    let expected = Duration::from_secs(590)..Duration::from_secs(602);
    assert!(expected.contains(&wait), "{wait:?}");
    assert_eq!(account.server.n_calls("com.atproto.repo.putRecord"), 1);
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

#[actix_rt::test]
async fn the_limit_is_that_of_the_lexicon_and_what_exceeds_it_is_refused() {
    let real = Real::new();
    assert_eq!(real.outlet.limit().await, Ok(Limit::BLUESKY));
    for (text, is_taken) in [
        ("ñ".repeat(300), true),
        ("ñ".repeat(301), false),
        ("👩‍👩‍👧‍👦".repeat(120), true),
        ("👩‍👩‍👧‍👦".repeat(121), false),
    ] {
        let number = text.len() as u64;
        let one = publication(number, &[&text]);
        let parts = frozen(&real.outlet, vec![dispatch(&one, 0)]).await;
        let answer = real.outlet.publish(&parts).await.remove(0);
        assert_eq!(answer.is_ok(), is_taken, "{answer:?}");
        assert_eq!(Limit::BLUESKY.fits(&text), is_taken);
    }
}

async fn embed_of(account: &Simulated, attached: Attached, text: &str) -> Value {
    let one = hung(1, text, attached);
    let parts = frozen(&account.outlet, vec![dispatch(&one, 0)]).await;
    account.publish(&parts[0]).await.expect("publishes");
    account.server.posts()[0].1["embed"].clone()
}

#[actix_rt::test]
async fn a_link_has_a_card_where_its_page_says_what_it_is() {
    let files = Files::start();
    files.put("/a.png", "image/png", PNG);
    let html = "<title>x</title><meta property='og:title' content='Una página'>\
                <meta property='og:image' content='/a.png'>";
    let page = files.put("/p", "text/html; charset=utf-8", html.as_bytes());
    let account = Simulated::new();
    let text = format!("mira {page} y https://example.org/z");
    let embed = embed_of(&account, Attached::default(), &text).await;
    assert_eq!(embed["external"]["uri"], page);
    assert_eq!(embed["external"]["title"], "Una página");
    assert_eq!(account.server.blob(&embed["external"]["thumb"]).1, PNG);

    let account = Simulated::new();
    let bare = files.refuse("/gone", 404);
    let embed = embed_of(&account, Attached::default(), &bare).await;
    assert_eq!(embed, Value::Null, "the link in the text is enough");
}

#[actix_rt::test]
async fn pictures_that_cannot_be_shown_become_a_card_that_leads_to_the_original() {
    let files = Files::start();
    let account = Simulated::new();
    let attached = Attached {
        media: vec![
            medium(&files.refuse("/gone.png", 404), None),
            medium(
                &files.put("/film.mp4", "video/mp4", crate::simulators::files::MP4),
                None,
            ),
        ],
        ..Attached::default()
    };
    let embed = embed_of(&account, attached, "hola").await;
    assert_eq!(embed["$type"], "app.bsky.embed.external");
    assert_eq!(embed["external"]["uri"], "https://example.org/a?b=1&c=2");
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words_and_what_shows_nothing_does_not() {
    let files = Files::start();
    let account = Simulated::new();
    let with = |url: String| pictured(&url, None);
    let picture = files.put("/a.png", "image/png", PNG);
    let embed = embed_of(&account, with(picture), "").await;
    assert_eq!(embed["images"].as_array().map(Vec::len), Some(1));
    assert_eq!(account.server.posts()[0].1["text"], "");

    let mut one = Publication::clone(&hung(2, "", with(files.refuse("/gone.png", 404))));
    one.url = None;
    let refused = account.outlet.freeze(vec![dispatch(&Arc::new(one), 0)]);
    let error = refused.await.expect_err("nothing can be shown");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_picture_that_cannot_be_had_now_is_waited_for_and_not_for_ever() {
    let files = Files::start();
    let account = Simulated::new();
    let attached = Attached {
        media: vec![
            medium(&files.refuse("/later.png", 503), None),
            medium(&files.put("/a.png", "image/png", PNG), None),
        ],
        ..Attached::default()
    };
    let one = hung(1, "hola", attached);
    let n_failures = RefCell::new(0);
    let parts = loop {
        match account.outlet.freeze(vec![dispatch(&one, 0)]).await {
            Ok(parts) => break parts,
            Err(error) => assert_eq!(error.remedy(), OutletRemedy::Retry(None)),
        }
        *n_failures.borrow_mut() += 1;
    };
    assert_eq!(n_failures.into_inner(), 3);
    account.publish(&parts[0]).await.expect("publishes");
    let images = account.server.posts()[0].1["embed"]["images"].clone();
    assert_eq!(images.as_array().map(Vec::len), Some(1));
}

#[actix_rt::test]
async fn a_quoted_post_is_shown_where_it_stands() {
    let real = Real::new();
    let quoted = real.account.post(&json!({
        "$type": "app.bsky.feed.post", "text": "original", "createdAt": "2026-11-21T12:00:00Z",
    }));
    let attached = Attached {
        quoted: Some(quoted.as_str().into()),
        ..Attached::default()
    };
    published(&real, &hung(1, "hola", attached)).await;
    let posts = real.account.posts();
    let (_, post) = posts
        .iter()
        .find(|it| it.1["text"] == "hola")
        .expect("a post");
    assert_eq!(post["embed"]["$type"], "app.bsky.embed.record");
    assert_eq!(post["embed"]["record"]["uri"], quoted);
}

#[actix_rt::test]
async fn a_mention_leads_to_its_account_and_a_plain_one_to_nobody() {
    let simulated = Simulated::new();
    let real = Real::new();
    let Account { handle, did, .. } = &real.account;
    for (stage, handle, did) in [
        (&simulated as &dyn Shown, HANDLE, DID),
        (&real, handle, did),
    ] {
        let text = format!("Ñ @{handle}, @nadie.test y @\u{200b}{handle}");
        published(stage, &publication(1, &[&text])).await;
        let feature = json!({"$type": "app.bsky.richtext.facet#mention", "did": did});
        assert_eq!(
            places(&stage.posts()[0].1),
            [(format!("@{handle}"), feature)]
        );
    }
}

#[actix_rt::test]
async fn a_handle_that_cannot_be_looked_up_now_is_looked_up_again() {
    let account = Simulated::new();
    let one = publication(1, &[&format!("hola @{HANDLE}")]);
    let wait = Some(Duration::from_secs(7));
    for (status, remedy) in [
        (429, OutletRemedy::Retry(wait)),
        (500, OutletRemedy::Retry(None)),
        (502, OutletRemedy::Retry(None)),
    ] {
        let headers = [("Retry-After", "7")];
        account.server.refuse_next_handle(status, &headers, "Later");
        let frozen = account.outlet.freeze(vec![dispatch(&one, 0)]).await;
        assert_eq!(frozen.expect_err("waits").remedy(), remedy, "{status}");
    }
    published(&account, &one).await;
    assert_eq!(places(&account.posts()[0].1).len(), 1);
}

#[actix_rt::test]
async fn a_handle_that_can_never_be_looked_up_does_not_hold_posts_up_for_ever() {
    let account = Simulated::new();
    let text = format!("hola @{HANDLE}");
    let one = publication(1, &[&text]);
    let freeze = async || {
        account.server.refuse_next_handle(500, &[], "Broken");
        account.outlet.freeze(vec![dispatch(&one, 0)]).await
    };
    let mut n_tries = 1;
    while freeze().await.is_err() {
        n_tries += 1;
        assert!(n_tries < 20, "it waits still");
    }
    assert!(n_tries > 10, "{n_tries}");
    freeze().await.expect("nothing waits for it any more");
    published(&account, &one).await;
    assert_eq!(places(&account.posts()[0].1).len(), 1, "it is known again");
}

#[actix_rt::test]
async fn what_we_published_of_a_quoted_post_is_shown_as_quoted() {
    let simulated = Simulated::new();
    let real = Real::new();
    for stage in [&simulated as &dyn Shown, &real] {
        let first = published(stage, &publication(1, &["antes"])).await;
        let quoting = hung(
            2,
            "mira",
            Attached {
                quoted: Some("https://social.example/@ana/9".into()),
                quoted_as: Some(first.id.clone()),
                ..Attached::default()
            },
        );
        published(stage, &quoting).await;
        let posts = stage.posts();
        let (_, post) = posts
            .iter()
            .find(|it| it.1["text"] == "mira")
            .expect("a post");
        assert_eq!(post["embed"]["$type"], "app.bsky.embed.record");
        let record = &post["embed"]["record"];
        let quoted = format!("{} {}", record["uri"], record["cid"]).replace('"', "");
        assert_eq!(quoted, *first.id);
    }
}

#[actix_rt::test]
async fn a_part_without_the_one_before_it_has_nothing_to_answer() {
    let account = Simulated::new();
    let mut one = (*publication(1, &["uno"])).clone();
    one.parts.push(Part::new("dos"));
    let error = account
        .outlet
        .freeze(vec![dispatch(&Arc::new(one), 1)])
        .await;
    assert_eq!(error.expect_err("no parent").remedy(), OutletRemedy::GiveUp);
}

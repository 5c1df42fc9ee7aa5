//! What a Mastodon outlet does when servers behave as servers do.

mod attached;
mod changes;
mod scheduled;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use babelfeed::http::download::DownloadConfig;
use babelfeed::http::{HttpConfig, Reach};
use babelfeed::outlets::mastodon::{MastodonConfig, MastodonOutlet, Visibility};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Publication};
use babelfeed_actors::logic::compose::{Long, Origin, Style};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, OutletRemedy, Published, ReadBack};

use super::{
    Stage, dispatch, frozen, hung, keeps_the_contract, medium, n_standing, publication, send,
    settle,
};
use crate::simulators::faults::Fault;
use crate::simulators::files::{Files, PNG};
use crate::simulators::mastodon::{Keys, Mastodon, TOKEN, locked};

struct Account {
    outlet: MastodonOutlet,
    server: Mastodon,
}

impl Account {
    fn new(keys: Keys) -> Self {
        Self::with_token(keys, TOKEN)
    }

    fn with_token(keys: Keys, token: &str) -> Self {
        let server = Mastodon::start(keys);
        let outlet = outlet(&server, token);
        Self { outlet, server }
    }

    async fn freeze(&self, number: u64, text: &str) -> (Arc<Publication>, Frozen) {
        let publication = publication(number, &[text]);
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

fn outlet(server: &Mastodon, token: &str) -> MastodonOutlet {
    outlet_with(server, token, Reach::Anywhere)
}

fn outlet_with(server: &Mastodon, token: &str, reach: Reach) -> MastodonOutlet {
    MastodonOutlet::new(config(server, token, reach)).expect("a base address")
}

fn config(server: &Mastodon, token: &str, reach: Reach) -> MastodonConfig {
    MastodonConfig {
        base_url: server.base_url().parse().expect("an address"),
        token: Secret::new(token),
        account: Some("@bot".to_owned()),
        schedule: None,
        quiet: Duration::from_secs(30),
        visibility: Some(Visibility::Unlisted),
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
        download: DownloadConfig {
            reach,
            timeout: Duration::from_secs(5),
            ..DownloadConfig::default()
        },
    }
}

/// Each of these with each of those.
fn pairs<'a, T>(these: &'a [T], those: &'a [T]) -> impl Iterator<Item = (&'a T, &'a T)> {
    these
        .iter()
        .flat_map(move |it| those.iter().map(move |other| (it, other)))
}

impl Stage for Account {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.server.n_standing(text))
    }
}

/// All that leaves it open whether a status is taken.
fn losses() -> [Fault; 5] {
    [
        Fault::ReplyLost,
        Fault::BadGateway,
        Fault::RequestLost,
        locked(),
        Fault::HalfReply,
    ]
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Fault {
    Fault::answer(status, headers, "{\"error\":\"no\"}")
}

#[actix_rt::test]
async fn an_address_leads_readers_where_it_did_whatever_stands_behind_it() {
    let account = Account::new(Keys::Kept);
    let addresses = [
        "https://example.org/timetable",
        "https://example.org/a_(b)?c=d",
    ];
    let texts = [
        "詳細はこちら ADDRESS。次の船は明日。",
        "Voir «ADDRESS», “ADDRESS”…",
        "انظر ADDRESS، ثم عد إلى ADDRESS؟",
        "ADDRESS\u{3000}見る（ADDRESS）！",
    ];
    let style = Style::default();
    let mut expected = Vec::new();
    for (number, (text, address)) in (1..).zip(pairs(&texts, &addresses)) {
        let text = text.replace("ADDRESS", address);
        let composed = style.compose(&text, Limit::MASTODON, Origin::default());
        let composed = composed.expect("it fits").remove(0);
        let (_, part) = account.freeze(number, &composed).await;
        account.publish(&part).await.expect("published");
        let n = text.matches(address).count();
        expected.extend(std::iter::repeat_n((*address).to_owned(), n));
    }
    let cut = Style {
        long: Long::Shorten,
        ..Style::default()
    };
    let long = format!("{} and more words than it takes", addresses[0]);
    let limit = Limit::Mastodon { max: 30, url: 23 };
    let composed = cut.compose(&long, limit, Origin::default());
    let (_, part) = account
        .freeze(99, &composed.expect("it fits").remove(0))
        .await;
    account.publish(&part).await.expect("published");
    expected.push(addresses[0].to_owned());
    assert_eq!(account.server.links(), expected);
}

#[actix_rt::test]
async fn an_account_on_mastodon_keeps_the_contract() {
    keeps_the_contract(Account::new(Keys::Kept)).await;
}

#[actix_rt::test]
async fn an_account_on_a_server_that_ignores_keys_keeps_the_contract() {
    keeps_the_contract(Account::new(Keys::Ignored)).await;
}

#[actix_rt::test]
async fn a_part_goes_out_with_its_language_visibility_and_parent() {
    let account = Account::new(Keys::Kept);
    let (one, part) = account.freeze(1, "parte uno").await;
    let published = settle(&account.outlet, &part).await;
    let mut after = (*one).clone();
    after.parts[0].id = Some(published.id.clone());
    after
        .parts
        .push(babelfeed_actors::domain::Part::new("parte dos"));
    let second = frozen(&account.outlet, vec![dispatch(&Arc::new(after), 1)]).await;
    settle(&account.outlet, &second[0]).await;
    let posted = account.server.statuses().pop().expect("a status");
    assert_eq!(posted.language.as_deref(), Some("es"));
    assert_eq!(posted.visibility.as_deref(), Some("unlisted"));
    assert_eq!(posted.in_reply_to_id.as_deref(), Some(&*published.id));
    assert_eq!(posted.key.as_deref(), Some(&*second[0].key));
    assert!(published.url.is_some());
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_once() {
    for keys in [Keys::Kept, Keys::Ignored] {
        for fault in losses() {
            let account = Account::new(keys);
            let text = "Hola @ana@b.example:\n\nmira https://example.org/un/camino/muy/muy/largo #ya & <ya>";
            let (one, part) = account.freeze(1, text).await;
            account.server.fail_next(fault.clone());
            let error = account.publish(&part).await.expect_err("is lost");
            assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
            let restarted = outlet(&account.server, TOKEN);
            settle(&restarted, &part).await;
            assert_eq!(account.n_standing(&one), 1, "{keys:?} {fault:?}");
        }
    }
}

#[actix_rt::test]
async fn a_text_is_found_behind_many_others() {
    let account = Account::new(Keys::Ignored);
    let (_, part) = account.freeze(1, "hola").await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    for number in 0..100 {
        account.server.post_elsewhere(&format!("otro {number}"));
    }
    let fate = account.outlet.read_back(&part).await.expect("reads back");
    assert!(matches!(fate, ReadBack::Found(_)));
}

#[actix_rt::test]
async fn an_equal_text_of_another_publication_is_not_taken_for_it() {
    let account = Account::new(Keys::Ignored);
    let (_, first) = account.freeze(1, "hola").await;
    let (_, second) = account.freeze(2, "hola").await;
    account.publish(&first).await.expect("publishes");
    let fate = account.outlet.read_back(&second).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
}

#[actix_rt::test]
async fn an_equal_text_from_long_before_is_not_taken_for_it() {
    for lead in [-600, 0, 600] {
        let account = Account::new(Keys::Ignored);
        account.server.set_lead(lead);
        account.server.post_elsewhere("hola");
        let (_, mut part) = account.freeze(1, "hola").await;
        part.mark += 60_000;
        let fate = account.outlet.read_back(&part).await.expect("reads back");
        assert_eq!(fate, ReadBack::Absent, "{lead}");
        part.mark -= 60_000;
        let fate = account.outlet.read_back(&part).await.expect("reads back");
        assert!(matches!(fate, ReadBack::Found(_)), "{lead}");
    }
}

/// Milliseconds since 1970 by our clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("a time").as_millis()).expect("a time")
}

#[actix_rt::test]
async fn when_a_part_was_frozen_is_told_by_the_servers_clock_alone() {
    for lead in [-3_600, 0, 3_600] {
        let account = Account::new(Keys::Ignored);
        account.server.set_lead(lead);
        let (_, part) = account.freeze(1, "hola").await;
        let theirs = now() + lead * 1_000;
        let mark = i64::try_from(part.mark).expect("a time");
        let before = theirs - mark;
        assert!((0..30_000).contains(&before), "{lead} {before}");
    }
}

#[actix_rt::test]
async fn a_resend_after_the_keys_hour_doubles_nothing() {
    let account = Account::new(Keys::Kept);
    let (one, part) = account.freeze(1, "hola").await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&part).await.expect_err("is lost");
    let fate = account.outlet.read_back(&part).await.expect("reads back");
    account.server.forget_keys();
    if fate == ReadBack::Absent {
        let (_, again) = account.freeze(1, "hola").await;
        account.publish(&again).await.expect("publishes");
    }
    assert_eq!(account.n_standing(&one), 1);
}

#[actix_rt::test]
async fn what_cannot_be_read_back_stays_unknown_however_young_its_key_is() {
    for keys in [Keys::Kept, Keys::Ignored] {
        let account = Account::new(keys);
        account.outlet.limit().await.expect("a limit");
        let (_, part) = account.freeze(1, "hola").await;
        account.server.fail_next_read(answer(500, &[]));
        let fate = account.outlet.read_back(&part).await;
        fate.expect_err("cannot be told");
    }
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let account = Account::new(Keys::Kept);
    let wait = Some(Duration::from_secs(7));
    for (status, remedy) in [
        (401, OutletRemedy::Person),
        (403, OutletRemedy::Person),
        (404, OutletRemedy::GiveUp),
        (422, OutletRemedy::GiveUp),
        (429, OutletRemedy::Retry(wait)),
        (500, OutletRemedy::ReadBack),
        (503, OutletRemedy::ReadBack),
    ] {
        let error = account
            .failure(answer(status, &[("Retry-After", "7")]))
            .await;
        assert_eq!(error.remedy(), remedy, "{status}");
    }
}

#[actix_rt::test]
async fn a_reset_is_read_in_both_forms_by_the_servers_clock() {
    let account = Account::new(Keys::Kept);
    for reset in ["2020-11-21T12:05:00.000000Z", "1605960300"] {
        let headers = [
            ("X-RateLimit-Reset", reset),
            ("Date", "Sat, 21 Nov 2020 12:00:00 GMT"),
        ];
        let error = account.failure(answer(429, &headers)).await;
        let wait = Some(Duration::from_secs(301));
        assert_eq!(error.remedy(), OutletRemedy::Retry(wait), "{reset}");
    }
}

#[actix_rt::test]
async fn a_bad_token_is_told_and_never_shown() {
    let account = Account::with_token(Keys::Kept, "a-wrong-token");
    let (_, part) = account.freeze(1, "hola").await;
    let error = account.publish(&part).await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }));
    assert!(!format!("{error:?}").contains("a-wrong-token"));
    let error = account.outlet.limit().await.expect_err("is refused");
    assert!(matches!(error, OutletError::Auth { .. }));
}

#[actix_rt::test]
async fn a_server_that_is_not_there_was_not_reached() {
    let server = Mastodon::start(Keys::Kept);
    let outlet = outlet(&server, TOKEN);
    let one = publication(1, &["hola"]);
    let parts = frozen(&outlet, vec![dispatch(&one, 0)]).await;
    drop(server);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let error = outlet
            .publish(&parts)
            .await
            .remove(0)
            .expect_err("no server");
        if matches!(error, OutletError::Unreachable { .. }) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
}

#[actix_rt::test]
async fn the_limit_is_the_servers_own_and_asked_once() {
    for has_v2 in [true, false] {
        let account = Account::new(Keys::Kept);
        account.server.set_max_characters(1234);
        if !has_v2 {
            account.server.forget_v2();
        }
        let expected = Limit::Mastodon { max: 1234, url: 23 };
        assert_eq!(account.outlet.limit().await, Ok(expected));
        let n_requests = account.server.requests().len();
        assert_eq!(account.outlet.limit().await, Ok(expected));
        assert_eq!(account.server.requests().len(), n_requests);
    }
}

#[actix_rt::test]
async fn a_text_beyond_the_limit_is_rejected() {
    let account = Account::new(Keys::Kept);
    let (_, part) = account.freeze(1, &"x".repeat(501)).await;
    let error = account.publish(&part).await.expect_err("too long");
    assert!(matches!(error, OutletError::Rejected { .. }));
    assert!(error.to_string().contains("character limit of 500"));
}

#[actix_rt::test]
async fn an_instance_with_eleven_thousand_characters_takes_a_text_of_that_length() {
    let account = Account::new(Keys::Kept);
    account.server.set_max_characters(11_000);
    let expected = Limit::Mastodon {
        max: 11_000,
        url: 23,
    };
    assert_eq!(account.outlet.limit().await, Ok(expected));
    let (one, part) = account.freeze(1, &"hola ".repeat(2_200)).await;
    account.publish(&part).await.expect("publishes");
    assert_eq!(account.n_standing(&one), 1);
}

#[actix_rt::test]
async fn what_never_arrived_is_absent_also_where_an_account_has_no_pages() {
    let account = Account::new(Keys::Ignored);
    account.server.forget_pages();
    let (_, part) = account.freeze(1, "hola").await;
    for n_others in [1, 20, 180] {
        for number in account.server.statuses().len()..n_others {
            account.server.post_elsewhere(&format!("otro {number}"));
        }
        let fate = account.outlet.read_back(&part).await;
        assert_eq!(fate, Ok(ReadBack::Absent), "{n_others}");
    }
}

/// A publication as it stands once its only part is out.
fn out(publication: &Publication, published: &Published) -> Arc<Publication> {
    let mut publication = publication.clone();
    publication.parts[0].id = Some(published.id.clone());
    Arc::new(publication)
}

#[actix_rt::test]
async fn after_a_restart_what_is_another_publications_is_not_taken_for_one_that_was_never_sent() {
    let account = Account::new(Keys::Kept);
    let (one, part) = account.freeze(1, "Buenos días").await;
    let published = account.publish(&part).await.expect("publishes");
    let (_, never_sent) = account.freeze(2, "Buenos días").await;
    let restarted = outlet(&account.server, TOKEN);
    restarted.remember(&[out(&one, &published)]);
    let fate = restarted.read_back(&never_sent).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
    let fate = restarted.read_back(&part).await.expect("reads back");
    assert!(matches!(fate, ReadBack::Found(found) if found.id == published.id));
}

#[actix_rt::test]
async fn media_without_words_are_told_apart_by_their_number() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let freeze = async |number, n_pictures| {
        let attached = Attached {
            media: vec![medium(&picture, None); n_pictures],
            ..Attached::default()
        };
        let one = hung(number, "", attached);
        frozen(&account.outlet, vec![dispatch(&one, 0)])
            .await
            .remove(0)
    };
    let (one, two) = (freeze(1, 1).await, freeze(2, 2).await);
    account.publish(&one).await.expect("publishes");
    let restarted = outlet(&account.server, TOKEN);
    let fate = restarted.read_back(&two).await.expect("reads back");
    assert_eq!(fate, ReadBack::Absent);
    let fate = restarted.read_back(&one).await.expect("reads back");
    assert!(matches!(fate, ReadBack::Found(_)));
}

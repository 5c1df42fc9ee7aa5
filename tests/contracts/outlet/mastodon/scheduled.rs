//! What the server is left to publish at its time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use babelfeed::outlets::mastodon::{MastodonConfig, MastodonOutlet};
use babelfeed_actors::domain::{Attached, Part, Publication, Timestamp};
use babelfeed_actors::ports::{Frozen, Outlet, OutletError, OutletRemedy, ReadBack};

use super::super::{dispatch, frozen, pictured, publication, send};
use super::{Account, Reach, TOKEN, answer, config, losses};
use crate::simulators::files::{Files, PNG};
use crate::simulators::mastodon::{Keys, Mastodon};

const MINUTE: Duration = Duration::from_secs(60);
/// How long after its planning something is to be out, in seconds for the server's clock.
const SCHEDULE: i64 = 1_800;

fn outlet(server: &Mastodon, schedule: Duration) -> MastodonOutlet {
    let config = MastodonConfig {
        schedule: Some(schedule),
        ..config(server, TOKEN, Reach::Anywhere)
    };
    MastodonOutlet::new(config).expect("a base address")
}

fn scheduling(keys: Keys) -> Account {
    let server = Mastodon::start(keys);
    let outlet = outlet(&server, 30 * MINUTE);
    Account { outlet, server }
}

/// A publication that was planned just now, or so long ago.
fn planned(number: u64, text: &str, ago: Duration) -> Publication {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let at = now.expect("is later").saturating_sub(ago).as_millis() as i64;
    Publication {
        created_at: Timestamp::from_millis(at + number as i64),
        ..Publication::clone(&publication(number, &[text]))
    }
}

async fn freeze(outlet: &MastodonOutlet, publication: Publication) -> Frozen {
    let publication = Arc::new(publication);
    frozen(outlet, vec![dispatch(&publication, 0)])
        .await
        .remove(0)
}

/// Hands a new part in, and returns it.
async fn schedule(account: &Account, number: u64, text: &str) -> Frozen {
    let part = freeze(&account.outlet, planned(number, text, Duration::ZERO)).await;
    let answer = account.publish(&part).await.expect_err("is not out");
    assert!(matches!(answer, OutletError::Scheduled { .. }), "{answer}");
    part
}

#[actix_rt::test]
async fn a_part_is_out_at_its_time_under_an_id_that_is_then_found() {
    for keys in [Keys::Kept, Keys::Ignored] {
        let account = scheduling(keys);
        account.outlet.limit().await.expect("a limit");
        let part = freeze(&account.outlet, planned(1, "hola", Duration::ZERO)).await;
        let answer = account.publish(&part).await.expect_err("is not out");
        let OutletRemedy::Await(wait) = answer.remedy() else {
            panic!("{answer}");
        };
        assert!((1_790..=1_801).contains(&wait.as_secs()), "{wait:?}");
        let [waiting] = &account.server.scheduled()[..] else {
            panic!("{:?}", account.server.scheduled());
        };
        let planned_at = part.dispatch.publication.created_at.as_millis();
        assert_eq!(waiting.at.timestamp_millis(), planned_at + SCHEDULE * 1_000);
        assert_eq!(waiting.status.visibility.as_deref(), Some("unlisted"));
        let fate = account.outlet.read_back(&part).await;
        assert!(matches!(fate, Ok(ReadBack::Scheduled(_))), "{fate:?}");
        assert_eq!(account.server.statuses().len(), 0);

        account.server.set_lead(SCHEDULE + 60);

        let fate = account.outlet.read_back(&part).await;
        let Ok(ReadBack::Found(published)) = fate else {
            panic!("{keys:?} {fate:?}");
        };
        let status = account.server.statuses().remove(0);
        assert_eq!((&*published.id, &*status.text), (&*status.id, "hola"));
        assert_ne!(status.id, waiting.id);
        assert!(published.url.is_some());
    }
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_part_is_handed_in_once() {
    for keys in [Keys::Kept, Keys::Ignored] {
        for fault in losses() {
            let account = scheduling(keys);
            let part = freeze(&account.outlet, planned(1, "hola", Duration::ZERO)).await;
            account.server.fail_next(fault.clone());
            let error = account.publish(&part).await.expect_err("is lost");
            assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
            let restarted = outlet(&account.server, 30 * MINUTE);
            if restarted.read_back(&part).await == Ok(ReadBack::Absent) {
                let answer = send(&restarted, &part).await.expect_err("is not out");
                assert!(matches!(answer, OutletError::Scheduled { .. }), "{answer}");
            }
            assert_eq!(account.server.scheduled().len(), 1, "{keys:?} {fault:?}");
            account.server.set_lead(SCHEDULE + 60);
            let fate = restarted.read_back(&part).await;
            assert!(matches!(fate, Ok(ReadBack::Found(_))), "{keys:?} {fault:?}");
            assert_eq!(account.server.n_standing("hola"), 1);
        }
    }
}

#[actix_rt::test]
async fn what_a_person_takes_back_is_neither_waiting_nor_out() {
    let account = scheduling(Keys::Kept);
    let part = schedule(&account, 1, "hola").await;
    account.server.take_back_scheduled();
    let fate = account.outlet.read_back(&part).await;
    assert_eq!(fate, Ok(ReadBack::Absent));
    account.server.set_lead(SCHEDULE + 600);
    let fate = account.outlet.read_back(&part).await;
    assert_eq!(fate, Ok(ReadBack::Absent));
}

#[actix_rt::test]
async fn about_its_time_what_is_nowhere_may_be_on_its_way() {
    let account = scheduling(Keys::Kept);
    let part = schedule(&account, 1, "hola").await;
    account.server.take_back_scheduled();
    account.server.set_lead(SCHEDULE + 5);
    let fate = account.outlet.read_back(&part).await;
    assert_eq!(
        fate.map_err(|error| error.remedy()),
        Err(OutletRemedy::ReadBack)
    );
}

#[actix_rt::test]
async fn a_part_is_known_at_the_time_that_a_person_gave_it() {
    let account = scheduling(Keys::Kept);
    let part = schedule(&account, 1, "hola").await;
    account.server.put_off_scheduled(3_600);
    let restarted = outlet(&account.server, 30 * MINUTE);
    let Ok(ReadBack::Scheduled(wait)) = restarted.read_back(&part).await else {
        panic!("is waiting");
    };
    assert!((5_380..=5_401).contains(&wait.as_secs()), "{wait:?}");
}

#[actix_rt::test]
async fn equal_texts_are_told_apart_by_their_times() {
    let account = scheduling(Keys::Kept);
    let one = schedule(&account, 1, "hola").await;
    let two = schedule(&account, 70_002, "hola").await;
    let restarted = outlet(&account.server, 30 * MINUTE);
    let fate = restarted.unschedule(&one).await;
    assert_eq!(fate, Ok(ReadBack::Absent));
    let left = account.server.scheduled();
    let planned_at = two.dispatch.publication.created_at.as_millis();
    let times: Vec<i64> = left.iter().map(|it| it.at.timestamp_millis()).collect();
    assert_eq!(times, [planned_at + SCHEDULE * 1_000]);
}

#[actix_rt::test]
async fn a_list_that_is_full_is_waited_for() {
    let account = scheduling(Keys::Kept);
    let first = planned(0, "texto", Duration::ZERO);
    let mut answers = Vec::new();
    for number in 0..26 {
        let mut next = planned(number, &format!("texto {number}"), Duration::ZERO);
        // All of them on one day.
        next.created_at = first.created_at;
        let part = freeze(&account.outlet, next).await;
        answers.push(account.publish(&part).await.expect_err("is not out"));
    }
    let full = answers.pop().expect("an answer");
    assert_eq!(full.remedy(), OutletRemedy::Retry(Some(MINUTE)), "{full}");
    let is_taken = |it: &OutletError| matches!(it, OutletError::Scheduled { .. });
    assert!(answers.iter().all(is_taken), "{answers:?}");
}

#[actix_rt::test]
async fn what_is_late_already_and_what_follows_in_a_thread_goes_out_at_once() {
    let account = scheduling(Keys::Kept);
    let late = freeze(&account.outlet, planned(1, "hola", 31 * MINUTE)).await;
    let published = account.publish(&late).await.expect("is out");
    let mut two = planned(2, "hola", Duration::ZERO);
    two.parts[0].id = Some(published.id);
    two.parts.push(Part::new("adiós"));
    let two = Arc::new(two);
    let second = frozen(&account.outlet, vec![dispatch(&two, 1)]).await;
    account.publish(&second[0]).await.expect("is out");
    assert_eq!(account.server.n_standing("adiós"), 1);
}

#[actix_rt::test]
async fn what_is_nearly_late_or_by_another_clock_is_given_a_time_that_is_taken() {
    for lead in [0, 240, -240] {
        let account = scheduling(Keys::Kept);
        account.server.set_lead(lead);
        account.outlet.limit().await.expect("a limit");
        let part = freeze(&account.outlet, planned(1, "hola", 29 * MINUTE)).await;
        let answer = account.publish(&part).await.expect_err("is not out");
        assert!(
            matches!(answer, OutletError::Scheduled { .. }),
            "{lead} {answer}"
        );
    }
}

#[actix_rt::test]
async fn a_clock_that_went_ahead_unseen_has_the_time_chosen_anew() {
    let account = scheduling(Keys::Kept);
    let part = freeze(&account.outlet, planned(1, "hola", 24 * MINUTE)).await;
    account.server.set_lead(240);
    let error = account.publish(&part).await.expect_err("is too near");
    assert_eq!(error.remedy(), OutletRemedy::Retry(None), "{error}");
    let again = Publication::clone(&part.dispatch.publication);
    let part = freeze(&account.outlet, again).await;
    let answer = account.publish(&part).await.expect_err("is not out");
    assert!(matches!(answer, OutletError::Scheduled { .. }), "{answer}");
}

#[actix_rt::test]
async fn a_refusal_of_the_text_is_final() {
    let account = scheduling(Keys::Kept);
    let part = freeze(
        &account.outlet,
        planned(1, &"x".repeat(501), Duration::ZERO),
    )
    .await;
    let error = account.publish(&part).await.expect_err("too long");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp, "{error}");
}

#[actix_rt::test]
async fn what_is_taken_back_frees_its_media_for_the_edit() {
    let (account, files) = (scheduling(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let with_picture = |number, text: &str| Publication {
        post: "post-1".into(),
        attached: Some(Arc::new(Attached {
            ..pictured(&picture, Some("un gato"))
        })),
        ..planned(number, text, Duration::ZERO)
    };
    let before = freeze(&account.outlet, with_picture(1, "hola")).await;
    account.publish(&before).await.expect_err("is not out");
    for _ in 0..2 {
        let fate = account.outlet.unschedule(&before).await;
        assert_eq!(fate, Ok(ReadBack::Absent));
    }
    let after = freeze(&account.outlet, with_picture(2, "adiós")).await;
    account.publish(&after).await.expect_err("is not out");
    account.server.set_lead(SCHEDULE + 60);
    let [status] = &account.server.statuses()[..] else {
        panic!("{:?}", account.server.statuses());
    };
    assert_eq!((status.text.as_str(), status.media.len()), ("adiós", 1));
    assert_eq!(account.server.media().len(), 1);
}

#[actix_rt::test]
async fn what_is_out_meanwhile_is_found_and_not_taken_back() {
    let account = scheduling(Keys::Kept);
    let part = schedule(&account, 1, "hola").await;
    account.server.set_lead(SCHEDULE + 1);
    let fate = account.outlet.unschedule(&part).await;
    assert!(matches!(fate, Ok(ReadBack::Found(_))), "{fate:?}");
    assert_eq!(account.server.n_standing("hola"), 1);
}

#[actix_rt::test]
async fn a_list_that_cannot_be_read_tells_nothing() {
    let account = scheduling(Keys::Kept);
    let part = schedule(&account, 1, "hola").await;
    account.server.fail_next_read(answer(500, &[]));
    account
        .outlet
        .read_back(&part)
        .await
        .expect_err("cannot tell");
    account.server.fail_next_read(answer(500, &[]));
    account
        .outlet
        .unschedule(&part)
        .await
        .expect_err("cannot tell");
    assert_eq!(account.server.scheduled().len(), 1);
}

#[actix_rt::test]
async fn a_server_that_publishes_nothing_later_is_told_before_anything_is_sent() {
    let account = scheduling(Keys::Ignored);
    account.server.forget_schedule();
    let error = account.outlet.limit().await.expect_err("has no such thing");
    assert!(error.to_string().contains("`schedule`"), "{error}");
}

//! What hangs on a text, at a server that takes its time and does not take everything.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Attached, Poll, Publication};
use babelfeed_actors::ports::{Outlet, OutletError, OutletRemedy, ReadBack};

use super::super::{
    answering, dispatch, frozen, hung, medium, publication, publish_warned, settle,
};
use super::{Account, outlet};
use crate::simulators::faults::Fault;
use crate::simulators::files::{Files, MP4, PNG};
use crate::simulators::mastodon::{Handling, Keys, Mastodon, Posted, TOKEN};

fn pictures(urls: &[String]) -> Attached {
    Attached {
        media: urls
            .iter()
            .map(|url| medium(url, Some("un gato")))
            .collect(),
        ..Attached::default()
    }
}

/// Publishes it, and returns what stands then.
async fn posted(account: &Account, publication: &Arc<Publication>) -> Posted {
    let parts = frozen(&account.outlet, vec![dispatch(publication, 0)]).await;
    settle(&account.outlet, &parts[0]).await;
    account.server.statuses().pop().expect("a status")
}

#[actix_rt::test]
async fn warning_media_and_descriptions_go_out_with_the_text() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let attached = Attached {
        warning: Some("ruido".into()),
        ..pictures(&[picture])
    };
    let status = posted(&account, &hung(1, "hola", attached)).await;
    assert_eq!(status.warning.as_deref(), Some("ruido"));
    assert!(status.is_sensitive);
    let [medium] = &account.server.media()[..] else {
        panic!("{:?}", account.server.media());
    };
    assert_eq!(status.media, std::slice::from_ref(&medium.id));
    assert_eq!(
        (medium.mime.as_str(), medium.n_bytes),
        ("image/png", PNG.len())
    );
    assert_eq!(medium.description, "un gato");
    assert_eq!(status.text, "hola");
}

#[actix_rt::test]
async fn a_warning_hides_every_part_of_a_thread() {
    let account = Account::new(Keys::Kept);
    publish_warned(&account.outlet).await;
    let statuses = account.server.statuses();
    let warnings: Vec<Option<&str>> = statuses.iter().map(|it| it.warning.as_deref()).collect();
    assert_eq!(warnings, [Some("ruido"), Some("ruido")]);
    assert!(statuses.iter().all(|it| it.is_sensitive));
}

#[actix_rt::test]
async fn media_go_out_without_words() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let status = posted(&account, &hung(1, "", pictures(&[picture]))).await;
    assert_eq!((status.text.as_str(), status.media.len()), ("", 1));
    let gone = files.refuse("/gone.png", 404);
    let status = posted(
        &account,
        &hung(2, "", pictures(std::slice::from_ref(&gone))),
    )
    .await;
    assert_eq!((status.text, status.media.len()), (gone, 0));
}

#[actix_rt::test]
async fn a_medium_that_is_being_processed_is_waited_for() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    account.server.handle_next(Handling::Slow(2));
    let picture = files.put("/a.png", "image/png", PNG);
    let status = posted(&account, &hung(1, "hola", pictures(&[picture]))).await;
    assert_eq!(status.media.len(), 1);
}

#[actix_rt::test]
async fn a_medium_that_cannot_be_attached_yet_is_attached_later_and_handed_in_once() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    account.server.handle_next(Handling::Hasty(2));
    let picture = files.put("/a.png", "image/png", PNG);
    let one = hung(1, "hola", pictures(&[picture]));
    let parts = frozen(&account.outlet, vec![dispatch(&one, 0)]).await;
    let error = account.publish(&parts[0]).await.expect_err("is refused");
    assert!(
        matches!(error.remedy(), OutletRemedy::Retry(Some(_))),
        "{error}"
    );
    let status = posted(&account, &one).await;
    assert_eq!(status.media.len(), 1);
    assert_eq!(account.server.media().len(), 1);
}

#[actix_rt::test]
async fn what_the_server_does_not_take_becomes_a_link() {
    let files = Files::start();
    let picture = files.put("/a.png", "image/png", PNG);
    let large = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 1_000_001]].concat();
    let cases = [
        (Some(Handling::Fails(1)), picture.clone()),
        (Some(Handling::Refused(422, "no".into())), picture.clone()),
        (Some(Handling::Refused(413, "no".into())), picture),
        (None, files.put("/a.bmp", "image/bmp", b"BM")),
        (None, files.put("/large.png", "image/png", &large)),
        (None, files.put("/page.png", "text/html", b"<html>")),
        (None, files.refuse("/gone.png", 404)),
        (None, files.refuse("/broken.png", 503)),
        (None, "ftp://127.0.0.1/a.png".to_owned()),
    ];
    for (handling, url) in cases {
        let account = Account::new(Keys::Kept);
        if let Some(handling) = handling.clone() {
            account.server.handle_next(handling);
        }
        let status = posted(
            &account,
            &hung(1, "hola", pictures(std::slice::from_ref(&url))),
        )
        .await;
        assert_eq!(status.media, [] as [String; 0], "{handling:?} {url}");
        assert_eq!(status.text, format!("hola\n\n{url}"), "{handling:?}");
    }
}

#[actix_rt::test]
async fn a_file_that_stumbles_the_server_is_tried_twice() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let failure = "Error processing thumbnail for uploaded media";
    account
        .server
        .handle_next(Handling::Refused(500, failure.into()));
    let picture = files.put("/a.png", "image/png", PNG);
    let status = posted(&account, &hung(1, "hola", pictures(&[picture]))).await;
    assert_eq!(status.media.len(), 1);
}

#[actix_rt::test]
async fn four_pictures_or_one_film_are_attached_and_the_others_are_links() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = |number: usize| files.put(&format!("/{number}.png"), "image/png", PNG);
    let film = files.put("/film", "application/octet-stream", MP4);
    let mut urls: Vec<String> = (0..2).map(picture).collect();
    urls.push(film.clone());
    urls.extend((2..5).map(picture));
    let status = posted(&account, &hung(1, "hola", pictures(&urls))).await;
    assert_eq!(status.media.len(), 4);
    assert_eq!(status.text, format!("hola\n\n{film}\n\n{}", urls[5]));
    let status = posted(
        &account,
        &hung(2, "cine", pictures(&[film, urls[0].clone()])),
    )
    .await;
    assert_eq!(status.media.len(), 1);
    assert_eq!(status.text, format!("cine\n\n{}", urls[0]));
}

#[actix_rt::test]
async fn a_link_that_does_not_fit_is_left_out() {
    let account = Account::new(Keys::Kept);
    let text = "x".repeat(490);
    let attached = pictures(&["https://nowhere.invalid/a.png".to_owned()]);
    let status = posted(&account, &hung(1, &text, attached)).await;
    assert_eq!(status.text, text);
}

#[actix_rt::test]
async fn a_lost_answer_to_an_upload_posts_nothing_twice() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    account.server.handle_next(Handling::ReplyLost);
    let picture = files.put("/a.png", "image/png", PNG);
    let one = hung(1, "hola", pictures(&[picture]));
    let error = account.outlet.freeze(vec![dispatch(&one, 0)]).await;
    assert!(matches!(error, Err(OutletError::Unreachable { .. })));
    let status = posted(&account, &one).await;
    assert_eq!(status.media.len(), 1);
    assert_eq!(account.server.statuses().len(), 1);
}

#[actix_rt::test]
async fn media_that_the_server_has_forgotten_are_handed_in_again_after_a_restart() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let one = hung(1, "hola", pictures(&[picture]));
    let parts = frozen(&account.outlet, vec![dispatch(&one, 0)]).await;
    account.server.forget_media();
    let restarted = outlet(&account.server, TOKEN);
    let error = restarted.publish(&parts).await.remove(0).expect_err("lost");
    assert_eq!(error.remedy(), OutletRemedy::Retry(None));
    let parts = frozen(&restarted, vec![dispatch(&one, 0)]).await;
    settle(&restarted, &parts[0]).await;
    assert_eq!(account.server.statuses()[0].media.len(), 1);
}

#[actix_rt::test]
async fn media_that_are_lost_again_and_again_are_not_handed_in_for_ever() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let one = hung(1, "hola", pictures(&[picture]));
    let mut remedies = Vec::new();
    for _ in 0..2 {
        let parts = frozen(&account.outlet, vec![dispatch(&one, 0)]).await;
        account.server.forget_media();
        let error = account.publish(&parts[0]).await.expect_err("is lost");
        remedies.push(error.remedy());
    }
    assert_eq!(remedies, [OutletRemedy::Retry(None), OutletRemedy::GiveUp]);
}

#[actix_rt::test]
async fn media_of_this_machine_are_not_downloaded_unless_that_is_allowed() {
    let (server, files) = (Mastodon::start(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let outlet = super::outlet_with(&server, TOKEN, babelfeed::http::Reach::Public);
    let one = hung(1, "hola", pictures(&[picture]));
    let parts = frozen(&outlet, vec![dispatch(&one, 0)]).await;
    settle(&outlet, &parts[0]).await;
    assert_eq!(server.media().len(), 0);
    assert_eq!(files.asked(), [] as [String; 0]);
}

#[actix_rt::test]
async fn redirects_of_media_are_followed() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let moved = files.redirect("/b.png", &picture);
    let status = posted(&account, &hung(1, "hola", pictures(&[moved]))).await;
    assert_eq!(status.media.len(), 1);
}

fn poll(options: &[&str]) -> Attached {
    Attached {
        poll: Some(Poll {
            options: options.iter().map(|it| it.to_string()).collect(),
            is_multiple: true,
            lasts: Some(Duration::from_secs(7_200)),
        }),
        ..Attached::default()
    }
}

#[actix_rt::test]
async fn a_poll_is_a_poll_where_the_server_takes_it_and_words_elsewhere() {
    let account = Account::new(Keys::Kept);
    let status = posted(&account, &hung(1, "¿qué?", poll(&["sí", "no"]))).await;
    let poll_of = status.poll.expect("a poll");
    assert_eq!(poll_of["options"][0], "sí");
    assert_eq!(poll_of["expires_in"], 7_200);
    assert_eq!(poll_of["multiple"], true);
    for (number, options, text) in [
        (
            2,
            &["a", "b", "c", "d", "e"][..],
            "¿qué?\n\n• a\n• b\n• c\n• d\n• e",
        ),
        (3, &["Sí", "Sí", "No"], "¿qué?\n\n• Sí\n• Sí\n• No"),
    ] {
        let status = posted(&account, &hung(number, "¿qué?", poll(options))).await;
        assert!(status.poll.is_none());
        assert_eq!(status.text, text);
    }
}

#[actix_rt::test]
async fn media_beside_a_poll_become_links() {
    let (account, files) = (Account::new(Keys::Kept), Files::start());
    let picture = files.put("/a.png", "image/png", PNG);
    let attached = Attached {
        media: vec![medium(&picture, None)],
        ..poll(&["sí", "no"])
    };
    let status = posted(&account, &hung(1, "¿qué?", attached)).await;
    assert!(status.poll.is_some());
    assert_eq!(status.text, format!("¿qué?\n\n{picture}"));
}

/// Asserts that a post which says `mira` quotes that one, or else leads to its address.
fn assert_quoted(status: &Posted, quoted: Option<String>, address: &str) {
    let text = match quoted {
        Some(_) => "mira".to_owned(),
        None => format!("mira\n\n{address}"),
    };
    assert_eq!((&status.quoted, &status.text), (&quoted, &text));
}

#[actix_rt::test]
async fn our_own_post_is_quoted_and_anothers_is_linked() {
    for (api_version, is_own, is_quoted) in [(7, true, true), (6, true, false), (7, false, false)] {
        let account = Account::new(Keys::Kept);
        account.server.set_api_version(api_version);
        let id = account.server.post_elsewhere("antes");
        let name = if is_own { "bot" } else { "otra" };
        let address = format!("{}/@{name}/{id}", account.server.base_url());
        let attached = Attached {
            quoted: Some(address.as_str().into()),
            ..Attached::default()
        };
        let status = posted(&account, &hung(1, "mira", attached)).await;
        assert_quoted(&status, is_quoted.then_some(id), &address);
    }
}

#[actix_rt::test]
async fn a_post_that_quotes_is_found_again() {
    let account = Account::new(Keys::Ignored);
    account.server.set_api_version(7);
    let id = account.server.post_elsewhere("antes");
    let attached = Attached {
        quoted_as: Some(id.as_str().into()),
        ..Attached::default()
    };
    let quoting = hung(1, "mira", attached);
    let parts = frozen(&account.outlet, vec![dispatch(&quoting, 0)]).await;
    account.server.fail_next(Fault::ReplyLost);
    account.publish(&parts[0]).await.expect_err("is lost");
    let fate = account.outlet.read_back(&parts[0]).await;
    assert!(matches!(fate, Ok(ReadBack::Found(_))), "{fate:?}");
}

#[actix_rt::test]
async fn what_we_published_of_a_quoted_post_is_quoted_and_else_it_is_linked() {
    for (api_version, is_quoted) in [(7, true), (6, false)] {
        let account = Account::new(Keys::Kept);
        account.server.set_api_version(api_version);
        let id = account.server.post_elsewhere("antes");
        let address = "https://b.example/@ana/9";
        let attached = Attached {
            quoted: Some(address.into()),
            quoted_as: Some(id.as_str().into()),
            ..Attached::default()
        };
        let status = posted(&account, &hung(1, "mira", attached)).await;
        assert_quoted(&status, is_quoted.then_some(id), address);
    }
}

#[actix_rt::test]
async fn a_publication_answers_the_one_before_it_in_the_thread() {
    let account = Account::new(Keys::Kept);
    let first = account.server.post_elsewhere("uno");
    let mut two = Publication::clone(&publication(2, &["dos"]));
    two.thread = Some(answering(&first));
    let status = posted(&account, &Arc::new(two)).await;
    assert_eq!(status.in_reply_to_id, Some(first));
}

#[actix_rt::test]
async fn an_answer_to_what_is_gone_is_refused_and_says_why() {
    let account = Account::new(Keys::Kept);
    let mut two = Publication::clone(&publication(2, &["dos"]));
    two.thread = Some(answering("7"));
    let parts = frozen(&account.outlet, vec![dispatch(&Arc::new(two), 0)]).await;
    let error = account.publish(&parts[0]).await.expect_err("no parent");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert!(error.to_string().contains("reply to"), "{error}");
}

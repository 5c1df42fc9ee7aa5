//! What hangs on a text that goes to X.

use std::sync::Arc;
use std::time::Duration;

use babelfeed::http::download::DownloadConfig;
use babelfeed::outlets::x::{Quotes, XConfig, XOutlet};
use babelfeed::x::Identity;
use babelfeed_actors::domain::{Attached, Poll, Publication};
use babelfeed_actors::ports::{Outlet as _, OutletRemedy};

use super::super::{dispatch, frozen, medium, publication, publish_warned, settle};
use super::{Account, config, keys};
use crate::simulators::faults::Fault;
use crate::simulators::server::{Answer, Server};
use crate::simulators::x::Stored;

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
            "/down.png" => Answer::new(503, "text/plain", "not now"),
            _ => Answer::new(404, "text/plain", "no"),
        }
        .into()
    })
}

fn attached(server: &Server, files: &[(&str, Option<&str>)]) -> Option<Arc<Attached>> {
    let address = |name: &str| format!("{}/{name}", server.base_url());
    let media = files.iter().map(|(name, alt)| medium(&address(name), *alt));
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

/// Posts a text with those files, and returns the post.
async fn posted(account: &Account, attached: Option<Arc<Attached>>) -> Stored {
    let (_, part) = account
        .freeze_as(1, "foto", |it| it.attached = attached)
        .await;
    account.publish(&part).await.expect("publishes");
    account.server.posts().pop().expect("a post")
}

#[actix_rt::test]
async fn media_that_x_does_not_take_become_addresses() {
    for name in ["large.png", "gone.png"] {
        let account = Account::with_keys();
        let files = files();
        let both = attached(&files, &[(name, None), ("a.png", None)]);
        let post = posted(&account, both).await;
        let text = format!("foto\n\n{}/{name}", files.base_url());
        assert_eq!((post.text, post.media.len()), (text, 1), "{name}");
    }
}

#[actix_rt::test]
async fn what_has_no_place_beside_the_others_becomes_an_address_and_costs_what_was_told() {
    let account = Account::with_keys();
    let files = files();
    let four = [("a.png", Some("Un barco")); 4];
    let mut all = (*attached(&files, &four).expect("pictures")).clone();
    all.is_sensitive = false;
    for name in ["5.png", "6.mp4"] {
        let address = format!("https://example.org/{name}");
        all.media.push(medium(&address, Some("Otro")));
    }
    let (publication, part) = account
        .freeze_as(1, "fotos", |it| it.attached = Some(Arc::new(all)))
        .await;
    let told = account.outlet.cost(&dispatch(&publication, 0));
    account.publish(&part).await.expect("publishes");
    let post = account.server.posts().pop().expect("a post");
    let text = "fotos\n\nhttps://example.org/5.png\n\nhttps://example.org/6.mp4";
    assert_eq!((&*post.text, post.media.len()), (text, 4));
    assert!((told - 0.22).abs() < 1e-9, "{told}");
    assert!((told - account.server.billed(None)).abs() < 1e-9);
}

#[actix_rt::test]
async fn of_a_film_and_pictures_one_goes_up_and_is_paid_for() {
    let account = Account::with_keys();
    let files = files();
    let names = [("a.mp4", Some("Se mueve")), ("a.png", Some("Un barco"))];
    let (publication, part) = account
        .freeze_as(1, "", |it| it.attached = attached(&files, &names))
        .await;
    account.publish(&part).await.expect("publishes");
    let post = account.server.posts().pop().expect("a post");
    let film = account.server.upload(&post.media[0]);
    assert_eq!((&*film.category, post.media.len()), ("tweet_video", 1));
    assert_eq!(post.text, format!("{}/a.png", files.base_url()));
    let told = account.outlet.cost(&dispatch(&publication, 0));
    assert!((told - account.server.billed(None)).abs() < 1e-9, "{told}");
}

#[actix_rt::test]
async fn media_that_cannot_be_had_now_are_waited_for_but_not_for_ever() {
    let account = Account::with_keys();
    let files = files();
    let two = attached(&files, &[("a.png", Some("Un barco")), ("down.png", None)]);
    let mut one = (*publication(1, &["foto"])).clone();
    one.attached.clone_from(&two);
    let waiting = vec![dispatch(&Arc::new(one), 0)];
    for _ in 0..3 {
        let frozen = account.outlet.freeze(waiting.clone()).await;
        let remedy = frozen.expect_err("is waited for").remedy();
        assert_eq!(remedy, OutletRemedy::Retry(None));
    }
    let post = posted(&account, two).await;
    let text = format!("foto\n\n{}/down.png", files.base_url());
    assert_eq!((post.text, post.media.len()), (text, 1));
    // What was there is up since the first attempt.
    assert_eq!(account.server.billed(Some("metadata")), 0.005);
}

#[actix_rt::test]
async fn media_of_this_machine_do_not_go_up_unless_that_is_allowed() {
    let mut account = Account::with_keys();
    let files = files();
    let config = XConfig {
        download: DownloadConfig::default(),
        ..config(&account.server, Identity::Keys(keys()))
    };
    account.outlet = XOutlet::new(config).expect("a base address");
    let post = posted(&account, attached(&files, &[("a.png", None)])).await;
    assert!(post.media.is_empty(), "{post:?}");
}

#[actix_rt::test]
async fn what_is_refused_anyway_uploads_nothing() {
    let account = Account::with_keys();
    let files = files();
    let mut one = (*publication(1, &["x".repeat(280).as_str()])).clone();
    let picture = attached(&files, &[("a.png", Some("Un barco"))]);
    one.attached = Some(Arc::new(Attached {
        warning: Some("Ojo".into()),
        ..(*picture.expect("a picture")).clone()
    }));
    let dispatches = vec![dispatch(&Arc::new(one), 0)];
    let error = account.outlet.freeze(dispatches).await.expect_err("full");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(account.server.billed(None), 0.0);
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
}

#[actix_rt::test]
async fn a_poll_that_is_none_of_x_s_stands_behind_the_text() {
    let account = Account::with_keys();
    let files = files();
    let picture = attached(&files, &[("a.png", None)]).expect("a picture");
    let shapes = [
        (vec!["1", "2", "3", "4", "5"], false, Attached::default()),
        (vec!["1", "2"], true, Attached::default()),
        (vec!["1", "2"], false, (*picture).clone()),
        (
            vec![
                "Una respuesta bastante larga",
                "Una respuesta bastante lenta",
            ],
            false,
            Attached::default(),
        ),
    ];
    for (number, (options, is_multiple, other)) in shapes.into_iter().enumerate() {
        let poll = Poll {
            options: options.iter().map(|it| it.to_string()).collect(),
            is_multiple,
            lasts: None,
        };
        let whole = Arc::new(Attached {
            poll: Some(poll),
            ..other
        });
        let text = format!("¿Cuál de {number}?");
        let (_, part) = account
            .freeze_as(number as u64, &text, |it| it.attached = Some(whole))
            .await;
        account.publish(&part).await.expect("publishes");
        let post = account.server.posts().pop().expect("a post");
        let words = options.iter().map(|option| format!("• {option}"));
        let words = words.collect::<Vec<_>>().join("\n");
        assert_eq!(post.text, format!("{text}\n\n{words}"));
        assert!(post.options.is_empty());
        assert_eq!(post.media.len(), usize::from(number == 2));
    }
}

#[actix_rt::test]
async fn a_warning_stands_above_every_part_of_a_thread() {
    let account = Account::with_keys();
    publish_warned(&account.outlet).await;
    let posts = account.server.posts();
    let texts: Vec<&str> = posts.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["ruido\n\nuno", "ruido\n\ndos"]);
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

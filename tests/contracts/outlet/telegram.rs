//! What a Telegram outlet does when bots meet chats as they are.

use std::sync::Arc;
use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::outlets::telegram::{TelegramConfig, TelegramOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Part, Poll, Publication};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Outlet, OutletError, OutletRemedy};

use serde_json::json;

use super::{
    Stage, answering, dispatch, failure, frozen, hung, keeps_the_contract, medium, n_standing,
    pictured, publication, publish, publish_warned,
};
use crate::simulators::faults::Fault;
use crate::simulators::telegram::{CHAT, Message, NUMBER, TOKEN, Telegram};

struct Bot {
    outlet: TelegramOutlet,
    server: Telegram,
}

impl Bot {
    fn new() -> Self {
        Self::with(TOKEN, CHAT)
    }

    fn with(token: &str, chat: &str) -> Self {
        let server = Telegram::start();
        let outlet = outlet(&server, token, chat);
        Self { outlet, server }
    }
}

fn outlet(server: &Telegram, token: &str, chat: &str) -> TelegramOutlet {
    outlet_with(server, token, chat, true)
}

fn outlet_with(server: &Telegram, token: &str, chat: &str, preview: bool) -> TelegramOutlet {
    TelegramOutlet::new(TelegramConfig {
        base_url: server.base_url().parse().expect("an address"),
        token: Secret::new(token),
        chat: chat.to_owned(),
        topic: None,
        preview,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    })
    .expect("an address")
}

impl Stage for Bot {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.server.n_standing(text))
    }
}

#[actix_rt::test]
async fn a_chat_on_telegram_keeps_the_contract() {
    keeps_the_contract(Bot::new()).await;
}

#[actix_rt::test]
async fn the_limit_is_that_of_a_message() {
    let bot = Bot::new();
    assert_eq!(bot.outlet.limit().await, Ok(Limit::Telegram { max: 4_096 }));
    let longest = publication(1, &["😀".repeat(2_048).as_str()]);
    publish(&bot.outlet, &longest).await.expect("fits");
    let longer = publication(2, &["x".repeat(4_097).as_str()]);
    let error = publish(&bot.outlet, &longer).await.expect_err("too long");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert!(error.to_string().contains("too long"), "{error}");
}

#[actix_rt::test]
async fn parts_answer_each_other_and_a_thread_its_parent() {
    let bot = Bot::new();
    let root = publish(&bot.outlet, &publication(1, &["antes"])).await;
    let root = root.expect("publishes").id;
    let mut two = Publication::clone(&publication(2, &["uno"]));
    two.thread = Some(answering(&root));
    let two = Arc::new(two);
    let first = publish(&bot.outlet, &two).await.expect("publishes");
    assert_eq!(first.url.as_deref(), Some("https://t.me/noticias/2"));
    let mut after = Publication::clone(&two);
    after.parts[0].id = Some(first.id);
    after.parts.push(Part::new("dos"));
    let second = frozen(&bot.outlet, vec![dispatch(&Arc::new(after), 1)]).await;
    bot.outlet
        .publish(&second)
        .await
        .remove(0)
        .expect("publishes");
    let replies: Vec<_> = bot.server.messages().iter().map(|it| it.reply_to).collect();
    assert_eq!(replies, [None, Some(1), Some(2)]);
}

#[actix_rt::test]
async fn what_answers_something_deleted_goes_out_by_itself() {
    let bot = Bot::new();
    let mut one = Publication::clone(&publication(1, &["hola"]));
    one.thread = Some(answering("77"));
    publish(&bot.outlet, &Arc::new(one))
        .await
        .expect("publishes");
    assert_eq!(bot.server.messages()[0].reply_to, None);
}

#[actix_rt::test]
async fn a_picture_has_the_text_as_its_caption_and_several_are_a_group() {
    let bot = Bot::new();
    for n_media in [1, 2, 10, 11] {
        let urls = (0..n_media).map(|n| format!("https://a.example/{n}.jpg"));
        let attached = Attached {
            media: urls.map(|url| medium(&url, Some("un gato"))).collect(),
            is_sensitive: true,
            ..Attached::default()
        };
        let n_before = bot.server.messages().len();
        let one = hung(n_media, "hola", attached);
        let published = publish(&bot.outlet, &one).await.expect("publishes");
        let messages = bot.server.messages().split_off(n_before);
        assert_eq!(messages.len() as u64, n_media.min(10));
        assert!(messages[0].text.starts_with("hola"));
        assert_eq!(messages[0].text.contains("/10.jpg"), n_media > 10);
        assert!(
            messages
                .iter()
                .all(|it| it.has_spoiler && it.media.len() == 1)
        );
        bot.outlet.delete(&published).await.expect("is gone");
        assert_eq!(bot.server.messages().len(), n_before);
    }
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words() {
    let bot = Bot::new();
    let attached = pictured("https://a.example/1.png", Some("un gato"));
    let one = hung(1, "", attached);
    publish(&bot.outlet, &one).await.expect("publishes");
    let shown = &bot.server.messages()[0];
    assert_eq!((shown.text.as_str(), shown.media.len()), ("", 1));
}

#[actix_rt::test]
async fn a_text_too_long_for_a_caption_shows_its_picture_as_a_preview() {
    let bot = Bot::new();
    let attached = pictured("https://a.example/1.png", None);
    let one = hung(1, &"x".repeat(1_025), attached.clone());
    publish(&bot.outlet, &one).await.expect("publishes");
    let shown = &bot.server.messages()[0];
    assert_eq!(shown.preview["url"], "https://a.example/1.png");
    assert!(shown.media.is_empty());
    let one = hung(2, &"x".repeat(1_024), attached);
    publish(&bot.outlet, &one).await.expect("publishes");
    assert_eq!(bot.server.messages()[1].media, ["https://a.example/1.png"]);
}

#[actix_rt::test]
async fn media_that_telegram_cannot_fetch_go_out_as_links() {
    let bot = Bot::new();
    bot.server.hide("https://a.example/1.png");
    let attached = pictured("https://a.example/1.png", None);
    let one = hung(1, "hola", attached);
    publish(&bot.outlet, &one).await.expect("publishes");
    let messages = bot.server.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text, "hola\n\nhttps://a.example/1.png");
}

#[actix_rt::test]
async fn a_warning_hides_the_text_and_a_poll_is_put_into_words() {
    let bot = Bot::new();
    let attached = Attached {
        warning: Some("Ojo 😀".into()),
        poll: Some(Poll {
            options: vec!["sí".into(), "no".into()],
            is_multiple: false,
            lasts: None,
        }),
        quoted: Some("https://b.example/9".into()),
        ..Attached::default()
    };
    let one = hung(1, "hola", attached);
    publish(&bot.outlet, &one).await.expect("publishes");
    let shown = &bot.server.messages()[0];
    assert_eq!(
        shown.text,
        "Ojo 😀\n\nhola\n\n• sí\n• no\n\nhttps://b.example/9"
    );
    assert_eq!(shown.entities[0]["type"], "spoiler");
    assert_eq!(shown.entities[0]["offset"], 8);
}

#[actix_rt::test]
async fn a_warning_hides_every_part_of_a_thread() {
    let bot = Bot::new();
    publish_warned(&bot.outlet).await;
    let messages = bot.server.messages();
    let shown: Vec<&str> = messages.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(shown, ["ruido\n\nuno", "ruido\n\ndos"]);
    for message in &messages {
        assert_eq!(message.entities[0]["type"], "spoiler");
        assert_eq!(message.entities[0]["offset"], 7);
    }
}

#[actix_rt::test]
async fn a_message_is_changed_in_place_and_taken_back_however_often() {
    let bot = Bot::new();
    let attached = pictured("https://a.example/1.png", None);
    for (before, after) in [
        (publication(1, &["hola"]), publication(1, &["adiós"])),
        (
            hung(2, "hola", attached.clone()),
            hung(2, "adiós", attached),
        ),
    ] {
        let out = publish(&bot.outlet, &before).await.expect("publishes");
        let parts = frozen(&bot.outlet, vec![dispatch(&after, 0)]).await;
        for _ in 0..2 {
            let changed = bot.outlet.edit(&parts[0], &out).await;
            assert_eq!(changed.as_ref(), Ok(&out));
        }
        assert_eq!(bot.server.messages()[0].text, "adiós");
        for _ in 0..2 {
            bot.outlet.delete(&out).await.expect("is gone");
        }
        assert_eq!(bot.server.messages().len(), 0);
        let error = bot.outlet.edit(&parts[0], &out).await.expect_err("gone");
        assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    }
}

/// What a message shows after an edit.
async fn edited(bot: &Bot, before: &Arc<Publication>, after: &Arc<Publication>) -> Message {
    let out = publish(&bot.outlet, before).await.expect("publishes");
    let parts = frozen(&bot.outlet, vec![dispatch(after, 0)]).await;
    for _ in 0..2 {
        let changed = bot.outlet.edit(&parts[0], &out).await;
        assert_eq!(changed.as_ref(), Ok(&out));
    }
    bot.server.messages().remove(0)
}

#[actix_rt::test]
async fn an_edit_keeps_the_picture_above_a_text_however_long_that_is() {
    let pictures = Attached {
        media: ["1", "2"]
            .map(|name| medium(&format!("https://a.example/{name}.png"), None))
            .to_vec(),
        ..Attached::default()
    };
    for attached in [pictured("https://a.example/1.png", None), pictures] {
        let before = hung(1, &"x".repeat(1_025), attached.clone());
        for length in [3_000, 10] {
            let bot = Bot::new();
            let text = "y".repeat(length);
            let shown = edited(&bot, &before, &hung(1, &text, attached.clone())).await;
            assert!(shown.text.starts_with(&text));
            let expected = json!({
                "url": "https://a.example/1.png",
                "prefer_large_media": true,
                "show_above_text": true,
            });
            assert_eq!(shown.preview, expected, "{length}");
            assert!(!shown.text.contains("/1.png"));
            assert_eq!(shown.text.contains("/2.png"), attached.media.len() > 1);
        }
    }
}

#[actix_rt::test]
async fn an_edit_keeps_media_and_what_hides_them() {
    let attached = Attached {
        is_sensitive: true,
        ..pictured("https://a.example/1.png", None)
    };
    let bot = Bot::new();
    let after = hung(1, "adiós", attached.clone());
    let shown = edited(&bot, &hung(1, "hola", attached), &after).await;
    assert_eq!(shown.text, "adiós");
    assert_eq!(shown.media, ["https://a.example/1.png"]);
    assert!(shown.has_spoiler);
    assert!(bot.server.methods().contains(&"editMessageCaption".into()));
}

#[actix_rt::test]
async fn an_edit_shows_no_preview_where_none_is_wanted() {
    let server = Telegram::start();
    let outlet = outlet_with(&server, TOKEN, CHAT, false);
    let bot = Bot { outlet, server };
    let [before, after] = ["hola", "adiós"].map(|text| {
        let text = format!("{text} https://a.example/");
        publication(1, &[&text])
    });
    let shown = edited(&bot, &before, &after).await;
    assert_eq!(shown.preview, json!({"is_disabled": true}));
}

#[actix_rt::test]
async fn media_that_went_out_as_links_stay_links_after_an_edit() {
    let bot = Bot::new();
    bot.server.hide("https://a.example/1.png");
    let attached = pictured("https://a.example/1.png", None);
    let before = hung(1, "hola", attached.clone());
    let shown = edited(&bot, &before, &hung(1, "adiós", attached)).await;
    assert_eq!(shown.text, "adiós\n\nhttps://a.example/1.png");
}

#[actix_rt::test]
async fn a_group_that_moved_is_followed() {
    let bot = Bot::with(TOKEN, &NUMBER.to_string());
    bot.server.move_to(-1_009_999);
    let error = failure(&bot.outlet).await;
    let OutletRemedy::Retry(Some(wait)) = error.remedy() else {
        panic!("{error}");
    };
    assert!(wait < Duration::from_secs(2), "{wait:?}");
    for number in [2, 3] {
        let one = publication(number, &["hola"]);
        let published = publish(&bot.outlet, &one).await.expect("publishes");
        let url = published.url.expect("a URL");
        assert!(url.starts_with("https://t.me/c/9999/"), "{url}");
    }
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_at_most_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::HalfReply,
        Fault::BadGateway,
        Fault::RequestLost,
    ] {
        let bot = Bot::new();
        bot.server.fail_next(fault.clone());
        let one = publication(1, &["hola"]);
        let parts = frozen(&bot.outlet, vec![dispatch(&one, 0)]).await;
        let answer = bot.outlet.publish(&parts).await.remove(0);
        let error = answer.expect_err("is lost");
        assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
        let restarted = outlet(&bot.server, TOKEN, CHAT);
        for outlet in [&bot.outlet, &restarted] {
            let error = outlet.read_back(&parts[0]).await.expect_err("unknown");
            assert!(matches!(error, OutletError::Ambiguous { .. }));
        }
        assert_eq!(bot.server.n_standing("hola"), usize::from(fault.takes()));
    }
}

#[actix_rt::test]
async fn a_wait_that_is_asked_for_is_kept_with_a_margin() {
    let bot = Bot::new();
    bot.server.set_budget(0, 35);
    let wait = Some(Duration::from_secs(36));
    assert_eq!(
        failure(&bot.outlet).await.remedy(),
        OutletRemedy::Retry(wait)
    );
    bot.server.fail_next(Fault::page(429));
    assert_eq!(
        failure(&bot.outlet).await.remedy(),
        OutletRemedy::Retry(None)
    );
}

#[actix_rt::test]
async fn what_a_person_must_mend_is_told_without_the_token() {
    let kicked = Bot::new();
    kicked.server.kick();
    let revoked = Bot::new();
    revoked.server.revoke();
    for bot in [
        kicked,
        revoked,
        Bot::with("123456:another-token", CHAT),
        Bot::with("no-token-at-all", CHAT),
        Bot::with(TOKEN, "@nobody"),
    ] {
        let error = failure(&bot.outlet).await;
        assert_eq!(error.remedy(), OutletRemedy::Person, "{error}");
        let tried = bot.outlet.probe().await.expect_err("is told before");
        assert_eq!(tried.remedy(), OutletRemedy::Person, "{tried}");
        for token in [TOKEN, "another-token", "no-token-at-all"] {
            assert!(!format!("{error:?}{tried:?}").contains(token));
        }
    }
}

#[actix_rt::test]
async fn a_server_that_is_not_there_was_not_reached_and_shows_no_token() {
    let bot = Bot::new();
    let address = bot.server.base_url();
    drop(bot.server);
    let config = TelegramConfig {
        base_url: address.parse().expect("an address"),
        token: Secret::new(TOKEN),
        chat: CHAT.to_owned(),
        topic: None,
        preview: false,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    };
    let outlet = TelegramOutlet::new(config).expect("an address");
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let answer = publish(&outlet, &publication(1, &["hola"])).await;
        let error = answer.expect_err("no server");
        assert!(!format!("{error:?}").contains(TOKEN));
        if matches!(error, OutletError::Unreachable { .. }) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
}

#[actix_rt::test]
async fn trying_a_bot_publishes_nothing() {
    let bot = Bot::new();
    let note = bot.outlet.probe().await.expect("works").expect("a note");
    assert_eq!(note, "@noticias_bot posts to `Noticias`");
    assert_eq!(bot.server.methods(), ["getMe", "getChat"]);
}

#[actix_rt::test]
async fn a_message_of_another_chat_is_neither_changed_nor_deleted_nor_answered() {
    let bot = Bot::new();
    let published = publish(&bot.outlet, &publication(1, &["hola"])).await;
    let published = published.expect("publishes");
    let edit = frozen(&bot.outlet, vec![dispatch(&publication(2, &["adios"]), 0)]).await;
    let here = outlet(&bot.server, TOKEN, &NUMBER.to_string());
    here.edit(&edit[0], &published).await.expect("is changed");
    assert_eq!(bot.server.n_standing("adios"), 1);
    for moved in [-100_999, NUMBER - 1] {
        let there = outlet(&bot.server, TOKEN, &moved.to_string());
        bot.server.move_to(moved);
        let edited = there.edit(&edit[0], &published).await;
        let deleted = there.delete(&published).await;
        for error in [edited.map(drop), deleted] {
            assert_eq!(error.expect_err("fails").remedy(), OutletRemedy::GiveUp);
        }
        let mut answer = Publication::clone(&publication(3, &["otra"]));
        answer.thread = Some(answering(&published.id));
        let answer = publish(&there, &Arc::new(answer)).await;
        answer.expect("publishes");
        assert!(bot.server.messages().iter().all(|it| it.reply_to.is_none()));
    }
    assert_eq!(bot.server.n_standing("adios"), 1);
}

#[actix_rt::test]
async fn after_a_group_has_moved_its_earlier_messages_are_left_alone() {
    let bot = Bot::with(TOKEN, &NUMBER.to_string());
    let published = publish(&bot.outlet, &publication(1, &["hola"])).await;
    let published = published.expect("publishes");
    bot.server.move_to(-100_999);
    let error = bot.outlet.delete(&published).await.expect_err("moves");
    assert!(matches!(error, OutletError::Busy { .. }), "{error}");
    let error = bot.outlet.delete(&published).await.expect_err("has moved");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(bot.server.n_standing("hola"), 1);
}

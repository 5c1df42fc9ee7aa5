//! What a Discord outlet does when webhooks behave as webhooks do.

use std::time::{Duration, Instant};

use babelfeed::http::HttpConfig;
use babelfeed::outlets::discord::{DiscordConfig, DiscordOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Publication};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Outlet, OutletRemedy};

use super::{
    Stage, dispatch, failure, frozen, hung, keeps_the_contract, medium, n_standing, pictured,
    publication, publish, publish_warned,
};
use crate::simulators::discord::Discord;
use crate::simulators::faults::Fault;

struct Channel {
    outlet: DiscordOutlet,
    server: Discord,
}

impl Channel {
    fn new() -> Self {
        let server = Discord::start();
        let outlet = outlet(&server.url());
        Self { outlet, server }
    }
}

fn outlet(url: &str) -> DiscordOutlet {
    DiscordOutlet::new(&DiscordConfig {
        url: Secret::new(url),
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    })
    .expect("an address")
}

impl Stage for Channel {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.server.n_standing(text))
    }
}

#[actix_rt::test]
async fn a_webhook_of_discord_keeps_the_contract() {
    let channel = Channel::new();
    channel.server.set_per_bucket(100);
    keeps_the_contract(channel).await;
}

#[actix_rt::test]
async fn nobody_is_alerted_and_people_get_an_address() {
    let channel = Channel::new();
    let one = publication(1, &["hola @everyone <@1>"]);
    let published = publish(&channel.outlet, &one).await.expect("publishes");
    let message = channel.server.messages().remove(0);
    assert!(!message.alerts);
    let url = format!("https://discord.com/channels/77/88/{}", message.id);
    assert_eq!(published.url.as_deref(), Some(url.as_str()));
}

#[actix_rt::test]
async fn signs_of_markdown_are_shown_as_signs() {
    let channel = Channel::new();
    let text = "5 * 3 * 2, *so* ||no||\n# x https://e.co/a_b_c";
    publish(&channel.outlet, &publication(1, &[text]))
        .await
        .expect("published");
    let content = channel.server.messages().remove(0).content;
    let expected = "5 \\* 3 \\* 2, \\*so\\* \\|\\|no\\|\\|\n\\# x https://e.co/a_b_c";
    assert_eq!(content, expected);
}

#[actix_rt::test]
async fn the_limit_is_that_of_a_message() {
    let channel = Channel::new();
    let limit = channel.outlet.limit().await;
    assert_eq!(limit, Ok(Limit::DISCORD_MESSAGE));
    let longest = publication(1, &["ñ".repeat(2_000).as_str()]);
    publish(&channel.outlet, &longest).await.expect("fits");
    let longer = publication(2, &["ñ".repeat(2_001).as_str()]);
    let error = publish(&channel.outlet, &longer).await.expect_err("long");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn pictures_are_embedded_with_what_they_show_or_else_linked() {
    let channel = Channel::new();
    channel.server.refuse("https://b.example/2.png");
    let with = |url: &str| pictured(url, Some("un gato"));
    let one = hung(1, "hola", with("https://a.example/1.png"));
    publish(&channel.outlet, &one).await.expect("publishes");
    let two = hung(2, "hola", with("https://b.example/2.png"));
    publish(&channel.outlet, &two).await.expect("publishes");
    let messages = channel.server.messages();
    assert_eq!(messages[0].embeds[0]["description"], "un gato");
    assert_eq!(messages[0].content, "hola");
    assert_eq!(messages[1].content, "hola\n\nhttps://b.example/2.png");
    assert_eq!(messages.len(), 2);
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words() {
    let channel = Channel::new();
    let attached = pictured("https://a.example/1.png", Some("un gato"));
    let one = hung(1, "", attached);
    publish(&channel.outlet, &one).await.expect("publishes");
    let message = channel.server.messages().remove(0);
    assert_eq!((message.content.as_str(), message.embeds.len()), ("", 1));
}

#[actix_rt::test]
async fn what_is_sensitive_is_hidden_until_asked_for() {
    let channel = Channel::new();
    let media = vec![medium("https://a.example/1.png", None)];
    let sensitive = Attached {
        media: media.clone(),
        is_sensitive: true,
        ..Attached::default()
    };
    publish(&channel.outlet, &hung(1, "hola", sensitive))
        .await
        .expect("publishes");
    let warned = Attached {
        media,
        warning: Some("Ojo".into()),
        ..Attached::default()
    };
    publish(&channel.outlet, &hung(2, "hola", warned))
        .await
        .expect("publishes");
    let messages = channel.server.messages();
    assert_eq!(messages[0].content, "hola\n\n||https://a.example/1.png||");
    assert_eq!(
        messages[1].content,
        "Ojo\n\n||hola\n\nhttps://a.example/1.png||"
    );
    assert!(messages.iter().all(|it| it.embeds.is_empty()));
}

#[actix_rt::test]
async fn a_warning_hides_every_part_of_a_thread() {
    let channel = Channel::new();
    publish_warned(&channel.outlet).await;
    let messages = channel.server.messages();
    let shown: Vec<&str> = messages.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(shown, ["ruido\n\n||uno||", "ruido\n\n||dos||"]);
}

#[actix_rt::test]
async fn a_message_is_changed_in_place_and_taken_back_however_often() {
    let channel = Channel::new();
    let one = publication(1, &["hola"]);
    let out = publish(&channel.outlet, &one).await.expect("publishes");
    let after = publication(1, &["adiós"]);
    let parts = frozen(&channel.outlet, vec![dispatch(&after, 0)]).await;
    for _ in 0..2 {
        let changed = channel.outlet.edit(&parts[0], &out).await;
        assert_eq!(changed.as_ref(), Ok(&out));
    }
    assert_eq!(channel.server.n_standing("adiós"), 1);
    for _ in 0..2 {
        channel.outlet.delete(&out).await.expect("is gone");
    }
    assert_eq!(channel.server.messages().len(), 0);
    let error = channel.outlet.edit(&parts[0], &out).await;
    assert_eq!(error.expect_err("is gone").remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_at_most_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::HalfReply,
        Fault::BadGateway,
        Fault::RequestLost,
    ] {
        let channel = Channel::new();
        channel.server.fail_next(fault.clone());
        let error = failure(&channel.outlet).await;
        assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
        let one = publication(1, &["hola"]);
        let restarted = outlet(&channel.server.url());
        let parts = frozen(&channel.outlet, vec![dispatch(&one, 0)]).await;
        for outlet in [&channel.outlet, &restarted] {
            outlet.read_back(&parts[0]).await.expect_err("unknown");
        }
        let n_standing = channel.server.n_standing("hola");
        assert_eq!(n_standing, usize::from(fault.takes()));
    }
}

#[actix_rt::test]
async fn an_answer_without_a_message_proves_nothing() {
    let channel = Channel::new();
    channel.server.fall_silent();
    let error = failure(&channel.outlet).await;
    assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{error}");
}

#[actix_rt::test]
async fn a_spent_bucket_is_waited_for_without_a_refusal() {
    let channel = Channel::new();
    channel.server.set_per_bucket(2);
    let begun = Instant::now();
    for number in 0..5 {
        let text = format!("hola {number}");
        let one = publication(number, &[&text]);
        publish(&channel.outlet, &one).await.expect("publishes");
    }
    assert_eq!(channel.server.n_invalid(), 0);
    assert!(begun.elapsed() > Duration::from_millis(3_500));
}

#[actix_rt::test]
async fn a_refusal_of_too_many_tells_the_wait_in_every_form() {
    let channel = Channel::new();
    channel.server.set_per_bucket(0);
    let OutletRemedy::Retry(Some(wait)) = failure(&channel.outlet).await.remedy() else {
        panic!("expected a wait");
    };
    assert!((2_000..=3_000).contains(&wait.as_millis()), "{wait:?}");
    channel.server.fail_next(Fault::page(429));
    let wait = Some(Duration::from_secs(61));
    assert_eq!(
        failure(&channel.outlet).await.remedy(),
        OutletRemedy::Retry(wait)
    );
}

#[actix_rt::test]
async fn a_webhook_that_is_gone_is_called_no_more() {
    let channel = Channel::new();
    channel.server.forget();
    let one = publication(1, &["hola"]);
    for _ in 0..20 {
        let parts = channel.outlet.freeze(vec![dispatch(&one, 0)]).await;
        assert_eq!(parts.expect_err("is gone").remedy(), OutletRemedy::Person);
        channel.outlet.probe().await.expect_err("is gone");
    }
    assert_eq!(channel.server.n_calls(), 1);
}

#[actix_rt::test]
async fn a_wrong_token_is_told_once_and_never_shown() {
    let channel = Channel::new();
    let wrong = outlet(&format!(
        "{}-wrong",
        channel.server.url().replace("the-token", "no")
    ));
    for _ in 0..5 {
        let error = wrong.probe().await.expect_err("is refused");
        assert_eq!(error.remedy(), OutletRemedy::Person);
        assert!(!format!("{error:?}").contains("of-the-webhook"), "{error}");
    }
    assert_eq!(channel.server.n_invalid(), 1);
}

#[actix_rt::test]
async fn a_webhook_that_may_not_write_waits_for_a_person() {
    let channel = Channel::new();
    channel.server.forbid();
    let error = failure(&channel.outlet).await;
    assert_eq!(error.remedy(), OutletRemedy::Person, "{error}");
}

#[actix_rt::test]
async fn trying_a_webhook_publishes_nothing() {
    let channel = Channel::new();
    let note = channel.outlet.probe().await.expect("works");
    assert_eq!(note.as_deref(), Some("posts as `noticias`"));
    assert_eq!(channel.server.messages().len(), 0);
}
